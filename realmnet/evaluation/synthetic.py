"""Made-up scores: with chosen F1, AP and AUROC on given labels, or of a whole population.

For benchmarks, documentation and tests. Synthetic predictions are called synthetic wherever
their numbers are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import optimize, special

from realmnet.errors import InputError
from realmnet.evaluation.ranked import RankedColumn

#: Shares of missed positives and of impostors that are tried, mildest first.
_SHARES = (0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15)


def calibrated_scores(
    truth: np.ndarray,
    targets: Sequence[Mapping[str, float]],
    seed: int = 42,
    groups: Sequence[Sequence[int]] = (),
) -> np.ndarray:
    """Draw scores that have given F1 (at .5), AP and AUROC, class by class.

    Logits of negatives are normal(0, 1), of positives normal(mu, sigma); mu and sigma are solved
    for AP and AUROC on the very draws, and the logits are shifted so that F1 at .5 is the one
    asked for. Where no cut reaches that F1, a share of the positives is scored like negatives, or
    of the negatives like positives, the smallest that will do. Of the two cuts that give the F1
    the one with more recall is taken: the paper prefers recall (section 2.3).

    Args:
        truth: 0/1, shape (N, C).
        targets: For each class the values of ``F1``, ``AP`` and ``AUROC``.
        seed: Seed of the draws.
        groups: Positions of exclusive classes. Their scores compete: noise sums to zero over a
            group, so that in a group of two one is the mirror of the other. Classes outside are
            independent.

    Returns:
        Probabilities, shape (N, C).

    Raises:
        InputError: If the targets contradict each other.

    Example:
        >>> truth = np.repeat([[1], [0]], [400, 1600], axis=0)
        >>> scores = calibrated_scores(truth, [dict(F1=0.6, AP=0.7, AUROC=0.9)])
        >>> float(RankedColumn(truth[:, 0], scores[:, 0])(np.ones((2000, 1)))[1][0].round(3))
        0.9
    """
    rng = np.random.default_rng(seed)
    noise = competing_noise(truth.shape, groups, rng)
    fate = rng.random(truth.shape)
    return np.stack(
        [
            _calibrate(truth[:, c], noise[:, c], fate[:, c], target)
            for c, target in enumerate(targets)
        ],
        axis=1,
    )


def competing_noise(
    shape: tuple[int, int], groups: Sequence[Sequence[int]], rng: np.random.Generator
) -> np.ndarray:
    """Standard normal noise, shape (N, C), that sums to zero over each group of columns."""
    noise = rng.standard_normal(shape)
    for group in groups:
        part = noise[:, list(group)]
        part = part - part.mean(1, keepdims=True)
        noise[:, list(group)] = part * np.sqrt(len(group) / (len(group) - 1))
    return noise


def _calibrate(
    truth: np.ndarray, noise: np.ndarray, fate: np.ndarray, target: Mapping[str, float]
) -> np.ndarray:
    best = 0.0
    prevalence = truth.mean()
    for share in _SHARES:
        for impostors in (False, True) if share else (False,):
            odd = fate < (share * prevalence / (1 - prevalence) if impostors else share)
            high = (truth == 1) ^ (odd & (truth != impostors))
            mu, sigma, distance = solve_binormal(truth, noise, high, target)
            values = np.where(high, mu + sigma * noise, noise)
            order = np.argsort(-values)
            hits = np.cumsum(truth[order])
            f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
            enough = np.flatnonzero(f1 >= target['F1'])
            if len(enough) and distance < 1e-4:
                last = min(enough[-1], len(order) - 2)  # the longest list that still has the F1
                return special.expit(values - values[order[last : last + 2]].mean())
            best = max(best, f1.max())
    raise InputError(
        f'no scores were found with F1 {target["F1"]}, AP {target["AP"]} and AUROC '
        f'{target["AUROC"]} at once; the best F1 tried was {best:.4f}'
    )


def solve_binormal(
    truth: np.ndarray, noise: np.ndarray, high: np.ndarray, target: Mapping[str, float]
) -> tuple[float, float, float]:
    """Find mu and sigma with which ``where(high, mu + sigma * noise, noise)`` has AP and AUROC.

    Args:
        truth: 0/1, shape (N,).
        noise: Standard normal, shape (N,).
        high: Images scored like positives, shape (N,).
        target: Values of ``AP`` and ``AUROC``.

    Returns:
        mu, sigma, and the squared miss, relative to the room below 1.
    """
    weights = np.ones((len(truth), 1))

    def miss(parameters: np.ndarray) -> float:
        mu, log_sigma = parameters
        values = np.where(high, mu + np.exp(log_sigma) * noise, noise)
        ap, auroc = RankedColumn(truth, values)(weights)
        return ((ap[0] - target['AP']) / (1 - target['AP'])) ** 2 + (
            (auroc[0] - target['AUROC']) / (1 - target['AUROC'])
        ) ** 2

    def run(log_sigma: float) -> optimize.OptimizeResult:
        mu = np.sqrt(1 + np.exp(2 * log_sigma)) * special.ndtri(target['AUROC'])
        return optimize.minimize(
            miss, (mu, log_sigma), method='Nelder-Mead',
            options=dict(xatol=1e-5, fatol=1e-12, maxiter=200),
        )  # fmt: skip

    best = min((run(start) for start in (0.0, 0.6)), key=lambda result: result.fun)
    return float(best.x[0]), float(np.exp(best.x[1])), float(best.fun)
