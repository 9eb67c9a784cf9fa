"""How figures look: sizes and colours for print, and saving as vector and PNG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

#: Colours of the classes of PSMM: staphyloma in blues, maculopathy from pale to dark red. They
#: stay apart for colour-blind readers and in grey print.
CLASS_COLOURS = {
    'S0': '#9ecae1', 'S1': '#08519c',
    'A0': '#fdd9b5', 'A1': '#fdae6b', 'A2': '#f16913', 'A3': '#c1370a', 'A4': '#67000d',
}  # fmt: skip
#: For classes of other schemas, in turn (Okabe and Ito's palette).
OTHER_COLOURS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#F0E442')

_STYLE = {
    'figure.dpi': 100, 'savefig.dpi': 300, 'font.size': 7, 'axes.titlesize': 8,
    'axes.labelsize': 7, 'xtick.labelsize': 6.5, 'ytick.labelsize': 6.5, 'legend.fontsize': 6.5,
    'axes.spines.top': False, 'axes.spines.right': False, 'axes.linewidth': 0.6,
    'xtick.major.width': 0.6, 'ytick.major.width': 0.6, 'pdf.fonttype': 42,
    'font.family': 'DejaVu Sans', 'svg.fonttype': 'none',
}  # fmt: skip


@contextmanager
def print_style() -> Iterator[None]:
    """Draw with the settings for print inside the block, and leave the global ones alone."""
    with mpl.rc_context(_STYLE):
        yield


def class_colours(classes: tuple[str, ...]) -> list[str]:
    """Give each class a colour.

    Args:
        classes: Names as in the schema.

    Example:
        >>> class_colours(('S0', 'S1'))
        ['#9ecae1', '#08519c']
    """
    return [
        CLASS_COLOURS.get(name, OTHER_COLOURS[i % len(OTHER_COLOURS)])
        for i, name in enumerate(classes)
    ]


def save_figure(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Save as PDF and as PNG of 300 dots an inch, without the date, so that reruns are equal.

    Args:
        figure: What to save.
        folder: Existing folder.
        name: File stem.

    Returns:
        The two paths.
    """
    paths = [Path(folder) / f'{name}.{suffix}' for suffix in ('pdf', 'png')]
    with print_style():
        figure.savefig(paths[0], metadata={'CreationDate': None}, bbox_inches='tight')
        figure.savefig(paths[1], metadata={'Software': None}, bbox_inches='tight')
    return paths
