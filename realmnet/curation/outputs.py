"""Files that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """Give a hidden folder to write into; move its files to ``folder`` if all went well.

    Nothing is moved, and nothing is left behind, if the block raises. Existing files of the same
    names are replaced, others stay.

    Args:
        folder: Where the files end up; it is made if need be.

    Example:
        >>> with staged('out') as place:                         # doctest: +SKIP
        ...     (place / 'a.csv').write_text('x')
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix='.staged.', dir=folder))
    try:
        yield place
        for path in sorted(p for p in place.rglob('*') if p.is_file()):
            target = folder / path.relative_to(place)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    finally:
        shutil.rmtree(place, ignore_errors=True)
