"""Read mmengine's dumped results (``--out x.pkl``) without running anything they contain.

A pickle is a program: loading one that somebody crafted runs what it says. Here an unpickler
knows the handful of names that lists of dicts of tensors and arrays need, and refuses the rest.
Tensors become numpy arrays without torch: ``DumpResults`` stores them in torch's legacy form
(``torch.storage._load_from_bytes``), which torch itself would open with a full unpickler.
"""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from realmnet.errors import InputError

_MAGIC = 0x1950A86A20F9469CFC6C  # first object of torch's legacy files
_STORAGES = {
    'FloatStorage': np.float32,
    'DoubleStorage': np.float64,
    'HalfStorage': np.float16,
    'LongStorage': np.int64,
    'IntStorage': np.int32,
    'ShortStorage': np.int16,
    'CharStorage': np.int8,
    'ByteStorage': np.uint8,
    'BoolStorage': np.bool_,
}


class _Refused(Exception):
    """A name that a dump of predictions does not need."""


def read_dump(path: str | os.PathLike) -> object:
    """Read a pickle of lists, dicts, numbers, strings, numpy arrays and torch tensors.

    Args:
        path: The file.

    Returns:
        The object, tensors as numpy arrays.

    Raises:
        InputError: If it refers to anything else, which could be code, or is no pickle.

    Example:
        >>> samples = read_dump('work_dirs/run/test.pkl')            # doctest: +SKIP
        >>> samples[0]['pred_score'].shape                           # doctest: +SKIP
        (7,)
    """
    path = Path(path)
    try:
        with path.open('rb') as file:
            return _Unpickler(file).load()
    except _Refused as refused:
        raise InputError(
            f'{path}: refused, the pickle refers to {refused}, which predictions do not need and '
            'which could run code; write the predictions as .csv or .json'
        ) from None
    except Exception as error:  # a broken pickle can raise anything
        raise InputError(
            f'{path}: not a readable dump of predictions ({type(error).__name__}: {error}); '
            'write the predictions as .csv or .json'
        ) from None


class _Unpickler(pickle.Unpickler):
    """Knows :data:`_ALLOWED` and nothing else."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ALLOWED:
            raise _Refused(f'{module}.{name}')
        return _ALLOWED[module, name]


class _StorageUnpickler(_Unpickler):
    """Also knows the storage types that torch's legacy form names, as numpy types."""

    def find_class(self, module: str, name: str) -> object:
        if module == 'torch' and name.endswith('Storage'):
            if name not in _STORAGES:
                raise _Refused(f'a torch.{name}, whose numbers numpy does not have')
            return np.dtype(_STORAGES[name])
        return super().find_class(module, name)

    def persistent_load(self, reference: tuple) -> tuple[str, np.dtype]:
        kind, dtype, key = reference[:3]
        if kind != 'storage' or not isinstance(dtype, np.dtype):
            raise _Refused(f'a torch object of kind {kind!r}')
        return key, dtype


def _storage(content: bytes) -> np.ndarray:
    """Read the single storage that ``torch.save`` wrote in its legacy form."""
    file = io.BytesIO(content)
    if _StorageUnpickler(file).load() != _MAGIC:
        raise ValueError('a tensor is not in torch\'s legacy form')  # fmt: skip
    _, system = _StorageUnpickler(file).load(), _StorageUnpickler(file).load()
    if not system['little_endian']:
        raise ValueError('a tensor was written on a big-endian machine')
    _, dtype = _StorageUnpickler(file).load()
    _StorageUnpickler(file).load()  # the list of keys: there is one
    count = int.from_bytes(file.read(8), 'little')
    return np.frombuffer(content, dtype, count, offset=file.tell())


def _tensor(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> np.ndarray:
    """Cut a tensor out of its storage; sizes that do not fit would read foreign memory."""
    if not isinstance(storage, np.ndarray) or min((offset, *size, *stride)) < 0:
        raise ValueError('a tensor has no numbers, or a negative size')
    numbers = int(np.prod(size, dtype=object))
    if numbers > len(storage):
        raise ValueError('a tensor is larger than its numbers')
    if not numbers:
        return np.empty(size, storage.dtype)
    reach = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if reach >= len(storage):
        raise ValueError('a tensor is larger than its numbers')
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()


def _encode(text: str, encoding: str) -> bytes:
    if encoding != 'latin1':
        raise _Refused(f'_codecs.encode with {encoding!r}')
    return text.encode('latin1')


_ALLOWED: dict[tuple[str, str], Callable | type] = {
    ('collections', 'OrderedDict'): OrderedDict,
    ('_codecs', 'encode'): _encode,
    ('torch._utils', '_rebuild_tensor_v2'): _tensor,
    ('torch.storage', '_load_from_bytes'): _storage,
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
}
for _module in ('numpy._core.multiarray', 'numpy.core.multiarray'):
    for _name in ('_reconstruct', 'scalar'):
        _ALLOWED[_module, _name] = getattr(np._core.multiarray, _name)
for _module in ('numpy._core.numeric', 'numpy.core.numeric'):
    _ALLOWED[_module, '_frombuffer'] = np._core.numeric._frombuffer
