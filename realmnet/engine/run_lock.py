"""One training at a time in a work folder."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging import Logger
from pathlib import Path

from realmnet.curation.outputs import not_writable
from realmnet.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: no advisory locks
    fcntl = None

#: The file that is locked; it says who holds it.
FILE = '.training.lock'


@contextmanager
def sole_training(work_dir: str | Path, logger: Logger) -> Iterator[None]:
    """Hold the lock of a work folder, or refuse at once; a dead process holds none.

    The lock belongs to this process, not to the workers that it forks, and ends with it, however
    it ends. Where the file system has no locks, the log says so.

    Args:
        work_dir: The folder; it exists.
        logger: Told if there are no locks.

    Raises:
        InputError: If another training holds it, or the file cannot be written.
    """
    path = Path(work_dir, FILE)
    try:
        file = path.open('a+', encoding='utf-8')
    except OSError as error:
        raise not_writable(path, error) from None
    with file:
        try:
            if fcntl is None:
                raise OSError('this system has no file locks')
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            owner = file.read(500).strip() or 'it does not say which'
            raise InputError(
                f'{work_dir}: another training is at work there ({owner}); wait for it, stop it, '
                'or name another --work-dir'
            ) from None
        except OSError as error:
            logger.warning(
                f'{path} cannot be locked ({error.strerror or error}): nothing will notice a '
                'second training in the same folder.'
            )
        file.seek(0)
        file.truncate()
        started = time.strftime('%Y-%m-%d %H:%M:%S')
        file.write(f'process {os.getpid()} on {socket.gethostname()}, since {started}\n')
        file.flush()
        yield
