"""Transforms that mmcv and mmpretrain do not have; the rest of the recipe is theirs."""

from realmnet.datasets.transforms.loading import LoadPicture
from realmnet.datasets.transforms.simulated import (
    GaussianNoise,
    KernelBlur,
    PictureColorJitter,
    ScaledAffine,
)

__all__ = ['GaussianNoise', 'KernelBlur', 'LoadPicture', 'PictureColorJitter', 'ScaledAffine']
