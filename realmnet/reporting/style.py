"""How figures look: sizes and colours for print, panels, and saving as vector and PNG."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.synthetic_marks import MARK
from realmnet.errors import InputError

#: Okabe and Ito's palette, without its yellow, which vanishes on white.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000', '#7F7F7F')
INK, FAINT = '#222222', '#BBBBBB'
_CHARACTERS = 21  # of a caption, an inch
#: Absent and present in blues, a scale from pale to dark red: they stay apart for colour-blind
#: readers and in grey print.
_ABSENT_PRESENT = ('#9ecae1', '#08519c')
_SCALE = ('#fdd9b5', '#fdae6b', '#f16913', '#c1370a', '#67000d')

_STYLE = {
    'font.family': 'DejaVu Sans',
    'font.size': 7.5,
    'axes.titlesize': 8.5,
    'axes.labelsize': 7.5,
    'axes.edgecolor': INK,
    'axes.linewidth': 0.7,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'xtick.labelsize': 7,
    'ytick.labelsize': 7,
    'xtick.major.width': 0.6,
    'ytick.major.width': 0.6,
    'legend.fontsize': 7,
    'legend.frameon': False,
    'lines.linewidth': 1.3,
    'pdf.fonttype': 42,
    'svg.fonttype': 'none',
    'svg.hashsalt': 'realmnet',
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw with the settings for print inside the block, and leave the global ones alone."""
    with mpl.rc_context(_STYLE):
        yield


def save(figure: Figure, path: str | os.PathLike, dpi: int = 200) -> Path:
    """Write a figure without the date, so that reruns are equal; the suffix chooses the form.

    Args:
        figure: What to save.
        path: PNG, PDF or SVG file; its folder is made.
        dpi: Dots an inch, for PNG.

    Returns:
        The path.

    Raises:
        InputError: If it cannot be written.
    """
    path = Path(path)
    undated = {'.png': {'Software': None}, '.pdf': {'CreationDate': None}, '.svg': {'Date': None}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with paper_style():
            figure.savefig(
                path, dpi=dpi, bbox_inches='tight', facecolor='white',
                metadata=undated.get(path.suffix),
            )  # fmt: skip
    except OSError as error:
        raise InputError(f'{path}: the figure cannot be written ({error.strerror})') from None
    return path


def caption(figure: Figure, text: str, synthetic: bool = False) -> None:
    """Write sentences below a finished figure, and above it that its pictures are synthetic.

    Both lie outside the figure's frame, where :func:`save` finds them.

    Args:
        figure: What is described.
        text: Sentences; broken to the width of the figure.
        synthetic: Whether the pictures are drawn.
    """
    if synthetic:
        mark_synthetic(figure)
    text = text.replace(' .', '\u00a0.')  # a class and its threshold stay together
    _beside(figure, text, below=True, color=INK, linespacing=1.3, gid='caption')


def mark_synthetic(figure: Figure) -> None:
    """Write above a finished figure that its pictures are synthetic."""
    _beside(figure, MARK, below=False, color='#9C2A00', weight='bold', gid='synthetic')


def _beside(figure: Figure, text: str, below: bool, **look: object) -> None:
    """Write text under or over everything that the figure holds so far."""
    wide, high = figure.get_size_inches()
    lines = textwrap.wrap(text, max(int(wide * _CHARACTERS), 24))
    with paper_style():
        figure.draw_without_rendering()  # lays out what stands there, for the last time
        figure.set_layout_engine('none')
        for legend in figure.legends:  # else they move to the new end of the page
            legend.set_bbox_to_anchor((0, 0, 1, 1), figure.transFigure)
        box = figure.get_tightbbox()
        place = box.y0 - 0.07 if below else box.y1 + 0.05
        align = 'top' if below else 'bottom'
        figure.text(0.06 / wide, place / high, '\n'.join(lines), va=align, fontsize=5.8, **look)


def save_figure(figure: Figure, folder: str | os.PathLike, name: str) -> list[Path]:
    """Save as PDF and as PNG of 300 dots an inch.

    Args:
        figure: What to save.
        folder: Folder to write into.
        name: File stem.

    Returns:
        The two paths.
    """
    return [save(figure, Path(folder, f'{name}.{suffix}'), dpi=300) for suffix in ('pdf', 'png')]


def class_colours(schema: LabelSchema) -> list[str]:
    """Give each class a colour by its group.

    Absent and present are blue, an ordered group runs from pale to dark red, and other classes
    take :data:`COLOURS` by their place.

    Args:
        schema: Of the classes.

    Example:
        >>> class_colours(LabelSchema('x', ('a', 'b')))
        ['#0072B2', '#D55E00']
        >>> stage = dict(name='stage', classes=('N', 'H', 'P'), ordered=True)
        >>> class_colours(LabelSchema('PALM', ('N', 'H', 'P'), groups=(stage,)))
        ['#fdd9b5', '#f16913', '#67000d']
    """
    colours = [COLOURS[i % len(COLOURS)] for i in range(schema.num_classes)]
    for group in schema.groups:
        if group.ordered:
            shades = _ABSENT_PRESENT if group.tells_presence else _ramp(len(group.classes))
            for place, shade in zip(schema.positions(group), shades, strict=True):
                colours[place] = shade
    return colours


def _ramp(number: int) -> list[str]:
    """Take colours from :data:`_SCALE` at equal distances, with both ends."""
    places = np.linspace(0, len(_SCALE) - 1, number)
    channels = np.array([to_rgb(colour) for colour in _SCALE]).T
    known = np.arange(len(_SCALE))
    return [to_hex(rgb) for rgb in np.array([np.interp(places, known, c) for c in channels]).T]


def readable(name: str, schema: LabelSchema) -> str:
    """Class with its readable name where the schema has another one: ``A4 MA``.

    Example:
        >>> schema = LabelSchema('x', ('N', 'high_myopia'), ('normal', 'high myopia'))
        >>> readable('N', schema), readable('high_myopia', schema)
        ('N normal', 'high myopia')
    """
    return _explained(name, schema.class_names[schema.classes.index(name)])


def in_words(name: str, schema: LabelSchema) -> str:
    """Class with its description: ``A4 macular atrophy``.

    Example:
        >>> in_words('b', LabelSchema('x', ('a', 'b'), words=('normal', 'b of both eyes')))
        'b of both eyes'
    """
    return _explained(name, schema.words[schema.classes.index(name)])


def _explained(name: str, words: str) -> str:
    """Name and words, the words alone where they begin with the name."""
    mine = name.replace('_', ' ').casefold().split()
    return words if words.casefold().split()[: len(mine)] == mine else f'{name} {words}'


def panel_title(text: str) -> str:
    """Break the title of a panel of :func:`grid_of` into lines that fit above it.

    Example:
        >>> panel_title('D diabetic retinopathy, error 0.161').count(chr(10))
        1
    """
    return textwrap.fill(text, 27)


def unit_square(axes: Axes, x: str, y: str) -> None:
    """Label an axes whose both coordinates run from 0 to 1."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y)
    axes.set_aspect('equal')
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xticks(ticks, ['0', '.2', '.4', '.6', '.8', '1'])
    axes.set_yticks(ticks, ['0', '.2', '.4', '.6', '.8', '1'])


def grid_of(number: int, width: float = 1.75, height: float = 1.9) -> tuple[Figure, list[Axes]]:
    """Make ``number`` panels in rows of four or fewer; panels left over are empty and last."""
    columns = number if number <= 4 else 4 if number > 6 else 3
    rows = -(-number // columns)
    figure = Figure(figsize=(columns * width + 0.3, rows * height + 0.3), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[number:]:
        axes.set_axis_off()
    return figure, list(panels)
