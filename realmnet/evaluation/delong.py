"""Variance of AUROC and of differences between AUROCs: DeLong, and Obuchowski for clusters.

E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988) 837-845; N. Obuchowski, Biometrics
53 (1997) 567-578; placements from midranks as X. Sun, W. Xu, IEEE SPL 21 (2014) 1389-1393.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from realmnet.evaluation.bootstrap import FEW_UNITS, ONE_UNIT, kish, missing_because


@dataclass(frozen=True)
class AurocTest:
    """AUROCs of K models on one class, their covariance, and the test of the first two.

    Attributes:
        auroc: Shape (K,).
        covariance: Shape (K, K).
        difference: AUROC of the first minus that of the second (0 with one model).
        z: Difference over its standard error.
        p: Two-sided p-value from the normal distribution.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
        method: ``'DeLong'`` or ``'Obuchowski'``.
        remark: Why there is no test: ``'one patient'`` (or image) behind the positives or the
            negatives, by Kish's effective number; ``'no spread'`` where the variance is 0. Or on
            how few units it rests; ``''`` otherwise.
    """

    auroc: np.ndarray
    covariance: np.ndarray
    difference: float
    z: float
    p: float
    low: float
    high: float
    method: str
    remark: str = ''


def auroc_test(
    truth: np.ndarray, scores: np.ndarray, patients: np.ndarray | None = None
) -> AurocTest:
    """Compare the AUROCs of models on the same images.

    With V_i the share of negatives that positive i outscores (its placement) and V_j the share of
    positives that outscore negative j, ties counting half, AUROC = mean V_i = mean V_j and

        cov_rs = S10_rs / m + S01_rs / n + (S11_rs + S11_sr) / (m n)

    where sums run over clusters k with m_k positives and n_k negatives, I10 of them with
    positives and I01 with negatives, I in all:
    S10_rs = I10 / ((I10 - 1) m) sum_k (V_k^r - m_k A_r)(V_k^s - m_k A_s), V_k the sum of the
    placements of the cluster's positives; S01 likewise for negatives; S11 = I / (I - 1) sum_k
    (V_k^r - m_k A_r)(W_k^s - n_k A_s). With one image a cluster S11 is 0 and the rest is DeLong's.

    Args:
        truth: 0/1, shape (N,).
        scores: Of one model, shape (N,), or of K models, shape (N, K).
        patients: Patient of each image, shape (N,): clusters wherever one has several images.

    Returns:
        The test; z, p and interval are NaN without two effective units with positives and two with
        negatives, and where models differ though their placements do not spread.

    Example:
        >>> truth = np.array([1, 1, 1, 0, 0, 0])
        >>> one, other = [0.9, 0.8, 0.4, 0.5, 0.3, 0.1], [0.9, 0.2, 0.4, 0.5, 0.3, 0.1]
        >>> test = auroc_test(truth, np.array([one, other]).T)
        >>> test.auroc.round(3).tolist(), round(test.p, 3)
        ([0.889, 0.667], 0.371)
    """
    truth = np.asarray(truth) == 1
    scores = np.asarray(scores, dtype=float)
    scores = scores[:, None] if scores.ndim == 1 else scores
    placed = _placements(truth, scores)
    auroc = placed[truth].mean(0) if truth.any() else np.full(scores.shape[1], np.nan)
    if patients is None:
        cluster = np.arange(len(truth))
    else:
        cluster = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
    covariance = _covariance(truth, placed - auroc, cluster)
    clustered = cluster.max() + 1 < len(truth)
    contrast = np.array([1.0, -1.0])[: len(auroc)]
    difference = float(contrast @ auroc[:2]) if len(auroc) > 1 else 0.0
    variance = float(contrast @ covariance[:2, :2] @ contrast)
    error = np.sqrt(max(variance, 0)) if np.isfinite(variance) else np.nan
    units = float(kish(np.stack([truth, ~truth], axis=1), cluster).min())
    word = 'image' if patients is None else 'patient'
    remark = missing_because(units, error, word) if truth.any() and not truth.all() else ''
    z = p = np.nan
    if remark:
        if len(auroc) > 1 and error == 0 == difference and units >= ONE_UNIT:
            z, p = 0.0, 1.0
        error = np.nan
    elif len(auroc) > 1 and np.isfinite(error):
        z = difference / error
        p = 2 * stats.norm.sf(abs(z))
        remark = f'{units:.1f} {word}s' if units < FEW_UNITS else ''
    reach = stats.norm.isf(0.025) * error
    return AurocTest(
        auroc, covariance, difference, float(z), float(p), float(difference - reach),
        float(difference + reach), 'Obuchowski' if clustered else 'DeLong', remark,
    )  # fmt: skip


def _placements(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Share of the other side that each image is on the right side of, shape (N, K)."""
    placed = np.full(scores.shape, np.nan)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return placed
    overall = stats.rankdata(scores, axis=0)
    placed[truth] = (overall[truth] - stats.rankdata(scores[truth], axis=0)) / negatives
    placed[~truth] = 1 - (overall[~truth] - stats.rankdata(scores[~truth], axis=0)) / positives
    return placed


def _covariance(truth: np.ndarray, centred: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Obuchowski's covariance from placements minus AUROC, shape (K, K)."""
    num_clusters, num_models = cluster.max() + 1, centred.shape[1]
    m, n = truth.sum(), (~truth).sum()
    clusters = [len(np.unique(cluster[side])) for side in (truth, ~truth)]
    if min(clusters) < 2:
        return np.full((num_models, num_models), np.nan)
    above, below = np.zeros((2, num_clusters, num_models))
    np.add.at(above, cluster[truth], centred[truth])
    np.add.at(below, cluster[~truth], centred[~truth])
    s10 = clusters[0] / (clusters[0] - 1) / m * above.T @ above
    s01 = clusters[1] / (clusters[1] - 1) / n * below.T @ below
    s11 = num_clusters / (num_clusters - 1) * above.T @ below
    return s10 / m + s01 / n + (s11 + s11.T) / (m * n)
