"""One rule for identifiers: patients, file names, keys of group tables.

An identifier is text and never a number: ``NA``, ``nan`` and ``007`` are names. It loses spaces and
invisible characters around it and is compared in Unicode's composed form (NFC); ``./a.jpg`` and
``x//a.jpg`` are ``a.jpg`` and ``x/a.jpg``, a back-slash separates folders. Different identifiers
may still mean one patient or file: they *look alike* if they differ only by leading zeros, ``.0``,
case, spaces or Unicode form (:func:`spelling`). That is said when a table is read, and refused
where it would put one patient into two splits or count it twice.
"""

from __future__ import annotations

import re
import string
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from realmnet.errors import InputError, InputWarning

_PLAIN = re.compile(r'[A-Za-z0-9_@-][A-Za-z0-9_@.-]*(/[A-Za-z0-9_@-][A-Za-z0-9_@.-]*)*')
_LETTERS = string.ascii_letters.encode() + string.digits.encode() + b'_@-./\n'
_INVISIBLE = '\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f'
_HIDDEN = str.maketrans('', '', _INVISIBLE)
_EDGES = re.compile(rf'^[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+$')
_SCIENTIFIC = re.compile(r'[-+]?\d([.,]\d+)?E\+\d+', re.IGNORECASE)
_ZEROS = re.compile(r'(?<![\d.])0+(?=\d)')
_DECIMALS = re.compile(r'(?<=\d)\.0*$')
_PICTURE = re.compile(r'\.(jpe?g|jp2|png|tiff?|bmp|webp|dcm)$', re.IGNORECASE)
#: In what identifiers differ that look alike.
SPELLINGS = 'leading zeros, ".0", case, spaces or Unicode form'


def all_plain(identifiers: Sequence[str]) -> bool:
    """Tell in one go whether no identifier needs cleaning and none has a problem.

    Example:
        >>> all_plain(['a.jpg', 'x/b.jpg']), all_plain(['./a.jpg']), all_plain(['a b.jpg'])
        (True, False, False)
    """
    text = '\n'.join(('', *identifiers, ''))
    return (
        _only_letters(text)
        and text.count('\n') == len(identifiers) + 1
        and '\n\n' not in text
        and '\n.' not in text
        and ('/' not in text or not any(odd in text for odd in ('\n/', '/.', '//', '/\n')))
    )


def _only_letters(text: str) -> bool:
    return text.isascii() and not text.encode().translate(None, _LETTERS)


def clean(text: str) -> str:
    """Return an identifier as it is compared: without spaces around it, in Unicode's NFC.

    Example:
        >>> clean(' 007\u00a0'), clean('NA')
        ('007', 'NA')
    """
    if _PLAIN.fullmatch(text):
        return text  # nearly every one
    return unicodedata.normalize('NFC', _EDGES.sub('', text))


def clean_name(text: str) -> str:
    r"""Return the name of a picture as it is compared: cleaned, and the path written one way.

    ``..`` stays, so that it can be refused.

    Example:
        >>> clean_name('./x//a.jpg'), clean_name('x\\a.jpg'), clean_name('/x/a.jpg')
        ('x/a.jpg', 'x/a.jpg', '/x/a.jpg')
    """
    if _PLAIN.fullmatch(text):
        return text
    text = clean(text).replace('\\', '/')
    root = '/' if text.startswith('/') else ''
    return root + '/'.join(part for part in text.split('/') if part not in ('', '.'))


def identifier_problem(text: str) -> str:
    """Say why a cleaned identifier cannot be one; ``''`` if it can.

    Example:
        >>> identifier_problem('1.23457E+11')[:50]
        'is what a spreadsheet makes of a long number, whos'
    """
    if not text:
        return 'is empty; fill it in'
    if _PLAIN.fullmatch(text):
        return ''
    if _SCIENTIFIC.fullmatch(text):
        return (
            'is what a spreadsheet makes of a long number, whose last digits are lost; export it '
            'again with the column as text'
        )
    if any(unicodedata.category(c) == 'Cc' for c in text):
        return 'holds a line break or another control character; close every quote, or rename'
    if len(text) > 1 and text[0] == text[-1] == '"':
        return 'stands in quotes; take away the space before the first quote'
    return ''


def spelling(text: str) -> str:
    """Return what is left of a patient's identifier when its spelling does not count.

    Two identifiers of one spelling look alike. A picture's name in place of a patient's keeps its
    zeros, as ``1.jpg`` and ``01.jpg`` are two files.

    Example:
        >>> [spelling(text) for text in ('007', '7.0', 'P-007', 'p -7', '1.05')]
        ['7', '7', 'p-7', 'p-7', '1.05']
    """
    if _PICTURE.search(text):
        return name_spelling(text)
    text = unicodedata.normalize('NFKC', text).translate(_HIDDEN).casefold()
    text = ''.join(unicodedata.normalize('NFKC', text).split()).lstrip("'")
    return _ZEROS.sub('', _DECIMALS.sub('', text))


def name_spelling(text: str) -> str:
    """Return what is left of a picture's name without case, invisible and doubled spaces.

    Example:
        >>> name_spelling('X/A  b.JPG')
        'x/a b.jpg'
    """
    if _PLAIN.fullmatch(text):
        return text.lower()
    text = unicodedata.normalize('NFKC', text).translate(_HIDDEN).casefold()
    return ' '.join(unicodedata.normalize('NFKC', text).split())


def look_alikes(
    identifiers: Iterable[str], spelled: Callable[[str], str] = spelling
) -> list[tuple[str, ...]]:
    """Return the groups of different identifiers that look alike, sorted.

    Args:
        identifiers: Cleaned; repeats do not count.
        spelled: :func:`spelling` for patients, :func:`name_spelling` for pictures.

    Example:
        >>> look_alikes(['7', '007', '8', '7'])
        [('007', '7')]
    """
    distinct = set(identifiers)
    text = '\n'.join(distinct)
    if _only_letters(text) and (spelled is name_spelling or '.' not in text):
        # The same as below in one go, for the tables that have none.
        text = text.lower() if spelled is name_spelling else _ZEROS.sub('', text.lower())
        if len(set(text.split('\n'))) == len(distinct):
            return []
    groups: dict[str, list[str]] = {}
    for name in sorted(distinct):
        groups.setdefault(spelled(name), []).append(name)
    if len(groups) == len(distinct):
        return []
    return [tuple(names) for names in groups.values() if len(names) > 1]


def alike_sentence(groups: Sequence[tuple[str, ...]], what: str) -> str:
    """Say which identifiers look alike, in a sentence with the remedy."""
    shown = '; '.join(' and '.join(map(repr, names)) for names in groups[:3])
    more = f' and {len(groups) - 3} more' if len(groups) > 3 else ''
    return (
        f'{what}s {shown}{more} differ only by {SPELLINGS}; write one {what} in one way, and give '
        f'different {what}s names that differ otherwise'
    )


def check_distinct(patients: Iterable[object], where: str = '') -> None:
    """Refuse patients that look alike, before they are split or counted as different.

    Args:
        patients: Identifiers, repeats allowed.
        where: The file, for the message.

    Raises:
        InputError: Names them.

    Example:
        >>> check_distinct(['1', '2', '2'])
    """
    if groups := look_alikes(map(str, patients)):
        raise InputError((f'{where}: ' if where else '') + alike_sentence(groups, 'patient'))


def warn_of_look_alikes(
    where: str, patients: Iterable[str] = (), filenames: Iterable[str] = ()
) -> None:
    """Warn of patients or pictures of one table that look alike."""
    for names, spelled, what in ((patients, spelling, 'patient'),
                                 (filenames, name_spelling, 'picture')):  # fmt: skip
        if groups := look_alikes(names, spelled):
            warnings.warn(f'{where}: {alike_sentence(groups, what)}', InputWarning, stacklevel=3)


def shared(
    first: Iterable[str], second: Iterable[str], spelled: Callable[[str], str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Compare the identifiers of two splits.

    Args:
        first: Of one split.
        second: Of the other.
        spelled: As in :func:`look_alikes`.

    Returns:
        Those in both, sorted; pairs that look alike (first, second), sorted by the second.

    Example:
        >>> shared(['a', '007'], ['a', '7'], spelling)
        (['a'], [('007', '7')])
    """
    first, second = set(first), set(second)
    known: dict[str, list[str]] = {}
    for name in sorted(first):
        known.setdefault(spelled(name), []).append(name)
    pairs = [
        (other, name)
        for name in sorted(second)
        for other in known.get(spelled(name), ())
        if other != name
    ]
    return sorted(first & second), pairs


def near_match(name: str, present: Iterable[str], spelled: Callable[[str], str] = spelling) -> str:
    """Find what a name that is not there may have meant; ``''`` if nothing comes near.

    Args:
        name: The name.
        present: What is there.
        spelled: As in :func:`look_alikes`; for pictures the ending does not count either.

    Example:
        >>> near_match('a.JPG', ['b.jpg', 'a.jpg'], name_spelling), near_match('7', ['007'])
        ('a.jpg', '007')
    """
    wanted = {spelled(name)}
    if spelled is name_spelling:
        wanted.add(_PICTURE.sub('', spelled(name)))
    for other in present:
        seen = {spelled(other)}
        if spelled is name_spelling:
            seen.add(_PICTURE.sub('', spelled(other)))
        if wanted & seen:
            return other
    return ''


def picture_path(folder: Path, name: str) -> Path:
    """Return the file of a picture; macOS writes accents decomposed, where tables compose them."""
    path = folder / name
    if name.isascii() or path.exists():
        return path
    decomposed = folder / unicodedata.normalize('NFD', name)
    return decomposed if decomposed.exists() else path


def written_note(name: str, written: Mapping[str, str]) -> str:
    """Say in brackets how a file writes a name, where that differs; else ``''``.

    Example:
        >>> written_note('a.jpg', {'a.jpg': './a.jpg'})
        " (written './a.jpg')"
    """
    return f' (written {written[name]!r})' if name in written else ''
