"""A table of text cells, as Markdown, CSV and LaTeX."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from realmnet.curation.csv_files import csv_text
from realmnet.curation.synthetic_marks import MARK, MARK_CELL, MARK_COLUMN

_MARKED = re.compile(rf'\[({MARK_CELL}[^]]*)\] ')
_LATEX = {
    '&': r'\&', '%': r'\%', '$': r'\$', '#': r'\#', '_': r'\_', '{': r'\{', '}': r'\}',
    '~': r'\textasciitilde{}', '^': r'\textasciicircum{}', '\\': r'\textbackslash{}',
    '±': r'$\pm$', '−': '$-$', '–': '--', '≤': r'$\le$', '→': r'$\to$', '↓': r'$\downarrow$',
    '★': r'$\star$', '<': '$<$', '>': '$>$', 'α': r'$\alpha$', 'γ': r'$\gamma$',
    'λ': r'$\lambda$',
}  # fmt: skip


@dataclass
class Table:
    """A table as it is printed.

    Attributes:
        name: File stem, for instance ``table_A1``.
        title: What the table shows.
        header: Column heads.
        rows: Cells as text, as many a row as there are heads.
        notes: Sentences below the table.

    Raises:
        ValueError: If a row has another number of cells than the header.

    Example:
        >>> print(Table('t', 'Two', ['a', 'b'], [['1', '2']]).to_csv())
        a,b
        1,2
        <BLANKLINE>
    """

    name: str
    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f'{self.name}: row {row} does not fit the header {self.header}')

    def to_markdown(self) -> str:
        """Return the table in GitHub's Markdown, title above, notes below."""

        def line(cells: list[str]) -> str:
            return '| ' + ' | '.join(cell.replace('|', r'\|') for cell in cells) + ' |'

        rule = (
            '|' + '|'.join(' --- ' if i == 0 else ' ---: ' for i in range(len(self.header))) + '|'
        )
        lines = [f'**{self.title}**', '', line(self.header), rule, *map(line, self.rows)]
        for note in self.notes:
            lines += ['', note]
        return '\n'.join(lines) + '\n'

    def to_csv(self) -> str:
        """Return header and rows as CSV; a mark before the title becomes a column."""
        header, rows = self.header, self.rows
        if mark := _MARKED.match(self.title):
            header, rows = [*header, MARK_COLUMN], [[*row, mark[1]] for row in rows]
        return csv_text(header, rows)

    def to_latex(self) -> str:
        """Return a ``table`` environment; the document needs the package ``booktabs``."""

        def line(cells: list[str]) -> str:
            return '  ' + ' & '.join(_escape(cell) for cell in cells) + r' \\'

        lines = [
            r'\begin{table}', r'\centering', rf'\caption{{{_escape(self.title)}}}',
            rf'\label{{tab:{self.name}}}',
            rf'\begin{{tabular}}{{l{"r" * (len(self.header) - 1)}}}', r'\toprule',
            line(self.header), r'\midrule', *map(line, self.rows), r'\bottomrule',
            r'\end{tabular}',
            *[rf'\par\smallskip\footnotesize {_escape(note)}' for note in self.notes],
            r'\end{table}',
        ]  # fmt: skip
        return '\n'.join(lines) + '\n'


def mark_table(table: Table) -> Table:
    """Return the table with the mark of synthetic pictures in its title and its notes.

    Example:
        >>> mark_table(Table('t', 'Counts', ['a'], [['1']])).title
        '[SYNTHETIC] Counts'
    """
    return replace(table, title=f'[{MARK_CELL}] {table.title}', notes=[MARK, *table.notes])


def write_table(table: Table, folder: str | os.PathLike) -> list[Path]:
    """Write a table as ``.md``, ``.csv`` and ``.tex``.

    Args:
        table: What to write.
        folder: An existing folder.

    Returns:
        The three paths.
    """
    texts = {'md': table.to_markdown(), 'csv': table.to_csv(), 'tex': table.to_latex()}
    paths = []
    for suffix, text in texts.items():
        paths.append(Path(folder, f'{table.name}.{suffix}'))
        paths[-1].write_text(text, encoding='utf-8')
    return paths


def _escape(text: str) -> str:
    return ''.join(_LATEX.get(character, character) for character in text)
