"""A population of patients whose true metrics are known, to see how often intervals hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import special

from realmnet.evaluation.bootstrap import PUBLISHED_DRAWS, jackknife, replicate
from realmnet.evaluation.intervals import METHODS, interval, published
from realmnet.evaluation.metrics import make_plan
from realmnet.evaluation.plan import MetricPlan
from realmnet.evaluation.synthetic import competing_noise, solve_binormal

#: The paper's two conventions, beside the methods of :mod:`intervals`.
PUBLISHED = ('published', 'published +-')


class Population:
    """Patients with known labels and a model with a known distribution of scores.

    A drawn patient brings its label rows; scores are drawn anew: logits normal(0, 1) for
    negatives and normal(mu, sigma) for positives, mu and sigma fitted once to the AP and AUROC
    asked for, cut where F1 is highest.

    Args:
        truth: Label rows of all patients, 0/1, shape (N, C).
        patients: Patient of each row, shape (N,).
        classes: Class names.
        targets: For each class the values of ``AP`` and ``AUROC``.
        groups: Positions of exclusive classes, whose scores compete.
        shared: Share of the score variance that pictures of one patient have in common, when
            patients are drawn.
        seed: Seed of the fit.
    """

    def __init__(
        self,
        truth: np.ndarray,
        patients: np.ndarray,
        classes: Sequence[str],
        targets: Sequence[Mapping[str, float]],
        groups: Sequence[Sequence[int]],
        shared: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.truth, self.classes, self.groups, self.shared = truth, classes, groups, shared
        self.patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
        order = np.argsort(self.patient, kind='stable')
        self._rows = np.split(order, np.cumsum(np.bincount(self.patient))[:-1])
        noise = competing_noise(truth.shape, groups, np.random.default_rng(seed))
        self.mu, self.sigma, self.cut = (np.zeros(len(classes)) for _ in range(3))
        for c, target in enumerate(targets):
            column = truth[:, c]
            mu, sigma, _ = solve_binormal(column, noise[:, c], column == 1, target)
            values = np.where(column == 1, mu + sigma * noise[:, c], noise[:, c])
            order = np.argsort(-values)
            hits = np.cumsum(column[order])
            f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
            self.mu[c], self.sigma[c], self.cut[c] = mu, sigma, values[order[f1.argmax()]]

    def draw(
        self, rng: np.random.Generator, by: str, units: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw a test set.

        Args:
            rng: Source of the draws.
            by: ``'image'`` for independent images, ``'patient'`` for whole patients.
            units: Images or patients.

        Returns:
            Truth, scores and patients. A patient drawn twice is two patients.
        """
        if by == 'image':
            rows = rng.integers(0, len(self.truth), units)
            patient = np.arange(units)
        else:
            chosen = [self._rows[p] for p in rng.integers(0, len(self._rows), units)]
            rows = np.concatenate(chosen)
            patient = np.repeat(np.arange(units), [len(part) for part in chosen])
        truth = self.truth[rows]
        noise = competing_noise(truth.shape, self.groups, rng)
        if by == 'patient' and self.shared:
            common = competing_noise((units, truth.shape[1]), self.groups, rng)[patient]
            noise = np.sqrt(self.shared) * common + np.sqrt(1 - self.shared) * noise
        values = np.where(truth == 1, self.mu + self.sigma * noise, noise)
        return truth, special.expit(values - self.cut), patient

    def plan(self, truth: np.ndarray, scores: np.ndarray) -> MetricPlan:
        """Prepare the metrics that are studied."""
        return make_plan(truth, scores, self.classes, essential=True)

    def true_values(self, by: str, images: int = 2_000_000, seed: int = 1) -> np.ndarray:
        """Metrics of a sample so large that they stand for the population's, shape (M,)."""
        rng = np.random.default_rng(seed)
        units = images if by == 'image' else int(images / len(self.truth) * len(self._rows))
        truth, scores, _ = self.draw(rng, by, units)
        return self.plan(truth, scores)(np.ones((1, len(truth))))[0]


def coverage(
    population: Population,
    by: str,
    units: int,
    sets: int = 1000,
    replicates: int = 1000,
    seed: int = 42,
    bca_sets: int = 200,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Count how often 95 % intervals hold the population's value.

    The paper's conventions draw images, whatever the sets are made of; their standard deviation
    is taken from a fifth of the replicates, to save time, and divided as for all of them.

    Args:
        population: Where the sets come from.
        by: What is independent in a set and what the bootstrap draws: image or patient.
        units: Images or patients in a set.
        sets: Simulated test sets.
        replicates: B.
        seed: Seed of sets and draws.
        bca_sets: The first so many sets also get BCa, which costs a jackknife each.
        progress: Called with the sets done and their number.

    Returns:
        Names of the metrics, and by method (those of :data:`METHODS` and :data:`PUBLISHED`) the
        rows: share of intervals that hold the value, share wholly below it, share wholly above
        it, mean width; shape (4, M).
    """
    true = population.true_values(by)
    methods = [*METHODS, *PUBLISHED]
    counts = dict.fromkeys(methods, sets) | {'bca': min(bca_sets, sets)}
    tally = {method: np.zeros((4, len(true))) for method in methods}
    names: tuple[str, ...] = ()
    for number in range(sets):
        rng = np.random.default_rng([seed, number])
        truth, scores, patient = population.draw(rng, by, units)
        plan = population.plan(truth, scores)
        cluster = None if by == 'image' else patient
        drawn = replicate(plan, replicates, cluster, seed=seed + number)
        few = replicate(plan, max(replicates // 5, 2), draws=PUBLISHED_DRAWS, seed=seed + number)
        left_out = jackknife(plan, cluster) if number < bca_sets else None
        names = drawn.names
        for method in methods:
            if method == 'bca' and left_out is None:
                continue
            if method == 'published':
                ends = published(few)[0]
                low, high = ends.low, ends.high
            elif method == 'published +-':
                reach = published(few)[1] * np.sqrt(len(few.values) / replicates)
                low, high = drawn.point - reach, drawn.point + reach
            else:
                ends = interval(drawn, method, left_out=left_out)
                low, high = ends.low, ends.high
            parts = ((low <= true) & (true <= high), high < true, low > true, high - low)
            tally[method] += np.stack(parts).astype(float)
        if progress:
            progress(number + 1, sets)
    return names, {method: values / max(counts[method], 1) for method, values in tally.items()}
