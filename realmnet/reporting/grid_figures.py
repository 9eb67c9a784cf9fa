"""Figures in two dimensions: heat map pairs (Table A7) and radar plots (Fig. 6b)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from realmnet.curation.label_schema import schema_of
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.metric_records import metric_of, names_shown
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting.measured import Entry, heading
from realmnet.reporting.published import METRICS
from realmnet.reporting.style import INK, paper_style, readable
from realmnet.reporting.sweep_figures import RED, SYMBOLS
from realmnet.reporting.sweep_tables import marked

#: Metrics of a radar plot each; of the last one the means.
RADAR_METRICS = names_shown('table')
_GREEN, _MIDDLE = '#2ca02c', '#1f4e8c'


def heat_map_pairs(
    title: str, entries: Sequence[Entry], rows: str, columns: str, metrics: Sequence[str] = METRICS
) -> Figure:
    """Draw two settings against each other: a pair of maps a metric, ours and the published.

    Colours run from the worst to the best cell of each map, so that the patterns compare even
    where the values do not; the values stand in the cells. The paper's choice has a red frame.

    Args:
        title: What the figure shows.
        entries: From :func:`realmnet.reporting.measured.entries_of`.
        rows: Setting of the rows.
        columns: Setting of the columns.
        metrics: Pairs.

    Returns:
        The figure.
    """
    ys = sorted({entry.settings[rows] for entry in entries})
    xs = sorted({entry.settings[columns] for entry in entries})
    pairs = 2  # side by side
    lines = -(-len(metrics) // pairs)
    with paper_style():
        figure = Figure(figsize=(7.2, 1.75 * lines + 0.4), layout='constrained')
        panels = figure.subplots(lines, 2 * pairs, squeeze=False)
        for axes in panels.ravel()[2 * len(metrics) :]:
            axes.set_axis_off()
        for i, metric in enumerate(metrics):
            ours, theirs = np.full((2, len(ys), len(xs)), np.nan)
            for entry in entries:
                cell = ys.index(entry.settings[rows]), xs.index(entry.settings[columns])
                if metric in entry.estimates:
                    ours[cell] = entry.estimates[metric].value
                theirs[cell] = float(entry.published.get(metric, 'nan'))
            line, place = divmod(i, pairs)
            pair = panels[line, 2 * place : 2 * place + 2]
            for axes, values, whose in zip(pair, (ours, theirs), ('ours', 'published'),
                                           strict=True):  # fmt: skip
                _heat_map(axes, values, metric, 'not run' if whose == 'ours' else '–')
                axes.set_title(f'{heading(metric)}, {whose}', fontsize=7.5)
                axes.set_xticks(range(len(xs)), [f'{v:g}' for v in xs])
                axes.set_yticks(range(len(ys)), [f'{v:g}' for v in ys])
                if line == lines - 1:
                    axes.set_xlabel(SYMBOLS.get(columns, columns))
            pair[0].set_ylabel(SYMBOLS.get(rows, rows))
            for entry in entries:
                if entry.chosen:
                    cell = xs.index(entry.settings[columns]), ys.index(entry.settings[rows])
                    _frame(pair[0], *cell)
        figure.suptitle(marked(title, entries), fontsize=9, x=0.01, ha='left')
        figure.supxlabel('colours: from the worst (pale) to the best cell (dark) of each map',
                         fontsize=6, color='#555555')  # fmt: skip
    return figure


def radar_figure(
    title: str,
    predictions: Predictions | None,
    classes: Sequence[str],
    names: Mapping[str, str] | None = None,
    published: Mapping[str, Mapping[str, str]] | None = None,
    metrics: Sequence[str] = RADAR_METRICS,
    bootstrap: int = 1000,
) -> Figure:
    """Draw a radar plot a metric over the classes, and one of all metrics' means.

    Green outer and red inner boundaries are the upper and lower ends of 95 % intervals by
    patient, as in Fig. 6b.

    Args:
        title: What the figure shows.
        predictions: Of one model; None draws empty plots.
        classes: Order of the spokes.
        names: Readable names of the classes.
        published: Class (``''`` for the mean) to metric to the number as printed.
        metrics: Class metrics.
        bootstrap: Replicates.

    Returns:
        The figure.
    """
    names, schema = names or {}, schema_of(classes)
    done = evaluate(predictions, bootstrap, diagnosis='') if predictions else None
    plots = {m: [(names.get(c, readable(c, schema)), m, c) for c in classes] for m in metrics}
    mean = [metric_of(m).mean for m in metrics]
    plots['mean'] = [(heading(m), m, '') for m in mean]
    with paper_style():
        columns = 3
        lines = -(-len(plots) // columns)
        figure = Figure(figsize=(7.2, 2.55 * lines + 0.3), layout='constrained')
        panels = figure.subplots(lines, columns, subplot_kw=dict(projection='polar'),
                                 squeeze=False).ravel()  # fmt: skip
        for axes in panels[len(plots) :]:
            axes.set_axis_off()
        for axes, (name, spokes) in zip(panels, plots.items(), strict=False):
            theirs = [(published or {}).get(of, {}).get(m, '') for _, m, of in spokes]
            rows = [done.value(m, of) for _, m, of in spokes] if done else []
            _radar(axes, [text for text, _, _ in spokes], rows, theirs)
            axes.set_title('mean over classes' if name == 'mean' else heading(name), pad=12)
        handles = panels[0].get_legend_handles_labels()
        marks = dict(zip(*reversed(handles), strict=True))
        for axes in panels[1 : len(plots)]:
            found, labels = axes.get_legend_handles_labels()
            marks |= dict(zip(labels, found, strict=True))
        figure.legend(marks.values(), marks, loc='outside lower center', ncols=4)
        figure.suptitle(title, fontsize=9, x=0.01, ha='left')
    return figure


def _heat_map(axes: Axes, values: np.ndarray, metric: str, absent: str) -> None:
    known = values[np.isfinite(values)]
    worst_is_low = metric_of(metric).better == 'greater'
    low, high = (known.min(), known.max()) if len(known) else (0, 1)
    span = (high - low) or 1
    share = (values - low) / span if worst_is_low else (high - values) / span
    axes.imshow(np.ma.masked_invalid(share), cmap='Blues', vmin=0, vmax=1.15, aspect='auto')
    for (row, column), value in np.ndenumerate(values):
        if math.isnan(value):
            axes.text(column, row, absent, ha='center', va='center', fontsize=5.5, color='#888888')
            continue
        ink = 'white' if share[row, column] > 0.6 else INK
        text = f'{value:.4f}'.removeprefix('0')
        axes.text(column, row, text, ha='center', va='center', fontsize=5.8, color=ink)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(False)


def _frame(axes: Axes, column: int, row: int) -> None:
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=RED,
                             linewidth=1.4, clip_on=False))  # fmt: skip


def _radar(axes: Axes, names: Sequence[str], rows: Sequence, theirs: Sequence[str]) -> None:
    angles = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    closed = np.r_[angles, angles[0]]
    axes.set_theta_offset(np.pi / 2)
    axes.set_theta_direction(-1)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.25, 0.5, 0.75, 1], ['', '.5', '', '1'], fontsize=5.5, color='#777777')
    axes.set_rlabel_position(180 / len(names))
    axes.set_xticks(angles, names, fontsize=6.5)
    axes.tick_params(axis='x', pad=4)
    axes.grid(color='#cccccc', linewidth=0.5)
    axes.spines['polar'].set_color('#bbbbbb')
    if not rows:
        axes.text(0, 0, 'not run', ha='center', va='center', color='#888888', fontsize=7)
    else:
        looks = {'value': (_MIDDLE, 1.3, 'ours'), 'high': (_GREEN, 0.9, 'upper end, 95 %'),
                 'low': (RED, 0.9, 'lower end, 95 %')}  # fmt: skip
        for end, (colour, width, label) in looks.items():
            values = np.array([getattr(row, end) for row in rows])
            axes.plot(closed, np.r_[values, values[0]], color=colour, linewidth=width, label=label)
        values = np.array([row.value for row in rows])
        axes.fill(closed, np.r_[values, values[0]], color=_MIDDLE, alpha=0.08, linewidth=0)
        for angle, row in zip(angles, rows, strict=True):
            if math.isnan(row.value):
                axes.text(angle, 0.3, 'undefined', ha='center', fontsize=5.5, color='#888888')
    known = [(a, float(t)) for a, t in zip(angles, theirs, strict=True) if t]
    if known:
        axes.plot(*zip(*known, strict=True), 'D', color='white', markeredgecolor=INK, markersize=4,
                  markeredgewidth=0.8, label='published', zorder=5)  # fmt: skip
