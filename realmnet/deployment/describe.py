"""From a training's configuration to the description of its model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.prepare import SETTINGS
from realmnet.deployment.description import ModelDescription, Training
from realmnet.deployment.network_classes import check_classes
from realmnet.deployment.picture_steps import Step, sizes_through
from realmnet.deployment.preprocessing import Preprocessing
from realmnet.errors import InputError

_LOADERS = ('LoadPicture', 'LoadImageFromFile')
# Parts of a model configuration that only concern training.
_TRAINING_KEYS = ('init_cfg', 'pretrained', 'train_cfg', 'data_preprocessor', 'loss')


def describe(
    model: Mapping[str, Any],
    pipeline: Sequence[Mapping[str, Any]],
    schema: LabelSchema,
    crop_border: bool = False,
    keep_aspect: bool = False,
    training: Training | None = None,
    explain_layers: Sequence[str] = (),
) -> ModelDescription:
    """Describe the model of a configuration.

    Args:
        model: The configuration's ``model``.
        pipeline: Transforms of its test pictures: a loader, ``Resize``, ``ResizeEdge``,
            ``CenterCrop`` and ``Pad``, the packing.
        schema: Classes in the order of the outputs.
        crop_border: Whether the training's pictures were cropped before.
        keep_aspect: Whether they were padded to a square.
        training: Where the weights come from.
        explain_layers: Names of the layers that heat maps are taken from, where they are said.

    Returns:
        The description, without thresholds. Where the pipeline changes no size, pictures were
        stored at the backbone's ``img_size``, and others are brought there by area averaging.

    Raises:
        InputError: If the pipeline has other transforms, or settings of them that cannot be
            repeated, or does not make a square of one size of every picture, or the network,
            without its loss, is none of those that a description may hold.

    Example:
        >>> model = dict(type='ImageClassifier', backbone=dict(type='RealMTinyViT', img_size=64),
        ...              head=dict(type='ResidualAttentionHead', num_classes=1),
        ...              data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255], to_rgb=True))
        >>> pipeline = [dict(type='LoadPicture'), dict(type='PackInputs')]
        >>> describe(model, pipeline, LabelSchema('odir', ('M',))).preprocessing.size
        64
    """
    normalisation = model.get('data_preprocessor') or {}
    order = 'RGB' if normalisation.get('to_rgb') else 'BGR'
    # A training's pictures are blue, green, red, and so are its numbers unless to_rgb is set; a
    # description always says red, green, blue.
    turn = slice(None, None, 1 if order == 'RGB' else -1)
    mean, std = (
        tuple(map(float, normalisation.get(name) or [default] * 3))[turn]
        for name, default in (('mean', 0), ('std', 1))
    )
    network = _plain({k: v for k, v in model.items() if k not in _TRAINING_KEYS})
    check_classes(network)
    return ModelDescription(
        **ModelDescription.of_schema(schema),
        preprocessing=_preprocessing(model, pipeline, crop_border, keep_aspect),
        network=network,
        mean=mean,
        std=std,
        channel_order=order,
        training=training or Training(),
        explain_layers=tuple(explain_layers),
    )


def how_prepared(*folders: str | Path) -> dict[str, bool]:
    """Tell from what ``prepare_images.py`` left in a picture folder how pictures were made.

    Args:
        *folders: Where its record may lie; the first that has one counts.

    Returns:
        ``crop_border`` and ``keep_aspect``, both False where no record is found: whoever knows
        better says so to ``tools/deployment/pack.py``.
    """
    for folder in folders:
        try:
            record = json.loads(Path(folder, SETTINGS).read_text(encoding='utf-8'))
            return {
                'crop_border': bool(record['crop']), 'keep_aspect': bool(record['keep_aspect'])
            }  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {'crop_border': False, 'keep_aspect': False}


def _preprocessing(
    model: Mapping, pipeline: Sequence[Mapping], crop_border: bool, keep_aspect: bool
) -> Preprocessing:
    """Repeat the transforms of a test pipeline between loader and packing."""
    steps: list[Step] = []
    names = []
    for transform in pipeline:
        name = str(transform.get('type')).rpartition('.')[2]
        if name in (*_LOADERS, 'PackInputs'):
            continue
        if name not in _REPEATED:
            raise InputError(
                f'the test pipeline has {name}, which inference outside the training cannot '
                f'repeat; use a loader, {", ".join(_REPEATED)} and PackInputs'
            )
        settings = {key: value for key, value in transform.items() if key != 'type'}
        names.append(f'{name}({", ".join(f"{k}={v}" for k, v in settings.items())})')
        steps += _REPEATED[name](**_known(names[-1], name, settings))
    if not steps:
        size = (model.get('backbone') or {}).get('img_size')
        sides = {size} if isinstance(size, int) else set(size or ())
        interpolation = 'area'
    else:
        size = sizes_through(steps, 1000, 1000)[-1]
        sides = set(size)
        interpolation = steps[0].interpolation
    if len(sides) != 1:
        raise InputError(
            f'the size of the pictures is {size}, expected a square; add '
            "dict(type='Resize', scale=(384, 384)) to the test pipeline"
        )
    if len(steps) == 1 and steps[0].kind == 'resize':
        steps = []  # what a description without steps does
    try:
        return Preprocessing(sides.pop(), interpolation, crop_border, keep_aspect, tuple(steps))
    except InputError as error:
        pipeline = ', '.join(names)
        raise InputError(f'the test pipeline {pipeline} cannot be repeated: {error}') from None


def _known(place: str, name: str, settings: Mapping) -> dict:
    """Refuse settings of a transform that inference does not repeat."""
    for key, value in settings.items():
        repeated = _ONLY[key] == value if key in _ONLY else key in _SETTINGS[name]
        if not repeated:
            raise InputError(
                f'the {place} of the test pipeline sets {key}={value}, which inference outside the '
                'training cannot repeat; leave it out'
            )
    return {key: value for key, value in settings.items() if key not in _ONLY}


# Settings that may only have the value that they have when left out.
_ONLY = {
    'backend': 'cv2',
    'padding_mode': 'constant',
    'size_divisor': None,
    'scale_factor': None,
    'clip_object_border': True,
}
_SETTINGS = {
    'Resize': ('scale', 'keep_ratio', 'interpolation'),
    'ResizeEdge': ('scale', 'edge', 'interpolation'),
    'CenterCrop': ('crop_size', 'auto_pad'),
    'Pad': ('size', 'pad_to_square', 'pad_val'),
}


def _resize(
    scale: Any = None, keep_ratio: bool = False, interpolation: str = 'bilinear'
) -> list[Step]:
    return [Step('fit' if keep_ratio else 'resize', *_pair(scale), interpolation)]


def _resize_edge(
    scale: Any = None, edge: str = 'short', interpolation: str = 'bilinear'
) -> list[Step]:
    if edge not in ('short', 'long'):
        raise InputError(
            f'the ResizeEdge of the test pipeline has edge={edge!r}, not short or long'
        )
    return [Step(edge, scale, 0, interpolation)]


def _centre_crop(crop_size: Any = None, auto_pad: bool = False) -> list[Step]:
    size = _pair(crop_size)
    return [*([Step('pad', *size)] if auto_pad else []), Step('crop', *size)]


def _pad(size: Any = None, pad_to_square: bool = False, pad_val: Any = 0) -> list[Step]:
    value = pad_val.get('img', 0) if isinstance(pad_val, Mapping) else pad_val
    # a training's pictures are blue, green, red
    fill = (value,) * 3 if isinstance(value, int) else tuple(value)[::-1]
    return [Step('square', fill=fill) if pad_to_square else Step('pad', *_pair(size), fill=fill)]


#: Transforms that inference repeats, and how.
_REPEATED = {
    'Resize': _resize,
    'ResizeEdge': _resize_edge,
    'CenterCrop': _centre_crop,
    'Pad': _pad,
}


def _pair(size: Any) -> tuple[Any, Any]:
    return (size, size) if isinstance(size, int) else tuple(size or (None, None))


def _plain(value: Any) -> Any:
    """Copy a configuration as JSON values, without what only concerns training."""
    if isinstance(value, Mapping):
        return {str(k): _type_name(v) if k == 'type' else _plain(v)
                for k, v in value.items() if k not in _TRAINING_KEYS}  # fmt: skip
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _type_name(value: Any) -> Any:
    """Write a registered class by its name alone, as the registries know it."""
    name = value if isinstance(value, str) else getattr(value, '__name__', value)
    return name.removeprefix('mmpretrain.') if isinstance(name, str) else name
