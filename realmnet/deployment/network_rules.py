"""What a description may say of a network: names and plain values, before any class is looked at.

A description comes from a stranger. The libraries behind a network look strings up in registries,
which import what has dots, or open them as files; other values decide how much is computed. So
nothing is built that is not declared, in two steps:

1. here, without torch: the form of the whole, names without dots, plain values within bounds, and
   inside an argument no other ``type`` than a layer of :data:`LAYERS`;
2. where the network is built (:mod:`realmnet.deployment.network_classes`): the class is one of
   :data:`MMPRETRAIN`, or one of ours that says ``describable = True``, and its constructor has
   such an argument.
"""

from __future__ import annotations

import re
import reprlib
from typing import Any

from realmnet.errors import InputError

#: Classes of mmpretrain by part of the network. Their constructors were read: of what is allowed
#: below, they open and import nothing. Not here are those that fetch models of others by name
#: (TIMMBackbone, HuggingFaceClassifier), take classes as arguments (CSPNet), fill tables in loops
#: as long as the picture is large (LeViT, T2T_ViT, TinyViT, Vig), or serve to pretrain.
MMPRETRAIN: dict[str, tuple[str, ...]] = {
    'backbone': (
        'AlexNet',
        'BEiTViT',
        'CSPDarkNet',
        'CSPResNeXt',
        'CSPResNet',
        'ConvNeXt',
        'DaViT',
        'DeiT3',
        'DenseNet',
        'DistilledVisionTransformer',
        'EdgeNeXt',
        'EfficientFormer',
        'EfficientNet',
        'EfficientNetV2',
        'HRNet',
        'HorNet',
        'MViT',
        'MlpMixer',
        'MobileNetV2',
        'MobileNetV3',
        'MobileOne',
        'MobileViT',
        'PCPVT',
        'PoolFormer',
        'RIFormer',
        'RegNet',
        'RepLKNet',
        'RepVGG',
        'Res2Net',
        'ResNeSt',
        'ResNeXt',
        'ResNet',
        'ResNetV1c',
        'ResNetV1d',
        'ResNet_CIFAR',
        'SEResNeXt',
        'SEResNet',
        'SVT',
        'ShuffleNetV1',
        'ShuffleNetV2',
        'SwinTransformer',
        'SwinTransformerV2',
        'TNT',
        'VAN',
        'VGG',
        'ViTEVA02',
        'VisionTransformer',
        'XCiT',
    ),
    'neck': ('GeneralizedMeanPooling', 'GlobalAveragePooling', 'HRFuseScales', 'LinearNeck'),
    'head': ('CSRAClsHead', 'MultiLabelLinearClsHead'),
}
#: Layers that an argument may name, as in ``norm_cfg=dict(type='LN')``.
LAYERS = (
    'BN',
    'BN1d',
    'BN2d',
    'Clip',
    'Conv',
    'Conv1d',
    'Conv2d',
    'Conv2dAdaptivePadding',
    'DropPath',
    'Dropout',
    'ELU',
    'GELU',
    'GN',
    'GRN',
    'HSigmoid',
    'HSwish',
    'Hardswish',
    'IN',
    'LN',
    'LN2d',
    'LayerScale',
    'LeakyReLU',
    'PReLU',
    'ReLU',
    'ReLU6',
    'SiLU',
    'Sigmoid',
    'Swish',
    'SyncBN',
    'Tanh',
)
# Weights come with the description; the loss concerns training alone.
_NEVER = re.compile(r'_.*|pretrained.*|checkpoint|checkpoint_path|cache_dir|init_cfg|loss')
_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]{0,63}')
# No '/', ':' or '\'; a dot only between digits ('regnetx_1.6gf'), where no import follows it.
_WORD = re.compile(r'[A-Za-z0-9_+-]+(?:(?<=[0-9])\.(?=[0-9])[A-Za-z0-9_+-]+)*')
_LONGEST_WORD = 64
_LARGEST = 65_536
_LARGEST_SIDE = 4096
_MOST_ITEMS = 64
_DEEPEST = 4
# These decide how many layers there are, and how many pairs of tokens a window has (w ** 4).
_COUNTS = re.compile(r'depths|num_layers|num_blocks|layers|window_sizes?')
_MOST_COUNT = 64


def check_network(network: Any) -> None:
    """Check form, names and values of a model configuration; nothing is looked up.

    Args:
        network: The configuration.

    Raises:
        InputError: If it is no ``ImageClassifier`` with backbone and head, or has a name or value
            that no description may have; the message says where, and what is allowed.

    Example:
        >>> check_network({'type': 'ImageClassifier',
        ...                'backbone': {'type': 'ResNet', 'depth': 50},
        ...                'neck': {'type': 'GlobalAveragePooling'},
        ...                'head': {'type': 'MultiLabelLinearClsHead', 'num_classes': 7}})
    """
    if type(network) is not dict or network.get('type') != 'ImageClassifier':
        raise InputError("network must be an object of the type 'ImageClassifier'")
    if extra := set(network) - {'type', *MMPRETRAIN}:
        raise InputError(
            f'network may hold type, {", ".join(MMPRETRAIN)}, and not '
            f'{reprlib.repr(sorted(extra, key=str))}'
        )
    for part in MMPRETRAIN:
        content = network.get(part)
        if content is None and part == 'neck':
            continue
        if type(content) is not dict or 'type' not in content:
            raise InputError(f'network.{part} must be an object with a type')
        name = content['type']
        if type(name) is not str or not _NAME.fullmatch(name):
            raise unknown_class(part, name)
        for key, value in content.items():
            if key != 'type':
                _check_argument(f'network.{part}', key, value, inside=0)


def unknown_class(part: str, name: Any, registered: bool = False) -> InputError:
    """Make the error of a class that no description may name.

    Args:
        part: Of the network.
        name: Of the class.
        registered: Whether there is such a class.
    """
    expected = (
        f'network.{part}.type is {reprlib.repr(name)}, expected one of the '
        f'{len(MMPRETRAIN[part])} classes of mmpretrain in realmnet/deployment/network_rules.py, '
        'or a class of your own that says describable = True in its body'
    )
    if registered:
        return InputError(f'{expected}: this one says nothing, so it trains and cannot be packed')
    return InputError(
        f'{expected} and is imported: no class of that name is known here; name its module in '
        'realmnet/plugin.py'
    )


def _check_argument(place: str, key: Any, value: Any, inside: int) -> None:
    if type(key) is not str or not _NAME.fullmatch(key) or _NEVER.fullmatch(key):
        raise InputError(f'{place} may not hold {reprlib.repr(key)}')
    place = f'{place}.{key}'
    if key == 'img_size':
        sides = value if type(value) is list and len(value) == 2 else [value]
        if not all(type(side) is int and 1 <= side <= _LARGEST_SIDE for side in sides):
            raise _expected(place, value, f'a whole number from 1 to {_LARGEST_SIDE}, or two')
    if _COUNTS.fullmatch(key):
        counts = value if type(value) is list else [value]
        if not all(type(count) is int and 1 <= count <= _MOST_COUNT for count in counts):
            raise _expected(place, value, f'a whole number from 1 to {_MOST_COUNT}, or several')
    _check_value(place, value, inside)


def _check_value(place: str, value: Any, inside: int) -> None:
    """Check a value that is ``inside`` that many others."""
    if inside > _DEEPEST:
        raise InputError(f'{place} is nested too deeply, at most {_DEEPEST} levels are allowed')
    if value is None or type(value) is bool:
        return
    if type(value) in (int, float):
        if not abs(value) <= _LARGEST:  # NaN too
            raise _expected(place, value, f'a number of at most {_LARGEST}')
    elif type(value) is str and not inside:
        if len(value) > _LONGEST_WORD or not _WORD.fullmatch(value):
            raise _expected(place, value, 'a word of letters, digits, _, - and +')
    elif type(value) is list:
        if len(value) > _MOST_ITEMS:
            raise _expected(place, value, f'a list of at most {_MOST_ITEMS}')
        for item in value:
            _check_value(place, item, inside + 1)
    elif type(value) is dict:
        if len(value) > _MOST_ITEMS:
            raise _expected(place, value, f'an object of at most {_MOST_ITEMS}')
        for key, item in value.items():
            if key != 'type':
                _check_argument(place, key, item, inside + 1)
            elif type(item) is not str or item not in LAYERS:
                raise _expected(f'{place}.type', item, f'one of {list(LAYERS)}')
    else:
        raise _expected(place, value, 'numbers, true or false, and lists and objects of them')


def _expected(place: str, value: Any, what: str) -> InputError:
    return InputError(f'{place} is {reprlib.repr(value)}, expected {what}')
