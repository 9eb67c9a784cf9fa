"""Patients and pictures that stand in two splits, in whatever spelling."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from realmnet.curation.identifiers import SPELLINGS, name_spelling, shared, spelling, written_note
from realmnet.curation.label_schema import FILENAME, PATIENT
from realmnet.curation.label_table import LabelTable
from realmnet.errors import LabelTableError


def check_disjoint(tables: Mapping[str, LabelTable]) -> None:
    """Check that no patient and no picture is in two splits, in whatever spelling.

    Args:
        tables: Split name to table, for instance ``{'train': ..., 'test': ...}``.

    Raises:
        LabelTableError: Names the first patient or picture, the two files and the number; or two
            that differ only in spelling (:func:`realmnet.curation.identifiers.spelling`).
    """
    for (first, a), (second, b) in itertools.combinations(tables.items(), 2):
        for column in (PATIENT, FILENAME):
            what = 'patient' if column == PATIENT else 'picture'
            both, alike = shared_identifiers(a, b, column)
            if both:
                row = int(np.flatnonzero(b.frame[column].isin(both))[0])
                name = b.frame[column].iloc[row]
                note = written_note(name, {**a.written, **b.written})
                raise LabelTableError(
                    f'{what} {name!r}{note} is in both {_split(first, a)} and {_split(second, b)}, '
                    f'{b.place(row)}, {len(both)} {what}(s) in all; assign every patient to one '
                    'split'
                )
            if alike:
                (name, other), more = alike[0], len(alike) - 1
                row = int(np.flatnonzero(b.frame[column] == other)[0])
                raise LabelTableError(
                    f'{what} {name!r} of {_split(first, a)} and {other!r} of {_split(second, b)}, '
                    f'{b.place(row)}, differ only by {SPELLINGS}'
                    + (f' ({more} more such pair(s))' if more else '')
                    + f'; write one {what} in one way and assign it to one split, or rename one'
                )


def shared_identifiers(
    first: LabelTable, second: LabelTable, column: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of a column that both tables hold, and pairs of names that look alike.

    See :func:`realmnet.curation.identifiers.shared`.
    """
    spelled = spelling if column == PATIENT else name_spelling
    return shared(first.frame[column], second.frame[column], spelled)


def _split(name: str, table: LabelTable) -> str:
    return name if name == table.source else f'{name} ({table.source})'
