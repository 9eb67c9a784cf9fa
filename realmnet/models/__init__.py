"""Registered modules: backbones, heads, losses, and what stands before and after the network."""

from .backbones import RealMTinyViT, TimmFeatures
from .data_preprocessor import MultiLabelDataPreprocessor
from .heads import ResidualAttentionHead
from .losses import CostSensitiveLoss, TwoWayLoss
from .tta import AverageMultiLabelTTA

__all__ = [
    'AverageMultiLabelTTA',
    'CostSensitiveLoss',
    'MultiLabelDataPreprocessor',
    'RealMTinyViT',
    'ResidualAttentionHead',
    'TimmFeatures',
    'TwoWayLoss',
]
