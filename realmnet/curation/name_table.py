"""Patients and eyes that a user tells: a pattern for names, or a table of pictures."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from realmnet.curation.csv_files import column_hint, read_csv
from realmnet.curation.identifiers import (
    clean,
    clean_name,
    identifier_problem,
    warn_of_look_alikes,
)
from realmnet.curation.name_pattern import PictureName, day_of, side_of
from realmnet.curation.picture_names import LEFT_OUT, PATTERNS, PictureNames, Recognised
from realmnet.errors import InputError

COLUMNS = ('filename', 'patient', 'eye', 'date')


def read_names(path: str | os.PathLike) -> PictureNames:
    """Read a table of pictures with their patients, eyes and days.

    Args:
        path: CSV with the columns ``filename`` (relative to the folder of pictures), ``patient``,
            ``eye`` (OD, OS, right, left, ...) and, if known, ``date`` (2020-12-27). An empty cell
            is unknown.

    Raises:
        InputError: With file and line, if the file is missing or no such table, a cell is no
            side or no day, or a picture stands on two lines that differ.

    Example:
        >>> read_names('eyes.csv').read('scan 12.jpg').patient                # doctest: +SKIP
        'P001'
    """
    cells = read_csv(path, 'a table of names', 'no such table of names')
    if missing := [name for name in COLUMNS[:3] if name not in cells.columns]:
        raise InputError(
            f'{path}: column(s) {missing} missing, found {cells.header}, expected '
            f'{", ".join(COLUMNS)} (date may be absent){column_hint(missing, cells.header)}'
        )
    table: dict[str, PictureName] = {}
    for row in range(len(cells)):
        named = {name: clean(column[row]) for name, column in cells.columns.items()}
        _add(table, named, cells.place(row))
    if not table:
        raise InputError(f'{path}: the table of names has a header but no row')
    warn_of_look_alikes(str(path), [name.patient for name in table.values() if name.patient])
    return PictureNames(table=table)


def add_name_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--name-pattern`` and ``--names``, which :func:`names_from` reads."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--name-pattern', action='append', default=[], metavar='PATTERN',
        help=f'how file names tell patient and eye: {", ".join(PATTERNS)}, or a template of '
        '{patient} {eye} {date} {index} {any}, such as {patient}_{eye}_{date}; may be repeated',
    )  # fmt: skip
    group.add_argument('--names', type=Path, metavar='FILE',
                       help='CSV filename,patient,eye,date that tells them instead')  # fmt: skip


def names_from(args: argparse.Namespace) -> PictureNames:
    """Return what a command line says of names.

    Raises:
        InputError: As for :class:`PictureNames` and :func:`read_names`.
    """
    return read_names(args.names) if args.names else PictureNames(args.name_pattern)


def say_names(filenames: Iterable[str], names: PictureNames, unknown: str = LEFT_OUT) -> None:
    """Print what is read off names, before anything is pooled; standard output stays a table.

    Args:
        filenames: Names of the pictures.
        names: How they are read.
        unknown: What becomes of pictures with unknown names.
    """
    print(Recognised.of(filenames, names).text(unknown), file=sys.stderr)


def _add(table: dict[str, PictureName], row: dict[str, str], place: str) -> None:
    name, patient = clean_name(row['filename']), row['patient']
    if patient and (problem := identifier_problem(patient)):
        raise InputError(f'{place} ({name}): patient {patient!r} {problem}')
    if not name:
        raise InputError(f'{place}: filename is empty; name the picture')
    side = side_of(row['eye']) if row['eye'] else ''
    if side is None:
        raise InputError(
            f'{place} ({name}): eye is {row["eye"]!r}, expected OD or OS (right or left), OU for '
            'both, or nothing if it is unknown'
        )
    text = row.get('date', '')
    day = day_of(text) if re.fullmatch(r'\d{4}([-_.]?)\d\d\1\d\d', text) else None
    if text and not day:
        raise InputError(f'{place} ({name}): date is {text!r}, expected a day such as 2020-12-27')
    mine = PictureName(patient or None, side if side in ('OD', 'OS') else None, day or '', 'table')
    if table.setdefault(name, mine) != mine:
        raise InputError(f'{place} ({name}): differs from an earlier line; keep one')
