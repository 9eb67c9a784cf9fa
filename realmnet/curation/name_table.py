"""Patients and eyes that a user tells: a pattern for names, or a table of pictures."""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from realmnet.curation.name_pattern import PictureName, day_of, plain_path, side_of
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
    table: dict[str, PictureName] = {}
    try:
        with Path(path).open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file, strict=True)
            header = [str(name).strip() for name in reader.fieldnames or ()]
            if not {'filename', 'patient', 'eye'} <= set(header) or len(set(header)) < len(header):
                raise InputError(
                    f'{path}: has the columns {header}, expected {", ".join(COLUMNS)}, each once '
                    '(date may be absent); correct the first line'
                )
            reader.fieldnames = header
            for row in reader:
                place = f'{path}, line {reader.line_num}'
                if None in row or None in row.values():
                    raise InputError(
                        f'{place}: does not have {len(header)} cells; put names with commas into '
                        'quotes'
                    )
                _add(table, {name: cell.strip() for name, cell in row.items()}, place)
    except FileNotFoundError:
        raise InputError(f'{path}: no such table of names') from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f'{path}: not a table of names, a CSV in UTF-8 was expected ({type(error).__name__})'
        ) from None
    if not table:
        raise InputError(f'{path}: the table of names has a header but no row')
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
    name, patient = plain_path(row['filename']), row['patient']
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
