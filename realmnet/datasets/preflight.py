"""What can be known to be wrong with the data before a run begins."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmengine.config import ConfigDict
from mmpretrain.registry import DATASETS
from tqdm import tqdm

from realmnet.curation.label_table import LabelTable
from realmnet.curation.leakage import check_disjoint
from realmnet.datasets.label_table_dataset import LabelTableDataset
from realmnet.datasets.transforms.loading import check_picture, picture_place
from realmnet.errors import InputError


def check_data(used: Sequence[ConfigDict], others: Sequence[ConfigDict] = ()) -> None:
    """Check label tables, pictures and leakage of the datasets of a configuration.

    Args:
        used: Datasets that the run reads: tables against their schema, every picture present,
            whole by header and end mark, and 8-bit RGB.
        others: Further splits of the same data: only their label tables, where they exist, to
            see that no patient is on two sides.

    Raises:
        InputError: With the first problem of each picture, at most ten.
    """
    tables: dict[str, LabelTable] = {}
    for config in used:
        dataset = _build(config)
        if dataset is not None:
            tables[dataset.ann_file] = dataset.read_table()
            _check_pictures(dataset)
    for config in others:
        dataset = _build(config, lazy_init=True)
        if dataset is not None and Path(dataset.ann_file).is_file():
            tables.setdefault(dataset.ann_file, dataset.read_table())
    check_disjoint(tables)


def _build(config: ConfigDict, **options) -> LabelTableDataset | None:
    dataset = DATASETS.build({**config, 'pipeline': [], **options})
    # Someone else's dataset class has rules of its own.
    return dataset if isinstance(dataset, LabelTableDataset) else None


def _check_pictures(dataset: LabelTableDataset) -> None:
    def problem(index: int) -> str | None:
        info = dataset.get_data_info(index)
        try:
            check_picture(info['img_path'], picture_place(info['img_path'], info['line']))
        except InputError as error:
            return str(error)
        return None

    # Opening files is waiting for the disk, so threads help even on two cores.
    with ThreadPoolExecutor(16) as pool:
        results = pool.map(problem, range(len(dataset)))
        name = Path(dataset.ann_file).name
        bar = tqdm(results, f'checking pictures of {name}', total=len(dataset), mininterval=1)
        problems = [text for text in bar if text]
    if problems:
        more = f'\nand {len(problems) - 10} more' if len(problems) > 10 else ''
        raise InputError(
            f'{len(problems)} of {len(dataset)} pictures listed in {dataset.ann_file} cannot be '
            'used:\n' + '\n'.join(problems[:10]) + more
        )
