"""Unpacking picture archives of strangers: zip, split zip (``.z01 .z02 ... .zip``) and tar.

PSMM's pictures are published as a split zip of four volumes, which Python's ``zipfile`` cannot
read. :func:`open_zip` shows it the volumes as one file whose directory has been rewritten
for it.
"""

from __future__ import annotations

import io
import lzma
import os
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from realmnet.curation.archive_names import is_clutter, same_place, tar_name, zip_names
from realmnet.errors import InputError

#: Most bytes that one archive may grow to on disk; PSMM has 3.5 GB.
MAX_BYTES = 64 * 2**30
_END = struct.Struct('<4s4H2LH')
_ENTRY_SIZE = 46
_JOIN = 'join the volumes first: zip -s 0 archive.zip --out joined.zip'


def unpack(
    archive: str | Path,
    out: str | Path,
    progress: Callable[[Iterable], Iterable] = iter,
    max_bytes: int = MAX_BYTES,
    encoding: str | None = None,
    say: Callable[[str], None] | None = None,
) -> int:
    """Unpack an archive into a new folder that appears whole or not at all.

    A top folder that all members share is left out, and so is what macOS puts beside the files
    (``__MACOSX``, ``.DS_Store``, ``._name``). Back-slashes in a
    zip are folders.

    Args:
        archive: ``.zip`` (for a split one, the last volume, the others beside it) or ``.tar``,
            ``.tar.gz``, ``.tgz``, ``.tar.bz2``, ``.tar.xz``.
        out: Folder to make; it must not exist, or be empty.
        progress: Wraps the members, for a progress bar.
        max_bytes: Most bytes in all.
        encoding: Of names that are not UTF-8; :func:`realmnet.curation.archive_names.zip_names`
            says what is tried where left out.
        say: Called with a sentence on what was left out and how names were read.

    Returns:
        Number of files.

    Raises:
        InputError: If the archive is missing, broken, lacks a volume, holds a member that would
            leave ``out`` (``..``, absolute names, links, devices), an encrypted one, or one name
            twice, does not tell how its names are encoded, grows beyond ``max_bytes``, or
            ``out`` is not empty.
    """
    archive, out = Path(archive), Path(out)
    if not archive.is_file():
        raise InputError(f'{archive}: no such archive; of a split zip, name the .zip volume')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f'{out}: already there and not empty; name a new folder')
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f'.{out.name}.', dir=out.parent))
    try:
        members = _tar if archive.name.lower().endswith(_TAR_SUFFIXES) else _zip
        number = _write(
            members(archive, encoding, say), archive, temporary, progress, max_bytes, say
        )
        temporary.chmod(0o755)
        if out.exists():
            out.rmdir()
        temporary.rename(out)
    except LookupError:
        raise InputError(f'{archive}: the encoding {encoding!r} is unknown') from None
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError,
            struct.error, NotImplementedError, RuntimeError, OSError) as error:  # fmt: skip
        reason = ' '.join(str(error).split())[:160]
        raise InputError(f'{archive}: cannot be unpacked ({reason}); download it again') from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return number


def open_zip(path: str | Path) -> zipfile.ZipFile:
    """Open a zip, split or not.

    Args:
        path: The ``.zip``; the volumes ``.z01``, ``.z02`` ... of a split one lie beside it.

    Raises:
        InputError: If a volume is missing, or the archive is split and larger than 4 GiB.
    """
    path = Path(path)
    with path.open('rb') as file:
        file.seek(max(0, path.stat().st_size - 65_557))
        tail = file.read()
    at = tail.rfind(b'PK\x05\x06')
    if at < 0 or len(tail) - at < _END.size:
        raise InputError(f'{path}: not a zip, or its end is missing; download it again')
    _, disk, start_disk, _, entries, size, offset, _ = _END.unpack_from(tail, at)
    if disk in (0, 0xFFFF):
        return zipfile.ZipFile(path)
    volumes = [path.with_suffix(f'.z{number:02d}') for number in range(1, disk + 1)] + [path]
    for volume in volumes:
        if not volume.is_file():
            raise InputError(f'{volume}: this volume of the split archive is missing; add it')
    bases = [sum(v.stat().st_size for v in volumes[:i]) for i in range(len(volumes) + 1)]
    whole = _Joined([(v, v.stat().st_size) for v in volumes])
    if start_disk > disk or 0xFFFFFFFF in (size, offset) or bases[-1] > 0xFFFFFFFF:
        raise InputError(f'{path}: a split archive beyond 4 GiB; {_JOIN}')
    start = bases[start_disk] + offset
    whole.seek(start)
    directory = bytearray(whole.read(size))
    position = 0
    for _ in range(entries):
        if directory[position : position + 4] != b'PK\x01\x02':
            raise InputError(f'{path}: its directory is damaged; download it again')
        lengths = struct.unpack_from('<3H', directory, position + 28)
        (number,) = struct.unpack_from('<H', directory, position + 34)
        (where,) = struct.unpack_from('<L', directory, position + 42)
        if number > disk or bases[number] + where > start:
            raise InputError(f'{path}: its directory is damaged; download it again')
        struct.pack_into('<H', directory, position + 34, 0)
        struct.pack_into('<L', directory, position + 42, bases[number] + where)
        position += _ENTRY_SIZE + sum(lengths)
    end = _END.pack(b'PK\x05\x06', 0, 0, entries, entries, size, start, 0)
    return zipfile.ZipFile(_Joined([*whole.parts, (bytes(directory) + end, size + _END.size)],
                                   start))  # fmt: skip


class _Joined(io.RawIOBase):
    """Volumes, and what replaces the end, read as one file.

    Args:
        parts: Path or bytes of each part, with its length.
        start: If given, the last part begins here and hides what the others hold from here on.
    """

    def __init__(self, parts: list[tuple[Path | bytes, int]], start: int | None = None) -> None:
        super().__init__()
        self.parts, self.position = parts, 0
        self.begins = [sum(n for _, n in parts[:i]) for i in range(len(parts))]
        if start is not None:
            self.begins[-1] = start
        self.length = self.begins[-1] + parts[-1][1]
        self.files: dict[int, IO[bytes]] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.length}[whence]
        if base + offset < 0:
            raise OSError('seek before the start')
        self.position = base + offset
        return self.position

    def readinto(self, buffer) -> int:
        last = len(self.parts) - 1
        part = max(i for i, begin in enumerate(self.begins) if begin <= self.position)
        if self.position >= self.begins[last]:
            part = last
        end = self.begins[part] + self.parts[part][1]
        if part < last:
            end = min(end, self.begins[part + 1], self.begins[last])
        wanted = min(len(buffer), end - self.position)
        if wanted <= 0:
            return 0
        file = self._file(part)
        file.seek(self.position - self.begins[part])
        data = file.read(wanted)
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        left = self.length - self.position if size is None or size < 0 else size
        chunks = []
        while left > 0 and (data := super().read(left)):
            chunks.append(data)
            left -= len(data)
        return b''.join(chunks)

    def close(self) -> None:
        for file in self.files.values():
            file.close()
        super().close()

    def _file(self, part: int) -> IO[bytes]:
        if part not in self.files:
            source = self.parts[part][0]
            self.files[part] = (
                io.BytesIO(source) if isinstance(source, bytes) else source.open('rb')
            )
        return self.files[part]


_TAR_SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz')
#: Name, size, what makes it unacceptable, and how to open it.
_Member = tuple[str, int, str, Callable[[], IO[bytes]]]
_Say = Callable[[str], None] | None


def _zip(path: Path, encoding: str | None, say: _Say) -> Iterator[_Member]:
    with open_zip(path) as archive:
        members = archive.infolist()
        names, guessed = zip_names(members, path, encoding)
        if guessed and say:
            example = next(name for name in names if not name.isascii())
            say(f'names are read as {guessed}, such as {example}; --encoding says otherwise')
        for info, name in zip(members, names, strict=True):
            kind = (info.external_attr >> 16) & 0o170000
            problem = '' if kind in (0, 0o100000, 0o040000) else 'is a link or device'
            if info.flag_bits & 1:
                problem = 'is encrypted, unpack it with its password first'
            if not name.endswith('/'):
                yield name, info.file_size, problem, lambda i=info: archive.open(i)


def _tar(path: Path, encoding: str | None, say: _Say) -> Iterator[_Member]:
    with tarfile.open(path, encoding=encoding or 'utf-8') as archive:
        for info in archive:
            problem = '' if info.isfile() else 'is a link or device'
            if not info.isdir():
                yield (
                    tar_name(info.name, path),
                    info.size,
                    problem,
                    lambda i=info: archive.extractfile(i),
                )
        # tarfile takes a damaged or missing header for the end, and leaves check sums unread
        archive.fileobj.seek(archive.offset)
        end = archive.fileobj.read(tarfile.BLOCKSIZE)
        if len(end) < tarfile.BLOCKSIZE or any(end):
            raise tarfile.ReadError('damaged, or cut off before its end')
        while archive.fileobj.read(1 << 20):
            pass


def _write(members, archive: Path, out: Path, progress, max_bytes: int, say: _Say) -> int:
    """Write the members below ``out``; every name is checked before it is touched."""
    names: set[str] = set()
    total, clutter = 0, 0
    for name, size, problem, open_member in progress(members):
        if is_clutter(name):
            clutter += 1
            continue
        parts = PurePosixPath(name).parts
        if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or '..' in parts:
            problem = 'would be written outside the folder'
        elif '\\' in name or '\0' in name or not parts:
            problem = 'has a name that is not portable'
        elif (place := same_place(parts)) in names:
            problem = 'occurs twice'
        if problem:
            raise InputError(f'{archive}: member {name!r} {problem}; nothing was unpacked')
        names.add(place)
        target = out.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_member() as source, target.open('xb') as file:
            while chunk := source.read(1 << 20):
                total += len(chunk)
                if total > max_bytes or file.tell() > size:
                    raise InputError(
                        f'{archive}: grows beyond {max_bytes / 2**30:.3g} GiB or beyond the sizes '
                        'that it states; nothing was unpacked'
                    )
                file.write(chunk)
    if not names:
        raise InputError(f'{archive}: holds no file')
    if clutter and say:
        say(f'{clutter:,} file(s) of macOS left out (__MACOSX, .DS_Store, ._*)')
    _lift_single_folder(out)
    return len(names)


def _lift_single_folder(out: Path) -> None:
    entries = list(out.iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        top = entries[0].rename(out / f'.top.{os.getpid()}')
        for entry in top.iterdir():
            entry.rename(out / entry.name)
        top.rmdir()
