"""Do two models err on different images? McNemar's test, also for several images a patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class McNemar:
    """Outcome of the test.

    Attributes:
        only_first: Images that the first model alone got right.
        only_second: Images that the second alone got right.
        statistic: Chi-square with one degree of freedom (NaN for the exact test).
        p: Two-sided p-value.
        method: ``'exact'``, ``'chi-square'`` or ``'clustered'``.
    """

    only_first: int
    only_second: int
    statistic: float
    p: float
    method: str


def mcnemar_test(
    first: np.ndarray, second: np.ndarray, patients: np.ndarray | None = None
) -> McNemar:
    """Compare which images two models decide rightly.

    With b and c images that only the first and only the second got right: the exact binomial
    test while b + c < 25, (b - c)^2 / (b + c) above (no continuity correction), both by
    statsmodels. Where a patient has several images, with d_k = b_k - c_k of patient k:
    (sum_k d_k)^2 / sum_k d_k^2, the modified Obuchowski test of Z. Yang, X. Sun, J. Hardin,
    Biometrical Journal 52 (2010) 638-652, which is McNemar's chi-square when every patient has one
    image.

    Args:
        first: Whether the first model is right, bool of shape (N,).
        second: The same for the second.
        patients: Patient of each image, shape (N,).

    Returns:
        The test; p is 1 when the models never differ.

    Example:
        >>> test = mcnemar_test(np.array([1, 1, 1, 0, 1], bool), np.array([0, 1, 0, 1, 1], bool))
        >>> test.only_first, test.only_second, test.p
        (2, 1, 1.0)
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    if patients is not None:
        unit = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
        if unit.max() + 1 < len(first):
            difference = np.bincount(unit, weights=first.astype(float) - second)
            total = (difference**2).sum()
            statistic = difference.sum() ** 2 / total if total else 0.0
            return McNemar(b, c, float(statistic), float(stats.chi2.sf(statistic, 1)), 'clustered')
    from statsmodels.stats.contingency_tables import mcnemar

    table = [[int((first & second).sum()), b], [c, int((~first & ~second).sum())]]
    if b + c < 25:
        return McNemar(b, c, np.nan, float(mcnemar(table, exact=True).pvalue), 'exact')
    result = mcnemar(table, exact=False, correction=False)
    return McNemar(b, c, float(result.statistic), float(result.pvalue), 'chi-square')
