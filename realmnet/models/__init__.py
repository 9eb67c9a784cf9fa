"""Registered modules: backbones, heads and losses."""

from .backbones import RealMTinyViT
from .heads import ResidualAttentionHead
from .losses import CostSensitiveLoss, TwoWayLoss

__all__ = ['CostSensitiveLoss', 'RealMTinyViT', 'ResidualAttentionHead', 'TwoWayLoss']
