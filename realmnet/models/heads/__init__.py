"""Heads."""

from .residual_attention_head import ResidualAttentionHead

__all__ = ['ResidualAttentionHead']
