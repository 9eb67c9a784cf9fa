"""Files that appear whole or not at all, and that one process at a time writes."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from realmnet.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: no advisory locks
    fcntl = None


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


def write_whole(path: str | os.PathLike, content: str | bytes) -> None:
    """Write a file so that it appears whole or not at all; its folder is made.

    Args:
        path: Target; an existing file is replaced.
        content: Text, which is written as UTF-8, or bytes.

    Raises:
        InputError: If it cannot be written.
    """
    path = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 (False, where Path.is_dir raises, for a long name)
        raise InputError(f'{path}: is a folder; name the file to write')
    make_folder(path.parent)
    temporary = beside(path)
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise not_writable(path, error) from None


def beside(path: Path) -> Path:
    """Return a hidden name in the same folder, which is short whatever the name of the file.

    A file system allows 255 bytes; a name that fits is not lengthened beyond that.
    """
    return path.with_name(f'.{os.getpid()}-{secrets.token_hex(4)}.tmp')


@contextmanager
def sole_writer(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock of a file, or refuse at once; the system releases it if the process dies.

    Args:
        path: The file; it is made if need be, in a folder that exists.
        refusal: The sentence to raise if another process holds the lock.

    Raises:
        InputError: If another process holds it, or the file cannot be written.

    Example:
        >>> with sole_writer(Path('findings.csv'), 'busy; wait'):    # doctest: +SKIP
        ...     append_rows()
    """
    try:
        file = path.open('a', encoding='utf-8')
    except OSError as error:
        raise not_writable(path, error) from None
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(refusal) from None
        except OSError:  # a file system without locks: better unlocked than not at all
            pass
        yield


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
    if error.errno == errno.ENAMETOOLONG:
        size = len(os.fsencode(path.name))
        return InputError(
            f'{path}: cannot be written, its name has {size} bytes and file systems allow 255; '
            'shorten it'
        )
    return InputError(f'{path}: cannot be written ({error.strerror or error}); name another place')
