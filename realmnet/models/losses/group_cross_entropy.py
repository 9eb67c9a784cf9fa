"""Cross-entropy within groups of classes that exclude each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from mmpretrain.models.losses.utils import weight_reduce_loss
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

Reduction = Literal['mean', 'sum', 'none']


@MODELS.register_module()
class GroupCrossEntropyLoss(nn.Module):
    r"""Softmax cross-entropy of each group, binary cross-entropy of the classes outside.

    For logits :math:`x` and targets :math:`t` of one picture

    .. math:: L = - \sum_g \sum_{i \in g} t_i \log \frac{e^{x_i}}{\sum_{j \in g} e^{x_j}}
        - \sum_{i \notin \cup g} \big( t_i \log \sigma(x_i) + (1 - t_i) \log \sigma(-x_i) \big)

    Targets may lie between 0 and 1, as mixing makes them. A group of which a picture has no class
    costs nothing. The label schema says the same with ``activation='softmax'`` in these groups,
    so that probabilities are those that the loss was made for.

    Args:
        groups: Positions of the classes of each group; one group of all classes where left out.
        reduction: 'mean', 'sum' or 'none' over the pictures.
        loss_weight: Factor.

    Raises:
        ValueError: A group has fewer than two classes, a class is in two groups, or the
            reduction is unknown.

    Example:
        >>> loss = GroupCrossEntropyLoss()
        >>> loss(torch.zeros(1, 3), torch.tensor([[0.0, 1.0, 0.0]]))  # log 3
        tensor(1.0986)
    """

    def __init__(
        self,
        groups: Sequence[Sequence[int]] | None = None,
        reduction: Reduction = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if reduction not in get_args(Reduction):
            raise ValueError(f'reduction must be one of {get_args(Reduction)}, got {reduction!r}')
        self.groups = None if groups is None else tuple(map(tuple, groups))
        places = [i for group in self.groups or () for i in group]
        if len(set(places)) < len(places) or any(len(group) < 2 for group in self.groups or ()):
            raise ValueError(
                f'groups must have two classes or more, each in one group, got {groups}'
            )
        self.reduction = reduction
        self.loss_weight = loss_weight

    def groups_of(self, num_classes: int) -> tuple[tuple[int, ...], ...]:
        """Return the groups for a number of classes.

        Raises:
            ValueError: A group names a class that there is not.
        """
        groups = (tuple(range(num_classes)),) if self.groups is None else self.groups
        if any(not 0 <= i < num_classes for group in groups for i in group):
            raise ValueError(f'groups {groups} name classes outside 0 to {num_classes - 1}')
        return groups

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: Reduction | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred: Logits ``(N, C)``; computed in float32 at least.
            target: Truth ``(N, C)`` in [0, 1].
            weight: One weight a picture ``(N,)``.
            avg_factor: What 'mean' divides the sum by, instead of N.
            reduction_override: Reduction of this call.

        Returns:
            A scalar, or ``(N,)`` with the reduction 'none'.

        Raises:
            ValueError: The inputs are not matrices of one shape.
        """
        if pred.shape != target.shape or pred.dim() != 2:
            raise ValueError(
                f'pred and target must be (N, C), got {tuple(pred.shape)}, {tuple(target.shape)}'
            )
        pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
        target = target.to(pred.dtype)
        groups = self.groups_of(pred.shape[1])
        grouped = {i for group in groups for i in group}
        free = [i for i in range(pred.shape[1]) if i not in grouped]
        loss = pred.new_zeros(len(pred))
        for group in map(list, groups):
            loss = loss + F.cross_entropy(pred[:, group], target[:, group], reduction='none')
        if free:
            each = F.binary_cross_entropy_with_logits(
                pred[:, free], target[:, free], reduction='none'
            )
            loss = loss + each.sum(1)
        weight = None if weight is None else weight.to(loss.dtype)
        reduction = reduction_override or self.reduction
        return self.loss_weight * weight_reduce_loss(loss, weight, reduction, avg_factor)
