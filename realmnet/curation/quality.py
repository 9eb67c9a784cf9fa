"""Measures of a picture that tell which ones to look at first.

The paper discards distorted and damaged pictures by eye (section 4.1.1). These numbers sort the
pictures for that eye; they decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from realmnet.curation.borders import field_mask

#: Side to which a picture is reduced first, so that the measures do not depend on its size.
SIDE = 384
#: Brightest-channel values from which a pixel counts as showing something, and as burnt out.
DARK, BURNT = 32, 250


class Quality(NamedTuple):
    """Measures of one picture.

    Attributes:
        sharpness: Variance of the Laplacian of the grey picture (0-255) inside the field; low
            for blur.
        exposure: Mean of the brightest channel inside the field, 0-1; low for dark, high for
            overexposed.
        burnt: Share of the field that is at least 250 of 255 in the brightest channel.
        visible: Share of the whole picture that lies in the field and is neither darker than 32
            of 255 nor burnt out. Lids and lashes in the light are not told from retina.
    """

    sharpness: float
    exposure: float
    burnt: float
    visible: float


def measure_quality(image: np.ndarray) -> Quality:
    """Measure sharpness, exposure and how much of a picture shows anything.

    Args:
        image: ``uint8`` of shape (H, W, 3), RGB.

    Example:
        >>> measure_quality(np.full((64, 64, 3), 128, np.uint8)).sharpness
        0.0
    """
    scale = SIDE / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    field = field_mask(image)
    # the rim of the field is an edge of its own and says nothing about focus
    inner = cv2.erode(field.astype(np.uint8), np.ones((9, 9), np.uint8), borderValue=1) > 0
    inner = inner if inner.any() else field
    value = image.max(2)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    edges = cv2.Laplacian(grey, cv2.CV_32F)[inner]
    shows = field & (value >= DARK) & (value < BURNT)
    return Quality(
        sharpness=float(edges.var()),
        exposure=float(value[field].mean() / 255),
        burnt=float((value[field] >= BURNT).mean()),
        visible=float(shows.mean()),
    )


def worst_first(measures: Sequence[Quality]) -> np.ndarray:
    """Order pictures so that the most conspicuous stand first.

    A picture counts by its worst rank among sharpness (low is bad), visible share (low is bad)
    and exposure (far from the median is bad).

    Args:
        measures: One entry a picture.

    Returns:
        Positions, shape (N,).

    Example:
        >>> blurred, sharp = Quality(1.0, 0.5, 0.0, 0.9), Quality(90.0, 0.5, 0.0, 0.9)
        >>> worst_first([sharp, blurred]).tolist()
        [1, 0]
    """
    if not len(measures):
        return np.empty(0, int)
    values = np.array(measures, float)
    off = -np.abs(values[:, 1] - np.median(values[:, 1]))
    keys = np.stack([values[:, 0], values[:, 3], off], 1)
    ranks = np.stack([np.searchsorted(np.sort(key), key) for key in keys.T], 1)
    return np.lexsort((ranks.sum(1), ranks.min(1)))
