"""How far scores mean what they say, and the fit of what makes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import optimize, special

from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import kish, unit_of
from realmnet.evaluation.findings import logit
from realmnet.evaluation.metrics import class_metrics
from realmnet.evaluation.predictions import Predictions, check_patients
from realmnet.evaluation.recalibration import (
    METHODS,
    MOST_KNOTS,
    SLOPES,
    Recalibration,
    refuse_recalibrated,
)

#: Patients with a class, and without it, that a fit needs (effective number). Ten events for each
#: number that is fitted (Peduzzi et al. 1996): one for a temperature, two for a line. Isotonic
#: curves follow the data wherever they are scarce (Niculescu-Mizil and Caruana 2005); that 50 is
#: enough is a convention of this project.
LEAST = {'temperature': 10, 'logistic': 20, 'isotonic': 50}


@dataclass(frozen=True)
class Calibration:
    """Calibration of one class; ideal values are slope 1 and 0 for all others.

    Attributes:
        slope: a of logit(P(y=1)) = a logit(p) + b (Cox 1958); below 1, scores are too extreme.
        slope_low: Lower end of its 95 % interval, by patient (sandwich, Liang and Zeger 1986).
        slope_high: Upper end.
        intercept: b of the same line.
        in_the_large: b where a is held at 1; below 0, scores are too high on average.
        in_the_large_low: Lower end of its 95 % interval.
        in_the_large_high: Upper end.
        error: Expected calibration error, ten bins of equal width.
        brier: Mean (p - y)^2.
    """

    slope: float = np.nan
    slope_low: float = np.nan
    slope_high: float = np.nan
    intercept: float = np.nan
    in_the_large: float = np.nan
    in_the_large_low: float = np.nan
    in_the_large_high: float = np.nan
    error: float = np.nan
    brier: float = np.nan


def calibration_of(
    truth: np.ndarray, scores: np.ndarray, patients: np.ndarray | None = None
) -> Calibration:
    """Measure the calibration of one class.

    Args:
        truth: 0/1, shape (N,).
        scores: Probabilities, shape (N,).
        patients: Patient of each picture; None takes the pictures as independent.

    Returns:
        The measures. The lines are NaN without positives or without negatives, where the scores
        are all equal, or where they separate the two without error, so that no line fits best.

    Example:
        >>> y, p = np.array([0, 0, 0, 1] * 25 + [0, 1, 1, 1] * 25), np.repeat([0.1, 0.9], 100)
        >>> found = calibration_of(y, p)       # shares .25 and .75: logit 1.1, scores say 2.2
        >>> round(found.slope, 3), round(found.in_the_large, 3), round(found.error, 3)
        (0.5, 0.0, 0.15)
    """
    truth, scores = np.asarray(truth), np.asarray(scores, dtype=float)
    measures = class_metrics(truth[:, None], scores[:, None])
    plain = {'error': float(measures['calibration'][0]), 'brier': float(measures['brier'][0])}
    if truth.min() == truth.max():
        return Calibration(**plain)
    x = logit(scores)
    line = _binomial(truth, np.stack([x, np.ones_like(x)], axis=1), None, patients)
    level = _binomial(truth, np.ones((len(x), 1)), x, patients)
    if level is not None:
        (value,), ((low, high),) = level
        plain |= dict(in_the_large=value, in_the_large_low=low, in_the_large_high=high)
    if line is not None:
        (slope, intercept), ((low, high), _) = line
        plain |= dict(slope=slope, intercept=intercept, slope_low=low, slope_high=high)
    return Calibration(**{name: float(value) for name, value in plain.items()})


def _binomial(
    truth: np.ndarray, design: np.ndarray, offset: np.ndarray | None, patients: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Coefficients of a logistic regression and their intervals; None where there is no best."""
    import statsmodels.api as sm

    if np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    model = sm.GLM(truth, design, family=sm.families.Binomial(), offset=offset)
    unit = unit_of(patients, len(truth))[0]
    robust = dict(cov_type='cluster', cov_kwds={'groups': unit}, use_t=True)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # separation is told by the coefficients below
        try:
            fit = model.fit(**robust)
        except (ValueError, np.linalg.LinAlgError, sm.tools.sm_exceptions.PerfectSeparationError):
            return None
    values, ends = np.asarray(fit.params), np.asarray(fit.conf_int())
    separated = np.abs(truth - np.asarray(fit.fittedvalues)).max() < 1e-3
    return None if separated or not np.isfinite(values).all() else (values, ends)


def fit_recalibration(
    predictions: Predictions,
    method: str = 'temperature',
    leave: Sequence[str] = (),
    shared: bool = False,
    by: str = 'patient',
    source: str = '',
    groups: Sequence[Sequence[str]] | None = None,
) -> Recalibration:
    """Fit a recalibration by maximum likelihood (isotonic: least squares) to development data.

    Args:
        predictions: Of the development split, never of the test split or another hospital's.
        method: One of :data:`recalibration.METHODS`.
        leave: Classes that stay as they are.
        shared: One temperature for all classes, which keeps their order in every picture.
        by: What is counted against :data:`LEAST`, ``'patient'`` or ``'image'``.
        source: What the predictions are called in the file.
        groups: Classes of each group whose scores add up to 1; those of the schema of the
            predictions where left out.

    Returns:
        The recalibration.

    Raises:
        InputError: If a setting is unknown, the scores are recalibrated already, a class has too
            few patients with or without it, or no rising curve fits best.

    Example:
        >>> fit_recalibration(read_predictions('val.csv'), 'isotonic')    # doctest: +SKIP
    """
    refuse_recalibrated(predictions)
    classes = predictions.classes
    if method not in METHODS:
        raise InputError(f'method {method!r} is unknown; use one of {METHODS}')
    if shared and (method != 'temperature' or leave):
        raise InputError('one curve for all classes is a temperature, and leaves out no class')
    if unknown := [name for name in leave if name not in classes]:
        raise InputError(f'to leave as they are: {unknown}, the classes are {list(classes)}')
    if len(set(leave)) == len(classes):
        raise InputError('every class is to be left as it is; there is nothing to recalibrate')
    if by == 'patient':
        check_patients(predictions)
    if groups is None:
        groups = [[classes[i] for i in group] for group in predictions.schema.softmax_groups]
    groups = [list(group) for group in groups]
    for group in groups:
        if 0 < len(set(group) & set(leave)) < len(group):
            raise InputError(f'the scores of {group} add up to 1; leave all of them, or none')
        if method == 'logistic' and not set(group) <= set(leave):
            raise InputError(
                f'the scores of {group} add up to 1; recalibrate them by temperature or isotonic'
            )
    fitted = [name for name in classes if name not in leave]
    _check_enough(predictions, fitted, method, shared, by)
    curves = {}
    if method == 'temperature':
        alone = [[name] for name in fitted if not any(name in group for group in groups)]
        parts = [*alone, *(group for group in groups if group[0] in fitted)]
        for together in [list(chain(*parts))] if shared else parts:
            used = parts if shared else [together]
            slope = _inverse_temperature([_loss_of(predictions, part) for part in used], together)
            curves |= {name: [slope, 0.0] for name in together}
    else:
        fit = _isotonic if method == 'isotonic' else _line
        for name in fitted:
            column = classes.index(name)
            curves[name] = fit(predictions.truth[:, column], predictions.scores[:, column], name)
    positives = dict(zip(classes, map(int, predictions.truth.sum(0)), strict=True))
    return Recalibration(
        method,
        list(classes),
        {name: curves[name] for name in fitted},
        [] if method == 'logistic' else groups,
        source,
        len(predictions),
        positives,
    )


def _check_enough(
    predictions: Predictions, fitted: Sequence[str], method: str, shared: bool, by: str
) -> None:
    least = LEAST[method]
    columns = [predictions.classes.index(name) for name in fitted]
    with_class = predictions.truth[:, columns].astype(float)
    without = 1 - with_class
    titles = list(fitted)
    if shared:
        with_class, without = with_class.sum(1, keepdims=True), without.sum(1, keepdims=True)
        titles = ['all classes']
    unit = unit_of(predictions.patients if by == 'patient' else None, len(predictions))[0]
    found = np.stack([kish(with_class, unit), kish(without, unit)])
    scarce = [
        f'{name} {found[0, i]:.1f} with and {found[1, i]:.1f} without'
        for i, name in enumerate(titles)
        if found[:, i].min() < least
    ]
    if scarce:
        names = [name for i, name in enumerate(titles) if found[:, i].min() < least]
        leave = '' if shared or len(names) == len(titles) else f'say --leave {" ".join(names)}, '
        raise InputError(
            f'{method} needs {least} {by}s with and {least} without each class (effective '
            f'number), and there are: {"; ".join(scarce)}; {leave}take a method that needs fewer '
            f'({", ".join(f"{m} {n}" for m, n in LEAST.items())}), or gather more'
        )


def _loss_of(predictions: Predictions, part: Sequence[str]) -> Callable[[float], float]:
    """Return the negative log-likelihood of a class, or of a group with softmax, at a slope."""
    columns = [predictions.classes.index(name) for name in part]
    truth = predictions.truth[:, columns]
    scores = predictions.scores[:, columns]
    if len(part) == 1:
        signed = (2 * truth[:, 0] - 1) * logit(scores[:, 0])
        return lambda slope: float(np.logaddexp(0, -slope * signed).sum())
    known = truth.sum(1) == 1
    logs, true = np.log(np.maximum(scores[known], 1e-12)), truth[known].argmax(1)
    rows = np.arange(len(true))

    def loss(slope: float) -> float:
        return float((special.logsumexp(slope * logs, axis=1) - slope * logs[rows, true]).sum())

    return loss


def _inverse_temperature(losses: Sequence[Callable], names: Sequence[str]) -> float:
    low, high = np.log(SLOPES)
    found = optimize.minimize_scalar(
        lambda log: sum(loss(np.exp(log)) for loss in losses),
        bounds=(low, high),
        method='bounded',
        options={'xatol': 1e-7},
    )
    if min(found.x - low, high - found.x) < 0.01:
        raise InputError(
            f'{", ".join(names)}: no temperature fits best (it would be '
            f'{"0, the scores separate the class without error" if found.x > 0 else "endless"}); '
            f'leave the class as it is (--leave {" ".join(names)})'
        )
    return float(np.exp(found.x))


def _line(truth: np.ndarray, scores: np.ndarray, name: str) -> list[float]:
    found = calibration_of(truth, scores)
    if not SLOPES[0] <= found.slope <= SLOPES[1]:  # NaN too
        raise InputError(
            f'{name}: no rising line fits best (slope {found.slope:.3g}); leave the class as it '
            f'is (--leave {name})'
        )
    return [found.slope, found.intercept]


def _isotonic(truth: np.ndarray, scores: np.ndarray, name: str) -> list[list[float]]:
    """Knots of scikit-learn's isotonic regression, kept away from 0 and 1 by half a picture."""
    from sklearn.isotonic import IsotonicRegression

    fit = IsotonicRegression(out_of_bounds='clip').fit(scores, truth)
    least = 0.5 / len(truth)
    y = np.clip(fit.y_thresholds_, least, 1 - least)
    # equal neighbours on both sides say nothing
    x, y = fit.X_thresholds_.astype(float), np.maximum.accumulate(y)
    inner = np.r_[True, ~((y[1:-1] == y[:-2]) & (y[1:-1] == y[2:])), True][: len(y)]
    knots = [[float(a), float(b)] for a, b in zip(x[inner], y[inner], strict=True)]
    if len(knots) > MOST_KNOTS:
        raise InputError(f'{name}: {len(knots)} steps, at most {MOST_KNOTS}; take logistic')
    return knots
