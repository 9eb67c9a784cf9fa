"""A pattern that reads patient, eye and date off the name of a picture: fields and literal text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from realmnet.errors import InputError

#: What a template may hold between braces.
FIELDS = ('patient', 'eye', 'date', 'index', 'any')
#: Words for a side; OU shows both eyes.
SIDES = {
    'od': 'OD', 're': 'OD', 'r': 'OD', 'right': 'OD', '右': 'OD',
    'os': 'OS', 'le': 'OS', 'l': 'OS', 'left': 'OS', '左': 'OS',
    'ou': 'OU', 'both': 'OU', '双': 'OU',
}  # fmt: skip
#: Words that may as well be a name, an initial or a count.
WEAK_SIDES = frozenset(('r', 'l', 're', 'le'))
_EYE = r'(?i:OD|OS|OU|RE|LE|(?:right|left|both)(?:[ _-]?eyes?)?|[右左双]眼?|R|L)'
_DATE = r'[0-9]{4}(?P<dash>[-_.]?)[0-9]{2}(?P=dash)[0-9]{2}'
_SUFFIX = re.compile(r'\.([A-Za-z][A-Za-z0-9]{1,4})$')
_SEPARATORS = ' _.-'


@dataclass(frozen=True)
class PictureName:
    """What a name tells.

    Attributes:
        patient: With the folders that the pattern does not name, since two folders may count
            alike; None if unknown.
        side: ``'OD'`` (right) or ``'OS'`` (left); None if unknown or both.
        date: Day of the examination, ``2020-12-27``; empty if unknown.
        pattern: Name of the pattern that told, empty without one.
    """

    patient: str | None = None
    side: str | None = None
    date: str = ''
    pattern: str = ''


UNKNOWN = PictureName()


class NamePattern:
    """A template, ready to be compared with names.

    A field holds no ``/`` and none of the characters that stand beside it in the template, so a
    name can be read in one way only, in time that grows with its length. ``{index}`` are digits,
    ``{date}`` is ``2020-12-27``, ``2020_12_27``, ``2020.12.27`` or ``20201227``, ``{eye}`` one
    of OD, OS, OU, RE, LE, R, L, right, left, 右, 左 (with "eye" or 眼), ``{any}`` anything.
    Patterns are compared with the name without its suffix and with as many folders as they have.

    Args:
        template: Such as ``{patient}_{eye}_{date}`` or ``{patient}/{eye}``.
        name: What the pattern is called; the template itself where left out.
        loose: Whether ``_`` also stands for ``-``, a space or a dot.
        fields: Regular expressions in place of a field's own.
        in_folders: Whether folders that the template does not name belong to the patient.

    Raises:
        InputError: If a field is unknown or stands twice, two fields touch, or neither patient
            nor eye are named.

    Example:
        >>> NamePattern('{any}_{date}_{patient}_{eye}').read('UWF_20200105_P001_OD.jpg')
        PictureName(patient='P001', side='OD', date='2020-01-05', pattern='{any}_{date}_{patient}_{eye}')
    """  # noqa: E501

    def __init__(
        self,
        template: str,
        name: str = '',
        loose: bool = False,
        fields: Mapping[str, str] | None = None,
        in_folders: bool = True,
    ) -> None:
        self.template, self.name, self.in_folders = template, name or template, in_folders
        self._depth = template.count('/')
        self._expression = re.compile(_expression(_stem(template), loose, fields or {}))

    def read(self, filename: str) -> PictureName:
        """Read one name; :data:`UNKNOWN` if it does not fit.

        Args:
            filename: Relative to the folder of pictures, with ``/``.
        """
        return self.match(filename)[0]

    def match(self, filename: str) -> tuple[PictureName, re.Match | None]:
        """Return the reading and the match, whose groups and places are those of the stem."""
        *folders, last = filename.split('/')
        inside = folders[len(folders) - self._depth :] if self._depth else []
        if len(inside) < self._depth:
            return UNKNOWN, None
        found = self._expression.fullmatch('/'.join([*inside, _stem(last)]))
        if found is None:
            return UNKNOWN, None
        parts = found.groupdict()
        day = day_of(parts.get('date'))
        if day is None or _contradiction(found):
            return UNKNOWN, None
        patient, side = parts.get('patient'), _side(parts.get('eye'))
        above = folders[: len(folders) - self._depth]
        if patient and self.in_folders:
            patient = '/'.join([*above, patient])
        return PictureName(patient, side if side != 'OU' else None, day, self.name), found


def side_of(word: str) -> str | None:
    """Return ``'OD'``, ``'OS'`` or ``'OU'`` for a word that names a side, None for any other.

    Example:
        >>> side_of('left eye'), side_of('右眼'), side_of('macula')
        ('OS', 'OD', None)
    """
    return _side(word) if re.fullmatch(_EYE, word) else None


def _expression(template: str, loose: bool, own: Mapping[str, str]) -> str:
    """Turn a template into a regular expression that reads every name in one way only."""
    pieces = [piece for piece in re.split(r'(\{[^{}]*\})', template) if piece]
    names = [_field(piece, template) for piece in pieces]
    for name in ('patient', 'eye', 'date'):
        if names.count(name) > 1:
            raise InputError(f'the name pattern {template!r} has {{{name}}} twice; keep one')
    if not {'patient', 'eye'} & set(names):
        raise InputError(
            f'the name pattern {template!r} names neither {{patient}} nor {{eye}}; add one'
        )
    result = []
    for at, (piece, name) in enumerate(zip(pieces, names, strict=True)):
        if name is None:
            text = re.escape(piece)
            result.append(text.replace('_', f'[{_SEPARATORS}]') if loose else text)
            continue
        before = pieces[at - 1][-1] if at and names[at - 1] is None else ''
        after = pieces[at + 1][0] if at + 1 < len(pieces) and names[at + 1] is None else ''
        following = names[at + 1] if at + 1 < len(pieces) else None
        if following and (name, following) not in (('eye', 'index'), ('patient', 'eye')):
            raise InputError(
                f'the name pattern {template!r}: nothing tells where {{{name}}} ends and '
                f'{{{following}}} begins; put a separator between them'
            )
        excluded = set('/' + before + after)
        if loose and '_' in excluded:
            excluded |= set(_SEPARATORS)
        anything = f'[^{re.escape("".join(sorted(excluded)))}]'
        kinds = {
            'patient': f'{anything}*[0-9]' if following == 'eye' else f'{anything}+',
            'any': f'{anything}+', 'index': '[0-9]+', 'eye': _EYE, 'date': _DATE,
        } | dict(own)  # fmt: skip
        group = f'?P<{name}>' if name in ('patient', 'eye', 'date') else ''
        number = names[:at].count(name)
        group = group or f'?P<{name}{number}>'
        result.append(f'({group}{kinds[name]})')
    return ''.join(result)


def _field(piece: str, template: str) -> str | None:
    if not re.fullmatch(r'\{[^{}]*\}', piece):
        if '{' in piece or '}' in piece:
            raise InputError(f'the name pattern {template!r} has a brace without its partner')
        return None
    if (name := piece[1:-1]) not in FIELDS:
        raise InputError(
            f'the name pattern {template!r} has {piece}; the fields are '
            f'{", ".join("{" + name + "}" for name in FIELDS)}'
        )
    return name


def _stem(name: str) -> str:
    """Take the suffix off; a side is none (``P001.OD``)."""
    found = _SUFFIX.search(name)
    return name[: found.start()] if found and found[1].lower() not in SIDES else name


def _side(word: str | None) -> str | None:
    if word is None:
        return None
    bare = re.sub(r'(?i)[ _-]?eyes?$|眼$', '', word)
    return SIDES[bare.lower()]


def day_of(text: str | None) -> str | None:
    """Spell a date in one way; empty without one, None for a day that there is not."""
    if text is None:
        return ''
    digits = re.sub(r'[^0-9]', '', text)
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
    return day.isoformat() if 1900 <= day.year < 2100 else None


def _contradiction(found: re.Match) -> bool:
    """Whether another part of the name is a word for a side, too (letters may be initials)."""
    side = _side(found.groupdict().get('eye'))
    if side is None:
        return False
    others = [value for name, value in found.groupdict().items()
              if value and (name == 'patient' or name.startswith('any'))]  # fmt: skip
    words = [word for value in others for word in re.split(r'[ _.-]+', value)]
    return any(
        side_of(word) not in (None, side) for word in words if word.lower() not in WEAK_SIDES
    ) or any(side_of(value) for value in others if value.lower() not in WEAK_SIDES)
