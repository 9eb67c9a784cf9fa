"""Reading the pictures that clinics hand over: JPEG, PNG, TIFF, BMP and DICOM, as 8-bit RGB.

Files come from strangers: only these decoders are allowed, the header is checked before any pixel
is decoded, and nothing but pixels leaves this module, so EXIF fields and DICOM tags end here.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from realmnet.curation.outputs import write_whole
from realmnet.errors import InputError

#: Decoders that Pillow may use; others (EPS runs a program, for one) stay shut.
FORMATS = ('JPEG', 'PNG', 'TIFF', 'BMP')
SUFFIXES = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp')
DICOM_SUFFIXES = ('.dcm', '.dicom')
#: Largest picture, in pixels, that is decoded; an ultra-widefield picture has 12 to 16 million.
MAX_PIXELS = 120_000_000
# Most that a DICOM file holds: three channels of 16 bits a pixel, and what stands around them.
_PIXEL_BYTES = 6
_HEADER_BYTES = 16_000_000
#: How libjpeg can skip work: least factor, and the way to ask OpenCV for it.
_REDUCED = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)


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

    Links to folders are not followed, hidden files are left out.

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
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in names:
            path = Path(parent, name)
            if not name.startswith('.') and _is_picture(path):
                found.append(path.relative_to(folder))
    return sorted(found)


def read_any_picture(
    path: str | Path, least_side: int = 0, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Read a picture of any accepted format as RGB.

    Grey-scale becomes three equal channels, transparency is dropped, 16-bit values are shifted
    to 8 bits, the EXIF orientation is applied.

    Args:
        path: The file.
        least_side: If positive, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long
            as both sides stay at least this long, which is faster.
        max_pixels: A larger picture is refused from its header; 179 million is the most that
            Pillow opens.

    Returns:
        ``uint8`` of shape (H, W, 3), RGB.

    Raises:
        InputError: If the file is empty, cut off, too large, of another format, has several
            pages or floating-point pixels, or is a DICOM file that is packed as a whole
            (deflated), or that says names are burnt into its pixels.
    """
    path = Path(path)
    try:
        if path.stat().st_size == 0:
            raise InputError(f'{path}: the file is empty; copy it again')
        if is_dicom(path):
            return _read_dicom(path, max_pixels)
        return _read_pillow(path, least_side, max_pixels)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(
            f'{path}: cannot be read (it is not a JPEG, PNG, TIFF or BMP picture); take it out'
        ) from None
    except Image.DecompressionBombError:  # Pillow's own limit, which may be the lower one
        raise _too_large(path, min(max_pixels, 2 * Image.MAX_IMAGE_PIXELS)) from None
    except Exception as error:  # decoders raise whatever a broken file makes them raise
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise InputError(
            f'{path}: cannot be read ({reason[:160]}); copy it again or take it out'
        ) from None


def stored_mode(image: Image.Image) -> str:
    """Tell how an opened picture is stored, from its header.

    Args:
        image: The picture; its pixels are not read.

    Returns:
        Pillow's mode, ``RGB`` for what training accepts; ``RGB;16`` for 16 bits a channel, which
        Pillow opens as 8-bit RGB (only the decoder's arguments tell).
    """
    raw = [part for tile in image.tile for part in np.atleast_1d(tile[3]).tolist()]
    deep = any(';16' in str(part) for part in raw) and ';16' not in image.mode
    return f'{image.mode};16' if deep else image.mode


def picture_mode(path: str | Path) -> str:
    """Return :func:`stored_mode` of a file that :func:`read_any_picture` reads; not DICOM."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        with Image.open(path, formats=FORMATS) as image:
            return stored_mode(image)


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


def is_dicom(path: Path) -> bool:
    """Tell a DICOM file by its suffix or its mark at byte 128."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if path.suffix.lower() in SUFFIXES:
        return False
    with path.open('rb') as file:
        return file.read(132)[128:] == b'DICM'


def to_8_bit(values: np.ndarray) -> np.ndarray:
    """Shift integers to 8 bits by the number of bits that the largest one needs.

    Args:
        values: Integers, none negative.

    Example:
        >>> to_8_bit(np.array([0, 4095], np.uint16)).tolist()
        [0, 255]
    """
    if values.dtype == np.uint8:
        return values
    shift = max(0, int(values.max(initial=0)).bit_length() - 8)
    return (values >> shift).astype(np.uint8)


def _is_picture(path: Path) -> bool:
    suffix = path.suffix.lower()
    try:
        if suffix in SUFFIXES + DICOM_SUFFIXES:
            return path.is_file()
        # DICOM files are often named by a number with dots, or without suffix
        return (not suffix or suffix[1:].isdigit()) and path.is_file() and is_dicom(path)
    except OSError:  # a name that may be looked up and no more; whoever reads it says why
        return suffix in SUFFIXES + DICOM_SUFFIXES


def _too_large(path: Path, max_pixels: int) -> InputError:
    return InputError(
        f'{path}: more than {max_pixels / 1e6:g} million pixels; no camera of this kind makes '
        'such a picture, take it out'
    )


def _read_pillow(path: Path, least_side: int, max_pixels: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise _too_large(path, max_pixels)
            # a JPEG may carry a second picture for phones (MPO); its first is the photograph
            if image.format in ('TIFF', 'PNG') and getattr(image, 'n_frames', 1) > 1:
                raise InputError(
                    f'{path}: has {image.n_frames} pages or frames; save each as a picture'
                )
            if image.format in ('JPEG', 'MPO') and (
                pixels := _decode_jpeg(path, image, least_side)
            ):
                return pixels[0]
            ImageOps.exif_transpose(image, in_place=True)
            if image.mode == 'F':
                raise InputError(
                    f'{path}: holds floating-point numbers of unknown range; save it with 8 or '
                    '16 bits'
                )
            if image.mode.startswith('I'):
                values = np.maximum(np.asarray(image), 0).astype(np.int64)
                return np.repeat(to_8_bit(values)[..., None], 3, axis=2)
            if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
                image = image.convert('RGBA')
            return np.asarray(image if image.mode == 'RGB' else image.convert('RGB'))


def _decode_jpeg(path: Path, header: Image.Image, least_side: int) -> list[np.ndarray]:
    """Decode a whole JPEG with OpenCV, which copies less than Pillow.

    Returns:
        The RGB pixels; nothing if the end mark is missing, so that Pillow names the problem, or
        if OpenCV cannot decode the file.
    """
    data = np.fromfile(path, np.uint8)
    if b'\xff\xd9' not in data[-64:].tobytes():
        return []
    factor = min(header.size) // least_side if least_side else 1
    flag = next((f for least, f in _REDUCED if factor >= least), cv2.IMREAD_COLOR)
    image = cv2.imdecode(data, flag)
    return [] if image is None else [cv2.cvtColor(image, cv2.COLOR_BGR2RGB)]


def _read_dicom(path: Path, max_pixels: int) -> np.ndarray:
    try:
        import pydicom
        from pydicom.pixels import apply_color_lut, apply_voi_lut
    except ImportError:
        raise InputError(f'{path}: DICOM needs pydicom; run pip install pydicom') from None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        _check_dicom(path, max_pixels)
        data = pydicom.dcmread(path)
        values = data.pixel_array
        kind = str(data.PhotometricInterpretation)
        if kind == 'PALETTE COLOR':
            values = apply_color_lut(values, data)
        elif kind.startswith('MONOCHROME'):
            values = np.asarray(apply_voi_lut(values, data), float)
            values = values - values.min()
            values = np.round(values * (255 / max(values.max(), 255))).astype(np.uint8)
            if kind == 'MONOCHROME1':
                values = 255 - values
    values = to_8_bit(values)
    return np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else values[..., :3]


def _check_dicom(path: Path, max_pixels: int) -> None:
    """Refuse what must not be read, from what stands before the pixels."""
    import pydicom
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    # Each step may use memory only because the one before it allowed that.
    size = path.stat().st_size
    if size > _PIXEL_BYTES * max_pixels + _HEADER_BYTES:
        raise InputError(
            f'{path}: has {size / 1e6:g} million bytes, more than {max_pixels / 1e6:g} million '
            'pixels take; take it out'
        )
    meta = pydicom.filereader.read_file_meta_info(path)
    if meta.get('TransferSyntaxUID') == DeflatedExplicitVRLittleEndian:
        raise InputError(
            f'{path}: is packed as a whole (deflated transfer syntax), so its size is not known '
            'before it is unpacked; export it with another transfer syntax'
        )
    head = pydicom.dcmread(path, stop_before_pixels=True)
    rows, columns = int(head.get('Rows', 0)), int(head.get('Columns', 0))
    if rows * columns > max_pixels:
        raise _too_large(path, max_pixels)
    if int(head.get('NumberOfFrames', 1) or 1) > 1:
        raise InputError(f'{path}: has {head.NumberOfFrames} frames; export each as a picture')
    if min(rows, columns) < 1:
        raise InputError(f'{path}: holds no pixel data; export it again with its picture')
    samples, bits = int(head.get('SamplesPerPixel', 1)), int(head.get('BitsAllocated', 8))
    if samples not in (1, 3) or bits not in (8, 16):
        raise InputError(
            f'{path}: {rows} x {columns} pixels of {samples} channels with {bits} bits, expected 1 '
            'or 3 channels with 8 or 16 bits; export it again'
        )
    if str(head.get('BurnedInAnnotation', 'NO')).upper() == 'YES':
        raise InputError(
            f'{path}: its tag BurnedInAnnotation says that text, perhaps a name, is drawn '
            'into the pixels; export it without overlay'
        )
