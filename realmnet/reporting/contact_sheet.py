"""Contact sheets: pages of small pictures with what was found in each."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from realmnet.curation.content import Content
from realmnet.curation.pictures import read_any_picture
from realmnet.curation.synthetic_marks import MARK, any_synthetic
from realmnet.evaluation.findings import Finding
from realmnet.reporting.findings_table import NOTICE, FindingRow
from realmnet.reporting.style import readable

#: Side of a stored thumbnail, in pixels.
SIDE = 190
COLUMNS, ROWS = 7, 6
_GAP, _TEXT, _TOP, _BOTTOM = 14, 82, 66, 40
_INK, _GREY, _YES, _NO, _CLOSE = '#1d2730', '#6b7680', '#a8320a', '#2b6a4d', '#d98b00'


def thumbnail_path(folder: Path, content: Content) -> Path:
    """Name the thumbnail of a picture by its content, so that it can be of no other."""
    return folder / f'{content.digest}.jpg'


def write_thumbnail(path: Path, picture: np.ndarray) -> None:
    """Write a small JPEG of a picture.

    Args:
        path: File to write.
        picture: ``uint8`` RGB of shape (S, S, 3).
    """
    shrinks = picture.shape[0] > SIDE
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=method)
    Image.fromarray(small).save(path, 'JPEG', quality=82)


def write_sheets(
    out: Path,
    thumbnails: Path,
    findings: Iterable[FindingRow],
    total: int,
    title: str,
) -> list[str]:
    """Write ``sheet_001.jpg`` and so on, one page at a time.

    Args:
        out: Folder for the pages; pages of an earlier run are replaced.
        thumbnails: Folder with the files that :func:`thumbnail_path` names.
        findings: A row for each picture.
        total: How many there are.
        title: Name of the model.

    Returns:
        Names of the pages.
    """
    for old in out.glob('sheet_[0-9]*.jpg'):
        old.unlink()
    names, remaining, each = [], iter(findings), COLUMNS * ROWS
    pages = -(-total // each)
    while page := list(islice(remaining, each)):
        number = len(names)
        images = [thumbnail_path(thumbnails, row.content) for row in page]
        heading = f'{title} · {total:,} pictures · page {number + 1} of {pages}'
        sheet = draw_sheet(images, page, heading)
        names.append(f'sheet_{number + 1:03d}.jpg')
        sheet.save(out / names[-1], 'JPEG', quality=88)
    return names


def draw_sheet(images: list[Path], findings: list[FindingRow], heading: str) -> Image.Image:
    """Draw one page.

    Args:
        images: Thumbnails; one that is missing leaves a grey field.
        findings: Row of each.
        heading: First line of the page.
    """
    columns = min(COLUMNS, len(findings))
    rows = -(-len(findings) // columns)
    width = max(columns * (SIDE + _GAP) + _GAP, 780)
    height = _TOP + rows * (SIDE + _TEXT + _GAP) + _BOTTOM
    sheet = Image.new('RGB', (width, height), 'white')
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 12), 'Findings', fill=_INK, font=_font(20, bold=True))
    if any_synthetic(name for name, *_ in findings):
        draw.text((_GAP + 112, 18), MARK, fill=_YES, font=_font(12, bold=True))
    draw.text((_GAP, 38), heading, fill=_GREY, font=_font(13))
    for i, (image, (name, finding, _)) in enumerate(zip(images, findings, strict=True)):
        x = _GAP + i % columns * (SIDE + _GAP)
        y = _TOP + i // columns * (SIDE + _TEXT + _GAP)
        _cell(sheet, draw, x, y, image, name, finding)
    foot = f'{NOTICE} Amber: too close to call. Grey: ungradable.'
    draw.text((_GAP, height - 28), foot, fill=_INK, font=_font(13, bold=True))
    return sheet


def _cell(sheet, draw, x, y, image, name, finding) -> None:
    if image.is_file():
        sheet.paste(Image.fromarray(read_any_picture(image)), (x, y))
    else:
        draw.rectangle((x, y, x + SIDE, y + SIDE), fill='#e4e7ea')
    if finding.uncertain or finding.ungradable:
        colour = _GREY if finding.ungradable else _CLOSE
        draw.rectangle((x - 3, y - 3, x + SIDE + 2, y + SIDE + 2), outline=colour, width=3)
    small, bold = _font(11), _font(12, bold=True)
    lines = [(line, small, _GREY) for line in _two_lines(name, small)]
    lines.append((_fitting(headline(finding), bold), bold, _INK))
    if finding.disease is not None:
        word, colour = ('yes', _YES) if finding.disease else ('no', _NO)
        text = f'{finding.schema.disease} {word} ({finding.diagnosis_score:.2f})'
        lines.append((_fitting(text, small), small, colour))
    if finding.ungradable:
        lines.append((_fitting(', '.join(finding.ungradable), small), small, _INK))
    if finding.uncertain:
        lines.append((_fitting(f'? {", ".join(finding.uncertain)}', small), small, _CLOSE))
    for number, (text, font, colour) in enumerate(lines):
        draw.text((x, y + SIDE + 4 + 15 * number), text, fill=colour, font=font)


def headline(finding: Finding) -> str:
    """Say what was found, in short.

    Example:
        >>> from realmnet.curation.label_schema import LabelSchema
        >>> schema = LabelSchema('ODIR-5K', ('N', 'M'))
        >>> headline(Finding(schema, {'N': 0.2, 'M': 0.9}, ungradable=('too dark',)))
        'ungradable'
        >>> headline(Finding(schema, {'N': 0.2, 'M': 0.9}, ('M',)))
        'M .90'
        >>> headline(Finding(schema, {'N': 0.2, 'M': 0.1}))
        'none (N .20)'
        >>> side = dict(name='side', classes=('R', 'L'))
        >>> schema = LabelSchema('eyes', ('R', 'L'), ('right', 'left'), (side,))
        >>> headline(Finding(schema, {'R': 0.9, 'L': 0.1}, ('R',)))
        'R right'
    """
    if finding.ungradable:
        return 'ungradable'
    schema, groups = finding.schema, finding.groups
    parts = []
    for group in schema.decisions:
        if group.name in groups and group.tells_presence:
            parts.append(group.name if finding.present(group.name) else f'no {group.name}')
        elif group.name in groups:
            parts.append(readable(groups[group.name], schema))
    others = [name for name in finding.found if name not in groups.values()]
    best = sorted(others, key=lambda c: -finding.scores[c])
    if best:
        parts.append('  '.join(f'{c} {_short(finding.scores[c])}' for c in best))
    if parts:
        return ' · '.join(parts)
    top = max(finding.scores, key=finding.scores.get)
    return f'none ({top} {_short(finding.scores[top])})'


def _short(score: float) -> str:
    return f'{score:.2f}'.removeprefix('0')


def _two_lines(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """Break a name that is too long for one line; what is too long for two loses its middle."""
    cut = len(text)
    while font.getlength(text[:cut]) > SIDE:
        cut -= 1
    rest = text[cut:]
    return [text[:cut], _fitting(rest, font)] if rest else [text]


def _fitting(text: str, font: ImageFont.FreeTypeFont) -> str:
    """Take characters out of the middle until the text is as wide as a cell."""
    if font.getlength(text) <= SIDE:
        return text
    kept = len(text)
    while kept > 2:
        kept -= 1
        head = kept // 3  # the end of a file name tells pictures of a patient apart
        shorter = f'{text[:head]}…{text[len(text) - (kept - head) :]}'
        if font.getlength(shorter) <= SIDE:
            return shorter
    return '…'


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), 'fonts', 'ttf', name)), size)
