"""One page of all tables and figures: HTML that stands alone, and the same as Markdown."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from realmnet.errors import InputError
from realmnet.reporting.tables import Table

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 75rem; margin: 0 auto;
  padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid #ccc; }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
a { color: #0b5394; }
.scroll { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .77rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .45rem; text-align: right; white-space: nowrap;
  vertical-align: top; line-height: 1.3; }
th:first-child, td:first-child { text-align: left; }
thead th { border-top: 2px solid #222; border-bottom: 1px solid #222; }
tbody tr:last-child td { border-bottom: 2px solid #222; }
tr.cell td { border-top: 1px solid #ddd; }
tr.more td { color: #555; }
small { color: #666; font-size: .85em; }
.note { font-size: .85rem; color: #444; margin: .25rem 0; overflow-wrap: anywhere; }
.state { font-size: .9rem; color: #555; margin: 0; }
.mark { font-weight: 600; color: #9c1c1c; }
.box { border: 1px solid #9c1c1c; padding: .5rem .75rem; margin: .75rem 0; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; }
.contents td { white-space: normal; text-align: left; }
.contents th { text-align: left; }
@media print {
  body { font-size: 9pt; max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  table { font-size: 5.5pt; }
  th, td { padding: .1rem .25rem; }
  figure, tr, .box { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  figure img { max-height: 22cm; }
}
</style>
</head>
<body>
<h1>$title</h1>
$lead
<h2 id="contents">Contents</h2>
<div class="scroll"><table class="contents">
<thead><tr><th>Table or figure</th><th>State</th></tr></thead>
<tbody>
$contents
</tbody>
</table></div>
$sections
</body>
</html>
""")


@dataclass(frozen=True)
class Section:
    """A table or figure of the paper on the page.

    Attributes:
        id: Its id, which is also the anchor.
        title: Heading.
        state: What ran and what did not, in a few words.
        tables: Its tables.
        figures: Caption to PNG file.
        notes: Sentences below the heading.
        synthetic: Whether any of its numbers come from synthetic pictures.
    """

    id: str
    title: str
    state: str
    tables: Sequence[Table] = ()
    figures: Mapping[str, Path] = field(default_factory=dict)
    notes: Sequence[str] = ()
    synthetic: bool = False


def write_page(
    folder: str | os.PathLike, title: str, lead: Sequence[str], sections: Sequence[Section]
) -> list[Path]:
    """Write ``report.html``, with its figures inside, and ``report.md``, which links them.

    The HTML file needs no other file and no network.

    Args:
        folder: Where to; made if it is not there.
        title: Heading.
        lead: Sentences below it.
        sections: In order.

    Returns:
        The two paths.

    Raises:
        InputError: If a figure cannot be read or a page not be written.
    """
    folder = Path(folder)
    paths = [folder / 'report.html', folder / 'report.md']
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(page_html(title, lead, sections), encoding='utf-8')
        paths[1].write_text(page_markdown(title, lead, sections, folder), encoding='utf-8')
    except OSError as error:
        raise InputError(f'{error.filename or folder}: {error.strerror}') from None
    return paths


def page_html(title: str, lead: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the page as HTML.

    Args:
        title: Heading.
        lead: Sentences below it.
        sections: In order.

    Example:
        >>> text = page_html('R', ['1 < 2'], [Section('A5', 'Table A5', 'not run')])
        >>> '<a href="#A5">Table A5</a>' in text, '1 &lt; 2' in text
        (True, True)
    """
    warning = synthetic_warning(sections)
    box = f'<p class="box mark">{html.escape(warning)}</p>' if warning else ''
    contents = [
        f'<tr><td><a href="#{html.escape(s.id)}">{html.escape(s.title)}</a></td>'
        f'<td>{_mark(s)}{html.escape(s.state)}</td></tr>'
        for s in sections
    ]
    return _PAGE.substitute(
        title=html.escape(title),
        lead='\n'.join([*(f'<p>{html.escape(text)}</p>' for text in lead), box]),
        contents='\n'.join(contents),
        sections='\n'.join(map(_section_html, sections)),
    )


def page_markdown(
    title: str, lead: Sequence[str], sections: Sequence[Section], folder: str | os.PathLike
) -> str:
    """Return the page as Markdown.

    Args:
        title: Heading.
        lead: Sentences below it.
        sections: In order.
        folder: Where the page will lie, for links to the figures.
    """
    warning = synthetic_warning(sections)
    lines = [f'# {title}', '', *(line for text in lead for line in (text, ''))]
    lines += [f'**{warning}**', ''] if warning else []
    lines += ['| Table or figure | State |', '| --- | --- |']
    lines += [f'| {s.title} | {"SYNTHETIC: " if s.synthetic else ""}{s.state} |' for s in sections]
    for s in sections:
        lines += ['', f'## {s.title}', '', s.state, '']
        lines += [line for note in s.notes for line in (note, '')]
        for caption, path in s.figures.items():
            lines += [f'![{caption}]({Path(os.path.relpath(path, folder)).as_posix()})', '']
        lines += [table.to_markdown() for table in s.tables]
    return '\n'.join(lines).rstrip() + '\n'


def synthetic_warning(sections: Sequence[Section]) -> str:
    """Sentence that names the sections with synthetic numbers; empty where there is none.

    Example:
        >>> synthetic_warning([Section('A5', 'Table A5', '', synthetic=True)])
        'SYNTHETIC: the numbers of A5 come from synthetic pictures. They show that the code runs;
        they say nothing about patients, and differences to the paper mean nothing.'
    """
    names = ', '.join(section.id for section in sections if section.synthetic)
    if not names:
        return ''
    return (
        f'SYNTHETIC: the numbers of {names} come from synthetic pictures. They show that the code '
        'runs; they say nothing about patients, and differences to the paper mean nothing.'
    )


def _section_html(section: Section) -> str:
    parts = [
        f'<h2 id="{html.escape(section.id)}">{html.escape(section.title)}</h2>',
        f'<p class="state">{_mark(section)}{html.escape(section.state)}</p>',
        *(f'<p class="note">{_code(note)}</p>' for note in section.notes),
    ]
    for caption, path in section.figures.items():
        picture = base64.b64encode(Path(path).read_bytes()).decode('ascii')
        parts.append(
            f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{picture}">'
            '</figure>'
        )
    parts += map(_table_html, section.tables)
    return '\n'.join(parts)


def _table_html(table: Table) -> str:
    head = ''.join(f'<th>{html.escape(cell)}</th>' for cell in table.header)
    rows = []
    for row in table.rows:
        kind = 'cell' if row[0] else 'more'
        cells = ''.join(f'<td>{_cell(cell)}</td>' for cell in row)
        rows.append(f'<tr class="{kind}">{cells}</tr>')
    notes = ''.join(f'<p class="note">{_code(note)}</p>' for note in table.notes)
    return (
        f'<h3>{html.escape(table.title)}</h3>\n<div class="scroll"><table>\n'
        f'<thead><tr>{head}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody>\n</table></div>\n'
        f'{notes}'
    )


def _cell(text: str) -> str:
    """Escape a cell; an interval goes below its value, so that tables stay narrow."""
    value, bracket, ends = html.escape(text).partition(' [')
    return f'{value}<br><small>[{ends}</small>' if bracket else value


def _mark(section: Section) -> str:
    return '<span class="mark">SYNTHETIC</span> ' if section.synthetic else ''


def _code(text: str) -> str:
    """Escape, and set what stands between backticks as code."""
    pieces = html.escape(text).split('`')
    if len(pieces) % 2 == 0:
        return '`'.join(pieces)
    return ''.join(f'<code>{p}</code>' if i % 2 else p for i, p in enumerate(pieces))
