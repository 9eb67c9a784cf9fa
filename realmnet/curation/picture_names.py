"""Who and which eye a picture shows, read off its name by explicit patterns and never guessed.

A pattern is a template of fields and literal text, ``{patient}_{eye}_{date}``. The names of PSMM
and ODIR-5K have theirs; common forms have ready ones, each with a name; a user writes others.
Without a choice, a ready pattern counts only where nothing else can be meant. A name that no
pattern fits, or whose parts contradict each other, is unknown: no picture goes to a wrong patient.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from realmnet.curation.identifiers import clean_name
from realmnet.curation.name_pattern import (
    UNKNOWN,
    WEAK_SIDES,
    NamePattern,
    PictureName,
    day_of,
    side_of,
)
from realmnet.curation.sources import PSMM_SOURCES
from realmnet.errors import InputError

# Before a number they name a patient. Any other word may be a device, a field, a visit or a place
# (VISUCAM500, Macula1, Baseline1), and a list of those would never be complete.
_PATIENT_WORDS = frozenset(
    (
        '', 'p', 'pt', 'pts', 'pat', 'patient', 'id', 'pid', 'mrn', 'sub', 'subj', 'subject',
        'case', 'person', 'proband', '患者', '病人', '受试者',
    )
)  # fmt: skip


def _ready(name: str, *templates: str) -> tuple[NamePattern, ...]:
    return tuple(NamePattern(template, name, loose=True) for template in templates)


_PSMM_FIELDS = {
    # digits, or the pseudonym that prepare_images.py put in their place
    'patient': rf'(?:{"|".join(PSMM_SOURCES)})-(?=[A-Za-z]*[0-9])[0-9A-Za-z]+',
    'index': '[0-9]{1,6}',
    'any': '[^/]*',
}
_PSMM = tuple(
    NamePattern(template, 'PSMM', fields=_PSMM_FIELDS, in_folders=False)
    for template in (
        '{patient}_{eye}_{date}_{index}',  # ShenzhenEye
        '{patient}_{date}@{index}_{eye}{index}',  # Lishui, with the time of the day
        '{patient}_{index}_{eye}{index}',  # Zhongshan, and its two other forms
        '{patient}_{index}_PRE-{eye}{index}',
        '{patient}_{index}_{index}_{index}_{eye}{index}',
        '{patient}_{any}',  # SUSTech; whatever follows, source and number name the patient
        '{patient}',
    )
)

#: Patterns by name: those of two data sets, and the ready ones of common forms.
PATTERNS: dict[str, tuple[NamePattern, ...]] = {
    'PSMM': _PSMM,
    'ODIR': (
        NamePattern('{patient}_{eye}', 'ODIR',
                    fields={'patient': '[0-9]{1,5}', 'eye': '(?i:left|right)'}),
    ),
    'patient-eye': _ready(
        'patient-eye', '{patient}_{eye}', '{patient}_{eye}_{index}', '{patient}_{eye}{index}',
        '{patient}_{eye}({index})', '{patient}_{eye}_({index})', '{patient}{eye}',
        '{patient}{eye}_{index}',
    ),
    'patient-eye-date': _ready(
        'patient-eye-date', '{patient}_{eye}_{date}', '{patient}_{eye}_{date}_{index}'
    ),
    'patient-date-eye': _ready(
        'patient-date-eye', '{patient}_{date}_{eye}', '{patient}_{date}_{eye}_{index}'
    ),
    'date-patient-eye': _ready(
        'date-patient-eye', '{date}_{patient}_{eye}', '{date}_{patient}_{eye}_{index}'
    ),
    'eye-patient': _ready('eye-patient', '{eye}_{patient}', '{eye}_{patient}_{index}'),
    'patient/eye': _ready('patient/eye', '{patient}/{eye}', '{patient}/{eye}_{index}'),
    'eye/patient': _ready('eye/patient', '{eye}/{patient}', '{eye}/{patient}_{index}'),
}  # fmt: skip
#: Data sets whose names are known as they stand.
_KNOWN = ('PSMM', 'ODIR')
#: Ready patterns that count without being chosen where a name is :func:`_unmistakable`. After a
#: date in front, a number may count patients or the pictures of that day: that one is chosen.
_AUTOMATIC = ('patient-eye', 'patient-eye-date', 'patient-date-eye', 'eye-patient', 'patient/eye',
              'eye/patient')  # fmt: skip


class PictureNames:
    """Reads the names of a set of pictures.

    Args:
        patterns: Names of :data:`PATTERNS` or templates, of which any may fit; those that fit
            must agree. Where left out, PSMM's and ODIR's, and a ready pattern for names that
            cannot mean anything else.
        table: What is known of each picture by its name; then names are not read.

    Raises:
        InputError: If a pattern is neither a known name nor a template.

    Example:
        >>> names = PictureNames()
        >>> names.read('WANG_L_0012_OD.jpg').patient, names.read('P001-OD.jpg').patient
        (None, 'P001')
        >>> PictureNames(['{any}_{any}_{patient}_{eye}']).read('WANG_L_0012_OD.jpg').patient
        '0012'
    """

    def __init__(
        self, patterns: Sequence[str] = (), table: Mapping[str, PictureName] | None = None
    ) -> None:
        self.chosen, self.table = tuple(patterns), table
        self._patterns = tuple(_patterns(text) for text in self.chosen)

    @property
    def settings(self) -> list[str] | None:
        """What decides how names are read, for records; None for what is read without a choice."""
        if self.table is not None:
            rows = repr(sorted(self.table.items(), key=str)).encode()
            return [f'a table of {len(self.table)} pictures, {hashlib.sha256(rows).hexdigest()}']
        return list(self.chosen) or None

    def read(self, filename: str) -> PictureName:
        """Read one name.

        Args:
            filename: Relative to the folder of pictures, with ``/``.
        """
        filename = clean_name(filename)
        if self.table is not None:
            return self.table.get(filename, UNKNOWN)
        *folders, last = filename.split('/')
        if sides := {side_of(folder) for folder in folders} - {None}:
            # left/P001_left.jpg is the patient of right/P001_right.jpg
            others = [folder for folder in folders if side_of(folder) is None]
            found = self._read('/'.join([*others, last]))
            if found.side and sides != {found.side}:
                return replace(found, side=None) if found.pattern == 'PSMM' else UNKNOWN
            if found.side:
                return found
        return self._read(filename)

    def _read(self, filename: str) -> PictureName:
        if self._patterns:
            return _agreed(_first(patterns, filename) for patterns in self._patterns)
        for name in _KNOWN:
            if (found := _first(PATTERNS[name], filename)) is not UNKNOWN:
                return found
        return _agreed(
            reading
            for name in _AUTOMATIC
            for pattern in PATTERNS[name]
            for reading, match in [pattern.match(filename)]
            if match and _unmistakable(filename, pattern, match)
        )

    def eye(self, filename: str, patient: str | None) -> str | None:
        """Name the eye and examination of a patient's picture; None if the side is unknown."""
        found = self.read(filename)
        if not (patient and found.side):
            return None
        return ' '.join(filter(None, (patient, found.side, found.date)))


#: Reads names without a choice by the user.
AUTOMATIC = PictureNames()
#: What becomes of pictures whose names tell nothing.
LEFT_OUT = 'their pictures are left out of eyes and patients'
OWN_EYE = 'each of their pictures counts as an eye of its own'


@dataclass
class Recognised:
    """Counts over the names of pictures that are about to be pooled.

    Attributes:
        pictures: Their number.
        by_pattern: Pattern to names.
        no_eye: Names that tell the patient but not one side.
        unknown: Names that tell nothing.
        examples: Pattern to the first name and its reading; ``''`` for an unknown name.
    """

    pictures: int = 0
    by_pattern: Counter = field(default_factory=Counter)
    no_eye: int = 0
    unknown: int = 0
    examples: dict[str, tuple[str, PictureName]] = field(default_factory=dict)

    @classmethod
    def of(cls, filenames: Iterable[str], names: PictureNames = AUTOMATIC) -> Recognised:
        """Count names."""
        result = cls()
        for filename in filenames:
            found = names.read(filename)
            told = found.patient or found.side
            result.pictures += 1
            result.unknown += not told
            result.no_eye += bool(told and not found.side)
            if told:
                result.by_pattern[found.pattern] += 1
            result.examples.setdefault(found.pattern if told else '', (filename, found))
        return result

    def text(self, unknown: str = LEFT_OUT) -> str:
        """Say what was recognised, with an example each.

        Args:
            unknown: What becomes of pictures with unknown names.

        Example:
            >>> print(Recognised.of(['0_left.jpg', 'SUSTech-129_10.jpg', 'x_OD_OS.jpg']).text())
            names recognised: 1 by 'ODIR', 1 by 'PSMM', 1 unknown (their pictures are left out of eyes and patients)
              ODIR: 0_left.jpg is patient 0, eye OS
              PSMM: SUSTech-129_10.jpg is patient SUSTech-129, eye unknown
              unknown: x_OD_OS.jpg
              eye unknown: 1 of the recognised
        """  # noqa: E501
        parts = [f"{number:,} by '{name}'" for name, number in self.by_pattern.most_common()]
        parts += [f'{self.unknown:,} unknown ({unknown})'] if self.unknown else []
        lines = [f'names recognised: {", ".join(parts) or "none"}']
        for name, (filename, found) in self.examples.items():
            if not name:
                continue
            told = [f'patient {found.patient or "unknown"}', f'eye {found.side or "unknown"}']
            lines.append(
                f'  {name}: {filename} is {", ".join([*told, *filter(None, [found.date])])}'
            )
        if '' in self.examples:
            lines.append(f'  unknown: {self.examples[""][0]}')
        if self.no_eye:
            lines.append(f'  eye unknown: {self.no_eye:,} of the recognised')
        return '\n'.join(lines)


def _patterns(text: str) -> tuple[NamePattern, ...]:
    if text in PATTERNS:
        return PATTERNS[text]
    if '{' not in text:
        raise InputError(
            f'the name pattern {text!r} is unknown; use one of {list(PATTERNS)}, or a template '
            'such as {patient}_{eye}_{date}'
        )
    return (NamePattern(text),)


def _unmistakable(filename: str, pattern: NamePattern, found: re.Match) -> bool:
    """Whether a reading by a ready pattern is the only one that makes sense.

    The patient is a number, perhaps after a word for a patient (``P001``, ``ID7``), and no date or
    year. A running number is shorter than the patient's: in
    ``cam1_OD_77`` either may be the patient. R, L, RE and LE follow the patient and stand alone:
    before it they may be a name, with a number a count. Where the side comes first, or
    folders have numbers of their own, plain numbers may count pictures.
    """
    patient, eye = found['patient'], found['eye'].lower()
    parts = re.fullmatch(r'([^\W\d_]*)([0-9]+)', patient)
    if parts is None:
        return False
    letters, digits = parts[1].lower(), parts[2]
    if letters not in _PATIENT_WORDS:
        return False
    if not letters and _like_a_date(digits):
        return False
    index = found.groupdict().get('index0')
    if index and len(index) >= len(digits):
        return False
    side_first = pattern.template.startswith('{eye}')
    if eye in WEAK_SIDES and (side_first or '}{' in pattern.template or '/' in pattern.template):
        return False
    if side_first and (not letters or index):
        return False
    if '/' in pattern.template:
        above = filename.split('/')[:-2]
        return not any(re.search(r'[0-9]', folder) for folder in above)
    return True


def _like_a_date(digits: str) -> bool:
    """Whether a number may be a year, or a day as 20200105, 05012020 or 200105."""
    spelled = {4: [f'{digits}0101'], 6: [f'20{digits}', f'{digits}01'],
               8: [digits, digits[4:] + digits[2:4] + digits[:2]]}  # fmt: skip
    return any(day_of(text) for text in spelled.get(len(digits), ()))


def _first(patterns: Sequence[NamePattern], filename: str) -> PictureName:
    """Return what the first pattern that fits says; those of one name go from strict to loose."""
    readings = (pattern.read(filename) for pattern in patterns)
    return next((reading for reading in readings if reading is not UNKNOWN), UNKNOWN)


def _agreed(readings: Iterable[PictureName]) -> PictureName:
    """Return what all patterns that fit say alike."""
    fitting = [reading for reading in readings if reading is not UNKNOWN]
    if len({(r.patient, r.side, r.date) for r in fitting}) != 1:
        return UNKNOWN
    return fitting[0]
