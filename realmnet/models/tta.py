"""Test-time augmentation."""

from __future__ import annotations

from mmengine.model import BaseTTAModel
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample


@MODELS.register_module()
class AverageMultiLabelTTA(BaseTTAModel):
    """Mean of the scores of the augmented views of each picture.

    mmpretrain's ``AverageClsScoreTTA`` leaves out the predicted labels and loses the truth.

    Args:
        threshold: Score from which a class counts as predicted.
        **kwargs: ``module``, the model.
    """

    def __init__(self, threshold: float = 0.5, **kwargs) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def merge_preds(self, data_samples_list: list[list[DataSample]]) -> list[DataSample]:
        """Merge the views; ``data_samples_list[i]`` holds the views of picture ``i``."""
        merged = []
        for views in data_samples_list:
            score = sum(view.pred_score for view in views) / len(views)
            sample = views[0].clone()
            sample.set_pred_score(score)
            sample.set_pred_label((score >= self.threshold).nonzero().flatten())
            merged.append(sample)
        return merged
