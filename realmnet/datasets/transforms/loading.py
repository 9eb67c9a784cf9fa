"""Reading the pictures of a label table for training, by the one reader of all tools."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from realmnet.curation.pictures import read_with_notes


def check_picture(path: str | Path, where: str, accept_damaged: bool = False) -> tuple[str, ...]:
    """Check that a picture can be read whole, by reading it.

    Args:
        path: The file.
        where: How the message names it.
        accept_damaged: Whether what can be decoded of a damaged picture is taken.

    Returns:
        What is to be said about it, see :class:`realmnet.curation.pictures.PictureRead`.

    Raises:
        InputError: As for :func:`read_picture`.
    """
    return read_with_notes(path, accept_damaged=accept_damaged, where=where).notes


def read_picture(path: str | Path, where: str, accept_damaged: bool = False) -> np.ndarray:
    """Read a picture as 8-bit BGR (mmcv's order), with the pixels that every other tool reads.

    Args:
        path: The file.
        where: How the message names it.
        accept_damaged: Whether what can be decoded of a damaged picture is taken.

    Returns:
        ``uint8`` array of shape (H, W, 3).

    Raises:
        InputError: As for :func:`realmnet.curation.pictures.read_any_picture`.
    """
    pixels = read_with_notes(path, accept_damaged=accept_damaged, where=where).pixels
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)


@TRANSFORMS.register_module()
class LoadPicture(BaseTransform):
    """Read the picture of a label-table row.

    mmcv's loader turns a truncated JPEG into a half-grey picture without a word; this one refuses,
    naming file and row.

    Args:
        accept_damaged: Whether what can be decoded of a damaged picture is taken; the check before
            a run names those.

    Required keys: ``img_path``; ``line`` if present goes into messages.
    Added keys: ``img`` (BGR ``uint8``, (H, W, 3)), ``img_shape``, ``ori_shape``.

    Example:
        >>> LoadPicture()(dict(img_path='a.jpg', line=17))   # doctest: +SKIP
    """

    def __init__(self, accept_damaged: bool = False) -> None:
        self.accept_damaged = accept_damaged

    def transform(self, results: dict) -> dict:
        """Add the picture to ``results``."""
        where = picture_place(results['img_path'], results.get('line'))
        image = read_picture(results['img_path'], where, self.accept_damaged)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(accept_damaged={self.accept_damaged})'


def picture_place(path: str | Path, line: int | None) -> str:
    """Name a picture by its file and the line of the label file that lists it."""
    return f'{path} (line {line} of its label file)' if line else str(path)
