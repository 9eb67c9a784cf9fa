"""From a training's configuration to the description of its model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from realmnet.curation.label_table import LabelSchema
from realmnet.curation.prepare import SETTINGS
from realmnet.deployment.description import ModelDescription, Preprocessing, Training
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
) -> ModelDescription:
    """Describe the model of a configuration.

    Args:
        model: The configuration's ``model``.
        pipeline: Transforms of its test pictures: a loader, at most one ``Resize``, the packing.
        schema: Classes in the order of the outputs.
        crop_border: Whether the training's pictures were cropped before.
        keep_aspect: Whether they were padded to a square.
        training: Where the weights come from.

    Returns:
        The description, without thresholds. Where the pipeline has no ``Resize``, pictures were
        stored at the backbone's ``img_size``, and others are brought there by area averaging.

    Raises:
        InputError: If the pipeline has other transforms, or the network, without its loss, is
            none of those that a description may hold.

    Example:
        >>> model = dict(type='ImageClassifier', backbone=dict(type='RealMTinyViT', img_size=64),
        ...              head=dict(type='ResidualAttentionHead', num_classes=1),
        ...              data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255], to_rgb=True))
        >>> pipeline = [dict(type='LoadPicture'), dict(type='PackInputs')]
        >>> describe(model, pipeline, LabelSchema('odir', ('M',))).preprocessing.size
        64
    """
    size, interpolation = _resize_of(model, pipeline)
    normalisation = model.get('data_preprocessor') or {}
    if not normalisation.get('to_rgb'):
        raise InputError(
            'model.data_preprocessor.to_rgb must be True: pictures are given to the network in '
            'the order red, green, blue'
        )
    return ModelDescription(
        **ModelDescription.of_schema(schema),
        preprocessing=Preprocessing(size, interpolation, crop_border, keep_aspect),
        network=_plain({k: v for k, v in model.items() if k not in _TRAINING_KEYS}),
        mean=tuple(map(float, normalisation.get('mean') or (0, 0, 0))),
        std=tuple(map(float, normalisation.get('std') or (1, 1, 1))),
        training=training or Training(),
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


def _resize_of(model: Mapping, pipeline: Sequence[Mapping]) -> tuple[int, str]:
    resize = None
    for step in pipeline:
        name = str(step.get('type')).rpartition('.')[2]
        if name == 'Resize' and resize is None:
            resize = step
        elif name not in (*_LOADERS, 'PackInputs'):
            raise InputError(
                f'the test pipeline has {name}, which inference outside the training cannot '
                'repeat; use a loader, one Resize and PackInputs'
            )
    if resize is None:
        size = (model.get('backbone') or {}).get('img_size')
        size = size if isinstance(size, int) or size is None else tuple(size)
        interpolation = 'area'
    else:
        size, interpolation = resize.get('scale'), resize.get('interpolation', 'bilinear')
        if resize.get('keep_ratio') or resize.get('backend', 'cv2') != 'cv2':
            raise InputError(
                'the Resize of the test pipeline uses keep_ratio or another backend than cv2, '
                'which inference outside the training cannot repeat'
            )
    sides = {size} if isinstance(size, int) else set(size or ())
    if len(sides) != 1:
        raise InputError(
            f'the size of the pictures is {size}, expected a square; add '
            "dict(type='Resize', scale=(384, 384)) to the test pipeline"
        )
    return sides.pop(), interpolation


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
