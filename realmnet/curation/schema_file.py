"""Which classes a label table has, as named on a command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from realmnet.curation.label_schema import LabelSchema, get_schema
from realmnet.errors import LabelTableError


def read_schema(text: str) -> LabelSchema:
    """Return a schema from its name or from a JSON file with its fields.

    Args:
        text: ``PSMM``, ``PSMM-resampled``, or a file such as ``{"name": "ODIR-5K", "classes":
            ["N", "D"], "allow_empty": true}``.

    Raises:
        LabelTableError: If it is neither, or the fields are wrong.

    Example:
        >>> read_schema('PSMM').num_classes
        7
    """
    path = Path(text)
    if path.suffix.lower() != '.json':
        return get_schema(text)
    try:
        fields = json.loads(path.read_text(encoding='utf-8-sig'))
    except (OSError, ValueError) as error:
        raise LabelTableError(f'{path}: not a readable JSON file ({error})') from None
    if not isinstance(fields, dict):
        raise LabelTableError(f'{path}: expected an object with name and classes')
    try:
        return get_schema(fields)
    except LabelTableError as error:
        raise LabelTableError(f'{path}: {error}') from None


def add_schema_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--schema`` and ``--classes``, which :func:`schema_from` reads."""
    parser.add_argument('--schema', default='PSMM', help='name, or JSON file with its fields')
    parser.add_argument('--classes', nargs='+', metavar='COLUMN',
                        help='class columns, instead of a schema')  # fmt: skip


def schema_from(args: argparse.Namespace) -> LabelSchema:
    """Return the schema that a command line names.

    Raises:
        LabelTableError: As for :func:`read_schema`.
    """
    if args.classes:
        return LabelSchema('custom', tuple(args.classes), allow_empty=True)
    return read_schema(args.schema)
