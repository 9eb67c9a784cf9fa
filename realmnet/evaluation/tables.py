"""Lay out rows as text, Markdown, CSV, LaTeX or JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from realmnet.curation.csv_files import csv_text
from realmnet.curation.synthetic_marks import MARK_CELL, MARK_COLUMN
from realmnet.errors import InputError

FORMATS = ('text', 'markdown', 'csv', 'latex', 'json')
_SUFFIXES = {'text': 'txt', 'markdown': 'md', 'csv': 'csv', 'latex': 'tex', 'json': 'json'}


def lay_out(header: Sequence[str], rows: Sequence[Sequence[object]], form: str) -> str:
    """Write a table.

    Args:
        header: Column titles.
        rows: Cells; floats are written with four digits in ``text``, ``markdown`` and ``latex``
            and in full in ``csv`` and ``json``.
        form: One of :data:`FORMATS`.

    Returns:
        The table, without a final line break.

    Raises:
        InputError: If the form is unknown.

    Example:
        >>> print(lay_out(['class', 'F1'], [['A4', 0.66789]], 'markdown'))
        | class | F1 |
        | --- | --- |
        | A4 | 0.6679 |
    """
    if form == 'json':
        records = [dict(zip(header, map(plain, row), strict=True)) for row in rows]
        return json.dumps(records, indent=1)
    if form == 'csv':
        return csv_text(header, [[plain(cell) for cell in row] for row in rows]).rstrip('\n')
    cells = [[_show(cell, name) for cell, name in zip(row, header, strict=True)] for row in rows]
    if form == 'markdown':
        lines = [header, ['---'] * len(header), *cells]
        return '\n'.join('| ' + ' | '.join(c.replace('|', '\\|') for c in r) + ' |' for r in lines)
    if form == 'latex':
        body = [' & '.join(map(_tex, row)) + r' \\' for row in [header, *cells]]
        columns = 'l' + 'r' * (len(header) - 1)
        return '\n'.join([rf'\begin{{tabular}}{{{columns}}}', r'\hline', body[0], r'\hline',
                          *body[1:], r'\hline', r'\end{tabular}'])  # fmt: skip
    if form != 'text':
        raise InputError(f'table format {form!r} is unknown; use one of {FORMATS}')
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [list(header), *cells]
    )


def marked_rows(
    header: Sequence[str], rows: Sequence[Sequence[object]], synthetic: bool
) -> tuple[list[str], list[list[object]]]:
    """Add a column that says of every row that it comes from synthetic pictures.

    For CSV, which has no place for a sentence.

    Args:
        header: Column titles.
        rows: Cells.
        synthetic: Whether there is anything to say.

    Example:
        >>> marked_rows(['F1'], [[0.9]], True)
        (['F1', 'data'], [[0.9, 'SYNTHETIC']])
    """
    more = [MARK_COLUMN] * synthetic, [MARK_CELL] * synthetic
    return [*header, *more[0]], [[*row, *more[1]] for row in rows]


def write_tables(folder: str | os.PathLike, stem: str, render: Callable[[str], str]) -> None:
    """Write a table in every format, as ``<stem>.txt``, ``.md``, ``.csv``, ``.tex``, ``.json``.

    Args:
        folder: Where to; made if it is not there.
        stem: File stem.
        render: Gives the table in one of :data:`FORMATS`.

    Raises:
        InputError: If the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form, suffix in _SUFFIXES.items():
            (folder / f'{stem}.{suffix}').write_text(render(form) + '\n', encoding='utf-8')
    except OSError as error:
        raise InputError(f'{folder}: tables cannot be written there ({error.strerror})') from None


def span(value: float, low: float, high: float, digits: int = 4, remark: str = '') -> str:
    """Write a value with its interval, ``0.7903 [0.7531, 0.8275]``; a dash where undefined.

    Args:
        value: The value.
        low: Lower end; NaN where there is no interval.
        high: Upper end.
        digits: Digits after the point.
        remark: Why there is no interval, or what its reader must know.

    Example:
        >>> span(0.79034, 0.7531, float('nan')), span(float('nan'), 0, 1)
        ('0.7903', '-')
        >>> nan = float('nan')
        >>> span(0.9, nan, nan, 2, 'one patient'), span(0.9, 0.4, 0.99, 2, '2.9 patients')
        ('0.90 (one patient)', '0.90 [0.40, 0.99] (2.9 patients)')
    """
    if math.isnan(value):
        return '-'
    text = f'{value:.{digits}f}'
    if not math.isnan(low + high):
        text += f' [{low:.{digits}f}, {high:.{digits}f}]'
    return f'{text} ({remark})' if remark else text


def records_json(content: Mapping) -> str:
    """Write nested records as JSON, NaN as null."""
    return json.dumps(plain(content), indent=1)


def plain(value: object) -> object:
    """Turn numpy numbers into Python's and NaN into None, inside lists and dicts too."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, 'item'):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _show(cell: object, column: str) -> str:
    cell = plain(cell)
    if cell is None:
        return '-'
    if column in ('p', 'p_holm', 'p_bh') and cell < 5e-5:
        return '<0.0001'
    return f'{cell:.4f}' if isinstance(cell, float) else str(cell)


def _tex(text: str) -> str:
    for character in '&%_#$':
        text = text.replace(character, '\\' + character)
    return text.replace('±', r'$\pm$').replace('<', '$<$').replace('>=', r'$\geq$')
