"""Inference for people: a picture or a folder in, findings out."""

from .inferencer import Inferencer, PictureResult

__all__ = ['Inferencer', 'PictureResult']
