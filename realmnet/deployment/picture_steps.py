"""The transforms of a test pipeline that can be repeated with OpenCV alone, bit by bit."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realmnet.errors import InputError

#: OpenCV's method by the name that mmcv's ``Resize`` gives it.
INTERPOLATIONS = {
    'bilinear': cv2.INTER_LINEAR,
    'bicubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
}
LARGEST_SIZE = 4096
#: What a step does: its name, and the transform of mmcv or mmpretrain that it repeats.
KINDS = {
    'resize': 'Resize',
    'fit': 'Resize with keep_ratio',
    'short': "ResizeEdge with edge='short'",
    'long': "ResizeEdge with edge='long'",
    'crop': 'CenterCrop',
    'pad': 'Pad with size',
    'square': 'Pad with pad_to_square',
}


@dataclass(frozen=True)
class Step:
    """One transform of a picture.

    Attributes:
        kind: One of :data:`KINDS`: ``resize`` to width and height, ``fit`` into them without
            stretching, make the ``short`` or ``long`` edge ``width`` pixels, ``crop`` the centre,
            ``pad`` below and to the right up to width and height, or up to a ``square``.
        width: In pixels; 0 for ``square``.
        height: In pixels; 0 for ``short``, ``long`` and ``square``.
        interpolation: Of those that resize: ``'bilinear'``, ``'bicubic'`` or ``'area'``.
        fill: Red, green and blue of what is padded.

    Raises:
        InputError: If a field has a wrong type or is out of range.

    Example:
        >>> Step('short', 64).size_after(300, 200)
        (96, 64)
        >>> str(Step('crop', 48, 48))
        'CenterCrop 48 x 48'
    """

    kind: str
    width: int = 0
    height: int = 0
    interpolation: str = 'bilinear'
    fill: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        place = 'preprocessing.steps'
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise InputError(f'{place}: kind is {reprlib.repr(self.kind)}, not one of {[*KINDS]}')
        sizes = {'short': 1, 'long': 1, 'square': 0}.get(self.kind, 2)
        for number, name in enumerate(('width', 'height')):
            value, least = getattr(self, name), int(number < sizes)
            if type(value) is not int or not least <= value <= least * LARGEST_SIZE:
                raise InputError(
                    f'{place}: {name} of {self.kind} is {reprlib.repr(value)}, expected '
                    f'{f"1 to {LARGEST_SIZE}" if least else 0}'
                )
        if not isinstance(self.interpolation, str) or self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f'{place}: interpolation is {reprlib.repr(self.interpolation)}, not one of '
                f'{[*INTERPOLATIONS]}'
            )
        fill = self.fill
        if (
            not isinstance(fill, list | tuple)
            or len(fill) != 3
            or not all(type(value) is int and 0 <= value <= 255 for value in fill)
        ):
            raise InputError(
                f'{place}: fill is {reprlib.repr(fill)}, expected red, green and blue from 0 to 255'
            )
        object.__setattr__(self, 'fill', tuple(fill))

    def __str__(self) -> str:
        """Name the transform that this repeats, and its size."""
        sides = ' x '.join(str(side) for side in (self.width, self.height) if side)
        return f'{KINDS[self.kind]} {sides}'.strip()

    def size_after(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of a picture after this step, as mmcv and mmpretrain round them."""
        if self.kind == 'resize':
            return self.width, self.height
        if self.kind == 'fit':
            long, short = max(self.width, self.height), min(self.width, self.height)
            scale = min(long / max(width, height), short / min(width, height))
            return int(width * scale + 0.5), int(height * scale + 0.5)
        if self.kind in ('short', 'long'):
            if width < height if self.kind == 'short' else width > height:
                return self.width, int(self.width * height / width)
            return int(self.width * width / height), self.width
        if self.kind == 'crop':
            return min(width, self.width), min(height, self.height)
        if self.kind == 'pad':
            return max(width, self.width), max(height, self.height)
        return max(width, height), max(width, height)

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Transform a picture.

        Args:
            picture: ``uint8`` RGB of shape (H, W, 3).
        """
        height, width = picture.shape[:2]
        wide, high = self.size_after(width, height)
        if self.kind == 'crop':
            left, top = self._corner(width, height)
            return picture[top : top + high, left : left + wide]
        if self.kind in ('pad', 'square'):
            border = (0, high - height, 0, wide - width)
            return cv2.copyMakeBorder(picture, *border, cv2.BORDER_CONSTANT, value=self.fill)
        return cv2.resize(picture, (wide, high), interpolation=INTERPOLATIONS[self.interpolation])

    def _corner(self, width: int, height: int) -> tuple[int, int]:
        """Left and top of the crop; halves are rounded to even numbers, as in mmcv."""
        wide, high = self.size_after(width, height)
        return round((width - wide) / 2), round((height - high) / 2)

    def before(self, corners: np.ndarray, width: int, height: int) -> np.ndarray:
        """Find where places (x, y) in the result lie in the picture of this width and height."""
        if self.kind == 'crop':
            return corners + self._corner(width, height)
        if self.kind in ('pad', 'square'):
            return corners
        return corners * (width, height) / self.size_after(width, height)


def sizes_through(steps: Sequence[Step], width: int, height: int) -> list[tuple[int, int]]:
    """List width and height of a picture before the first and after each step.

    Example:
        >>> sizes_through([Step('short', 64), Step('crop', 48, 48)], 300, 200)
        [(300, 200), (96, 64), (48, 48)]
    """
    sizes = [(width, height)]
    for step in steps:
        sizes.append(step.size_after(*sizes[-1]))
    return sizes


def visible_part(picture: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """Cut out what is left of a picture after steps, at its own resolution, with what is padded.

    Args:
        picture: ``uint8`` of shape (H, W, 3).
        steps: What is done to it.

    Returns:
        Shape (h, w, 3), of the same shape in pixels as the last step's result but for stretching.

    Example:
        >>> wide = np.zeros((100, 200, 3), np.uint8)
        >>> visible_part(wide, [Step('short', 64), Step('crop', 64, 64)]).shape
        (100, 100, 3)
    """
    height, width = picture.shape[:2]
    sizes = sizes_through(steps, width, height)
    corners = np.array([(0, 0), sizes[-1]], float)
    for step, size in zip(reversed(steps), reversed(sizes[:-1]), strict=True):
        corners = step.before(corners, *size)
    (left, top), (right, bottom) = np.rint(corners).astype(int)
    picture = picture[max(top, 0) : bottom, max(left, 0) : right]
    border = (0, max(bottom - max(height, top), 0), 0, max(right - max(width, left), 0))
    if not any(border):
        return picture
    fill = next(step.fill for step in reversed(steps) if step.kind in ('pad', 'square'))
    return cv2.copyMakeBorder(picture, *border, cv2.BORDER_CONSTANT, value=fill)
