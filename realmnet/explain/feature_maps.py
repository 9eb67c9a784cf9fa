"""Finding the layers of a backbone that hold feature maps, and bringing these into one layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from realmnet.errors import InputError


def candidate_layers(backbone: nn.Module) -> list[nn.Module]:
    """Layers whose output is a map of features or the tokens of one, from fine to coarse.

    The last layer of each stage before the picture is halved again; where the head sees normalised
    maps, the norm too. In a plain transformer (DeiT) the last layer that still passes information
    from the patches to the class token, which is the norm before the last attention.

    Args:
        backbone: RealMTinyViT, or ConvNeXt, EfficientNet, SwinTransformer or VisionTransformer of
            mmpretrain and what derives from them.

    Returns:
        The layers in the order of the forward pass.

    Raises:
        InputError: If the backbone is of another kind.
    """
    kinds = {kind.__name__ for kind in type(backbone).__mro__}
    if 'VisionTransformer' in kinds:
        return [backbone.layers[-1].ln1]
    if 'EfficientNet' in kinds:
        return list(backbone.layers)
    if 'ConvNeXt' in kinds:
        return list(backbone.stages)
    if kinds & {'RealMTinyViT', 'SwinTransformer'}:
        layers = [stage.blocks[-1] for stage in backbone.stages]
        last = getattr(backbone, f'norm{len(layers) - 1}', None)
        # Of the averaged features there is no map to take.
        averaged = getattr(backbone, 'gap_before_final_norm', False)
        return layers if last is None or averaged else [*layers, last]
    raise InputError(
        f'no feature maps are known for the backbone {type(backbone).__name__}: name its layers '
        'in realmnet/explain/feature_maps.py'
    )


def map_layout(side: Sequence[int], extra_tokens: int = 0) -> Callable[[Tensor], Tensor]:
    """Make the function that brings a layer's output to ``(N, D, h, w)``.

    Args:
        side: Height and width of the picture in pixels.
        extra_tokens: Tokens before those of the patches (class, distillation).

    Returns:
        A function of maps ``(N, D, h, w)`` or ``(N, h, w, D)`` and of tokens ``(N, L, D)``.

    Example:
        >>> map_layout((64, 128), extra_tokens=2)(torch.zeros(1, 2 + 4 * 8, 5)).shape
        torch.Size([1, 5, 4, 8])
    """
    height, width = side
    grids = [(-(-height // s), -(-width // s)) for s in (1, 2, 4, 8, 16, 32, 64)]

    def to_map(x: Tensor) -> Tensor:
        if x.dim() == 3:
            x = x[:, extra_tokens:]
            grid = next((g for g in grids if g[0] * g[1] == x.shape[1]), None)
            if grid is None:
                raise InputError(
                    f'{x.shape[1]} tokens do not cover a picture of {height} x {width} px evenly'
                )
            return x.transpose(1, 2).unflatten(-1, grid)
        if tuple(x.shape[2:]) not in grids and tuple(x.shape[1:3]) in grids:
            return x.permute(0, 3, 1, 2)
        return x

    return to_map


def layers_at(
    model: nn.Module, picture: Tensor, strides: Sequence[int] | None = None
) -> tuple[dict[int, nn.Module], Callable[[Tensor], Tensor]]:
    """Choose the deepest layer at each stride, from one forward pass.

    Args:
        model: Classifier with a ``backbone``.
        picture: One picture ``(1, 3, H, W)``.
        strides: Pixels of the picture that a cell of the map spans, such as (4, 32). None takes
            4, where the backbone has it, and the coarsest.

    Returns:
        The layers by stride, and the function that brings their outputs to ``(N, D, h, w)``.

    Raises:
        InputError: If the backbone has no map at a stride.
    """
    extra = getattr(model.backbone, 'num_extra_tokens', 0)
    to_map = map_layout(picture.shape[-2:], extra)
    found: dict[int, nn.Module] = {}

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        stride = round(picture.shape[-2] / to_map(output).shape[-2])
        found[stride] = layer

    handles = [layer.register_forward_hook(note) for layer in candidate_layers(model.backbone)]
    try:
        with torch.no_grad():
            model.backbone(picture)
    finally:
        for handle in handles:
            handle.remove()
    if strides is None:
        strides = sorted({4, max(found)} & found.keys())
    unknown = [stride for stride in strides if stride not in found]
    if unknown:
        raise InputError(
            f'{type(model.backbone).__name__} has no feature map of stride {unknown[0]} for a '
            f'picture of {picture.shape[-2]} px: choose from {sorted(found)}'
        )
    return {stride: found[stride] for stride in strides}, to_map
