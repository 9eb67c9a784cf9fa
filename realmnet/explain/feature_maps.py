"""Finding the layers of a backbone that hold feature maps, and bringing these into one layout."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from realmnet.errors import InputError

#: What to do for a backbone whose maps are not found.
NAME_LAYERS = (
    "name the layers in the config, such as explain=dict(layers=['backbone.layer4']), by the names "
    'of model.named_modules()'
)


def candidate_layers(backbone: nn.Module) -> list[nn.Module]:
    """Layers of the paper's families whose output is a map of features, from fine to coarse.

    The last layer of each stage before the picture is halved again; where the head sees normalised
    maps, the norm too. In a plain transformer (DeiT) the last layer that still passes information
    from the patches to the class token, which is the norm before the last attention. The figures of
    localisation were measured with these; other backbones are looked through by
    :func:`find_layers`.

    Args:
        backbone: Any; known are RealMTinyViT, and ConvNeXt, EfficientNet, SwinTransformer and
            VisionTransformer of mmpretrain and what derives from them.

    Returns:
        The layers in the order of the forward pass; none if the backbone is of another family.
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
    return []


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
    # of patches whose side is no power of 2, such as 14
    others = [(-(-height // s), -(-width // s)) for s in range(3, 64)]

    def to_map(x: Tensor) -> Tensor:
        if x.dim() == 3:
            x = x[:, extra_tokens:]
            grid = next((g for g in (*grids, *others) if g[0] * g[1] == x.shape[1]), None)
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
    model: nn.Module,
    picture: Tensor,
    strides: Sequence[int] | None = None,
    names: Sequence[str] = (),
) -> tuple[dict[int, nn.Module], Callable[[Tensor], Tensor]]:
    """Choose the deepest layer at each stride, from one forward pass.

    Args:
        model: Classifier with a ``backbone``.
        picture: One picture ``(1, 3, H, W)``.
        strides: Pixels of the picture that a cell of the map spans, such as (4, 32). None takes
            4, where the backbone has it, and the coarsest.
        names: Names of the layers to choose from, as ``model.named_modules()`` gives them. None
            takes those of :func:`candidate_layers`, and of other backbones :func:`find_layers`.

    Returns:
        The layers by stride, and the function that brings their outputs to ``(N, D, h, w)``.

    Raises:
        InputError: If the backbone has no map at a stride, or none at all, or a name is that of no
            layer, or of one without a map.
    """
    backbone = model.backbone
    to_map = map_layout(picture.shape[-2:], _extra_tokens(backbone))
    if names:
        candidates = [_named(model, name) for name in names]
    else:
        candidates = candidate_layers(backbone) or find_layers(backbone, picture, to_map)
    found: dict[int, nn.Module] = {}

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        found[_stride(picture, _as_map(output, to_map))] = layer

    handles = [layer.register_forward_hook(note) for layer in candidates]
    try:
        with torch.no_grad():
            backbone(picture)
    finally:
        for handle in handles:
            handle.remove()
    if 0 in found or not found:
        raise InputError(
            f'{" ".join(names) or type(backbone).__name__}: no map of features is there, for a '
            f'picture of {picture.shape[-2]} px; {NAME_LAYERS}'
        )
    if strides is None:
        strides = sorted({4, max(found)} & found.keys())
    unknown = [stride for stride in strides if stride not in found]
    if unknown:
        raise InputError(
            f'{type(backbone).__name__} has no feature map of stride {unknown[0]} for a '
            f'picture of {picture.shape[-2]} px: choose from {sorted(found)}'
        )
    return {stride: found[stride] for stride in strides}, to_map


def find_layers(
    backbone: nn.Module, picture: Tensor, to_map: Callable[[Tensor], Tensor]
) -> list[nn.Module]:
    """Find the layers of any backbone whose output is a map of features, or the tokens of one.

    Every module is watched in one forward pass of noise, and the gradient of what the backbone
    gives is sent back to it. Of each stride the last module counts that what the backbone gives
    depends on everywhere: the patches after a transformer's last attention do not count, for only
    the class token is used, nor do layers inside a module that halves the map. Modules that are
    called more than once are left out, for their maps would be mixed up.

    Args:
        backbone: Any.
        picture: Gives size and device, ``(1, 3, H, W)``; its content does not matter.
        to_map: From :func:`map_layout`.

    Returns:
        One layer a stride, from fine to coarse; none if nothing is found.
    """
    calls: dict[nn.Module, list[Any]] = {}
    wave = torch.linspace(-1, 1, picture[:1].numel(), device=picture.device)
    noise = (wave * 1e4).sin().reshape(picture[:1].shape).to(picture.dtype).requires_grad_()
    modes = {module: module.training for module in backbone.modules()}

    def note(layer: nn.Module, _: object, output: object) -> None:
        calls.setdefault(layer, []).append(output)

    handles = [module.register_forward_hook(note) for module in modes if module is not backbone]
    try:
        for module in modes:
            module.training = False
        with torch.enable_grad():
            given = [x for x in tree_leaves(backbone(noise)) if isinstance(x, Tensor)]
            # with weights, for the sum of what a norm gives is the same whatever goes in
            total = sum(
                (x * torch.arange(x.numel(), device=x.device).cos().view_as(x)).sum() for x in given
            )
            maps = {}
            for layer, outputs in calls.items():
                mapped = _as_map(outputs[0], to_map) if len(outputs) == 1 else None
                # a map of one place is a mean over all
                if mapped is not None and mapped.shape[-2] > 1 and outputs[0].requires_grad:
                    maps[layer] = (outputs[0], _stride(picture, mapped), mapped.shape[1])
            grads = (
                torch.autograd.grad(
                    total, [output for output, _, _ in maps.values()], allow_unused=True
                )
                if maps
                else ()
            )
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    seen = {
        layer: (stride, width, grad is not None and bool(to_map(grad).any()))
        for (layer, (_, stride, width)), grad in zip(maps.items(), grads, strict=True)
    }
    order = {layer: place for place, layer in enumerate(calls)}  # of the end of each call
    strides = sorted({stride for stride, _, _ in seen.values() if stride})
    layers = [_last(backbone, stride, None, seen, order) for stride in strides]
    return [layer for layer in layers if layer is not None]


def _last(
    module: nn.Module,
    stride: int,
    width: int | None,
    seen: dict[nn.Module, tuple[int, int, bool]],
    order: dict[nn.Module, int],
) -> nn.Module | None:
    """Last layer inside a module with a map of a stride, of so many channels, that is used."""
    for child in sorted(_called(module, order), key=order.__getitem__, reverse=True):
        found, channels, used = seen.get(child, (0, 0, False))
        if found == stride and used and width in (None, channels):
            return child
        # What is inside a layer that halves the map belongs to the next stage.
        if found in (0, stride) or isinstance(child, nn.Sequential):
            inside = channels if found == stride else None
            layer = _last(child, stride, inside or width, seen, order)
            if layer is not None:
                return layer
    return None


def _called(module: nn.Module, order: dict[nn.Module, int]) -> Iterator[nn.Module]:
    """Modules that are called, directly below one; a list of modules is looked through."""
    for child in module.children():
        if child in order:
            yield child
        else:
            yield from _called(child, order)


def _as_map(output: object, to_map: Callable[[Tensor], Tensor]) -> Tensor | None:
    """Return a layer's output as ``(N, D, h, w)``, None if it is no map."""
    if not isinstance(output, Tensor) or output.dim() not in (3, 4):
        return None
    try:
        return to_map(output)
    except InputError:
        return None


def _stride(picture: Tensor, mapped: Tensor | None) -> int:
    """Pixels that a cell of a map spans; 0 if there is no map, or one of another shape."""
    if mapped is None:
        return 0
    height, width = mapped.shape[-2:]
    stride = round(picture.shape[-2] / height)
    return stride if height > 1 and round(picture.shape[-1] / width) == stride else 0


def _extra_tokens(backbone: nn.Module) -> int:
    """Count the tokens before those of the patches, as mmpretrain or timm says it."""
    for module in backbone.modules():
        for name in ('num_extra_tokens', 'num_prefix_tokens'):
            if isinstance(getattr(module, name, None), int):
                return getattr(module, name)
    return 0


def _named(model: nn.Module, name: str) -> nn.Module:
    modules = dict(model.named_modules())
    if name not in modules:
        near = difflib.get_close_matches(name, modules, 3)
        hint = f'; did you mean {" or ".join(near)}?' if near else ''
        raise InputError(f'explain.layers: the model has no layer {name!r}{hint}')
    return modules[name]
