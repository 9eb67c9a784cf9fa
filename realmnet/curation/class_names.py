"""Which names a class can have, from the label table to the last report."""

from __future__ import annotations

import reprlib
import unicodedata
from collections.abc import Sequence

from realmnet.errors import InputError

#: Most characters of a name.
LONGEST = 64
#: Ending of the column with a class's scores.
SCORE = '_score'
# In files of one column a class these would be columns or words that mean something else.
_RESERVED = (
    'filename', 'id', 'patient', 'eye', 'found', 'uncertain', 'notice', 'all', 'micro',
)  # fmt: skip
# Columns of the tables of findings beside those of classes, groups and the disease.
_OF_FINDINGS = (
    'filename', 'patient', 'eye', 'images', 'scores', 'found', 'diagnosis_score', 'uncertain',
    'ungradable', 'size', 'digest', 'notice',
)  # fmt: skip
# Names become file names, stand in lists with commas or semicolons, and in markdown tables.
_FORBIDDEN = ',;:/\\|"<>*?`='
_FORMULA = "=+-@'"


def check_class_names(
    classes: Sequence[str], class_names: Sequence[str] = (), place: str = ''
) -> None:
    r"""Check that every part of the project can write the names of a label schema and read them.

    A name has 1 to 64 characters: letters and digits of any script, spaces inside, and marks
    other than ``, ; : / \ | " < > * ? ` =``. It does not begin with a dot or with what a
    spreadsheet takes for a formula, and does not end in ``_score``.

    Args:
        classes: Column names of a label table.
        class_names: Readable names; these must only be printable.
        place: Which schema, for messages.

    Raises:
        InputError: If a name cannot be used or two of them cannot be told apart, with the remedy.

    Example:
        >>> check_class_names(['macular hole', '高度近视', 'AMD (wet)'])
        >>> check_class_names(['a', 'a_score'])
        Traceback (most recent call last):
            ...
        realmnet.errors.InputError: the class name 'a_score' ends in '_score', as the columns of scores do; rename the class
    """  # noqa: E501
    start = f'{place}: ' if place else ''
    for name in classes:
        if reason := name_problem(name):
            raise InputError(
                f'{start}the class name {reprlib.repr(name)} {reason}; rename the class'
            )
    for name in class_names:
        if not name.isprintable():
            raise InputError(
                f'{start}the readable name {reprlib.repr(name)} has characters that cannot be shown'
            )
        if not 1 <= len(name) <= LONGEST:
            raise InputError(
                f'{start}the readable name {reprlib.repr(name)} must have 1 to {LONGEST} characters'
            )
    seen: dict[str, str] = {}
    for name in classes:
        key = unicodedata.normalize('NFKC', name).casefold()
        if key in seen:
            raise InputError(
                f'{start}the class names {seen[key]!r} and {name!r} differ in case or spelling '
                'only; rename one'
            )
        seen[key] = name


def check_columns(names: Sequence[str], what: str, place: str) -> None:
    """Check that names of groups or of the disease can be columns of a table of findings.

    Args:
        names: Names, whose spaces become underscores.
        what: Whose name it is, for messages.
        place: Which schema, for messages.

    Raises:
        InputError: If a name cannot be used or is a column already, with the remedy.

    Example:
        >>> check_columns(['macular hole'], 'the disease', 'mine')
        >>> check_columns(['eye'], 'the group', 'mine')
        Traceback (most recent call last):
            ...
        realmnet.errors.InputError: mine: the group 'eye' is the name of another column; rename it
    """
    for name in names:
        taken = name.replace(' ', '_').casefold() in (*_RESERVED, *_OF_FINDINGS)
        if reason := _form_problem(name) or ('is the name of another column' if taken else ''):
            raise InputError(f'{place}: {what} {reprlib.repr(name)} {reason}; rename it')


def name_problem(name: str) -> str:
    """Say what is wrong with the name of a class; empty if nothing is.

    Example:
        >>> name_problem('ID'), name_problem('PM')
        ('is the name of another column', '')
    """
    taken = name.casefold() in _RESERVED
    return _form_problem(name) or ('is the name of another column' if taken else '')


def _form_problem(name: str) -> str:
    if not 1 <= len(name) <= LONGEST:
        return f'has {len(name)} characters, expected 1 to {LONGEST}'
    if not name.isprintable():
        return 'has characters that cannot be shown'
    if name != ' '.join(name.split()):
        return 'begins or ends with a space, or has two in a row'
    if name[0] in _FORMULA:
        return f'begins with {name[0]!r}, which makes a spreadsheet calculate'
    if name[0] == '.':
        return "begins with '.', which hides files"
    if found := [character for character in name if character in _FORBIDDEN]:
        return f'has {found[0]!r}, which separates names in files and lists'
    if name.casefold().endswith(SCORE):
        return f'ends in {SCORE!r}, as the columns of scores do'
    return ''
