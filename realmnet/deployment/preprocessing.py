"""From a picture to what a network takes, as in its training."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from realmnet.curation.borders import find_field, square
from realmnet.curation.pictures import MAX_PIXELS, read_with_notes
from realmnet.deployment.picture_steps import (
    INTERPOLATIONS,
    LARGEST_SIZE,
    Step,
    sizes_through,
    visible_part,
)
from realmnet.errors import InputError

#: A picture with a side shorter than this shows no fundus.
LEAST_SIDE = 32

_MOST_STEPS = 8
# Sides of pictures on which a pipeline must give its one size.
_SIDES = (LEAST_SIDE, 33, 97, 300, 411, 1023, 4096, 11_000)


@dataclass(frozen=True)
class Preprocessing:
    """From a picture to what the network takes, as in training.

    Attributes:
        size: Side of the square in pixels.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'area'``, as in mmcv's ``Resize``.
        crop_border: Whether the black outer border is cut away first.
        keep_aspect: Pad the shorter side with black instead of stretching it.
        steps: What is done instead of resizing to the square, where the test pipeline of the
            training has more than that; after the border is cut and the shorter side padded.

    Raises:
        InputError: If a field has a wrong type or is out of range, or the steps do not make a
            square of ``size`` of every picture.

    Example:
        >>> Preprocessing(size=64).apply(np.zeros((100, 200, 3), np.uint8)).shape
        (64, 64, 3)
    """

    size: int
    interpolation: str = 'bilinear'
    crop_border: bool = False
    keep_aspect: bool = False
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if type(self.size) is not int or not LEAST_SIDE <= self.size <= LARGEST_SIZE:
            raise InputError(
                f'preprocessing.size must be a number of pixels from {LEAST_SIDE} to '
                f'{LARGEST_SIZE}, got {self.size!r}'
            )
        if not isinstance(self.interpolation, str) or self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f'preprocessing.interpolation must be one of {list(INTERPOLATIONS)}, got '
                f'{self.interpolation!r}'
            )
        for name in ('crop_border', 'keep_aspect'):
            if type(getattr(self, name)) is not bool:
                raise InputError(
                    f'preprocessing.{name} must be true or false, got {getattr(self, name)!r}'
                )
        object.__setattr__(self, 'steps', _steps_of(self.steps))
        self._check_steps()

    def _check_steps(self) -> None:
        for width, height in product(_SIDES, _SIDES) if self.steps else ():
            found = sizes_through(self.steps, width, height)[-1]
            if found != (self.size, self.size):
                raise InputError(
                    f'preprocessing.steps make {found[0]} x {found[1]} pixels of a picture of '
                    f'{width} x {height}, expected a square of {self.size} of every picture'
                )

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Crop and resize; a picture that needs neither comes back bit by bit.

        Args:
            picture: ``uint8`` RGB of shape (H, W, 3).

        Returns:
            ``uint8`` RGB of shape (size, size, 3).

        Raises:
            InputError: If it is of another type or shape, or a side is shorter than
                :data:`LEAST_SIDE`.
        """
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError(
                f'expected a picture of type uint8 and shape (H, W, 3), got {picture.dtype} and '
                f'{picture.shape}; convert it to 8-bit RGB'
            )
        height, width = picture.shape[:2]
        if min(height, width) < LEAST_SIDE:
            raise InputError(
                f'the picture has {width} x {height} pixels, expected {LEAST_SIDE} or more each '
                'way; take it out'
            )
        if self.crop_border:
            picture = _field(picture)
        if not self.steps:
            return square(picture, self.size, self.keep_aspect, INTERPOLATIONS[self.interpolation])
        if self.keep_aspect:
            picture = square(picture, max(picture.shape[:2]), keep_aspect=True)
        for step in self.steps:
            wide, high = step.size_after(picture.shape[1], picture.shape[0])
            if not (0 < wide * high <= MAX_PIXELS):
                raise InputError(
                    f'a picture of {width} x {height} pixels would become one of {wide} x {high}; '
                    'take it out'
                )
            picture = step.apply(picture)
        return np.ascontiguousarray(picture)

    def visible(self, picture: np.ndarray) -> np.ndarray:
        """Cut away what the network does not see, and leave the resolution.

        Args:
            picture: ``uint8`` RGB of shape (H, W, 3).

        Returns:
            The picture without its border, where that is cut, and without what the steps cut; with
            what they pad. Where there are none and ``keep_aspect`` is set, nothing is padded.
        """
        if self.crop_border:
            picture = _field(picture)
        if not self.steps:
            return picture
        if self.keep_aspect:
            picture = square(picture, max(picture.shape[:2]), keep_aspect=True)
        return visible_part(picture, self.steps)

    def read(
        self,
        path: str | Path,
        max_pixels: int = MAX_PIXELS,
        accept_damaged: bool = False,
        notes: list[str] | None = None,
    ) -> np.ndarray:
        """Read a file of any accepted format and apply the preprocessing.

        Like ``tools/dataset_tools/prepare_images.py`` it lets libjpeg skip work on pictures
        of more than twice the size.

        Args:
            path: JPEG, PNG, TIFF, BMP, WebP, JPEG 2000 or DICOM.
            max_pixels: Larger pictures are refused from their header.
            accept_damaged: Whether what can be decoded of a damaged picture is taken.
            notes: Gets what is to be said about the file, see
                :class:`realmnet.curation.pictures.PictureRead`.

        Returns:
            ``uint8`` RGB of shape (size, size, 3).

        Raises:
            InputError: As for :func:`realmnet.curation.pictures.read_any_picture` and
                :meth:`apply`, naming the file.
        """
        longest = max(self.size, *(max(step.width, step.height) for step in self.steps), 0)
        picture = read_with_notes(path, 2 * longest, max_pixels, accept_damaged)
        if notes is not None:
            notes += picture.notes
        try:
            return self.apply(picture.pixels)
        except InputError as error:
            raise InputError(f'{path}: {error}') from None


def _steps_of(steps: object) -> tuple[Step, ...]:
    """Read steps, which are mappings in JSON."""
    if not isinstance(steps, list | tuple) or len(steps) > _MOST_STEPS:
        raise InputError(
            f'preprocessing.steps must be a list of at most {_MOST_STEPS}, got '
            f'{reprlib.repr(steps)}'
        )
    names = set(Step.__dataclass_fields__)
    read = []
    for step in steps:
        if isinstance(step, Mapping) and set(step) == names:
            step = Step(**step)
        if not isinstance(step, Step):
            raise InputError(
                f'preprocessing.steps: each must hold {sorted(names)}, got {reprlib.repr(step)}'
            )
        read.append(step)
    return tuple(read)


def _field(picture: np.ndarray) -> np.ndarray:
    left, top, right, bottom = find_field(picture)
    return picture[top:bottom, left:right]
