"""AP and AUROC of one score column under many sets of image weights at once.

A bootstrap replicate is the same data with other weights: image i counts as often as it was
drawn. The order of the scores never changes, so it is found once; a replicate then needs only the
weight of the images between consecutive positive scores, which is one sparse matrix product for
all replicates.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array


class RankedColumn:
    """Order of one score column, prepared for weights.

    With the distinct scores s_1 > s_2 > ... and, at each of them, TP and FP the weight of the
    positive and negative images scored at least s_k, and w+ and w- what s_k itself holds:

        AP    = sum_k w+_k / P * TP_k / (TP_k + FP_k)
        AUROC = sum_k w+_k * (M - FP_k + w-_k / 2) / (P * M)

    P and M being the weight of all positives and negatives: scikit-learn's
    ``average_precision_score`` and ``roc_auc_score``, equal scores included.

    Args:
        truth: 0/1, shape (E,).
        scores: Shape (E,).
        image: Index of the image that gives entry e its weight, shape (E,); entries are images
            themselves where left out. (Micro-averages put all C columns into one.)
        num_images: N, where ``image`` is given.

    Example:
        >>> column = RankedColumn(np.array([1, 0, 1]), np.array([0.9, 0.5, 0.5]))
        >>> [float(value[0]) for value in column(np.ones((3, 1)))]
        [0.8333333333333333, 0.75]
    """

    def __init__(
        self,
        truth: np.ndarray,
        scores: np.ndarray,
        image: np.ndarray | None = None,
        num_images: int | None = None,
    ) -> None:
        size = len(scores) if num_images is None else num_images
        order = np.argsort(-scores).astype(np.int32)  # ties are one group: their order is free
        ranked, positive = scores[order], truth[order] == 1
        images = order if image is None else image[order]
        #: Entries of each image, positive ones and all; None where each image is one entry.
        self._totals = None
        if image is not None:
            self._totals = np.stack(
                [np.bincount(images[positive], minlength=size), np.bincount(images, minlength=size)]
            ).astype(float)
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if size else np.arange(0)
        ends = np.r_[starts[1:], len(ranked)]
        before = np.zeros(len(ranked) + 1, np.int32)
        np.cumsum(positive, out=before[1:])
        hits = before[ends] - before[starts]
        starts, ends, hits = starts[hits > 0], ends[hits > 0], hits[hits > 0]
        self._num_groups = len(ends)
        if not self._num_groups:
            return
        last = ends[-1]
        self._span = _rows(images[:last], np.r_[0, ends], size)
        self._hits = _rows(images[:last][positive[:last]], np.r_[0, np.cumsum(hits)], size)
        # Only groups that hold positives and negatives need the half of the AUROC's formula.
        self._mixed = np.flatnonzero(ends - starts > hits)
        if len(self._mixed):
            entries = np.concatenate(
                [np.arange(starts[g], ends[g])[~positive[starts[g] : ends[g]]] for g in self._mixed]
            )
            counts = (ends - starts - hits)[self._mixed]
            self._ties = _rows(images[entries], np.r_[0, np.cumsum(counts)], size)

    def __call__(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute both metrics.

        Args:
            weights: Weight of each image in each replicate, shape (N, B), C-ordered.

        Returns:
            AP and AUROC, shape (B,) each; NaN without positives, AUROC also without negatives.
        """
        if not self._num_groups:
            return (np.full(weights.shape[1], np.nan),) * 2
        hits = self._hits @ weights
        found = np.cumsum(hits, axis=0)
        claimed = np.cumsum(self._span @ weights, axis=0)
        positives = found[-1].copy()
        total = weights.sum(0) if self._totals is None else self._totals[1] @ weights
        negatives = total - positives
        with np.errstate(invalid='ignore', divide='ignore'):
            claimed -= found  # now FP
            below = np.einsum('gb,gb->b', hits, claimed)
            auroc = positives * negatives - below
            if len(self._mixed):
                tied = self._ties @ weights
                auroc += np.einsum('gb,gb->b', hits[self._mixed], tied) / 2
            # Non-negative weights: an unweighted start of the list leaves 0/0 where hits are 0.
            claimed += found
            np.maximum(claimed, np.finfo(float).tiny, out=claimed)
            np.divide(found, claimed, out=claimed)
            precision = np.einsum('gb,gb->b', hits, claimed)
            auroc = np.where(negatives > 0, auroc / (positives * negatives), np.nan)
            return np.where(positives > 0, precision / positives, np.nan), auroc


def _rows(images: np.ndarray, bounds: np.ndarray, size: int) -> csr_array:
    """Matrix whose row k sums the images ``images[bounds[k]:bounds[k + 1]]``."""
    return csr_array((np.ones(len(images)), images, bounds), shape=(len(bounds) - 1, size))
