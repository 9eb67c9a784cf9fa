"""Cost-sensitive classification loss: weighted BCE, focal and asymmetric loss in one formula."""

from typing import Literal, get_args

import torch
from mmpretrain.models.losses.utils import weight_reduce_loss
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

SoftTarget = Literal['mmpretrain', 'asl']
Reduction = Literal['mean', 'sum', 'none']


def _power(base: Tensor, exponent: Tensor | float) -> Tensor:
    """``base ** exponent`` for a base in [0, 1], with a finite gradient at 0."""
    return base.clamp(min=torch.finfo(base.dtype).tiny).pow(exponent)


def cost_sensitive_loss(
    pred: Tensor,
    target: Tensor,
    gamma_pos: float = 0.0,
    gamma_neg: float = 0.0,
    margin: float = 0.0,
    alpha: float | None = None,
    soft_target: SoftTarget = 'mmpretrain',
    eps: float = 1e-8,
) -> Tensor:
    r"""Compute the loss of every element.

    With :math:`p = \sigma(x)` and :math:`p_m = \max(p - m, 0)`, for a positive and a negative

    .. math::
        L_+ = -\alpha (1 - p)^{\gamma_+} \log p \qquad
        L_- = -(1 - \alpha) \, p_m^{\gamma_-} \log (1 - p_m)

    where both alpha factors are 1 without ``alpha``. Special cases: all zero is BCE; equal gammas
    and ``alpha`` is focal loss (https://arxiv.org/abs/1708.02002); different gammas and a margin
    is asymmetric loss (https://arxiv.org/abs/2009.14119), of which the published RealMNet uses
    gamma_pos 3, gamma_neg 4, margin 0 and no alpha. (The paper's printed formula swaps the two
    gammas.)

    For a target t between 0 and 1, 'asl' is :math:`t L_+ + (1 - t) L_-`, and 'mmpretrain' is what
    mmpretrain's ``AsymmetricLoss`` does, :math:`-(1 - q)^{\gamma_+ t + \gamma_- (1 - t)} \log q`
    with :math:`q = t p + (1 - t)(1 - p_m)`: flat at t = 0.5. The published results used the
    latter. They agree for targets 0 and 1, except that 'mmpretrain' bounds log q by ``eps`` and
    so has no gradient where q is smaller.

    Args:
        pred: Logits ``(N, C)``; computed in float32 at least.
        target: Truth ``(N, C)`` in [0, 1].
        gamma_pos: Focusing of the positives.
        gamma_neg: Focusing of the negatives.
        margin: Probability below which a negative counts nothing.
        alpha: Weight of the positives; the negatives have ``1 - alpha``.
        soft_target: What a target between 0 and 1 means.
        eps: Least argument of the logarithm with 'mmpretrain'.

    Returns:
        ``(N, C)``.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> cost_sensitive_loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]), gamma_pos=1)
        tensor([[0.3466]])
    """
    if pred.shape != target.shape:
        raise ValueError(
            f'pred and target must have one shape, got {tuple(pred.shape)}, {tuple(target.shape)}'
        )
    pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
    target = target.to(pred.dtype)
    alpha_pos, alpha_neg = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)

    if soft_target == 'mmpretrain':
        p = pred.sigmoid()
        q = (1 - p + margin).clamp(max=1) * (1 - target) + p * target
        weight = _power(1 - q, gamma_pos * target + gamma_neg * (1 - target))
        weight = weight * (alpha_pos * target + alpha_neg * (1 - target))
        return -q.clamp(min=eps).log() * weight

    log_p, log_not_p = F.logsigmoid(pred), F.logsigmoid(-pred)
    positive = -alpha_pos * (gamma_pos * log_not_p).exp() * log_p
    if margin:
        p_m = (pred.sigmoid() - margin).clamp(min=0)
        negative = -alpha_neg * _power(p_m, gamma_neg) * torch.log1p(-p_m)
    else:
        negative = -alpha_neg * (gamma_neg * log_p).exp() * log_not_p
    return target * positive + (1 - target) * negative


@MODELS.register_module()
class CostSensitiveLoss(nn.Module):
    """:func:`cost_sensitive_loss`, reduced and weighted.

    Args:
        gamma_pos: Focusing of the positives.
        gamma_neg: Focusing of the negatives.
        margin: Probability below which a negative counts nothing, in [0, 1).
        alpha: Weight of the positives in [0, 1]; None weights neither.
        soft_target: 'mmpretrain' (as published) or 'asl'.
        reduction: 'mean', 'sum' or 'none'. mmpretrain's heads pass the batch size as
            ``avg_factor``, which makes 'mean' the sum over the classes, averaged over the
            batch.
        loss_weight: Factor.
        eps: Least argument of the logarithm with 'mmpretrain'.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> loss = CostSensitiveLoss(gamma_pos=3.0, gamma_neg=4.0)
        >>> loss(torch.zeros(2, 7), torch.zeros(2, 7), avg_factor=2)
        tensor(0.3033)
    """

    def __init__(
        self,
        gamma_pos: float = 0.0,
        gamma_neg: float = 0.0,
        margin: float = 0.0,
        alpha: float | None = None,
        soft_target: SoftTarget = 'mmpretrain',
        reduction: Reduction = 'mean',
        loss_weight: float = 1.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        if gamma_pos < 0 or gamma_neg < 0:
            raise ValueError(f'gammas must not be negative, got {gamma_pos}, {gamma_neg}')
        if not 0 <= margin < 1:
            raise ValueError(f'margin must be in [0, 1), got {margin}')
        if alpha is not None and not 0 <= alpha <= 1:
            raise ValueError(f'alpha must be in [0, 1] or None, got {alpha}')
        if soft_target not in get_args(SoftTarget):
            raise ValueError(
                f'soft_target must be one of {get_args(SoftTarget)}, got {soft_target!r}'
            )
        if reduction not in get_args(Reduction):
            raise ValueError(f'reduction must be one of {get_args(Reduction)}, got {reduction!r}')
        if eps <= 0:
            raise ValueError(f'eps must be positive, got {eps}')
        self.gamma_pos = gamma_pos
        self.gamma_neg = gamma_neg
        self.margin = margin
        self.alpha = alpha
        self.soft_target = soft_target
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.eps = eps

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
            pred: Logits ``(N, C)``.
            target: Truth ``(N, C)`` in [0, 1].
            weight: One weight a sample ``(N,)``.
            avg_factor: What 'mean' divides the sum by, instead of the number of elements.
            reduction_override: Reduction of this call.

        Returns:
            A scalar, or ``(N, C)`` with the reduction 'none'.
        """
        loss = cost_sensitive_loss(
            pred,
            target,
            gamma_pos=self.gamma_pos,
            gamma_neg=self.gamma_neg,
            margin=self.margin,
            alpha=self.alpha,
            soft_target=self.soft_target,
            eps=self.eps,
        )
        if weight is not None:
            weight = weight.to(loss.dtype)[:, None]
        reduction = reduction_override or self.reduction
        return self.loss_weight * weight_reduce_loss(loss, weight, reduction, avg_factor)
