"""Reading checkpoints without running what is inside them.

Every file is read with ``weights_only=True`` and a short allow-list: tensors, plain values, numpy
arrays of numbers and mmengine's ``HistoryBuffer``. Importing this module puts the reader in the
place of all loaders of mmengine's ``CheckpointLoader``, so that no path through mmengine unpickles
a file freely.
"""

import http.client
import pickle
import pickletools
import re
import socket
import struct
import urllib.error
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import CheckpointLoader

from realmnet.errors import InputError

from .storage import file_lock

_ZIP_MAGIC = b'PK\x03\x04'
_LEGACY_MAGIC = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)
_HISTORY_METHODS = ('min', 'max', 'mean', 'current')
_DOWNLOAD_TIMEOUT = 30  # seconds without one byte
# What torch's restricted unpickler says when it meets something outside the allow-list.
_FORBIDDEN = re.compile(
    r'GLOBAL (?P<name>\S+) (?:was not an allowed|whose module)'
    r'|unrecognized function (?P<function>.+?)(?:\n|$)'
    r'|Can only create new object .* but got (?P<new>.+?)(?:\n|$)'
    r'|Can only build .* but got (?P<built>.+?)(?:\n|$)'
)


class CheckpointError(InputError):
    """A checkpoint cannot be used; the message is one sentence that says why."""


class _ForbiddenCallError(Exception):
    """Raised inside the unpickler when a file asks for an attribute it has no business with."""


def history_method(obj: Any, name: str) -> Callable:
    """Stand in for ``getattr`` while a checkpoint is read.

    A pickled ``HistoryBuffer`` refers to its four methods through ``getattr``. The real one would
    let a crafted file walk to ``eval``; this one answers for those four and nothing else.

    Args:
        obj: the object asked; only the class ``HistoryBuffer`` itself is answered.
        name: the attribute asked for.

    Raises:
        _ForbiddenCallError: for any other object or name.
    """
    if obj is HistoryBuffer and type(name) is str and name in _HISTORY_METHODS:
        return getattr(HistoryBuffer, name)
    raise _ForbiddenCallError(f'getattr({getattr(obj, "__name__", obj)!s}, {name!r})')


_NUMBER_CODES = ('b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')
_NUMBER_DTYPES = {code: np.dtype(code) for code in _NUMBER_CODES}


def number_dtype(code: str, align: bool = False, copy: bool = False) -> np.dtype:
    """Stand in for ``numpy.dtype``: answer for plain numbers only.

    The real one also makes object types, through which a crafted file turns bytes into pointers;
    numpy's own number types cannot be altered afterwards, copies of them could.
    """
    if type(code) is str and code in _NUMBER_DTYPES:
        return _NUMBER_DTYPES[code]
    raise _ForbiddenCallError(f'numpy.dtype({code!r})')


def array_type(*_: Any) -> None:
    """Stand in for ``numpy.ndarray``, which a file may name but not call."""
    raise _ForbiddenCallError('numpy.ndarray')


def empty_array(*_: Any) -> np.ndarray:
    """Stand in for numpy's ``_reconstruct``: an empty array that the file then fills."""
    return np.empty(0, np.int8)


# The names that a file may use, and what they mean. numpy 1.x wrote `numpy.core`.
_NAMED = [
    (HistoryBuffer, 'mmengine.logging.history_buffer.HistoryBuffer'),
    (history_method, 'builtins.getattr'),
    (number_dtype, 'numpy.dtype'),
    (array_type, 'numpy.ndarray'),
    (empty_array, 'numpy._core.multiarray._reconstruct'),
    (empty_array, 'numpy.core.multiarray._reconstruct'),
    (np._core.multiarray.scalar, 'numpy._core.multiarray.scalar'),
    (np._core.multiarray.scalar, 'numpy.core.multiarray.scalar'),
]
# Types whose objects may be given their content, but which no file can name: a name in a pickle
# ends at the line break.
_FILLED = [
    (cls, f'\n{cls.__name__}')
    for cls in {np.ndarray, *(type(dtype) for dtype in _NUMBER_DTYPES.values())}
]
ALLOWED_GLOBALS = [*_NAMED, *_FILLED]


def read_checkpoint(source: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint from a file or an http(s) address; nothing in it is executed.

    A file that is a bare mapping of names to tensors is returned as ``dict(state_dict=...)``.
    ``meta['config']``, which mmengine would execute as Python on resume, is left out;
    ``meta['cfg']`` stays, as text.

    Args:
        source: a path, or an address; what is fetched is kept in torch's hub cache.
        map_location: as in ``torch.load``.

    Returns:
        A dict with at least ``state_dict``.

    Raises:
        CheckpointError: if the file is missing, cut short, no checkpoint, carries code or a type
            outside the allow-list, or holds no weights; or if the address cannot be used.
    """
    source = str(source)
    if source.startswith(('http://', 'https://')):
        path = download_checkpoint(source)
    elif '://' in source:
        raise CheckpointError(
            f'{source} cannot be read: addresses of the kind {source.split("://")[0]!r} are not '
            'supported, give an http(s) address or the path of a file.'
        )
    else:
        path = Path(source).expanduser()
    return _with_state_dict(_load_file(path, map_location), path)


def peek_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without reading its tensors, to see what it is.

    Args:
        path: A file.

    Returns:
        As :func:`read_checkpoint`; the tensors are mapped from the file and not verified.

    Raises:
        CheckpointError: As for :func:`read_checkpoint`.
    """
    return _with_state_dict(_load_file(path, 'cpu', peek=True), path)


def _load_file(path: Path, map_location: Any, peek: bool = False) -> Any:
    """Unpickle one file under the allow-list and turn each failure into its sentence."""
    if not path.is_file():
        raise CheckpointError(f'{path} is missing: there is no file of that name.')
    size = path.stat().st_size
    cut_short = f'{path} is cut short or damaged ({size:,} bytes): copy or download it again.'
    with path.open('rb') as file:
        head = file.read(len(_LEGACY_MAGIC))
    if len(head) < len(_LEGACY_MAGIC) and any(
        magic.startswith(head[: len(magic)]) for magic in (_ZIP_MAGIC, _LEGACY_MAGIC)
    ):
        raise CheckpointError(cut_short)
    is_legacy = head == _LEGACY_MAGIC
    if head.startswith(_ZIP_MAGIC):
        if not peek:
            check_archive(path)
    elif not is_legacy:
        kind = 'a plain pickle, which can carry code' if head[:1] == b'\x80' else 'something else'
        raise CheckpointError(f'{path} is refused: it is {kind}, not a file of torch.save.')
    try:
        with torch.serialization.safe_globals(ALLOWED_GLOBALS):
            mmap = peek and not is_legacy
            return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except _ForbiddenCallError as error:
        raise CheckpointError(_carries_code(path, str(error))) from None
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        text = str(error)
        if (found := _FORBIDDEN.search(text)) and not (is_legacy and _ends_early(path)):
            name = next(group for group in found.groups() if group)
            raise CheckpointError(_carries_code(path, name)) from None
        if 'TorchScript' in text:
            raise CheckpointError(_carries_code(path, 'a TorchScript program')) from None
        if 'Attempting to deserialize' in text:  # a device that is not here
            raise
        raise CheckpointError(cut_short) from error


def check_archive(path: str | Path) -> None:
    """Compare every record of a zip archive with its checksum, which torch does not do.

    torch writes checkpoints and exported programs as zip archives, uncompressed, with a CRC-32 of
    each record. Files of torch's old format (before 1.6) have no checksum: damage inside their
    numbers cannot be found.

    Args:
        path: An archive that exists.

    Raises:
        CheckpointError: If it is cut short, a record does not match its checksum, or it would
            unpack to more bytes than the file has.
    """
    path = Path(path)
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:  # its directory is at the end of the file
            unpacked = sum(entry.file_size for entry in archive.infolist())
            record = archive.testzip() if unpacked <= size else None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, EOFError,
            RuntimeError, struct.error) as error:  # fmt: skip
        raise CheckpointError(
            f'{path} is cut short or damaged ({size:,} bytes; {error}): copy or download it again.'
        ) from None
    if unpacked > size:
        raise CheckpointError(
            f'{path}: unpacks to {unpacked:,} bytes, more than the file has, which torch.save '
            'does not do; get it from its source again'
        )
    if record is not None:
        raise CheckpointError(
            f'{path} is cut short or damaged ({size:,} bytes; its record {record} does not match '
            'its checksum): copy or download it again.'
        )


def _ends_early(path: Path) -> bool:
    """Whether a file of the old format stops inside its pickles, as in the middle of a name."""
    try:
        with path.open('rb') as file:
            for _ in range(4):  # magic number, version, system, content
                for _ in pickletools.genops(file):  # reads, executes nothing
                    pass
    except ValueError:
        return True
    return False


def _carries_code(path: Path, what: str) -> str:
    return (
        f'{path} is refused: it carries code or a type that weights do not need ({what}), and '
        'only tensors and plain values are read.'
    )


def _with_state_dict(content: Any, path: Path) -> dict[str, Any]:
    if isinstance(content, Mapping):
        if _is_state_dict(content):
            return {'state_dict': content}
        if _is_state_dict(content.get('state_dict')):
            if isinstance(content.get('meta'), dict):
                content['meta'].pop('config', None)
            return dict(content)
        held = f'the keys {", ".join(map(repr, list(content)[:5]))}' if content else 'nothing'
    else:
        held = f'a {type(content).__name__}'
    raise CheckpointError(
        f'{path} holds no weights: expected "state_dict" (names to tensors), found {held}.'
    )


def _is_state_dict(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and all(isinstance(key, str) for key in content)
        and any(isinstance(value, torch.Tensor) for value in content.values())
        and not any(isinstance(value, Mapping | list) for value in content.values())
    )


def download_checkpoint(url: str) -> Path:
    """Return the local copy of ``url`` in torch's hub cache, fetching it if there is none.

    A lock in the cache lets one process of a machine download while the others wait. The name's
    own hash, as in ``...-65be6b3f.pth``, is compared with the file's SHA-256; the copy gets its
    name only when it is complete.

    Raises:
        CheckpointError: if the address does not answer or the hash differs.
    """
    name = Path(url.split('?')[0]).name
    if not name:
        raise CheckpointError(f'{url} names no file.')
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    path = folder / name
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / f'.{name}.lock'):
        if not path.is_file():
            _download(url, path)
    return path


def _download(url: str, path: Path) -> None:
    # A name may end in a date instead of a hash: -20221021.pth
    promised = re.search(r'-(?!20\d{6}\.)([0-9a-f]{8,64})\.\w+$', path.name)
    arriving = path.with_name(f'.{path.name}.arriving')
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    try:
        print_log(f'Downloading {url} to {path}', logger='current')
        torch.hub.download_url_to_file(
            url, str(arriving), hash_prefix=promised.group(1) if promised else None
        )
        _load_file(arriving, 'cpu')  # a download that ended early has no hash to betray it
        arriving.replace(path)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, 'reason', None) or error
        raise CheckpointError(
            f'{url} cannot be downloaded ({reason}): download the file elsewhere and give its '
            f'path (--cfg-options pretrained=/path/to/{path.name}), or set pretrained=None to '
            'train from scratch.'
        ) from error
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(arriving), url)) from None
    except RuntimeError as error:  # torch.hub compares the hash
        raise CheckpointError(
            f'{url} was downloaded but is not the file its name promises ({error}).'
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
        arriving.unlink(missing_ok=True)


def load_from_anywhere(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Loader of ``CheckpointLoader`` for every kind of address; those not supported are refused."""
    return read_checkpoint(filename, map_location)


CheckpointLoader.register_scheme(
    prefixes=(
        '',
        'http://',
        'https://',
        'pavi://',
        r'(\S+\:)?s3://',
        r'(\S+\:)?petrel://',
        'modelzoo://',
        'torchvision://',
        'open-mmlab://',
        'openmmlab://',
        'mmcls://',
    ),
    loader=load_from_anywhere,
    force=True,
)
