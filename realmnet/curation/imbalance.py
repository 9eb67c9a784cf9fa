"""How unequal the classes of a multi-label table are.

Charte et al., "Addressing imbalance in multilabel classification: Measures and random resampling
algorithms", Neurocomputing 163 (2015); SCUMBLE: Charte et al., "Concurrence among imbalanced
labels and its influence on multilabel resampling algorithms", HAIS 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realmnet.curation.label_schema import LabelSchema


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
    with np.errstate(divide='ignore', invalid='ignore'):
        ratios = counts.max() / counts.astype(float)
    return np.where(counts > 0, ratios, np.inf)


def mean_ir(labels: np.ndarray) -> float:
    """Mean of :func:`irlbl` over the labels that occur.

    Args:
        labels: 0/1 matrix of shape (N, C).

    Returns:
        At least 1; NaN if no label occurs at all.
    """
    ratios = irlbl(labels)
    present = np.isfinite(ratios)
    return float(ratios[present].mean()) if present.any() else float('nan')


def scumble_per_image(labels: np.ndarray) -> np.ndarray:
    """How far rare and frequent labels meet in each image.

    ``SCUMBLE(i) = 1 - (prod_l IRLbl(l))^(1/n_i) / (mean_l IRLbl(l))``, product and mean over the
    ``n_i`` labels that image ``i`` has: one minus geometric over arithmetic mean (Atkinson
    index). The paper's formula sets absent labels to 0, which would make every product 0; its
    numbers (Table A2) come from the product over present labels, as here.

    Args:
        labels: 0/1 matrix of shape (N, C).

    Returns:
        Shape (N,), each in [0, 1); 0 for an image with one label or none.

    Example:
        >>> scumble_per_image(np.array([[1, 0], [1, 0], [1, 0], [1, 1]])).round(4)
        array([0. , 0. , 0. , 0.2])
    """
    labels = np.asarray(labels, float)
    ratios = irlbl(labels)
    ratios = np.where(np.isfinite(ratios), ratios, 1.0)
    number = np.maximum(labels.sum(1), 1)
    arithmetic = labels @ ratios / number
    geometric = np.exp(labels @ np.log(ratios) / number)
    several = labels.sum(1) > 1
    score = 1 - np.divide(geometric, arithmetic, out=np.ones(len(labels)), where=several)
    return np.maximum(score, 0.0)


def scumble(labels: np.ndarray) -> float:
    """Mean of :func:`scumble_per_image` over all images, those without labels included.

    The paper prints ``1/L``; the mean over the ``N`` images is what its 0.0741 is.

    Args:
        labels: 0/1 matrix of shape (N, C).
    """
    return float(scumble_per_image(labels).mean())


def scumble_lbl(labels: np.ndarray) -> np.ndarray:
    """Mean of :func:`scumble_per_image` over the images that carry each label.

    Args:
        labels: 0/1 matrix of shape (N, C).

    Returns:
        Shape (C,); NaN for a label that never occurs.
    """
    counts = labels.sum(0, dtype=np.int64)
    total = scumble_per_image(labels) @ np.asarray(labels, float)
    return np.divide(total, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def label_set_codes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the label sets that occur.

    Args:
        labels: 0/1 matrix of shape (N, C).

    Returns:
        The distinct rows, shape (K, C), and the number of each image's row, shape (N,).
    """
    labels = np.ascontiguousarray(labels, np.uint8)
    packed = np.packbits(labels, axis=1)
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    return labels[first], codes


def label_set_name(row: np.ndarray, schema: LabelSchema) -> str:
    """Name a label set by its classes: ``S0A1`` where each is of an exclusive group, else ``D+G``.

    Args:
        row: 0/1 vector of shape (C,).
        schema: Gives the class names.
    """
    names = [name for name, on in zip(schema.classes, row, strict=True) if on]
    grouped = {name for group in schema.exclusive for name in group}
    return ('' if set(schema.classes) <= grouped else '+').join(names) or '(none)'


def label_set_counts(labels: np.ndarray, schema: LabelSchema) -> dict[str, int]:
    """Count the images of each label set that occurs, most frequent first.

    Args:
        labels: 0/1 matrix of shape (N, C).
        schema: Gives the class names.
    """
    rows, codes = label_set_codes(labels)
    counts = np.bincount(codes, minlength=len(rows))
    order = np.argsort(-counts, kind='stable')
    return {label_set_name(rows[i], schema): int(counts[i]) for i in order}


@dataclass(frozen=True)
class Imbalance:
    """All imbalance measures of one table; arrays have shape (C,) in the schema's order.

    Attributes:
        images: Number of rows.
        empty: Rows without any label.
        counts: Positives of each label.
        irlbl: See :func:`irlbl`.
        mean_ir: See :func:`mean_ir`.
        scumble: See :func:`scumble`.
        scumble_lbl: See :func:`scumble_lbl`.
        label_sets: See :func:`label_set_counts`.
    """

    images: int
    empty: int
    counts: np.ndarray
    irlbl: np.ndarray
    mean_ir: float
    scumble: float
    scumble_lbl: np.ndarray
    label_sets: dict[str, int]


def measure_imbalance(labels: np.ndarray, schema: LabelSchema) -> Imbalance:
    """Compute every measure of this module.

    Args:
        labels: 0/1 matrix of shape (N, C).
        schema: Gives the class names.

    Example:
        >>> from realmnet.curation.label_schema import LabelSchema
        >>> schema = LabelSchema('two', ('x', 'y'))
        >>> measure_imbalance(np.array([[1, 0], [1, 1]]), schema).label_sets
        {'x': 1, 'x+y': 1}
    """
    return Imbalance(
        images=len(labels),
        empty=int((labels.sum(1) == 0).sum()),
        counts=labels.sum(0, dtype=np.int64),
        irlbl=irlbl(labels),
        mean_ir=mean_ir(labels),
        scumble=scumble(labels),
        scumble_lbl=scumble_lbl(labels),
        label_sets=label_set_counts(labels, schema),
    )
