"""Class-specific residual attention: a multi-label head that looks where each class is."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import torch
from mmpretrain.models.heads import MultiLabelClsHead
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from realmnet.models.activation import GroupActivation

MAX_POOLING = 99
"""The temperature that stands for max pooling in the reference."""


def residual_attention(scores: Tensor, temperatures: Sequence[float], lam: float) -> Tensor:
    r"""Pool class scores over the locations and add up the heads.

    .. math:: y_i = \sum_h \Big( \frac{1}{S} \sum_p s_{hi}(p)
        + \lambda \sum_p \mathrm{softmax}_p(T_h s_{hi})(p) \, s_{hi}(p) \Big)

    Source: Zhu and Wu, ICCV 2021 (https://arxiv.org/abs/2108.02456), section 3.

    Args:
        scores: ``(N, H, C, S)`` for H heads, C classes and S locations.
        temperatures: One positive number a head; 99 and infinity take the maximum.
        lam: Weight of the attention term.

    Returns:
        Logits ``(N, C)``.
    """
    pooled = []
    for temperature, score in zip(temperatures, scores.unbind(1), strict=True):
        if temperature == MAX_POOLING or math.isinf(temperature):
            pooled.append(score.max(dim=-1).values)
        else:
            pooled.append((F.softmax(temperature * score, dim=-1) * score).sum(dim=-1))
    return scores.mean(dim=-1).sum(dim=1) + lam * torch.stack(pooled).sum(dim=0)


@MODELS.register_module()
class ResidualAttentionHead(GroupActivation, MultiLabelClsHead):
    """Class-specific residual attention (CSRA), state-dict compatible with ``CSRAClsHead``.

    Each head holds one vector a class. Its scalar product, after normalisation to unit length,
    with the features of a location is the class score there; :func:`residual_attention` pools
    the scores. Normalisation, scores and pooling are computed in float32 at least, inside
    autocast too.

    Source: Zhu and Wu, ICCV 2021 (https://arxiv.org/abs/2108.02456).

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the feature map.
        lam: Weight of the attention term, not negative.
        num_heads: 1, 2, 4, 6 or 8 heads with the temperatures of the paper. Give either this
            or ``temperatures``.
        temperatures: One positive number a head; 99 (as in the reference) and infinity stand
            for max pooling.
        loss: The loss module or its config; with cross-entropy probabilities are a softmax.
        thr: Threshold of a positive prediction; 0.5 if ``topk`` is not given either.
        topk: Predict this many classes instead.
        init_cfg: Initialisation of the class vectors, e.g.
            ``dict(type='Normal', layer='Conv2d', std=0.01)``. None keeps PyTorch's default for a
            convolution; so do the published models, because mmpretrain's own ``init_cfg`` names
            a linear layer, which its head does not have. The length of the vectors leaves the
            logits as they are but scales the step that the optimiser makes.

    Raises:
        ValueError: An argument is out of range, or two contradict each other.

    Example:
        >>> head = ResidualAttentionHead(num_classes=7, in_channels=576, lam=0.1, num_heads=2)
        >>> head((torch.rand(3, 576, 12, 12),)).shape
        torch.Size([3, 7])
    """

    describable = True  # see realmnet/deployment/network_classes.py
    temperature_settings: ClassVar[dict[int, tuple[float, ...]]] = {
        1: (1,),
        2: (1, 99),
        4: (1, 2, 4, 99),
        6: (1, 2, 3, 4, 5, 99),
        8: (1, 2, 3, 4, 5, 6, 7, 99),
    }
    eps = 1e-12
    """Least length of a class vector, so that a vector of zeros scores 0 and not NaN."""

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        lam: float,
        num_heads: int | None = None,
        temperatures: Sequence[float] | None = None,
        loss: dict | nn.Module | None = None,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if loss is None:
            loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
        super().__init__(loss=loss, thr=thr, topk=topk, init_cfg=init_cfg)
        if num_classes < 1 or in_channels < 1:
            raise ValueError(
                f'num_classes and in_channels must be positive, got {num_classes}, {in_channels}'
            )
        if not (0 <= lam < math.inf):
            raise ValueError(f'lam must not be negative, got {lam}')
        if (num_heads is None) == (temperatures is None):
            raise ValueError('give either num_heads or temperatures')
        if temperatures is None:
            if num_heads not in self.temperature_settings:
                raise ValueError(
                    f'num_heads must be one of {list(self.temperature_settings)}, '
                    f'got {num_heads}; for others give temperatures'
                )
            temperatures = self.temperature_settings[num_heads]
        if not temperatures or not all(t > 0 for t in temperatures):
            raise ValueError(f'temperatures must be positive, got {list(temperatures)}')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.lam = lam
        self.temperatures = tuple(temperatures)
        self.csra_heads = nn.ModuleList(
            nn.ModuleDict({'head': nn.Conv2d(in_channels, num_classes, 1, bias=False)})
            for _ in self.temperatures
        )

    def score_maps(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Score of every class at every location, before pooling.

        ``score_maps(feats)[n, h, i, y, x]`` is the scalar product of head h's unit-length vector
        of class i with the features at (y, x): a logit-like number without bound or sign. The
        heads differ in their vectors; :func:`residual_attention` of these maps is the logit.

        Args:
            feats: Features of the backbone, of which the last ``(N, D, h, w)`` counts.

        Returns:
            ``(N, H, C, h, w)``, float32 at least.

        Raises:
            ValueError: The features are not a map of ``in_channels`` channels.
        """
        x = self.pre_logits(feats)
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f'expected features (N, {self.in_channels}, h, w), got {tuple(x.shape)}: set '
                "in_channels to the backbone's and gap_before_final_norm=False"
            )
        with _full_precision(x.device.type):
            weight = torch.cat([branch['head'].weight for branch in self.csra_heads])
            dtype = torch.promote_types(torch.promote_types(x.dtype, weight.dtype), torch.float32)
            weight = F.normalize(weight.flatten(1).to(dtype), dim=1, eps=self.eps)
            scores = weight @ x.to(dtype).flatten(2)
        shape = (len(self.temperatures), self.num_classes)
        return scores.unflatten(1, shape).unflatten(-1, x.shape[2:])

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Compute logits ``(N, C)`` of features ``(..., (N, D, h, w))``."""
        scores = self.score_maps(feats).flatten(3)
        with _full_precision(scores.device.type):
            return residual_attention(scores, self.temperatures, self.lam)


def _full_precision(device_type: str) -> AbstractContextManager:
    """Leave autocast, if it is on."""
    if torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
