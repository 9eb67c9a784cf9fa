"""Which picture each heat map in a folder was made from, so that no map outlives its picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from realmnet.curation.content import Content, content_of
from realmnet.curation.outputs import write_whole
from realmnet.errors import InputError
from realmnet.explain.pictures import FoundPicture

#: Table beside the heat maps: file, picture, size and digest of the picture.
RECORD = 'maps.csv'
_ANY_NAME = ('utf-8', 'surrogateescape')


class MapRecord:
    """What heat maps of a folder were made from; maps of pictures that changed are removed.

    Args:
        out: Folder of the heat maps.
        pictures: All pictures that were found now.

    Attributes:
        changed: Pictures that are others now; their earlier maps were removed.
        gone: Pictures with earlier maps that are not among those found now. The maps stay,
            because the pictures may lie in a folder that was not named this time.
    """

    def __init__(self, out: Path, pictures: Sequence[FoundPicture]) -> None:
        self.out = out
        self._rows = _read(out / RECORD)
        here = {picture.name: picture.path for picture in pictures}
        known: dict[str, Content] = dict(self._rows.values())
        self.gone = sorted(set(known) - set(here))
        self.changed = sorted(
            name for name in set(known) & set(here) if not _holds(here[name], known[name])
        )
        stale = set(self.changed)
        for file in [file for file, (name, _) in self._rows.items() if name in stale]:
            del self._rows[file]
            path = out / file
            if path.suffix == '.png' and out.resolve() in path.resolve().parents:
                path.unlink(missing_ok=True)

    def add(self, file: Path, name: str, content: Content) -> None:
        """Note what a heat map was made from."""
        self._rows[file.relative_to(self.out).as_posix()] = (name, content)

    def write(self) -> None:
        """Write the table, whole or not at all."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(['file', 'picture', 'size', 'digest'])
        writer.writerows([file, name, *content] for file, (name, content) in self._rows.items())
        write_whole(self.out / RECORD, text.getvalue().encode(*_ANY_NAME))


def _holds(path: Path, content: Content) -> bool:
    try:
        return content_of(path) == content
    except InputError:
        return False


def _read(path: Path) -> dict[str, tuple[str, Content]]:
    """Read the table of an earlier run; rows that are no such rows count as none."""
    rows = {}
    if path.is_file():
        text = path.read_bytes().decode(*_ANY_NAME).replace('\0', '')
        for row in csv.reader(io.StringIO(text, newline='')):
            try:
                file, name, size, digest = row
                rows[file] = (name, Content.parse(size, digest))
            except ValueError:
                continue
    return rows
