"""ROC, precision-recall and calibration curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats
from sklearn.metrics import precision_recall_curve, roc_curve

from realmnet.evaluation.bootstrap import ONE_UNIT, kish
from realmnet.evaluation.metrics import class_metrics
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.thresholds import Thresholds, cuts_of, threshold_caption
from realmnet.reporting.style import (
    COLOURS,
    FAINT,
    caption,
    grid_of,
    panel_title,
    paper_style,
    readable,
    unit_square,
)

_AXES = {
    'roc': ('1 - specificity', 'sensitivity', 'AUROC'),
    'pr': ('recall', 'precision', 'AP'),
}


def ranking_curves(
    sets: Mapping[str, Predictions],
    kind: str,
    thresholds: Mapping[str, Thresholds | float | None] | None = None,
) -> Figure:
    """Draw ROC or precision-recall curves.

    One model: all classes in one panel. Several: a panel a class. A dot marks the decisions at
    the threshold of the class, which the caption names. Classes without positives (ROC: or
    without negatives) have no curve.

    Args:
        sets: Model name to its predictions, all of the same classes.
        kind: ``'roc'`` or ``'pr'``.
        thresholds: Those of each model, from :func:`thresholds.find_thresholds`; .5 where left
            out.

    Returns:
        The figure; see :func:`realmnet.reporting.style.save`.
    """
    x, y, metric = _AXES[kind]
    values = {name: class_metrics(p.truth, p.scores)[metric] for name, p in sets.items()}
    first = next(iter(sets.values()))
    classes, positives, schema = first.classes, first.truth.sum(0), first.schema
    chosen = {name: (thresholds or {}).get(name) for name in sets}
    cuts = {name: cuts_of(chosen[name], classes) for name in sets}
    with paper_style():
        if len(sets) == 1:
            ((name, predictions),) = sets.items()
            figure = Figure(figsize=(4.6, 3.2), layout='constrained')
            axes = figure.subplots()
            for c, label in enumerate(classes):
                value = values[name][c]
                text = f'{readable(label, schema)}  {_digits(value)}  ({positives[c]:,})'
                colour = COLOURS[c % len(COLOURS)]
                _curve(axes, predictions, c, kind, colour, text, cuts[name][c])
            _finish(axes, kind, x, y)
            if len(classes) > 1:
                mean = f'mean  {_digits(_mean(values[name]))}'
                axes.plot([], [], color='none', label=mean)
            axes.legend(
                title=f'class, {metric} (positives)',
                loc='center left',
                bbox_to_anchor=(1.02, 0.5),
                alignment='left',
                handlelength=1.4,
            )
            caption(figure, _below(sets, chosen), predictions.synthetic)
            return figure
        figure, panels = grid_of(len(classes), 1.8, 2.1)
        for c, label in enumerate(classes):
            for i, (name, predictions) in enumerate(sets.items()):
                value = values[name][c]
                colour = COLOURS[i % len(COLOURS)]
                _curve(panels[c], predictions, c, kind, colour, _digits(value), cuts[name][c])
            _finish(panels[c], kind, x if c >= len(classes) - 4 else '', y if c % 4 == 0 else '')
            panels[c].set_title(panel_title(f'{readable(label, schema)} ({positives[c]:,})'))
            corner = 'lower right' if kind == 'roc' else 'lower left'
            panels[c].legend(title=metric, loc=corner, handlelength=1.2, alignment='left',
                             borderaxespad=0.2, frameon=True, framealpha=0.7,
                             edgecolor='none')  # fmt: skip
        handles = panels[0].get_lines()
        lines = [line for line in handles if line.get_gid() == 'model']
        if len(panels) > len(classes):
            panels[-1].legend(lines, list(sets), loc='center left', title='model',
                              alignment='left')  # fmt: skip
        else:
            figure.legend(lines, list(sets), loc='outside lower center', ncols=len(sets))
        means = (f'{name} {_digits(_mean(values[name]))}' for name in sets)
        text = f'Mean {metric}: {", ".join(means)}. {_below(sets, chosen)}'
        caption(figure, text, first.synthetic)
        return figure


def _below(sets: Mapping[str, Predictions], chosen: Mapping[str, Thresholds | float | None]) -> str:
    """What the dots are, and of how many pictures."""
    first = next(iter(sets.values()))
    notes = {name: threshold_caption(chosen[name], first.classes) for name in sets}
    if len(set(notes.values())) == 1:
        cuts = notes[next(iter(sets))]
    else:
        cuts = ' '.join(f'{name}: {note}' for name, note in notes.items())
    return f'{how_many(first)} In brackets: positive pictures. Dots: the decisions. {cuts}'


def how_many(predictions: Predictions) -> str:
    """Say how many pictures and patients a figure rests on.

    Example:
        >>> names = np.array(['a', 'b'])
        >>> ones = np.ones((2, 1))
        >>> how_many(Predictions(names, np.array(['x', 'x']), ones, ones, ('M',)))
        '2 pictures of 1 patient.'
    """
    patients = len(set(predictions.patients))
    return f'{len(predictions):,} pictures of {patients:,} patient{"s" * (patients != 1)}.'


def _digits(value: float) -> str:
    return f'{value:.3f}' if np.isfinite(value) else '–'


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def _curve(
    axes: Axes, predictions: Predictions, c: int, kind: str, colour: str, text: str, cut: float
) -> None:
    truth, scores = predictions.truth[:, c], predictions.scores[:, c]
    if not truth.any() or (kind == 'roc' and truth.all()):
        axes.plot([], [], color=colour, label=text, gid='model')
        return
    if kind == 'roc':
        x, y, _ = roc_curve(truth, scores)
        axes.plot(x, y, color=colour, label=text, gid='model')
    else:
        precision, recall, _ = precision_recall_curve(truth, scores)
        x, y = recall[:-1], precision[:-1]
        found = x > 0  # before the first positive, precision is 0 at recall 0: no part of the AP
        axes.step(np.r_[x[found], 0], np.r_[y[found], y[found][-1]], where='post', color=colour,
                  label=text, gid='model')  # fmt: skip
    # Counted, not looked up on the curve, which leaves out points on straight pieces.
    claimed = scores >= cut
    hits = (claimed & (truth == 1)).sum()
    recall = hits / (truth == 1).sum()
    if kind == 'roc':
        place = (claimed & (truth == 0)).sum() / (truth == 0).sum(), recall
    elif claimed.any():
        place = recall, hits / claimed.sum()
    else:
        return  # no decision for the class has no precision
    look = dict(color=colour, markersize=3.5, markeredgecolor='white', markeredgewidth=0.5)
    axes.plot(*place, 'o', zorder=3, **look)


def _finish(axes: Axes, kind: str, x: str, y: str) -> None:
    unit_square(axes, x, y)
    if kind == 'roc':
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.7, linestyle='--', zorder=0)


def calibration_curves(sets: Mapping[str, Predictions], bins: int = 10) -> Figure:
    """Draw how often classes are present against what the scores say.

    One panel a class; dots are bins of equal width with the 95 % Wilson interval of the share,
    for the effective number of patients in the bin
    (:func:`realmnet.evaluation.bootstrap.kish`; one has no interval), the bars below the number
    of images in each bin (first model). The number of each panel is the calibration error.

    Args:
        sets: Model name to its predictions.
        bins: Number of bins.

    Returns:
        The figure.
    """
    first = next(iter(sets.values()))
    classes, schema = first.classes, first.schema
    errors = {name: class_metrics(p.truth, p.scores)['calibration'] for name, p in sets.items()}
    with paper_style():
        figure, panels = grid_of(len(classes), 1.8, 2.1)
        for c, label in enumerate(classes):
            axes = panels[c]
            axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.7, linestyle='--', zorder=0)
            for i, (name, predictions) in enumerate(sets.items()):
                mean, share, low, high, count = _bins(predictions, c, bins)
                text = _digits(errors[name][c])
                colour = COLOURS[i % len(COLOURS)]
                axes.errorbar(mean, share, (share - low, high - share), color=colour,
                              marker='o', markersize=3, linewidth=1, elinewidth=0.7, label=text,
                              gid='model', clip_on=False)  # fmt: skip
                if i == 0:
                    edges = np.linspace(0, 1, bins + 1)[:-1]
                    axes.bar(edges, 0.18 * count / count.max(), 1 / bins, align='edge',
                             color=FAINT, alpha=0.5, linewidth=0, zorder=0)  # fmt: skip
            unit_square(axes, 'mean score' if c >= len(classes) - 4 else '',
                        'share present' if c % 4 == 0 else '')  # fmt: skip
            if len(sets) == 1:
                axes.set_title(panel_title(f'{readable(label, schema)}, error {text}'))
                continue
            axes.set_title(panel_title(readable(label, schema)))
            axes.legend(title='error', loc='upper left', handlelength=1.2, alignment='left',
                        borderaxespad=0.2, frameon=True, framealpha=0.7,
                        edgecolor='none')  # fmt: skip
        handles = panels[0].get_legend_handles_labels()[0]
        if len(sets) > 1 and len(panels) > len(classes):
            panels[-1].legend(handles, list(sets), loc='center left', title='model',
                              alignment='left')  # fmt: skip
        elif len(sets) > 1:
            figure.legend(handles, list(sets), loc='outside lower center', ncols=len(sets))
        means = ', '.join(
            f'{f"{name} " * (len(sets) > 1)}{_digits(_mean(errors[name]))}' for name in sets
        )
        text = (
            f'{how_many(first)} {bins} bins of equal width; grey: pictures in a bin. Bars: 95 % '
            'Wilson interval for the effective number of patients (none for one). Mean '
            f'calibration error: {means}. No threshold is used.'
        )
        caption(figure, text, first.synthetic)
        return figure


def _bins(predictions: Predictions, c: int, bins: int) -> tuple[np.ndarray, ...]:
    truth, scores = predictions.truth[:, c], predictions.scores[:, c]
    inside = np.minimum((scores * bins).astype(int), bins - 1)
    count = np.bincount(inside, minlength=bins)
    used = count > 0
    mean = np.bincount(inside, weights=scores, minlength=bins)[used] / count[used]
    share = np.bincount(inside, weights=truth, minlength=bins)[used] / count[used]
    patient = np.unique(predictions.patients.astype(str), return_inverse=True)[1]
    total = kish(inside[:, None] == np.flatnonzero(used), patient)
    total = np.where(total < ONE_UNIT, np.nan, total)
    z = stats.norm.isf(0.025)
    centre = (share + z**2 / 2 / total) / (1 + z**2 / total)
    reach = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / 4 / total**2)
    low, high = np.minimum(centre - reach, share), np.maximum(centre + reach, share)
    return mean, share, low, high, count
