"""A quick version of any config: small pictures, a small network, two epochs.

What makes a network small stands in the config, as the dictionary ``quick`` that is merged with
it. It shows that an experiment runs from data to metrics on a laptop; what it measures says
nothing about patients.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from realmnet.engine.config import apply_options, datasets
from realmnet.engine.options import check_config
from realmnet.engine.signatures import takes, top_level
from realmnet.errors import InputError
from realmnet.experiments.quick_data import (
    QUICK_ROOT,
    own_list,
    take_few,
    use_synthetic,
)
from realmnet.models.complexity import build_without_memory

#: Side of the pictures that a config's ``quick`` is written for.
SIZE = 64
#: From random weights and in two epochs, the recipe's rate is too low.
LR_FACTOR = 5
#: Which argument of a transform is the size of what it gives.
_SIZES = {
    'Resize': 'scale',
    'ResizeEdge': 'scale',
    'RandomResizedCrop': 'scale',
    'CenterCrop': 'crop_size',
    'RandomCrop': 'crop_size',
}
_ABSENT = 'nothing'
_NOTHING_MEANT = 'What a quick run measures says nothing about patients.'


def run_config(cfg: Config, options: Mapping, quick: bool) -> tuple[Config, list[str]]:
    """Make the config of a run: the quick one or not, and options, which have the last word.

    Args:
        cfg: As read; it is changed.
        options: ``--cfg-options``. They count before it is decided which pictures a quick run
            takes, too.
        quick: Whether to shrink it.

    Returns:
        The config, and what is to be said of the quick one.

    Raises:
        InputError: As for :func:`make_quick` and :func:`apply_options`.
    """
    said: list[str] = []
    if quick:
        apply_options(cfg, options)
        cfg, said = make_quick_and_say(cfg)
    else:
        cfg.pop('quick', None)  # nothing reads it any more
    apply_options(cfg, options)
    return cfg, said


def make_quick(
    cfg: Config, size: int = SIZE, epochs: int = 2, data_root: str | Path = QUICK_ROOT
) -> Config:
    """Shrink a config to a trial that trains from scratch on two CPU cores.

    Pictures of ``size`` pixels, 16 a batch, no workers, no pretrained weights; one epoch of warm-up
    and a cosine; learning rates five times as high, so that their ratios between configs stay.
    Then the dictionary ``quick`` of the config is merged, as mmengine merges (``_delete_=True``
    replaces). Its ``model`` is for the backbone that it names: another one, such as of a config
    that inherits it, stays as it is, and only its pictures shrink.

    A user's own pictures stay (:func:`own_list`), few of them; otherwise the data are a
    synthetic PSMM (:func:`ensure_quick_data`), for another label schema as many of its columns.
    What an experiment varies stays: loss, head, drop path, freezing, augmentation, training list.

    Args:
        cfg: A config; not changed.
        size: Side of the pictures, a multiple of 32; 64 where ``quick`` has a ``model``.
        epochs: Number of epochs.
        data_root: Root of the synthetic PSMM.

    Returns:
        The quick config, marked by ``quick = True``.

    Raises:
        InputError: If ``size`` or ``epochs`` cannot be, or ``quick`` does not fit the config.

    Example:
        >>> from realmnet.engine.config import load_config
        >>> cfg = load_config('configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py')
        >>> quick = make_quick(cfg)
        >>> quick.model.backbone.arch, quick.model.head.in_channels, quick.train_cfg.max_epochs
        ('5m', 320, 2)
    """
    return make_quick_and_say(cfg, size, epochs, data_root)[0]


def make_quick_and_say(
    cfg: Config, size: int = SIZE, epochs: int = 2, data_root: str | Path = QUICK_ROOT
) -> tuple[Config, list[str]]:
    """As :func:`make_quick`, with what is to be said: every change, and where pictures come from.

    Args:
        cfg: As for :func:`make_quick`, like the others.
        size: See there.
        epochs: See there.
        data_root: See there.

    Returns:
        The quick config and lines of text.

    Raises:
        InputError: As for :func:`make_quick`.
    """
    if size < 64 or size % 32:
        raise InputError(f'quick pictures are a multiple of 32 px from 64 px on, got {size}')
    if epochs < 1:
        raise InputError(f'a quick run takes at least one epoch, got {epochs}')
    before, cfg = cfg, deepcopy(cfg)
    said, own = [], own_list(cfg)
    changes, network = _declared(cfg)
    if 'model' in changes and size != SIZE:
        raise InputError(
            f'the quick network that the config declares is for pictures of {SIZE} px, got {size}'
        )
    cfg.quick = True
    cfg.pretrained = cfg.load_from = None
    _forget_weights(cfg.model)
    if 'model' not in changes:
        size = _shrink_network(cfg, size)
        said.append(f'network: {network}, so it stays as it is, on pictures of {size} px')
    keep = own is not None and own.is_file()
    if keep:
        said += take_few(cfg)
    else:
        if own is not None:
            said.append(
                f'{own} is not there, so synthetic pictures stand in for yours; name their folder '
                'with --cfg-options data_root=FOLDER'
            )
        said.append(f'pictures: SYNTHETIC, of {data_root}')
        use_synthetic(cfg, str(data_root))
    for loader in ('train', 'val', 'test'):
        if cfg.get(f'{loader}_dataloader') is not None:
            cfg[f'{loader}_dataloader'].update(batch_size=16, num_workers=0)
            for dataset in datasets(cfg, [loader]):
                _shrink_pictures(dataset, size, stored=None if keep else SIZE)
    cfg.optim_wrapper.optimizer.lr *= LR_FACTOR
    cfg.train_cfg.max_epochs = epochs
    cfg.param_scheduler = _schedule(epochs)
    if 'logger' in (cfg.get('default_hooks') or {}):
        cfg.default_hooks.logger.interval = 5
    _merge(cfg, changes)
    return cfg, [*differences(before, cfg), *said, _NOTHING_MEANT]


def differences(before: Config, after: Config) -> list[str]:
    """Say what differs between two configs: a line each key, with both values.

    Example:
        >>> differences(Config(dict(a=dict(b=1, c=[1, 2]))), Config(dict(a=dict(b=2), d=0)))
        ['a.b: 1 -> 2', 'a.c: [1, 2] -> nothing', 'd: nothing -> 0']
    """
    old, new = (_leaves(cfg.to_dict()) for cfg in (before, after))
    return [
        f'{key}: {_short(old, key)} -> {_short(new, key)}'
        for key in {**old, **new}
        if not key.startswith('quick') and old.get(key, _ABSENT) != new.get(key, _ABSENT)
    ]


def _short(leaves: Mapping[str, Any], key: str) -> str:
    if key not in leaves:
        return _ABSENT
    return reprlib.repr(leaves[key])


def _leaves(node: Any, path: str = '') -> dict[str, Any]:
    """Values by dotted key; lists of plain values are values."""
    if isinstance(node, Mapping):
        items = list(node.items())
    elif isinstance(node, list | tuple) and any(isinstance(v, Mapping) for v in node):
        items = list(enumerate(node))
    else:
        return {path: list(node) if isinstance(node, tuple) else node}
    found: dict[str, Any] = {}
    for key, value in items:
        found |= _leaves(value, f'{path}.{key}' if path else str(key))
    return found


def _declared(cfg: Config) -> tuple[dict[str, Any], str]:
    """What the config's ``quick`` changes; without a ``model`` of its own, also why."""
    quick = cfg.get('quick')
    changes = deepcopy(quick.to_dict()) if isinstance(quick, Mapping) else {}
    if 'model' not in changes:
        return changes, "the config's `quick` has no model"
    meant = (changes['model'].get('backbone') or {}).get('type')
    here = cfg.model.backbone.get('type')
    if meant is not None and _name(meant) != _name(here):
        del changes['model']
        return changes, f"the config's `quick` is for {_name(meant)}, its backbone is {_name(here)}"
    return changes, ''


def _merge(cfg: Config, changes: dict[str, Any]) -> None:
    known = {*cfg.keys(), *top_level()}
    unknown = [key for key in changes if key.split('.')[0] not in known]
    if unknown:
        raise InputError(f'quick: the config has no {unknown[0]!r}, so nothing would read it')
    try:
        cfg.merge_from_dict(changes)
    except (TypeError, KeyError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise InputError(f'quick: cannot be merged with the config ({reason})') from None
    if changes:
        check_config(cfg, 'quick')


def _forget_weights(model: Any) -> None:
    """Take away what would load pretrained weights."""
    if isinstance(model, list | tuple):
        for part in model:
            _forget_weights(part)
    if not isinstance(model, Mapping):
        return
    start = model.get('init_cfg')
    starts = start if isinstance(start, list | tuple) else [start]
    if any(isinstance(s, Mapping) and _name(s.get('type')) == 'Pretrained' for s in starts):
        del model['init_cfg']
    if model.get('pretrained'):
        model['pretrained'] = False if model['pretrained'] is True else None
    for part in model.values():
        _forget_weights(part)


def _shrink_network(cfg: Config, size: int) -> int:
    """Let a network as it is take smaller pictures, in place; return the size that it takes."""
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    backbone = cfg.model.backbone
    fixed, known = backbone.get('img_size'), takes(backbone.type)
    if fixed is None and _fits(cfg.model, size):
        return size
    if fixed is not None or 'img_size' in known or known.open:
        backbone.img_size = size
        if _fits(cfg.model, size):
            return size
        if fixed is None:
            del backbone['img_size']
        else:
            backbone.img_size = fixed
    return _size_of(next(datasets(cfg, ['train'])).get('pipeline') or ()) or _side(fixed) or size


def _fits(model: ConfigDict, size: int) -> bool:
    """Whether a network can be built and used on pictures of a size; takes no memory for it."""
    try:
        network = build_without_memory(deepcopy(model)).eval()
        with torch.no_grad():
            network(torch.empty(1, 3, size, size, device='meta'))
    except Exception:  # whatever a layer objects to
        return False
    return True


def _shrink_pictures(dataset: ConfigDict, size: int, stored: int | None) -> None:
    """Let a pipeline give pictures of a size; ``stored`` is theirs, where it is known."""
    pipeline = dataset.pipeline
    steps = _sizing(pipeline)
    if not steps:
        if stored != size:
            step = dict(type='Resize', scale=(size, size), interpolation='area')
            place = len(pipeline) - (bool(pipeline) and _name(pipeline[-1].type) == 'PackInputs')
            dataset.pipeline = [*pipeline[:place], step, *pipeline[place:]]
        return
    last = _size_of(pipeline)
    for step, key in steps:
        given = step[key]
        if isinstance(given, int):
            step[key] = max(1, round(given * size / last))
        else:  # the last one decides, and its pictures are square
            step[key] = tuple(
                size if step is steps[-1][0] else max(1, round(side * size / last))
                for side in given
            )


def _sizing(pipeline: Sequence[Mapping]) -> list[tuple[Any, str]]:
    """Transforms that set a size in pixels, each with the argument that says it."""
    found = [(step, _SIZES.get(_name(step['type']))) for step in pipeline]
    return [(step, key) for step, key in found if key is not None and step.get(key) is not None]


def _size_of(pipeline: Sequence[Mapping]) -> int | None:
    """Longer side of the pictures that a pipeline gives; None if it leaves them as they are."""
    steps = _sizing(pipeline)
    return _side(steps[-1][0][steps[-1][1]]) if steps else None


def _side(size: Any) -> int | None:
    return size if isinstance(size, int) or size is None else max(size)


def _name(kind: Any) -> str:
    """Name of a class that a config names by text, with a scope or without, or gives itself."""
    text = kind if isinstance(kind, str) else getattr(kind, '__name__', str(kind))
    return text.rpartition('.')[2]


def _schedule(epochs: int) -> list[dict]:
    warm_up = dict(
        type='LinearLR', start_factor=1e-2, by_epoch=True, end=1, convert_to_iter_based=True
    )
    cosine = dict(
        type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, begin=1, convert_to_iter_based=True
    )
    return [warm_up, cosine] if epochs > 1 else [warm_up]
