"""Which pictures a quick run takes: a few of a user's own, or the synthetic set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mmengine.config import Config, ConfigDict
from mmpretrain.registry import DATASETS
from tqdm import tqdm

from realmnet.curation.label_schema import PSMM, get_schema
from realmnet.curation.label_table import LabelTable
from realmnet.curation.synthetic import (
    SyntheticArguments,
    check_output,
    draw_patients,
    is_synthetic,
    make_synthetic,
)
from realmnet.datasets.label_table_dataset import LabelTableDataset
from realmnet.engine.config import datasets
from realmnet.engine.storage import file_lock

QUICK_ROOT = 'data/synthetic-quick'
QUICK_DATA = SyntheticArguments(patients=360, size=64, labels='even', seed=42)
#: Most pictures of a split of a user's own data.
FEW = 64
_PSMM_ROOT = 'data/PSMM'
_LISTS = {
    'train': 'ImageSets/Main/MYOPIA/MYOPIA.csv',
    'val': 'ImageSets/Main/val.csv',
    'test': 'ImageSets/Main/test.csv',
}


def own_list(cfg: Config) -> Path | None:
    """Return the training list of a config whose pictures are the user's own; else None.

    Own are those of another label schema than PSMM's, and those of PSMM's in another folder than
    ``data/PSMM`` that is not synthetic. Where the list is there, a quick run keeps them.

    Args:
        cfg: The config.
    """
    train = next(datasets(cfg, ['train']), None)
    return _list_of(train) if train is not None and _is_own(train) else None


def take_few(cfg: Config) -> list[str]:
    """Keep few pictures of each list of a config, in place; say how many of how many.

    Args:
        cfg: The config. A dataset that has ``indices`` keeps them, and so does one whose list is
            not there.

    Raises:
        InputError: If a label table breaks its schema.
    """
    said = []
    for loader in ('train', 'val', 'test'):
        for dataset in datasets(cfg, [loader]):
            table = _table(dataset)
            if table is None or dataset.get('indices') is not None:
                said.append(f'{loader}: the pictures of {_list_of(dataset)}, as the config says')
                continue
            if len(table) <= FEW:
                said.append(f'{loader}: all {len(table)} pictures of {_list_of(dataset)}')
                continue
            dataset.indices = few_rows(table, FEW)
            lacking = table.labels[dataset.indices].any(0) < table.labels.any(0)
            names = [c for c, gone in zip(table.schema.classes, lacking, strict=True) if gone]
            whole = f'without {", ".join(names)}' if names else 'every class that it has occurs'
            number = f'{FEW} of the {len(table):,} pictures of {_list_of(dataset)}'
            said.append(f'{loader}: {number}, {whole}')
    return said


def few_rows(table: LabelTable, most: int) -> list[int]:
    """Choose rows of a label table so that every class occurs, as long as there is room.

    The classes take turns, the rarest first, then the pictures without any; each takes its next
    picture in the order of the table.

    Args:
        table: The labels.
        most: How many.

    Returns:
        Rows from 0, in the order of the table.
    """
    present = table.labels > 0
    groups = [np.flatnonzero(column) for column in present[:, np.argsort(present.sum(0))].T]
    waiting = [iter(group) for group in (*groups, np.flatnonzero(~present.any(1)))]
    chosen: dict[int, None] = {}
    while len(chosen) < most and waiting:
        for group in list(waiting):
            row = next((int(row) for row in group if int(row) not in chosen), None)
            if row is None:
                waiting.remove(group)
            elif len(chosen) < most:
                chosen[row] = None
    return sorted(chosen)


def use_synthetic(cfg: Config, data_root: str) -> None:
    """Point all datasets of a config to the synthetic set, in place.

    Other classes than PSMM's become as many of its columns, and the head gets as many outputs.
    These columns do not exclude each other, so a softmax becomes sigmoids.

    Args:
        cfg: The config.
        data_root: Root of the synthetic set.
    """
    cfg.data_root = data_root
    for loader in ('train', 'val', 'test'):
        for dataset in datasets(cfg, [loader]):
            dataset.data_root = data_root
            schema = get_schema(dataset.get('schema', 'PSMM'))
            if schema.classes == PSMM.classes:
                continue
            classes = PSMM.classes[: schema.num_classes]
            del dataset['schema']  # else what the other classes mean is merged into the new one
            if schema.softmax_groups:
                cfg.model.head.loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
            name = f'{len(classes)} columns of PSMM'
            dataset.update(
                schema=dict(name=name, classes=classes, allow_empty=True),
                data_prefix='JPEGImages',
                ann_file=_LISTS[loader],
            )
            cfg.model.head.num_classes = cfg.model.data_preprocessor.num_classes = len(classes)


def uses_quick_data(cfg: Config) -> bool:
    """Whether a config reads the synthetic set of quick runs."""
    return any(dataset.get('data_root') == QUICK_ROOT for dataset in datasets(cfg))


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


def _is_own(dataset: ConfigDict) -> bool:
    if get_schema(dataset.get('schema', 'PSMM')).classes != PSMM.classes:
        return True
    root = Path(dataset.get('data_root') or _PSMM_ROOT)
    return root != Path(_PSMM_ROOT) and not is_synthetic(root)


def _list_of(dataset: ConfigDict) -> Path:
    return Path(dataset.get('data_root', ''), dataset.get('ann_file', ''))


def _table(dataset: ConfigDict) -> LabelTable | None:
    """Read the label table of a dataset; None where it is not there, or is of another kind."""
    if not _list_of(dataset).is_file():
        return None
    built = DATASETS.build({**dataset, 'pipeline': [], 'lazy_init': True})
    return built.read_table() if isinstance(built, LabelTableDataset) else None
