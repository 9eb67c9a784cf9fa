"""Multi-label metrics of the paper (section 4.4), by scikit-learn's definitions.

Conventions: a class is predicted when its score is at least the threshold; AP is
``average_precision_score``; Coverage is ``coverage_error`` without the "-1" of the paper's
formula, so with two labels an image its minimum is 2; what is undefined is NaN. F1 of a class
without positives is NaN here, where scikit-learn writes 0. (The authors' code counts ``p > .5``
for Hamming and ``p >= .5`` for F1; here it is ``>=`` everywhere.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from realmnet.curation.label_schema import LabelSchema, schema_of
from realmnet.errors import InputError
from realmnet.evaluation.decoding import decide
from realmnet.evaluation.metric_records import METRICS, metric_of, names_shown
from realmnet.evaluation.plan import MetricPlan

#: Metrics of single classes that tables print, a column each.
CLASS_METRICS = names_shown('table')
#: Overall metrics that :func:`metrics_table` prints in a line below the classes.
SET_METRICS = names_shown('line')


def class_metrics(
    truth: np.ndarray,
    scores: np.ndarray,
    threshold: float | Sequence[float] = 0.5,
    predicted: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Metrics of each class.

    Precision TP/(TP+FP), recall (sensitivity) TP/(TP+FN), F1 2TP/(2TP+FP+FN), specificity
    TN/(TN+FP), NPV TN/(TN+FN), AP, AUROC, Brier score mean (p-y)^2, expected calibration error
    sum_b |sum_{i in b} (p_i - y_i)| / N over ten equal-width bins (Guo et al. 2017), Matthews
    correlation coefficient (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)) and balanced
    accuracy (recall + specificity) / 2.

    Args:
        truth: 0/1, shape (N, C).
        scores: Probabilities, shape (N, C).
        threshold: Score from which a class counts as predicted; one, or one for each class.
        predicted: Decisions, bool of shape (N, C), instead of the threshold's.

    Returns:
        Name of each metric of class level (:data:`metric_records.METRICS`) to an array of shape
        (C,). What lacks the images that its record ``needs`` is NaN: a class without positives
        has no recall, F1, AP, AUROC, MCC and balanced accuracy; one without negatives no AUROC,
        specificity, MCC and balanced accuracy; one that is never predicted no precision, but F1
        and MCC 0 where it has positives (and negatives).

    Raises:
        InputError: If shapes differ, a score is not in [0, 1] or a truth not 0 or 1.

    Example:
        >>> truth, scores = np.array([[1], [0]]), np.array([[0.9], [0.2]])
        >>> float(class_metrics(truth, scores)['AUROC'][0])
        1.0
    """
    classes = [str(c) for c in range(np.shape(scores)[-1])]
    plan = make_plan(truth, scores, classes, threshold, predicted=predicted)
    values = dict(zip(plan.names, plan(np.ones((1, len(plan.scores))))[0], strict=True))
    return {
        metric.name: np.array([values[f'{metric.name}_{c}'] for c in classes])
        for metric in METRICS
        if metric.level == 'class'
    }


def set_metrics(
    truth: np.ndarray, scores: np.ndarray, threshold: float | Sequence[float] = 0.5
) -> dict[str, float]:
    """Metrics of whole label sets, see :data:`SET_METRICS`.

    Args:
        truth: 0/1, shape (N, C).
        scores: Probabilities, shape (N, C).
        threshold: As for :func:`class_metrics`.

    Returns:
        Hamming loss (share of wrong image-class decisions), coverage (mean number of
        highest-scored classes that contain all true ones), ranking loss (mean share of true and
        false class pairs in the wrong or equal order) and Brier score (mean squared error over
        images and classes).
    """
    classes = [str(c) for c in range(np.shape(scores)[-1])]
    values = all_metrics(truth, scores, classes, threshold)
    return {name: values[name] for name in SET_METRICS}


def all_metrics(
    truth: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str] | LabelSchema,
    threshold: float | Sequence[float] | Mapping[str, float] = 0.5,
    predicted: np.ndarray | None = None,
) -> dict[str, float]:
    """Overall and class-wise metrics in one flat dictionary, as the runner logs them.

    Overall values of class metrics are means over the classes for which they are defined
    (macro-averages); the mean of AP is called ``mAP``.

    Args:
        truth: 0/1, shape (N, C).
        scores: Probabilities, shape (N, C).
        classes: Class names, or their schema.
        threshold: Score from which a class counts as predicted: one, one for each class in
            order, or by name.
        predicted: Decisions instead of the threshold's, from :func:`decoding.decide`.

    Returns:
        ``precision, recall, F1, mAP, AUROC, hamming, coverage, ranking, brier``, then
        ``subset_accuracy, specificity, NPV, calibration``, ``kappa`` where the schema has an
        ordered exclusive group of three classes or more, the micro-averages ``precision_micro,
        recall_micro, F1_micro, mAP_micro, AUROC_micro``, and ``MCC, balanced_accuracy``; then
        ``<metric>_<class>``; fractions. ``undefined`` counts the class values among
        :data:`CLASS_METRICS` that are NaN.

    Raises:
        InputError: As for :func:`class_metrics`.

    Example:
        >>> values = all_metrics(np.array([[1], [0]]), np.array([[0.9], [0.2]]), ['PM'])
        >>> values['F1'], values['AUROC_PM'], values['undefined']
        (1.0, 1.0, 0)
    """
    plan = make_plan(truth, scores, classes, threshold, predicted=predicted)
    row = plan(np.ones((1, len(plan.scores))))[0]
    values = {name: float(value) for name, value in zip(plan.names, row, strict=True)}
    values['undefined'] = sum(
        bool(np.isnan(values[f'{name}_{c}'])) for name in CLASS_METRICS for c in plan.classes
    )
    return values


def make_plan(
    truth: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str] | LabelSchema,
    threshold: float | Sequence[float] | Mapping[str, float] = 0.5,
    predicted: np.ndarray | None = None,
    **options: object,
) -> MetricPlan:
    """Check arrays and prepare all metrics of them; arguments as for :func:`all_metrics`."""
    schema = schema_of(classes)
    truth, scores = check_arrays(truth, scores, schema.classes)
    if predicted is None:
        predicted = decide(scores, schema, threshold)
    return MetricPlan(truth, scores, schema.classes, predicted, schema.graded, **options)


def check_arrays(
    truth: np.ndarray, scores: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Check that truth and scores can be compared; see :func:`class_metrics` for what is refused.

    Args:
        truth: Expected 0/1, shape (N, C).
        scores: Expected probabilities, shape (N, C).
        classes: C names.
    """
    truth, scores = np.asarray(truth), np.asarray(scores, dtype=float)
    if truth.shape != scores.shape or truth.ndim != 2 or truth.shape[1] != len(classes):
        raise InputError(
            f'truth has shape {truth.shape} and scores {scores.shape}, expected both (images, '
            f'{len(classes)}), the classes being {list(classes)}'
        )
    if not len(truth):
        raise InputError('there is no image to evaluate')
    if problem := score_problem(scores):
        raise InputError(problem)
    if not ((truth == 0) | (truth == 1)).all():
        raise InputError('a truth is not 0 or 1; correct the labels')
    return truth, scores


def score_problem(scores: np.ndarray) -> str:
    """Say in one sentence why scores are not probabilities; empty if they are."""
    outside = ~((scores >= 0) & (scores <= 1))
    if not outside.any():
        return ''
    row, column = (int(i[0]) for i in np.nonzero(outside))
    number = int(outside.any(1).sum())
    place = f'row {row + 1} holds {scores[row, column]:.6g} ({number} such row(s))'
    if np.isnan(scores).any():
        return f'a score is NaN: {place}; find out which picture or which step made it'
    if np.isinf(scores).any():
        return f'a score is infinite: {place}; find out which picture or which step made it'
    if scores.min() >= 0 and scores.max() <= 100:
        return f'a score is above 1, like a percentage: {place}; divide by 100'
    return (
        f'the scores look like logits, not like probabilities in [0, 1]: {place}; apply the '
        'sigmoid, 1 / (1 + exp(-score)), before writing them'
    )


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
    macro = ''.join(f'{values[metric_of(m).mean]:>11.4f}' for m in CLASS_METRICS)
    lines.append(f'{"mean":<{width}}{macro}')
    lines.append('  '.join(f'{m} {values[m]:.4f}' for m in SET_METRICS))
    return '\n'.join(lines)
