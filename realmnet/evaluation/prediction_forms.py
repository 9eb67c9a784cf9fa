"""The three forms of a predictions file, CSV, JSON and mmengine's dump, as one table of cells."""

from __future__ import annotations

import json
import os
import posixpath
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realmnet.curation.cells import as_flag, as_number, number_remedy
from realmnet.curation.class_names import SCORE
from realmnet.curation.csv_files import column_hint, read_csv
from realmnet.curation.identifiers import (
    all_plain,
    clean,
    clean_name,
    identifier_problem,
    warn_of_look_alikes,
)
from realmnet.curation.label_schema import PSMM
from realmnet.errors import InputError, InputWarning
from realmnet.evaluation.dumped import read_dump
from realmnet.evaluation.metrics import score_problem


@dataclass(frozen=True)
class ScoreTable:
    """What a predictions file holds, cell by cell.

    Attributes:
        source: The file, for messages.
        columns: Column name to its cells: text, numbers, or None.
        rows: What each row is called in messages, ``line 2``.
    """

    source: str
    columns: dict[str, list]
    rows: list[str]

    def __len__(self) -> int:
        return len(self.rows)

    def place(self, row: int) -> str:
        """Name row ``row`` (0-based) with its picture."""
        return f'{self.source}, {self.rows[row]} ({self.columns["filename"][row]})'

    def checked(
        self, classes: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return file names (N,), patients (N,), scores (N, C) and truth (N, C).

        Raises:
            InputError: As for :func:`realmnet.evaluation.predictions.read_predictions`.
        """
        filenames = self._names('filename', clean_name)
        first: dict[str, int] = {}
        for row, name in enumerate(filenames):
            if first.setdefault(name, row) != row:
                raise InputError(
                    f'{self.place(row)}: the picture occurs twice, first on '
                    f'{self.rows[first[name]]}; keep one row a picture'
                )
        patients = self._patients(classes, filenames)
        scores = self._numbers([c + SCORE for c in classes])
        if problem := score_problem(scores):
            row = int(np.flatnonzero(~((scores >= 0) & (scores <= 1)).all(1))[0])
            problem = problem.replace(f'row {row + 1} holds', 'it holds')
            raise InputError(f'{self.place(row)}: {problem}')
        truth = self._numbers(classes, as_flag)
        wrong = np.flatnonzero(~np.isin(truth, (0, 1)).all(1))
        if len(wrong):
            raise InputError(
                f'{self.place(wrong[0])}: a truth is not 0 or 1 ({truth[wrong[0]].tolist()}; '
                f'{len(wrong)} such row(s)); correct the file'
            )
        return filenames, patients, scores, truth.astype(np.int8)

    def _patients(self, classes: Sequence[str], filenames: np.ndarray) -> np.ndarray:
        if 'ID' in self.columns:
            patients = self._names('ID', clean)
            warn_of_look_alikes(self.source, patients, filenames)
            return patients
        known = {'filename', *classes, *(c + SCORE for c in classes)}
        others = [name for name in self.columns if name not in known]
        if hint := column_hint(['ID'], others):
            raise InputError(
                f'{self.source}: no column ID, which holds the patient{hint}; rename the column, '
                'or remove it if each picture is its own patient'
            )
        warnings.warn(
            f'{self.source}: no column ID, so each picture counts as its own patient; add the '
            'patients if some have several pictures',
            InputWarning,
            stacklevel=4,
        )
        warn_of_look_alikes(self.source, filenames=filenames)
        return filenames

    def _names(self, column: str, cleaned: Callable[[str], str]) -> np.ndarray:
        cells = self.columns[column]
        if all(isinstance(cell, str) for cell in cells) and all_plain(cells):
            return np.array(cells, dtype=object)  # nearly every file
        names = []
        for row, cell in enumerate(cells):
            if isinstance(cell, str):
                name = cleaned(cell)
                problem = identifier_problem(name)
            elif cell is None:
                name, problem = '', identifier_problem('')
            else:
                name = str(cell)
                problem = 'is a number, which keeps no leading zeros; write it as text, in quotes'
            if problem:
                shown = f'{column} {name!r}' if name else column
                raise InputError(f'{self.source}, {self.rows[row]}: {shown} {problem}')
            names.append(name)
        return np.array(names, dtype=object)

    def _numbers(
        self,
        columns: Sequence[str],
        read: Callable[[object], float | None] = as_number,
    ) -> np.ndarray:
        values = np.empty((len(self), len(columns)))
        for place, column in enumerate(columns):
            cells = self.columns[column]
            try:
                if isinstance(cells[0], str) and '_' in ''.join(cells):
                    raise ValueError  # Python takes 1_0 for ten
                values[:, place] = list(map(float, cells))
            except (ValueError, TypeError, OverflowError):  # an empty cell, TRUE, or no number
                for row, cell in enumerate(cells):
                    number = read(cell)
                    if number is None:
                        raise InputError(
                            f'{self.place(row)}: column {column} is {cell!r}, columns '
                            f'{list(columns)} must hold numbers; {number_remedy(cell)}'
                        ) from None
                    values[row, place] = number
        return values


def text_table(path: str | os.PathLike, absent: str) -> ScoreTable:
    """Read the CSV form; ``absent`` is said if there is no such file."""
    table = read_csv(path, 'a predictions file', absent)
    return ScoreTable(str(path), table.columns, [f'line {line}' for line in table.lines])


def json_table(path: Path) -> tuple[ScoreTable, dict]:
    """Read the JSON form.

    Returns:
        The table, and the further keys.

    Raises:
        InputError: If it has another shape, or a key stands twice in one object.
    """
    try:
        info = json.loads(path.read_bytes().decode('utf-8-sig'), object_pairs_hook=_once)
        if not isinstance(info, dict) or not isinstance(info.get('predictions'), list):
            raise TypeError('expected an object with the key predictions, a list')
        if not isinstance(info.get('classes', []), list):
            raise TypeError('classes are no list')
        if not isinstance(info.get('checkpoint', ''), str | None):
            raise TypeError('checkpoint is no text')
        if not isinstance(info.get('schema', ''), str | None):
            raise TypeError('schema is no text')
        if not isinstance(info.get('label_schema', {}), dict):
            raise TypeError('label_schema is no object')
        diagnosis = info.get('diagnosis') or []
        if not isinstance(diagnosis, list) or not all(isinstance(n, str) for n in diagnosis):
            raise TypeError('diagnosis is no list of classes')
        records = info.pop('predictions')
        if not all(isinstance(record, dict) for record in records):
            raise TypeError('each prediction must be an object')
    except (ValueError, TypeError, RecursionError) as error:
        # Its own words, but not the bytes that a UnicodeDecodeError carries.
        said = error.reason if isinstance(error, UnicodeDecodeError) else str(error).strip()
        raise InputError(
            f'{path}: not a predictions file ({type(error).__name__}: {said})'
        ) from None
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [record.get(name) for record in records] for name in names}
    return ScoreTable(str(path), columns, [f'row {i + 1}' for i in range(len(records))]), info


def _once(pairs: list[tuple[str, object]]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the key {twice!r} stands twice in one object; keep one')
    return content


def dump_table(path: Path, classes: Sequence[str] | None) -> ScoreTable:
    """Lay out a list of mmpretrain's data samples.

    A sample without ``filename`` is named by its path, relative to the folder that all have in
    common: two sites may hold one file name.

    Args:
        path: The dump.
        classes: Names of its scores; PSMM's where None.

    Raises:
        InputError: If it is something else, or has scores of other classes.
    """
    samples = read_dump(path)
    if not (isinstance(samples, list) and samples and all(isinstance(s, dict) for s in samples)):
        raise InputError(f'{path}: not a list of predictions, which mmengine dumps')
    names = tuple(classes or PSMM.classes)
    pictures, rows = _pictures(samples), []
    for number, (sample, picture) in enumerate(zip(samples, pictures, strict=True), 1):
        absent = [key for key in ('pred_score', 'gt_score') if key not in sample]
        if absent or not picture:
            raise InputError(
                f'{path}, prediction {number}: {absent or ["filename"]} missing; dump a '
                "multi-label model's test run with filename among PackInputs' meta_keys"
            )
        score, truth = np.ravel(sample['pred_score']), np.ravel(sample['gt_score'])
        if len(score) != len(names) or len(truth) != len(names):
            raise InputError(
                f'{path}, prediction {number}: {len(score)} scores and {len(truth)} labels for '
                f'{len(names)} classes {list(names)}; give the class names in their order'
            )
        rows.append([*map(float, score), *map(float, truth)])
    cells = zip(*rows, strict=True)
    titles = [*(c + SCORE for c in names), *names]
    columns = {'filename': pictures}
    patients = [sample.get('patient', sample.get('ID')) for sample in samples]
    if any(patient is not None for patient in patients):
        columns['ID'] = patients
    columns |= {name: list(column) for name, column in zip(titles, cells, strict=True)}
    for group in () if classes else PSMM.exclusive:
        odd = np.flatnonzero(np.sum([columns[name] for name in group], axis=0) != 1)
        if len(odd):
            raise InputError(
                f'{path}, prediction {odd[0] + 1}: a dump has no class names, and its labels are '
                f"not PSMM's, which have exactly one of {list(group)}; give the class names in "
                'their order (--classes)'
            )
    numbered = [f'prediction {number}' for number in range(1, len(samples) + 1)]
    return ScoreTable(str(path), columns, numbered)


def _pictures(samples: Sequence[dict]) -> list:
    paths = [
        '' if sample.get('filename') else clean_name(str(sample.get('img_path') or ''))
        for sample in samples
    ]
    folders = {posixpath.dirname(path) for path in paths if path}
    try:
        common = posixpath.commonpath(folders) if folders else ''
    except ValueError:  # absolute and relative paths
        common = ''
    return [
        (posixpath.relpath(path, common) if common else path) if path else sample.get('filename')
        for sample, path in zip(samples, paths, strict=True)
    ]
