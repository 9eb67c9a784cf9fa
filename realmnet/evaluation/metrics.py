"""Multi-label metrics of the paper (section 4.4), by scikit-learn's definitions.

Conventions: a class is predicted when its score is at least the threshold; AP is
``average_precision_score``; Coverage is ``coverage_error`` without the "-1" of the paper's
formula, so with two labels an image its minimum is 2; what is undefined is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn import metrics as sk

#: Metrics of single classes, whose means are the overall values of the same name.
CLASS_METRICS = ('precision', 'recall', 'F1', 'AP', 'AUROC')
#: Metrics of whole label sets; lower is better for all four.
SET_METRICS = ('hamming', 'coverage', 'ranking', 'brier')


def class_metrics(truth: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> dict:
    """Metrics of each class.

    Args:
        truth: 0/1, shape (N, C).
        scores: Probabilities, shape (N, C).
        threshold: Score from which a class counts as predicted.

    Returns:
        Name in :data:`CLASS_METRICS` to an array of shape (C,). A class without positives has
        NaN recall, F1, AP and AUROC; one without negatives NaN AUROC; one that is never
        predicted NaN precision, but F1 0 where it has positives.

    Example:
        >>> truth, scores = np.array([[1], [0]]), np.array([[0.9], [0.2]])
        >>> float(class_metrics(truth, scores)['AUROC'][0])
        1.0
    """
    truth, scores = np.asarray(truth), np.asarray(scores)
    predicted = scores >= threshold
    hits = (predicted & (truth == 1)).sum(0)
    positives, claimed = truth.sum(0, dtype=int), predicted.sum(0)
    with np.errstate(invalid='ignore', divide='ignore'):
        values = {
            'precision': hits / claimed,
            'recall': hits / positives,
            'F1': np.where(positives > 0, 2 * hits / (positives + claimed), np.nan),
        }
    for name, function in (('AP', sk.average_precision_score), ('AUROC', sk.roc_auc_score)):
        defined = (positives > 0) & (positives < len(truth)) if name == 'AUROC' else positives > 0
        values[name] = np.array([
            function(truth[:, c], scores[:, c]) if defined[c] else np.nan
            for c in range(truth.shape[1])
        ])  # fmt: skip
    return values


def set_metrics(truth: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Metrics of whole label sets, see :data:`SET_METRICS`.

    Args:
        truth: 0/1, shape (N, C).
        scores: Probabilities, shape (N, C).
        threshold: As for :func:`class_metrics`.

    Returns:
        Hamming loss, coverage, ranking loss and Brier score (mean squared error over images and
        classes).
    """
    return {
        'hamming': float(np.mean((scores >= threshold) != (truth == 1))),
        'coverage': float(sk.coverage_error(truth, scores)),
        'ranking': float(sk.label_ranking_loss(truth, scores)),
        'brier': float(np.mean((scores - truth) ** 2)),
    }


def all_metrics(
    truth: np.ndarray, scores: np.ndarray, classes: Sequence[str], threshold: float = 0.5
) -> dict[str, float]:
    """Overall and class-wise metrics in one flat dictionary, as the runner logs them.

    Overall values of class metrics are means over the classes for which they are defined
    (macro-averages); the mean of AP is called ``mAP``.

    Args:
        truth: 0/1, shape (N, C).
        scores: Probabilities, shape (N, C).
        classes: Class names.
        threshold: As for :func:`class_metrics`.

    Returns:
        ``precision, recall, F1, mAP, AUROC, hamming, coverage, ranking, brier`` and then
        ``<metric>_<class>``, fractions; ``undefined`` counts the class values that are NaN.
    """
    by_class = class_metrics(truth, scores, threshold)
    overall = {}
    for name, values in by_class.items():
        overall['mAP' if name == 'AP' else name] = (
            float(np.nanmean(values)) if np.isfinite(values).any() else float('nan')
        )
    overall |= set_metrics(truth, scores, threshold)
    overall['undefined'] = int(sum(np.isnan(values).sum() for values in by_class.values()))
    single = {
        f'{name}_{c}': float(values[i])
        for name, values in by_class.items()
        for i, c in enumerate(classes)
    }
    return overall | single


def metrics_table(values: dict[str, float], classes: Sequence[str], names: Sequence[str]) -> str:
    """Lay out the result of :func:`all_metrics` for reading.

    Args:
        values: The metrics.
        classes: Class names.
        names: Readable class names, in the same order.

    Returns:
        One line a class, then the macro-average, then the label-set metrics.
    """
    width = max(len(f'{c} {n}') for c, n in zip(classes, names, strict=True))
    lines = [f'{"":<{width}}' + ''.join(f'{m:>11}' for m in CLASS_METRICS)]
    for c, n in zip(classes, names, strict=True):
        label = c if c == n else f'{c} {n}'
        cells = ''.join(f'{values[f"{m}_{c}"]:>11.4f}' for m in CLASS_METRICS)
        lines.append(f'{label:<{width}}{cells}')
    macro = ''.join(f'{values["mAP" if m == "AP" else m]:>11.4f}' for m in CLASS_METRICS)
    lines.append(f'{"mean":<{width}}{macro}')
    lines.append('  '.join(f'{m} {values[m]:.4f}' for m in SET_METRICS))
    return '\n'.join(lines)
