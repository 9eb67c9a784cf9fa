"""What can be known to be wrong with the data before a run begins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmpretrain.registry import DATASETS
from tqdm import tqdm

from realmnet.curation.label_table import LabelTable
from realmnet.curation.leakage import check_disjoint
from realmnet.curation.pictures import refuse_outward
from realmnet.datasets.label_table_dataset import LabelTableDataset
from realmnet.datasets.transforms.loading import check_picture, picture_place
from realmnet.errors import InputError


def check_data(used: Sequence[ConfigDict], others: Sequence[ConfigDict] = ()) -> None:
    """Check label tables, pictures and leakage of the datasets of a configuration.

    Args:
        used: Datasets that the run reads: tables against their schema, every picture present
            and read whole. What is to be said of those that are used all the same (damage that
            ``LoadPicture(accept_damaged=True)`` accepts) is logged.
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
            _check_pictures(dataset, _accepts_damaged(config))
    for config in others:
        dataset = _build(config, lazy_init=True)
        if dataset is not None and Path(dataset.ann_file).is_file():
            tables.setdefault(dataset.ann_file, dataset.read_table())
    check_disjoint(tables)


def _build(config: ConfigDict, **options) -> LabelTableDataset | None:
    dataset = DATASETS.build({**config, 'pipeline': [], **options})
    # Someone else's dataset class has rules of its own.
    return dataset if isinstance(dataset, LabelTableDataset) else None


def _accepts_damaged(config: ConfigDict) -> bool:
    steps = config.get('pipeline') or []
    return any(step.get('accept_damaged', False) for step in steps if step['type'] == 'LoadPicture')


def _check_pictures(dataset: LabelTableDataset, accept_damaged: bool) -> None:
    folder = dataset.img_prefix

    def look(index: int) -> tuple[str, str]:
        """Give what stops the run, and what is only to be said."""
        info = dataset.get_data_info(index)
        path, where = info['img_path'], picture_place(info['img_path'], info['line'])
        try:
            refuse_outward(path, folder)
            notes = check_picture(path, where, accept_damaged)
        except InputError as error:
            return str(error), ''
        return '', f'{where}: {"; ".join(notes)}' if notes else ''

    # Decoders and the disk run outside Python's lock, so threads share the work.
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(look, range(len(dataset)))
        name = Path(dataset.ann_file).name
        bar = tqdm(results, f'checking pictures of {name}', total=len(dataset), mininterval=1)
        found = [texts for texts in bar if any(texts)]
    problems = [text for text, _ in found if text]
    for note in (note for _, note in found if note):
        print_log(note, 'current', logging.WARNING)
    if problems:
        more = f'\nand {len(problems) - 10} more' if len(problems) > 10 else ''
        raise InputError(
            f'{len(problems)} of {len(dataset)} pictures listed in {dataset.ann_file} cannot be '
            'used:\n' + '\n'.join(problems[:10]) + more
        )
