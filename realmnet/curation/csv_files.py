"""One reader and one writer of CSV, for every table that a person hands in or opens.

The reader takes all cells as text, from comma-separated UTF-8 with or without a byte-order mark,
and refuses what could mean something else, with the line of the file. The writer marks cells that
a spreadsheet would calculate, and the reader takes the mark away again.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realmnet.curation.outputs import write_whole
from realmnet.errors import InputError

# What a spreadsheet takes for the beginning of a formula; Chinese and Japanese editions also take
# the full-width forms.
_SIGNS = '=+@\t\r\n\uff1d\uff0b\uff0d\uff20-'
_FORMULA = re.compile(f"'*[{_SIGNS}]")
_NUMBER = re.compile(r'[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf|-')
_BEGINNINGS = {
    b'PK\x03\x04': 'it is an Excel workbook or another zip',
    b'\xd0\xcf\x11\xe0': 'it is an old Excel workbook',
    b'\xff\xfe\0\0': 'it is UTF-32',
    b'\xff\xfe': 'it is UTF-16',
    b'\xfe\xff': 'it is UTF-16',
}
_SEPARATORS = {';': "';'", '\t': 'tabs', '|': "'|'"}
# How others call the columns that this project calls filename and ID.
_OTHER_NAMES = {
    'filename': ('file', 'image', 'imagename', 'imagefile', 'imageid', 'imagepath', 'img',
                 'imgname', 'picture', 'name', 'path', 'filepath', 'fname'),
    'ID': ('patient', 'patientid', 'patientname', 'patientno', 'pid', 'subject', 'subjectid',
           'case', 'caseid', 'mrn'),
}  # fmt: skip


@dataclass(frozen=True)
class CsvTable:
    """The cells of a CSV file.

    Attributes:
        source: The file, for messages.
        columns: Column name to its cells, as text, in the order of the file; an index column
            without a name is called ``''``.
        lines: Line of the file on which each row begins, shape (N,).
    """

    source: str
    columns: dict[str, list[str]]
    lines: np.ndarray

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def header(self) -> list[str]:
        """Names of the columns."""
        return list(self.columns)

    def place(self, row: int) -> str:
        """Name row ``row`` (0-based) as a reader of the file finds it."""
        return f'{self.source}, line {self.lines[row]}'


def read_csv(
    path: str | os.PathLike, what: str = 'a table', absent: str = 'no such file; correct the name'
) -> CsvTable:
    r"""Read a CSV file.

    Names of columns lose spaces around them. Blank lines, rows and last columns without any
    content (as Excel leaves them) and a first line ``sep=,`` are left out; line numbers count them.
    A mark of :func:`spreadsheet_safe` is taken away.

    Args:
        path: The file.
        what: What it should be, for messages.
        absent: What to say if there is no such file.

    Raises:
        InputError: One sentence with file, line and remedy: the file is absent, no UTF-8, separated
            by something else than commas; a row has more or fewer fields than the header (a comma
            in a name that no quotes enclose, R's row names); a column occurs twice or has content
            but no name; a quote is not closed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, 'a.csv')
        ...     _ = file.write_text('filename, ID\n\na.jpg,007\n')
        ...     table = read_csv(file)
        >>> table.columns, table.lines.tolist()
        ({'filename': ['a.jpg'], 'ID': ['007']}, [3])
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'{path}: {absent}{_other_file(path)}')
    text = _decoded(path, what)
    if plain := _plain_columns(text):
        header, *columns = plain
        lines = np.arange(2, len(columns[0]) + 2)
        _check_header(header, path)
    else:
        header, columns, lines = _any_columns(text, path, what)
    table = _named(header, columns, lines, path)
    return _unmarked(table) if "'" in text else table


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Lay out a table as CSV in which no text is a formula; numbers stay numbers.

    Args:
        header: Names of the columns.
        rows: Cells; None and NaN are left empty.

    Raises:
        InputError: If a cell cannot be written as UTF-8 (a file name in another encoding).

    Example:
        >>> csv_text(['filename', 'score'], [['=1+1.jpg', -0.5], ['a.jpg', None]])
        "filename,score\n'=1+1.jpg,-0.5\na.jpg,\n"
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    # Left to itself, the writer does not quote a carriage return, which would end the row.
    careful = csv.writer(stream, lineterminator='\n', quoting=csv.QUOTE_ALL)
    for row in (header, *rows):
        cells = [_cell(cell) for cell in row]
        (careful if any('\r' in c for c in cells if isinstance(c, str)) else writer).writerow(cells)
    text = stream.getvalue()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 20) : error.start + 20].encode('ascii', 'replace')
        raise InputError(
            f'{around.decode()!r} has characters that cannot be written as UTF-8; rename the file'
        ) from None
    return text


def write_csv(
    path: str | os.PathLike,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    bom: bool = False,
) -> None:
    """Write a table as CSV that appears whole or not at all; see :func:`csv_text`.

    Args:
        path: Target; its folder is made, an existing file is replaced.
        header: Names of the columns.
        rows: Their cells.
        bom: Whether to begin with a byte-order mark, by which Excel recognises UTF-8.

    Raises:
        InputError: If it cannot be written.
    """
    write_whole(path, ('\ufeff' if bom else '') + csv_text(header, rows))


def spreadsheet_safe(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would calculate.

    :func:`from_spreadsheet` undoes it. Numbers, and text that already begins with an apostrophe
    but hides no formula behind it, stay as they are.

    Example:
        >>> [spreadsheet_safe(text) for text in ('=1+1.jpg', "'=1", "'s a.jpg", '-0.5', 'a.jpg')]
        ["'=1+1.jpg", "''=1", "'s a.jpg", '-0.5', 'a.jpg']
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def from_spreadsheet(text: str) -> str:
    """Undo :func:`spreadsheet_safe`.

    Example:
        >>> from_spreadsheet("'=1+1.jpg"), from_spreadsheet("'s a.jpg")
        ('=1+1.jpg', "'s a.jpg")
    """
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text


def as_number(cell: object) -> float | None:
    """Read a cell as a number; TRUE and FALSE are 1 and 0, an empty cell is NaN.

    Returns:
        None if it is no number; :func:`number_remedy` then says what it may be.

    Example:
        >>> as_number(' 0.5'), as_number('TRUE'), as_number('0,5'), as_number('50%')
        (0.5, 1.0, None, None)
    """
    if cell is None:
        return float('nan')
    if not isinstance(cell, str):
        return float(cell) if isinstance(cell, int | float) else None
    text = cell.strip()
    if not text:
        return float('nan')
    if text.lower() in ('true', 'false'):
        return float(text.lower() == 'true')
    try:
        return None if '_' in text else float(text)
    except ValueError:
        return None


def number_remedy(cell: object) -> str:
    """Say what to do with a cell that :func:`as_number` cannot read."""
    text = str(cell).strip()
    if re.fullmatch(r'[-+]?\d*,\d+', text):
        return 'write a decimal point in place of the decimal comma'
    if text.endswith('%'):
        return 'write fractions (0.9 for 90 %)'
    return 'correct the file'


def column_hint(missing: Iterable[str], header: Iterable[str]) -> str:
    """Say which column may have been meant by each missing one; ``''`` where none.

    Example:
        >>> column_hint(['filename', 'ID'], ['Filename', 'patient_id', 'N'])
        " (found 'Filename', expected 'filename'; found 'patient_id', expected 'ID')"
    """
    header = [name for name in header if name]
    found = []
    for name in missing:
        meant = {_plain(name), *_OTHER_NAMES.get(name, ())}
        found += [
            f'found {other!r}, expected {name!r}' for other in header if _plain(other) in meant
        ][:1]
    return f' ({"; ".join(found)})' if found else ''


def _plain(name: str) -> str:
    return ''.join(filter(str.isalnum, name)).casefold()


def _cell(value: object) -> object:
    if isinstance(value, str):
        return spreadsheet_safe(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _other_file(path: Path) -> str:
    """Name a file that differs by its ending or by case."""
    if not path.parent.is_dir():
        return ''
    wanted = {path.name.casefold(), path.stem.casefold()}
    other = sorted(
        entry.name
        for entry in path.parent.iterdir()
        if wanted & {entry.name.casefold(), entry.stem.casefold()} and entry.is_file()
    )
    return f' (found {other[0]!r} there, expected {path.name!r})' if other else ''


def _decoded(path: Path, what: str) -> str:
    content = path.read_bytes()
    remedy = "save it as comma-separated UTF-8 with a header (Excel: 'CSV UTF-8')"
    reason = next((said for sign, said in _BEGINNINGS.items() if content.startswith(sign)), '')
    if not reason and b'\0' in content:
        reason = 'it holds zero bytes: UTF-16, or no text'
    if not reason:
        try:
            return content.decode('utf-8-sig')
        except UnicodeDecodeError as error:
            line = content.count(b'\n', 0, error.start) + 1
            reason = f'line {line} is not UTF-8, but perhaps GBK or Latin-1'
    raise InputError(f'{path}: not {what}, cannot be read as CSV ({reason}); {remedy}')


def _plain_columns(text: str) -> list[list[str]] | None:
    """Header and columns of a file without quotes, blank rows and misfits, as nearly all are.

    This is three times as fast as the csv module. None for every other file.
    """
    body = text.replace('\r\n', '\n').removesuffix('\n')
    if '"' in body or '\r' in body or body.startswith('sep='):
        return None
    rows = body.split('\n')
    width = rows[0].count(',') + 1
    if len(rows) < 2 or any(row.count(',') + 1 != width for row in rows):
        return None
    cells = body.replace('\n', ',').split(',')
    columns = [cells[place::width] for place in range(width)]
    if not all(map(str.strip, columns[0])):  # perhaps blank rows
        return None
    return [[column.pop(0).strip() for column in columns], *columns]


def _any_columns(
    text: str, path: Path, what: str
) -> tuple[list[str], list[Sequence[str]], np.ndarray]:
    """Header, columns and lines of any file."""
    rows, lines = _parsed(text, path, what)
    used = [i for i, row in enumerate(rows) if ''.join(row).strip()]
    if used and rows[used[0]] in (['sep=', ''], ['sep=,']):
        del used[0]
    if not used:
        raise InputError(f'{path}: not {what}, cannot be read as CSV (it is empty); add a header')
    header = [name.strip() for name in rows[used[0]]]
    _check_header(header, path)
    width = len(header)
    while header and not header[-1]:  # columns that Excel leaves behind the table
        header.pop()
    fitted = [_fitted(rows[i], header, width, f'{path}, line {lines[i]}') for i in used[1:]]
    columns = list(zip(*fitted, strict=True)) if fitted else [()] * len(header)
    return header, columns, lines[used[1:]]


def _parsed(text: str, path: Path, what: str) -> tuple[list[list[str]], np.ndarray]:
    """Rows, blank ones included, and the line on which each begins."""
    reader = csv.reader(io.StringIO(text, newline=''), strict=True)
    try:
        rows = list(reader)
        if reader.line_num == len(rows):
            return rows, np.arange(1, len(rows) + 1)
    except csv.Error:
        pass  # read again, to know where it is
    rows, lines, numbered = [], [], _numbered(text)
    while True:
        try:
            line, row = next(numbered)
        except StopIteration:
            return rows, np.array(lines, int)
        except csv.Error as error:
            reached = lines[-1] + 1 if lines else 1
            raise InputError(
                f'{path}: not {what}, cannot be read as CSV ({error}, in the row after line '
                f'{reached - 1}); close every quote, and double quotes inside quotes'
            ) from None
        lines.append(line)
        rows.append(row)


def _numbered(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=''), strict=True)
    line = 1
    for row in reader:
        yield line, row
        line = reader.line_num + 1


def _check_header(header: list[str], path: Path) -> None:
    line = ','.join(header)
    for sign, said in _SEPARATORS.items():
        if line.count(sign) > line.count(','):
            raise InputError(
                f'{path}: its columns are separated by {said}, not by commas; save it as '
                'comma-separated UTF-8, with decimal points'
            )
    named = [name for name in header if name]
    if not named:
        raise InputError(f'{path}: the header names no column; name them')
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise InputError(f'{path}: column(s) {twice} occur twice; keep one each')
    by_case: dict[str, str] = {}
    for name in named:
        other = by_case.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(
                f'{path}: columns {other!r} and {name!r} differ only by case; keep one, or rename'
            )


def _named(
    header: list[str], columns: Iterable[Sequence[str]], lines: np.ndarray, path: Path
) -> CsvTable:
    named = {}
    for place, (name, column) in enumerate(zip(header, columns, strict=True)):
        if name or not place:  # an index column, which stands first, needs no name
            named[name] = list(column)
            continue
        row = next((i for i, cell in enumerate(column) if cell.strip()), None)
        if row is not None:
            raise InputError(
                f'{path}, line {lines[row]}: {column[row]!r} stands in a column without a name; '
                'name the column, or put quotes around a name with a comma'
            )
    return CsvTable(str(path), named, lines)


def _fitted(row: list[str], header: list[str], width: int, place: str) -> list[str]:
    """Cut cells behind the last named column if they are empty; refuse any other misfit."""
    expected = len(header)
    if expected <= len(row) <= width and not any(cell.strip() for cell in row[expected:]):
        return row[:expected]
    if len(row) < expected:
        raise InputError(
            f'{place}: {len(row)} field(s) where the header has {expected}, so column '
            f'{header[-1]!r} is empty or another is missing; write every field'
        )
    raise InputError(
        f'{place}: {len(row)} fields where the header has {width}; put quotes around a name with '
        'a comma ("Wang, Li"), take a comma too many away, or name the column of row names (R)'
    )


def _unmarked(table: CsvTable) -> CsvTable:
    columns = {}
    for name, cells in table.columns.items():
        marked = {cell for cell in set(cells) if cell != from_spreadsheet(cell)}
        if clash := {from_spreadsheet(cell) for cell in marked} & (set(cells) - marked):
            row = cells.index(min(clash))
            raise InputError(
                f'{table.place(row)}: {cells[row]!r} also occurs with an apostrophe before it, '
                'which marks text in spreadsheets; write it in one way'
            )
        columns[from_spreadsheet(name)] = (
            [from_spreadsheet(cell) for cell in cells] if marked else cells
        )
    return CsvTable(table.source, columns, table.lines)
