"""The fundus of one eye as a map in eye coordinates: background, choroid, lesions, vessels."""

from dataclasses import dataclass

import numpy as np

from realmnet.curation.synthetic.anatomy import Canvas, Eye
from realmnet.curation.synthetic.lesions import (
    Lesions,
    kink,
    paint_diffuse,
    paint_distractors,
    paint_patches,
    paint_staphyloma,
)


@dataclass(frozen=True)
class Fundus:
    """A painted fundus.

    Attributes:
        canvas: Its raster.
        rgb: Array (side, side, 3), float32 reflectance in [0, 1].
        masks: Class name to array (side, side), float32 in [0, 1].
    """

    canvas: Canvas
    rgb: np.ndarray
    masks: dict[str, np.ndarray]


def paint_fundus(eye: Eye, lesions: Lesions, size: int, rng: np.random.Generator) -> Fundus:
    """Paint an eye with its lesions.

    The red and green channels have blotches of their own, as in a scanning-laser picture that is
    put together from a red and a green laser: red reaches the choroid, green stays in the retina.

    Args:
        eye: The anatomy.
        lesions: What the label set adds.
        size: Side in pixels of the pictures that will be taken; it sets the resolution.
        rng: Source of randomness.

    Returns:
        The fundus.

    Example:
        >>> from realmnet.curation.synthetic.anatomy import grow_eye
        >>> from realmnet.curation.synthetic.lesions import draw_lesions
        >>> rng = np.random.default_rng(0)
        >>> eye = grow_eye(rng, 'OD')
        >>> sorted(paint_fundus(eye, draw_lesions(rng, eye, 'S1A2'), 64, rng).masks)
        ['A2', 'S1']
    """
    canvas = Canvas(size / 2 * (1.25 if size <= 160 else 1.0))
    far2 = canvas.squared_distance(np.zeros(2))
    masks = {}

    rgb = _background(canvas, far2, rng)
    choroid = canvas.lines(eye.choroid.points, eye.choroid.widths)
    masks['A1'] = _paint_choroid(rgb, canvas, choroid, far2, lesions.tessellation, rng)
    _paint_macula(rgb, canvas, eye, rng)
    paint_distractors(rgb, canvas, rng)
    if lesions.diffuse:
        masks['A2'] = paint_diffuse(rgb, canvas, lesions, rng)
    if lesions.staphyloma:
        masks['S1'] = paint_staphyloma(rgb, canvas, lesions.staphyloma, rng)
    if lesions.patches:
        masks['A3'] = paint_patches(rgb, canvas, lesions.patches, choroid, rng)
    if lesions.macular:
        masks['A4'] = paint_patches(rgb, canvas, [lesions.macular], choroid, rng)
    _paint_disc(rgb, canvas, eye, lesions, rng)
    _paint_vessels(rgb, canvas, eye, lesions, rng)
    image = np.stack(rgb, -1)
    np.clip(image, 0.0, 1.0, out=image)
    return Fundus(canvas, image, {name: masks[name] for name in lesions.classes})


def _background(canvas: Canvas, far2: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Paint pigment epithelium: a base colour, shading from the pole, blotches and grain."""
    base = rng.uniform((0.26, 0.2, 0.02), (0.46, 0.42, 0.08))
    glow = np.exp(-far2 / float(rng.uniform(0.25, 0.9)))
    shared = canvas.noise(rng, 0.9, 2)
    grain = canvas.noise(rng, 0.035, 2)
    rgb = []
    for value, blotch, lift in zip(base, (0.2, 0.17, 0.1), (0.1, 0.3, 0.1), strict=True):
        own = canvas.noise(rng, 0.75, 3)
        rgb.append(value * (1 + blotch * own + 0.07 * shared + 0.035 * grain + lift * glow))
    return rgb


def _paint_choroid(rgb, canvas, choroid, far2, visible, rng) -> np.ndarray:
    """Let the choroidal vessels shine through; give the mask of tessellation at the pole.

    In the far periphery they show in any eye, in a sector of its own; at the pole only as far as
    the eye is tessellated.
    """
    pole = 1 / (1 + np.exp(np.clip((np.sqrt(far2) - 0.55) / 0.09, -30, 30)))
    pole *= np.clip(0.85 + 0.2 * canvas.noise(rng, 0.4), 0, 1)
    sector = np.clip(0.25 + 0.8 * canvas.noise(rng, 0.7), 0, 1) * np.clip((far2 - 0.32) * 3, 0, 1)
    share = np.maximum(visible * pole, rng.uniform(0.2, 0.9) * sector)
    between = 1 - canvas.blur(choroid, 0.012)
    for channel, light, dark in zip(rgb, (0.27, 0.12, 0.03), (0.4, 0.34, 0.2), strict=True):
        channel += share * light * choroid
        channel *= 1 - dark * share * between**2
    return (pole > 0.5).astype(np.float32)


def _paint_macula(rgb, canvas: Canvas, eye: Eye, rng: np.random.Generator) -> None:
    """Darken the macula, with a darker fovea and the sheen of nerve fibres around the disc."""
    macula = np.exp(-canvas.squared_distance(eye.fovea, (0.11, 0.095)))
    pit = np.exp(-canvas.squared_distance(eye.fovea, (0.035, 0.035)))
    depth = rng.uniform(0.25, 0.5)
    sheen = np.exp(-canvas.squared_distance(eye.disc, (0.26, 0.3))) * rng.uniform(0.03, 0.13)
    for channel, share, light in zip(rgb, (0.6, 1.0, 0.6), (0.6, 1.0, 0.25), strict=True):
        channel += light * sheen
        channel *= 1 - share * depth * (0.65 * macula + 0.55 * pit)


def _paint_disc(rgb, canvas: Canvas, eye: Eye, lesions: Lesions, rng) -> None:
    """Paint the optic disc with its cup, and the crescent on its temporal side."""
    tone = rng.uniform(0.85, 1.0)
    if lesions.crescent:
        reach = eye.disc_axes[0] * (1 + lesions.crescent)
        centre = eye.disc + [eye.side * eye.disc_axes[0] * lesions.crescent, rng.normal(0, 0.006)]
        rho = canvas.squared_distance(centre, (reach, eye.disc_axes[1] * 1.12), eye.disc_angle)
        cover = np.clip((1.08 - rho + 0.06 * canvas.noise(rng, 0.08)) * 6, 0, 1)
        for channel, colour in zip(rgb, (0.8, 0.74, 0.38), strict=True):
            channel += 0.85 * cover * (tone * colour - channel)
    rho = canvas.squared_distance(eye.disc, eye.disc_axes, eye.disc_angle)
    cover = np.clip((1.05 - rho) * 5, 0, 1)
    for channel, colour in zip(rgb, (0.86, 0.6, 0.2), strict=True):
        channel += 0.95 * cover * (tone * colour - channel)
    ratio = rng.uniform(0.3, 0.6)
    cup_axes = (eye.disc_axes[0] * ratio, eye.disc_axes[1] * ratio)
    cup = np.exp(-(canvas.squared_distance(eye.disc, cup_axes) ** 2))
    for channel, colour in zip(rgb, (0.95, 0.85, 0.5), strict=True):
        channel += 0.7 * cup * (tone * colour - channel)


def _paint_vessels(rgb, canvas: Canvas, eye: Eye, lesions: Lesions, rng) -> None:
    """Paint veins and arteries; an artery is lighter and carries a central reflex."""
    vessels = eye.vessels
    points = kink(vessels.points, lesions.staphyloma)
    depth = rng.uniform(0.8, 1.0)
    for artery, keep in ((False, (0.46, 0.72, 0.6)), (True, (0.27, 0.62, 0.5))):
        chosen = vessels.is_artery == artery
        cover = canvas.lines(points[chosen], vessels.widths[chosen])
        for channel, strength in zip(rgb, keep, strict=True):
            channel *= 1 - depth * strength * cover
        if artery and canvas.scale > 100:
            reflex = canvas.lines(points[chosen][:40], vessels.widths[chosen][:40] * 0.3)
            for channel, light in zip(rgb, (0.2, 0.13, 0.05), strict=True):
                channel += light * reflex
