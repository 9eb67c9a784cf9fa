"""Numbers and flags in the cells of a table that a person hands in."""

from __future__ import annotations

import re


def as_number(cell: object) -> float | None:
    """Read a cell as a number; an empty one is NaN.

    Returns:
        None if it is no number; :func:`number_remedy` then says what it may be.

    Example:
        >>> as_number(' 0.5'), as_number('0,5'), as_number('50%'), as_number('1_0')
        (0.5, None, None, None)
    """
    if cell is None:
        return float('nan')
    if not isinstance(cell, str | int | float):
        return None
    text = cell.strip() if isinstance(cell, str) else cell
    try:
        return None if '_' in str(text) else float('nan' if text == '' else text)
    except (ValueError, OverflowError):  # a whole number may be too large
        return None


def as_flag(cell: object) -> float | None:
    """Read a cell that should hold 0 or 1; TRUE and FALSE are these, others as numbers.

    Example:
        >>> as_flag('1.0'), as_flag('true'), as_flag('FALSE'), as_flag('yes')
        (1.0, 1.0, 0.0, None)
    """
    text = cell.strip().lower() if isinstance(cell, str) else ''
    return {'true': 1.0, 'false': 0.0}[text] if text in ('true', 'false') else as_number(cell)


def number_remedy(cell: object) -> str:
    """Say what to do with a cell that :func:`as_number` cannot read."""
    text = str(cell).strip()
    if re.fullmatch(r'[-+]?\d*,\d+', text):
        return 'write a decimal point in place of the decimal comma'
    if text.endswith('%'):
        return 'write fractions (0.9 for 90 %)'
    return 'correct the file'
