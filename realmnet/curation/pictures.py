"""Reading the pictures that clinics hand over, as 8-bit sRGB: the one reader of every tool.

JPEG, PNG, TIFF, BMP, WebP, JPEG 2000 and DICOM. Files come from strangers: only these decoders are
allowed, the header is checked before any pixel is decoded, and nothing but pixels leaves this
module, so EXIF fields and DICOM tags end here. The rules stand in ``docs/curation.md``.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from realmnet.curation.dicom import decode_dicom
from realmnet.curation.outputs import write_whole
from realmnet.curation.picture_decoding import PILLOW_LIMIT, Reading, decode
from realmnet.errors import InputError

SUFFIXES = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp', '.webp', '.jp2', '.j2k')
DICOM_SUFFIXES = ('.dcm', '.dicom')
#: Largest picture, in pixels, that is decoded; an ultra-widefield picture has 12 to 16 million.
MAX_PIXELS = 120_000_000
# Most that a file holds: three channels of 16 bits a pixel, and what stands around them.
_PIXEL_BYTES = 6
_HEADER_BYTES = 16_000_000
_DICOM_MARK = slice(128, 132)
# What network storage, macOS and Windows add; whole names, so that no folder of a user's is lost.
_STORAGE_FOLDERS = ('@eaDir', '__MACOSX', '$RECYCLE.BIN', '#recycle')


class PictureRead(NamedTuple):
    """A picture and what is to be said with it.

    Attributes:
        pixels: ``uint8`` RGB of shape (H, W, 3).
        form: How the file stores it, as in ``JPEG RGB``, ``PNG I;16``, ``DICOM MONOCHROME2``.
        notes: ``damaged: ..., accepted`` and ``dark: ...``; mostly empty.
    """

    pixels: np.ndarray
    form: str
    notes: tuple[str, ...]


def list_pictures(
    folder: str | Path, unreadable: list[tuple[Path, str]] | None = None
) -> list[Path]:
    """List the pictures below a folder, as :func:`walk_pictures` does, at least one.

    Args:
        folder: Where to look.
        unreadable: Gets each folder below that cannot be listed, relative to ``folder``, with
            a sentence; where left out, the first of them is an error.

    Returns:
        Paths relative to ``folder``, sorted.

    Raises:
        InputError: If there is no such folder or no picture in it, or it cannot be listed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f'{folder}: no such folder; give the folder that holds the pictures')
    closed: list[tuple[Path, str]] = []
    found = walk_pictures(folder, closed)
    if closed and (unreadable is None or not found):
        raise InputError(closed[0][1])
    if not found:
        raise InputError(
            f'{folder}: no picture found; expected files ending in '
            f'{", ".join(SUFFIXES + DICOM_SUFFIXES)}'
        )
    if unreadable is not None:
        unreadable += closed
    return found


def walk_pictures(folder: Path, unreadable: list[tuple[Path, str]]) -> list[Path]:
    """List the pictures below a folder, by suffix, and files without suffix that are DICOM.

    Links to folders are not followed; hidden files and the folders that storage systems add
    (``@eaDir`` with thumbnails, ``__MACOSX``, ``$RECYCLE.BIN``) are left out.

    Args:
        folder: Where to look.
        unreadable: Gets each folder that cannot be listed, relative to ``folder``, with a
            sentence.

    Returns:
        Paths relative to ``folder``, sorted.
    """

    def note(error: OSError) -> None:
        sentence = (
            f'{error.filename}: this folder cannot be listed ({error.strerror or error}), so what '
            'is in it is missing; give permission to read it, or take it out'
        )
        unreadable.append((Path(error.filename).relative_to(folder), sentence))

    found = []
    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in names:
            path = Path(parent, name)
            if not name.startswith('.') and _is_picture(path):
                found.append(path.relative_to(folder))
    return sorted(found)


def read_any_picture(
    path: str | Path,
    least_side: int = 0,
    max_pixels: int = MAX_PIXELS,
    accept_damaged: bool = False,
) -> np.ndarray:
    """Read a picture of any accepted format as upright 8-bit sRGB.

    Args:
        path: The file; what is in it counts, not its suffix.
        least_side: If positive, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long
            as both sides stay at least this long, which is faster.
        max_pixels: A larger picture is refused from its header; 179 million is the most that
            Pillow opens.
        accept_damaged: Whether what can be decoded of a damaged picture is taken.

    Returns:
        ``uint8`` of shape (H, W, 3), RGB.

    Raises:
        InputError: If the file is no file (but a pipe or device), empty, damaged, too large, of
            another format, has several pages or pixels of unknown range, or is a DICOM file that
            is packed as a whole (deflated), or that says names are burnt into its pixels.
    """
    return read_with_notes(path, least_side, max_pixels, accept_damaged).pixels


def read_with_notes(
    path: str | Path,
    least_side: int = 0,
    max_pixels: int = MAX_PIXELS,
    accept_damaged: bool = False,
    where: str = '',
) -> PictureRead:
    """Read as :func:`read_any_picture`, with what is to be said about the file.

    Args:
        path: As the next three, see there.
        least_side: See there.
        max_pixels: See there.
        accept_damaged: See there.
        where: How messages name the file; its path if empty.

    Raises:
        InputError: See there.
    """
    path = Path(path)
    reading = Reading(where or str(path), accept_damaged)
    max_bytes = _PIXEL_BYTES * max_pixels + _HEADER_BYTES
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f'{reading.where}: is a folder, pipe or device; give a picture file')
        if about.st_size == 0:
            raise InputError(f'{reading.where}: cannot be read, the file is empty; copy it again')
        with path.open('rb') as file:
            head = file.read(_DICOM_MARK.stop)
            if head[_DICOM_MARK] == b'DICM':
                pixels, form = decode_dicom(path, reading, max_pixels, max_bytes)
            elif about.st_size > max_bytes:
                raise reading.too_large(max_pixels)
            else:
                pixels, form = decode(head + file.read(), reading, least_side, max_pixels)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(
            f'{reading.where}: cannot be read (it is not a JPEG, PNG, TIFF, BMP, WebP, JPEG 2000 '
            'or DICOM picture, or its header is damaged); take it out'
        ) from None
    except Image.DecompressionBombError:  # Pillow's own limit, which may be the lower one
        raise reading.too_large(min(max_pixels, PILLOW_LIMIT)) from None
    except Exception as error:  # decoders raise whatever a broken file makes them raise
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise InputError(
            f'{reading.where}: cannot be read ({reason[:160]}); copy it again or take it out'
        ) from None
    return PictureRead(pixels, form, tuple(reading.notes))


def leads_out(path: str | Path, folder: str | Path) -> bool:
    """Tell whether a picture of a folder lies elsewhere, by a link or by ``..`` in its name.

    The one rule about links, for every tool: those that stay inside the folder of pictures are
    followed, others are refused. The folder itself may be a link.
    """
    return not os.path.realpath(path).startswith(os.path.realpath(folder).rstrip(os.sep) + os.sep)


def refuse_outward(path: str | Path, folder: str | Path) -> None:
    """Refuse a picture of a folder that lies elsewhere; see :func:`leads_out`.

    Raises:
        InputError: If it does.
    """
    if leads_out(path, folder):
        raise InputError(
            f'{path}: is a link out of the folder, which is not followed; copy the file'
        )


def write_picture(path: str | Path, image: np.ndarray, quality: int = 95) -> None:
    """Write pixels, and nothing else, so that the file appears whole or not at all.

    Args:
        path: Target ending in ``.jpg`` or ``.png``; its folder is made.
        image: ``uint8`` RGB of shape (H, W, 3).
        quality: JPEG quality, 1-100.
    """
    path = Path(path)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == '.jpg' else []
    _, data = cv2.imencode(path.suffix, image[..., ::-1], options)
    write_whole(path, data.tobytes())


def _is_hidden(folder: str) -> bool:
    return folder.startswith('.') or folder in _STORAGE_FOLDERS


def _is_picture(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES + DICOM_SUFFIXES:
        return True  # whatever it is: what is no file is refused by name, not left out
    if suffix and not suffix[1:].isdigit():
        return False
    # DICOM files are often named by a number with dots, or without suffix
    try:
        with path.open('rb') if path.is_file() else io.BytesIO() as file:
            return file.read(_DICOM_MARK.stop)[_DICOM_MARK] == b'DICM'
    except OSError:
        return False
