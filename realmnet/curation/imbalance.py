"""How unequal the classes of a multi-label table are.

Charte et al., "Addressing imbalance in multilabel classification: Measures and random resampling
algorithms", Neurocomputing 163 (2015).
"""

from __future__ import annotations

import numpy as np


def irlbl(labels: np.ndarray) -> np.ndarray:
    """Imbalance ratio of each label, ``max_l' n(l') / n(l)``; 1 for the most frequent label.

    Args:
        labels: 0/1 matrix of shape (N, C).

    Returns:
        Shape (C,); infinite for a label that never occurs.

    Example:
        >>> irlbl(np.array([[1, 0], [1, 1]]))
        array([1., 2.])
    """
    counts = labels.sum(0, dtype=np.int64)
    with np.errstate(divide='ignore'):
        return counts.max() / counts.astype(float)


def mean_ir(labels: np.ndarray) -> float:
    """Mean of :func:`irlbl` over the labels that occur.

    Args:
        labels: 0/1 matrix of shape (N, C).
    """
    ratios = irlbl(labels)
    return float(ratios[np.isfinite(ratios)].mean())
