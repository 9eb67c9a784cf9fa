"""What myopia does to the posterior pole: staphyloma and the grades of atrophy, with masks.

The grades follow the International Meta-Analysis for Pathologic Myopia (META-PM) in words:
tessellation (A1), diffuse chorioretinal atrophy (A2), patchy atrophy (A3), macular atrophy (A4),
and posterior staphyloma (S1). A higher grade shows the lower ones as well. The same module paints
what is *not* the label: changes that occur in every class, away from the posterior pole.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from realmnet.curation.synthetic.anatomy import Canvas, Eye

#: Classes that have something to show; S0 and A0 are the absence of it.
MASK_CLASSES = ('S1', 'A1', 'A2', 'A3', 'A4')


@dataclass(frozen=True)
class Staphyloma:
    """An outpouching of the posterior pole, seen by its edge.

    Attributes:
        centre: Array (2,), eye coordinates.
        axes: Half axes of the ellipse.
        degrees: Its rotation.
        gap: Direction in radians where the edge fades.
        fade: 0 for a closed ring, up to 1 for half a ring.
    """

    centre: np.ndarray
    axes: tuple[float, float]
    degrees: float
    gap: float
    fade: float


@dataclass(frozen=True)
class Patch:
    """A well-defined atrophic patch: its scalloped outlines, each (K, 2) in eye coordinates."""

    centre: np.ndarray
    radius: float
    outlines: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Lesions:
    """Everything that the label set of an eye puts on its posterior pole.

    Attributes:
        label_set: Such as ``S1A2``.
        tessellation: Visibility of the choroid at the pole, 0 to 1.
        crescent: Width of the peripapillary crescent in disc widths, 0 for none.
        diffuse: Opacity of the diffuse atrophy, 0 for none.
        diffuse_axes: Half axes of the diffuse atrophy.
        patches: Patchy atrophy outside the fovea.
        macular: Patch on the fovea, if any.
        staphyloma: The staphyloma, if any.
    """

    label_set: str
    tessellation: float
    crescent: float
    diffuse: float
    diffuse_axes: tuple[float, float]
    patches: tuple[Patch, ...]
    macular: Patch | None
    staphyloma: Staphyloma | None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the label set that have a mask."""
        names = (self.label_set[:2], self.label_set[2:])
        return tuple(name for name in names if name in MASK_CLASSES)


def draw_lesions(rng: np.random.Generator, eye: Eye, label_set: str) -> Lesions:
    """Draw the lesions of an eye.

    Args:
        rng: Source of randomness.
        eye: The eye, for the positions of disc and fovea.
        label_set: One of ``labels.LABEL_SETS``.

    Returns:
        The lesions.

    Example:
        >>> from realmnet.curation.synthetic.anatomy import grow_eye
        >>> rng = np.random.default_rng(0)
        >>> draw_lesions(rng, grow_eye(rng, 'OD'), 'S0A3').classes
        ('A3',)
    """
    grade = int(label_set[3])
    tessellation = (rng.uniform(0.0, 0.08), rng.uniform(0.9, 1.0), *rng.uniform(0.25, 0.6, 3))[
        grade
    ]
    crescent = (rng.random() < 0.3) * rng.uniform(0.1, 0.3) if grade == 0 else rng.uniform(0.2, 0.8)
    diffuse = (0.0, 0.0, rng.uniform(0.9, 1.0), rng.uniform(0.0, 0.2), rng.uniform(0.0, 0.2))[grade]
    patches = ()
    if grade == 3 or (grade == 4 and rng.random() < 0.15):
        patches = _draw_patches(rng, eye, count=int(rng.integers(3, 6)) if grade == 3 else 1)
    macular = None
    if grade == 4:
        macular = _draw_patch(rng, eye.fovea + rng.normal(0, 0.006, 2), rng.uniform(0.115, 0.15))
    staphyloma = None
    if label_set[1] == '1':
        staphyloma = Staphyloma(
            centre=eye.fovea * 0.3 + rng.normal(0, 0.03, 2),
            axes=(rng.uniform(0.42, 0.54), rng.uniform(0.36, 0.46)),
            degrees=rng.normal(0, 20),
            gap=rng.uniform(0, 2 * np.pi),
            fade=rng.uniform(0.1, 0.8),
        )
    diffuse_axes = (rng.uniform(0.34, 0.44), rng.uniform(0.28, 0.37))
    return Lesions(
        label_set, tessellation, crescent, diffuse, diffuse_axes, patches, macular, staphyloma
    )


def _draw_patch(rng: np.random.Generator, centre: np.ndarray, radius: float) -> Patch:
    """Draw a patch as one to three scalloped lobes."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    outlines = []
    for lobe in range(int(rng.integers(1, 4))):
        waves = np.arange(2, 8)[:, None]
        bumps = rng.normal(0, 0.16 / waves**0.8) * np.cos(
            waves * turn + rng.uniform(0, 7, waves.shape)
        )
        size = radius * (1.0 if lobe == 0 else rng.uniform(0.45, 0.7)) * (1 + bumps.sum(0))
        way = rng.uniform(0, 2 * np.pi)
        shift = 0.0 if lobe == 0 else 0.75 * radius
        middle = centre + shift * np.array([np.cos(way), np.sin(way)])
        stretch = np.array([rng.uniform(0.85, 1.2), rng.uniform(0.8, 1.1)])
        ring = np.stack([np.cos(turn), np.sin(turn)], 1) * stretch
        outlines.append(middle + size[:, None] * ring)
    return Patch(np.asarray(centre), radius, tuple(outlines))


def _draw_patches(rng: np.random.Generator, eye: Eye, count: int) -> tuple[Patch, ...]:
    """Place patches around the fovea, clear of the fovea, the disc and each other."""
    patches = []
    for _ in range(40):
        radius = rng.uniform(0.065, 0.095)
        way, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.18, 0.34)
        centre = eye.fovea + far * np.array([np.cos(way), np.sin(way)])
        clear = np.hypot(*(centre - eye.disc)) > radius + 0.09
        clear &= far > 1.6 * radius + 0.06
        clear &= all(np.hypot(*(centre - p.centre)) > 1.35 * (radius + p.radius) for p in patches)
        if clear:
            patches.append(_draw_patch(rng, centre, radius))
        if len(patches) == count:
            break
    return tuple(patches)


def kink(points: np.ndarray, staphyloma: Staphyloma | None) -> np.ndarray:
    """Bend vessels where they cross the edge of a staphyloma.

    Args:
        points: Array (..., 2), eye coordinates.
        staphyloma: The staphyloma; without one the points come back as they are.

    Returns:
        Array of the same shape.
    """
    if staphyloma is None:
        return points
    cos, sin = np.cos(np.deg2rad(staphyloma.degrees)), np.sin(np.deg2rad(staphyloma.degrees))
    offset = points - staphyloma.centre
    u = (offset[..., 0] * cos + offset[..., 1] * sin) / staphyloma.axes[0]
    v = (offset[..., 1] * cos - offset[..., 0] * sin) / staphyloma.axes[1]
    around = np.stack([-offset[..., 1], offset[..., 0]], -1)
    bump = np.exp(-(((np.hypot(u, v) - 1) / 0.07) ** 2)) * np.sign(np.sin(5 * np.arctan2(v, u)))
    return points + 0.09 * bump[..., None] * around


def paint_staphyloma(rgb, canvas: Canvas, staphyloma: Staphyloma, rng) -> np.ndarray:
    """Paint the pale ridge, its shadow and the step in brightness; give the mask of the ridge.

    Args:
        rgb: Three arrays (side, side) in [0, 1], changed in place.
        canvas: Their raster.
        staphyloma: What to paint.
        rng: Source of randomness.

    Returns:
        Mask (side, side) float32 in [0, 1].
    """
    squared = canvas.squared_distance(staphyloma.centre, staphyloma.axes, staphyloma.degrees)
    rho = np.sqrt(squared) + 0.05 * canvas.noise(rng, 0.5) + 0.015 * canvas.noise(rng, 0.15)
    x, y = canvas.grid
    way = np.arctan2(y - float(staphyloma.centre[1]), x - float(staphyloma.centre[0]))
    strength = 1 - staphyloma.fade * np.clip(np.cos(way - staphyloma.gap), 0, 1) ** 2
    strength *= np.clip(0.9 + 0.25 * canvas.noise(rng, 0.3), 0.3, 1.2)
    ridge = np.exp(-(((rho - 0.99) / 0.075) ** 2)) * strength
    shade = np.exp(-(((rho - 1.17) / 0.1) ** 2)) * strength
    inside = 1 / (1 + np.exp(np.clip((rho - 1) / 0.05, -30, 30)))
    step = inside * float(rng.uniform(-0.05, 0.14))
    for channel, (light, dark) in zip(rgb, ((0.14, 0.55), (0.2, 0.5), (0.08, 0.35)), strict=True):
        channel *= (1 - dark * shade) * (1 + step)
        channel += light * ridge
    return ((np.abs(rho - 1) < 0.13) & (strength > 0.35)).astype(np.float32)


def paint_diffuse(rgb, canvas: Canvas, lesions: Lesions, rng) -> np.ndarray:
    """Paint ill-defined yellowish atrophy over the pole; give its mask (arguments as above)."""
    squared = canvas.squared_distance(np.zeros(2), lesions.diffuse_axes)
    level = 1.15 - squared + 0.28 * canvas.noise(rng, 0.3, 2)
    veil = lesions.diffuse / (1 + np.exp(-np.clip(3.2 * level, -30, 30)))
    for channel, colour in zip(rgb, (0.68, 0.66, 0.22), strict=True):
        # paler than what it covers, however light that is
        channel += 0.75 * veil * (np.maximum(colour, 1.4 * channel) - channel)
    return (veil > 0.5 * max(lesions.diffuse, 1e-6)).astype(np.float32)


def paint_patches(rgb, canvas: Canvas, patches, choroid, rng) -> np.ndarray:
    """Paint well-defined pale patches with choroidal remnants and pigment; give their mask.

    Args:
        rgb: Three arrays (side, side) in [0, 1], changed in place.
        canvas: Their raster.
        patches: The patches.
        choroid: Array (side, side), coverage by choroidal vessels that shine through.
        rng: Source of randomness.

    Returns:
        Mask (side, side) float32 in [0, 1].
    """
    cover = canvas.polygon(*(outline for patch in patches for outline in patch.outlines))
    texture = 1 + 0.09 * canvas.noise(rng, 0.06) - 0.22 * choroid
    for channel, colour in zip(rgb, (0.78, 0.76, 0.34), strict=True):
        channel += 0.92 * cover * (colour * texture - channel)
    soft = canvas.blur(cover, 0.012)
    edge = 4 * soft * (1 - soft)
    rim = edge * np.clip(0.15 + 0.6 * canvas.noise(rng, 0.06, 2), 0, 0.85)
    clumps = soft * np.clip(canvas.noise(rng, 0.035, 2) - 1.6, 0, 1)
    for channel, keep in zip(rgb, (0.75, 0.8, 0.6), strict=True):
        channel *= 1 - keep * np.clip(rim + clumps, 0, 1)
    return (cover > 0.5).astype(np.float32)


def paint_distractors(rgb, canvas: Canvas, rng) -> None:
    """Paint findings of the periphery that occur in every class (arguments as above).

    White without pressure, laser scars, paving-stone patches, drusen-like spots, pigment,
    haemorrhages: each with its own probability, independent of the label, at 0.6 eye units from
    the pole or more.
    """
    if rng.random() < 0.5:
        _paint_pallor(rgb, canvas, rng)
    if rng.random() < 0.25:
        _paint_spots(rgb, canvas, rng, count=rng.integers(20, 90), radius=(0.012, 0.022), ring=True)
    if rng.random() < 0.3:
        patches = [
            _draw_patch(rng, _peripheral(rng, 1)[0], rng.uniform(0.03, 0.08)) for _ in range(3)
        ]
        choroid = np.clip(canvas.noise(rng, 0.08), 0, 1)
        paint_patches(rgb, canvas, patches[: rng.integers(1, 4)], choroid, rng)
    if rng.random() < 0.35:
        _paint_spots(rgb, canvas, rng, count=rng.integers(8, 60), radius=(0.004, 0.012), ring=False)
    if rng.random() < 0.35:
        centre, spread = _peripheral(rng, 1)[0], rng.uniform(0.1, 0.25)
        far = np.exp(-canvas.squared_distance(centre, (spread, spread)))
        dark = far * np.clip(canvas.noise(rng, 0.05, 2) - 0.9, 0, 1)
        for channel in rgb:
            channel *= 1 - 0.85 * np.clip(1.5 * dark, 0, 1)
    if rng.random() < 0.15:
        blots = [
            _draw_patch(rng, centre, rng.uniform(0.012, 0.04)) for centre in _peripheral(rng, 4)
        ]
        cover = canvas.polygon(*(outline for blot in blots for outline in blot.outlines))
        for channel, keep in zip(rgb, (0.45, 0.75, 0.5), strict=True):
            channel *= 1 - keep * cover


def _peripheral(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw points of the periphery, (count, 2)."""
    far, way = rng.uniform(0.68, 1.25, count), rng.uniform(0, 2 * np.pi, count)
    return far[:, None] * np.stack([np.cos(way), np.sin(way)], 1)


def _paint_pallor(rgb, canvas: Canvas, rng) -> None:
    """Paint white without pressure: a large pale area of the periphery."""
    way, width = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.9)
    x, y = canvas.grid
    far = np.sqrt(canvas.squared_distance(np.zeros(2)))
    aligned = np.cos(np.arctan2(y, x) - way) - np.cos(width)
    level = np.minimum(4 * aligned, 9 * (far - rng.uniform(0.62, 0.85))) + 0.5 * canvas.noise(
        rng, 0.3, 2
    )
    veil = rng.uniform(0.25, 0.6) / (1 + np.exp(-np.clip(3 * level, -30, 30)))
    colour = rng.uniform((0.5, 0.55, 0.15), (0.7, 0.72, 0.35))
    for channel, value in zip(rgb, colour, strict=True):
        channel += veil * (value - channel)


def _paint_spots(rgb, canvas: Canvas, rng, count, radius, ring: bool) -> None:
    """Paint a cluster of small round spots; a ring is a laser scar with a pigmented middle."""
    count = int(count)
    centre = _peripheral(rng, 1)[0]
    points = centre + rng.normal(0, rng.uniform(0.12, 0.3), (count, 2))
    points = points[np.hypot(*points.T) > 0.62]
    pale = np.zeros((canvas.side, canvas.side), np.uint8)
    dark = pale.copy()
    fixed = np.round((canvas.pixels(points) - 0.5) * 16).astype(int)
    sizes = rng.uniform(*radius, len(points)) * canvas.scale
    for (x, y), size in zip(fixed.tolist(), sizes.tolist(), strict=True):
        cv2.circle(pale, (x, y), max(round(size * 16), 8), 255, -1, cv2.LINE_AA, 4)
        if ring:
            cv2.circle(dark, (x, y), max(round(size * 8), 6), 255, -1, cv2.LINE_AA, 4)
    pale, dark = pale.astype(np.float32) / 255, dark.astype(np.float32) / 255
    opacity = rng.uniform(0.3, 0.7)
    for channel, colour in zip(rgb, (0.5, 0.68, 0.3), strict=True):
        channel += opacity * pale * (colour - channel)
        channel *= 1 - 0.6 * opacity * dark
