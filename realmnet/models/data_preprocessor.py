"""Normalisation and batch-wise augmentation on the device."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.registry import MODELS


@MODELS.register_module()
class MultiLabelDataPreprocessor(ClsDataPreprocessor):
    """mmpretrain's preprocessor, which leaves the config alone.

    mmpretrain's ``RandomBatchAugment`` appends to the ``probs`` list that it is given, which is
    the config's own: a second model from the same config then fails to build. It gets a copy.

    Args:
        batch_augments: ``dict(augments=[...], probs=[...])``, Mixup and CutMix in the published
            recipe; one is drawn for each batch.
        **kwargs: Passed on to mmpretrain's ``ClsDataPreprocessor``.
    """

    def __init__(self, batch_augments: Mapping | None = None, **kwargs) -> None:
        super().__init__(batch_augments=copy.deepcopy(batch_augments), to_onehot=True, **kwargs)
