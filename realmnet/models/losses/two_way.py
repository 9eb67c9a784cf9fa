"""Two-way multi-label loss: the hardest positive against the hardest negative."""

from typing import Literal, get_args

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

Mode = Literal['sample', 'class', 'both']
Reduction = Literal['mean', 'sum']


def _soft_maximum(logits: Tensor, share: Tensor, temperature: float, dim: int) -> Tensor:
    """``T log sum share * exp(logits / T)`` along a dimension where some share is positive."""
    return temperature * torch.logsumexp(logits / temperature + share.log(), dim=dim)


def _contrast(
    pred: Tensor, target: Tensor, temperature_pos: float, temperature_neg: float, dim: int
) -> tuple[Tensor, Tensor]:
    """Loss along ``dim`` for each slice, and whether the slice has a positive."""
    has_pos = (target > 0).any(dim=dim)
    has_neg = (target < 1).any(dim=dim)
    # A slice with one side only is worth 0; another target in its place keeps -inf, whose
    # gradient is NaN, out of the computation.
    one_sided = ~(has_pos & has_neg).unsqueeze(dim)
    target = target.masked_fill(one_sided, 0.5)
    loss = F.softplus(
        _soft_maximum(-pred, target, temperature_pos, dim)
        + _soft_maximum(pred, 1 - target, temperature_neg, dim)
    )
    return loss.masked_fill(one_sided.squeeze(dim), 0.0), has_pos


def two_way_loss(
    pred: Tensor,
    target: Tensor,
    temperature_pos: float = 4.0,
    temperature_neg: float = 1.0,
    mode: Mode = 'both',
    reduction: Reduction = 'mean',
) -> Tensor:
    r"""Contrast positives and negatives within each sample, each class, or both.

    For one sample (over its classes) or one class (over the samples of the batch)

    .. math:: \mathrm{softplus}\Big( T_- \log \sum_n (1 - t_n) e^{x_n / T_-}
        + T_+ \log \sum_p t_p e^{-x_p / T_+} \Big)

    For targets 0 and 1 this is the two-way loss (Kobayashi, CVPR 2023). RealMNet's paper prints
    the sample term alone; its authors' code adds the class term. The weights t and 1 - t are our
    reading of a soft target.

    A sample or class without a positive does not take part in the mean; one without a negative
    takes part with 0. If no slice has a positive, the loss is 0.

    Args:
        pred: Logits ``(N, C)``; computed in float32 at least.
        target: Truth ``(N, C)`` in [0, 1].
        temperature_pos: Temperature of the positives.
        temperature_neg: Temperature of the negatives.
        mode: Which terms to add up.
        reduction: Reduction of each term over its samples or classes.

    Returns:
        A scalar.

    Raises:
        ValueError: The inputs are not matrices of one shape.

    Example:
        >>> pred, target = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
        >>> two_way_loss(pred, target, mode='sample')  # softplus(-1 - 2)
        tensor(0.0486)
    """
    if pred.shape != target.shape or pred.dim() != 2:
        raise ValueError(
            f'pred and target must be (N, C), got {tuple(pred.shape)}, {tuple(target.shape)}'
        )
    pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
    target = target.to(pred.dtype)
    total = pred.new_zeros(())
    for name, dim in (('sample', 1), ('class', 0)):
        if mode in (name, 'both'):
            loss, taken = _contrast(pred, target, temperature_pos, temperature_neg, dim)
            count = taken.sum().clamp(min=1) if reduction == 'mean' else 1
            total = total + loss.sum() / count
    return total


@MODELS.register_module()
class TwoWayLoss(nn.Module):
    """:func:`two_way_loss`, weighted.

    Args:
        temperature_pos: Temperature of the positives.
        temperature_neg: Temperature of the negatives.
        mode: 'sample' (the paper), 'class', or 'both' (the authors' code).
        reduction: 'mean' or 'sum' over the samples or classes of each term.
        loss_weight: Factor.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        temperature_pos: float = 4.0,
        temperature_neg: float = 1.0,
        mode: Mode = 'both',
        reduction: Reduction = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if temperature_pos <= 0 or temperature_neg <= 0:
            raise ValueError(
                f'temperatures must be positive, got {temperature_pos}, {temperature_neg}'
            )
        if mode not in get_args(Mode):
            raise ValueError(f'mode must be one of {get_args(Mode)}, got {mode!r}')
        if reduction not in get_args(Reduction):
            raise ValueError(f'reduction must be one of {get_args(Reduction)}, got {reduction!r}')
        self.temperature_pos = temperature_pos
        self.temperature_neg = temperature_neg
        self.mode = mode
        self.reduction = reduction
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, avg_factor: float | None = None) -> Tensor:
        """Compute the loss.

        Args:
            pred: Logits ``(N, C)``.
            target: Truth ``(N, C)`` in [0, 1].
            avg_factor: Taken because mmpretrain's heads pass it; without effect, because each
                term has its own number of samples or classes.

        Returns:
            A scalar.
        """
        del avg_factor
        return self.loss_weight * two_way_loss(
            pred,
            target,
            temperature_pos=self.temperature_pos,
            temperature_neg=self.temperature_neg,
            mode=self.mode,
            reduction=self.reduction,
        )
