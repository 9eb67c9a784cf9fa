"""The classes that a description may build, and the arguments that each of them takes."""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Iterator
from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

import realmnet.models  # noqa: F401 (registers its classes)
from realmnet.deployment.network_rules import MMPRETRAIN, check_network, unknown_class
from realmnet.engine.signatures import takes
from realmnet.errors import InputError

#: Layers and parts of layers; the largest networks of the list have about 3000.
MOST_MODULES = 10_000
#: Numbers in one map of features, 4 GiB.
MOST_NUMBERS = 2**30


def check_classes(network: Any) -> None:
    """Check that a network's classes may be built with its arguments; nothing is built.

    A class of mmpretrain is on the list of
    :data:`realmnet.deployment.network_rules.MMPRETRAIN`. Any other registered class says
    ``describable = True`` in its own body, and thereby that its constructor opens, imports and
    fetches nothing, whatever words and numbers it is given. Where it hands ``**options`` on, it
    lists those that may be described in ``described_options``.

    Text is allowed only where the constructor has text by default, or nothing: elsewhere it would
    be looked up.

    Args:
        network: The configuration, checked by :func:`check_network` first.

    Raises:
        InputError: If it has a class or an argument that it may not have.

    Example:
        >>> check_classes({'type': 'ImageClassifier', 'backbone': {'type': 'MyNet'},
        ...                'head': {'type': 'CSRAClsHead'}})    # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        realmnet.errors.InputError: network.backbone.type is 'MyNet', expected one of ...
    """
    check_network(network)
    for part in MMPRETRAIN:
        if network.get(part) is None:
            continue
        content = dict(network[part])
        name = content.pop('type')
        kind = _class_of(part, name)
        arguments = takes(kind)
        names = {*arguments, *vars(kind).get('described_options', ())}
        for key, value in content.items():
            if key not in names:
                allowed = sorted(names - {'init_cfg', 'loss'})
                raise InputError(
                    f'network.{part} may not hold {reprlib.repr(key)}; {name} may have {allowed}'
                )
            if type(value) is str and not _takes_text(arguments.get(key)):
                raise InputError(
                    f'network.{part}.{key} is {reprlib.repr(value)}, expected no text there'
                )


def _class_of(part: str, name: str) -> type:
    kind = MODELS.module_dict.get(name)  # MODELS.get would import what it is told
    listed = name in MMPRETRAIN[part] and kind is not None
    if not listed and not (isinstance(kind, type) and vars(kind).get('describable') is True):
        raise unknown_class(part, name, registered=kind is not None)
    return kind


def _takes_text(parameter: Any) -> bool:
    return parameter is not None and (
        parameter.default is parameter.empty or isinstance(parameter.default, str)
    )


@contextlib.contextmanager
def few_modules() -> Iterator[None]:
    """Stop the building of a network that has more than :data:`MOST_MODULES` parts.

    Raises:
        ValueError: If it has.
    """
    number = 0

    def count(*_: Any) -> None:
        nonlocal number
        number += 1
        if number > MOST_MODULES:
            raise ValueError(f'it has more than {MOST_MODULES:,} layers')

    hook = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


class SmallMaps(TorchDispatchMode):
    """Stop a computation, on the ``meta`` device, that makes more than :data:`MOST_NUMBERS`."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        """Compute, and look at the sizes."""
        result = func(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, torch.Tensor) and value.numel() > MOST_NUMBERS:
                raise ValueError(f'it makes {value.numel():,} numbers at once')
        return result


def try_on_shapes(network: nn.Module, size: int) -> tuple[int, ...]:
    """Run a network on the ``meta`` device and return the shape of what one picture gives."""
    with SmallMaps(), torch.no_grad():
        picture = torch.empty(1, 3, size, size, device='meta')
        return tuple(network(picture, mode='tensor').shape)
