"""Forest plot of intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from realmnet.curation.label_schema import LabelSchema
from realmnet.evaluation.evaluation_table import Evaluation
from realmnet.evaluation.metric_records import metric_of
from realmnet.reporting.style import COLOURS, FAINT, caption, paper_style, readable


def forest_figure(
    evaluations: Mapping[str, Evaluation],
    schema: LabelSchema,
    metrics: Sequence[str] = ('F1', 'AP', 'AUROC'),
) -> Figure:
    """Draw values with their 95 % intervals, a row a class and the mean, a panel a metric.

    A number without an interval is an open circle, and the caption says why.

    Args:
        evaluations: Model name to its evaluation; the first convention found is drawn.
        schema: What the classes mean.
        metrics: Class metrics.

    Returns:
        The figure.
    """
    first = next(iter(evaluations.values()))
    labels = [row for row in first.rows if row.part == 'labels' and row.group == 'all']
    convention = labels[0].convention
    classes = list(dict.fromkeys(row.of for row in labels if row.of))
    positives = {row.of: row.positives for row in labels if row.of}
    with paper_style():
        figure = Figure(figsize=(2.2 * len(metrics) + 0.8, 0.3 * len(classes) + 1.2),
                        layout='constrained')  # fmt: skip
        panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        remarks: dict[str, None] = {}
        places = np.arange(len(classes) + 1, dtype=float)
        places[-1] += 0.35  # the mean stands apart
        step = min(0.24, 0.6 / len(evaluations))
        offsets = (np.arange(len(evaluations)) - (len(evaluations) - 1) / 2) * step
        for axes, metric in zip(panels, metrics, strict=True):
            record = metric_of(metric)
            for i, (name, evaluation) in enumerate(evaluations.items()):
                rows = [evaluation.value(metric, c, convention) for c in classes]
                rows.append(evaluation.value(record.mean, '', convention))
                values, low, high = (
                    np.array([getattr(row, k) for row in rows]) for k in ('value', 'low', 'high')
                )
                reach = np.maximum([values - low, high - values], 0)
                colour, has = COLOURS[i % len(COLOURS)], np.isfinite(reach).all(0)
                heights = places + offsets[i]
                look = dict(fmt='o', color=colour, ms=3.5, elinewidth=1.2, label=name)
                axes.errorbar(values[has], heights[has], xerr=reach[:, has], **look)
                look = dict(color=colour, markerfacecolor='white', ms=3.5, gid='no interval')
                axes.plot(values[~has], heights[~has], 'o', **look)
                remarks |= dict.fromkeys(row.remark for row in rows if np.isnan(row.low))
            axes.axhline(places[-1] - 0.67, color=FAINT, linewidth=0.6)
            mean = '' if record.mean == record.name else f' (mean: {record.mean})'
            axes.set_title(record.title + mean)
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], min_n_ticks=3))
            axes.grid(axis='x', color=FAINT, linewidth=0.4, alpha=0.6)
            axes.set_axisbelow(True)
            axes.spines['left'].set_visible(False)
            axes.tick_params(axis='y', length=0)
        text = [f'{readable(c, schema)}  ({positives[c]:,})' for c in classes]
        panels[0].set_yticks(places, [*text, 'mean'])
        panels[0].set_ylim(places[-1] + 0.5, -0.6)
        panels[0].set_ylabel('class (positive images)')
        if len(evaluations) > 1:
            handles = panels[0].get_legend_handles_labels()
            figure.legend(*handles, loc='outside lower center', ncols=len(evaluations))
        caption(figure, _forest_caption(evaluations, list(filter(None, remarks))), first.synthetic)
        return figure


def _forest_caption(evaluations: Mapping[str, Evaluation], remarks: Sequence[str]) -> str:
    """The tables' own sentences about thresholds and intervals, and what open circles mean."""
    first = next(iter(evaluations.values()))
    notes = {name: e.note_of_thresholds for name, e in evaluations.items()}
    if len(set(notes.values())) == 1:
        notes = {'': notes[next(iter(notes))]}
    settings = first.settings
    parts = [f'{settings["images"]:,} pictures, patients: {settings["patients"]:,}.']
    parts += [f'{name}: {note}' if name else note for name, note in notes.items()]
    parts += [note for note in first.notes if note.startswith(('Sound:', 'Published:'))]
    if remarks:
        parts.append(f'Open circle: no interval ({"; ".join(remarks)}).')
    return ' '.join(parts)
