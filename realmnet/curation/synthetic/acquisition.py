"""How the fundus becomes a picture: gaze, exposure, field, lids, lashes, border, noise."""

from dataclasses import dataclass

import cv2
import numpy as np

from realmnet.curation.synthetic.fundus import Fundus

#: The posterior pole stays within this part of the picture in both directions.
POLE_RANGE = (0.2, 0.8)


@dataclass(frozen=True)
class Device:
    """How the pictures of a source look.

    Attributes:
        border: Share of the pictures with a black border (Table A3 of the paper).
        gain: Mean gain of red, green, blue.
        blur: Mean blur in thousandths of the side of a picture.
        frame: Colour of what surrounds the retina where it is not black.
    """

    border: float
    gain: tuple[float, float, float]
    blur: float
    frame: tuple[float, float, float]


DEVICES = {
    'ShenzhenEye': Device(0.73, (1.0, 1.0, 0.6), 2.0, (0.32, 0.42, 0.04)),
    'SUSTech': Device(1.0, (1.1, 0.88, 0.7), 3.0, (0.28, 0.4, 0.05)),
    'LishuiR': Device(0.0, (0.95, 1.06, 0.5), 2.5, (0.36, 0.5, 0.04)),
    'Zhongshan': Device(0.0, (1.08, 0.92, 1.3), 1.5, (0.12, 0.1, 0.05)),
    'LishuiZ': Device(0.0, (1.14, 0.82, 1.6), 2.2, (0.07, 0.05, 0.04)),
}


@dataclass(frozen=True)
class Shot:
    """A picture as taken.

    Attributes:
        image: Array (S, S, 3), uint8, RGB.
        masks: Class name to array (S, S), uint8, 0 or 255.
        pole: Position x, y of the posterior pole in pixels.
        has_border: Whether a black border was left on.
        quality: JPEG quality to store it with.
    """

    image: np.ndarray
    masks: dict[str, np.ndarray]
    pole: tuple[float, float]
    has_border: bool
    quality: int


def take_picture(fundus: Fundus, source: str, size: int, rng: np.random.Generator) -> Shot:
    """Take one picture of a fundus.

    Args:
        fundus: What is photographed.
        source: Key of `DEVICES`.
        size: Side in pixels.
        rng: Source of randomness; pictures of one eye differ by it alone.

    Returns:
        The picture with the masks of its label set.

    Example:
        >>> from realmnet.curation.synthetic.anatomy import grow_eye
        >>> from realmnet.curation.synthetic.lesions import draw_lesions
        >>> from realmnet.curation.synthetic.fundus import paint_fundus
        >>> rng = np.random.default_rng(0)
        >>> eye = grow_eye(rng, 'OD')
        >>> fundus = paint_fundus(eye, draw_lesions(rng, eye, 'S0A4'), 64, rng)
        >>> take_picture(fundus, 'SUSTech', 64, rng).has_border
        True
    """
    device = DEVICES[source]
    has_border = bool(rng.random() < device.border)
    x, y = np.meshgrid(*[((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)] * 2)
    field, outside = _field(x, y, has_border, rng)
    for attempt in range(6):
        matrix, pole = _gaze(size, has_border, rng, reach=0.75**attempt)
        masks = {name: _warp(mask, matrix, fundus, size) for name, mask in fundus.masks.items()}
        masks = {name: (mask > 0.5) & (field > 0.5) for name, mask in masks.items()}
        # a lesion that the gaze has put out of sight would make the label wrong
        if all(mask.sum() >= 0.3 * _expected(fundus, name, size) for name, mask in masks.items()):
            break
    image = _warp(fundus.rgb, matrix, fundus, size, cv2.BORDER_REFLECT_101)
    image = _expose(image, device, x, y, rng)
    image = _add_floaters(image, x, y, rng)
    image = _blur(image, size * device.blur / 1000 * rng.uniform(0.5, 1.6))
    image = _surround(image, field, outside, device, has_border, x, y, rng)
    image = _add_noise(image, rng)
    pixels = np.clip(image * 255, 0, 255).astype(np.uint8)
    masks = {name: mask.astype(np.uint8) * 255 for name, mask in masks.items()}
    return Shot(pixels, masks, pole, has_border, int(rng.integers(72, 96)))


def _expected(fundus: Fundus, name: str, size: int) -> float:
    """Give the area in pixels that a mask has when nothing hides it."""
    return float(fundus.masks[name].sum()) * (size / 2 / fundus.canvas.scale) ** 2


def _gaze(size: int, has_border: bool, rng: np.random.Generator, reach: float):
    """Draw where the eye looks: the affine map from canvas to picture and the pole's position."""
    shift = rng.normal(0, 0.19 * reach, 2).clip(-0.5 * reach, 0.5 * reach)
    low, high = (np.array(POLE_RANGE) + [0.02, -0.02]) * size
    pole = np.clip((1 + shift) * size / 2, low, high)
    zoom = size / 2 * rng.uniform(0.92, 1.1) * (0.94 if has_border else 1.0)
    angle = np.deg2rad(np.clip(rng.normal(0, 5), -12, 12))
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([turn, pole[:, None]], 1), (float(pole[0]), float(pole[1]))


def _warp(layer, matrix, fundus: Fundus, size: int, border: int = cv2.BORDER_CONSTANT):
    """Bring a layer from the canvas into the picture."""
    canvas = fundus.canvas
    to_eye = np.array([[1, 0, 0.5 - canvas.side / 2], [0, 1, 0.5 - canvas.side / 2]]) / canvas.scale
    to_eye = np.concatenate([to_eye, [[0, 0, 1]]])
    whole = matrix @ to_eye - [[0, 0, 0.5]]
    flags = cv2.INTER_LINEAR if canvas.scale >= 0.6 * size else cv2.INTER_CUBIC
    return cv2.warpAffine(layer, whole, (size, size), flags=flags, borderMode=border)


def _coarse_noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Draw smooth noise (size, size)."""
    grid = rng.standard_normal((cells, cells), dtype=np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def _expose(image, device: Device, x, y, rng: np.random.Generator) -> np.ndarray:
    """Apply uneven light, colour cast, haze and the response curve."""
    size = image.shape[0]
    gain = np.array(device.gain) * np.exp(rng.normal(0, (0.22, 0.22, 0.3)))
    gain = (gain * np.exp(rng.normal(0, 0.2))).astype(np.float32)
    light = (
        1 + 0.14 * _coarse_noise(rng, size, 4) + rng.normal(0, 0.14) * x + rng.normal(0, 0.14) * y
    )
    tint = 1 + 0.1 * _coarse_noise(rng, size, 4)
    image = np.clip(image, 0, 1) * np.clip(light, 0.25, 2)[..., None] * gain
    image[..., 0] *= tint
    haze = np.clip(rng.normal(0.0, 0.05), 0, 0.14)
    image = image * (1 - haze) + haze * np.array([0.6, 0.7, 0.2], np.float32) * (
        0.6 + 0.4 * light[..., None]
    )
    image = np.clip(image, 1e-4, None) ** np.float32(np.exp(rng.normal(0, 0.16)))
    # a shoulder instead of clipping, as far as the device allows
    return np.where(image > 0.7, 0.7 + 0.3 * np.tanh((image - 0.7) / 0.45), image)


def _add_floaters(image, x, y, rng: np.random.Generator) -> np.ndarray:
    """Add soft shadows of the vitreous and bright reflexes of the optics."""
    for _ in range(rng.poisson(0.6)):
        centre, width = rng.uniform(-0.9, 0.9, 2), rng.uniform(0.03, 0.14, 2)
        blob = np.exp(-(((x - centre[0]) / width[0]) ** 2) - ((y - centre[1]) / width[1]) ** 2)
        image = image * (1 - rng.uniform(0.15, 0.5) * blob)[..., None]
    for _ in range(rng.poisson(0.7)):
        way, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 0.95)
        centre, width = far * np.array([np.cos(way), np.sin(way)]), rng.uniform(0.01, 0.05, 2)
        cos, sin = np.cos(way), np.sin(way)
        u = ((x - centre[0]) * cos + (y - centre[1]) * sin) / width[0]
        v = ((y - centre[1]) * cos - (x - centre[0]) * sin) / (2 * width[1])
        blob = np.exp(-((u**2 + v**2) ** 2)) * rng.uniform(0.2, 0.7)
        image = image + blob[..., None] * np.array([0.7, 0.8, 0.25], np.float32)
    return image.astype(np.float32)


def _blur(image, sigma: float) -> np.ndarray:
    """Blur by ``sigma`` pixels where that is visible."""
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.25 else image


def _field(x, y, has_border: bool, rng: np.random.Generator):
    """Draw the lit field: a rounded superellipse cut by lids at the top and bottom.

    Returns:
        Coverage (S, S) in [0, 1] of the retina, and the height above the edge where it is outside.
    """
    axes = (
        rng.uniform((0.9, 0.82), (1.0, 0.97))
        if has_border
        else rng.uniform((1.0, 0.95), (1.15, 1.1))
    )
    power = rng.uniform(2.3, 3.4)
    centre = rng.normal(0, 0.02, 2)
    radius = (
        np.abs((x - centre[0]) / axes[0]) ** power + np.abs((y - centre[1]) / axes[1]) ** power
    ) ** (1 / power)
    outside = radius - 1
    # lids: parabolas that come in from below (often) and above (seldom), tilted
    for sign, chance in ((1, 0.65), (-1, 0.4)):
        if rng.random() < chance:
            edge = rng.uniform(0.7, 1.0) - rng.uniform(0.1, 0.45) * (x - rng.normal(0, 0.25)) ** 2
            outside = np.maximum(outside, sign * y - edge)
    outside = outside + 0.012 * _coarse_noise(rng, x.shape[0], 6)
    softness = rng.uniform(0.012, 0.03)
    return 1 / (1 + np.exp(np.clip(outside / softness, -30, 30))), outside


def _surround(image, field, outside, device, has_border, x, y, rng) -> np.ndarray:
    """Put the retina into its surround: lids, lashes, a dark seam and, if left on, the border."""
    size = image.shape[0]
    colour = (
        np.array(device.frame, np.float32)
        * rng.uniform(0.6, 1.5)
        * rng.uniform(0.85, 1.15, 3).astype(np.float32)
    )
    sheen = 0.75 + 0.25 * _coarse_noise(rng, size, 5) + 0.4 * np.clip(outside, 0, 1)
    skin = np.clip(outside / 0.06, 0, 1) * np.clip(sheen, 0.2, 2)
    frame = skin[..., None] * colour
    vignette = 1 - rng.uniform(0.3, 0.8) * np.exp(np.clip(outside, -1, 0) / rng.uniform(0.05, 0.16))
    image = image * (field * vignette)[..., None] + frame * (1 - field)[..., None]
    image = _add_lashes(image, rng)
    if has_border:
        margin = rng.uniform(0.0, 0.07, 2)
        inner = (np.abs(x) < 1 - margin[0]) & (np.abs(y) < 1 - margin[1])
        # half of the borders follow the round field, half are bars around the frame
        keep = inner * np.where(outside < 0.02, 1.0, 0.0) if rng.random() < 0.5 else inner
        image = image * keep[..., None].astype(np.float32)
    return image.astype(np.float32)


def _add_lashes(image, rng: np.random.Generator) -> np.ndarray:
    """Draw dark, out-of-focus lashes that reach in from the bottom or the top."""
    size = image.shape[0]
    shadow = np.zeros((size, size), np.uint8)
    for at, sign, chance in ((size, -1, 0.45), (0, 1, 0.25)):
        if rng.random() > chance:
            continue
        count = int(rng.integers(5, 16))
        roots = rng.normal(rng.uniform(0.15, 0.85), 0.16, count) * size
        lengths = rng.uniform(0.1, 0.32, count) * size
        lean, bend = rng.normal(0, 0.35) + rng.normal(0, 0.15, count), rng.normal(0, 0.35, count)
        along = np.linspace(0, 1, 10)
        for root, length, slope, curve in zip(roots, lengths, lean, bend, strict=True):
            px = root + length * (slope * along + curve * along**2)
            py = at + sign * length * along
            path = np.round(np.stack([px, py], 1) * 16).astype(np.int32)
            thickness = max(1, round(size / 110))
            cv2.polylines(shadow, [path[:6]], False, 230, thickness, cv2.LINE_AA, 4)
            cv2.polylines(shadow, [path[5:]], False, 150, max(1, thickness - 1), cv2.LINE_AA, 4)
    if not shadow.any():
        return image
    soft = cv2.GaussianBlur(shadow, (0, 0), max(size / 160, 0.6)).astype(np.float32) / 255
    return image * (1 - 0.85 * soft)[..., None]


def _add_noise(image, rng: np.random.Generator) -> np.ndarray:
    """Add shot and read noise, and now and then the stripe of a scan line."""
    size = image.shape[0]
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    image = image + noise * (rng.uniform(0.006, 0.022) * (0.35 + np.sqrt(np.clip(image, 0, 1))))
    if rng.random() < 0.12:
        row = int(rng.integers(size))
        image[row : row + max(1, size // 250)] += 0.06
    return image
