"""Findings as tables: one row a picture, eye or patient, as CSV and JSON, read row by row.

Names come from strangers. They are written on one line, in printable characters, and never as
something a spreadsheet would calculate. Every row says that it is no diagnosis by a doctor.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from realmnet.curation.class_names import SCORE
from realmnet.curation.content import Content
from realmnet.curation.csv_files import from_spreadsheet, spreadsheet_safe
from realmnet.curation.label_schema import LabelSchema, schema_of
from realmnet.curation.picture_names import AUTOMATIC, PictureNames
from realmnet.errors import InputError
from realmnet.evaluation.findings import Finding, UnitFinding

NOTICE = 'Research software, not a medical device.'
#: Spreadsheets take a file for UTF-8 if it begins with a mark; readers of this encoding do without.
ENCODING = 'utf-8-sig'
# What tables of earlier versions lack.
_LATER = ('ungradable', 'size', 'digest')


class FindingRow(NamedTuple):
    """A row of ``findings.csv``.

    Attributes:
        name: Display name of the picture.
        finding: What was found.
        content: Of the picture's file; None in a table of an earlier version.
    """

    name: str
    finding: Finding
    content: Content | None


def display_name(path: str | Path) -> str:
    r"""Write a relative path on one line, so that different paths stay different.

    Control and other unprintable characters, bytes that are not UTF-8, and the backslash become
    escapes as in Python.

    Args:
        path: Relative to the folder of pictures.

    Example:
        >>> print(display_name('a\n b.jpg'), display_name('\udcff.jpg'))
        a\n b.jpg \udcff.jpg
    """
    text = path.as_posix() if isinstance(path, Path) else str(path)
    return ''.join(
        c if c.isprintable() and c != '\\' else c.encode('unicode_escape').decode('ascii')
        for c in text
    )


def columns(classes: Sequence[str] | LabelSchema) -> list[str]:
    """Columns of ``findings.csv``; those that the classes do not tell are left out.

    Args:
        classes: The schema of the model, or bare names; see :func:`schema_of`.

    Example:
        >>> odir = LabelSchema('ODIR-5K', ('M',), diagnosis=('M',), disease='macular hole')
        >>> columns(odir)[3:8]
        ['M_score', 'found', 'macular_hole_score', 'macular_hole', 'uncertain']
        >>> columns(['M'])[3:]
        ['M_score', 'found', 'uncertain', 'ungradable', 'size', 'digest', 'notice']
    """
    schema = schema_of(classes)
    names = ['filename', 'patient', 'eye', *(c + SCORE for c in schema.classes), 'found']
    names += [group.column for group in schema.decisions] + _disease_columns(schema)
    return [*names, 'uncertain', *_LATER, 'notice']


def unit_columns(schema: LabelSchema) -> list[str]:
    """Columns of ``eyes.csv`` and ``patients.csv`` after the name of the unit.

    Example:
        >>> unit_columns(schema_of(['M']))
        ['images', 'uncertain', 'ungradable', 'notice']
    """
    scales = [group.column for group in schema.decisions if group.ordered]
    return ['images', *scales, *_disease_columns(schema), 'uncertain', 'ungradable', 'notice']


def _disease_columns(schema: LabelSchema) -> list[str]:
    name = schema.disease_column
    return [name + SCORE, name] if schema.diagnosis else []


def to_row(
    name: str,
    finding: Finding,
    content: Content | None = None,
    names: PictureNames = AUTOMATIC,
) -> dict[str, str]:
    """Turn a finding into the cells of its row; ``name`` is a :func:`display_name`."""
    patient = names.read(name).patient
    row = {
        'filename': name,
        'patient': patient or '',
        'eye': names.eye(name, patient) or '',
        'found': _separator(finding.scores).join(finding.found),
        **_group_cells(finding),
        **_disease_cells(finding),
        'uncertain': '; '.join(finding.uncertain),
        'ungradable': '; '.join(finding.ungradable),
        'size': str(content.size) if content else '',
        'digest': content.digest if content else '',
        'notice': NOTICE,
    }
    row |= {c + SCORE: _number(s) for c, s in finding.scores.items()}
    return {column: spreadsheet_safe(cell) for column, cell in row.items()}


def _group_cells(finding: Finding | UnitFinding) -> dict[str, str]:
    """The class of each exclusive group, 1 or 0 where it says present or absent."""
    return {
        group.column: _flag(finding.present(group.name))
        if group.tells_presence
        else finding.groups.get(group.name, '')
        for group in finding.schema.decisions
        if group.ordered or isinstance(finding, Finding)
    }


def _disease_cells(finding: Finding | UnitFinding) -> dict[str, str]:
    values = (_number(finding.diagnosis_score), _flag(finding.disease))
    return dict(zip(_disease_columns(finding.schema), values, strict=False))


def _separator(classes: Iterable[str]) -> str:
    """What stands between the classes found: a space, unless a class has one in its name."""
    return '; ' if any(' ' in name for name in classes) else ' '


def from_row(row: Mapping[str, str], classes: Sequence[str] | LabelSchema) -> FindingRow:
    """Read a row back."""
    schema = schema_of(classes)
    row = {column: from_spreadsheet(cell) for column, cell in row.items()}
    score, decision = [row[name] for name in _disease_columns(schema)] or ('', '')
    finding = Finding(
        schema,
        {c: float(row[c + SCORE]) for c in schema.classes},
        tuple(filter(None, row['found'].split(_separator(schema.classes)))),
        float(score) if score else None,
        _flagged(decision),
        tuple(filter(None, row['uncertain'].split('; '))),
        tuple(filter(None, row.get('ungradable', '').split('; '))),
    )
    content = Content.parse(row['size'], row['digest']) if row.get('digest') else None
    return FindingRow(row['filename'], finding, content)


def read_findings(
    path: str | os.PathLike, classes: Sequence[str] | LabelSchema
) -> Iterator[FindingRow]:
    """Yield each row of ``findings.csv``, one at a time; those of earlier versions, too.

    Args:
        path: The file.
        classes: Schema of the model, or the names of its classes.

    Raises:
        InputError: If the columns are others, or a row is damaged.
    """
    earlier = [name for name in columns(classes) if name not in _LATER]
    with Path(path).open(newline='', encoding=ENCODING) as file:
        reader = csv.DictReader(file)
        try:
            if reader.fieldnames not in (columns(classes), earlier):
                raise InputError(
                    f'{path}: has the columns {reader.fieldnames}, expected {columns(classes)}; '
                    'name another output folder'
                )
            for row in reader:
                yield from_row(row, classes)
        except InputError:
            raise
        except (ValueError, TypeError, AttributeError, KeyError, csv.Error):
            raise InputError(
                f'{path}, line {reader.line_num}: the row is damaged; name another output folder'
            ) from None


def unit_row(finding: UnitFinding) -> list[str]:
    """Cells of an eye's or patient's row after its name, as in :func:`unit_columns`."""
    cells = [
        str(finding.images),
        *_group_cells(finding).values(),
        *_disease_cells(finding).values(),
        _flag(finding.uncertain),
        str(finding.ungradable),
        NOTICE,
    ]
    return [spreadsheet_safe(cell) for cell in cells]


def write_units(path: Path, unit: str, findings: Iterable[UnitFinding]) -> int:
    """Write ``eyes.csv`` or ``patients.csv``.

    Args:
        path: The file.
        unit: Heading of the first column.
        findings: Its rows.

    Returns:
        Number of rows; without any, no file is left.
    """
    number = 0
    temporary = path.with_name(f'.{path.name}.tmp')
    with temporary.open('w', newline='', encoding=ENCODING) as file:
        writer = csv.writer(file, lineterminator='\n')
        for finding in findings:
            if not number:
                writer.writerow([unit, *unit_columns(finding.schema)])
            writer.writerow([spreadsheet_safe(finding.name), *unit_row(finding)])
            number += 1
    if number:
        temporary.replace(path)
    else:
        temporary.unlink()
        path.unlink(missing_ok=True)
    return number


def write_json(
    path: Path,
    about: Mapping[str, Any],
    findings: Iterable[FindingRow],
    names: PictureNames = AUTOMATIC,
) -> None:
    """Write ``findings.json`` row by row: the notice, what is known of the run, the findings.

    Args:
        path: The file.
        about: Model, settings, problems; JSON values.
        findings: A row for each picture.
        names: How file names tell the patient.
    """
    temporary = path.with_name(f'.{path.name}.tmp')
    with temporary.open('w', encoding='utf-8') as file:
        head = json.dumps({'notice': NOTICE, **about}, indent=1)
        file.write(head.removesuffix('\n}') + ',\n "findings": [')
        for number, (name, finding, content) in enumerate(findings):
            file.write(',\n  ' if number else '\n  ')
            row = {'filename': name, 'patient': names.read(name).patient, **_values(finding)}
            json.dump(row | (content._asdict() if content else {}), file)
        file.write('\n ]\n}\n')
    temporary.replace(path)


def _values(finding: Finding) -> dict[str, Any]:
    """A finding as JSON values."""
    groups = {
        group.column: finding.present(group.name)
        if group.tells_presence
        else finding.groups.get(group.name)
        for group in finding.schema.decisions
    }
    disease = {finding.schema.disease_column: finding.disease} if finding.schema.diagnosis else {}
    return {
        'scores': finding.scores,
        'found': finding.found,
        **groups,
        'diagnosis_score': finding.diagnosis_score,
        **disease,
        'uncertain': finding.uncertain,
        'ungradable': finding.ungradable,
    }


def _flag(value: bool | None) -> str:
    return '' if value is None else str(int(value))


def _flagged(text: str | None) -> bool | None:
    return bool(int(text)) if text else None


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:.8g}'
