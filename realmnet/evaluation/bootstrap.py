"""Replicates of all metrics at once: the test set drawn again, by image or by patient.

Several pictures of one patient are not independent, so the unit that is drawn should be the
patient (all pictures of a patient enter or leave together; the "cluster bootstrap", Field and
Welsh 2007). A replicate is expressed by how often each image counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from realmnet.errors import InputError
from realmnet.evaluation.metric_types import Column, Part
from realmnet.evaluation.plan import MetricPlan

#: Images that one replicate of the paper holds (caption of its figure 3).
PUBLISHED_DRAWS = 1000

#: Effective units below which a number has no interval: one, rounded.
ONE_UNIT = 1.5
#: Effective units below which an interval is shown with their number.
FEW_UNITS = 5.0

_ELEMENTS = 1_000_000  # weights held at a time
_EQUAL = 1e-9  # a shorter interval is rounding


@dataclass(frozen=True)
class Replicates:
    """Metrics of the data and of its replicates.

    Attributes:
        columns: The numbers, M of them.
        classes: Class names.
        point: Values on the data themselves, shape (M,).
        values: Values of the replicates, shape (B, M); NaN where undefined.
        units: Effective number of units behind each metric, shape (M,); see
            :func:`effective_units`.
        by: ``'image'`` or ``'patient'``.
        draws: Units in a replicate.
        seed: Seed of the draws.
    """

    columns: tuple[Column, ...]
    classes: tuple[str, ...]
    point: np.ndarray
    values: np.ndarray
    units: np.ndarray
    by: str
    draws: int
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers, M of them."""
        return tuple(column.name for column in self.columns)

    @property
    def degrees(self) -> np.ndarray:
        """Degrees of freedom of each metric's spread, shape (M,): units minus 1, at least 1."""
        return np.maximum(self.units - 1, 1)

    @property
    def undefined(self) -> np.ndarray:
        """Number of replicates in which each metric is undefined, shape (M,)."""
        return np.isnan(self.values).sum(0)

    def column(self, name: str) -> np.ndarray:
        """Return the replicates of one metric, shape (B,)."""
        return self.values[:, self.names.index(name)]


def replicate(
    plan: MetricPlan,
    replicates: int = 1000,
    patients: np.ndarray | None = None,
    draws: int | None = None,
    seed: int = 42,
    progress: Callable[[int, int], None] | None = None,
) -> Replicates:
    """Draw the images, or the patients, again and again and compute all metrics each time.

    Args:
        plan: The metrics.
        replicates: B.
        patients: Patient of each image, shape (N,), to draw patients; None draws images.
        draws: Units in a replicate: as many as there are if None, 1,000 images in the paper.
        seed: Equal seeds draw equal units, so that two models on the same images are paired.
        progress: Called with the number done and B.

    Returns:
        The replicates.

    Raises:
        InputError: If B is below 1, the seed negative, or there is only one unit to draw.

    Example:
        >>> truth, scores = np.array([[1], [0], [1]]), np.array([[0.9], [0.6], [0.7]])
        >>> plan = MetricPlan(truth, scores, ['A'], scores >= 0.5)
        >>> replicate(plan, 10).values.shape == (10, len(plan.names))
        True
    """
    if replicates < 1:
        raise InputError(f'{replicates} bootstrap replicates; ask for at least 1, usually 1000')
    if seed < 0:
        raise InputError(f'seed is {seed}; give 0 or a positive number')
    unit, num_units = unit_of(patients, len(plan.scores))
    draws = draws or num_units
    rng = np.random.default_rng(seed)
    values = []
    for done, weights in draw_weights(unit, num_units, replicates, draws, rng):
        values.append(plan(weights))
        if progress:
            progress(done, replicates)
    return Replicates(
        plan.columns,
        plan.classes,
        plan(np.ones((1, len(plan.scores))))[0],
        np.concatenate(values),
        effective_units(plan, unit),
        'image' if patients is None else 'patient',
        draws,
        seed,
    )


def unit_of(patients: np.ndarray | None, num_images: int) -> tuple[np.ndarray, int]:
    """Return the index of each image's unit, shape (N,), and the number of units.

    Raises:
        InputError: If there is only one unit.
    """
    if patients is None:
        unit, num_units = np.arange(num_images), num_images
    else:
        unit = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
        num_units = int(unit.max()) + 1
    if num_units < 2:
        raise InputError('a bootstrap needs at least two images (by patient: two patients)')
    return unit, num_units


def draw_weights(
    unit: np.ndarray, num_units: int, replicates: int, draws: int, rng: np.random.Generator
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield how often each image counts, some replicates at a time.

    Args:
        unit: Unit of each image, shape (N,).
        num_units: Units to draw from, with replacement.
        replicates: B.
        draws: Units in a replicate.
        rng: Source of the draws; the split into pieces does not change them.

    Yields:
        Replicates drawn so far, and the weights of the latest, shape (b, N).
    """
    size = int(np.clip(_ELEMENTS // len(unit), 1, 128))
    for start in range(0, replicates, size):
        number = min(size, replicates - start)
        drawn = rng.integers(0, num_units, size=(number, draws))
        drawn += np.arange(number)[:, None] * num_units
        counts = np.bincount(drawn.ravel(), minlength=number * num_units)
        yield start + number, counts.reshape(number, num_units)[:, unit]


def jackknife(
    plan: MetricPlan, patients: np.ndarray | None = None, groups: int = 500, seed: int = 42
) -> np.ndarray:
    """Compute all metrics with one unit left out at a time, for BCa.

    With more units than ``groups``, units are left out in that many random groups: third and
    second moments of the influence add up over a group, so that the acceleration keeps its
    expectation and gains noise of about .65/groups.

    Args:
        plan: The metrics.
        patients: As for :func:`replicate`.
        groups: Most groups; 0 leaves every unit out by itself.
        seed: Seed of the groups.

    Returns:
        Shape (units or groups, M).
    """
    unit, num_units = unit_of(patients, len(plan.scores))
    if groups and num_units > groups:
        rank = np.random.default_rng(seed).permutation(num_units)
        unit, num_units = (rank * groups // num_units)[unit], groups
    size = int(np.clip(_ELEMENTS // len(unit), 1, 128))
    return np.concatenate(
        [
            plan(unit != np.arange(start, min(start + size, num_units))[:, None])
            for start in range(0, num_units, size)
        ]
    )


def effective_units(plan: MetricPlan, unit: np.ndarray) -> np.ndarray:
    """Count the independent units that each metric rests on.

    A metric rests on the scarcest of the kinds of images that its record names: recall on the
    units with positives, specificity on those with negatives, F1, AP and AUROC on the scarcer of
    the two, precision on the scarcer of units with a prediction and with negatives, one whose
    record names none on all. Micro-averages count the decisions of all classes as those of one.
    Units count by Kish's effective number (sum n)^2 / sum n^2, n being the relevant images of a
    unit: a patient with 99 of 100 positives counts as about one. Macro-averages are NaN here,
    unless their metric rests on all units: theirs follow from the classes'
    (:func:`realmnet.evaluation.intervals.interval`).

    Args:
        plan: The metrics.
        unit: Unit of each image, shape (N,).

    Returns:
        Shape (M,); 0 where no image counts.

    Example:
        >>> truth = np.array([[1], [1], [1], [0]])
        >>> plan = MetricPlan(truth, truth * 0.9, ['A'], truth == 1)
        >>> units = effective_units(plan, np.array([0, 0, 1, 2]))
        >>> round(float(units[plan.names.index('recall_A')]), 6)
        1.8
    """
    true = plan.truth == 1
    every = float(kish(np.ones(len(unit)), unit))
    of_class = _units_of_parts(true, plan.predicted, unit)
    counts = (each.sum(1)[:, None] for each in (true, plan.predicted))
    of_all = _units_of_parts(*counts, unit, most=len(plan.classes))
    if plan.graded is not None:
        of_all['graded'] = kish(true[:, plan.graded].sum(1) == 1, unit)[None]

    def units(column: Column) -> float:
        parts = column.metric.rests_on
        if not parts:
            return every
        if column.level == 'macro':
            return np.nan
        if column.level == 'class':
            place = plan.classes.index(column.of)
            return min(float(of_class[part][place]) for part in parts)
        return min(float(of_all[part][0]) for part in parts)

    return np.array([units(column) for column in plan.columns])


def _units_of_parts(
    true: np.ndarray, predicted: np.ndarray, unit: np.ndarray, most: int = 1
) -> dict[Part, np.ndarray]:
    """Effective units with each kind of image; ``most`` is the largest count in a column."""
    columns = np.concatenate([true, most - true * 1, predicted, most - predicted * 1], axis=1)
    parts = ('positives', 'negatives', 'claimed', 'rejected')
    return dict(zip(parts, np.split(kish(columns, unit), 4), strict=True))


def kish(counts: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Kish's effective number of units, (sum n)^2 / sum n^2; 0 where nothing counts.

    L. Kish, Survey Sampling, 1965, for clusters of unequal size.

    Args:
        counts: How much each image counts, shape (N,) or (N, K).
        unit: Unit of each image, shape (N,).

    Returns:
        Shape () or (K,).

    Example:
        >>> kish(np.ones(4), np.array([0, 0, 1, 1])).item(), kish(np.zeros(2), np.arange(2)).item()
        (2.0, 0.0)
    """
    columns = np.asarray(counts, dtype=float).reshape(len(unit), -1)
    sizes = np.stack([np.bincount(unit, weights=column) for column in columns.T])
    squares = (sizes**2).sum(1)
    number = sizes.sum(1) ** 2 / np.where(squares > 0, squares, 1)
    return number.reshape(np.shape(counts)[1:])


def missing_because(units: float, spread: float, unit: str) -> str:
    """Say why a number has no interval; ``''`` where it has one.

    Args:
        units: Effective number of units behind it.
        spread: Length of the interval that the replicates give; 0 or NaN where they are equal.
        unit: ``'image'`` or ``'patient'``.

    Example:
        >>> missing_because(1.02, 0.1, 'patient'), missing_because(40, 0, 'patient')
        ('one patient', 'no spread')
    """
    if units < ONE_UNIT:
        return f'one {unit}' if units > 0 else 'one class only'
    return '' if spread > _EQUAL else 'no spread'


def bootstrap_statistic(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    truth: np.ndarray,
    scores: np.ndarray,
    patients: np.ndarray | None = None,
    replicates: int = 1000,
    method: str = 'BCa',
    confidence: float = 0.95,
    seed: int = 42,
) -> tuple[float, float, float]:
    """Interval of any statistic of truth and scores, through ``scipy.stats.bootstrap``.

    Args:
        statistic: Takes truth and scores of the drawn images, returns a number.
        truth: Shape (N, ...).
        scores: Shape (N, ...).
        patients: As for :func:`replicate`.
        replicates: B.
        method: ``'BCa'``, ``'percentile'`` or ``'basic'``.
        confidence: Share of intervals that should hold the true value.
        seed: Seed of the draws.

    Returns:
        Value, lower and upper end; the ends are NaN with one effective unit, and where all
        replicates are equal.

    Example:
        >>> y, p = np.arange(40) % 2, np.linspace(0, 1, 40)
        >>> value, low, high = bootstrap_statistic(lambda t, s: s[t == 1].mean(), y, p)
        >>> low < value < high
        True
    """
    unit, num_units = unit_of(patients, len(truth))
    images = np.argsort(unit, kind='stable')
    bounds = np.searchsorted(unit[images], np.arange(num_units + 1))

    def of_units(units: np.ndarray) -> float:
        rows = np.concatenate([images[bounds[u] : bounds[u + 1]] for u in units])
        return statistic(truth[rows], scores[rows])

    units = np.arange(num_units)
    result = stats.bootstrap(
        (units,), of_units, vectorized=False, n_resamples=replicates, method=method,
        confidence_level=confidence, rng=np.random.default_rng(seed),
    )  # fmt: skip
    low, high = map(float, result.confidence_interval)
    value = float(of_units(units))
    none = missing_because(float(kish(np.ones(len(truth)), unit)), high - low, '')
    return (value, np.nan, np.nan) if none else (value, low, high)
