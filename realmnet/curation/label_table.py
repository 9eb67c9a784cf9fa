"""The label table: one row an image, one 0/1 column a class, ``filename`` and ``ID``.

Every label file of this project is read, checked and written here, and the order of the classes
is defined here and nowhere else (:data:`PSMM`). Datasets, heads, metrics and figures take the
order from the schema.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from realmnet.curation.outputs import write_whole
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
        LabelTableError: If a class is named twice, a group or the diagnosis holds an unknown
            class, or there are not as many readable names as classes.

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
        if reserved := {FILENAME, PATIENT} & set(self.classes):
            raise LabelTableError(
                f'schema {self.name!r}: {sorted(reserved)} cannot be classes, those columns hold '
                'the picture and the patient'
            )
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
            and ``ID`` are strings. Row ``i`` stood on line ``i + 2`` of the file.
        schema: The schema that the rows satisfy.
        source: The file, for messages.
        ignored: Columns of the file that the schema does not name.
    """

    frame: pd.DataFrame
    schema: LabelSchema
    source: str
    ignored: tuple[str, ...] = ()

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
        return f'{self.source}, line {row + 2} ({self.frame[FILENAME].iloc[row]})'

    def take(self, rows: np.ndarray) -> LabelTable:
        """Return the table of ``rows`` (0-based positions), in the order given."""
        frame = self.frame.iloc[rows].reset_index(drop=True)
        return LabelTable(frame, self.schema, self.source, self.ignored)


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
    header, raw = _read_csv(Path(path))
    source = os.fspath(path)
    missing = [column for column in schema.columns if column not in header]
    if missing:
        hint = ''
        if missing == [PATIENT]:
            hint = ' (give each row its patient, or repeat the file name if they are unknown)'
        raise LabelTableError(
            f'{source}: column(s) {missing} missing, found {header}; schema {schema.name!r} '
            f'needs {schema.columns}{hint}'
        )
    if raw.empty:
        raise LabelTableError(f'{source}: the table has a header but no row; add labelled rows')

    frame = pd.DataFrame(
        {name: _labels(raw[name], name, raw[FILENAME], source) for name in schema.classes}
    )
    frame[FILENAME] = raw[FILENAME].str.strip()
    frame[PATIENT] = raw[PATIENT].str.strip()
    ignored = tuple(column for column in header if column not in schema.columns)
    table = LabelTable(frame, schema, source, ignored)
    check_label_table(table)
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
    _refuse(table, np.array([not _stays_inside(name) for name in frame[FILENAME].tolist()]),
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
    frame = table.frame[table.schema.columns]
    write_whole(path, frame.to_csv(index=False, lineterminator='\n'))


def check_disjoint(tables: Mapping[str, LabelTable]) -> None:
    """Check that no patient and no picture is in two splits.

    Args:
        tables: Split name to table, for instance ``{'train': ..., 'test': ...}``.

    Raises:
        LabelTableError: Names the first patient or picture, the two files and the number.
    """
    names = list(tables)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            for column, what in ((PATIENT, 'patient'), (FILENAME, 'picture')):
                a, b = tables[first], tables[second]
                shared = np.flatnonzero(b.frame[column].isin(set(a.frame[column])))
                if len(shared):
                    value = b.frame[column].iloc[shared[0]]
                    number = b.frame[column].iloc[shared].nunique()
                    raise LabelTableError(
                        f'{what} {value!r} is in both {_split(first, a)} and {_split(second, b)}, '
                        f'line {shared[0] + 2}, {number} {what}(s) in all; assign every patient '
                        'to one split'
                    )


def _split(name: str, table: LabelTable) -> str:
    return name if name == table.source else f'{name} ({table.source})'


def missing_pictures(table: LabelTable, folder: str | os.PathLike) -> list[str]:
    """List the pictures of a table that are not in ``folder``, in the order of the table.

    Each sub-folder is listed once, so that a network disk is asked a few times and not once for
    every picture.

    Args:
        table: The label table.
        folder: The picture folder, ``JPEGImages`` in PSMM.
    """
    folder = Path(folder)
    present: dict[str, set[str]] = {}
    missing = []
    for name in table.filenames:
        parent, _, base = name.rpartition('/')
        if parent not in present:
            path = folder / parent
            present[parent] = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
        if base not in present[parent]:
            missing.append(name)
    return missing


def examples(names: Sequence[str], most: int = 5) -> str:
    """Join the first ``most`` names for a message, saying how many more there are."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def _read_csv(path: Path) -> tuple[list[str], pd.DataFrame]:
    if not path.is_file():
        raise LabelTableError(
            f'{path}: no such label file; see data/README.md for the expected tree, or correct '
            'ann_file'
        )
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            header = [name.strip() for name in next(csv.reader(file), [])]
        if len(set(header)) != len(header):
            twice = sorted({name for name in header if header.count(name) > 1})
            raise LabelTableError(f'{path}: column(s) {twice} occur twice; keep one each')
        raw = pd.read_csv(
            path, names=header, header=0, dtype=str, keep_default_na=False, encoding='utf-8-sig',
            index_col=False,
        )  # fmt: skip
    except (UnicodeDecodeError, csv.Error, pd.errors.ParserError, pd.errors.EmptyDataError) as e:
        reason = ' '.join(str(e).split())
        raise LabelTableError(
            f'{path}: cannot be read as CSV ({reason}); save it as comma-separated UTF-8 with a '
            'header'
        ) from None
    # A short row leaves NaN even with keep_default_na=False.
    return header, raw.fillna('')


def _labels(column: pd.Series, name: str, filenames: pd.Series, source: str) -> np.ndarray:
    values = pd.to_numeric(column.str.strip(), errors='coerce').to_numpy(float)
    bad = np.flatnonzero(~np.isin(values, (0.0, 1.0)))
    if len(bad):
        first = bad[0]
        raise LabelTableError(
            f'{source}, line {first + 2} ({filenames.iloc[first]}): label {name} is '
            f'{column.iloc[first]!r}, expected 0 or 1 ({len(bad)} such row(s)); correct the file'
        )
    return values.astype(np.int8)


def _refuse(table: LabelTable, bad: np.ndarray, problem: str, remedy: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise LabelTableError(
            f'{table.line(rows[0])}: {problem} ({len(rows)} such row(s)); {remedy}'
        )


def _stays_inside(name: str) -> bool:
    if name[:1] != '/' and '..' not in name and ':' not in name and '\\' not in name:
        return True  # nearly every name; parsing paths would take most of the reading time
    path = PurePosixPath(name)
    absolute = path.is_absolute() or PureWindowsPath(name).is_absolute()
    return not absolute and '\\' not in name and '..' not in path.parts
