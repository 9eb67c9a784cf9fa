"""The findings of a folder as one HTML page that needs nothing else: no script, no network."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from string import Template
from typing import Any

from realmnet.curation.class_groups import ClassGroup
from realmnet.deployment.description import ModelDescription
from realmnet.evaluation.findings import Finding, UnitFinding, Units
from realmnet.reporting.contact_sheet import headline, thumbnail_path
from realmnet.reporting.findings_summary import Summary
from realmnet.reporting.findings_table import NOTICE, FindingRow
from realmnet.reporting.style import readable

#: Rows of a table on the page, and those of them with a picture; the CSV files hold all.
MOST_ROWS, MOST_PICTURES = 2000, 500
_TEMPLATE = Path(__file__).with_name('findings_report.html')


def write_report(
    path: Path,
    thumbnails: Path,
    findings: Callable[[], Iterable[FindingRow]],
    description: ModelDescription,
    summary: Summary,
    units: Units,
    settings: dict[str, Any],
    problems: list[tuple[str, str]],
) -> None:
    """Write the page, row by row.

    Args:
        path: File to write.
        thumbnails: Folder with the files that
            :func:`realmnet.reporting.contact_sheet.thumbnail_path` names.
        findings: Gives the row of each picture, from the first on.
        description: The model's.
        summary: Counts.
        units: Eyes and patients.
        settings: Of the run.
        problems: Pictures that could not be read, with one sentence each.
    """
    before, after = _TEMPLATE.read_text(encoding='utf-8').split('<!-- content -->')
    fields = {
        'notice': html.escape(NOTICE),
        'model': html.escape(settings['model']['name']),
        'folder': html.escape(settings['folder']),
        'digest': html.escape(settings['model']['sha256']),
        'version': html.escape(settings['realmnet']),
        'about': html.escape(_about(description, settings)),
    }
    temporary = path.with_name(f'.{path.name}.tmp')
    with temporary.open('w', encoding='utf-8') as file:
        file.write(Template(before).substitute(fields))
        file.writelines(_cards(description, summary, problems))
        file.writelines(_bars(description, summary))
        file.writelines(_units(units, 'patient'))
        file.writelines(_units(units, 'eye'))
        file.writelines(_pictures(findings(), thumbnails, description, summary))
        file.writelines(_problems(problems))
        file.write(Template(after).substitute(fields))
    temporary.replace(path)


def _about(description: ModelDescription, settings: dict[str, Any]) -> str:
    size = description.preprocessing.size
    parts = [f'{size} x {size} px']
    parts += [] if description.input_check else ['NO INPUT CHECK']
    parts += ['black border cropped'] if description.preprocessing.crop_border else []
    parts += ['averaged with the mirror image'] if settings['flip'] else []
    chosen = description.thresholds
    parts.append(
        f'thresholds by the rule {chosen.rule} on {chosen.images:,} pictures'
        if chosen
        else 'threshold .5 for every class, none was chosen'
    )
    parts += [description.recalibration.note.rstrip('.')] if description.recalibration else []
    if description.training.synthetic:
        parts.append('trained on SYNTHETIC pictures: says nothing about patients')
    return ' · '.join(parts)


def _cards(description: ModelDescription, summary: Summary, problems: list) -> Iterator[str]:
    cards = [('pictures', summary.pictures, '')]
    if summary.disease is not None:
        cards.append((f'with {description.label_schema.disease}', summary.disease, 'yes'))
    if summary.gradable:
        cards += [
            (f'with {group.name}', summary.found[group.classes[-1]], '')
            for group in description.label_schema.decisions
            if group.tells_presence
        ]
    cards.append(('too close to call', summary.uncertain, 'close'))
    cards.append(('ungradable', summary.ungradable, ''))
    cards.append(('could not be read', len(problems), ''))
    yield '<section class="cards">'
    for text, number, kind in cards:
        yield f'<div class="card {kind}"><b>{number:,}</b>{html.escape(text)}</div>'
    yield '</section>\n'


def _bars(description: ModelDescription, summary: Summary) -> Iterator[str]:
    """Draw how often each class was found."""
    yield '<section><h2>Found in how many pictures</h2>'
    if summary.ungradable:
        reasons = ', '.join(f'{reason} {n:,}' for reason, n in summary.reasons.most_common())
        yield (
            f'<p class="small">{summary.ungradable:,} of {summary.pictures:,} pictures are '
            f'ungradable ({html.escape(reasons)}) and not counted here.</p>'
        )
    yield '<table class="bars">'
    for name in description.classes:
        number = summary.found[name]
        share = 100 * number / max(1, summary.gradable)
        label = readable(name, description.label_schema)
        yield (
            f'<tr><th>{html.escape(label)}</th><td><i style="width:{share:.1f}%"></i></td>'
            f'<td class="n">{number:,}</td><td class="n">{share:.1f} %</td></tr>'
        )
    yield '</table></section>\n'


def _units(units: Units, unit: str) -> Iterator[str]:
    findings = iter(units.findings(unit))
    rows = list(islice(findings, MOST_ROWS))
    if not rows:
        return
    number = len(rows) + sum(1 for _ in findings)
    schema = rows[0].schema
    told = [g for g in schema.decisions if any(g.name in row.groups for row in rows)]
    yield f'<details><summary>By {unit} ({number:,})</summary>'
    if units.unnamed[unit]:
        yield (
            f'<p class="small">{units.unnamed[unit]:,} pictures are left out, whose names do not '
            f'tell the {unit}.</p>'
        )
    yield f'<table class="rows"><thead><tr><th>{unit}</th><th class="n">pictures</th>'
    for group in told:
        yield f'<th>{"" if group.tells_presence else "worst "}{html.escape(group.name)}</th>'
    yield f'<th>{html.escape(schema.disease)}</th></tr></thead><tbody>'
    for row in rows:
        yield f'<tr><td>{html.escape(row.name)}</td><td class="n">{row.images}</td>'
        for group in told:
            yield f'<td>{html.escape(_worst(row, group))}</td>'
        refused = f'{row.ungradable} ungradable' if row.gradable else 'ungradable'
        note = f'<span class="u">{refused}</span>' if row.ungradable else ''
        yield f'<td>{_diagnosis(row, row.uncertain)}{note}</td></tr>\n'
    yield '</tbody></table>'
    yield _more(number, f'{unit}s.csv')
    yield '</details>\n'


def _pictures(
    findings: Iterable[FindingRow],
    thumbnails: Path,
    description: ModelDescription,
    summary: Summary,
) -> Iterator[str]:
    yield '<section><h2>By picture</h2>'
    yield (
        '<p class="small">Scores of every class; the ones that count as found are framed. '
        'Amber: too close to call.</p><table class="rows"><thead><tr><th></th>'
        '<th>picture</th><th>finding</th>'
    )
    disease = html.escape(description.label_schema.disease)
    yield '' if summary.disease is None else f'<th>{disease}</th>'
    yield ''.join(f'<th class="s">{html.escape(c)}</th>' for c in description.classes)
    yield '</tr></thead><tbody>'
    for number, (name, finding, content) in enumerate(islice(findings, MOST_ROWS)):
        image = ''
        thumbnail = thumbnail_path(thumbnails, content)
        if number < MOST_PICTURES and thumbnail.is_file():
            data = base64.b64encode(thumbnail.read_bytes()).decode('ascii')
            image = f'<img alt="" src="data:image/jpeg;base64,{data}">'
        close, refused = ', '.join(finding.uncertain), ', '.join(finding.ungradable)
        kind = ' class=refused' if refused else ' class=close' if close else ''
        yield f'<tr{kind}><td class="p">{image}</td>'
        yield f'<td class="f">{html.escape(name)}</td><td>{html.escape(headline(finding))}'
        yield f'<span class="u">{html.escape(refused)}</span>' if refused else ''
        yield f'<span class="q">? {html.escape(close)}</span></td>' if close else '</td>'
        if summary.disease is not None:
            yield f'<td>{_diagnosis(finding, False)}</td>'
        yield ''.join(_score(c, finding) for c in description.classes) + '</tr>\n'
    yield '</tbody></table>' + _more(summary.pictures, 'findings.csv')
    if summary.pictures > MOST_PICTURES:
        yield (
            f'<p class="small">Small pictures stand beside the first {MOST_PICTURES:,} of '
            f'{summary.pictures:,}; all are on the contact sheets.</p>'
        )
    yield '</section>\n'


def _problems(problems: list[tuple[str, str]]) -> Iterator[str]:
    if not problems:
        return
    yield '<section><h2>Could not be read</h2><ul>'
    for _, problem in problems[:MOST_ROWS]:
        yield f'<li>{html.escape(problem)}</li>\n'
    yield '</ul>' + _more(len(problems), 'problems.csv') + '</section>\n'


def _more(number: int, file: str) -> str:
    if number <= MOST_ROWS:
        return ''
    return f'<p class="small">The first {MOST_ROWS:,} of {number:,}; all are in {file}.</p>'


def _score(name: str, finding: Finding) -> str:
    score = finding.scores[name]
    kind = 's found' if name in finding.found else 's'
    text = f'{score:.2f}'.removeprefix('0')
    return f'<td class="{kind}" style="--v:{score:.2f}">{text}</td>'


def _diagnosis(finding: Finding | UnitFinding, uncertain: bool) -> str:
    if finding.disease is None:
        return ''
    kind = 'yes' if finding.disease else 'no'
    mark = ' <span class="q">?</span>' if uncertain else ''
    return f'<b class="{kind}">{kind}</b> {finding.diagnosis_score:.2f}{mark}'


def _worst(unit: UnitFinding, group: ClassGroup) -> str:
    if group.name not in unit.groups:
        return ''
    if group.tells_presence:
        return 'yes' if unit.present(group.name) else 'no'
    return readable(unit.groups[group.name], unit.schema)
