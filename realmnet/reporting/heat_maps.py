"""Heat maps over their pictures: single overlays, and the sheet of the paper's figure 5."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from realmnet.curation.label_schema import LabelSchema
from realmnet.reporting.style import INK, paper_style, readable

COLOUR_MAP = 'turbo'
_RIGHT, _WRONG = '#1b7837', '#c51b27'
#: Opacity of the hottest place; cooler ones are clearer in proportion, cold ones untouched.
_OPACITY = 0.65
#: Inches that a line of text below the sheet is high, and one of its characters wide.
_LINE, _CHARACTER = 0.13, 0.054


@dataclass(frozen=True)
class ExplainedPicture:
    """One picture with the heat maps of some classes.

    Attributes:
        name: What it is called.
        picture: RGB, uint8, (H, W, 3): the part that the model saw, in its original size.
        maps: Heat map by class, (H', W') in [0, 1], of any size.
        scores: Probability by class, of all classes.
        found: Classes that count as found.
        truth: Classes that are present; None where unknown.
        method: How the maps were made.
    """

    name: str
    picture: np.ndarray
    maps: dict[str, np.ndarray]
    scores: dict[str, float]
    found: frozenset[str]
    truth: frozenset[str] | None = None
    method: str = field(default='')


def overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a heat map over a picture so that the retina stays visible.

    The map is enlarged to the picture; opacity is proportional to the heat.

    Args:
        picture: RGB, uint8, (H, W, 3).
        heat: (h, w) in [0, 1].

    Returns:
        RGB, uint8, (H, W, 3).

    Example:
        >>> grey = np.full((2, 2, 3), 100, np.uint8)
        >>> overlay(grey, np.array([[0.0, 0.0], [0.0, 1.0]]))[0, 0].tolist()
        [100, 100, 100]
    """
    height, width = picture.shape[:2]
    heat = cv2.resize(np.asarray(heat, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    heat = np.clip(heat, 0, 1)
    colours = mpl.colormaps[COLOUR_MAP](heat)[..., :3] * 255
    opacity = _OPACITY * heat[..., None]
    return np.round(picture * (1 - opacity) + colours * opacity).astype(np.uint8)


def explanation_sheet(
    rows: Sequence[ExplainedPicture],
    classes: Sequence[str],
    schema: LabelSchema,
    footer: str = '',
    title: str = '',
) -> Figure:
    """Draw the sheet of the paper's figure 5: a picture a row, a class a column.

    The first column shows the picture. Above each overlay stands the class's score, green where
    the class is present and red where not, black where that is unknown; a frame marks what was
    found.

    Args:
        rows: The pictures.
        classes: Classes of the columns; a picture without a map of one leaves the place empty.
        schema: What the classes mean.
        footer: Below the sheet; long lines are broken.
        title: Above the sheet.

    Returns:
        The figure, ready for :func:`realmnet.reporting.style.save`.
    """
    side, title_high, gap = 1.08, 0.15, 0.03  # inches
    wide = side * (len(classes) + 1)
    lines = _text_below(rows, footer, wide)
    top, bottom = 0.22 + 0.2 * bool(title), 0.24 + _LINE * len(lines)
    step = max(row.picture.shape[0] / row.picture.shape[1] for row in rows) * side + title_high
    high = step * len(rows) + top + bottom
    with paper_style():
        figure = Figure(figsize=(wide, high))
        for i, row in enumerate(rows):
            below = (high - top - step * (i + 1)) / high
            for j, name in enumerate([None, *classes]):
                box = ((j * side + gap / 2) / wide, below, (side - gap) / wide)
                axes = figure.add_axes((*box, (step - title_high - gap) / high))
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                if i == 0:
                    heading = readable(name, schema) if name else 'Samples'
                    figure.text(
                        (j + 0.5) * side / wide, 1 - (top - 0.03) / high, heading, ha='center',
                        va='bottom', fontsize=7.5, weight='bold', color=INK,
                    )  # fmt: skip
                if name is None:
                    _sample(axes, row, schema)
                elif name in row.maps:
                    _panel(axes, row, name)
        if title:
            figure.text(0.04 / wide, 1 - 0.03 / high, title, va='top', fontsize=8, color=INK)
        _legend(figure, bottom, lines)
    return figure


def _sample(axes: Axes, row: ExplainedPicture, schema: LabelSchema) -> None:
    axes.imshow(row.picture)
    parts = []
    if row.truth is not None:
        present = [readable(c, schema) for c in row.scores if c in row.truth]
        parts.append(' + '.join(present) or 'none')
    if row.method:
        parts.append(row.method)
    axes.set_title(', '.join(parts), fontsize=5.8, pad=2, color=INK)


def _panel(axes: Axes, row: ExplainedPicture, name: str) -> None:
    axes.imshow(overlay(row.picture, row.maps[name]))
    colour = INK
    if row.truth is not None:
        colour = _RIGHT if name in row.truth else _WRONG
    score = row.scores[name]
    axes.set_title(f'{score:.2f}', fontsize=6.5, pad=2, color=colour)
    if name in row.found:
        axes.spines[:].set(visible=True, color=colour, linewidth=1.6)


def _text_below(rows: Sequence[ExplainedPicture], footer: str, wide: float) -> list[str]:
    meaning = 'Above a map: score of the class. Frame: found.'
    if any(row.truth is not None for row in rows):
        meaning += ' Green: the class is present; red: it is not. Truth above the sample.'
    paragraphs = [meaning, *footer.splitlines()]
    return [line for p in paragraphs for line in textwrap.wrap(p, int(wide / _CHARACTER))]


def _legend(figure: Figure, bottom: float, lines: Sequence[str]) -> None:
    wide, high = figure.get_size_inches()
    bar = figure.add_axes((0.5 / wide, (bottom - 0.17) / high, 1.0 / wide, 0.07 / high))
    bar.imshow(np.linspace(0, 1, 256)[None], cmap=COLOUR_MAP, aspect='auto')
    bar.set_axis_off()
    at = (bottom - 0.135) / high
    for x, text, side in ((0.46, 'no heat', 'right'), (1.54, 'most', 'left')):
        figure.text(x / wide, at, text, ha=side, va='center', fontsize=6, color=INK)
    for number, line in enumerate(lines, start=1):
        at = (bottom - 0.165 - _LINE * number) / high
        figure.text(0.04 / wide, at, line, va='center', fontsize=6, color=INK)
