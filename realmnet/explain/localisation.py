"""How well heat maps find lesions: pointing game, energy inside, deletion and insertion.

Everything works on arrays and needs no model but a function that scores pictures. Heat maps are
``(N, H, W)``, not negative; masks are 0/1 of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import ONE_UNIT, bootstrap_statistic, kish


def pointing_game(maps: np.ndarray, masks: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
    """Say whether each map is highest inside the lesion.

    A hit is a maximum whose centre lies within ``tolerance`` pixels of a pixel of the mask. Where
    several pixels tie, the result is the share of them that hit, which is what choosing one at
    random gives on average.

    Source: Zhang et al., ECCV 2016 (https://arxiv.org/abs/1608.00507), section 4.1; they take 15
    pixels on photographs of about 500.

    Args:
        maps: Heat maps.
        masks: Lesions.
        tolerance: In pixels.

    Returns:
        Shape (N,), in [0, 1]; NaN where the mask is empty.

    Raises:
        InputError: If the shapes differ or a map is not finite.

    Example:
        >>> pointing_game(np.array([[[0, 1, 0, 0.5]]]), np.array([[[0, 0, 1, 1]]])).tolist()
        [0.0]
        >>> pointing_game(np.array([[[0, 1, 0, 0.5]]]), np.array([[[0, 0, 1, 1]]]), 1).tolist()
        [1.0]
    """
    maps, masks = _checked(maps, masks)
    if tolerance:
        masks = np.stack([_within(mask, tolerance) for mask in masks])
    highest = maps == maps.max(axis=(1, 2), keepdims=True)
    hits = (highest & masks).sum(axis=(1, 2)) / highest.sum(axis=(1, 2))
    return np.where(masks.any(axis=(1, 2)), hits, np.nan)


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    r"""Share of a map's heat that lies inside the lesion.

    .. math:: \sum_{p \in M} h(p) \,/\, \sum_p h(p)

    An even map scores the share of the picture that the lesion covers, with which it should be
    compared (``masks.mean((1, 2))``).

    Source: Wang et al., Score-CAM, CVPR workshops 2020 (https://arxiv.org/abs/1910.01279),
    section 4.3.

    Args:
        maps: Heat maps.
        masks: Lesions.

    Returns:
        Shape (N,), in [0, 1]; NaN where the map is zero or the mask empty.

    Raises:
        InputError: If the shapes differ, or a map is not finite or negative.

    Example:
        >>> energy_inside(np.array([[[1.0, 3.0]]]), np.array([[[0, 1]]])).tolist()
        [0.75]
    """
    maps, masks = _checked(maps, masks)
    if maps.min(initial=0) < 0:
        raise InputError('heat maps must not be negative: cut them off at 0 before')
    heat = maps.sum(axis=(1, 2))
    defined = (heat > 0) & masks.any(axis=(1, 2))
    inside = np.where(masks, maps, 0).sum(axis=(1, 2))
    return np.where(defined, inside / np.where(defined, heat, 1), np.nan)


@dataclass(frozen=True)
class FaithfulnessCurves:
    """Scores while pixels are taken away (deletion) or given back (insertion), hottest first.

    Attributes:
        share: Share of the pixels changed so far, shape (K,), from 0 to 1.
        deletion: Score of each picture, shape (N, K).
        insertion: Score of each picture, shape (N, K).
    """

    share: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def deletion_area(self) -> np.ndarray:
        """Area under each deletion curve, shape (N,); lower is better."""
        return np.trapezoid(self.deletion, self.share, axis=1)

    @property
    def insertion_area(self) -> np.ndarray:
        """Area under each insertion curve, shape (N,); higher is better."""
        return np.trapezoid(self.insertion, self.share, axis=1)


def faithfulness(
    pictures: np.ndarray,
    maps: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
    steps: int = 10,
    fill: str = 'blur',
    rng: np.random.Generator | None = None,
) -> FaithfulnessCurves:
    """Take pixels away, or give them back, in the order of the heat, and score the pictures.

    Deletion starts at the picture and ends at its featureless version, insertion goes the other
    way, adding the hottest pixels first. This asks what the model uses, whatever lies under the
    heat, and needs no masks. Equal pixels are put in random order.

    Source: Petsiuk et al., RISE, BMVC 2018 (https://arxiv.org/abs/1806.07421), section 4.2.

    Args:
        pictures: ``(N, 3, H, W)`` as the model takes them.
        maps: Heat maps ``(N, H, W)`` of the class.
        score: Gives the class's probability ``(N,)`` of pictures.
        steps: Steps from none to all pixels.
        fill: Featureless version: ``'blur'`` (Gaussian, sigma a tenth of the height) or ``'mean'``
            (of each picture and channel).
        rng: Order of equal pixels.

    Returns:
        The curves.

    Raises:
        InputError: If ``fill`` is unknown, ``steps`` below 1, or shapes do not agree.

    Example:
        >>> picture, heat = np.zeros((1, 3, 1, 2)), np.array([[[1.0, 0.0]]])
        >>> picture[..., 0] = 1
        >>> first = lambda x: x[:, 0, 0, 0]
        >>> faithfulness(picture, heat, first, steps=2, fill='mean').deletion.tolist()
        [[1.0, 0.5, 0.5]]
    """
    if steps < 1:
        raise InputError(f'{steps} steps; give 1 or more')
    if maps.shape != (len(pictures), *pictures.shape[2:]):
        raise InputError(f'maps {maps.shape} do not belong to pictures {pictures.shape}')
    blank = _featureless(pictures, fill)
    flat = maps.reshape(len(maps), -1)
    noise = (rng or np.random.default_rng(0)).random(flat.shape)
    rank = np.empty(flat.shape, dtype=int)
    order = np.lexsort((noise, -flat), axis=1)
    np.put_along_axis(rank, order, np.arange(flat.shape[1])[None], axis=1)
    rank = rank.reshape(maps.shape)[:, None]
    share = np.linspace(0, 1, steps + 1)
    deleted, inserted = [], []
    for part in share:
        hot = rank < round(part * flat.shape[1])
        deleted.append(score(np.where(hot, blank, pictures)))
        inserted.append(score(np.where(hot, pictures, blank)))
    return FaithfulnessCurves(share, np.stack(deleted, 1), np.stack(inserted, 1))


def mean_mask_map(masks: np.ndarray, number: int) -> np.ndarray:
    """Baseline that looks at no picture: where the class's lesions are in the training masks.

    Args:
        masks: Masks of the training pictures that have the class, ``(M, H, W)``.
        number: How many test pictures, N.

    Returns:
        The same map N times.

    Example:
        >>> mean_mask_map(np.array([[[0, 1]], [[1, 1]]]), 1).tolist()
        [[[0.5, 1.0]]]
    """
    return np.repeat(masks.mean(0, keepdims=True, dtype=np.float64), number, axis=0)


def centre_map(shape: tuple[int, int, int]) -> np.ndarray:
    """Baseline: heat that falls off linearly from the centre to 0 at the corners.

    Args:
        shape: (N, H, W).

    Example:
        >>> centre_map((1, 3, 3))[0, 1].round(2).tolist()
        [0.29, 1.0, 0.29]
    """
    y, x = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in shape[1:])
    far = np.hypot(y[:, None], x[None])
    return np.repeat((1 - far / max(far.max(), 1e-9))[None], shape[0], axis=0)


def random_map(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Baseline: independent uniform noise, of the shape (N, H, W)."""
    return np.random.default_rng(seed).random(shape)


def mean_interval(
    values: np.ndarray, patients: np.ndarray, replicates: int = 2000, seed: int = 42
) -> tuple[float, float, float]:
    """Mean over pictures with its 95 % BCa interval, patients being drawn.

    Args:
        values: Shape (N,), or (N, C) for the mean over the classes of the class means; NaN is
            left out. For a paired comparison give the differences.
        patients: Patient of each picture, shape (N,).
        replicates: Replicates of the bootstrap.
        seed: Seed of the draws.

    Returns:
        Mean, lower and upper end; NaN ends where there is no interval: constant values, or a
        column whose values come from one effective patient.

    Example:
        >>> values = np.array([0, 1, 1, 1, 0, 1.0])
        >>> mean, low, high = mean_interval(values, np.array(list('aabbcd')), 200)
        >>> round(mean, 3), low < mean < high
        (0.667, True)
    """
    values = values.reshape(len(values), -1)
    used = np.isfinite(values).any(1)
    values, patients = values[used], np.asarray(patients)[used]

    def statistic(drawn: np.ndarray, _: np.ndarray) -> float:
        present = np.isfinite(drawn)
        counts = present.sum(0)
        sums = np.where(present, drawn, 0).sum(0)
        return float((sums[counts > 0] / counts[counts > 0]).mean())

    unit = np.unique(patients, return_inverse=True)[1]
    if np.nanmin(values) == np.nanmax(values) or kish(np.isfinite(values), unit).min() < ONE_UNIT:
        return statistic(values, values), float('nan'), float('nan')
    return bootstrap_statistic(statistic, values, values, patients, replicates, seed=seed)


def _checked(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    maps, masks = np.asarray(maps, dtype=np.float64), np.asarray(masks) > 0
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise InputError(
            f'heat maps {maps.shape} and masks {masks.shape} must both be (N, H, W); resize the '
            'maps to the pictures'
        )
    if not np.isfinite(maps).all():
        raise InputError('a heat map holds NaN or infinity')
    return maps, masks


def _within(mask: np.ndarray, tolerance: float) -> np.ndarray:
    """Pixels whose distance to the mask is at most ``tolerance``."""
    if not mask.any():
        return mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance <= tolerance


def _featureless(pictures: np.ndarray, fill: str) -> np.ndarray:
    if fill == 'mean':
        return np.broadcast_to(pictures.mean((2, 3), keepdims=True), pictures.shape)
    if fill == 'blur':
        sigma = pictures.shape[2] / 10
        return np.stack(
            [
                np.stack([cv2.GaussianBlur(channel, (0, 0), sigma) for channel in picture])
                for picture in pictures
            ]
        )
    raise InputError(f"fill is 'blur' or 'mean', got {fill!r}")
