"""Decision curves as a figure: net benefit of a model, of referring everyone and of no one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from realmnet.curation.label_schema import LabelSchema
from realmnet.evaluation.decision_curve import DecisionCurve
from realmnet.reporting.style import (
    COLOURS,
    INK,
    caption,
    grid_of,
    panel_title,
    paper_style,
    readable,
)

_GREY = '#7F7F7F'


def decision_figure(
    curves: Mapping[str, Sequence[DecisionCurve]],
    schema: LabelSchema,
    note: str = '',
    synthetic: bool = False,
) -> Figure:
    """Draw one panel for each class or disease, with one line for each model.

    The band of a line is its 95 % interval at each threshold, by patient. Negative benefit is cut
    off a little below 0, where only its sign matters.

    Args:
        curves: Model to its curves, the same classes in the same order for every model.
        schema: What the classes mean.
        note: A further sentence for the caption, such as how scores were recalibrated.
        synthetic: Whether the pictures are drawn.

    Returns:
        The figure; see :func:`realmnet.reporting.style.save`.
    """
    first = next(iter(curves.values()))
    columns = min(len(first), 4)
    with paper_style():
        alone = len(first) == 1
        figure, panels = grid_of(len(first), 3.4 if alone else 2.3, 2.5 if alone else 2.2)
        for place, axes in enumerate(panels[: len(first)]):
            mine = [part[place] for part in curves.values()]
            _panel(axes, mine)
            about = mine[0]
            share = f'{100 * about.prevalence:.3g} %{" stated" * about.stated}'
            of = readable(about.of, schema) if about.of in schema.classes else about.of
            axes.set_title(panel_title(f'{of} ({share})'))
            axes.set_xlabel('threshold probability' if place >= len(first) - columns else '')
            axes.set_ylabel('net benefit' if place % columns == 0 else '')
        handles = panels[0].get_lines()
        labels = [*curves, 'refer everyone', 'refer no one']
        figure.legend(handles, labels, loc='outside lower center', ncols=min(len(labels), 4))
        caption(figure, f'{_below(first)} {note}'.strip(), synthetic)
        return figure


def _panel(axes: Axes, curves: Sequence[DecisionCurve]) -> None:
    for i, curve in enumerate(curves):
        colour = COLOURS[i % len(COLOURS)]
        axes.fill_between(
            curve.thresholds, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0
        )
        axes.plot(curve.thresholds, curve.model, color=colour, gid='model', zorder=3)
    about = curves[0]
    axes.plot(about.thresholds, about.everyone, color=_GREY, linestyle='--', linewidth=1)
    axes.axhline(0, color=INK, linewidth=0.9)
    highest = max(about.prevalence, *(np.nanmax([c.model, c.high]) for c in curves))
    left, right = about.thresholds[[0, -1]]
    axes.set(ylim=(-0.12 * highest, 1.08 * highest), xlim=(left, right))
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:.2g}'.replace('0.', '.'))
    axes.yaxis.set_major_formatter(lambda value, _: f'{value:.2g}'.replace('0.', '.'))
    axes.locator_params(nbins=5)


def _below(curves: Sequence[DecisionCurve]) -> str:
    counts = '; '.join(f'{c.of} {c.positives:,} of {c.images:,}' for c in curves)
    bare = [c.of for c in curves if np.isnan(c.low).all()]
    band = f'Bands: 95 %, by {curves[0].by}.' if len(bare) < len(curves) else ''
    without = f'No band: {", ".join(bare)}.' if bare and band else ''
    stated = ''
    if any(c.stated for c in curves):
        stated = (
            'At the stated prevalence sensitivity and specificity are taken to be those of the '
            'data, and the log odds of the scores are moved by the difference of prevalence.'
        )
    parts = [
        'Net benefit: share found less share referred needlessly, weighed pt / (1 - pt) (Vickers '
        f'and Elkin 2006). With the finding: {counts}.',
        band,
        without,
        stated,
    ]
    return ' '.join(filter(None, parts))
