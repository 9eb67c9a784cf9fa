"""Reading DICOM photographs as 8-bit RGB, as the file says that they are to be shown."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from realmnet.curation.picture_colour import from_profile, scaled_to_8_bits
from realmnet.curation.picture_decoding import WARNINGS, Reading, jpeg_damage
from realmnet.errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def decode_dicom(
    path: Path, reading: Reading, max_pixels: int, max_bytes: int
) -> tuple[np.ndarray, str]:
    """Decode a DICOM file.

    Grey pictures go through the modality LUT or rescale, then the VOI LUT or window, both
    pydicom's, then the presentation (inverted for MONOCHROME1 and the shape INVERSE), and are
    scaled by the range that these say, never by the values that occur. Colour is scaled by
    BitsStored (palettes by the bits of their entries), and by its colour profile where there is
    one.

    Args:
        path: The file.
        reading: Collects what is found on the way.
        max_pixels: A larger picture is refused before its pixels are read.
        max_bytes: So is a larger file.

    Returns:
        ``uint8`` RGB of shape (H, W, 3), and how the file stores it, as in ``DICOM MONOCHROME2``.

    Raises:
        InputError: If pydicom is absent, or the file must not or cannot be read.
        Exception: Whatever pydicom raises for a broken file.
    """
    try:
        import pydicom
    except ImportError:
        raise InputError(
            f"{reading.where}: DICOM needs pydicom; run pip install 'realmnet[dicom]'"
        ) from None
    with WARNINGS, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # pydicom warns about tags that do not matter here
        _check(path, reading, max_pixels, max_bytes)
        data = pydicom.dcmread(path)
        values = _stored_values(data, reading)
        if values.shape[:2] != (data.Rows, data.Columns):
            raise InputError(
                f'{reading.where}: holds pixels of shape {values.shape} for {data.Rows} rows and '
                f'{data.Columns} columns, as several frames do; export each as a picture'
            )
        kind = str(data.PhotometricInterpretation)
        if kind.startswith('MONOCHROME'):
            pixels = np.repeat(_grey(values, data, reading)[..., None], 3, axis=2)
        else:
            pixels = _colour(values, data, kind, reading)
    return pixels, f'DICOM {kind}'


def _check(path: Path, reading: Reading, max_pixels: int, max_bytes: int) -> None:
    """Refuse what must not be read, from what stands before the pixels."""
    import pydicom
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    # Each step may use memory only because the one before it allowed that.
    where, size = reading.where, path.stat().st_size
    if size > max_bytes:
        raise InputError(
            f'{where}: has {size / 1e6:g} million bytes, more than {max_pixels / 1e6:g} million '
            'pixels take; take it out'
        )
    meta = pydicom.filereader.read_file_meta_info(path)
    if meta.get('TransferSyntaxUID') == DeflatedExplicitVRLittleEndian:
        raise InputError(
            f'{where}: is packed as a whole (deflated transfer syntax), so its size is not known '
            'before it is unpacked; export it with another transfer syntax'
        )
    head = pydicom.dcmread(path, stop_before_pixels=True)
    rows, columns = int(head.get('Rows', 0)), int(head.get('Columns', 0))
    if rows * columns > max_pixels:
        raise reading.too_large(max_pixels)
    if int(head.get('NumberOfFrames', 1) or 1) > 1:
        raise InputError(f'{where}: has {head.NumberOfFrames} frames; export each as a picture')
    if min(rows, columns) < 1:
        raise InputError(f'{where}: holds no pixel data; export it again with its picture')
    samples, bits = int(head.get('SamplesPerPixel', 1)), int(head.get('BitsAllocated', 8))
    if samples not in (1, 3) or bits not in (8, 16):
        raise InputError(
            f'{where}: {rows} x {columns} pixels of {samples} channels with {bits} bits, expected '
            '1 or 3 channels with 8 or 16 bits; export it again'
        )
    stored = int(head.get('BitsStored', bits))
    if not 1 <= stored <= bits or int(head.get('HighBit', stored - 1)) != stored - 1:
        raise InputError(
            f'{where}: BitsStored {stored} and HighBit {head.get("HighBit")} do not fit together; '
            'export it again'
        )
    if str(head.get('BurnedInAnnotation', 'NO')).upper() == 'YES':
        raise InputError(
            f'{where}: its tag BurnedInAnnotation says that text, perhaps a name, is drawn '
            'into the pixels; export it without overlay'
        )


def _stored_values(data: Dataset, reading: Reading) -> np.ndarray:
    """Decompress; YBR becomes RGB."""
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder, pixel_array
    from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit, JPEGExtended12Bit

    syntax = data.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        try:
            known = get_decoder(syntax)
        except NotImplementedError:
            raise InputError(
                f'{reading.where}: is compressed as {syntax.name}, which is not for photographs; '
                'export it with another transfer syntax'
            ) from None
        if not known.is_available:
            raise InputError(
                f'{reading.where}: is compressed as {syntax.name}, which another package reads; '
                "run pip install 'realmnet[dicom]'"
            )
    eight = data.BitsStored <= 8
    if syntax == JPEGBaseline8Bit or (syntax == JPEGExtended12Bit and eight):
        frame = get_frame(data.PixelData, 0, number_of_frames=1)
        if problem := jpeg_damage(frame):
            reading.damaged(problem)
    # The same decoder whatever else is installed, wherever Pillow reads all bits.
    pillow = {JPEGBaseline8Bit: True, JPEGExtended12Bit: eight}
    pillow |= dict.fromkeys((JPEG2000, JPEG2000Lossless), eight or data.SamplesPerPixel == 1)
    return pixel_array(data, decoding_plugin='pillow' if pillow.get(syntax) else '')


def _grey(values: np.ndarray, data: Dataset, reading: Reading) -> np.ndarray:
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    shape = str(data.get('PresentationLUTShape', '')).strip().upper()
    if shape not in ('', 'IDENTITY', 'INVERSE') or data.get('PresentationLUTSequence'):
        raise InputError(
            f'{reading.where}: has a presentation LUT of its own; export it with the presentation '
            'applied'
        )
    low, high = _modality_range(data, reading.where)
    values = apply_modality_lut(values, data)
    if lut := data.get('VOILUTSequence'):
        entries, first, bits = lut[0].LUTDescriptor
        low, high = 0, 2**bits - 1
        # pydicom counts an 8-bit table's places in 8 bits, so longer ones are told as 16-bit
        lut[0].LUTDescriptor = [entries, first, max(bits, 16) if bits == 8 else bits]
    elif 'WindowWidth' not in data or 'WindowCenter' not in data:
        low, high = min(low, high), max(low, high)
    values = apply_voi_lut(values, data)
    share = (values.astype(float) - low) / ((high - low) or 1)
    # MONOCHROME1 and INVERSE say the same: the standard demands the one with the other.
    if data.PhotometricInterpretation == 'MONOCHROME1' or shape == 'INVERSE':
        share = 1 - share
    # 256 equal parts: what has 8 bits stays as it is, more bits are shifted
    return np.clip(np.floor(share * 256 + 1e-9), 0, 255).astype(np.uint8)


def _modality_range(data: Dataset, where: str) -> tuple[float, float]:
    """Give what the darkest and the brightest stored value that fits becomes."""
    if lut := data.get('ModalityLUTSequence'):
        return 0, 2 ** lut[0].LUTDescriptor[2] - 1
    bits = data.BitsStored
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if data.PixelRepresentation else (
        0, 2**bits - 1
    )  # fmt: skip
    if 'RescaleSlope' in data and 'RescaleIntercept' in data:
        if data.RescaleSlope is None or data.RescaleIntercept is None:
            raise InputError(f'{where}: its rescale slope or intercept is empty; export it again')
        slope, intercept = float(data.RescaleSlope), float(data.RescaleIntercept)
        return low * slope + intercept, high * slope + intercept
    return low, high


def _colour(values: np.ndarray, data: Dataset, kind: str, reading: Reading) -> np.ndarray:
    from pydicom.pixels import apply_color_lut

    bits = data.BitsStored
    if kind == 'PALETTE COLOR':
        values = apply_color_lut(values, data)
        bits = data.RedPaletteColorLookupTableDescriptor[2]
    elif data.PixelRepresentation:
        raise InputError(f'{reading.where}: colours are signed numbers; export it again')
    if values.ndim != 3:
        raise InputError(f'{reading.where}: {kind} with one channel; export it again')
    if bits < 8:
        pixels = np.floor(values * (256 / (2**bits - 1))).clip(0, 255).astype(np.uint8)
    else:
        pixels = scaled_to_8_bits(values[..., :3], bits)
    path = data.get('OpticalPathSequence')
    profile = data.get('ICCProfile') or (path[0].get('ICCProfile') if path else None)
    if profile:
        pixels = np.asarray(from_profile(Image.fromarray(pixels), bytes(profile), reading))
    return np.ascontiguousarray(pixels)
