"""Resampling of the training split against label imbalance: six methods, one interface.

``fit_resample(labels)`` returns the labels of the resampled list and sets ``sample_indices_``,
the input row of each output row. Under-sampling keeps the order of the rows; over-sampling
appends clones after the originals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from realmnet.curation.imbalance import irlbl, label_set_codes, mean_ir, scumble_per_image
from realmnet.curation.seeds import generator
from realmnet.errors import InputError


class Resampler(ABC):
    """What all resamplers share.

    Attributes:
        sample_indices_: Input row of each output row; set by :meth:`fit_resample`.

    Args:
        ratio: Share of the images to delete or to add, in (0, 1).
        random_state: Seed; the same seed and labels give the same rows.

    Raises:
        InputError: If ``ratio`` is not in (0, 1).
    """

    sample_indices_: np.ndarray

    def __init__(self, ratio: float = 0.2, random_state: int = 42) -> None:
        if not 0 < ratio < 1:
            raise InputError(f'ratio must lie between 0 and 1, got {ratio}')
        self.ratio = ratio
        self.random_state = random_state

    def fit_resample(self, labels: np.ndarray) -> np.ndarray:
        """Resample.

        Args:
            labels: 0/1 matrix of shape (N, C).

        Returns:
            Labels of the resampled rows, shape (M, C); ``labels[sample_indices_]`` unless the
            method edits labels (REMEDIAL).

        Raises:
            InputError: If ``labels`` has no row or no positive, or the seed is negative.
        """
        labels = np.asarray(labels)
        if labels.ndim != 2 or not len(labels) or not labels.any():
            raise InputError(
                f'labels of shape {labels.shape} cannot be resampled; give a 0/1 matrix (N, C) '
                'with at least one positive'
            )
        return self._resample(labels, generator(self.random_state))

    @abstractmethod
    def _resample(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Set ``sample_indices_`` and return the resampled labels."""

    def _keep(self, labels: np.ndarray, deleted: np.ndarray) -> np.ndarray:
        self.sample_indices_ = np.flatnonzero(~deleted)
        return labels[self.sample_indices_]

    def _append(self, labels: np.ndarray, clones: np.ndarray) -> np.ndarray:
        self.sample_indices_ = np.concatenate([np.arange(len(labels)), clones.astype(np.int64)])
        return labels[self.sample_indices_]


class LPROS(Resampler):
    """Label-powerset random over-sampling: clone images of rare label sets.

    Label sets with fewer images than the mean over label sets share ``int(ratio * N)`` clones
    equally; a set grows to the mean size at most, and what it cannot take goes to the sets after
    it (largest first). Clones are drawn with replacement.

    Source: Charte et al., "A first approach to deal with imbalance in multi-label datasets",
    HAIS 2013; Neurocomputing 163 (2015), algorithm LP-ROS.

    Example:
        >>> labels = np.array([[1, 0]] * 8 + [[0, 1]] * 2)
        >>> LPROS(ratio=0.2).fit_resample(labels).sum(0)
        array([8, 4])
    """

    def _resample(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        bags, mean = _label_set_bags(labels)
        minority = sorted((bag for bag in bags if len(bag) < mean), key=len, reverse=True)
        room = [int(mean) - len(bag) for bag in minority]
        shares = share_equally(int(self.ratio * len(labels)), room)
        clones = [rng.choice(b, size=n) for b, n in zip(minority, shares, strict=True)]
        return self._append(labels, np.concatenate(clones) if clones else np.empty(0, int))


class LPRUS(Resampler):
    """Label-powerset random under-sampling: delete images of frequent label sets.

    Label sets with more images than the mean share ``int(ratio * N)`` deletions equally; a set
    shrinks to the mean size at most, and what it cannot give is taken from the sets after it
    (smallest first).

    Source: as for :class:`LPROS`, algorithm LP-RUS.

    Example:
        >>> labels = np.array([[1, 0]] * 8 + [[0, 1]] * 2)
        >>> LPRUS(ratio=0.2).fit_resample(labels).sum(0)
        array([6, 2])
    """

    def _resample(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        bags, mean = _label_set_bags(labels)
        majority = sorted((bag for bag in bags if len(bag) > mean), key=len)
        room = [int(len(bag) - mean) for bag in majority]
        deleted = np.zeros(len(labels), bool)
        shares = share_equally(int(self.ratio * len(labels)), room)
        for bag, number in zip(majority, shares, strict=True):
            deleted[rng.choice(bag, size=number, replace=False)] = True
        return self._keep(labels, deleted)


class MLROS(Resampler):
    """Multi-label random over-sampling: clone images that carry minority labels.

    In turn, one random image of each minority label's bag (``IRLbl > MeanIR``) is cloned; a
    label whose IRLbl has fallen to the initial MeanIR leaves. Ends after ``int(ratio * N)``
    clones or when no bag is left. (The published pseudo-code finishes its last round; this
    stops at the number asked for.)

    Source: Charte et al., Neurocomputing 163 (2015), algorithm ML-ROS.

    Example:
        >>> labels = np.array([[1, 0]] * 8 + [[0, 1]] * 2)
        >>> MLROS(ratio=0.2).fit_resample(labels).sum(0)
        array([8, 4])
    """

    def _resample(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        wanted, threshold = int(self.ratio * len(labels)), mean_ir(labels)
        counts = labels.sum(0, dtype=np.int64)
        ratios = irlbl(labels)
        active = [int(c) for c in np.flatnonzero(np.isfinite(ratios) & (ratios > threshold))]
        bags = {c: np.flatnonzero(labels[:, c]) for c in active}
        # Positions are drawn ahead, one row of draws a round, which is much faster than singly.
        draws = {c: rng.integers(len(bags[c]), size=wanted) for c in active}
        clones: list[int] = []
        turn = 0
        while active and len(clones) < wanted:
            for label in list(active):
                if len(clones) == wanted:
                    break
                image = bags[label][draws[label][turn]]
                clones.append(image)
                counts += labels[image]
                if counts.max() <= threshold * counts[label]:
                    active.remove(label)
            turn += 1
        return self._append(labels, np.array(clones, np.int64))


class MLRUS(Resampler):
    """Multi-label random under-sampling: delete images that carry majority labels.

    ``variant='published'`` is the rule that the released PSMM list follows: from the bag of each
    majority label (``IRLbl < MeanIR``) draw ``int(ratio * N) // number of majority labels``
    images without replacement and delete the union of the draws. An image can be in several
    bags, and minority labels are not spared, so fewer than ``ratio * N`` images go and some of
    them carry rare labels.

    ``variant='charte'`` draws ``int(ratio * N)`` images without replacement among those that
    carry no minority label (``IRLbl > MeanIR``), all of them if there are fewer: minority images
    are spared, as in Charte et al., Neurocomputing 163 (2015), and in the R package
    mldr.resampling by the same group.

    Args:
        ratio: Share of the images to delete (``published``: at most), in (0, 1).
        random_state: Seed.
        variant: ``published`` or ``charte``.

    Raises:
        InputError: If ``ratio`` is not in (0, 1) or the variant is unknown.

    Example:
        >>> sampler = MLRUS(ratio=0.2, random_state=42)
        >>> kept = sampler.fit_resample(np.array([[1, 0]] * 8 + [[0, 1]] * 2))
        >>> len(sampler.sample_indices_)
        8
    """

    variants = ('published', 'charte')

    def __init__(
        self, ratio: float = 0.2, random_state: int = 42, variant: str = 'published'
    ) -> None:
        super().__init__(ratio, random_state)
        if variant not in self.variants:
            raise InputError(
                f'variant must be one of {list(self.variants)}, got {variant!r}; published is '
                "the paper's"
            )
        self.variant = variant

    def _resample(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        deleted = np.zeros(len(labels), dtype=bool)
        if self.variant == 'charte':
            ratios = irlbl(labels)
            minority = np.isfinite(ratios) & (ratios > mean_ir(labels))
            spare = np.flatnonzero(~labels[:, minority].any(1))
            size = min(int(self.ratio * len(labels)), len(spare))
            deleted[rng.choice(spare, size=size, replace=False)] = True
            return self._keep(labels, deleted)
        majority, share = self._plan(labels)
        for label in majority:
            bag = np.flatnonzero(labels[:, label])
            deleted[rng.choice(bag, size=min(share, len(bag)), replace=False)] = True
        return self._keep(labels, deleted)

    def _plan(self, labels: np.ndarray) -> tuple[np.ndarray, int]:
        majority = np.flatnonzero(irlbl(labels) < mean_ir(labels))
        return majority, int(self.ratio * len(labels)) // max(len(majority), 1)

    def expected_size(self, labels: np.ndarray) -> tuple[float, float]:
        """Mean and standard deviation of the number of rows kept, exactly, over all seeds.

        Each majority label draws ``s`` of its ``n`` images on its own, so a pair of images stays
        with probability ``prod_l q_l``: ``(n-s)(n-s-1) / (n(n-1))`` if both carry the label,
        ``(n-s)/n`` if one does, 1 if none does. Pairs are counted by label set.

        Args:
            labels: 0/1 matrix of shape (N, C).

        Raises:
            InputError: For ``variant='charte'``, which always deletes the same number.

        Example:
            >>> MLRUS(0.2).expected_size(np.array([[1, 0]] * 8 + [[0, 1]] * 2))
            (8.0, 0.0)
        """
        if self.variant != 'published':
            raise InputError("expected_size holds for variant='published' only")
        majority, share = self._plan(labels)
        rows, codes = label_set_codes(labels[:, majority])
        number = np.bincount(codes, minlength=len(rows)).astype(float)
        bags = labels[:, majority].sum(0, dtype=np.int64).astype(float)
        left = bags - np.minimum(share, bags)
        one = left / bags
        both = np.divide(left * (left - 1), bags * (bags - 1), out=np.zeros_like(bags),
                         where=bags > 1)  # fmt: skip
        stays = np.where(rows, one, 1.0).prod(1)
        carried = rows[:, None].astype(int) + rows[None]
        pair = np.choose(carried, [np.ones_like(one), one, both]).prod(2)
        mean = float(number @ stays)
        pairs = number[:, None] * number[None] - np.diag(number)
        variance = mean + float((pairs * pair).sum()) - mean**2
        return mean, float(np.sqrt(max(variance, 0.0)))


class REMEDIAL(Resampler):
    """Decoupling of rare and frequent labels that meet in one image.

    Every image whose SCUMBLE exceeds the data set's is split in two: the original keeps its
    frequent labels (``IRLbl <= MeanIR``), a clone at the end gets the rare ones. Rows that lose
    all labels are kept; only so do the paper's numbers (Table A2) come out. ``ratio`` and
    ``random_state`` are there for the common interface and have no effect.

    Source: Charte et al., "Resampling multilabel datasets by decoupling highly imbalanced
    labels", HAIS 2015.

    Example:
        >>> labels = np.array([[1, 0], [1, 0], [1, 0], [1, 1]])
        >>> REMEDIAL().fit_resample(labels).tolist()
        [[1, 0], [1, 0], [1, 0], [1, 0], [0, 1]]
    """

    def _resample(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        rare = irlbl(labels) > mean_ir(labels)
        scores = scumble_per_image(labels)
        # the tolerance keeps rounding from splitting images whose score is the mean itself
        split = np.flatnonzero(scores > scores.mean() + 1e-12)
        result = self._append(labels, split)
        result[split[:, None], np.flatnonzero(rare)] = 0
        result[len(labels) :, ~rare] = 0
        return result


class REMEDIALHwR(Resampler):
    """REMEDIAL followed by random resampling of the decoupled rows.

    Source: Charte et al., "REMEDIAL-HwR: Tackling multilabel imbalance through label decoupling
    and data resampling hybridization", Neurocomputing 326-327 (2019), which combines it with
    over-sampling (``ml-ros``) among others. ``ml-rus`` (published rule) is this project's own
    combination and is not in that article.

    Args:
        ratio: Share of the decoupled rows to add or delete.
        random_state: Seed of the second step.
        with_: ``ml-ros`` or ``ml-rus``.

    Raises:
        InputError: If ``ratio`` is not in (0, 1) or the second method is unknown.
    """

    seconds = {'ml-ros': MLROS, 'ml-rus': MLRUS}  # noqa: RUF012 - a constant

    def __init__(self, ratio: float = 0.2, random_state: int = 42, with_: str = 'ml-ros') -> None:
        super().__init__(ratio, random_state)
        if with_ not in self.seconds:
            raise InputError(f'REMEDIAL-HwR goes with {list(self.seconds)}, not with {with_!r}')
        self.with_ = with_

    def _resample(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        first = REMEDIAL()
        decoupled = first.fit_resample(labels)
        second = self.seconds[self.with_](self.ratio, self.random_state)
        result = second.fit_resample(decoupled)
        self.sample_indices_ = first.sample_indices_[second.sample_indices_]
        return result


#: Command-line name of each method.
RESAMPLERS: dict[str, type[Resampler]] = {
    'lp-ros': LPROS,
    'lp-rus': LPRUS,
    'ml-ros': MLROS,
    'ml-rus': MLRUS,
    'remedial': REMEDIAL,
    'remedial-hwr': REMEDIALHwR,
}


def share_equally(total: int, room: list[int]) -> list[int]:
    """Divide ``total`` equally among bags, none beyond its room, the rest going to later bags.

    Args:
        total: What is to be divided.
        room: Most that each bag can take, smallest first.

    Returns:
        The share of each bag; the sum is ``min(total, sum(room))``.

    Example:
        >>> share_equally(10, [1, 4, 9])
        [1, 4, 5]
    """
    shares = []
    for position, most in enumerate(room):
        shares.append(min(most, total // (len(room) - position)))
        total -= shares[-1]
    return shares


def _label_set_bags(labels: np.ndarray) -> tuple[list[np.ndarray], float]:
    """Rows of each label set, and the mean number of rows."""
    _, codes = label_set_codes(labels)
    order = np.argsort(codes, kind='stable')
    bags = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    return bags, len(labels) / len(bags)
