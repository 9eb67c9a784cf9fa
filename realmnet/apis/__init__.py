"""Inference for people: a picture or a folder in, findings out."""

from realmnet.apis.inferencer import Inferencer
from realmnet.deployment.picture_result import PictureResult

__all__ = ['Inferencer', 'PictureResult']
