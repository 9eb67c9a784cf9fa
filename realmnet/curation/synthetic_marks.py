"""How synthetic data are told from patients' in files that stand alone.

A synthetic data set says what it is in ``synthetic.json`` of its folder
(:func:`realmnet.curation.synthetic.is_synthetic`). A table, a figure or a predictions file has no
such folder: there the identifiers tell, and :data:`MARK` is written into the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What every synthetic patient number begins with. PSMM's sources number their patients with at
#: most 7 digits; with this prefix a number has 8 or more, so that no patient of theirs can have it.
#: Inserted before the drawn number it leaves the order of the names as it was.
NUMBER_PREFIX = '9999000'
#: The sentence that stands in every file made from synthetic pictures.
MARK = 'SYNTHETIC pictures: drawn by a program, of no person; they say nothing about patients.'
#: The word for a column of a table that has no place for the sentence.
MARK_COLUMN, MARK_CELL = 'data', 'SYNTHETIC'

_SYNTHETIC = re.compile(rf'[A-Za-z]+-{NUMBER_PREFIX}\d+(?=_|\.|$)')


def is_synthetic_id(name: str) -> bool:
    """Tell whether a patient, or a picture by its file name, is synthetic.

    Data sets made before these identifiers existed are known by their folder only.

    Args:
        name: ``ID`` or ``filename``, with or without folders.

    Example:
        >>> is_synthetic_id('ShenzhenEye-99990002415460')
        True
        >>> is_synthetic_id('pictures/SUSTech-999900034_2.jpg')
        True
        >>> is_synthetic_id('ShenzhenEye-2415460_OD_2020-12-27_2.jpg')
        False
    """
    return _SYNTHETIC.match(str(name).rpartition('/')[2]) is not None


def any_synthetic(*columns: Iterable[str]) -> bool:
    """Tell whether any name is synthetic: one invented patient is enough to mark a file.

    Example:
        >>> any_synthetic(['a', 'b'], ['LishuiZ-9999000000012_1.jpg'])
        True
    """
    return any(is_synthetic_id(name) for column in columns for name in column)
