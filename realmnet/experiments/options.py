"""Dotted keys of a config: setting them only where they exist, and with a value of their type."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import EpochBasedTrainLoop
from mmpretrain import registry as registries
from torch.utils.data import DataLoader

import realmnet.plugin  # noqa: F401 (registers the classes)
from realmnet.errors import InputError

_NOTHING = object()


def set_options(cfg: Config, options: Mapping[str, Any], place: str) -> None:
    """Set dotted keys of ``cfg``, in place.

    A key must be in the config already, or be an argument of the registered class whose ``type``
    stands beside it. The value must have the type of what it replaces; whole and decimal numbers
    are of one type, and None is of every type. A dictionary with ``_delete_=True`` replaces.

    Args:
        cfg: The config.
        options: Dotted keys and values, set one after the other.
        place: How messages name the source of the options.

    Raises:
        InputError: If a key is unknown or a value of another type.

    Example:
        >>> cfg = Config(dict(model=dict(head=dict(lam=1.2))))
        >>> set_options(cfg, {'model.head.lam': 1}, 'example')
        >>> cfg.model.head.lam
        1
    """
    for key, value in options.items():
        check_options(cfg, {key: value}, place)
        cfg.merge_from_dict(nested({key: value}))


def check_options(cfg: Config, options: Mapping[str, Any], place: str) -> None:
    """Check dotted keys and their values, as :func:`set_options` does, and change nothing.

    Raises:
        InputError: If a key is unknown or a value of another type.
    """
    content = cfg.to_dict()
    for key, value in options.items():
        _check(content, key, value, place)


def nested(options: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as dictionaries inside one another.

    Example:
        >>> nested({'a.b': 1, 'a.c': 2})
        {'a': {'b': 1, 'c': 2}}
    """
    result: dict[str, Any] = {}
    for dotted, value in options.items():
        *parents, last = dotted.split('.')
        node = result
        for part in parents:
            node = node.setdefault(part, {})
        old = node.get(last)
        both = isinstance(old, dict) and isinstance(value, Mapping) and '_delete_' not in value
        node[last] = (
            {**old, **value} if both else (dict(value) if isinstance(value, Mapping) else value)
        )
    return result


def _check(content: Mapping, dotted: str, value: Any, place: str) -> None:
    node: Any = content
    *parents, last = dotted.split('.')
    for i, part in enumerate(parents):
        known = list(node) if isinstance(node, Mapping) else []
        if part not in known:
            _unknown(place, dotted, part, '.'.join(parents[:i]), known)
        node = node[part]
    if not isinstance(node, Mapping):
        raise InputError(f'{place}: {dotted} goes through {parents[-1]!r}, which is no dictionary')
    arguments = _arguments(_type_of(node, parents))
    if last not in node and last not in arguments:
        _unknown(place, dotted, last, '.'.join(parents), [*node, *arguments])
    old = node[last] if last in node else arguments[last]
    if old is not _NOTHING and not _same_type(old, value):
        raise InputError(
            f'{place}: {dotted} is a {type(old).__name__} ({old!r}), got {value!r} '
            f'({type(value).__name__})'
        )
    if last == 'type' and isinstance(value, str) and not _find(value):
        raise InputError(f'{place}: {dotted}: {value!r} is not a registered class')
    if isinstance(value, Mapping):
        _check_inside(content, dotted, old, value, place)


def _check_inside(content: Mapping, dotted: str, old: Any, value: Mapping, place: str) -> None:
    if isinstance(value.get('type'), str) and not _find(value['type']):
        raise InputError(f'{place}: {dotted}.type: {value["type"]!r} is not a registered class')
    if not value.get('_delete_') and isinstance(old, Mapping) and 'type' not in value:
        for key, inner in value.items():
            _check(content, f'{dotted}.{key}', inner, place)
    elif 'type' in value:
        known = _arguments(value['type'])
        for key in value:
            if key not in known and key not in ('type', '_delete_', '_scope_'):
                _unknown(place, f'{dotted}.{key}', key, value['type'], list(known))


# What stands without a `type` in a config, and whose arguments it takes.
_IMPLIED = {
    'optim_wrapper': OptimWrapper,
    'train_cfg': EpochBasedTrainLoop,
    'train_dataloader': DataLoader,
    'val_dataloader': DataLoader,
    'test_dataloader': DataLoader,
}


def _type_of(node: Mapping, parents: list[str]) -> object:
    implied = _IMPLIED.get(parents[0]) if len(parents) == 1 else None
    return node.get('type') or implied


def _unknown(place: str, dotted: str, part: str, parent: str, known: list[str]) -> None:
    known = list(dict.fromkeys(known))
    near = difflib.get_close_matches(part, known, 3)
    hint = f'there are {", ".join(known)}' if known else 'it is no dictionary'
    hint = f'did you mean {" or ".join(near)}?' if near else hint
    where = f'{parent} has no {part!r}' if parent else f'the config has no {part!r}'
    raise InputError(f'{place}: unknown key {dotted!r}: {where}; {hint}')


def _find(name: str) -> type | None:
    """Look a class up among the registered ones; ``Registry.get`` would import what it is told."""
    for registry in vars(registries).values():
        while isinstance(registry, Registry):
            if name in registry.module_dict:
                return registry.module_dict[name]
            registry = registry.parent
    return None


def _arguments(kind: object) -> dict[str, Any]:
    """Arguments of a (registered) class with their defaults, those of its parents included."""
    found = _find(kind) if isinstance(kind, str) else kind
    arguments: dict[str, Any] = {}
    for cls in getattr(found, '__mro__', ()):
        for parameter in inspect.signature(cls.__init__).parameters.values():
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                default = parameter.default
                empty = default is parameter.empty
                arguments.setdefault(parameter.name, _NOTHING if empty else default)
    arguments.pop('self', None)
    return arguments


def _same_type(old: Any, new: Any) -> bool:
    if old is None or new is None:
        return True
    for kind in (bool, (int, float), str, (list, tuple), Mapping):
        if isinstance(old, kind) or isinstance(new, kind):
            return isinstance(old, kind) and isinstance(new, kind)
    return True
