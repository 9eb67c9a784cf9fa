"""What a result was made from: size and digest of a file, so that no result outlives its picture.

Whoever keeps a result beside its picture's name (findings, prepared pictures, heat maps) keeps
these two with it. The result counts only as long as both hold; the time of the file says nothing,
because copies and archives set it as they like.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from realmnet.errors import InputError

_DIGEST = re.compile(r'[0-9a-f]{64}')


class Content(NamedTuple):
    """Bytes in a file, in short.

    Attributes:
        size: Their number.
        digest: Their SHA-256, in hexadecimal.
    """

    size: int
    digest: str

    @classmethod
    def parse(cls, size: str, digest: str) -> Content:
        """Read what a table says.

        Raises:
            ValueError: If it is no size and no digest.

        Example:
            >>> Content.parse('3', 'ab' * 32).size
            3
        """
        if not _DIGEST.fullmatch(digest) or not size.isascii() or not size.isdigit():
            raise ValueError(f'{size!r} and {digest!r} are no size and SHA-256')
        return cls(int(size), digest)


def content_of(path: str | Path) -> Content:
    """Read a file and tell its content.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        with Path(path).open('rb') as file:
            digest = hashlib.file_digest(file, 'sha256').hexdigest()
            return Content(file.tell(), digest)
    except OSError as error:
        raise _unreadable(path, error) from None


@contextmanager
def unchanged(path: str | Path) -> Iterator[Content]:
    """Give the content of a file for a block that reads it, too.

    Raises:
        InputError: If it cannot be read, or was written to before the block had ended, so that
            nobody knows which of its contents the block has seen.

    Example:
        >>> with unchanged('eye.jpg') as content:                # doctest: +SKIP
        ...     picture = read_any_picture('eye.jpg')
    """
    before = _state(path)
    content = content_of(path)
    yield content
    if _state(path) != before:
        raise InputError(
            f'{path}: was changed while it was read; run again when it is copied as a whole'
        )


def outdated(
    folder: Path,
    known: Mapping[Path, Content],
    seal: Callable[[Content], Content] = lambda content: content,
) -> set[Path]:
    """Find the files whose content is another than what is known of them, or that are gone.

    Args:
        folder: Where they are.
        known: Path relative to the folder, and its content.
        seal: What was done to a content before it was noted.
    """

    def holds(item: tuple[Path, Content]) -> bool:
        try:
            return seal(content_of(folder / item[0])) == item[1]
        except InputError:
            return False

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix='digest') as pool:
        same = pool.map(holds, known.items())
        return {path for path, good in zip(known, same, strict=True) if not good}


def told(names: Iterable[str], most: int = 10) -> str:
    """Name the first of many.

    Example:
        >>> told(['a', 'b', 'c'], most=2)
        'a, b and 1 more'
    """
    names = list(names)
    rest = f' and {len(names) - most:,} more' if len(names) > most else ''
    return ', '.join(names[:most]) + rest


def _state(path: str | Path) -> tuple[int, int, int]:
    try:
        state = Path(path).stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return state.st_ino, state.st_size, state.st_mtime_ns


def _unreadable(path: str | Path, error: OSError) -> InputError:
    return InputError(
        f'{path}: cannot be read ({error.strerror or error}); copy it again or take it out'
    )
