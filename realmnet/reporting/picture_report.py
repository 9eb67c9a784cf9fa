"""The findings of one picture in HTML: pieces for a page, and a report that needs nothing else."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template

import cv2
import matplotlib as mpl
import numpy as np

import realmnet
from realmnet.curation.class_groups import ClassGroup
from realmnet.curation.outputs import write_whole
from realmnet.deployment.description import ModelDescription
from realmnet.evaluation.decoding import thresholds_of
from realmnet.evaluation.findings import Finding
from realmnet.evaluation.thresholds import DEFAULT
from realmnet.reporting.findings_table import NOTICE
from realmnet.reporting.heat_maps import COLOUR_MAP, overlay
from realmnet.reporting.style import in_words

METHOD_WORDS = {
    'gradcam': 'Grad-CAM',
    'gradcam++': 'Grad-CAM++',
    'layercam': 'LayerCAM',
    'hirescam': 'HiResCAM',
    'xgradcam': 'XGrad-CAM',
    'eigengradcam': 'Eigen-Grad-CAM',
    'attention': 'Head attention',
}
_FOLDER = Path(__file__).parent


@cache
def style() -> str:
    """Return the ``<style>`` element that all pieces need, inside an element of class ``rm``."""
    return (_FOLDER / 'picture_style.html').read_text(encoding='utf-8')


def model_words(name: str, description: ModelDescription) -> str:
    """Describe a model in one line of plain text.

    Args:
        name: Name of its file.
        description: What it says of itself.
    """
    size = description.preprocessing.size
    parts = [f'Model {name}', f'{size} x {size} px']
    parts += [] if description.input_check else ['NO INPUT CHECK: any picture is graded']
    parts += ['black border cropped'] if description.preprocessing.crop_border else []
    chosen = description.thresholds
    if chosen:
        parts.append(f'thresholds by the rule {chosen.rule} on {chosen.images:,} pictures')
    else:
        parts.append('thresholds .5, none were chosen')
    parts += [description.recalibration.note.rstrip('.')] if description.recalibration else []
    if description.training.synthetic:
        parts.append('trained on SYNTHETIC pictures: says nothing about patients')
    return ' · '.join(parts)


def facts_html(finding: Finding, description: ModelDescription) -> str:
    """Say the diagnosis, the class of each exclusive group, and what is too close to call.

    Args:
        finding: Of the picture.
        description: The model's.

    Returns:
        A list of definitions; empty if the classes tell none of them. Of a picture that cannot
        be graded it says only why.
    """
    facts = []
    if finding.ungradable:
        note = f'{", ".join(finding.ungradable)}; the scores mean nothing'
        facts.append(_fact('Picture', 'ungradable', note, '', finding, 'unsure'))
    if finding.disease is not None:
        chosen = description.thresholds
        cut = chosen.diagnosis.get('image', DEFAULT) if chosen else DEFAULT
        note = f'score {finding.diagnosis_score:.2f}, yes from {cut:.2f}'
        disease = finding.schema.disease
        title = disease[:1].upper() + disease[1:]
        facts.append(_yes_no(title, disease, finding.disease, note, finding))
    facts += [_group(finding, g) for g in finding.schema.decisions if g.name in finding.groups]
    return f'<dl class="facts">{"".join(facts)}</dl>' if facts else ''


def _group(finding: Finding, group: ClassGroup) -> str:
    if group.tells_presence:
        absent, present = (finding.scores[name] for name in group.classes)
        note, here = f'score {present:.2f} against {absent:.2f}', finding.present(group.name)
        return _yes_no(group.words, group.name, here, note, finding)
    chosen = finding.groups[group.name]
    note = f'score {finding.scores[chosen]:.2f}'
    return _fact(group.words, in_words(chosen, finding.schema), note, group.name, finding)


def _yes_no(title: str, decision: str, value: bool, note: str, finding: Finding) -> str:
    word = 'yes' if value else 'no'
    if decision in finding.uncertain:
        return _fact(title, 'uncertain', f'rather {word}, {note}', decision, finding)
    return _fact(title, word, note, decision, finding, word)


def _fact(
    title: str, value: str, note: str, decision: str, finding: Finding, kind: str = ''
) -> str:
    close = ''
    if decision in finding.uncertain:
        kind, close = 'unsure', ' <span class="close">too close to call</span>'
    return (
        f'<div class="{kind}"><dt>{html.escape(title)}</dt><dd><b>{html.escape(value)}</b> '
        f'<span>{html.escape(note)}</span>{close}</dd></div>'
    )


def scores_html(finding: Finding, description: ModelDescription) -> str:
    """Lay out scores, thresholds and what counts as found, a class a row.

    Args:
        finding: Of the picture.
        description: The model's.
    """
    values = description.thresholds.values if description.thresholds else {}
    cuts = thresholds_of(values, description.classes)
    schema = description.label_schema
    rows, before = [], schema.group_of(description.classes[0])
    for name, cut in zip(description.classes, cuts, strict=True):
        score, found = finding.scores[name], name in finding.found
        kinds = ['found'] if found else []
        group = schema.group_of(name)
        kinds += [] if group == before else ['first']
        before = group
        close = ' <span class="close">?</span>' if name in finding.uncertain else ''
        mark = '<span title="found" aria-label="found">●</span> ' if found else ''
        rows.append(
            f'<tr class="{" ".join(kinds)}"><th scope="row">{mark}'
            f'{html.escape(in_words(name, schema))}{close}</th>'
            f'<td class="bar"><div class="track"><i style="width:{100 * score:.1f}%"></i>'
            f'<u style="left:{100 * cut:.1f}%"></u></div></td>'
            f'<td class="n">{score:.3f}</td><td class="n cut">{cut:.2f}</td></tr>'
        )
    note = '● found. The tick in a bar is the threshold.'
    if groups := [_span(group) for group in schema.groups if group.exclusive]:
        note += (
            f' Of {", and of ".join(groups)}, the class with the highest score counts as found; '
            'there the threshold is only for comparison.'
        )
    return (
        '<table><thead><tr><th>Class</th><th></th><th class="n">score</th>'
        f'<th class="n cut">threshold</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
        f'<p class="small">{html.escape(note, quote=False)}</p>'
    )


def _span(group: ClassGroup) -> str:
    *rest, last = group.classes
    if group.ordered and len(rest) > 2:
        return f'{rest[0]} to {last}'
    return f'{", ".join(rest)} and {last}'


def maps_html(
    picture: np.ndarray,
    name: str,
    heat: Mapping[str, np.ndarray],
    finding: Finding,
    description: ModelDescription,
) -> str:
    """Show the picture and, beside it, the heat maps of one class.

    Args:
        picture: RGB, uint8, (H, W, 3).
        name: The class.
        heat: Method to heat map, (h, w) in [0, 1].
        finding: Of the picture.
        description: The model's.
    """
    words = html.escape(in_words(name, description.label_schema))
    figures = [_figure(picture, 'Picture', 'as the network sees it')]
    for method, values in heat.items():
        note = '' if values.any() else 'no place speaks for this class'
        figures.append(_figure(overlay(picture, values), METHOD_WORDS.get(method, method), note))
    score = finding.scores[name]
    return (
        f'<p class="of"><b>{words}</b> <span>score {score:.3f}</span></p>'
        f'<div class="maps">{"".join(figures)}</div>'
    )


def legend_html() -> str:
    """Explain the colours of the heat maps."""
    places = np.linspace(0, 1, 9)
    colours = mpl.colormaps[COLOUR_MAP](places)[:, :3]
    stops = ', '.join(mpl.colors.to_hex(colour) for colour in colours)
    return (
        f'<div class="legend">no heat <i style="background:linear-gradient(90deg, {stops})"></i> '
        'most</div><p class="small">Cold places stay clear. Each map is scaled to its own hottest '
        'place: how hot two maps are cannot be compared, where they are hot can. A heat map says '
        'what moved the score and not where a lesion is.</p>'
    )


def write_picture_report(
    path: Path,
    name: str,
    picture: np.ndarray,
    finding: Finding,
    heat: Mapping[tuple[str, str], np.ndarray],
    description: ModelDescription,
    model: Mapping[str, str],
) -> None:
    """Write a report that stands alone.

    Args:
        path: File to write.
        name: The picture's.
        picture: RGB, uint8, (H, W, 3).
        finding: Of the picture.
        heat: Heat maps by class and method.
        description: The model's.
        model: ``name`` and ``sha256`` of the checkpoint.

    Raises:
        InputError: If the file cannot be written.
    """
    by_class = {
        c: {m: values for (of, m), values in heat.items() if of == c} for c in description.classes
    }
    maps = [
        maps_html(picture, c, methods, finding, description)
        for c, methods in by_class.items()
        if methods
    ]
    maps += [legend_html()] if maps else [f'<img alt="" src="{_data(picture)}" width="420">']
    template = Template((_FOLDER / 'picture_report.html').read_text(encoding='utf-8'))
    text = template.substitute(
        style=style(),
        name=html.escape(name),
        model=html.escape(model_words(model['name'], description)),
        notice=html.escape(NOTICE),
        facts=facts_html(finding, description),
        table=scores_html(finding, description),
        maps='\n'.join(maps),
        version=html.escape(realmnet.__version__),
        digest=html.escape(model['sha256']),
    )
    write_whole(path, text)  # a download of the one before goes on with its own


def _figure(picture: np.ndarray, title: str, note: str) -> str:
    return (
        f'<figure><figcaption>{title} <span>{note}</span></figcaption>'
        f'<img alt="{title} {note}" src="{_data(picture)}"></figure>'
    )


def _data(picture: np.ndarray) -> str:
    _, content = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return f'data:image/jpeg;base64,{base64.b64encode(content).decode("ascii")}'
