"""Backbones."""

from .timm_features import TimmFeatures
from .tinyvit import RealMTinyViT

__all__ = ['RealMTinyViT', 'TimmFeatures']
