"""How the figures look: sizes, colours that colour-blind readers can tell apart, saving."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from realmnet.curation.label_table import PSMM

#: Okabe and Ito's palette, without its yellow, which vanishes on white.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000', '#7F7F7F')
INK, FAINT = '#222222', '#BBBBBB'

_RC = {
    'font.family': 'DejaVu Sans',
    'font.size': 8,
    'axes.titlesize': 9,
    'axes.labelsize': 8,
    'axes.edgecolor': INK,
    'axes.linewidth': 0.7,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'xtick.labelsize': 7,
    'ytick.labelsize': 7,
    'legend.fontsize': 7,
    'legend.frameon': False,
    'lines.linewidth': 1.3,
    'svg.hashsalt': 'realmnet',
    'pdf.fonttype': 42,
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw inside this: small type, thin axes, nothing that needs a screen."""
    with matplotlib.rc_context(_RC):
        yield


def save(figure: Figure, path: str | os.PathLike, dpi: int = 200) -> Path:
    """Write a figure; the suffix chooses PNG, PDF or SVG."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, bbox_inches='tight', facecolor='white')
    return path


def readable(name: str) -> str:
    """Class with its readable name where the schema has one: ``A4 MA``.

    Example:
        >>> readable('A4'), readable('M')
        ('A4 MA', 'M')
    """
    names = dict(zip(PSMM.classes, PSMM.class_names, strict=True))
    return f'{name} {names[name]}' if name in names else name


def unit_square(axes: Axes, x: str, y: str) -> None:
    """Label an axes whose both coordinates run from 0 to 1."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y)
    axes.set_aspect('equal')
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xticks(ticks, ['0', '.2', '.4', '.6', '.8', '1'])
    axes.set_yticks(ticks, ['0', '.2', '.4', '.6', '.8', '1'])


def grid_of(number: int, width: float = 1.75, height: float = 1.9) -> tuple[Figure, list[Axes]]:
    """Make ``number`` panels in rows of four or fewer."""
    columns = number if number <= 4 else 4 if number > 6 else 3
    rows = -(-number // columns)
    figure = Figure(figsize=(columns * width + 0.3, rows * height + 0.3), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[number:]:
        axes.set_axis_off()
    return figure, list(panels[:number]) + list(panels[number:])
