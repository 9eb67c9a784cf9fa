"""Dotted keys of a config: setting them only where they exist, and with a value of their type."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from mmpretrain import registry as registries

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
        _check(cfg, key, value, place)
        cfg.merge_from_dict(nested({key: value}))


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


def _check(cfg: Config, dotted: str, value: Any, place: str) -> None:
    node: Any = cfg.to_dict()
    *parents, last = dotted.split('.')
    for i, part in enumerate(parents):
        known = list(node) if isinstance(node, Mapping) else []
        if part not in known:
            _unknown(place, dotted, part, '.'.join(parents[:i]), known)
        node = node[part]
    if not isinstance(node, Mapping):
        raise InputError(f'{place}: {dotted} goes through {parents[-1]!r}, which is no dictionary')
    arguments = _arguments(node.get('type'))
    if last not in node and last not in arguments:
        _unknown(place, dotted, last, '.'.join(parents), [*node, *arguments])
    old = node[last] if last in node else arguments[last]
    if old is not _NOTHING and not _same_type(old, value):
        raise InputError(
            f'{place}: {dotted} is a {type(old).__name__} ({old!r}), got {value!r} '
            f'({type(value).__name__})'
        )


def _unknown(place: str, dotted: str, part: str, parent: str, known: list[str]) -> None:
    near = difflib.get_close_matches(part, known, 3)
    hint = f'did you mean {" or ".join(near)}?' if near else f'there are {", ".join(known)}'
    where = f'{parent} has no {part!r}' if parent else f'the config has no {part!r}'
    raise InputError(f'{place}: unknown key {dotted!r}: {where}; {hint}')


def _arguments(name: object) -> dict[str, Any]:
    """Arguments of a registered class with their defaults, those of its parents included."""
    if not isinstance(name, str):
        return {}
    found = None
    for registry in vars(registries).values():
        if isinstance(registry, Registry) and found is None:
            found = registry.get(name)
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
