"""Decoding JPEG, PNG, TIFF, BMP, WebP and JPEG 2000 so that no damage goes unnoticed.

Pillow reads headers and everything but JPEG; JPEG goes through libjpeg-turbo by simplejpeg, whose
strict mode turns libjpeg's warnings into errors. Checked besides: the CRC of each PNG chunk, and
libjpeg's warnings about JPEG strips inside TIFF, which libtiff keeps to itself.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from realmnet.curation.picture_colour import to_srgb
from realmnet.errors import InputError

#: Decoders that Pillow may use; others (EPS runs a program, for one) stay shut.
FORMATS = ('JPEG', 'PNG', 'TIFF', 'BMP', 'WEBP', 'JPEG2000')
ORIENTATION = 0x0112
# XMP states the orientation as an attribute or as an element.
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation\s*(?:=\s*["\']|>)\s*(\d+)')
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda x: cv2.flip(x, 1),
    3: lambda x: cv2.rotate(x, cv2.ROTATE_180),
    4: lambda x: cv2.flip(x, 0),
    5: cv2.transpose,
    6: lambda x: cv2.rotate(x, cv2.ROTATE_90_CLOCKWISE),
    7: lambda x: cv2.rotate(cv2.transpose(x), cv2.ROTATE_180),
    8: lambda x: cv2.rotate(x, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
#: Python's record of warnings belongs to the whole process, so one thread at a time uses it.
WARNINGS = threading.Lock()
_RARE_SAMPLING = 'its colours are sampled in a rare way, so damage would not show; save it again'
# Above this, Pillow refuses on its own, whatever limit it is asked for.
PILLOW_LIMIT = 2 * Image.MAX_IMAGE_PIXELS


@dataclass
class Reading:
    """One file on its way to pixels.

    Attributes:
        where: How messages name it.
        accept_damaged: Whether what can be decoded of a damaged picture is taken.
        notes: What a reader of the result must know: damage that was accepted, a 16-bit picture
            that is all dark.
    """

    where: str
    accept_damaged: bool = False
    notes: list[str] = field(default_factory=list)

    def damaged(self, what: object) -> None:
        """Note damage if it may be accepted.

        Raises:
            InputError: If it may not.
        """
        text = ' '.join(str(what).split())[:160]
        if not self.accept_damaged:
            raise InputError(
                f'{self.where}: cannot be read whole ({text}); copy it again or take it out '
                '(--accept-damaged takes what is left of it)'
            )
        self.notes.append(f'damaged: {text}, accepted')

    def too_large(self, max_pixels: int) -> InputError:
        """Make the error of a picture over the limit."""
        return InputError(
            f'{self.where}: more than {max_pixels / 1e6:g} million pixels; no camera of this kind '
            'makes such a picture, take it out'
        )


def decode(
    data: bytes, reading: Reading, least_side: int, max_pixels: int
) -> tuple[np.ndarray, str]:
    """Decode a still picture to upright 8-bit sRGB.

    Args:
        data: The whole file.
        reading: Collects what is found on the way.
        least_side: See :func:`realmnet.curation.pictures.read_any_picture`.
        max_pixels: See there.

    Returns:
        ``uint8`` RGB of shape (H, W, 3), and how the file stores it: format and mode, as in
        ``JPEG RGB`` or ``PNG I;16``.

    Raises:
        InputError: If the picture is damaged, too large, has several pages or frames, or pixels of
            unknown range.
        Exception: Whatever Pillow raises for a file that it cannot decode.
    """
    with _said_by_pillow(reading):
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    with image:
        if image.width * image.height > min(max_pixels, PILLOW_LIMIT):
            raise reading.too_large(min(max_pixels, PILLOW_LIMIT))
        # a JPEG may carry a second picture for phones (MPO); its first is the photograph
        jpeg = image.format in ('JPEG', 'MPO')
        if not jpeg and (frames := getattr(image, 'n_frames', 1)) > 1:
            raise InputError(
                f'{reading.where}: has {frames} pages or frames; save each as a picture'
            )
        form = f'{"JPEG" if jpeg else image.format} {_stored_mode(image)}'
        plain = _decode_jpeg(data, image, least_side, reading) if jpeg else None
        if problem := _silent_damage(data, image):
            reading.damaged(problem)
        if plain is None:
            image.load()
        with _said_by_pillow(reading):
            turn = _orientation(image)
        pixels = to_srgb(image, plain, form, reading)
        return _TURNS.get(turn, np.ascontiguousarray)(pixels), form


class _said_by_pillow(warnings.catch_warnings):
    """Count Pillow's warnings (a broken EXIF block, for one) as damage, in any thread."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(record=True)
        self._reading = reading

    def __enter__(self) -> None:
        WARNINGS.acquire()
        self._said = super().__enter__()
        warnings.simplefilter('always')

    def __exit__(self, kind: type | None, *rest: object) -> None:
        super().__exit__(kind, *rest)
        WARNINGS.release()
        if kind is None:
            for warning in self._said:
                if warning.category is UserWarning:  # others are about size or old names
                    self._reading.damaged(warning.message)


def _stored_mode(image: Image.Image) -> str:
    """Name the mode of the file: ``RGB;16`` is 16 bits a channel, which Pillow opens as RGB."""
    raw = [part for tile in image.tile for part in np.atleast_1d(tile[3]).tolist()]
    deep = any(';16' in str(part) for part in raw) and ';16' not in image.mode
    return f'{image.mode};16' if deep else image.mode


def _orientation(image: Image.Image) -> int:
    """Find the orientation, 1 to 8: EXIF's, or else XMP's; what is no orientation counts as 1."""
    value = image.getexif().get(ORIENTATION)
    if value is None:
        xmp = image.info.get('xmp') or image.info.get('XML:com.adobe.xmp') or b''
        found = _XMP_ORIENTATION.search(xmp if isinstance(xmp, bytes) else xmp.encode())
        value = int(found[1]) if found else 1
    return value if value in range(1, 9) else 1


def _decode_jpeg(data: bytes, header: Image.Image, least_side: int, reading: Reading) -> np.ndarray:
    """Decode with libjpeg-turbo, at 1/2, 1/4 or 1/8 of the size if both sides stay long enough.

    Returns:
        ``uint8`` of shape (H, W, channels) in Pillow's mode of the file: L, RGB or CMYK.
    """
    factor = min(header.size) // least_side if least_side else 1
    factor = next(least for least in (8, 4, 2, 1) if factor >= least or least == 1)
    options = {
        'colorspace': {'L': 'GRAY'}.get(header.mode, header.mode),
        'min_height': -(-header.height // factor),
        'min_width': -(-header.width // factor),
        'min_factor': factor,
    }
    try:
        pixels = simplejpeg.decode_jpeg(data, **options)
    except ValueError as error:
        rare = 'subsampling' in str(error)  # libjpeg-turbo's simple interface knows only six
        reading.damaged(_RARE_SAMPLING if rare else error)
        if rare:
            return np.asarray(header).reshape(header.height, header.width, -1)
        pixels = simplejpeg.decode_jpeg(data, **options, strict=False)
    # Files with four inks hold them inverted, as Photoshop began it, with its mark or without.
    return 255 - pixels if header.mode == 'CMYK' else pixels


def _silent_damage(data: bytes, image: Image.Image) -> str:
    """Find damage that Pillow's decoder passes over."""
    if image.format == 'PNG':
        return png_damage(data)
    if image.info.get('progressive'):
        return _missing_scans(data)
    return _tiff_jpeg_damage(data, image) if image.format == 'TIFF' else ''


def png_damage(data: bytes) -> str:
    """Find the first chunk of a PNG file whose checksum is wrong.

    Args:
        data: The file.

    Returns:
        What is wrong, or nothing. Bytes behind the end chunk do not count.
    """
    view, place = memoryview(data), 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from('>I', view, place)
        end = place + 8 + length
        if end + 4 > len(data):
            break
        kind = bytes(view[place + 4 : place + 8])
        if zlib.crc32(view[place + 4 : end]) != struct.unpack_from('>I', view, end)[0]:
            return f'wrong checksum of the PNG chunk {kind.decode("latin-1")!r} at byte {place}'
        if kind == b'IEND':
            return ''
        place = end + 4
    return 'the PNG file ends before its end mark'


def _tiff_jpeg_damage(data: bytes, image: Image.Image) -> str:
    """Find what libjpeg says about the JPEG strips or tiles of a TIFF file; libtiff is silent."""
    tags = image.tag_v2
    if tags.get(259) != 7:
        return ''
    tables = tags.get(347, b'')
    for start, length in zip(
        tags.get(273) or tags.get(324) or (), tags.get(279) or tags.get(325) or (), strict=False
    ):
        part = data[start : start + length]
        if problem := jpeg_damage(tables[:-2] + part[2:] if tables else part):
            return problem
    return ''


def jpeg_damage(data: bytes) -> str:
    """Tell what libjpeg warns about when it decodes a JPEG stream; nothing if it is whole.

    Args:
        data: From the start mark on.
    """
    try:
        space = simplejpeg.decode_jpeg_header(data)[2]
        wanted = {'Gray': 'GRAY', 'CMYK': 'CMYK', 'YCCK': 'CMYK'}.get(space, 'RGB')
        simplejpeg.decode_jpeg(data, wanted)
    except ValueError as error:
        return str(error)
    return ''


def _missing_scans(data: bytes) -> str:
    """Tell whether a progressive JPEG ends before all its scans are there.

    Each scan gives some coefficients of some components down to a bit; a whole picture has given
    all 64 of every component down to bit 0 (ITU-T T.81, Annex G).
    """
    missing: dict[int, set[int]] = {}
    place = 2
    while 0 <= place < len(data) - 4:
        if data[place] != 0xFF or data[place + 1] in (0xFF, 0x00, *range(0xD0, 0xD8)):
            place = data.find(b'\xff', place + 1)
            continue
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        body = data[place + 4 : place + 2 + length]
        if marker == 0xD9:
            break
        if marker in (0xC0, 0xC1):
            return ''
        if marker == 0xC2:
            missing = {body[6 + 3 * i]: set(range(64)) for i in range(body[5])}
        elif marker == 0xDA and body[-1] & 15 == 0:
            for i in range(body[0]):
                missing.get(body[1 + 2 * i], set()).difference_update(range(body[-3], body[-2] + 1))
        place += 2 + length
    return 'the last scans of the progressive JPEG are missing' if any(missing.values()) else ''
