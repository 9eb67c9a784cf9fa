"""The form of a metric's record: what every part of the evaluation asks of a metric.

The records themselves are in :mod:`realmnet.evaluation.metric_records`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

#: A kind of images: with the class, without it, those for which it is predicted, those for which
#: it is not, those with exactly one grade.
Part = Literal['positives', 'negatives', 'claimed', 'rejected', 'graded']
#: What a number is about: one class, the mean over classes, label sets, or the decisions (scores)
#: of all classes taken as those of one.
Level = Literal['class', 'macro', 'set', 'micro']
#: Where a number is printed: as a column of the class table, in the line below it, in the list of
#: further overall values, or in no text, only in files (CSV, JSON, the log of a run).
Place = Literal['table', 'line', 'list', 'files']


@dataclass(frozen=True)
class Images:
    """Some images, N of them with C classes.

    Attributes:
        true: bool, shape (N, C).
        scores: Probabilities, shape (N, C).
        predicted: Decisions, bool of shape (N, C).
        graded: Positions of the classes of an ordered scale, or None.
        bins: Equal-width bins of the calibration error.
    """

    true: np.ndarray
    scores: np.ndarray
    predicted: np.ndarray
    graded: np.ndarray | None
    bins: int


@dataclass(frozen=True)
class Sums:
    """Weighted sums over images for B replicates; micro-averages get all classes as one.

    Attributes:
        weight: Images, shape (B,); decisions, for a micro-average.
        hits: True positives, shape (C, B); (B,) for a micro-average, likewise below.
        claimed: Images for which the class is predicted.
        positives: Images with the class.
        ap: Average precision.
        auroc: Area under the ROC curve.
        own: Sums of what the metric gathers itself (:attr:`Metric.gather`), shape (rows, B).
    """

    weight: np.ndarray
    hits: np.ndarray
    claimed: np.ndarray
    positives: np.ndarray
    ap: np.ndarray
    auroc: np.ndarray
    own: np.ndarray

    @property
    def rejected(self) -> np.ndarray:
        """Images for which the class is not predicted."""
        return self.weight - self.claimed

    @property
    def negatives(self) -> np.ndarray:
        """Images without the class."""
        return self.weight - self.positives

    @property
    def true_negatives(self) -> np.ndarray:
        """Images without the class for which it is not predicted."""
        return self.rejected - (self.positives - self.hits)

    def pooled(self, ap: np.ndarray, auroc: np.ndarray) -> Sums:
        """Return the sums with the decisions of all classes as those of one.

        Args:
            ap: Average precision of all scores as those of one class, shape (B,).
            auroc: Their area under the ROC curve, shape (B,).
        """
        counts = (values.sum(0) for values in (self.hits, self.claimed, self.positives))
        return Sums(self.weight * len(self.hits), *counts, ap, auroc, self.own[:0])


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        name: Name of its values: ``F1``, of a class ``F1_A4``.
        title: Name in tables and figures.
        level: ``'class'``: a number for each class, and their mean over the classes that have one;
            ``'set'``: one number for all label sets.
        limits: Smallest and largest possible value; None stands for the number of classes.
        better: Whether a greater or a smaller value is better.
        rests_on: What its spread rests on: the scarcest of these kinds of images; all images
            where empty. See :func:`realmnet.evaluation.bootstrap.effective_units`.
        needs: The kinds of images without which it is undefined (NaN).
        shown: Where it is printed.
        value: From sums to values, of shape (C, B) at class level, else (B,).
        gather: From images to what is summed over them for this metric, shape (rows, N); None
            where the counts of decisions or the ranks are enough.
        mean: Name of the mean over classes; the metric's own where left out.
        clinical: Name where a disease is diagnosed; the metric's own where left out.
        micro: Whether its micro-average is reported, as ``<mean>_micro``.
    """

    name: str
    title: str
    level: Literal['class', 'set']
    limits: tuple[float, float | None]
    better: Literal['greater', 'less']
    rests_on: tuple[Part, ...]
    needs: tuple[Part, ...]
    shown: Place
    value: Callable[[Sums], np.ndarray]
    gather: Callable[[Images], Sequence[np.ndarray] | np.ndarray] | None = None
    mean: str = ''
    clinical: str = ''
    micro: bool = False

    def __post_init__(self) -> None:
        """Fill in the names that were left out."""
        object.__setattr__(self, 'mean', self.mean or self.name)
        object.__setattr__(self, 'clinical', self.clinical or self.name)

    def range(self, num_classes: int) -> tuple[float, float]:
        """Return the smallest and the largest possible value.

        Example:
            >>> from realmnet.evaluation.metric_records import metric_of
            >>> metric_of('coverage').range(7), metric_of('MCC').range(7)
            ((0.0, 7.0), (-1.0, 1.0))
        """
        low, high = self.limits
        return float(low), float(num_classes if high is None else high)


@dataclass(frozen=True)
class Column:
    """One number of an evaluation.

    Attributes:
        metric: Its metric.
        level: What it is about.
        of: The class, at class level.
    """

    metric: Metric
    level: Level
    of: str = ''

    @property
    def name(self) -> str:
        """Name of the number: ``F1_A4``, ``mAP``, ``mAP_micro``."""
        if self.level == 'class':
            return f'{self.metric.name}_{self.of}'
        return self.metric.mean + ('_micro' if self.level == 'micro' else '')

    @property
    def shown(self) -> Place:
        """Where the number is printed; a micro-average is a further overall value."""
        printed = self.metric.shown != 'files'
        return 'list' if self.level == 'micro' and printed else self.metric.shown
