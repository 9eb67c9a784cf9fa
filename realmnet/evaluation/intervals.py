"""Intervals from replicates, by several methods, and the paper's convention.

Which method covers how often was measured (``tools/benchmarks/coverage_study.py``, table in
docs/evaluation.md); :data:`DEFAULT_METHOD` is what came out best.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import FEW_UNITS, Replicates, missing_because

#: Methods of :func:`interval`.
METHODS = ('percentile', 'bca', 'normal', 'logit', 'logit-t')
#: The method that the coverage study chose.
DEFAULT_METHOD = 'logit-t'


@dataclass(frozen=True)
class Intervals:
    """Intervals of M metrics.

    Attributes:
        low: Lower ends, shape (M,).
        high: Upper ends, shape (M,).
        method: How they were made.
        units: Effective number of units behind each metric, shape (M,); a macro-average has that
            of its scarcest class. NaN with the paper's convention, which does not count them.
        why: Why a metric that is defined has no interval, else ``''``, M of them.
    """

    low: np.ndarray
    high: np.ndarray
    method: str
    units: np.ndarray
    why: tuple[str, ...]

    def remarks(self, by: str) -> list[str]:
        """What stands beside each number: why it has no interval, or its few units.

        Args:
            by: ``'image'`` or ``'patient'``.
        """
        few = self.units < FEW_UNITS
        return [
            text or (f'{n:.1f} {by}s' if small else '')
            for text, n, small in zip(self.why, self.units, few, strict=True)
        ]


def interval(
    replicates: Replicates,
    method: str = DEFAULT_METHOD,
    confidence: float = 0.95,
    left_out: np.ndarray | None = None,
) -> Intervals:
    """Confidence intervals of all metrics.

    ``percentile``: quantiles of the replicates. ``bca``: quantiles moved by bias and acceleration
    (Efron 1987), as ``scipy.stats.bootstrap``. ``normal``: point +- z sd. ``logit``: with
    g(v) = log(v / (1 - v)), g(point) +- z sd / (v (1 - v)), mapped back, so that it never leaves
    the metric's range and is longer towards its middle. ``logit-t``: the same with Student's t
    for z and sd sqrt((n + 1) / n), n the degrees of freedom of :func:`bootstrap.degrees`, which
    makes up for the few units that a rare class rests on; the ends of a macro-average follow from
    those of its classes, mean - sqrt(d' R d) / C with d_c = v_c - low_c and R the correlation of
    the classes over the replicates, the upper end likewise (MOVER, Zou and Donner 2008).

    Where the value lies on the edge of its range and the logit does not exist, the two logit
    forms take the exact binomial interval of n + 1 units out of n + 1 (Clopper and Pearson 1934).

    A number has no interval when the data do not hold one: when it rests on one effective unit
    (:func:`bootstrap.effective_units` below 1.5), whatever the number of images; when all
    replicates are equal, so that the interval has no length; and a macro-average when one of its
    classes has none.

    Args:
        replicates: Values of the data and the replicates.
        method: One of :data:`METHODS`.
        confidence: Share of intervals that should hold the true value.
        left_out: For ``bca``: values of :func:`bootstrap.jackknife`, shape (units, M).

    Returns:
        The intervals; NaN for a metric that is undefined on the data or in all replicates, and,
        with the reason in ``why``, where there is none.

    Raises:
        InputError: If the method is unknown, or ``bca`` comes without ``left_out``.

    Example:
        >>> ends = interval(replicates, 'percentile')               # doctest: +SKIP
        >>> ends.low[replicates.names.index('AUROC')]               # doctest: +SKIP
        0.968
    """
    values, point = replicates.values, replicates.point
    tail = (1 - confidence) / 2
    with np.errstate(invalid='ignore', divide='ignore'):
        if method == 'percentile':
            low, high = _quantiles(values, np.full((2, len(point)), [[tail], [1 - tail]]))
        elif method == 'bca':
            if left_out is None:
                raise InputError('bca needs the values with each unit left out: jackknife(plan)')
            low, high = _quantiles(values, _bca_levels(values, point, left_out, tail))
        elif method == 'normal':
            reach = stats.norm.isf(tail) * spread(values)
            low, high = point - reach, point + reach
        elif method in ('logit', 'logit-t'):
            low, high = _logit(replicates, tail, student=method == 'logit-t')
        else:
            raise InputError(f'interval method {method!r} is unknown; use one of {METHODS}')
    units, why = behind(replicates, high - low)
    none = np.isnan(point) | np.isnan(values).all(0) | np.array([bool(text) for text in why])
    ends = (np.where(none, np.nan, end) for end in (low, high))
    return Intervals(*ends, method, units, why)


def behind(replicates: Replicates, length: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Tell what each number rests on, macro-averages included, and why it has no interval.

    Args:
        replicates: Values of the data and the replicates.
        length: Length of the interval that the replicates give, shape (M,).

    Returns:
        Effective units, shape (M,), a macro-average having those of its scarcest class; and the
        reasons, ``''`` where there is an interval or the metric is undefined, with the name of
        the class for a macro-average.
    """
    units, point = replicates.units.copy(), replicates.point
    why = [missing_because(u, n, replicates.by) for u, n in zip(units, length, strict=True)]
    for i, columns in _classes_of_means(replicates):
        used = columns[np.isfinite(point[columns])]
        if len(used):
            units[i] = units[used].min()
        why[i] = missing_because(units[i], length[i], replicates.by)
        for c, name in zip(columns, replicates.classes, strict=True):
            if c in used and why[c] and len(columns) > 1:
                why[i] = f'{name}: {why[c]}'
                break
    return units, tuple('' if np.isnan(v) else text for v, text in zip(point, why, strict=True))


def published(replicates: Replicates) -> tuple[Intervals, np.ndarray]:
    """The paper's convention, for replicates of 1,000 images each.

    Args:
        replicates: From :func:`bootstrap.replicate` with ``draws=PUBLISHED_DRAWS``.

    Returns:
        ``mean +- 1.96 std`` of the replicates, which the paper prints for macro-averages, and
        ``std / sqrt(B)``, shape (M,), which its Tables 1-3 print after the "+-" of each class
        and which is the standard error of the mean over replicates, not an interval.
    """
    std = spread(replicates.values)
    mean = _mean(replicates.values)
    ends = Intervals(mean - 1.96 * std, mean + 1.96 * std, 'published',
                     np.full(len(std), np.nan), ('',) * len(std))  # fmt: skip
    return ends, std / np.sqrt(len(replicates.values))


def spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the replicates in which a metric is defined, shape (M,)."""
    defined = np.isfinite(values)
    count = defined.sum(0)
    centred = np.where(defined, values - _mean(values), 0)
    return np.sqrt((centred**2).sum(0) / np.where(count > 1, count - 1, np.nan))


def _mean(values: np.ndarray) -> np.ndarray:
    defined = np.isfinite(values)
    count = np.where(defined.any(0), defined.sum(0), np.nan)
    return np.where(defined, values, 0).sum(0) / count


def _quantiles(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles, NaN replicates left out; levels (2, M) to values (2, M)."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(values).sum(0)
    place = np.clip(levels, 0, 1) * np.maximum(count - 1, 0)
    below = np.nan_to_num(np.floor(place)).astype(int)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    columns = np.arange(values.shape[1])
    part = place - below
    return ordered[below, columns] * (1 - part) + ordered[above, columns] * part


def _bca_levels(
    values: np.ndarray, point: np.ndarray, left_out: np.ndarray, tail: float
) -> np.ndarray:
    count = np.isfinite(values).sum(0)
    rank = ((values < point).sum(0) + (values <= point).sum(0)) / 2 / count
    bias = special.ndtri(rank)
    # Acceleration from influences U = (n - 1)(mean - value); units without effect count as 0.
    influence = _mean(left_out) - left_out
    influence = np.where(np.isfinite(influence), influence, 0)
    scale = (influence**2).sum(0) ** 1.5
    acceleration = np.where(scale > 0, (influence**3).sum(0) / np.where(scale > 0, scale, 1) / 6, 0)
    z = np.array([[special.ndtri(tail)], [special.ndtri(1 - tail)]])
    return special.ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))


def _logit(replicates: Replicates, tail: float, student: bool) -> tuple[np.ndarray, np.ndarray]:
    sd, n = spread(replicates.values), replicates.degrees
    factor = np.full(len(sd), stats.norm.isf(tail))
    if student:
        factor = stats.t.isf(tail, n) * np.sqrt((n + 1) / n)
    floor, ceiling = np.array(
        [column.metric.range(len(replicates.classes)) for column in replicates.columns]
    ).T
    share = np.clip((replicates.point - floor) / (ceiling - floor), 0, 1)
    reach = factor * sd / (ceiling - floor) / (share * (1 - share))
    centre = special.logit(share)
    low, high = special.expit(centre - reach), special.expit(centre + reach)
    # On the edge: all of n + 1 units were right (or wrong).
    exact = tail ** (1 / (np.nan_to_num(n, nan=1) + 1))
    low = np.where(share == 1, exact, np.where(share == 0, 0, low))
    high = np.where(share == 0, 1 - exact, np.where(share == 1, 1, high))
    low, high = floor + low * (ceiling - floor), floor + high * (ceiling - floor)
    if student:
        _recover_means(replicates, low, high)
    return low, high


def _recover_means(replicates: Replicates, low: np.ndarray, high: np.ndarray) -> None:
    """Set the ends of macro-averages (those without degrees of freedom) from their classes'."""
    for i, columns in _classes_of_means(replicates):
        columns = columns[np.isfinite(replicates.point[columns])]
        values = replicates.values[:, columns]
        centred = np.where(np.isfinite(values), values - _mean(values), 0)
        size = np.sqrt((centred**2).sum(0))
        centred /= np.where(size > 0, size, 1)
        correlation = centred.T @ centred
        np.fill_diagonal(correlation, 1)
        for ends, sign in ((low, -1), (high, 1)):
            reach = sign * (ends[columns] - replicates.point[columns])
            variance = max(float(reach @ correlation @ reach), 0)
            ends[i] = replicates.point[i] + sign * np.sqrt(variance) / max(len(columns), 1)


def _classes_of_means(replicates: Replicates) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the place of each macro-average that rests on its classes' units, and their places."""
    for i, mean in enumerate(replicates.columns):
        if mean.level == 'macro' and mean.metric.rests_on:
            columns = [
                k
                for k, column in enumerate(replicates.columns)
                if column.level == 'class' and column.metric is mean.metric
            ]
            yield i, np.array(columns)
