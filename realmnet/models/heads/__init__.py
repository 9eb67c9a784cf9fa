"""Heads."""

from .linear_head import GroupLinearHead
from .residual_attention_head import ResidualAttentionHead

__all__ = ['GroupLinearHead', 'ResidualAttentionHead']
