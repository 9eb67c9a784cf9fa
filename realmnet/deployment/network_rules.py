"""The networks that a description may hold: every class, argument and value is listed here.

A description comes from a stranger. The libraries behind a network look strings up in registries,
which import what has dots, or open them as files; other values decide how much is computed. So
nothing reaches a constructor that does not stand in :data:`PARTS`: the classes that this
repository's configurations use, without their losses, and for each argument the values it may
have. A string is allowed only where all its values are listed, or as a name in timm's registry.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from realmnet.errors import InputError


@dataclass(frozen=True)
class Rule:
    """What an argument may be.

    Attributes:
        says: For messages.
        allows: Whether a value is allowed.
    """

    says: str
    allows: Callable[[Any], bool]


def _whole(low: int, high: int) -> Rule:
    return Rule(
        f'a whole number from {low} to {high}',
        lambda value: type(value) is int and low <= value <= high,
    )


def _real(low: float, high: float) -> Rule:
    return Rule(
        f'a number from {low} to {high}',
        lambda value: type(value) in (int, float) and low <= value <= high,  # not NaN
    )


def _word(*words: str) -> Rule:
    return Rule(f'one of {list(words)}', lambda value: type(value) is str and value in words)


def _list(rule: Rule, least: int, most: int) -> Rule:
    return Rule(
        f'a list of {least} to {most}, each {rule.says}',
        lambda value: (
            type(value) is list and least <= len(value) <= most and all(map(rule.allows, value))
        ),
    )


def _object(**rules: Rule) -> Rule:
    inside = ', '.join(f'{name}: {rule.says}' for name, rule in rules.items())
    return Rule(
        f'an object ({inside})',
        lambda value: (
            type(value) is dict
            and set(value) <= set(rules)
            and all(rules[name].allows(item) for name, item in value.items())
        ),
    )


def _either(*rules: Rule) -> Rule:
    return Rule(
        ' or '.join(rule.says for rule in rules),
        lambda value: any(rule.allows(value) for rule in rules),
    )


_FLAG = Rule('true or false', lambda value: type(value) is bool)
# timm reads a name with a colon or slash as an address or a folder.
_TIMM_NAME = Rule(
    "a name of timm's registry, in a-z, 0-9 and _",
    lambda value: type(value) is str and re.fullmatch(r'[a-z0-9_]{1,64}', value) is not None,
)
_RATE = _real(0, 0.99)
_WIDTH = _whole(1, 65_536)
_WIDTHS = _list(_WIDTH, 1, 8)
_HEADS = _list(_whole(1, 256), 1, 8)
_DEPTH = _whole(1, 64)
_DEPTHS = _list(_DEPTH, 1, 8)
_SIDE = _whole(1, 4096)
_IMAGE = _either(_SIDE, _list(_SIDE, 2, 2))
# A window of w tokens a side has w ** 4 pairs of tokens; 512 px need 32.
_WINDOW = _whole(1, 64)

_BACKBONES = {
    'RealMTinyViT': {
        'arch': _either(
            _word('5m', '11m', '21m'), _object(channels=_WIDTHS, num_heads=_HEADS, depths=_DEPTHS)
        ),
        'img_size': _IMAGE,
        'window_size': _list(_WINDOW, 1, 8),
        'drop_rate': _RATE,
        'drop_path_rate': _RATE,
        'use_checkpoint': _FLAG,
        'frozen_stages': _whole(0, 8),
        'freeze_stem': _FLAG,
        'gap_before_final_norm': _FLAG,
    },
    'ConvNeXt': {
        'arch': _either(_word('atto', 'tiny'), _object(depths=_DEPTHS, channels=_WIDTHS)),
        'drop_path_rate': _RATE,
    },
    'DistilledVisionTransformer': {
        'arch': _either(
            _word('deit-tiny', 'deit-base'),
            _object(
                embed_dims=_WIDTH,
                num_layers=_DEPTH,
                num_heads=_whole(1, 256),
                feedforward_channels=_WIDTH,
            ),
        ),
        'img_size': _IMAGE,
        'patch_size': _whole(4, 64),
        'out_type': _word('avg_featmap'),
        'drop_path_rate': _RATE,
    },
    'EfficientNet': {'arch': _word('b0', 'b4'), 'drop_path_rate': _RATE},
    'SwinTransformer': {
        'arch': _either(
            _word('base'), _object(embed_dims=_WIDTH, depths=_DEPTHS, num_heads=_HEADS)
        ),
        'img_size': _IMAGE,
        'window_size': _WINDOW,
        'stage_cfgs': _object(block_cfgs=_object(window_size=_WINDOW)),
        'drop_path_rate': _RATE,
    },
    'TimmFeatures': {
        'model_name': _TIMM_NAME,
        'img_size': _SIDE,
        'window_size': _WINDOW,
        'embed_dim': _WIDTH,
        'depths': _DEPTHS,
        'num_heads': _HEADS,
        'drop_path_rate': _RATE,
    },
}
_SHAPE = {'num_classes': _whole(1, 1000), 'in_channels': _WIDTH}
_HEAD_CLASSES = {
    'GroupLinearHead': _SHAPE,
    'MultiLabelLinearClsHead': _SHAPE,
    'ResidualAttentionHead': {**_SHAPE, 'num_heads': _whole(1, 8), 'lam': _real(0, 100)},
}
#: Part of the network to its classes, to their arguments.
PARTS: dict[str, dict[str, dict[str, Rule]]] = {
    'backbone': _BACKBONES,
    'neck': {'GlobalAveragePooling': {}},
    'head': _HEAD_CLASSES,
}


def check_network(network: Any) -> None:
    """Check that a model configuration holds only what :data:`PARTS` lists.

    Args:
        network: The configuration.

    Raises:
        InputError: If it is no ``ImageClassifier`` with backbone and head, or names another
            class, argument or value; the message says which, and what is allowed.

    Example:
        >>> check_network({'type': 'ImageClassifier',
        ...                'backbone': {'type': 'ConvNeXt', 'arch': 'tiny'},
        ...                'head': {'type': 'MultiLabelLinearClsHead', 'num_classes': 7}})
    """
    if type(network) is not dict or network.get('type') != 'ImageClassifier':
        raise InputError("network must be an object of the type 'ImageClassifier'")
    if extra := set(network) - {'type', *PARTS}:
        raise InputError(
            f'network may hold type, {", ".join(PARTS)}, and not {reprlib.repr(sorted(extra))}'
        )
    for part, classes in PARTS.items():
        content = network.get(part)
        if content is None and part == 'neck':
            continue
        if type(content) is not dict or 'type' not in content:
            raise InputError(f'network.{part} must be an object with a type')
        _check_part(f'network.{part}', content, classes)


def _check_part(place: str, content: dict[str, Any], classes: dict[str, dict[str, Rule]]) -> None:
    name = content['type']
    if type(name) is not str or name not in classes:
        raise InputError(
            f'{place}.type is {reprlib.repr(name)}, expected one of {list(classes)}, the classes '
            'of the configurations of this repository'
        )
    rules = classes[name]
    for key, value in content.items():
        if key == 'type':
            continue
        if key not in rules:
            raise InputError(
                f'{place} may not hold {reprlib.repr(key)}; {name} may have {list(rules)}'
            )
        if not rules[key].allows(value):
            raise InputError(f'{place}.{key} is {reprlib.repr(value)}, expected {rules[key].says}')
