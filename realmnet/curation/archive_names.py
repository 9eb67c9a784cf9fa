"""Names of members as archivers of other systems write them.

A zip says only whether a name is UTF-8. Where it does not, Windows has written the code page of its
language; :func:`zip_names` says by which rule the names are read.
"""

from __future__ import annotations

import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from realmnet.errors import InputError

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
#: Encodings of East Asian Windows, the first that fits counts: encoding, and the character set
#: whose common characters at least half of the names' must be.
_EASTERN = {'gbk': 'gb2312', 'cp932': 'shift_jis', 'big5': 'big5', 'cp949': 'euc_kr'}
_WESTERN = ('cp1252', 'cp437', 'cp850')


def zip_names(
    members: Sequence[zipfile.ZipInfo], archive: str | Path, encoding: str | None = None
) -> tuple[list[str], str]:
    r"""Read the names of a zip's members.

    A name marked as UTF-8, plain ASCII or with Info-ZIP's Unicode field is certain. The others
    are read alike, in the first encoding that fits all of them: UTF-8; GBK, Shift-JIS, Big5
    and Korean, where every foreign character is a letter of such a language and half of them
    are common; Western European, where each is a Latin letter.

    Args:
        members: As ``zipfile`` lists them.
        archive: What messages call the archive.
        encoding: Of the uncertain names, if the user knows it.

    Returns:
        The names, with ``/`` between folders, and the encoding that the uncertain ones were read
        in, empty if all are certain.

    Raises:
        InputError: If the encoding is unknown or does not fit, or none fits.

    Example:
        >>> info = zipfile.ZipInfo('图片/张三.jpg'.encode('gbk').decode('cp437'))
        >>> zip_names([info], 'x.zip')
        (['图片/张三.jpg'], 'gbk')
    """
    names: list[str | None] = [_certain_name(info) for info in members]
    uncertain = {i: _raw(info) for i, (info, name) in enumerate(zip(members, names, strict=True))
                 if name is None}  # fmt: skip
    if uncertain:
        raw = list(uncertain.values())
        encoding = _checked(encoding, raw, archive) if encoding else _guess(raw, archive)
        for i, name in uncertain.items():
            names[i] = name.decode(encoding)
    # .NET before 4.6.1 writes folders with the separator of Windows
    return [name.replace('\\', '/') for name in names], encoding if uncertain else ''


def tar_name(name: str, archive: str | Path) -> str:
    """Return the name of a tar's member, which must be in the encoding that the tar was read in.

    Raises:
        InputError: If it is not.
    """
    if any('\udc80' <= letter <= '\udcff' for letter in name):
        raise InputError(
            f'{archive}: the name {name.encode("ascii", "replace").decode()!r} is not UTF-8; say '
            'how its names are encoded (--encoding gbk); nothing was unpacked'
        )
    return name


def is_clutter(name: str) -> bool:
    """Whether macOS has put a member beside the files: resource forks and folder settings.

    Example:
        >>> is_clutter('__MACOSX/a/._b.jpg'), is_clutter('a/.DS_Store'), is_clutter('a/b.jpg')
        (True, True, False)
    """
    parts = name.split('/')
    return '__MACOSX' in parts[:-1] or parts[-1] == '.DS_Store' or parts[-1].startswith('._')


def same_place(parts: Sequence[str]) -> str:
    """Spell a name so that two that are one file on some system become equal."""
    return unicodedata.normalize('NFC', '/'.join(parts)).casefold()


def _raw(info: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a name, which ``zipfile`` has decoded."""
    try:
        return info.orig_filename.encode('cp437')
    except UnicodeEncodeError:
        return info.orig_filename.encode('utf-8')


def _certain_name(info: zipfile.ZipInfo) -> str | None:
    if info.flag_bits & _UTF8_FLAG or info.orig_filename.isascii():
        return info.orig_filename
    extra, at = info.extra, 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from('<HH', extra, at)
        field = extra[at + 4 : at + 4 + length]
        if kind == _UNICODE_PATH and length > 5 and field[0] == 1:
            (digest,) = struct.unpack_from('<L', field, 1)
            if digest == zlib.crc32(_raw(info)):  # else the name was changed without the field
                try:
                    return field[5:].decode('utf-8')
                except UnicodeDecodeError:
                    return None
        at += 4 + length
    return None


def _checked(encoding: str, names: Sequence[bytes], archive: str | Path) -> str:
    for name in names:
        try:
            name.decode(encoding)
        except LookupError:
            raise InputError(
                f'{archive}: the encoding {encoding!r} is unknown; use one such as gbk, big5, '
                'cp932, cp949, cp1252, cp437 or utf-8'
            ) from None
        except UnicodeDecodeError:
            raise InputError(
                f'{archive}: the name {name!r} is not {encoding}; name another encoding'
            ) from None
    return encoding


def _guess(names: Sequence[bytes], archive: str | Path) -> str:
    joined = b'\n'.join(names)
    if _letters(joined, 'utf-8') is not None:
        return 'utf-8'
    for encoding, common in _EASTERN.items():
        letters = _letters(joined, encoding)
        if letters and all(unicodedata.category(c) == 'Lo' for c in letters):
            known = sum(_is_common(c, common) for c in letters)
            if 2 * known >= len(letters):
                return encoding
    for encoding in _WESTERN:
        letters = _letters(joined, encoding)
        if letters and all(unicodedata.name(c, '').startswith('LATIN') for c in letters):
            return encoding
    example = next(name for name in names if not name.isascii())
    raise InputError(
        f'{archive}: nothing tells how names such as {example!r} are encoded; say it with '
        '--encoding (gbk, big5, cp932, cp949, cp1252, cp437 ...); nothing was unpacked'
    )


def _letters(text: bytes, encoding: str) -> str | None:
    """Return the characters beyond ASCII, None if the text is not of this encoding."""
    try:
        return ''.join(c for c in text.decode(encoding) if not c.isascii())
    except UnicodeDecodeError:
        return None


def _is_common(letter: str, encoding: str) -> bool:
    """Whether a letter is of the first level of a character set, which everyday text keeps to."""
    try:
        code = letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    first, last = {
        'gb2312': (b'\xb0\xa1', b'\xd7\xf9'),
        'shift_jis': (b'\x82\x9f', b'\x98\x72'),  # kana and kanji of level 1
        'big5': (b'\xa4\x40', b'\xc6\x7e'),
        'euc_kr': (b'\xb0\xa1', b'\xc8\xfe'),  # syllables
    }[encoding]
    return len(code) == 2 and first <= code <= last
