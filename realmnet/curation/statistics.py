"""Counts of a data set that the paper's tables and figures show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from realmnet.curation.csv_files import as_number, column_hint, number_remedy, read_csv
from realmnet.curation.identifiers import check_distinct, clean, identifier_problem
from realmnet.curation.label_table import LabelTable
from realmnet.curation.protocols import Counts
from realmnet.curation.sources import order_sources, sources_of
from realmnet.errors import InputError


def overview(table: LabelTable, whole: str = 'PSMM') -> dict[str, Counts]:
    """Count patients and images of the data set and of each source (Table A1).

    Args:
        table: All rows.
        whole: What the data set is called.

    Example:
        >>> overview(table)['LishuiZ']                                 # doctest: +SKIP
        Counts(patients=91, images=220)
    """
    return {name: Counts.of(table.patients[rows]) for name, rows in _subsets(table, whole).items()}


def class_counts(table: LabelTable, whole: str = 'PSMM') -> pd.DataFrame:
    """Count the images of each class, in the data set and in each source (Fig. 2a).

    Args:
        table: All rows.
        whole: What the data set is called.

    Returns:
        One row a source, ``whole`` first; one column a class, in the schema's order.
    """
    counts = {
        name: table.labels[rows].sum(0, dtype=np.int64)
        for name, rows in _subsets(table, whole).items()
    }
    return pd.DataFrame.from_dict(counts, orient='index', columns=list(table.schema.classes))


def label_flows(table: LabelTable, whole: str = 'PSMM') -> dict[str, np.ndarray]:
    """Count the images of each pair of labels from the schema's two groups (Fig. 2b).

    Args:
        table: All rows, of a schema with two exclusive groups.
        whole: What the data set is called.

    Returns:
        Source to counts of shape (labels of the first group, labels of the second).

    Raises:
        InputError: If the schema has not exactly two groups.
    """
    groups = table.schema.exclusive
    if len(groups) != 2:
        raise InputError(
            f'schema {table.schema.name!r} has {len(groups)} exclusive group(s); flows are drawn '
            'between two'
        )
    classes = list(table.schema.classes)
    first, second = ([classes.index(name) for name in group] for group in groups)
    labels = table.labels.astype(np.int64)
    return {
        name: labels[rows][:, first].T @ labels[rows][:, second]
        for name, rows in _subsets(table, whole).items()
    }


def read_people(path: str | Path) -> pd.DataFrame:
    """Read age and sex of patients (Fig. A2).

    Args:
        path: CSV with the columns ``ID``, ``age`` (years) and ``sex`` (``F``, ``M``, ``female`` or
            ``male``).

    Returns:
        The three columns; sex as ``F`` or ``M``, age as float.

    Raises:
        InputError: If a column is missing, a patient occurs twice or in two spellings, or a value
            cannot be used.
    """
    people = read_csv(
        path,
        'a table of ages',
        'no such file; give a CSV with the columns ID, age, sex',
    )
    missing = [name for name in ('ID', 'age', 'sex') if name not in people.columns]
    if missing:
        raise InputError(
            f'{path}: column(s) {missing} missing, found {people.header}'
            f'{column_hint(missing, people.header)}'
        )
    rows: dict[str, int] = {}
    ages, sexes = [], []
    cells = zip(*(people.columns[name] for name in ('ID', 'age', 'sex')), strict=True)
    for row, (name, age, sex) in enumerate(cells):
        patient, years = clean(name), as_number(age)
        problem = identifier_problem(patient)
        if problem:
            problem = f'ID {patient!r} {problem}'
        elif patient in rows:
            problem = (
                f'the patient {patient!r} occurs a second time, first on line '
                f'{people.lines[rows[patient]]}; keep one row a patient'
            )
        elif years is None or not 0 <= years <= 120:
            problem = (
                f'age {age.strip()!r} is not a number of years between 0 and 120; '
                f'{number_remedy(age)}'
            )
        elif sex.strip().upper() not in ('F', 'M', 'FEMALE', 'MALE'):
            problem = f'sex {sex.strip()!r} is neither F nor M; write one of them'
        if problem:
            raise InputError(f'{people.place(row)}: {problem}')
        rows[patient] = row
        ages.append(years)
        sexes.append(sex.strip().upper()[0])
    check_distinct(rows, str(path))
    return pd.DataFrame({'ID': list(rows), 'age': np.array(ages, float), 'sex': sexes})


def _subsets(table: LabelTable, whole: str) -> dict[str, np.ndarray]:
    source = sources_of(table.patients)
    subsets = {whole: np.arange(len(table))}
    for name in order_sources(source):
        if name:
            subsets[name] = np.flatnonzero(source == name)
    return subsets
