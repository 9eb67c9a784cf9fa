"""Whether the pictures that a label table lists are there."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from realmnet.curation.identifiers import name_spelling, near_match
from realmnet.curation.label_table import LabelTable


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
            present[parent] = _listed(folder / parent)
        if base not in present[parent]:
            missing.append(name)
    return missing


def near_picture(name: str, folder: str | os.PathLike) -> str:
    """Say which picture of the folder a missing one may be, by case or another ending.

    Example:
        >>> near_picture('a.jpg', 'no such folder')
        ''
    """
    parent, _, base = name.rpartition('/')
    other = near_match(base, sorted(_listed(Path(folder, parent))), name_spelling)
    return f' (found {other!r}, expected {base!r})' if other else ''


def _listed(folder: Path) -> set[str]:
    """Names in a folder as a table writes them; macOS decomposes accents."""
    if not folder.is_dir():
        return set()
    names = {entry.name for entry in folder.iterdir()}
    return names | {unicodedata.normalize('NFC', name) for name in names if not name.isascii()}
