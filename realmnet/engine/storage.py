"""Writing files so that a crash leaves the old one or the new one, never half of one."""

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

try:
    import fcntl
except ImportError:  # Windows: no advisory locks; leftovers then stay until removed by hand
    fcntl = None

_LEFTOVER = '.{name}.{pid}.unfinished'


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; the system releases it if the process dies."""
    with path.open('a') as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _short(name: str) -> str:
    """Stand for a name that may be as long as a file system allows."""
    return f'{zlib.crc32(os.fsencode(name)):08x}'


class AtomicBackend(LocalBackend):
    """mmengine's local backend with atomic writes: ``backend_args=dict(backend='atomic')``.

    The content goes to a hidden file of the same folder, reaches the disk, and then takes the
    final name in one step. A hidden file that a killed run leaves behind is never read, and
    :func:`remove_leftovers` deletes it.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to ``filepath``; folders are made as needed."""
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(_LEFTOVER.format(name=_short(path.name), pid=os.getpid()))
        try:
            with unfinished.open('wb') as file:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX)  # tells remove_leftovers: in use
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
                os.replace(unfinished, path)  # noqa: PTH105 (tests replace it to fail)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to ``filepath``; folders are made as needed."""
        self.put(obj.encode(encoding), filepath)


def _sync_folder(folder: Path) -> None:
    """Bring a change of names to the disk, where the system has a way to."""
    if not hasattr(os, 'O_DIRECTORY'):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Delete what killed runs left unfinished in ``folder`` and the folders directly below it.

    A file that a living process is writing is locked and stays.

    Returns:
        The deleted paths.
    """
    removed = []
    if fcntl is None:
        return removed
    pattern = _LEFTOVER.format(name='*', pid='*')
    for path in [*Path(folder).glob(pattern), *Path(folder).glob(f'*/{pattern}')]:
        with contextlib.suppress(OSError), path.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed.append(path)
    return removed


register_backend('atomic', AtomicBackend, force=True)
