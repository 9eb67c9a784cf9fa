"""Every metric of one predictions file, for one or thousands of sets of image weights.

All metrics but AP and AUROC are sums over images, or ratios of a few such sums: one matrix
product gives them for all replicates. AP and AUROC are in :mod:`realmnet.evaluation.ranked`. What
is summed, and what follows from the sums, is in :mod:`realmnet.evaluation.metric_records`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from realmnet.evaluation.metric_records import METRICS, columns_of
from realmnet.evaluation.metric_types import Images, Sums
from realmnet.evaluation.ranked import RankedColumn

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
        essential: Only the metrics of the class table (precision, recall, F1, AP and AUROC),
            without micro-averages; for long simulations.

    Attributes:
        columns: The numbers that :meth:`__call__` returns.
        names: Their names.

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
        metrics = [m for m in METRICS if self.graded is not None or 'graded' not in m.needs]
        if essential:
            metrics = [m for m in metrics if m.shown == 'table']
        self.columns = columns_of(self.classes, metrics, micro=not essential)
        self.names = tuple(column.name for column in self.columns)
        self._metrics = tuple(metrics)
        self._own = self._places()

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
        hits, claimed, positives = sums[1 : 1 + 3 * num_classes].reshape(3, num_classes, -1)
        ranks = [column(columns) for column in self._ranked]
        ap, auroc = (np.stack(values) for values in zip(*ranks, strict=True))
        by_class = Sums(sums[0], hits, claimed, positives, ap, auroc, sums[:0])
        pooled = by_class.pooled(*self._micro(columns)) if self._micro else None
        values: dict[tuple[str, str], np.ndarray] = {}
        with np.errstate(invalid='ignore', divide='ignore'):
            for metric in self._metrics:
                own = replace(by_class, own=sums[self._own[metric.name]])
                value = values[metric.name, metric.level] = metric.value(own)
                if metric.level == 'class':
                    values[metric.name, 'macro'] = _mean(value)
                if metric.micro and pooled:
                    values[metric.name, 'micro'] = metric.value(pooled)
        rows = [values[column.metric.name, column.level] for column in self.columns]
        for i, column in enumerate(self.columns):
            if column.level == 'class':
                rows[i] = rows[i][self.classes.index(column.of)]
        return np.stack(rows, axis=1)

    def _places(self) -> dict[str, slice]:
        """Where the sums of each metric's own columns are, behind those that all share."""
        images, start = self._images(slice(0, 1)), 1 + 3 * len(self.classes)
        places = {}
        for metric in self._metrics:
            end = start + (len(metric.gather(images)) if metric.gather else 0)
            places[metric.name] = slice(start, end)
            start = end
        return places

    def _images(self, rows: slice) -> Images:
        return Images(
            self.truth[rows] == 1, self.scores[rows], self.predicted[rows], self.graded, self.bins
        )

    def _image_columns(self) -> Iterator[np.ndarray] | list[np.ndarray]:
        """Yield what is summed over images, (rows, K) at a time."""
        if self._cache is not None:
            return self._cache
        blocks = (self._block(slice(at, at + _ROWS)) for at in range(0, len(self.scores), _ROWS))
        width = max(place.stop for place in self._own.values())
        if width * 8 * len(self.scores) <= _CACHED:
            blocks = self._cache = list(blocks)
        return blocks

    def _block(self, rows: slice) -> np.ndarray:
        images = self._images(rows)
        parts = [np.ones(len(images.true))]
        parts += [*(images.predicted & images.true).T, *images.predicted.T, *images.true.T]
        for metric in self._metrics:
            parts += [*metric.gather(images)] if metric.gather else []
        return np.stack(parts, axis=1, dtype=float)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the classes for which a value is defined, NaN where there is none."""
    defined = np.isfinite(values)
    return np.where(defined, values, 0).sum(0) / np.where(defined.any(0), defined.sum(0), np.nan)
