"""Every metric of one predictions file, for one or thousands of sets of image weights.

All metrics but AP and AUROC are sums over images, or ratios of a few such sums: one matrix
product gives them for all replicates. AP and AUROC are in :mod:`realmnet.evaluation.ranked`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from realmnet.evaluation.ranked import RankedColumn

#: Metrics of single classes, whose means are the overall values of the same name.
CLASS_METRICS = ('precision', 'recall', 'F1', 'AP', 'AUROC')
#: Further metrics of single classes, likewise.
MORE_CLASS_METRICS = ('specificity', 'NPV', 'brier', 'calibration')
#: Metrics of whole label sets; lower is better for all four.
SET_METRICS = ('hamming', 'coverage', 'ranking', 'brier')
#: Micro-averages: all classes' decisions, or scores, taken as those of one class.
MICRO_METRICS = ('precision_micro', 'recall_micro', 'F1_micro', 'mAP_micro', 'AUROC_micro')

#: Macro-averages whose units are those of their classes, and the class metric of each.
MACRO = {'precision': 'precision', 'recall': 'recall', 'F1': 'F1', 'mAP': 'AP', 'AUROC': 'AUROC',
         'specificity': 'specificity', 'NPV': 'NPV'}  # fmt: skip

_ROWS = 16384
_CACHED = 32 * 2**20  # bytes of per-image columns kept between calls


class MetricPlan:
    """What can be computed once about N images, so that a replicate costs little.

    Args:
        truth: 0/1, shape (N, C).
        scores: Probabilities, shape (N, C).
        classes: Class names.
        predicted: Decisions, bool of shape (N, C).
        graded: Positions of the classes of an ordered, exclusive scale in rising order; Cohen's
            kappa with quadratic weights is taken on it, the predicted grade being that of the
            highest score. None leaves kappa out.
        bins: Equal-width bins of the calibration error.
        essential: Only precision, recall, F1, AP and AUROC; for long simulations.

    Attributes:
        names: Metrics, in the order of the columns that :meth:`__call__` returns.

    Example:
        >>> truth, scores = np.array([[1], [0], [1]]), np.array([[0.9], [0.6], [0.7]])
        >>> plan = MetricPlan(truth, scores, ['A'], scores >= 0.5)
        >>> values = plan(np.array([[1, 1, 1], [1, 0, 2]]))
        >>> values[:, plan.names.index('precision_A')].round(3).tolist()
        [0.667, 1.0]
    """

    def __init__(
        self,
        truth: np.ndarray,
        scores: np.ndarray,
        classes: Sequence[str],
        predicted: np.ndarray,
        graded: Sequence[int] | None = None,
        bins: int = 10,
        essential: bool = False,
    ) -> None:
        self.truth = np.asarray(truth, dtype=np.int8)
        self.scores = np.asarray(scores, dtype=float)
        self.predicted = np.asarray(predicted, dtype=bool)
        self.classes = tuple(classes)
        self.graded = None if graded is None or len(graded) < 3 else np.asarray(graded)
        self.bins, self.essential = bins, essential
        num_images, num_classes = self.scores.shape
        with ThreadPoolExecutor(2) as pool:  # sorting leaves Python's lock
            micro = None
            if not essential:
                image = np.repeat(np.arange(num_images, dtype=np.int32), num_classes)
                micro = pool.submit(
                    RankedColumn, self.truth.ravel(), self.scores.ravel(), image, num_images
                )
            self._ranked = list(pool.map(RankedColumn, self.truth.T, self.scores.T))
            self._micro = micro.result() if micro else None
        self._cache: list[np.ndarray] | None = None
        self.names = self._name()

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Compute the metrics of some replicates.

        Args:
            weights: How often each image counts, shape (B, N); not negative.

        Returns:
            Shape (B, metrics), NaN where undefined.
        """
        columns = np.ascontiguousarray(np.asarray(weights, dtype=float).T)
        sums = sum(
            block.T @ columns[at : at + len(block)]
            for at, block in zip(range(0, len(columns), _ROWS), self._image_columns(), strict=False)
        )
        num_classes = len(self.classes)
        totals, rest = sums[:4], sums[4:]
        weight = totals[0]
        hits, claimed, positives = rest[: 3 * num_classes].reshape(3, num_classes, -1)
        rest = rest[3 * num_classes :]
        with np.errstate(invalid='ignore', divide='ignore'):
            by_class = _decisions(hits, claimed, positives, weight)
            ranks = [column(columns) for column in self._ranked]
            by_class['AP'] = np.stack([pair[0] for pair in ranks])
            by_class['AUROC'] = np.stack([pair[1] for pair in ranks])
            overall: dict[str, np.ndarray] = {}
            if not self.essential:
                by_class['brier'] = rest[:num_classes] / weight
                rest = rest[num_classes:]
                gaps = rest[: num_classes * self.bins].reshape(num_classes, self.bins, -1)
                by_class['calibration'] = np.abs(gaps).sum(1) / weight
                rest = rest[num_classes * self.bins :]
                overall = _micro(hits, claimed, positives)
                overall['mAP_micro'], overall['AUROC_micro'] = self._micro(columns)
                overall['hamming'] = (claimed + positives - 2 * hits).sum(0) / weight / num_classes
                overall['subset_accuracy'] = totals[1] / weight
                overall['coverage'], overall['ranking'] = totals[2] / weight, totals[3] / weight
                if self.graded is not None:
                    overall['kappa'] = _kappa(rest, len(self.graded), weight)
            for name, values in by_class.items():
                overall['mAP' if name == 'AP' else name] = _mean(values)
        for name, values in by_class.items():
            overall |= {f'{name}_{c}': values[i] for i, c in enumerate(self.classes)}
        return np.stack([overall[name] for name in self.names], axis=1)

    def _name(self) -> tuple[str, ...]:
        single = CLASS_METRICS if self.essential else CLASS_METRICS + MORE_CLASS_METRICS
        names = ['mAP' if name == 'AP' else name for name in CLASS_METRICS]
        if not self.essential:
            names += [*SET_METRICS, 'subset_accuracy', 'specificity', 'NPV', 'calibration']
            names += ['kappa'] * (self.graded is not None) + list(MICRO_METRICS)
        return tuple(names + [f'{name}_{c}' for name in single for c in self.classes])

    def _image_columns(self) -> Iterator[np.ndarray] | list[np.ndarray]:
        """Yield what is summed over images, (rows, K) at a time."""
        if self._cache is not None:
            return self._cache
        blocks = (self._block(slice(at, at + _ROWS)) for at in range(0, len(self.scores), _ROWS))
        width = 4 + len(self.classes) * (4 + self.bins) + 32
        if width * 8 * len(self.scores) <= _CACHED:
            blocks = self._cache = list(blocks)
        return blocks

    def _block(self, rows: slice) -> np.ndarray:
        truth, scores, predicted = self.truth[rows], self.scores[rows], self.predicted[rows]
        true = truth == 1
        parts = [np.ones(len(truth)), (predicted == true).all(1)]
        parts += [np.zeros(len(truth))] * 2 if self.essential else _label_ranks(true, scores)
        parts += [*(predicted & true).T, *predicted.T, *true.T]
        if not self.essential:
            gap = scores - truth
            parts += [*(gap**2).T]
            inside = np.minimum((scores * self.bins).astype(int), self.bins - 1)
            spread = np.zeros((len(self.classes), self.bins, len(truth)))
            index = np.ogrid[: len(self.classes), : len(truth)]
            spread[index[0], inside.T, index[1]] = gap.T
            parts += [*spread.reshape(-1, len(truth))]
        if self.graded is not None and not self.essential:
            grade, guess = true[:, self.graded].argmax(1), scores[:, self.graded].argmax(1)
            known = true[:, self.graded].sum(1) == 1  # kappa needs exactly one true grade
            steps = np.arange(len(self.graded))[:, None]
            parts += [known, known * (grade - guess) ** 2]
            parts += [*(known & (grade == steps)), *(known & (guess == steps))]
        return np.stack(parts, axis=1, dtype=float)


def _label_ranks(true: np.ndarray, scores: np.ndarray) -> list[np.ndarray]:
    """Coverage and ranking loss of each image, as scikit-learn's functions of these names."""
    lowest = np.where(true, scores, np.inf).min(1)
    depth = (scores >= lowest[:, None]).sum(1)
    wrong = np.zeros(len(true))
    for c in range(true.shape[1]):
        wrong += true[:, c] * (~true & (scores >= scores[:, c, None])).sum(1)
    pairs = true.sum(1) * (~true).sum(1)
    return [depth, np.where(pairs > 0, wrong / np.maximum(pairs, 1), 0.0)]


def _decisions(
    hits: np.ndarray, claimed: np.ndarray, positives: np.ndarray, weight: np.ndarray
) -> dict[str, np.ndarray]:
    rejected = weight - claimed
    true_negatives = rejected - (positives - hits)
    return {
        'precision': hits / claimed,
        'recall': hits / positives,
        'F1': np.where(positives > 0, 2 * hits / (positives + claimed), np.nan),
        'specificity': true_negatives / (weight - positives),
        'NPV': true_negatives / rejected,
    }


def _micro(hits: np.ndarray, claimed: np.ndarray, positives: np.ndarray) -> dict[str, np.ndarray]:
    hits, claimed, positives = hits.sum(0), claimed.sum(0), positives.sum(0)
    return {
        'precision_micro': hits / claimed,
        'recall_micro': hits / positives,
        'F1_micro': np.where(positives > 0, 2 * hits / (positives + claimed), np.nan),
    }


def _kappa(sums: np.ndarray, num_grades: int, weight: np.ndarray) -> np.ndarray:
    """1 - observed / expected squared difference of the grades."""
    known, observed = sums[0], sums[1]
    truth, guess = sums[2 : 2 + num_grades], sums[2 + num_grades :]
    steps = np.arange(num_grades)
    distance = (steps[:, None] - steps) ** 2
    expected = np.einsum('gb,gh,hb->b', truth, distance, guess) / known
    return np.where(expected > 0, 1 - observed / expected, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the classes for which a value is defined, NaN where there is none."""
    defined = np.isfinite(values)
    return np.where(defined, values, 0).sum(0) / np.where(defined.any(0), defined.sum(0), np.nan)
