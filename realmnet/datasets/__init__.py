"""What a dataloader yields: label-table datasets and the transforms of the published recipe."""

from realmnet.datasets.label_table_dataset import LabelTableDataset, PSMMDataset
from realmnet.datasets.transforms import (
    GaussianNoise,
    KernelBlur,
    LoadPicture,
    PictureColorJitter,
    ScaledAffine,
)

__all__ = [
    'GaussianNoise',
    'KernelBlur',
    'LabelTableDataset',
    'LoadPicture',
    'PSMMDataset',
    'PictureColorJitter',
    'ScaledAffine',
]
