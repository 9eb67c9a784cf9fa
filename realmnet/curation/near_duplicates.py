"""Finding one photograph under two names: encoded again, resized or slightly cropped.

Two steps. Of every picture a small view is kept, the middle of it in grey, and views are compared
all with all by correlation once their slow shading is taken away. The few pairs that are alike are
read again, laid over each other by an affine map, and compared in detail. Both steps look at the
middle only, since the bright disc on black is common to all photographs of a kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from realmnet.curation.pictures import read_any_picture

#: Correlation of the small views from which two pictures are looked at again.
ALIKE = 0.85
#: Correlation of the detail from which they count as one photograph; see docs/curation.md for
#: what these two find and how often they are wrong.
SAME = 0.65
#: Sides, in pixels, of the small view and of the picture that is looked at again.
VIEW, DETAIL = 32, 128
_BLOCK = 2048  # rows that are compared at a time: memory does not grow with all pairs


def small_view(pixels: np.ndarray) -> np.ndarray:
    """Reduce a picture to what is kept for the comparison.

    Args:
        pixels: ``uint8`` RGB of shape (H, W, 3).

    Returns:
        ``uint8`` of shape (VIEW, VIEW): the middle 70 % each way, grey.
    """
    return _middle(pixels, 0.15, VIEW)


def alike_pairs(views: np.ndarray, groups: np.ndarray) -> Iterator[tuple[int, int]]:
    """Find pairs of small views that are alike and in different groups.

    Args:
        views: ``uint8`` of shape (N, VIEW, VIEW).
        groups: Group of each, (N,), for instance its split.

    Yields:
        Row numbers, the smaller one first.
    """
    for start in range(0, len(views), _BLOCK):
        first = _described(views[start : start + _BLOCK])
        for other in range(start, len(views), _BLOCK):
            second = _described(views[other : other + _BLOCK])
            alike = first @ second.T >= ALIKE
            alike &= groups[start : start + _BLOCK, None] != groups[other : other + _BLOCK]
            rows, columns = np.nonzero(np.triu(alike) if other == start else alike)
            yield from zip((rows + start).tolist(), (columns + other).tolist(), strict=True)


def same_photograph(names: tuple[str, str], folder: Path) -> bool:
    """Look at two pictures of a folder again: do they show one photograph?"""
    first, second = (
        read_any_picture(folder / name, least_side=2 * DETAIL, accept_damaged=True)
        for name in names
    )
    return detail_correlation(first, second) >= SAME


def detail_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Lay one picture over the other and correlate their detail.

    Args:
        first: ``uint8`` RGB of shape (H, W, 3).
        second: The same of any size.

    Returns:
        Between -1 and 1; 0 if one has no detail or they cannot be laid over each other.

    Source: the alignment maximises the enhanced correlation coefficient (Evangelidis and
    Psarakis, IEEE TPAMI 2008), computed by OpenCV.
    """
    a, b = (_without_shading(_middle(p, 0.1, DETAIL), 16) for p in (first, second))
    try:
        steps = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-4)
        _, affine = cv2.findTransformECC(
            a, b, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, steps, None, 5
        )
    except cv2.error:  # it found no map
        return 0.0
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    b = cv2.warpAffine(b, affine, (DETAIL, DETAIL), flags=way)
    rim = slice(DETAIL // 8, -DETAIL // 8)
    return float(_unit(_without_shading(a, 4)[rim, rim]) @ _unit(_without_shading(b, 4)[rim, rim]))


def _middle(pixels: np.ndarray, rim: float, side: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    top, left = round(rim * height), round(rim * width)
    part = cv2.cvtColor(pixels[top : height - top, left : width - left], cv2.COLOR_RGB2GRAY)
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)


def _without_shading(grey: np.ndarray, sigma: float) -> np.ndarray:
    grey = grey.astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), sigma)


def _unit(values: np.ndarray) -> np.ndarray:
    values = (values - values.mean()).ravel()
    length = np.linalg.norm(values)
    return values / length if length > 1 else np.zeros_like(values)


def _described(views: np.ndarray) -> np.ndarray:
    return np.stack([_unit(_without_shading(view, VIEW / 8)) for view in views])
