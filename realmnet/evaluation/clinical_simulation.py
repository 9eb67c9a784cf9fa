"""How often the intervals hold that clinicians ask for, on sets of a known population."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from realmnet.evaluation.bootstrap import replicate
from realmnet.evaluation.calibration import calibration_of
from realmnet.evaluation.decision_curve import decision_curve
from realmnet.evaluation.intervals import DEFAULT_METHOD, interval
from realmnet.evaluation.metrics import make_plan
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.prevalence import METRICS, at_prevalence, predictive_values
from realmnet.evaluation.simulation import Population

#: Forms of the bootstrap that are studied.
FORMS = ('logit-t', 'percentile', 'normal')
#: Threshold probability at which the net benefit is studied.
ACT = 0.2

_KAPPA, _EACH = 'kappa', 'F1 of all classes'


def clinical_coverage(
    population: Population,
    by: str,
    units: int,
    graded: Sequence[int],
    prevalences: Mapping[str, Sequence[float]],
    sets: int = 500,
    replicates: int = 500,
    seed: int = 42,
    progress: Callable[[int, int], None] | None = None,
    images: int = 2_000_000,
) -> dict[str, dict[str, np.ndarray]]:
    """Count how often 95 % intervals hold the population's value.

    Quadratic kappa, also with the asymptotic interval that takes images as independent
    (:func:`asymptotic_kappa`); predictive values at stated prevalences; calibration slope and
    calibration in the large with their sandwich; the net benefit at :data:`ACT`; and F1 of all
    classes at the same time, each with its own interval and with simultaneous ones.

    Args:
        population: Where the sets come from.
        by: What is independent in a set and what the bootstrap draws: image or patient.
        units: Images or patients in a set.
        graded: Positions of the classes of the scale.
        prevalences: Class to its stated prevalences; the classes that are studied.
        sets: Simulated test sets.
        replicates: B.
        seed: Seed of sets and draws.
        progress: Called with the sets done and their number.
        images: Size of the sample whose values stand for the population's.

    Returns:
        Number and method to the share of sets in which the interval holds the value, the mean
        width, and the share of sets that give an interval (shares are of these); shape (3,).
    """
    whole = images
    if by == 'patient':
        whole = int(images / len(population.truth) * (population.patient.max() + 1))
    truth, scores, _ = population.draw(np.random.default_rng(1), by, whole)
    true = _values(population.classes, truth, scores, graded, prevalences)
    tally: dict[tuple[str, str], np.ndarray] = {}
    for number in range(sets):
        rng = np.random.default_rng([seed, number])
        drawn = population.draw(rng, by, units)
        settings = by, graded, prevalences, replicates, seed + number
        for name, method, low, high in _intervals(population.classes, *drawn, *settings):
            low, high = np.atleast_1d(low), np.atleast_1d(high)
            there = bool(np.isfinite(low + high).all())
            held = there and bool(((low <= true[name]) & (true[name] <= high)).all())
            width = float((high - low).mean()) if there else 0.0
            tally.setdefault((name, method), np.zeros(3))[:] += held, width, there
        if progress:
            progress(number + 1, sets)
    result: dict[str, dict[str, np.ndarray]] = {}
    for (name, method), (held, width, there) in tally.items():
        shares = np.array([held, width]) / there if there else np.full(2, np.nan)
        result.setdefault(name, {})[method] = np.array([*shares, there / sets])
    return result


def asymptotic_kappa(truth: np.ndarray, guess: np.ndarray) -> tuple[float, float, float]:
    """Quadratic kappa of independent images with its asymptotic 95 % interval (statsmodels).

    Fleiss, Cohen and Everitt, Psychol Bull 1969.

    Args:
        truth: Grades 0 to G - 1, shape (N,).
        guess: Likewise.

    Returns:
        Value, lower and upper end.

    Example:
        >>> value, low, high = asymptotic_kappa(np.arange(90) % 3, np.arange(90) // 2 % 3)
        >>> bool(low < value < high)
        True
    """
    from statsmodels.stats.inter_rater import cohens_kappa

    number = int(max(truth.max(), guess.max())) + 1
    table = np.bincount(truth * number + guess, minlength=number**2).reshape(number, number)
    found = cohens_kappa(table, wt='quadratic')
    return float(found.kappa), float(found.kappa_low), float(found.kappa_upp)


def _intervals(
    classes: Sequence[str],
    truth: np.ndarray,
    scores: np.ndarray,
    patient: np.ndarray,
    by: str,
    graded: Sequence[int],
    prevalences: Mapping[str, Sequence[float]],
    replicates: int,
    seed: int,
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Yield number, method, lower and upper end (or ends) of one set."""
    cluster = None if by == 'image' else patient
    drawn = replicate(make_plan(truth, scores, classes), replicates, cluster, seed=seed)
    point = dict(zip(drawn.names, drawn.point, strict=True))
    for method in FORMS:
        ends = interval(drawn, method)
        place = drawn.names.index(_KAPPA)
        yield _KAPPA, method, ends.low[place], ends.high[place]
        for name, value in _pairs(prevalences):
            for one in at_prevalence(drawn, point, name, value, method, ends):
                yield f'{one.metric} of {name} at {value:g}', method, one.low, one.high
    yield _KAPPA, 'asymptotic', *asymptotic_kappa(*_grades(truth, scores, graded))[1:]
    places = [drawn.names.index(f'F1_{name}') for name in classes]
    for title, confidence in (('each', 0.95), ('Bonferroni', 1 - 0.05 / len(classes))):
        ends = interval(drawn, DEFAULT_METHOD, confidence)
        yield _EACH, title, ends.low[places], ends.high[places]
    names = np.array([str(i) for i in range(len(truth))], dtype=object)
    data = Predictions(names, np.asarray(patient).astype(str), scores, truth, tuple(classes))
    for name in prevalences:
        c = classes.index(name)
        one = calibration_of(truth[:, c], scores[:, c], cluster)
        yield f'slope of {name}', 'sandwich', one.slope_low, one.slope_high
        yield f'level of {name}', 'sandwich', one.in_the_large_low, one.in_the_large_high
        ends = np.nan, np.nan
        if truth[:, c].any():  # a small set may have none
            curve = decision_curve(data, name, [ACT], None, replicates, by, seed)
            ends = curve.low[0], curve.high[0]
        yield f'benefit of {name}', 'percentile', *ends


def _values(
    classes: Sequence[str],
    truth: np.ndarray,
    scores: np.ndarray,
    graded: Sequence[int],
    prevalences: Mapping[str, Sequence[float]],
) -> dict[str, float | np.ndarray]:
    """Values of a sample so large that they stand for the population's."""
    ill, said = truth == 1, scores >= 0.5
    hits = (ill & said).sum(0)
    true: dict[str, float | np.ndarray] = {
        _KAPPA: asymptotic_kappa(*_grades(truth, scores, graded))[0],
        _EACH: 2 * hits / (ill.sum(0) + said.sum(0)),
    }
    for name, value in _pairs(prevalences):
        c = classes.index(name)
        rates = said[ill[:, c], c].mean(), (~said[~ill[:, c], c]).mean()
        for metric, number in zip(METRICS, predictive_values(*rates, value), strict=True):
            true[f'{metric} of {name} at {value:g}'] = float(number)
    for name in prevalences:
        c = classes.index(name)
        one = calibration_of(truth[:, c], scores[:, c])
        true[f'slope of {name}'], true[f'level of {name}'] = one.slope, one.in_the_large
        acted = scores[:, c] >= ACT
        costs = (acted & ~ill[:, c]).mean() * ACT / (1 - ACT)
        true[f'benefit of {name}'] = float((acted & ill[:, c]).mean() - costs)
    return true


def _grades(truth: np.ndarray, scores: np.ndarray, graded: Sequence[int]) -> list[np.ndarray]:
    return [part[:, list(graded)].argmax(1) for part in (truth, scores)]


def _pairs(prevalences: Mapping[str, Sequence[float]]) -> list[tuple[str, float]]:
    return [(name, value) for name, values in prevalences.items() for value in values]
