"""What an eye is made of: optic disc, fovea, vessel tree, choroid, and maps to draw them on.

Eye coordinates: the unit is half the width of a picture, x to the right, y down, and the origin
is the posterior pole, half-way between the optic disc and the fovea. `Canvas` rasterises a square
around it.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

#: Half the side of the canvas in eye units: the gaze may move the pole by 0.6 off the centre.
EXTENT = 1.75
FOVEA_DISTANCE = 0.155


@dataclass(frozen=True)
class Vessels:
    """Vessels as polylines.

    Attributes:
        points: Array (V, T, 2), eye coordinates.
        widths: Array (V, T), calibre in eye units.
        is_artery: Array (V,), boolean.
    """

    points: np.ndarray
    widths: np.ndarray
    is_artery: np.ndarray


@dataclass(frozen=True)
class Eye:
    """Geometry of one eye, without lesions.

    Attributes:
        side: -1 if temporal is to the left (right eye), 1 if to the right.
        fovea: Array (2,), eye coordinates.
        disc: Array (2,), eye coordinates.
        disc_axes: Half axes (horizontal, vertical) of the disc.
        disc_angle: Tilt of the disc in degrees.
        vessels: The retinal vessels.
        choroid: The larger choroidal vessels, running towards the vortex veins.
    """

    side: int
    fovea: np.ndarray
    disc: np.ndarray
    disc_axes: tuple[float, float]
    disc_angle: float
    vessels: Vessels
    choroid: Vessels


class Canvas:
    """A square raster in eye coordinates.

    Args:
        scale: Pixels per eye unit.

    Example:
        >>> canvas = Canvas(20)
        >>> canvas.blank().shape
        (70, 70)
        >>> canvas.pixels(np.zeros((1, 2))).tolist()
        [[35.0, 35.0]]
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.side = round(2 * EXTENT * scale)

    def blank(self) -> np.ndarray:
        """Give zeros of shape (side, side), float32."""
        return np.zeros((self.side, self.side), np.float32)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Convert eye coordinates (..., 2) to pixel coordinates."""
        return np.asarray(points) * self.scale + self.side / 2

    @cached_property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Eye coordinates x and y of the pixel centres, each (side, side) float32."""
        axis = ((np.arange(self.side) + 0.5 - self.side / 2) / self.scale).astype(np.float32)
        return np.broadcast_to(axis, (self.side, self.side)), np.broadcast_to(
            axis[:, None], (self.side,) * 2
        )

    def squared_distance(
        self, centre: np.ndarray, axes: tuple[float, float] = (1.0, 1.0), degrees: float = 0.0
    ) -> np.ndarray:
        """Give the squared elliptic distance from ``centre``, which is 1 on the ellipse."""
        x, y = self.grid
        angle = np.deg2rad(degrees)
        # Python floats, because NumPy's would turn the whole raster into double precision
        cos, sin, across, down = (float(v) for v in (np.cos(angle), np.sin(angle), *centre))
        x, y = x - across, y - down
        u = (x * cos + y * sin) / float(axes[0])
        v = (y * cos - x * sin) / float(axes[1])
        return u * u + v * v

    def noise(self, rng: np.random.Generator, wavelength: float, octaves: int = 1) -> np.ndarray:
        """Draw smooth noise with mean 0 and standard deviation near 1.

        Args:
            rng: Source of randomness.
            wavelength: Size of the coarsest blobs in eye units.
            octaves: Number of layers, each with half the wavelength and 0.6 of the amplitude.

        Returns:
            Array (side, side), float32.
        """
        out, weight, total = self.blank(), 1.0, 0.0
        for octave in range(octaves):
            cells = int(np.clip(2 * EXTENT / wavelength * 2**octave, 2, self.side)) + 1
            coarse = rng.standard_normal((cells, cells), dtype=np.float32)
            out += weight * cv2.resize(
                coarse, (self.side, self.side), interpolation=cv2.INTER_CUBIC
            )
            total += weight**2
            weight *= 0.6
        return out * np.float32(1.35 / np.sqrt(total))

    def polygon(self, *outlines: np.ndarray) -> np.ndarray:
        """Fill closed outlines, each (K, 2) in eye coordinates; give coverage in [0, 1]."""
        out = np.zeros((self.side, self.side), np.uint8)
        for outline in outlines:
            fixed = np.round((self.pixels(outline) - 0.5) * 16).astype(np.int32)
            cv2.fillPoly(out, [fixed], 255, cv2.LINE_AA, 4)
        return out.astype(np.float32) / 255

    def blur(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Blur with a Gaussian of ``sigma`` eye units."""
        pixels = sigma * self.scale
        if pixels < 0.3:
            return image
        if pixels < 4:
            return cv2.GaussianBlur(image, (0, 0), pixels)
        # a wide blur needs no fine raster
        factor = 2.0 / pixels
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), 2.0)
        return cv2.resize(small, (self.side, self.side), interpolation=cv2.INTER_LINEAR)

    def lines(self, points: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """Draw tapering polylines with sub-pixel calibre.

        Segments are grouped by thickness, and a segment thinner than a pixel is drawn fainter
        instead.

        Args:
            points: Array (V, T, 2), eye coordinates.
            widths: Array (V, T), eye units.

        Returns:
            Coverage in [0, 1], (side, side) float32.
        """
        factor = 2 if self.scale < 150 else 1
        out = np.zeros((factor * self.side,) * 2, np.uint8)
        fixed = (self.pixels(points) - 0.5) * factor
        inside = np.abs(points).max(-1) < EXTENT
        segments = np.stack([fixed[:, :-1], fixed[:, 1:]], axis=2)
        calibre = widths[:, :-1] * self.scale * factor
        keep = inside[:, :-1] & inside[:, 1:] & (calibre > 0.1)
        segments, calibre = np.round(segments[keep] * 16).astype(np.int32), calibre[keep]
        # levels: 8 degrees of faintness below one pixel, then the thickness in pixels
        level = np.where(
            calibre < 1, np.ceil(calibre * 8) - 8, np.maximum(np.round(calibre - 0.4), 1)
        ).astype(int)
        for value in np.unique(level):
            thickness, strength = (1, (value + 8) / 8) if value <= 0 else (int(value), 1.0)
            group = segments[level == value]
            cv2.polylines(out, list(group), False, int(255 * strength), thickness, cv2.LINE_AA, 4)
        if factor > 1:
            out = cv2.resize(out, (self.side, self.side), interpolation=cv2.INTER_AREA)
        return out.astype(np.float32) / 255


def grow(rng, start, angle, length, target, wiggle, steps=22):
    """Grow paths that steer towards a wished direction while wandering.

    Args:
        rng: Source of randomness.
        start: Array (V, 2), eye coordinates.
        angle: Array (V,), initial direction in radians.
        length: Array (V,), eye units.
        target: Function from points (V, 2) and directions (V,) to wished directions (V,).
        wiggle: Amplitude of the wandering in radians.
        steps: Number of points of each path.

    Returns:
        Points (V, steps, 2) and the directions (V, steps) along them.
    """
    point, heading = np.array(start, float), np.array(angle, float)
    stride = np.asarray(length)[:, None] / (steps - 1)
    drift = np.zeros(len(point))
    kicks = rng.standard_normal((steps, len(point))) * wiggle
    pull = 1 - np.exp(-7.0 * np.asarray(length) / (steps - 1))
    points, headings = [point], [heading]
    for kick in kicks[1:]:
        wish = target(point, heading)
        heading = heading + pull * np.sin(wish - heading)
        drift = 0.72 * drift + kick
        bent = heading + drift
        point = point + stride * np.stack([np.cos(bent), np.sin(bent)], 1)
        points.append(point)
        headings.append(bent)
    return np.stack(points, 1), np.stack(headings, 1)


def _away_from(centre):
    """Steer radially away from a centre."""
    return lambda point, heading: np.arctan2(point[:, 1] - centre[1], point[:, 0] - centre[0])


def _arcade(fovea, sign, radius):
    """Steer around the fovea on a widening spiral; ``sign`` (V,) is 1 for the superior arcades."""

    def wish(point, heading):
        offset = point - fovea
        distance = np.hypot(*offset.T)
        outward = np.arctan2(offset[:, 1], offset[:, 0])
        along = np.arctan2(-sign * offset[:, 0], sign * offset[:, 1])
        # hug the circle above and below the fovea, leave it once past it
        lean = np.clip(0.05 + 0.6 * (distance / radius - 1), -0.4, 0.4)
        lean = lean + 0.6 * np.clip(-offset[:, 0] / distance - 0.1, 0, 0.8)
        mixed_x = (1 - np.abs(lean)) * np.cos(along) + lean * np.cos(outward)
        mixed_y = (1 - np.abs(lean)) * np.sin(along) + lean * np.sin(outward)
        return np.arctan2(mixed_y, mixed_x)

    return wish


def grow_vessels(rng: np.random.Generator, fovea: np.ndarray, disc: np.ndarray) -> Vessels:
    """Grow the retinal vessel tree of an eye whose temporal side is to the left.

    Arteries and veins leave the disc in pairs: two temporal arcades that curve around the fovea,
    nasal and vertical trunks; three generations of branches follow, thinner at each fork, and the
    branches on the macular side end before the foveal avascular zone.

    Args:
        rng: Source of randomness.
        fovea: Array (2,), eye coordinates.
        disc: Array (2,), eye coordinates.

    Returns:
        The vessels, trunks first.
    """
    radius = np.hypot(*(disc - fovea)) * rng.uniform(0.95, 1.2)
    tortuosity = rng.uniform(0.06, 0.11)
    # trunks: direction in degrees (0 nasal, 90 up), superior?, arcade?, length
    plan = [
        (110, 1, True, 1.75),
        (-110, -1, True, 1.75),
        (48, 1, False, 1.25),
        (-48, -1, False, 1.25),
    ]
    plan += [(82, 1, False, 1.15), (-82, -1, False, 1.15)]
    plan += [(rng.uniform(-20, 20), 1, False, 0.95)]
    # an artery and a vein each; seldom do both of the vertical ones exist
    plan = [row for row in plan for _ in range(2)]
    plan = plan[: int(rng.integers(10, 15))] if rng.random() < 0.8 else plan
    degrees = np.array([row[0] for row in plan]) + rng.normal(0, 7, len(plan))
    sign = np.array([row[1] for row in plan])
    is_arcade = np.array([row[2] for row in plan])
    length = np.array([row[3] for row in plan]) * rng.uniform(0.85, 1.1, len(plan))
    is_artery = np.arange(len(plan)) % 2 == 0
    width = np.where(is_arcade, 0.0115, 0.0085) * np.where(is_artery, 0.78, 1.0)
    width = width * rng.uniform(0.85, 1.1, len(plan))
    angle = -np.deg2rad(degrees)
    start = (
        disc
        + 0.012 * np.stack([np.cos(angle), np.sin(angle)], 1)
        + rng.normal(0, 0.004, (len(plan), 2))
    )
    around = _arcade(fovea, sign, radius * rng.uniform(0.95, 1.12, len(plan)))
    radial = _away_from(disc - [0.05, 0])
    wander = rng.normal(0, 0.16, len(plan))

    def trunk_wish(point, heading):
        # a trunk that is no arcade keeps its own direction
        straight = radial(point, heading) + wander
        return np.where(is_arcade, around(point, heading), straight)

    points, headings = grow(rng, start, angle, length, trunk_wish, tortuosity, steps=44)
    taper = np.linspace(1, 0.38, 44)
    levels = [(points, width[:, None] * taper, is_artery)]
    keep_off = radius * 0.36
    for generation, (forks, factor) in enumerate(((6, 0.68), (3, 0.64), (2, 0.64))):
        parents, parent_widths, parent_artery = levels[-1]
        num, steps = parents.shape[:2]
        along = (np.arange(forks) + rng.uniform(0.1, 0.9, (num, forks))) / forks
        along = 0.07 + 0.85 * along
        at = (along * (steps - 1)).astype(int).ravel()
        owner = np.repeat(np.arange(num), forks)
        turn = np.where(
            (np.arange(forks)[None] + rng.integers(0, 2, (num, 1))) % 2, 1.0, -1.0
        ).ravel()
        angle = headings[owner, at] + turn * rng.uniform(0.45, 0.85, owner.size)
        start = parents[owner, at]
        rest = (1 - along.ravel()) * (0.75, 0.42, 0.24)[generation] + (0.14, 0.1, 0.05)[generation]
        length = rest * rng.uniform(0.6, 1.15, owner.size)
        to_fovea = fovea - start
        distance = np.hypot(*to_fovea.T)
        inward = np.cos(angle) * to_fovea[:, 0] + np.sin(angle) * to_fovea[:, 1] > 0.35 * distance
        inward &= distance < 2.2 * radius
        length = np.where(inward, np.minimum(length, np.maximum(distance - keep_off, 0.02)), length)
        lean = turn * rng.uniform(0.0, 0.5, owner.size)
        outward = _away_from(np.array([0.0, 0.0]))

        def wish(point, heading, inward=inward, lean=lean, outward=outward):
            aim = np.arctan2(*(fovea - point).T[::-1])
            return np.where(inward, aim, outward(point, heading) + lean)

        points, headings = grow(
            rng, start, angle, length, wish, tortuosity * 1.25, steps=(22, 14, 9)[generation]
        )
        # a macular branch fades before the avascular zone
        gap = np.hypot(*np.moveaxis(points - fovea, -1, 0))
        width = np.minimum(parent_widths[owner, at] * factor, 0.0075)
        widths = (
            width[:, None]
            * np.linspace(1, 0.4, points.shape[1])
            * np.clip(gap / keep_off * 3 - 2, 0, 1)
        )
        levels.append((points, widths, parent_artery[owner]))
    return _join(levels)


def _join(levels) -> Vessels:
    """Bring levels with different numbers of points into one set of polylines."""
    steps = max(points.shape[1] for points, _, _ in levels)
    points, widths, artery = [], [], []
    for level_points, level_widths, level_artery in levels:
        extra = steps - level_points.shape[1]
        points.append(np.pad(level_points, ((0, 0), (0, extra), (0, 0)), mode='edge'))
        widths.append(np.pad(level_widths, ((0, 0), (0, extra))))
        artery.append(level_artery)
    return Vessels(np.concatenate(points), np.concatenate(widths), np.concatenate(artery))


def grow_choroid(rng: np.random.Generator) -> Vessels:
    """Grow the larger choroidal vessels: wavy streams from the pole to four to six vortex veins.

    Returns:
        460 polylines; ``is_artery`` is False throughout.
    """
    count = int(rng.integers(4, 7))
    around = (
        np.linspace(0, 2 * np.pi, count, endpoint=False)
        + rng.uniform(0, 7)
        + rng.normal(0, 0.2, count)
    )
    vortex = rng.uniform(0.85, 1.1, (count, 1)) * np.stack([np.cos(around), np.sin(around)], 1)
    num = 460
    reach = 1.2 * rng.random(num) ** 0.8
    phase = rng.uniform(0, 2 * np.pi, num)
    start = reach[:, None] * np.stack([np.cos(phase), np.sin(phase)], 1)
    gap = np.linalg.norm(start[:, None] - vortex, axis=-1)
    choice = (gap + rng.normal(0, 0.35, gap.shape)).argmin(1)
    goal = vortex[choice]
    # far out the streams converge on a vortex vein, at the pole they run every way
    swirl = rng.normal(0, 1, num) * np.where(reach < 0.5, 1.0, 0.4)

    def wish(point, heading):
        return np.arctan2(*(goal - point).T[::-1]) + swirl

    to_goal = np.linalg.norm(goal - start, axis=1)
    length = np.minimum(rng.uniform(0.25, 0.6, num), np.maximum(0.8 * to_goal, 0.15))
    angle = wish(start, None) + rng.normal(0, 0.6, num)
    points, _ = grow(rng, start, angle, length, wish, 0.14, steps=18)
    widths = rng.uniform(0.005, 0.012, (num, 1)) * np.sin(np.linspace(0.25, np.pi - 0.25, 18))
    return Vessels(points, widths, np.zeros(num, bool))


def grow_eye(rng: np.random.Generator, eye: str) -> Eye:
    """Grow the anatomy of one eye.

    Args:
        rng: Source of randomness; the same state gives the same eye.
        eye: ``OD`` (right, temporal to the left) or ``OS`` (left, mirrored).

    Returns:
        The eye.

    Raises:
        ValueError: If ``eye`` is neither.

    Example:
        >>> left = grow_eye(np.random.default_rng(0), 'OS')
        >>> bool(left.fovea[0] > left.disc[0])
        True
    """
    if eye not in ('OD', 'OS'):
        raise ValueError(f"eye must be 'OD' or 'OS', got {eye!r}")
    side = -1 if eye == 'OD' else 1
    half = FOVEA_DISTANCE * rng.uniform(0.92, 1.1)
    fovea = np.array([-half, rng.uniform(0.005, 0.035)])
    disc = np.array([half, -rng.uniform(0.0, 0.02)])
    vessels, choroid = grow_vessels(rng, fovea, disc), grow_choroid(rng)
    vertical = rng.uniform(0.05, 0.06)
    axes = (vertical * rng.uniform(0.7, 0.98), vertical)
    tilt = rng.normal(0, 12)
    if side > 0:
        mirror = np.array([-1.0, 1.0])
        fovea, disc, tilt = fovea * mirror, disc * mirror, -tilt
        vessels = Vessels(vessels.points * mirror, vessels.widths, vessels.is_artery)
    return Eye(side, fovea, disc, axes, tilt, vessels, choroid)
