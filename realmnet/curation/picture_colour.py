"""From what a picture file stores to 8-bit sRGB: depth, palette, transparency, profile, gamma."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

from realmnet.errors import InputError

if TYPE_CHECKING:
    from realmnet.curation.picture_decoding import Reading

# Linear sRGB to CIE XYZ (IEC 61966-2-1) and its white point.
_SRGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
_SRGB_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_SRGB_GAMMA = 1 / 2.2
_ALL_DARK = 15  # the most that 12 bits in a 16-bit field come to


def _signed(image: Image.Image) -> bool:
    """Whether a TIFF file says that its samples are signed; Pillow reads 8 bits as unsigned."""
    formats = getattr(image, 'tag_v2', {}).get(339, ())
    return 2 in (formats if isinstance(formats, tuple) else (formats,))


def to_srgb(
    image: Image.Image, plain: np.ndarray | None, form: str, reading: Reading
) -> np.ndarray:
    """Bring a decoded picture to 8-bit sRGB on black.

    Args:
        image: The opened picture: its header, and its pixels unless ``plain`` has them.
        plain: Pixels of a JPEG in the mode of ``image``, (H, W, channels).
        form: Format and mode, as the file stores them.
        reading: Collects what is found on the way.

    Returns:
        ``uint8`` of shape (H, W, 3), not turned yet.

    Raises:
        InputError: If pixels have no stated range, or the colour profile is broken.
    """
    info, alpha = image.info, None
    profile = info.get('icc_profile')
    if plain is not None:
        if image.mode == 'RGB' and not profile:
            return plain
        image = Image.fromarray(plain[..., 0] if image.mode == 'L' else plain, image.mode)
    elif image.mode in ('F', 'I') or _signed(image):
        what = 'floating-point numbers' if image.mode == 'F' else '32-bit or signed integers'
        raise InputError(
            f'{reading.where}: holds {what} of unknown range; save it with 8 or 16 bits'
        )
    elif image.mode.startswith('I;16'):
        image, alpha = _from_16_bits(image)
    elif image.mode in ('LA', 'La', 'L', '1') and ('A' in image.mode.upper() or _keyed(info)):
        image, alpha = image.convert('LA').split()
    elif image.mode in ('RGBA', 'RGBa', 'PA') or _keyed(info):
        if form.endswith('RGB;16') and _keyed(info):
            raise InputError(
                f'{reading.where}: names a transparent colour of 16 bits; save it with 8 bits'
            )
        rgba = image.convert('RGBA')
        image, alpha = rgba.convert('RGB'), rgba.getchannel('A')
    if profile:
        image = from_profile(image, profile, reading)
    pixels = np.asarray(image if image.mode == 'RGB' else image.convert('RGB'))
    if form.startswith('PNG') and not profile and 'srgb' not in info:
        pixels = _from_png_gamma(pixels, info.get('gamma'), info.get('chromaticity'))
    if alpha is not None:
        shares = np.asarray(alpha, np.uint16)[..., None]
        pixels = ((pixels * shares + 127) // 255).astype(np.uint8)
    if ';16' in form and pixels.max(initial=0) <= _ALL_DARK:
        reading.notes.append(
            'dark: no value needs more than 12 of the 16 bits; if 12 bits are meant, save it with '
            'values 16 times as large'
        )
    return pixels


def scaled_to_8_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Shift unsigned integers of a stated number of bits to 8, whatever the largest value is.

    Args:
        values: Integers of any shape.
        bits: How many bits a value has, 8 to 16.

    Example:
        >>> scaled_to_8_bits(np.array([0, 1000, 4095], np.uint16), 12).tolist()
        [0, 62, 255]
        >>> scaled_to_8_bits(np.array([0, 1000, 4095], np.uint16), 16).tolist()
        [0, 3, 15]
    """
    return (values >> (bits - 8)).astype(np.uint8)


def _keyed(info: dict) -> bool:
    return 'transparency' in info


def _from_16_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    values, tags = np.asarray(image), getattr(image, 'tag_v2', {})
    bits = 12 if tags.get(258) == (12,) else 16
    if tags.get(262) == 0:  # 0 is white; Pillow turns only 8-bit pictures
        values = (1 << bits) - 1 - values
    alpha = None
    if _keyed(image.info):
        alpha = Image.fromarray(np.where(values == image.info['transparency'], 0, 255).astype('u1'))
    return Image.fromarray(scaled_to_8_bits(values, bits)), alpha


def from_profile(image: Image.Image, profile: bytes, reading: Reading) -> Image.Image:
    """Convert to sRGB by an ICC profile, relative colorimetric.

    Args:
        image: Colours that the profile describes.
        profile: The profile.
        reading: Is told if the profile is broken or for other colours.

    Returns:
        RGB, or ``image`` itself if the profile says sRGB or is broken, and that was accepted.

    Raises:
        InputError: If it is broken, and that is not accepted.
    """
    if image.mode not in ('L', 'RGB', 'CMYK', 'LAB'):
        image = image.convert('RGB' if image.mode != '1' else 'L')
    try:
        transform = _transform(profile, image.mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        reading.damaged(f'its colour profile cannot be used: {error}')
        return image
    return transform.apply(image) if transform else image


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Make the way from a profile to sRGB, relative colorimetric; None if it changes nothing."""
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile('sRGB'), mode, 'RGB',
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    if mode == 'RGB':  # most profiles say sRGB: 17 levels a channel tell
        levels = np.linspace(0, 255, 17).astype(np.uint8)
        probe = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(17, -1, 3)
        changed = np.asarray(transform.apply(Image.fromarray(probe)))
        if np.abs(changed.astype(int) - probe).max() <= 1:
            return None
    return transform


def _from_png_gamma(
    pixels: np.ndarray, gamma: float | None, chromaticity: tuple[float, ...] | None
) -> np.ndarray:
    """Convert by a PNG's gAMA and cHRM chunks, which count where sRGB and iCCP are absent."""
    usual = gamma is None or abs(gamma - _SRGB_GAMMA) < 0.005
    same = chromaticity is None or np.allclose(chromaticity, _SRGB_CHROMATICITIES, atol=0.002)
    if (usual and same) or gamma == 0:
        return pixels
    values = np.arange(256) / 255
    light = _srgb_light(values) if usual else values ** (1 / gamma)
    if same:
        return np.round(255 * _srgb_code(light)).astype(np.uint8)[pixels]
    to_linear_srgb = np.linalg.inv(_SRGB_TO_XYZ) @ _primaries(*chromaticity)
    result = np.empty_like(pixels)
    for row in range(0, len(pixels), 256):  # in strips, since floats take eight times the memory
        strip = light[pixels[row : row + 256]] @ to_linear_srgb.T
        result[row : row + 256] = np.round(255 * _srgb_code(np.clip(strip, 0, 1)))
    return result


def _primaries(*xy: float) -> np.ndarray:
    """Make the matrix to XYZ from white point, red, green and blue (x, y each)."""
    x, y = np.array(xy[0::2]), np.array(xy[1::2])
    columns = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    return columns[:, 1:] * np.linalg.solve(columns[:, 1:], columns[:, 0])


def _srgb_light(code: np.ndarray) -> np.ndarray:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def _srgb_code(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
