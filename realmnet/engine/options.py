"""Dotted keys of a config: setting them only where something reads them, with a fitting value.

``--cfg-options`` of every tool and the keys of sweeps go through :func:`set_options`.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import reprlib
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config, ConfigDict, DictAction

from realmnet.engine.old_names import today
from realmnet.engine.signatures import (
    NOTHING,
    Takes,
    added,
    admits,
    default,
    implied,
    is_free,
    is_nan,
    is_type_name,
    registered,
    registered_names,
    same_type,
    takes,
    top_level,
)
from realmnet.errors import InputError

_DID_YOU_MEAN = 0.6
_IS_A_SLIP = 0.85
_SHOWN = 16


_TOO_LATE = {
    'launcher': 'the tools take --launcher, and tools/dist_*.sh give it',
    'custom_imports': 'modules are imported when the config file is read; write it there',
}


class KeyValues(DictAction):
    """mmengine's ``key=value`` arguments, spaces inside values kept.

    Numbers, True, False and None are read as such, ``a,b`` and ``[a,b]`` as lists, and what has
    braces as Python's dictionaries of plain values.

    Attributes:
        words: The arguments as they were typed, to hand them on.
    """

    words: tuple[str, ...] = ()

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        """Parse and keep."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for word in values:
            key, equals, text = word.partition('=')
            if not equals or not key.strip():
                raise ArgumentError(self, f'{word!r}: expected key=value, without spaces around =')
            value = self._value(word, text)
            if key in options and options[key] != value:
                raise ArgumentError(self, f'{key} is given twice, {options[key]!r} and {value!r}')
            options[key] = value
        KeyValues.words = (*KeyValues.words, *values)
        setattr(namespace, self.dest, options)

    def _value(self, word: str, text: str) -> Any:
        text = text.strip()
        if '{' in text:
            try:
                return ast.literal_eval(text)
            except (ValueError, SyntaxError):
                raise ArgumentError(
                    self, f'{word!r}: cannot be read; a dictionary is key="{{\'name\': value}}"'
                ) from None
        if ',' not in text and not text.startswith(('[', '(')):
            return self._parse_int_float_bool(text.strip('\'"'))
        try:
            return self._parse_iterable(text)
        except AssertionError:
            raise ArgumentError(self, f'{word!r}: its brackets do not match') from None


def set_options(cfg: Config, options: Mapping[str, Any], place: str) -> None:
    """Set dotted keys of ``cfg``, in place.

    A key must be in the config already, or be an argument of what it goes to: of the registered
    class whose ``type`` stands beside it, or of what mmengine builds there without a ``type``.
    Numbers between dots count the entries of a list (``param_scheduler.0.begin``). The value
    must have the type of what it replaces or of the argument; whole and decimal numbers are of one
    type. A dictionary with ``_delete_=True`` replaces.

    A key that is a variable of the config file, which nothing reads once the file is read
    (``train_pipeline``), moves what it was used for: lists and dictionaries that equal it, and
    numbers and texts that equal it and have its name (``data_root`` of the datasets).

    Args:
        cfg: The config.
        options: Dotted keys and values, set one after the other.
        place: How messages name the source of the options.

    Raises:
        InputError: If a key is unknown, has another name today or would be read by nothing, or a
            value is of another type.

    Example:
        >>> cfg = Config(dict(model=dict(head=dict(lam=1.2))))
        >>> set_options(cfg, {'model.head.lam': 1}, 'example')
        >>> cfg.model.head.lam
        1
    """
    read = top_level()
    # Variables first: what is set in a certain place has the last word.
    for key in sorted(options, key=lambda key: key.split('.')[0] in read):
        value = options[key]
        _check(cfg.to_dict(), options, key, value, place)
        variable = key.split('.')[0]
        if variable in _TOO_LATE:
            raise InputError(f'{place}: {key} would have no effect: {_TOO_LATE[variable]}')
        before = cfg.get(variable)
        before = before.to_dict() if hasattr(before, 'to_dict') else before
        before = Config(dict(value=before)).to_dict()['value']
        _put(cfg, key, value)
        if variable not in read and not _move(cfg, variable, before):
            raise InputError(
                f'{place}: {key} is a variable of the config file that nothing reads afterwards, '
                'and what it was used for does not equal it; set the key where it is used, such as '
                f'{_where(cfg, variable) or "model..., train_dataloader..."}'
            )
    if options:
        try:
            check_config(cfg, place)
        except InputError as error:
            types = [key for key in options if key.endswith('.type')]
            types += ['train_cfg.by_epoch'] * ('train_cfg.by_epoch' in options)
            if not types:
                raise
            whole = types[0].rpartition('.')[0]
            raise InputError(
                f'{error}; to leave nothing of the old {whole}, give it as a whole, with '
                f'{whole}="{{\'_delete_\': True, ...}}"'
            ) from None


def check_config(cfg: Config, place: str) -> None:
    """Check that every class of a config takes the arguments that stand beside its ``type``.

    Args:
        cfg: The config.
        place: How messages name it.

    Raises:
        InputError: If a ``type`` is unknown, an argument is, a number is written as text, or the
            config has a key of earlier OpenMMLab versions that nothing reads.
    """
    content = cfg.to_dict()
    read = top_level()
    for key, value in content.items():
        if key in read:
            _check_node(value, (key,), place)
        elif today(key) and value is not None and not _used(content, key, value):
            raise InputError(f'{place}: {key!r} is not read any more: {today(key)}')


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


def _check(content: Mapping, options: Mapping, dotted: str, value: Any, place: str) -> None:
    """Check one key: where it goes to, then its value."""
    parts = dotted.split('.')
    node: Any = content
    for i, part in enumerate(parts):
        path = parts[:i]
        if isinstance(node, list | tuple):
            node, parameter = _entry(node, part, path, dotted, place), None
            continue
        kind = options.get('.'.join([*path, 'type'])) if path else None
        if node is None or node is NOTHING:
            node = {}
            if not kind and not implied(path, node) and not is_free(path[-1]):
                raise InputError(
                    f'{place}: {dotted} goes through {".".join(path)}, which is None; give it as a '
                    f'whole, {".".join(path)}="{{\'{part}\': ...}}", or {".".join(path)}.type, too'
                )
        if path and is_free(path[-1]) and isinstance(node, Mapping) and part not in node:
            return
        if not isinstance(node, Mapping):
            raise InputError(
                f'{place}: {dotted} goes through {".".join(path)}, which is {node!r} and no '
                'dictionary'
            )
        known = _taken(path, node, kind)
        parameter = known.get(part)
        if part in node:
            node = node[part]
        elif part in known:
            node = NOTHING if parameter is None else default(parameter)
        elif _is_new_hook(path, part, options, value if len(parts) == 2 else None):
            node = NOTHING
        elif known.open and not difflib.get_close_matches(part, [*node, *known], 1, _IS_A_SLIP):
            return
        else:
            _unknown(place, dotted, part, path, [*node, *known], kind or node.get('type'))
    _check_value(content, options, dotted, node, parameter, value, place)


def _entry(node: Sequence, part: str, path: list[str], dotted: str, place: str) -> Any:
    name = '.'.join(path)
    if not part.isdigit() or int(part) >= len(node):
        raise InputError(
            f'{place}: {dotted}: {name} is a list of {len(node)}, '
            + (f'write {name}.0 to {name}.{len(node) - 1}' if node else f'give {name} as a whole')
        )
    return node[int(part)]


def _taken(path: Sequence[str], node: Mapping, kind: Any = None) -> Takes:
    """What a dictionary may hold beyond what it holds."""
    kind = kind or node.get('type')
    result = Takes()
    if kind and path[-1:] != ['clip_grad']:
        result.add(takes(kind) if not isinstance(kind, str) or is_type_name(kind) else Takes())
        result.open = result.open or (isinstance(kind, str) and not is_type_name(kind))
        for name in added(path):
            result.setdefault(name, None)
    other = implied(path, node)
    if other is not None and not (kind and path[0] in ('train_cfg', 'log_processor')):
        result.add(other)
    if path and (other is not None or kind):
        result.setdefault('type', None)
    return result


def _is_new_hook(path: list[str], part: str, options: Mapping, value: Any) -> bool:
    """Whether options bring a hook, with its type, that has no default."""
    if path != ['default_hooks']:
        return False
    has_type = isinstance(value, Mapping) and 'type' in value
    return has_type or f'default_hooks.{part}.type' in options


def _check_value(
    content: Mapping, options: Mapping, dotted: str, old: Any, parameter: Any, value: Any,
    place: str,
) -> None:  # fmt: skip
    last = dotted.rpartition('.')[2]
    if is_nan(value):
        raise InputError(f'{place}: {dotted} is {value!r}, which is no number to compute with')
    allowed = admits(parameter.annotation, value) if parameter is not None else None
    whole = parameter is not None and admits(parameter.annotation, 0.5) is False
    fits = same_type(old, value)
    if old is None and value is not None and allowed is False:
        fits = False
    if isinstance(value, float) and whole and not isinstance(old, float) and allowed is False:
        raise InputError(f'{place}: {dotted} is a whole number ({old!r}), got {value!r}')
    if value is None and parameter is not None and parameter.default is not None:
        fits = allowed is not False and parameter.default is not parameter.empty
    if (not fits and not allowed) or (old is NOTHING and allowed is False):
        expected = f'{_name(old)} ({reprlib.repr(old)})'
        if old is NOTHING or old is None or value is None:
            expected = f'must be {inspect.formatannotation(parameter.annotation)}'
        raise InputError(f'{place}: {dotted} {expected}, got {value!r} ({type(value).__name__})')
    if isinstance(value, str) and value.lower() in ('none', 'null') and not isinstance(old, bool):
        raise InputError(f'{place}: {dotted}={value} is a text; write None with a capital')
    if last == 'type' and 'clip_grad' not in dotted:
        _check_type(value, dotted, place)
    if isinstance(value, Mapping) and not value.get('_delete_') and isinstance(old, Mapping):
        for key, inner in value.items():
            nearby = {f'{dotted}.{k}': v for k, v in value.items()}
            _check(content, {**options, **nearby}, f'{dotted}.{key}', inner, place)


def _name(value: Any) -> str:
    kind = type(value).__name__
    return f'is a{"n" if kind[0] in "aeiou" else ""} {kind}'


def _check_type(value: Any, dotted: str, place: str) -> None:
    if is_type_name(value) and not registered(value):
        near = difflib.get_close_matches(value, registered_names(), 3, _DID_YOU_MEAN)
        hint = f'; did you mean {" or ".join(near)}?' if near else ''
        raise InputError(f'{place}: {dotted}: {value!r} is not a registered class{hint}')


def _check_node(node: Any, path: tuple[str, ...], place: str) -> None:
    """Check a dictionary or list of a config and all below it."""
    if isinstance(node, list | tuple):
        for i, entry in enumerate(node):
            _check_node(entry, (*path, str(i)), place)
    if not isinstance(node, Mapping) or is_free(path[-1]):
        return
    dotted = '.'.join(path)
    kind = node.get('type')
    if path[-1] == 'clip_grad':
        kind = None
    if kind is not None:
        _check_type(kind, f'{dotted}.type', place)
    if kind is not None or implied(path, node) is not None:
        known = _taken(list(path), node, kind)
        for name, value in node.items():
            slip = difflib.get_close_matches(name, known, 1, _IS_A_SLIP)
            if name not in known and not (known.open and not slip) and not _is_hook(path, value):
                _unknown(place, f'{dotted}.{name}', name, list(path), list(known), kind)
            _check_text(value, known.get(name), f'{dotted}.{name}', place)
    for name, value in node.items():
        _check_node(value, (*path, str(name)), place)


def _is_hook(path: tuple[str, ...], value: Any) -> bool:
    return path == ('default_hooks',) and (isinstance(value, Mapping) or value is None)


def _check_text(value: Any, parameter: Any, dotted: str, place: str) -> None:
    """Refuse a number in quotes, such as YAML's 1e-4."""
    if not isinstance(value, str) or parameter is None:
        return
    try:
        float(value)
    except ValueError:
        return
    is_number = isinstance(parameter.default, int | float)
    if is_number or admits(parameter.annotation, value) is False or parameter.name == 'lr':
        raise InputError(
            f'{place}: {dotted} is the text {value!r}; write the number without quotes'
        )


def _unknown(
    place: str, dotted: str, part: str, path: Sequence[str], known: Sequence[str], kind: Any
) -> None:
    known = [name for name in dict.fromkeys(known) if name not in ('_scope_', '_delete_')]
    sentence = today(dotted)
    if not path and sentence:
        raise InputError(f'{place}: unknown key {dotted!r}: it is not read any more: {sentence}')
    near = difflib.get_close_matches(part, known, 3, _DID_YOU_MEAN)
    shown = [*known[:_SHOWN], '...'] if len(known) > _SHOWN else known
    hint = f'there are {", ".join(shown)}' if known else 'it is empty'
    hint = f'did you mean {" or ".join(near)}?' if near else hint
    name = f'{".".join(path)} ({kind})' if isinstance(kind, str) and path else '.'.join(path)
    where = f'{name} has no {part!r}' if path else f'the config has no {part!r}'
    raise InputError(f'{place}: unknown key {dotted!r}: {where}; {hint}')


def _put(cfg: Config, dotted: str, value: Any) -> None:
    """Set one key; a dictionary is merged with what is there."""
    *parents, last = dotted.split('.')
    node: Any = cfg
    for i, part in enumerate(parents):
        child = node[int(part)] if isinstance(node, list) else node.get(part, NOTHING)
        if child is NOTHING:
            break
        if child is None:  # mmengine's merging asks for a dictionary
            node[part] = child = ConfigDict()
        if isinstance(child, tuple):
            node[part] = child = list(child)
        whole = not isinstance(value, Mapping) or value.get('_delete_')
        if isinstance(child, list) and i == len(parents) - 1 and whole:
            child[int(last)] = Config(dict(value=value)).value
            if isinstance(value, Mapping):
                child[int(last)].pop('_delete_')
            return
        node = child
    cfg.merge_from_dict({dotted: value})


def _move(cfg: Config, variable: str, before: Any) -> int:
    """Replace what equals the old value of a variable; return in how many places that are read."""
    new = cfg.get(variable)
    read = top_level()
    whole = isinstance(before, list | tuple | Mapping)
    moved = 0
    for holder, key, path in _places(cfg, ()):
        if path == (variable,) or (not whole and key != variable):
            continue
        old = holder[key]
        if type(old) is type(before) or whole:
            plain = Config(dict(value=old)).to_dict()['value']
            if plain == before:
                holder[key] = Config(dict(value=new)).value
                moved += path[0] in read
    return moved


def _places(node: Any, path: tuple[str, ...]) -> Iterator[tuple[Any, Any, tuple[str, ...]]]:
    """Yield every place of a config, the outer ones first: what holds it, the key, the path."""
    if isinstance(node, list):
        keys: Sequence[Any] = range(len(node))
    elif isinstance(node, Config | Mapping):
        keys = list(node.keys())
    else:
        return
    for key in keys:
        here = (*path, str(key))
        yield node, key, here
        yield from _places(node[key], here)


def _where(cfg: Config, variable: str) -> str | None:
    """A key of the variable's name that something reads."""
    read = top_level()
    for _, key, path in _places(cfg, ()):
        if key == variable and path[0] in read:
            return '.'.join(path)
    return None


def _used(content: Mapping, key: str, value: Any) -> bool:
    """Whether another part of a config equals one of its variables, or was merged with it."""
    places = _places(content, ())
    return any(path != (key,) and _holds(holder[name], value) for holder, name, path in places)


def _holds(node: Any, value: Any) -> bool:
    if not isinstance(node, Mapping) or not isinstance(value, Mapping) or not value:
        return node == value
    return all(node.get(k, NOTHING) == v for k, v in value.items() if k != '_delete_')
