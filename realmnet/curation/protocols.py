"""The paper's three protocols as lists of rows: who trains and who is tested.

CIP, centralized inference: the published train, development and test splits (Table 5). MRP,
main-source robustness: train on the main source, test on each other one (Table 6). CGP,
cyclic-source generalizability: train on all sources but one, test on that one (Table 7). MRP and
CGP use all pictures of PSMM and have no development split, so no best checkpoint can be chosen.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from realmnet.curation.identifiers import alike_sentence, look_alikes
from realmnet.curation.label_schema import FILENAME, PSMM, LabelSchema
from realmnet.curation.label_table import LabelTable, read_label_table
from realmnet.curation.leakage import check_disjoint, shared_identifiers
from realmnet.curation.resampling import MLRUS, Resampler
from realmnet.curation.sources import PSMM_SOURCES, order_sources, sources_of
from realmnet.errors import InputError, LabelTableError

#: Where the training list of a data set stands, the published place first.
TRAIN_FILES = ('MYOPIA/MYOPIA.csv', 'train.csv')
#: The published training list after ML-RUS with ratio .2.
PUBLISHED_RESAMPLED = 'MYOPIA_MLRUS-20/MYOPIA_MLRUS-20.csv'
IMAGE_SETS = Path('ImageSets') / 'Main'


@dataclass(frozen=True)
class TrainingSet:
    """One training list of a protocol with the lists it is tested on.

    Attributes:
        protocol: ``CIP``, ``MRP`` or ``CGP``.
        name: Training subset as the paper's table names it.
        folder: Where its files go, relative to ``ImageSets/Main``.
        train: Row positions in the joined table.
        tests: Test list's name to its row positions; for CIP also ``val``.
    """

    protocol: str
    name: str
    folder: str
    train: np.ndarray
    tests: dict[str, np.ndarray]


@dataclass(frozen=True)
class Counts:
    """Patients and images of one list.

    Example:
        >>> Counts.of(np.array(['a', 'a', 'b']))
        Counts(patients=2, images=3)
    """

    patients: int
    images: int

    @classmethod
    def of(cls, patients: np.ndarray) -> Counts:
        """Count the rows and the distinct patients among them."""
        return cls(len(set(patients)), len(patients))


def read_splits(
    data_root: str | Path, schema: str | Mapping | LabelSchema = PSMM
) -> dict[str, LabelTable]:
    """Read the splits under ``DATA_ROOT/ImageSets/Main`` and check that they share no patient.

    Args:
        data_root: Holds ``ImageSets/Main/{MYOPIA/MYOPIA.csv or train.csv, val.csv, test.csv}``.
        schema: Of the label tables.

    Returns:
        ``train``, ``val`` and ``test``.

    Raises:
        InputError: If a file is missing or wrong, or a patient is in two splits.
    """
    splits = {
        split: read_label_table(path, schema) for split, path in split_files(data_root).items()
    }
    check_disjoint(splits)
    return splits


def split_files(data_root: str | Path) -> dict[str, Path]:
    """Find the three label files of a data set.

    Raises:
        InputError: If one is missing.
    """
    folder = Path(data_root) / IMAGE_SETS
    train = next((folder / name for name in TRAIN_FILES if (folder / name).is_file()), None)
    if train is None:
        raise InputError(
            f'{folder}: no training list; expected {" or ".join(TRAIN_FILES)} (partition.py '
            'makes train.csv, val.csv and test.csv from one label table)'
        )
    files = {'train': train, 'val': folder / 'val.csv', 'test': folder / 'test.csv'}
    for path in files.values():
        if not path.is_file():
            raise InputError(f'{path}: no such label file; see data/README.md')
    return files


def join_tables(tables: Mapping[str, LabelTable]) -> tuple[LabelTable, dict[str, np.ndarray]]:
    """Put splits under one another.

    Returns:
        The joined table, and the rows that each split takes in it.

    Raises:
        LabelTableError: If a file name is in two splits, or their schemas differ.
    """
    values = list(tables.values())
    if len({table.schema.name for table in values}) != 1:
        raise LabelTableError('label tables of different schemas cannot be joined')
    if not values[0].schema.allow_repeats:
        for (first, a), (_, b) in itertools.combinations(tables.items(), 2):
            both, alike = shared_identifiers(a, b, FILENAME)
            if both or alike:
                here, there = (both[0], both[0]) if both else alike[0]
                row = int(np.flatnonzero(b.frame[FILENAME] == there)[0])
                raise LabelTableError(
                    f'{b.line(row)}: the file name occurs a second time, {first} has {here!r}; '
                    'keep one row an image'
                )
    frame = pd.concat([table.frame for table in values], ignore_index=True)
    joined = LabelTable(frame, values[0].schema, ' + '.join(t.source for t in values))
    ends = np.cumsum([len(table) for table in values])
    rows = np.split(np.arange(len(joined)), ends[:-1])
    return joined, dict(zip(tables, rows, strict=True))


def protocol_sets(
    table: LabelTable,
    splits: Mapping[str, np.ndarray],
    sources: Sequence[str] | None = None,
) -> list[TrainingSet]:
    """Build the training sets of the three protocols.

    Args:
        table: All rows.
        splits: Rows of ``train``, ``val`` and ``test`` in it.
        sources: The main source, then the others; by default those that occur, PSMM's first.

    Returns:
        CIP, MRP, and one CGP set a source but the main one.

    Raises:
        InputError: If a source has no row or is named twice, a row has no source, or there is
            only one source.

    Example:
        >>> sets = protocol_sets(table, splits)                       # doctest: +SKIP
        >>> [s.folder for s in sets]                                  # doctest: +SKIP
        ['', 'MRP', 'CGP_wo-SUSTech', 'CGP_wo-LishuiR', 'CGP_wo-Zhongshan', 'CGP_wo-LishuiZ']
    """
    source = sources_of(table.patients)
    present = order_sources(source)
    sources = list(sources) if sources else present
    if alike := look_alikes(present):
        raise InputError(f'{table.source}: {alike_sentence(alike, "source")}')
    absent = [name for name in sources if name not in present]
    if absent:
        raise InputError(
            f'{table.source}: no image of source(s) {absent}; the table has {present}. The source '
            "is what stands before the first '-' of ID"
        )
    if '' in sources:
        row = int(np.flatnonzero(source == '')[0])
        raise InputError(
            f"{table.frame[FILENAME].iloc[row]}: its ID {table.patients[row]!r} has no '-' and so "
            f'no source ({int((source == "").sum())} such row(s)); write the source before it, or '
            'name the sources to use'
        )
    if len(set(sources)) < len(sources):
        raise InputError(f'sources {sources}: name each once, the main one first')
    if len(sources) < 2:
        raise InputError(
            f'{table.source}: MRP and CGP need two sources or more, found {present}; the source '
            "is what stands before the first '-' of ID"
        )
    main, *others = sources
    rows = {name: np.flatnonzero(source == name) for name in sources}
    used = np.isin(source, sources)
    sets = [
        TrainingSet('CIP', 'train', '', splits['train'],
                    {'val': splits['val'], 'test': splits['test']}),
        TrainingSet('MRP', main, 'MRP', rows[main],
                    {f'test_{name}': rows[name] for name in others}),
    ]  # fmt: skip
    for name in others:
        train = np.flatnonzero(used & (source != name))
        whole = 'PSMM' if tuple(sources) == PSMM_SOURCES else 'all'
        sets.append(TrainingSet('CGP', f'{whole} (w/o {name})', f'CGP_wo-{name}', train,
                                {'test': rows[name]}))  # fmt: skip
    return sets


def resampled_counts(
    table: LabelTable, train: np.ndarray, sampler: Resampler | None = None
) -> tuple[np.ndarray, Counts]:
    """Resample a training list and count what is left.

    Args:
        table: All rows.
        train: Rows of the training list.
        sampler: By default the paper's ML-RUS, ratio .2, seed 42.

    Returns:
        Rows that remain, and their counts.
    """
    sampler = sampler or MLRUS(0.2, 42)
    sampler.fit_resample(table.labels[train])
    kept = train[sampler.sample_indices_]
    return kept, Counts.of(table.patients[kept])


def sampling_error(
    table: LabelTable, train: np.ndarray, seeds: int = 200, ratio: float = 0.2
) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation over seeds of what ML-RUS (published rule) leaves.

    Exact for images (:meth:`~realmnet.curation.resampling.MLRUS.expected_size`), from seeds 0
    to ``seeds - 1`` for patients.

    Args:
        table: All rows.
        train: Rows of the training list.
        seeds: How many seeds.
        ratio: Of the resampler.

    Returns:
        ``images`` and ``patients``, each (mean, standard deviation).
    """
    labels = table.labels[train]
    _, owner = np.unique(table.patients[train].astype(str), return_inverse=True)
    patients = []
    for seed in range(seeds):
        sampler = MLRUS(ratio, seed)
        sampler.fit_resample(labels)
        patients.append(np.count_nonzero(np.bincount(owner[sampler.sample_indices_])))
    return {
        'images': MLRUS(ratio).expected_size(labels),
        'patients': (float(np.mean(patients)), float(np.std(patients, ddof=1))),
    }
