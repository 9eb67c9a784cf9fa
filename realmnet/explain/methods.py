"""Heat maps of single classes: Grad-CAM++ and its relatives, and the head's own attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmpretrain.models import BaseClassifier
from pytorch_grad_cam import (
    EigenGradCAM,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    LayerCAM,
    XGradCAM,
)
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F

from realmnet.errors import InputError
from realmnet.explain.feature_maps import layers_at
from realmnet.models.heads import ResidualAttentionHead
from realmnet.models.heads.residual_attention_head import MAX_POOLING

GRADIENT_METHODS = {
    'gradcam': GradCAM,
    'gradcam++': GradCAMPlusPlus,
    'layercam': LayerCAM,
    'hirescam': HiResCAM,
    'xgradcam': XGradCAM,
    'eigengradcam': EigenGradCAM,
}
ATTENTION = 'attention'
METHODS = (*GRADIENT_METHODS, ATTENTION)


def attention_map(scores: Tensor, temperatures: Sequence[float], lam: float) -> Tensor:
    r"""Split the logits of residual attention into what each location adds.

    .. math:: m_i(p) = \sum_h \Big( \frac{1}{S}
        + \lambda \, \mathrm{softmax}(T_h s_{hi})(p) \Big) \, s_{hi}(p)

    with the attention all at the highest place for a head that takes the maximum. The sum over the
    locations is the logit that :class:`ResidualAttentionHead` gives.

    Args:
        scores: ``(N, H, C, h, w)``, the head's ``score_maps``.
        temperatures: One a head; 99 and infinity take the maximum.
        lam: Weight of the attention term.

    Returns:
        ``(N, C, h, w)``, of any sign.

    Example:
        >>> scores = torch.tensor([2.0, 0.0]).reshape(1, 1, 1, 1, 2)
        >>> attention_map(scores, [99], lam=0.5).flatten().tolist()
        [2.0, 0.0]
    """
    flat = scores.flatten(3)
    total = 0
    for temperature, score in zip(temperatures, flat.unbind(1), strict=True):
        if temperature == MAX_POOLING or math.isinf(temperature):
            attention = F.one_hot(score.argmax(dim=-1), score.shape[-1])
        else:
            attention = F.softmax(temperature * score, dim=-1)
        total = total + (1 / score.shape[-1] + lam * attention) * score
    return total.unflatten(-1, scores.shape[-2:])


class Explainer:
    """Heat maps of the classes of a multi-label classifier.

    The gradient methods explain the logit of a class by the features of one or several layers.
    Each layer's map is cut off at 0, scaled to [0, 1] and enlarged; the mean over the layers is
    scaled again. The coarse features know the class, the fine ones the outline. Grad-CAM++ weighs
    fine features without regard to their place and sign: on synthetic pictures its map is hardly
    different from that of another class, where those of ``hirescam`` and ``attention`` are
    (tools/benchmarks/localisation.py measures it).

    ``attention`` takes no gradient: it is the positive part of :func:`attention_map`, of models
    with a :class:`ResidualAttentionHead`.

    Sources: Grad-CAM (https://arxiv.org/abs/1610.02391), Grad-CAM++
    (https://arxiv.org/abs/1710.11063; the paper's figure 5), LayerCAM (IEEE TIP 2021, which merges
    layers too), HiResCAM (https://arxiv.org/abs/2011.08891), XGrad-CAM
    (https://arxiv.org/abs/2008.02312), all through pytorch-grad-cam, and so is ``eigengradcam``:
    Eigen-CAM (https://arxiv.org/abs/2008.00299) of the gradients times the features. Eigen-CAM
    itself looks at the features alone, so that all classes would have one map: it is left out.
    CSRA (https://arxiv.org/abs/2108.02456).

    Args:
        model: Classifier whose ``model(inputs)`` are logits, as mmpretrain's ``ImageClassifier``.
            Its parameters, their gradients and its mode are as before after each call.
        method: One of :data:`METHODS`.
        strides: Pixels of the picture that a cell of the layers' maps spans, such as (4, 32). None
            takes 4, where the backbone has it, and the coarsest. Not for ``attention``.
        views: 1, or 8 to average the maps of the picture and its mirror image, each moved by a
            quarter of the coarsest stride in four directions. None is 8 for ``attention``, whose
            map is coarse, and 1 for the others.
        layers: Names of the layers whose maps may be taken, see
            :func:`realmnet.explain.feature_maps.layers_at`.

    Raises:
        InputError: An argument is none of these, or the model has no residual-attention head.

    Example:
        >>> explainer = Explainer(model, 'gradcam++')                           # doctest: +SKIP
        >>> explainer.maps(torch.rand(2, 3, 384, 384), classes=[1, 6]).shape    # doctest: +SKIP
        (2, 2, 384, 384)
    """

    def __init__(
        self,
        model: BaseClassifier,
        method: str = 'gradcam++',
        strides: Sequence[int] | None = None,
        views: int | None = None,
        layers: Sequence[str] = (),
    ) -> None:
        if method not in METHODS:
            same = 'eigencam is the same for all classes; ' if method == 'eigencam' else ''
            raise InputError(
                f'method {method!r} is unknown: {same}choose from {", ".join(METHODS)}'
            )
        if method == ATTENTION and not isinstance(model.head, ResidualAttentionHead):
            raise InputError(
                f'{ATTENTION} needs a model with a ResidualAttentionHead, this one has '
                f'{type(model.head).__name__}: choose from {", ".join(GRADIENT_METHODS)}'
            )
        if method == ATTENTION and strides is not None:
            raise InputError(f"{ATTENTION} is the head's own map: leave the strides out")
        if views not in (None, 1, 8):
            raise InputError(f'views must be 1 or 8, got {views}')
        self.model = model
        self.method = method
        self.strides = strides
        self.layers = tuple(layers)
        self.views = views or (8 if method == ATTENTION else 1)

    def maps(self, inputs: Tensor, classes: Sequence[int]) -> np.ndarray:
        """Compute the heat maps of some classes.

        Args:
            inputs: Pictures as the model takes them, after normalisation: ``(N, 3, H, W)``.
            classes: Indices of the classes.

        Returns:
            ``(N, C, H, W)``, float32 in [0, 1]. The hottest place of a map is 1; a map without any
            heat is 0.

        Raises:
            InputError: A class or a stride does not exist.
        """
        number = self.model.head.num_classes
        wrong = [c for c in classes if not 0 <= c < number]
        if wrong or not classes:
            raise InputError(f'classes must be in 0..{number - 1}, got {list(classes)}')
        compute = self._attention if self.method == ATTENTION else self._gradients
        with _for_explaining(self.model):
            if self.views == 1:
                return compute(inputs, classes)
            coarsest = max(layers_at(self.model, inputs[:1], names=self.layers)[0])
            return _scaled(_over_views(compute, inputs, classes, max(coarsest // 4, 1)))

    def _gradients(self, inputs: Tensor, classes: Sequence[int]) -> np.ndarray:
        layers, to_map = layers_at(self.model, inputs[:1], self.strides, self.layers)
        # Gradients have to reach layers whose parameters, and all before, have none.
        inputs = inputs.detach().clone().requires_grad_()
        cam = GRADIENT_METHODS[self.method](
            self.model, list(layers.values()), reshape_transform=to_map
        )
        try:
            maps = [cam(inputs, [ClassifierOutputTarget(c)] * len(inputs)) for c in classes]
        finally:
            cam.activations_and_grads.release()
        return _scaled(np.stack(maps, axis=1))

    @torch.no_grad()
    def _attention(self, inputs: Tensor, classes: Sequence[int]) -> np.ndarray:
        head = self.model.head
        scores = head.score_maps(self.model.extract_feat(inputs))[:, :, list(classes)]
        maps = attention_map(scores, head.temperatures, head.lam).clamp(min=0)
        size = inputs.shape[-2:]
        maps = F.interpolate(maps, size=size, mode='bilinear', align_corners=False)
        return _scaled(maps.cpu().numpy())


def _over_views(
    compute: Callable[[Tensor, Sequence[int]], np.ndarray],
    inputs: Tensor,
    classes: Sequence[int],
    reach: int,
) -> np.ndarray:
    """Sum of the maps of 8 views, each brought back to where the picture was."""
    total = 0
    for mirrored in (False, True):
        seen = inputs.flip(-1) if mirrored else inputs
        for down in (-reach, reach):
            for right in (-reach, reach):
                maps = compute(_moved(seen, down, right), classes)
                maps = _moved(torch.from_numpy(maps), -down, -right)
                total = total + (maps.flip(-1) if mirrored else maps).numpy()
    return total


def _moved(x: Tensor, down: int, right: int) -> Tensor:
    """Move pictures, with 0 (which is black or no heat) coming in."""
    x = F.pad(x, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))
    height, width = x.shape[-2] - abs(down), x.shape[-1] - abs(right)
    return x[..., max(-down, 0) : max(-down, 0) + height, max(-right, 0) : max(-right, 0) + width]


def _scaled(maps: np.ndarray) -> np.ndarray:
    """Take each map's least value off and divide by the largest."""
    maps = maps - maps.min(axis=(-2, -1), keepdims=True)
    highest = maps.max(axis=(-2, -1), keepdims=True)
    return (maps / np.where(highest > 0, highest, 1)).astype(np.float32)


@contextmanager
def _for_explaining(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients of parameters; everything is put back afterwards."""
    modes = {module: module.training for module in model.modules()}
    wanted = {param: (param.requires_grad, param.grad) for param in model.parameters()}
    model.eval()
    model.requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for param, (requires_grad, grad) in wanted.items():
            param.requires_grad_(requires_grad)
            param.grad = grad
