"""Groups of pictures to be judged separately: source, device, sex, age."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from realmnet.curation.cells import as_number
from realmnet.curation.csv_files import column_hint, read_csv
from realmnet.curation.identifiers import (
    alike_sentence,
    clean,
    clean_name,
    identifier_problem,
    look_alikes,
    name_spelling,
    near_match,
    spelling,
)
from realmnet.errors import InputError, InputWarning
from realmnet.evaluation.diagnosis import sources
from realmnet.evaluation.predictions import Predictions

#: Lower ends of the age groups, in years.
AGES = (0, 20, 40, 60)


def group_of(predictions: Predictions, name: str, table: str | os.PathLike) -> np.ndarray:
    """Group of each picture.

    Args:
        predictions: The pictures.
        name: ``source`` is read off the patient's name unless the table has such a column; any
            other name (``device``, ``sex``, ``age``) is a column of the table. Numbers of the
            column ``age`` are put into groups of 20 years.
        table: CSV with that column and ``filename`` or ``ID``; the predictions file itself may
            have it.

    Returns:
        Shape (N,), strings; ``unknown`` where the cell is empty.

    Raises:
        InputError: If the column is missing, a picture has no row, or one stands twice with
            different groups.

    Example:
        >>> group_of(predictions, 'sex', 'patients.csv')             # doctest: +SKIP
        array(['F', 'M', 'F'], dtype=object)
    """
    path = Path(table)
    cells: Mapping[str, list[str]] = {}
    if path.suffix.lower() == '.csv':
        groups = read_csv(path, 'a table of groups', 'no such table of groups')
        cells = groups.columns
    if name not in cells:
        if name == 'source':
            return _said(sources(predictions), name, path)
        raise InputError(
            f'{path}: no column {name!r}, found {list(cells)}{column_hint([name], cells)}; add it, '
            f'or name a CSV with {name!r} and filename or ID'
        )
    key = next((k for k in ('filename', 'ID') if k in cells), None)
    if key is None:
        hint = column_hint(['filename', 'ID'], cells)
        raise InputError(f'{path}: needs a column filename or ID beside {name!r}{hint}')
    cleaned, spelled = (clean_name, name_spelling) if key == 'filename' else (clean, spelling)
    known: dict[str, str] = {}
    lines: dict[str, int] = {}
    for row, (cell, value) in enumerate(zip(cells[key], cells[name], strict=True)):
        who, value = cleaned(cell), value.strip()
        if problem := identifier_problem(who):
            raise InputError(f'{groups.place(row)}: {key} {who!r} {problem}')
        if known.setdefault(who, value) != value:
            raise InputError(
                f'{groups.place(row)}: {key} {who!r} has the {name} {value!r}, but {known[who]!r} '
                f'on line {lines[who]}; keep what is right'
            )
        lines.setdefault(who, groups.lines[row])
    if alike := look_alikes(known, spelled):
        what = 'picture' if key == 'filename' else 'patient'
        sentence = f'{path}: {alike_sentence(alike, what)}'
        if any(len({known[who] for who in group}) > 1 for group in alike):
            raise InputError(sentence)
        warnings.warn(sentence, InputWarning, stacklevel=2)
    names = predictions.filenames if key == 'filename' else predictions.patients
    wanted = [cleaned(str(who)) for who in names]
    if absent := [who for who in wanted if who not in known]:
        near = near_match(absent[0], known, spelled)
        hint = f' (found {near!r}, which is written otherwise)' if near else ''
        raise InputError(
            f'{path}: {len(absent)} picture(s) have no row, for instance {absent[0]}{hint}'
        )
    values = [known[who] or 'unknown' for who in wanted]
    if name == 'age':
        values = [_age(value, path) for value in values]
        return np.array(values, dtype=object)
    return _said(np.array(values, dtype=object), name, path)


def _said(values: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Return the groups, and warn of those that look alike."""
    if alike := look_alikes(values):
        warnings.warn(f'{path}: {alike_sentence(alike, "group")}', InputWarning, stacklevel=3)
    return values


def _age(value: str, path: Path) -> str:
    if value.casefold() in ('unknown', 'na', 'n/a', 'nan', 'none', 'null', '.', '-', '?'):
        return 'unknown'
    if re.fullmatch(r'\d+ *[-–+] *\d*|[<>≥≤]=? *\d+', value):
        return value  # already a group
    years = as_number(value)
    if years is None or not 0 <= years < 130:
        raise InputError(
            f'{path}: the age {value!r} is no number of years, nor a group such as 40-59; write 45'
        )
    place = int(np.searchsorted(AGES, years, side='right')) - 1
    return f'{AGES[place]}+' if place == len(AGES) - 1 else f'{AGES[place]}-{AGES[place + 1] - 1}'
