"""Groups of pictures to be judged separately: source, device, sex, age."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from realmnet.errors import InputError
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
        InputError: If the column is missing, or a picture has no row.

    Example:
        >>> group_of(predictions, 'sex', 'patients.csv')             # doctest: +SKIP
        array(['F', 'M', 'F'], dtype=object)
    """
    path = Path(table)
    frame = pd.DataFrame()
    if path.suffix == '.csv':
        if not path.is_file():
            raise InputError(f'{path}: no such table of groups')
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding='utf-8-sig')
        except (ValueError, pd.errors.ParserError) as error:
            raise InputError(
                f'{path}: not a table of groups, a CSV was expected ({type(error).__name__})'
            ) from None
    if name not in frame:
        if name == 'source':
            return sources(predictions)
        raise InputError(
            f'{path}: no column {name!r}, found {list(frame.columns)}; add it, or name a CSV with '
            f'{name!r} and filename or ID'
        )
    key = next((k for k in ('filename', 'ID') if k in frame), None)
    if key is None:
        raise InputError(f'{path}: needs a column filename or ID beside {name!r}')
    known = dict(zip(frame[key], frame[name].str.strip(), strict=True))
    wanted = predictions.filenames if key == 'filename' else predictions.patients
    absent = [str(k) for k in wanted if k not in known]
    if absent:
        raise InputError(f'{path}: {len(absent)} picture(s) have no row, for instance {absent[0]}')
    values = [known[k] or 'unknown' for k in wanted]
    if name == 'age':
        values = [_age(value, path) for value in values]
    return np.array(values, dtype=object)


def _age(value: str, path: Path) -> str:
    if value == 'unknown':
        return value
    try:
        years = float(value)
    except ValueError:
        return value  # already a group
    if not 0 <= years < 130:
        raise InputError(f'{path}: {value} is no age in years')
    place = int(np.searchsorted(AGES, years, side='right')) - 1
    return f'{AGES[place]}+' if place == len(AGES) - 1 else f'{AGES[place]}-{AGES[place + 1] - 1}'
