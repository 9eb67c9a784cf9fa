"""Compare two models on the same images: differences, intervals, p-values and their correction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from scipy import stats

from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import (
    FEW_UNITS,
    ONE_UNIT,
    PUBLISHED_DRAWS,
    Replicates,
    replicate,
)
from realmnet.evaluation.delong import auroc_test
from realmnet.evaluation.intervals import behind, spread
from realmnet.evaluation.mcnemar import mcnemar_test
from realmnet.evaluation.metrics import make_plan
from realmnet.evaluation.predictions import Predictions, check_patients, same_images

#: Metrics compared where none are named: overall, then of every class.
OVERALL = ('F1', 'mAP', 'AUROC', 'coverage', 'ranking', 'hamming')
BY_CLASS = ('F1', 'AP', 'AUROC')


@dataclass(frozen=True)
class Difference:
    """One metric of two models.

    Attributes:
        metric: Name, ``F1`` or ``F1_A4``; ``decisions_A4`` for McNemar's test.
        first: Value of the first model.
        second: Value of the second.
        difference: First minus second.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
        p: Two-sided p-value.
        p_holm: The same after Holm's correction over all rows of the same test.
        test: ``'bootstrap'``, ``'DeLong'``, ``'Obuchowski'``, ``'McNemar ...'`` or ``'t-test'``.
        replicates: For bootstrap tests: replicates in which both values are defined.
        remark: Why there is no interval (``'one patient'``; ``'no spread'``, the difference being
            equal in all replicates), or on how few units it rests; ``''`` otherwise.
        p_bh: The p-value after Benjamini and Hochberg's correction over the same rows, which
            bounds the share of false findings among the rows called significant.
    """

    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    test: str
    replicates: int = 0
    remark: str = ''
    p_bh: float = np.nan


def compare(
    first: Predictions,
    second: Predictions,
    bootstrap: int = 1000,
    by: str = 'patient',
    mode: str = 'sound',
    metrics: Sequence[str] | None = None,
    thresholds: tuple[object, object] = (0.5, 0.5),
    seed: int = 42,
    names: Sequence[str] = ('the first file', 'the second file'),
    progress: Callable[[int, int], None] | None = None,
    simultaneous: bool = False,
) -> list[Difference]:
    """Compare two models.

    ``sound``: both models are evaluated on the same replicates (paired bootstrap, by patient or
    by image); the interval is the 2.5 to 97.5 % range of the differences and p is twice the
    smaller share of differences on either side of 0, counting one more in each (so at least
    2 / (B + 1)). Where the values rest on one effective patient there is neither interval nor p
    (:func:`realmnet.evaluation.intervals.interval`). Class-wise AUROC also gets DeLong's test, in
    Obuchowski's form when patients have several images, and the decisions of each class
    McNemar's, clustered likewise.

    ``published``: Welch's two-sided t-test between the models' replicates of 1,000 images, the
    paper's "P < 0.001". Replicates are no observations: their number is free, and with enough of
    them every difference is significant.

    The corrections of Holm (1979) and of Benjamini and Hochberg (1995) run over all metrics and
    classes of the same kind of test.

    Args:
        first: Predictions of one model.
        second: Of the other; rows and columns are brought into the order of the first.
        bootstrap: Replicates.
        by: ``'patient'`` or ``'image'``.
        mode: ``'sound'`` or ``'published'``.
        metrics: Names such as ``F1`` or ``AUROC_A4``; :data:`OVERALL` and :data:`BY_CLASS` of
            every class where left out.
        thresholds: Decision thresholds of the two, as :func:`decoding.decide` takes them.
        seed: Seed of the draws.
        names: What the models are called in messages.
        progress: Called with the number done and the number in all.
        simultaneous: In sound mode, intervals of the bootstrap rows that hold all together in
            95 % of samples: difference +- c sd, c being the 95 % quantile over the replicates of
            the largest deviation of any row in its own sd (max-t, Westfall and Young 1993).

    Returns:
        One row a metric and test.

    Raises:
        InputError: If the files are not on the same images and classes, or a metric is unknown.

    Example:
        >>> rows = compare(ours, baseline, by='patient')             # doctest: +SKIP
        >>> rows[0].metric, rows[0].low, rows[0].high, rows[0].p     # doctest: +SKIP
        ('F1', 0.011, 0.042, 0.002)
    """
    first, second = same_images(first, second, names=names)
    if by == 'patient':
        check_patients(first)
    classes = first.classes
    plans = [
        make_plan(p.truth, p.scores, first.schema, threshold)
        for p, threshold in zip((first, second), thresholds, strict=True)
    ]
    if metrics is None:
        metrics = [*OVERALL, *(f'{m}_{c}' for m in BY_CLASS for c in classes)]
    for name in metrics:
        if name not in plans[0].names:
            near = get_close_matches(name, plans[0].names, 3)
            hint = f'did you mean {" or ".join(near)}?' if near else f'use {list(plans[0].names)}'
            raise InputError(f'metric {name!r} is unknown; {hint}')
    if mode == 'published':
        drawn = [
            replicate(plan, bootstrap, None, PUBLISHED_DRAWS, seed + i, progress)
            for i, plan in enumerate(plans)
        ]
        return _corrected([_t_test(*drawn, name) for name in metrics])
    patients = first.patients if by == 'patient' else None
    drawn = [replicate(plan, bootstrap, patients, None, seed, progress) for plan in plans]
    rows = _corrected([_paired(*drawn, name) for name in metrics])
    if simultaneous:
        rows = _together(rows, *drawn)
    auroc, decisions = [], []
    for i, c in enumerate(classes):
        scores = np.stack([first.scores[:, i], second.scores[:, i]], axis=1)
        test = auroc_test(first.truth[:, i], scores, patients)
        auroc.append(
            Difference(f'AUROC_{c}', *map(float, test.auroc), test.difference, test.low, test.high,
                       test.p, np.nan, test.method, remark=test.remark)
        )  # fmt: skip
        right = [plan.predicted[:, i] == (plan.truth[:, i] == 1) for plan in plans]
        outcome = mcnemar_test(*right, patients)
        shares = [float(column.mean()) for column in right]
        decisions.append(
            Difference(f'decisions_{c}', *shares, shares[0] - shares[1], np.nan, np.nan,
                       outcome.p, np.nan, f'McNemar {outcome.method}')
        )  # fmt: skip
    return rows + _corrected(auroc) + _corrected(decisions)


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's step-down correction; NaN stays NaN and does not count."""
    return adjusted(p, 'holm')


def adjusted(p: Sequence[float], method: str) -> np.ndarray:
    """Correct p-values by statsmodels; NaN stays NaN and does not count.

    Args:
        p: Of one family of tests, shape (M,).
        method: ``'holm'`` for the chance of any false finding, ``'fdr_bh'`` (Benjamini and
            Hochberg) for the share of false ones among the findings.

    Returns:
        Shape (M,).

    Example:
        >>> adjusted([0.01, 0.04, float('nan'), 0.03], 'holm').tolist()
        [0.03, 0.06, nan, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    p = np.asarray(p, dtype=float)
    corrected = np.full(len(p), np.nan)
    known = np.isfinite(p)
    if known.any():
        corrected[known] = multipletests(p[known], method=method)[1]
    return corrected


def _corrected(rows: list[Difference]) -> list[Difference]:
    p = [row.p for row in rows]
    pairs = zip(holm(p).tolist(), adjusted(p, 'fdr_bh').tolist(), strict=True)
    return [replace(row, p_holm=h, p_bh=b) for row, (h, b) in zip(rows, pairs, strict=True)]


def _together(rows: list[Difference], first: Replicates, second: Replicates) -> list[Difference]:
    """Give the rows that have an interval simultaneous ones."""
    mine = [row for row in rows if np.isfinite(row.low)]
    if not mine:
        return rows
    drawn = np.stack([first.column(r.metric) - second.column(r.metric) for r in mine], axis=1)
    point, sd = np.array([row.difference for row in mine]), spread(drawn)
    furthest = np.nanmax(np.abs(drawn - point) / sd, axis=1)
    reach = np.nanquantile(furthest, 0.95) * sd
    ends = {
        row.metric: (row.difference - far, row.difference + far)
        for row, far in zip(mine, reach.tolist(), strict=True)
    }
    return [
        replace(row, low=ends[row.metric][0], high=ends[row.metric][1])
        if row.metric in ends
        else row
        for row in rows
    ]


def _paired(first: Replicates, second: Replicates, name: str) -> Difference:
    values = [float(r.point[r.names.index(name)]) for r in (first, second)]
    difference = first.column(name) - second.column(name)
    difference = difference[np.isfinite(difference)]
    count = len(difference)
    if not count or not np.isfinite(values).all():
        return Difference(name, *values, np.nan, np.nan, np.nan, np.nan, np.nan, 'bootstrap', count)
    low, high = np.quantile(difference, [0.025, 0.975])
    sides = min((difference <= 0).sum(), (difference >= 0).sum())
    p = min(1.0, 2 * (sides + 1) / (count + 1))
    units, remark = _rests_on(first, second, name, high - low)
    if units < ONE_UNIT or (remark and values[0] != values[1]):
        p = np.nan
    if remark:
        low = high = np.nan
    elif units < FEW_UNITS:
        remark = f'{units:.1f} {first.by}s'
    numbers = (values[0] - values[1], float(low), float(high), float(p))
    return Difference(name, *values, *numbers, np.nan, 'bootstrap', count, remark)


def _rests_on(first: Replicates, second: Replicates, name: str, length: float) -> tuple[float, str]:
    """Units behind the scarcer of two values, and why their difference has no interval."""
    place = first.names.index(name)
    lengths = np.full(len(first.names), np.inf)
    lengths[place] = length
    found = [behind(replicates, lengths) for replicates in (first, second)]
    units, why = min((units[place], why[place]) for units, why in found)
    return float(units), why


def _t_test(first: Replicates, second: Replicates, name: str) -> Difference:
    columns = [r.column(name)[np.isfinite(r.column(name))] for r in (first, second)]
    means = [float(c.mean()) if len(c) else np.nan for c in columns]
    low = high = p = np.nan
    if min(map(len, columns)) > 1:
        result = stats.ttest_ind(*columns, equal_var=False)
        low, high = (float(end) for end in result.confidence_interval())
        p = float(result.pvalue)
    return Difference(
        name, *means, means[0] - means[1], low, high, p, np.nan, 't-test', min(map(len, columns))
    )
