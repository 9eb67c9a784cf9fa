"""Size and cost of a model, counted without memory for its weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from realmnet.errors import InputError

# Transforms that set the size of a picture, and the argument that says it.
_SIZES = {'Resize': 'scale', 'CenterCrop': 'crop_size', 'Pad': 'size'}


@dataclass(frozen=True)
class Complexity:
    """What one picture costs.

    Attributes:
        side: Side of the picture in pixels.
        parameters: Number of parameters.
        multiply_adds: Of one forward pass of one picture; see :func:`count`.
    """

    side: int
    parameters: int
    multiply_adds: int


class _LinspaceWithValues(TorchFunctionMode):
    """Keep ``torch.linspace`` on the CPU: backbones read their drop-path rates from it."""

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence[type],
        args: tuple = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault('device', 'cpu')
        return func(*args, **kwargs)


def build_without_memory(model: Mapping) -> nn.Module:
    """Build a model of which only names and shapes exist (on the ``meta`` device).

    Args:
        model: The ``model`` of a config.
    """
    with torch.device('meta'), _LinspaceWithValues():
        return MODELS.build(model)


def count(model: nn.Module, side: int) -> Complexity:
    """Count parameters and multiply-adds.

    A multiply-add counts once (half of torch's FLOPs). Matrix products, attention's included, and
    convolutions count; norms, activations, poolings and sums do not. No value is computed.

    Args:
        model: A classifier on the ``meta`` device.
        side: Side of the picture in pixels.

    Example:
        >>> layer = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False, device='meta')
        >>> count(layer, 10).multiply_adds == 10 * 10 * 3 * 8 * 9
        True
    """
    picture = torch.empty(1, 3, side, side, device='meta')
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(picture)
    parameters = sum(p.numel() for p in model.parameters())
    return Complexity(side, parameters, counter.get_total_flops() // 2)


def input_side(cfg: Config, default: int | None = None) -> int:
    """Side of the pictures that a config's model is tested on.

    That is what the last transform of the test pipeline that sets a size says, and without one the
    backbone's ``img_size``.

    Args:
        cfg: The config.
        default: What to return where neither is there.

    Raises:
        InputError: If neither is there, and there is no default.
    """
    loader = cfg.get('test_dataloader') or {}
    for transform in reversed(loader.get('dataset', {}).get('pipeline', [])):
        size = transform.get(_SIZES.get(transform['type'], ''))
        if size is not None:
            return size if isinstance(size, int) else size[0]
    size = cfg.get('model', {}).get('backbone', {}).get('img_size') or default
    if size is None:
        raise InputError(
            f'{cfg.filename}: the input size is unknown; expected a Resize in the pipeline of '
            'test_dataloader, or model.backbone.img_size, as the configs of configs/ have them'
        )
    return size if isinstance(size, int) else size[0]


def complexity(cfg: Config) -> Complexity:
    """Count parameters and multiply-adds of the model of a config; nothing is loaded.

    Args:
        cfg: The config.

    Raises:
        InputError: If the config has no model or its input size is unknown.

    Example:
        >>> from realmnet.engine.config import load_config
        >>> cfg = load_config('configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py')
        >>> complexity(cfg).parameters
        20661552
    """
    side = input_side(cfg)
    if cfg.get('model') is None:
        raise InputError(f'{cfg.filename}: there is no model in this config')
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    return count(build_without_memory(cfg.model), side)
