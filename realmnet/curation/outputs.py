"""Files that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from realmnet.errors import InputError


@contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """Give a hidden folder to write into; move its files to ``folder`` if all went well.

    Nothing is moved, and nothing is left behind, if the block raises. Existing files of the same
    names are replaced, others stay.

    Args:
        folder: Where the files end up; it is made if need be.

    Raises:
        InputError: If the folder cannot be made or written to.

    Example:
        >>> with staged('out') as place:                         # doctest: +SKIP
        ...     (place / 'a.csv').write_text('x')
    """
    folder = Path(folder)
    make_folder(folder)
    try:
        place = Path(tempfile.mkdtemp(prefix='.staged.', dir=folder))
    except OSError as error:
        raise not_writable(folder, error) from None
    try:
        yield place
        for path in sorted(p for p in place.rglob('*') if p.is_file()):
            target = folder / path.relative_to(place)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents.

    Raises:
        InputError: If something else has the name, or nothing may be made there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(folder, error) from None


def not_writable(path: Path, error: OSError) -> InputError:
    """Say in one sentence that nothing can be written to a place."""
    return InputError(f'{path}: cannot be written ({error.strerror or error}); name another place')
