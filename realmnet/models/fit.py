"""Whether the parts of a classifier fit together, known before anything is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from realmnet.errors import InputError

_POOLING = "neck=dict(type='GlobalAveragePooling')"


def check_fit(model: nn.Module, side: int, place: str = 'model') -> None:
    """Check that the head takes what backbone and neck give, from shapes alone.

    One picture goes through the model on the ``meta`` device, so that nothing is computed; one
    that cannot be run there is tried with a black picture. A model without ``backbone`` and
    ``head`` is passed by.

    Args:
        model: mmpretrain's ``ImageClassifier``; its parameters and its mode stay as they are.
        side: Side of the picture in pixels.
        place: How messages name the model.

    Raises:
        InputError: If the head's ``in_channels`` is another number than that of the features, it
            needs features of the whole picture and gets maps, or the other way round.

    Example:
        >>> from mmpretrain.models import ImageClassifier
        >>> head = dict(type='MultiLabelLinearClsHead', num_classes=3, in_channels=512)
        >>> model = ImageClassifier(dict(type='ResNet', depth=18), head=head)
        >>> check_fit(model, 64)   # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        realmnet.errors.InputError: ...add neck=dict(type='GlobalAveragePooling') to model
    """
    head = getattr(model, 'head', None)
    if head is None or getattr(model, 'backbone', None) is None:
        return
    features, shape = _run(model, head, side, 'meta')
    if features is None:
        features, shape = _run(model, head, side, None)
    if features is None:
        return
    backbone = type(model.backbone).__name__
    neck = getattr(model, 'neck', None)
    given = f'the backbone {backbone} gives'
    if neck is not None:
        given = f'the backbone {backbone} and the neck {type(neck).__name__} give'
    channels = features.shape[-1] if features.dim() == 3 else features.shape[1]
    wanted = getattr(head, 'in_channels', None)
    if isinstance(wanted, int) and wanted != channels:
        raise InputError(
            f'{place}.head.in_channels is {wanted}, but {given} {channels} channels '
            f'(pictures of {side} px); set {place}.head.in_channels={channels}'
        )
    if shape is not None and len(shape) == 2 and shape[0] == 1:
        return
    name = type(head).__name__
    if features.dim() > 2:
        raise InputError(
            f'{place}.head {name} takes one row of features a picture, but {given} '
            f'{tuple(features.shape[1:])}; add {_POOLING} to {place}'
        )
    raise InputError(
        f'{place}.head {name} takes a map of features, but {given} {channels} '
        f'features without places; take the neck out, or let the backbone give maps '
        "(gap_before_final_norm=False, out_type='featmap')"
    )


def _run(
    model: nn.Module, head: nn.Module, side: int, device: str | None
) -> tuple[Tensor | None, tuple[int, ...] | None]:
    """Last features that the head gets, and the shape that it gives; None what is not known.

    Without a device the model is run where it is.
    """
    seen: list[Any] = []
    tensors = {
        name: value.to(device or value.device)
        for name, value in (*model.named_parameters(), *model.named_buffers())
    }
    place = torch.device(device or next(model.parameters()).device)
    modes = {module: module.training for module in model.modules()}
    handle = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    shape = None
    try:
        model.eval()
        picture = torch.zeros(1, 3, side, side, device=place)
        with torch.no_grad(), place:
            shape = tuple(functional_call(model, tensors, (picture,), {'mode': 'tensor'}).shape)
    except Exception:  # noqa: S110 (a head raises whatever wrong features make it raise)
        pass
    finally:
        handle.remove()
        for module, mode in modes.items():
            module.training = mode
    last = seen[-1] if seen else None
    while isinstance(last, tuple | list) and last:
        last = last[-1]
    return (last if isinstance(last, Tensor) else None), shape
