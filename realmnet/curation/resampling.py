"""Resampling of the training split against label imbalance."""

from __future__ import annotations

import numpy as np

from realmnet.curation.imbalance import irlbl, mean_ir
from realmnet.errors import InputError


class MLRUS:
    """Multi-label random under-sampling, by the rule that the published PSMM list follows.

    From the bag of each majority label (``IRLbl < MeanIR``) draw
    ``int(ratio * N) // number of majority labels`` images without replacement and delete the
    union of the draws. An image can be in several bags, and minority labels are not spared, so
    fewer than ``ratio * N`` images go and some of them carry rare labels. This differs from
    the algorithm of Charte et al., Neurocomputing 163 (2015).

    Attributes:
        sample_indices_: Rows that were kept, ascending; set by :meth:`fit_resample`.

    Args:
        ratio: Share of the images to delete at most, in (0, 1).
        random_state: Seed.

    Raises:
        InputError: If ``ratio`` is not in (0, 1).

    Example:
        >>> sampler = MLRUS(ratio=0.2, random_state=42)
        >>> kept = sampler.fit_resample(np.array([[1, 0]] * 8 + [[0, 1]] * 2))
        >>> len(sampler.sample_indices_)
        8
    """

    def __init__(self, ratio: float = 0.2, random_state: int = 42) -> None:
        if not 0 < ratio < 1:
            raise InputError(f'ratio must lie between 0 and 1, got {ratio}')
        self.ratio = ratio
        self.random_state = random_state

    def fit_resample(self, labels: np.ndarray) -> np.ndarray:
        """Return the rows of ``labels`` (0/1, shape (N, C)) that are kept."""
        rng = np.random.default_rng(self.random_state)
        majority = np.flatnonzero(irlbl(labels) < mean_ir(labels))
        deleted = np.zeros(len(labels), dtype=bool)
        if len(majority):
            share = int(self.ratio * len(labels)) // len(majority)
            for label in majority:
                bag = np.flatnonzero(labels[:, label])
                deleted[rng.choice(bag, size=min(share, len(bag)), replace=False)] = True
        self.sample_indices_ = np.flatnonzero(~deleted)
        return labels[self.sample_indices_]
