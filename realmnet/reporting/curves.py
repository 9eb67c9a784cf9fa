"""ROC, precision-recall and calibration curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats
from sklearn.metrics import precision_recall_curve, roc_curve

from realmnet.evaluation.metrics import class_metrics
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting.style import COLOURS, FAINT, grid_of, paper_style, readable, unit_square

_AXES = {
    'roc': ('1 - specificity', 'sensitivity', 'AUROC'),
    'pr': ('recall', 'precision', 'AP'),
}


def ranking_curves(sets: Mapping[str, Predictions], kind: str, threshold: float = 0.5) -> Figure:
    """Draw ROC or precision-recall curves.

    One model: all classes in one panel. Several: a panel a class. A dot marks the decisions at
    the threshold. Classes without positives (ROC: or without negatives) have no curve.

    Args:
        sets: Model name to its predictions, all of the same classes.
        kind: ``'roc'`` or ``'pr'``.
        threshold: Of the dots.

    Returns:
        The figure; see :func:`realmnet.reporting.style.save`.
    """
    x, y, metric = _AXES[kind]
    values = {name: class_metrics(p.truth, p.scores)[metric] for name, p in sets.items()}
    classes = next(iter(sets.values())).classes
    with paper_style():
        if len(sets) == 1:
            ((name, predictions),) = sets.items()
            figure = Figure(figsize=(4.6, 3.2), layout='constrained')
            axes = figure.subplots()
            for c, label in enumerate(classes):
                value = values[name][c]
                text = f'{readable(label)}  {value:.3f}'
                _curve(axes, predictions, c, kind, COLOURS[c % len(COLOURS)], text, threshold)
            _finish(axes, kind, x, y)
            axes.legend(title=f'class and {metric}', loc='center left', bbox_to_anchor=(1.02, 0.5),
                        alignment='left', handlelength=1.4)  # fmt: skip
            return figure
        figure, panels = grid_of(len(classes), 1.8, 2.1)
        for c, label in enumerate(classes):
            for i, (name, predictions) in enumerate(sets.items()):
                value = values[name][c]
                text = f'{value:.3f}'
                _curve(panels[c], predictions, c, kind, COLOURS[i], text, threshold)
            _finish(panels[c], kind, x if c >= len(classes) - 4 else '', y if c % 4 == 0 else '')
            panels[c].set_title(readable(label))
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
        return figure


def _curve(
    axes: Axes, predictions: Predictions, c: int, kind: str, colour: str, text: str, cut: float
) -> None:
    truth, scores = predictions.truth[:, c], predictions.scores[:, c]
    if not truth.any() or (kind == 'roc' and truth.all()):
        axes.plot([], [], color=colour, label=text, gid='model')
        return
    if kind == 'roc':
        x, y, cuts = roc_curve(truth, scores)
        axes.plot(x, y, color=colour, label=text, gid='model')
    else:
        precision, recall, cuts = precision_recall_curve(truth, scores)
        x, y = recall[:-1], precision[:-1]
        found = x > 0  # before the first positive, precision is 0 at recall 0: no part of the AP
        axes.step(np.r_[x[found], 0], np.r_[y[found], y[found][-1]], where='post', color=colour,
                  label=text, gid='model')  # fmt: skip
    at = np.flatnonzero(cuts >= cut)
    if len(at):
        place = at[-1] if kind == 'roc' else at[0]
        axes.plot(x[place], y[place], 'o', color=colour, markersize=3.5, markeredgecolor='white',
                  markeredgewidth=0.5, zorder=3)  # fmt: skip


def _finish(axes: Axes, kind: str, x: str, y: str) -> None:
    unit_square(axes, x, y)
    if kind == 'roc':
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.7, linestyle='--', zorder=0)


def calibration_curves(sets: Mapping[str, Predictions], bins: int = 10) -> Figure:
    """Draw how often classes are present against what the scores say.

    One panel a class; dots are bins of equal width with the 95 % Wilson interval of the share
    (images taken as independent), the bars below the number of images in each bin (first model).
    The number of each panel is the calibration error.

    Args:
        sets: Model name to its predictions.
        bins: Number of bins.

    Returns:
        The figure.
    """
    classes = next(iter(sets.values())).classes
    errors = {name: class_metrics(p.truth, p.scores)['calibration'] for name, p in sets.items()}
    with paper_style():
        figure, panels = grid_of(len(classes), 1.8, 2.1)
        for c, label in enumerate(classes):
            axes = panels[c]
            axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.7, linestyle='--', zorder=0)
            for i, (name, predictions) in enumerate(sets.items()):
                mean, share, low, high, count = _bins(predictions, c, bins)
                text = f'{errors[name][c]:.3f}'
                axes.errorbar(mean, share, (share - low, high - share), color=COLOURS[i],
                              marker='o', markersize=3, linewidth=1, elinewidth=0.7, label=text,
                              gid='model', clip_on=False)  # fmt: skip
                if i == 0:
                    edges = np.linspace(0, 1, bins + 1)[:-1]
                    axes.bar(edges, 0.18 * count / count.max(), 1 / bins, align='edge',
                             color=FAINT, alpha=0.5, linewidth=0, zorder=0)  # fmt: skip
            unit_square(axes, 'mean score' if c >= len(classes) - 4 else '',
                        'share present' if c % 4 == 0 else '')  # fmt: skip
            if len(sets) == 1:
                axes.set_title(f'{readable(label)}, error {text}')
                continue
            axes.set_title(readable(label))
            axes.legend(title='error', loc='upper left', handlelength=1.2, alignment='left',
                        borderaxespad=0.2, frameon=True, framealpha=0.7,
                        edgecolor='none')  # fmt: skip
        handles = panels[0].get_legend_handles_labels()[0]
        if len(sets) > 1 and len(panels) > len(classes):
            panels[-1].legend(handles, list(sets), loc='center left', title='model',
                              alignment='left')  # fmt: skip
        elif len(sets) > 1:
            figure.legend(handles, list(sets), loc='outside lower center', ncols=len(sets))
        return figure


def _bins(predictions: Predictions, c: int, bins: int) -> tuple[np.ndarray, ...]:
    truth, scores = predictions.truth[:, c], predictions.scores[:, c]
    inside = np.minimum((scores * bins).astype(int), bins - 1)
    count = np.bincount(inside, minlength=bins)
    used = count > 0
    total = count[used]
    mean = np.bincount(inside, weights=scores, minlength=bins)[used] / total
    share = np.bincount(inside, weights=truth, minlength=bins)[used] / total
    z = stats.norm.isf(0.025)
    centre = (share + z**2 / 2 / total) / (1 + z**2 / total)
    reach = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / 4 / total**2)
    low, high = np.minimum(centre - reach, share), np.maximum(centre + reach, share)
    return mean, share, low, high, count
