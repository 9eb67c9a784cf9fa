"""The label table: one row an image, one 0/1 column a class, ``filename`` and ``ID``.

Every label file of this project is read, checked and written here; what its classes mean stands
in :mod:`realmnet.curation.label_schema`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from realmnet.curation.cells import as_flag, number_remedy
from realmnet.curation.csv_files import CsvTable, column_hint, read_csv, write_csv
from realmnet.curation.identifiers import (
    all_plain,
    clean,
    clean_name,
    identifier_problem,
    warn_of_look_alikes,
)
from realmnet.curation.label_schema import (
    FILENAME,
    PATIENT,
    PSMM,
    LabelSchema,
    get_schema,
)
from realmnet.errors import InputError, LabelTableError

# Labels as they are nearly always written.
_USUAL = {'0': 0, '1': 1, '0.0': 0, '1.0': 1}


@dataclass(frozen=True)
class LabelTable:
    """A checked label table.

    Attributes:
        frame: Columns ``schema.columns`` in that order; labels are ``int8`` 0 or 1, ``filename``
            and ``ID`` are strings, written as :mod:`realmnet.curation.identifiers` says.
        schema: The schema that the rows satisfy.
        source: The file, for messages.
        ignored: Columns of the file that the schema does not name.
        lines: Line of the file on which each row stood, shape (N,); None if the table is of no
            file.
        written: File names and patients that the file writes otherwise, and how.
    """

    frame: pd.DataFrame
    schema: LabelSchema
    source: str
    ignored: tuple[str, ...] = ()
    lines: np.ndarray | None = None
    written: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def labels(self) -> np.ndarray:
        """Labels as ``int8`` of shape (N, C)."""
        return self.frame[list(self.schema.classes)].to_numpy(np.int8)

    @property
    def filenames(self) -> np.ndarray:
        """Picture paths relative to the picture folder, shape (N,)."""
        return self.frame[FILENAME].to_numpy(object)

    @property
    def patients(self) -> np.ndarray:
        """Patient identifiers, shape (N,)."""
        return self.frame[PATIENT].to_numpy(object)

    def line(self, row: int) -> str:
        """Name row ``row`` (0-based) as a reader of the file finds it."""
        return f'{self.source}, {self.place(row)} ({self.frame[FILENAME].iloc[row]})'

    def place(self, row: int) -> str:
        """Name the line of row ``row`` in its file."""
        return f'row {row + 1}' if self.lines is None else f'line {self.lines[row]}'

    def take(self, rows: np.ndarray) -> LabelTable:
        """Return the table of ``rows`` (0-based positions), in the order given."""
        frame = self.frame.iloc[rows].reset_index(drop=True)
        lines = None if self.lines is None else self.lines[rows]
        return replace(self, frame=frame, lines=lines)


def read_label_table(
    path: str | os.PathLike, schema: str | Mapping | LabelSchema = PSMM
) -> LabelTable:
    """Read a label file and check it against its schema.

    Labels may be written ``0``/``1`` or ``0.0``/``1.0``. Columns that the schema does not name
    are left out and listed in :attr:`LabelTable.ignored`.

    Args:
        path: A CSV file with a header.
        schema: What the file must satisfy; see :func:`get_schema`.

    Returns:
        The table, rows in the order of the file.

    Raises:
        LabelTableError: One sentence with file, line and remedy, if the file is missing or not a
            table, lacks a column, has a label that is not 0 or 1, an empty label set or two
            labels of one group where the schema forbids it, an empty or duplicate file name, or
            a file name that leaves the picture folder.

    Example:
        >>> table = read_label_table('ImageSets/Main/test.csv')   # doctest: +SKIP
        >>> table.labels.shape                                    # doctest: +SKIP
        (6574, 7)
    """
    schema = get_schema(schema)
    try:
        raw = read_csv(
            path,
            'a label table',
            'no such label file; see data/README.md for the expected tree, or correct ann_file',
        )
    except InputError as error:
        raise LabelTableError(str(error)) from None
    source = os.fspath(path)
    missing = [column for column in schema.columns if column not in raw.columns]
    if missing:
        hint = column_hint(missing, raw.header)
        if missing == [PATIENT] and not hint:
            hint = ' (give each row its patient, or repeat the file name if they are unknown)'
        raise LabelTableError(
            f'{source}: column(s) {missing} missing, found {raw.header}; schema {schema.name!r} '
            f'needs {schema.columns}{hint}'
        )
    if not len(raw):
        raise LabelTableError(f'{source}: the table has a header but no row; add labelled rows')

    frame = pd.DataFrame({name: _labels(raw, name) for name in schema.classes})
    written: dict[str, str] = {}
    for column, cleaned in ((FILENAME, clean_name), (PATIENT, clean)):
        names = cells = raw.columns[column]
        if not all_plain(cells):
            names = [cleaned(cell) for cell in cells]
            pairs = zip(names, map(str.strip, cells), strict=True)
            written |= {name: cell for name, cell in pairs if name != cell}
        frame[column] = np.array(names, object)
    ignored = tuple(column for column in raw.header if column not in schema.columns)
    table = LabelTable(frame, schema, source, ignored, raw.lines, written)
    check_label_table(table)
    warn_of_look_alikes(source, table.patients, table.filenames)
    return table


def check_label_table(table: LabelTable) -> None:
    """Check the rows of a table against its schema.

    Args:
        table: The table; labels must already be 0 or 1.

    Raises:
        LabelTableError: As for :func:`read_label_table`.
    """
    frame, schema = table.frame, table.schema
    for column, what in ((FILENAME, 'picture'), (PATIENT, 'patient')):
        _refuse(table, (frame[column] == '').to_numpy(), f'column {column!r} is empty',
                f'name the {what} of each row')  # fmt: skip
        names = frame[column].tolist()
        if all_plain(names):
            continue  # nearly every table
        for row, name in enumerate(names):
            if problem := identifier_problem(name):
                raise LabelTableError(f'{table.line(row)}: {what} {name!r} {problem}')
        if column == FILENAME:
            _refuse(table, np.array([not _stays_inside(name) for name in names]),
            'the file name leaves the picture folder',
            'use relative names with "/" and without ".."')  # fmt: skip
    if not schema.allow_repeats:
        _refuse(table, frame[FILENAME].duplicated().to_numpy(),
                'the file name occurs a second time',
                'keep one row an image, or read an over-sampled list with its schema '
                "(for PSMM 'PSMM-resampled')")  # fmt: skip
    labels = table.labels
    for group in schema.exclusive:
        columns = [schema.classes.index(name) for name in group]
        _refuse(table, labels[:, columns].sum(1) > 1,
                f'more than one of {list(group)} is 1', 'keep exactly one')  # fmt: skip
        _refuse(table, labels[:, columns].sum(1) == 0,
                f'none of {list(group)} is 1', 'set exactly one')  # fmt: skip
    if not schema.allow_empty:
        _refuse(table, labels.sum(1) == 0, 'the row has no label at all',
                'set one, drop the row, or use a schema with allow_empty=True')  # fmt: skip


def write_label_table(table: LabelTable, path: str | os.PathLike) -> None:
    """Write a table so that the file appears whole or not at all.

    Args:
        table: What to write; it is checked first.
        path: Target; its folder is made, an existing file is replaced.

    Raises:
        LabelTableError: If the table breaks its schema.
        InputError: If ``path`` is a folder or cannot be written.
    """
    check_label_table(table)
    columns = table.schema.columns
    write_csv(path, columns, zip(*(table.frame[name].tolist() for name in columns), strict=True))


def examples(names: Sequence[str], most: int = 5) -> str:
    """Join the first ``most`` names for a message, saying how many more there are."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def _labels(raw: CsvTable, name: str) -> np.ndarray:
    cells = raw.columns[name]
    try:
        return np.frombuffer(bytes(map(_USUAL.__getitem__, cells)), np.int8)
    except KeyError:
        values = [as_flag(cell) for cell in cells]
    bad = [row for row, value in enumerate(values) if value not in (0.0, 1.0)]
    if bad:
        first = bad[0]
        raise LabelTableError(
            f'{raw.place(first)} ({raw.columns[FILENAME][first].strip()}): label {name} is '
            f'{cells[first]!r}, expected 0 or 1 ({len(bad)} such row(s)); '
            f'{number_remedy(cells[first])}'
        )
    return np.array(values, np.int8)


def _refuse(table: LabelTable, bad: np.ndarray, problem: str, remedy: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise LabelTableError(
            f'{table.line(rows[0])}: {problem} ({len(rows)} such row(s)); {remedy}'
        )


def _stays_inside(name: str) -> bool:
    if name[:1] != '/' and '..' not in name and ':' not in name:
        return True  # nearly every name; parsing paths takes long
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()
    return not absolute and '..' not in PurePosixPath(name).parts
