"""The label table: one row an image, one 0/1 column a class, ``filename`` and ``ID``.

Every label file of this project is read, checked and written here, and the order of the classes
is defined here and nowhere else (:data:`PSMM`). Datasets, heads, metrics and figures take the
order from the schema.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from realmnet.curation.class_names import check_class_names
from realmnet.curation.csv_files import (
    CsvTable,
    as_number,
    column_hint,
    number_remedy,
    read_csv,
    write_csv,
)
from realmnet.curation.identifiers import (
    all_plain,
    clean,
    clean_name,
    identifier_problem,
    warn_of_look_alikes,
)
from realmnet.errors import InputError

FILENAME = 'filename'
PATIENT = 'ID'


class LabelTableError(InputError):
    """A label table that breaks the rules of its schema."""


@dataclass(frozen=True)
class LabelSchema:
    """Which classes a label table has, in which order, and which label sets are allowed.

    Attributes:
        name: What the schema is called in messages.
        classes: Column names, in the order that every model output and score follows.
        class_names: Readable names in the same order; the column names where not given.
        exclusive: Groups of classes of which every image has exactly one.
        allow_empty: Whether an image may have no label at all.
        allow_repeats: Whether a file name may stand on several rows, as in an over-sampled
            training list.
        diagnosis: Classes of which each means the disease; none where left out.

    Raises:
        LabelTableError: If a class has a name that cannot be used
            (:func:`realmnet.curation.class_names.check_class_names`) or is named twice, a group
            or the diagnosis holds an unknown class, or there are not as many readable names as
            classes.

    Example:
        >>> odir = LabelSchema('ODIR-5K', ('N', 'D', 'G'), allow_empty=True)
        >>> odir.num_classes
        3
    """

    name: str
    classes: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    exclusive: tuple[tuple[str, ...], ...] = ()
    allow_empty: bool = False
    allow_repeats: bool = False
    diagnosis: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, 'classes', tuple(self.classes))
        object.__setattr__(self, 'class_names', tuple(self.class_names) or self.classes)
        object.__setattr__(self, 'exclusive', tuple(tuple(group) for group in self.exclusive))
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise LabelTableError(
                f'schema {self.name!r}: classes {list(self.classes)} must be named, each once'
            )
        try:
            check_class_names(self.classes, self.class_names, f'schema {self.name!r}')
        except InputError as error:
            raise LabelTableError(str(error)) from None
        if len(self.class_names) != len(self.classes):
            raise LabelTableError(
                f'schema {self.name!r}: {len(self.class_names)} readable names for '
                f'{len(self.classes)} classes; give one each or none'
            )
        unknown = [c for group in self.exclusive for c in group if c not in self.classes]
        if unknown:
            raise LabelTableError(
                f'schema {self.name!r}: exclusive groups name unknown classes {unknown}; '
                f'the classes are {list(self.classes)}'
            )
        if isinstance(self.diagnosis, str):
            raise LabelTableError(
                f'schema {self.name!r}: diagnosis is {self.diagnosis!r}, expected a list of '
                f'classes; write [{self.diagnosis!r}]'
            )
        object.__setattr__(self, 'diagnosis', tuple(self.diagnosis))
        unknown = [name for name in self.diagnosis if name not in self.classes]
        if unknown or len(set(self.diagnosis)) < len(self.diagnosis):
            raise LabelTableError(
                f'schema {self.name!r}: the diagnosis names {unknown or list(self.diagnosis)}; '
                f'name each once, of the classes {list(self.classes)}'
            )

    @property
    def num_classes(self) -> int:
        """Number of classes, which a head's ``num_classes`` must equal."""
        return len(self.classes)

    @property
    def columns(self) -> list[str]:
        """All columns of a table of this schema, as they are written."""
        return [*self.classes, FILENAME, PATIENT]

    def resampled(self) -> LabelSchema:
        """Return the schema of a training list that a resampler made from this one.

        Over-sampling repeats file names, and decoupling (REMEDIAL) takes labels away, so
        repeats, empty rows and incomplete groups are allowed.
        """
        return replace(
            self, name=f'{self.name}-resampled', exclusive=(), allow_empty=True, allow_repeats=True
        )


#: Published order of PSMM: staphyloma no/yes, then the META-PM grade of myopic maculopathy.
PSMM = LabelSchema(
    name='PSMM',
    classes=('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4'),
    class_names=('NoPS', 'PS', 'NoMRL', 'TFO', 'DCA', 'PCA', 'MA'),
    exclusive=(('S0', 'S1'), ('A0', 'A1', 'A2', 'A3', 'A4')),
    # META-PM (Ohno-Matsui et al., Am J Ophthalmol 2015): staphyloma, or grade 2 and worse
    diagnosis=('S1', 'A2', 'A3', 'A4'),
)

#: Training lists made from PSMM by over-sampling or decoupling.
PSMM_RESAMPLED = PSMM.resampled()

# Labels as they are nearly always written.
_USUAL = {'0': 0, '1': 1, '0.0': 0, '1.0': 1}
_SCHEMAS = {schema.name: schema for schema in (PSMM, PSMM_RESAMPLED)}


def get_schema(schema: str | Mapping | LabelSchema) -> LabelSchema:
    """Return a schema from its name, from the fields in a config, or unchanged.

    Args:
        schema: ``'PSMM'``, a mapping with the fields of :class:`LabelSchema`, or a schema.

    Raises:
        LabelTableError: If the name is unknown or a field does not exist.

    Example:
        >>> get_schema('PSMM').classes[0]
        'S0'
        >>> get_schema(dict(name='PALM', classes=['N', 'H', 'P'])).num_classes
        3
    """
    if isinstance(schema, LabelSchema):
        return schema
    if isinstance(schema, str):
        if schema not in _SCHEMAS:
            raise LabelTableError(
                f'label schema {schema!r} is unknown; use one of {sorted(_SCHEMAS)} or give '
                'dict(name=..., classes=[...])'
            )
        return _SCHEMAS[schema]
    try:
        return LabelSchema(**schema)
    except TypeError as error:
        raise LabelTableError(
            f'label schema {dict(schema)} cannot be read ({error}); it takes name, classes and '
            'optionally class_names, exclusive, allow_empty, allow_repeats, diagnosis'
        ) from None


def schema_of(
    classes: Sequence[str] | LabelSchema,
    name: str | None = None,
    diagnosis: Sequence[str] | None = None,
) -> LabelSchema:
    """Return what classes mean, where only their names and little else are at hand.

    A name such as ``M`` or ``A4`` means nothing by itself. Exactly the seven classes of PSMM, in
    any order, are PSMM's unless they say to be of another schema.

    Args:
        classes: Class names, or a schema, which is returned as it is.
        name: The schema that they are said to be of.
        diagnosis: Classes that are said to mean the disease, PSMM's aside.

    Raises:
        LabelTableError: If the diagnosis names another class.

    Example:
        >>> schema_of(PSMM.classes).diagnosis, schema_of(['N', 'M']).diagnosis
        (('S1', 'A2', 'A3', 'A4'), ())
    """
    if isinstance(classes, LabelSchema):
        return classes
    classes = tuple(classes)
    # 'custom' is what a description says that was given no name
    unnamed = name == 'custom' and (diagnosis is None or tuple(diagnosis) == PSMM.diagnosis)
    if sorted(classes) == sorted(PSMM.classes) and (unnamed or name in (None, *_SCHEMAS)):
        names = dict(zip(PSMM.classes, PSMM.class_names, strict=True))
        schema = replace(PSMM, classes=classes, class_names=tuple(names[c] for c in classes))
        return schema if diagnosis is None else replace(schema, diagnosis=tuple(diagnosis))
    return LabelSchema(name or 'unnamed', classes, diagnosis=tuple(diagnosis or ()))


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
        values = [as_number(cell) for cell in cells]
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
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()
    return not absolute and '..' not in PurePosixPath(name).parts
