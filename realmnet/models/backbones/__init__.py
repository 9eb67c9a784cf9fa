"""Backbones."""

from .tinyvit import RealMTinyViT

__all__ = ['RealMTinyViT']
