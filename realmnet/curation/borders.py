"""Finding the visible field of a picture and cutting the black outer border away."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

#: Least longer side, in pixels, of the reduced picture on which the field is sought.
SEARCH_SIDE = 384
#: No pixel this dark or darker (0-255, brightest channel) is ever taken for retina ...
LEAST_LEVEL = 2
#: ... and none brighter than this for border.
MOST_LEVEL = 24
#: Lit specks smaller than this share of the picture, such as a burnt-in letter, are not field.
LEAST_AREA = 0.005


class Box(NamedTuple):
    """A rectangle in pixels; ``right`` and ``bottom`` are exclusive.

    Example:
        >>> Box(10, 20, 110, 70).width
        100
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns inside."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows inside."""
        return self.bottom - self.top


def field_mask(image: np.ndarray) -> np.ndarray:
    """Mark what is not black outer border, on a reduced picture.

    The black level is measured: the brightest channel is read in the corners and along the
    edges, and the darkest of these places gives the noise of the border (median plus six
    times the scaled median absolute deviation, between :data:`LEAST_LEVEL` and
    :data:`MOST_LEVEL`). What is brighter, in patches of at least :data:`LEAST_AREA` of the picture,
    is field; a scan line one pixel thick and single noisy pixels are not. Dark places
    enclosed by the field belong to it.

    Args:
        image: ``uint8`` of shape (H, W, 3) or (H, W).

    Returns:
        Boolean, shape (h, w), the image reduced by a whole number so that its longer side is
        less than twice :data:`SEARCH_SIDE`; all True if nothing stands out.
    """
    small = _reduce(image)
    value = (
        cv2.max(cv2.max(small[..., 0], small[..., 1]), small[..., 2]) if small.ndim == 3 else small
    )
    lit = (value > _black_level(value)).astype(np.uint8)
    if min(value.shape) >= 16:
        lit = cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    number, parts, stats, _ = cv2.connectedComponentsWithStats(lit, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= max(1.0, LEAST_AREA * lit.size)
    large[0] = False
    if number == 1 or not large.any():
        return np.ones(value.shape, bool)
    mask = large[parts]
    # what the outside cannot reach from the frame is inside the field
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return outside[1:-1, 1:-1] != 2


def find_field(image: np.ndarray) -> Box:
    """Find the smallest rectangle that holds the visible field.

    Only the black outer border is left out, as in the paper (section 4.1.2); lids, lashes and
    lit parts of the device are visible and stay. The rectangle is widened by one pixel of the
    reduced picture, so that no retina is lost to rounding.

    Args:
        image: ``uint8`` of shape (H, W, 3) or (H, W), channels in any order.

    Returns:
        The rectangle; the whole picture if it has no border or shows nothing.

    Example:
        >>> image = np.zeros((100, 200, 3), np.uint8)
        >>> image[20:80, 50:150] = 90
        >>> find_field(image)
        Box(left=49, top=19, right=151, bottom=81)
    """
    height, width = image.shape[:2]
    mask = field_mask(image)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return Box(0, 0, width, height)
    x = y = _factor(image)
    return Box(
        max(0, int(np.floor((columns[0] - 1) * x))),
        max(0, int(np.floor((rows[0] - 1) * y))),
        min(width, int(np.ceil((columns[-1] + 2) * x))),
        min(height, int(np.ceil((rows[-1] + 2) * y))),
    )


def square(
    image: np.ndarray, size: int, keep_aspect: bool = False, method: int | None = None
) -> np.ndarray:
    """Resize to a square.

    Args:
        image: ``uint8`` of shape (H, W, 3).
        size: Side of the result in pixels.
        keep_aspect: Pad the shorter side with black instead of stretching it. The paper
            stretches.
        method: OpenCV's interpolation; where left out, area averages to shrink and bicubic to
            enlarge.

    Returns:
        Shape (size, size, 3).

    Example:
        >>> square(np.full((10, 20, 3), 9, np.uint8), 8, keep_aspect=True)[:, 0, 0].tolist()
        [0, 0, 9, 9, 9, 9, 0, 0]
    """
    height, width = image.shape[:2]
    if not keep_aspect:
        return _resize(image, size, size, method)
    scale = size / max(height, width)
    inner = _resize(image, max(1, round(width * scale)), max(1, round(height * scale)), method)
    result = np.zeros((size, size, *image.shape[2:]), np.uint8)
    top, left = (size - inner.shape[0]) // 2, (size - inner.shape[1]) // 2
    result[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return result


def _resize(image: np.ndarray, width: int, height: int, method: int | None) -> np.ndarray:
    if method is None:
        shrinks = image.shape[0] * image.shape[1] >= width * height
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=method)


def _factor(image: np.ndarray) -> int:
    return max(1, max(image.shape[:2]) // SEARCH_SIDE)


def _reduce(image: np.ndarray) -> np.ndarray:
    """Average blocks of whole pixels; the last row and column fill up the last blocks."""
    factor = _factor(image)
    if factor == 1:
        return image
    height, width = image.shape[:2]
    below, right = -height % factor, -width % factor
    if below or right:
        image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = (image.shape[1] // factor, image.shape[0] // factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _black_level(value: np.ndarray) -> float:
    """Brightest value of the black border, from the darkest of four corners and four edges."""
    height, width = value.shape
    a, b = max(1, height // 24), max(1, width // 24)
    places = (
        value[:a, :b], value[:a, -b:], value[-a:, :b], value[-a:, -b:],
        value[:1], value[-1:], value[:, :1], value[:, -1:],
    )  # fmt: skip
    darkest = min(places, key=np.median)
    median = float(np.median(darkest))
    spread = 1.4826 * float(np.median(np.abs(darkest - median)))
    return float(np.clip(median + 6 * spread, LEAST_LEVEL, MOST_LEVEL))
