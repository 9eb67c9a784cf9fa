"""From logits to probabilities: each class by itself, or softmax within an exclusive group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpretrain.models import CrossEntropyLoss, LabelSmoothLoss
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from .losses.group_cross_entropy import GroupCrossEntropyLoss

Groups = Sequence[Sequence[int]]


def probabilities(logits: Tensor, softmax_groups: Groups = ()) -> Tensor:
    """Turn logits into probabilities.

    Args:
        logits: ``(N, C)``.
        softmax_groups: Positions of the classes of each group whose probabilities add up to 1,
            see :attr:`realmnet.curation.label_schema.LabelSchema.softmax_groups`; the sigmoid of
            its logit is the probability of any other class.

    Returns:
        ``(N, C)``.

    Example:
        >>> probabilities(torch.tensor([[0.0, 0.0, 0.0]]), [[1, 2]]).tolist()
        [[0.5, 0.5, 0.5]]
    """
    columns = list(torch.sigmoid(logits).unbind(1)) if softmax_groups else []
    for group in softmax_groups:
        shares = torch.softmax(torch.stack([logits[:, i] for i in group], dim=1), dim=1)
        for i, share in zip(group, shares.unbind(1), strict=True):
            columns[i] = share
    return torch.stack(columns, dim=1) if columns else torch.sigmoid(logits)


def softmax_groups_of(loss: nn.Module | None, num_classes: int) -> tuple[tuple[int, ...], ...]:
    """Return which classes a loss makes exclude each other; none for a loss of sigmoids.

    Args:
        loss: Of this project or of mmpretrain.
        num_classes: Number of classes.

    Example:
        >>> softmax_groups_of(GroupCrossEntropyLoss([[0, 2]]), 3)
        ((0, 2),)
        >>> softmax_groups_of(CrossEntropyLoss(use_sigmoid=True), 3)
        ()
    """
    if isinstance(loss, GroupCrossEntropyLoss):
        return loss.groups_of(num_classes)
    inner = loss.ce if isinstance(loss, LabelSmoothLoss) else loss
    if isinstance(inner, CrossEntropyLoss) and not inner.use_sigmoid:
        return (tuple(range(num_classes)),)
    return ()


class GroupActivation:
    """A multi-label head whose probabilities are those that its loss was made for.

    Goes before mmpretrain's ``MultiLabelClsHead`` in the bases of a head.
    """

    @property
    def softmax_groups(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the classes of each group whose probabilities add up to 1."""
        return softmax_groups_of(self.loss_module, self.num_classes)

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample] | None
    ) -> list[DataSample]:
        """Set probabilities and predicted labels of each sample."""
        scores = probabilities(cls_score, self.softmax_groups)
        samples = data_samples or [DataSample() for _ in range(len(scores))]
        for sample, score in zip(samples, scores, strict=True):
            found = score.topk(self.topk)[1] if self.thr is None else (score >= self.thr).nonzero()
            sample.set_pred_score(score).set_pred_label(found.flatten())
        return samples
