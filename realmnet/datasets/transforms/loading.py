"""Reading pictures, and refusing those that a model must not be given unnoticed."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageOps

from realmnet.curation.pictures import stored_mode
from realmnet.errors import InputError

_EXPECTED = 'expected an 8-bit RGB picture'
_REMEDY = (
    'convert it with tools/dataset_tools/prepare_images.py, which scales 16 bits to 8, or take it '
    'out of the table'
)


def check_mode(image: Image.Image, where: str) -> None:
    """Check from the header that a picture is 8-bit RGB.

    Args:
        image: An opened picture; its pixels are not read.
        where: How the message names it.

    Raises:
        InputError: For a grey-scale, 16-bit, palette or alpha picture.
    """
    mode = stored_mode(image)
    kinds = {
        'L': 'grey-scale', 'LA': 'grey-scale with alpha', '1': 'black and white',
        'P': 'a palette picture', 'RGBA': 'a picture with alpha', 'I': '16- or 32-bit',
        'I;16': '16-bit grey-scale', 'I;16B': '16-bit grey-scale', 'F': 'floating point',
        'RGB;16': '16-bit RGB',
    }  # fmt: skip
    if mode != 'RGB':
        raise InputError(f'{where}: {_EXPECTED}, it is {kinds.get(mode, mode)}; {_REMEDY}')


def check_picture(path: str | Path, where: str) -> None:
    """Check without decoding that a file is a whole 8-bit RGB picture.

    The header tells format and mode, the end-of-file mark of JPEG and PNG whether the file is
    whole; a file without the mark near its end is decoded to find out.

    Args:
        path: The file.
        where: How the message names it.

    Raises:
        InputError: As for :func:`read_picture`.
    """
    path = Path(path)
    try:
        with _bomb_is_error(), Image.open(path) as image:
            check_mode(image, where)
            kind = image.format
        with path.open('rb') as file:
            file.seek(max(0, path.stat().st_size - 64))
            tail = file.read()
    except InputError:
        raise
    except Exception as error:
        raise _unreadable(where, error) from None
    end = {'JPEG': b'\xff\xd9', 'PNG': b'IEND'}.get(kind, b'')
    if end not in tail:
        read_picture(path, where)


def read_picture(path: str | Path, where: str) -> np.ndarray:
    """Read a picture as 8-bit BGR (mmcv's order), turned as its EXIF orientation says.

    Args:
        path: The file.
        where: How the message names it.

    Returns:
        ``uint8`` array of shape (H, W, 3).

    Raises:
        InputError: One sentence if the file is missing, unreadable, truncated, larger than
            Pillow's decompression limit, or not 8-bit RGB.
    """
    try:
        with _bomb_is_error(), Image.open(path) as image:
            check_mode(image, where)
            pixels = np.asarray(ImageOps.exif_transpose(image))
    except InputError:
        raise
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, ValueError and more on broken files.
        raise _unreadable(where, error) from None
    return np.ascontiguousarray(pixels[..., ::-1])


@TRANSFORMS.register_module()
class LoadPicture(BaseTransform):
    """Read the picture of a label-table row.

    mmcv's loader turns a truncated JPEG into a half-grey picture and a 16-bit one into an 8-bit
    one without a word; this one refuses, naming file and row.

    Required keys: ``img_path``; ``line`` if present goes into messages.
    Added keys: ``img`` (BGR ``uint8``, (H, W, 3)), ``img_shape``, ``ori_shape``.

    Example:
        >>> LoadPicture()(dict(img_path='a.jpg', line=17))   # doctest: +SKIP
    """

    def transform(self, results: dict) -> dict:
        """Add the picture to ``results``."""
        where = picture_place(results['img_path'], results.get('line'))
        image = read_picture(results['img_path'], where)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def picture_place(path: str | Path, line: int | None) -> str:
    """Name a picture by its file and the line of the label file that lists it."""
    return f'{path} (line {line} of its label file)' if line else str(path)


def _bomb_is_error() -> warnings.catch_warnings:
    return warnings.catch_warnings(action='error', category=Image.DecompressionBombWarning)


def _unreadable(where: str, reason: object) -> InputError:
    return InputError(
        f'{where}: the picture cannot be read ({reason}); copy it again or take it out of the table'
    )
