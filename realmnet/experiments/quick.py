"""A quick version of any config: small pictures, the smallest backbone of its family, two epochs.

It shows that an experiment runs from data to metrics on a laptop. What it measures is about
synthetic pictures and says nothing about patients.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from tqdm import tqdm

from realmnet.curation.label_table import PSMM, get_schema
from realmnet.curation.synthetic import (
    SyntheticArguments,
    check_output,
    draw_patients,
    make_synthetic,
)
from realmnet.engine.config import datasets
from realmnet.engine.storage import file_lock
from realmnet.errors import InputError

QUICK_ROOT = 'data/synthetic-quick'
QUICK_DATA = SyntheticArguments(patients=360, size=64, labels='even', seed=42)
#: From random weights and in two epochs, the recipe's rate is too low.
LR_FACTOR = 5
_LISTS = {
    'train': 'ImageSets/Main/MYOPIA/MYOPIA.csv',
    'val': 'ImageSets/Main/val.csv',
    'test': 'ImageSets/Main/test.csv',
}


def make_quick(
    cfg: Config, size: int = 64, epochs: int = 2, data_root: str | Path = QUICK_ROOT
) -> Config:
    """Shrink a config to a trial that trains from scratch on two CPU cores.

    The backbone becomes the smallest of its family, at ``size`` pixels; there are no pretrained
    weights; the data are a synthetic PSMM (:func:`ensure_quick_data`), for another label schema
    as many of its columns; the schedule is one epoch of warm-up and a cosine. Learning rates are
    multiplied by five, so that their ratios between configs stay. What an experiment varies stays:
    loss, head, drop path, freezing, augmentation, training list.

    Args:
        cfg: A config of this repository; not changed.
        size: Side of the pictures, a multiple of 32.
        epochs: Number of epochs.
        data_root: Root of the synthetic PSMM.

    Returns:
        The quick config, marked by ``quick = True``.

    Raises:
        InputError: If ``size`` or ``epochs`` cannot be, or the backbone's family is unknown.

    Example:
        >>> from realmnet.engine.config import load_config
        >>> cfg = load_config('configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py')
        >>> quick = make_quick(cfg)
        >>> quick.model.backbone.arch, quick.model.head.in_channels, quick.train_cfg.max_epochs
        ('5m', 320, 2)
    """
    if size < 64 or size % 32:
        raise InputError(f'quick pictures are a multiple of 32 px from 64 px on, got {size}')
    if epochs < 1:
        raise InputError(f'a quick run takes at least one epoch, got {epochs}')
    cfg = deepcopy(cfg)
    cfg.quick = True
    cfg.pretrained = cfg.load_from = None
    cfg.model.head.in_channels = _shrink_backbone(cfg.model.backbone, size)
    cfg.data_root = str(data_root)
    for loader in ('train', 'val', 'test'):
        if cfg.get(f'{loader}_dataloader') is not None:
            cfg[f'{loader}_dataloader'].update(batch_size=16, num_workers=0)
            for dataset in datasets(cfg, [loader]):
                _use_quick_data(dataset, cfg.model, loader, size, str(data_root))
    cfg.optim_wrapper.optimizer.lr *= LR_FACTOR
    cfg.train_cfg.max_epochs = epochs
    cfg.param_scheduler = _schedule(epochs)
    cfg.default_hooks.logger.interval = 5
    return cfg


def ensure_quick_data(root: str | Path = QUICK_ROOT) -> Path:
    """Draw the synthetic PSMM of quick runs, unless it is there.

    Processes that ask at the same time wait for the first; a folder of that name is complete.

    Args:
        root: Folder to make.

    Returns:
        The folder.

    Raises:
        InputError: If the folder holds anything else.
    """
    root = Path(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(root.parent / f'.{root.name}.lock'):
        if not check_output(root, QUICK_DATA):
            patients = draw_patients(QUICK_DATA.patients, QUICK_DATA.labels, QUICK_DATA.seed)
            total = sum(len(patient.pictures) for patient in patients)
            with tqdm(total=total, desc=f'drawing {root}', mininterval=1) as bar:
                make_synthetic(root, QUICK_DATA, progress=bar.update)
    return root


def _schedule(epochs: int) -> list[dict]:
    warm_up = dict(
        type='LinearLR', start_factor=1e-2, by_epoch=True, end=1, convert_to_iter_based=True
    )
    cosine = dict(
        type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, begin=1, convert_to_iter_based=True
    )
    return [warm_up, cosine] if epochs > 1 else [warm_up]


def _use_quick_data(
    dataset: ConfigDict, model: ConfigDict, loader: str, size: int, data_root: str
) -> None:
    """Point a dataset to the quick pictures; other classes become as many columns of PSMM."""
    dataset.data_root = data_root
    for transform in dataset.pipeline:
        if transform['type'] == 'Resize':
            transform['scale'] = (size, size)
    schema = get_schema(dataset.get('schema', 'PSMM'))
    if schema.classes == PSMM.classes:
        return
    classes = PSMM.classes[: schema.num_classes]
    # a configuration merges dictionaries: what the other classes mean is taken back
    meaning = dict(class_names=(), words=(), groups=(), diagnosis=(), disease='')
    name = f'{len(classes)} columns of PSMM'
    dataset.update(
        schema=dict(name=name, classes=classes, allow_empty=True, **meaning),
        data_prefix='JPEGImages',
        ann_file=_LISTS[loader],
    )
    model.head.num_classes = model.data_preprocessor.num_classes = len(classes)


def _shrink_backbone(backbone: ConfigDict, size: int) -> int:
    """Change to the smallest of the family; return its number of channels."""
    if backbone.type not in _FAMILIES:
        raise InputError(
            f'model.backbone.type={backbone.type!r} has no quick version, only '
            f'{", ".join(_FAMILIES)} have: add it to realmnet/experiments/quick.py'
        )
    return _FAMILIES[backbone.type](backbone, size)


def _tinyvit(backbone: ConfigDict, size: int) -> int:
    side = size // 32
    backbone.update(arch='5m', img_size=size, window_size=[side, side, 2 * side, side])
    return 320


def _deit(backbone: ConfigDict, size: int) -> int:
    backbone.update(arch='deit-tiny', img_size=size)
    return 192


def _convnext(backbone: ConfigDict, size: int) -> int:
    backbone.update(arch='atto')
    return 320


def _efficientnet(backbone: ConfigDict, size: int) -> int:
    backbone.update(arch='b0')
    return 1280


# Swin-T has 28 million parameters, so half its width.
_SMALL_SWIN = dict(depths=[2, 2, 2, 2], num_heads=[2, 4, 8, 16])


def _swin(backbone: ConfigDict, size: int) -> int:
    backbone.update(arch=dict(embed_dims=48, **_SMALL_SWIN), img_size=size)
    backbone.merge(dict(stage_cfgs=dict(block_cfgs=dict(window_size=size // 32))))
    return 384


def _timm(backbone: ConfigDict, size: int) -> int:
    for start, (name, channels, options) in _TIMM.items():
        if backbone.model_name.startswith(start):
            backbone.update(model_name=name, **options(size))
            return channels
    raise InputError(
        f'model.backbone.model_name={backbone.model_name!r} has no quick version, only '
        f'{", ".join(_TIMM)} have: add it to realmnet/experiments/quick.py'
    )


def _no_options(size: int) -> dict[str, Any]:
    return {}


#: Beginning of timm's name: smallest model, its channels, its options for a size.
_TIMM: dict[str, tuple[str, int, Callable[[int], dict]]] = {
    'deit_': ('deit_tiny_distilled_patch16_224', 192, lambda size: dict(img_size=size)),
    'convnext_': ('convnext_atto', 320, _no_options),
    'efficientnet_': ('efficientnet_b0', 1280, _no_options),
    'tf_efficientnet_': ('tf_efficientnet_b0', 1280, _no_options),
    'swin_': (
        'swin_tiny_patch4_window7_224',
        384,
        lambda size: dict(img_size=size, window_size=size // 32, embed_dim=48, **_SMALL_SWIN),
    ),
    'tiny_vit_': ('tiny_vit_5m_224', 320, _no_options),
}
_FAMILIES: dict[str, Callable[[ConfigDict, int], int]] = {
    'RealMTinyViT': _tinyvit,
    'DistilledVisionTransformer': _deit,
    'ConvNeXt': _convnext,
    'EfficientNet': _efficientnet,
    'SwinTransformer': _swin,
    'TimmFeatures': _timm,
}
