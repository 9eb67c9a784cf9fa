"""Whether a picture can be graded at all: is it like those that the model was trained on?

A lens cap, a screenshot or a blurred picture gets scores, too, and they mean nothing. The check
compares a few statistics of the picture, as the network gets it, and the place of its features,
with those of the training pictures; the limits travel in the model's description. Torch is not
needed.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from realmnet.curation.borders import field_mask
from realmnet.errors import InputError

#: Statistic of a picture to the reason if it is below the lower limit, or above the upper one.
STATISTICS = {
    'field': ('no field', 'no field'),
    'brightness': ('too dark', 'too bright'),
    'clipped': (None, 'too bright'),
    'structure': ('blurred', None),
    'detail': (None, 'noise'),
    'sharpness': ('blurred', 'noise'),
    'colour': ('no colour', 'odd colour'),
    'red': ('odd colour', 'odd colour'),
    'blue': ('odd colour', 'odd colour'),
    'layout': (None, 'unlike the training pictures'),
    'features': (None, 'unlike the training pictures'),
}
#: Statistics that are distances to the training pictures in a space of many numbers.
SPACES = ('layout', 'features')
#: Side of the reduced picture whose colours are the layout.
LAYOUT_SIDE = 8
#: Most directions of a space that have a spread of their own; the others share one.
MOST_AXES = 24
_MOST_NUMBERS = 4096
#: Fewest training pictures, and how their quantiles become limits.
LEAST_PICTURES = 20
QUANTILE, MARGIN, LEAST_MARGIN = 0.0025, 0.1, 0.02
#: Least level of a pixel that counts as clipped.
CLIPPED = 250
_LARGEST = 1e9
_LEAST_SHARE, _LEAST_VARIANCE = 1e-6, 1e-12


def picture_statistics(picture: np.ndarray) -> dict[str, float]:
    """Measure a picture as the network gets it.

    Levels are 0 to 255, and logarithms are to base 2, so that a step is a stop of exposure.

    - ``field``: share of the picture that is no black border;
    - ``brightness``: log of the mean, inside the field, of the brightest channel;
    - ``clipped``: mean of the roots of the shares of the field with red, and with green, at
      :data:`CLIPPED` or above;
    - ``structure``, ``detail``: logs of the spread of green between 4 and 8 pixels (vessels,
      disc), and below 2;
    - ``sharpness``: log of the steepest bends over the steepest slopes of green (.995 quantiles
      of its Laplacian and gradient), which exposure and contrast leave as it is and defocus
      lowers;
    - ``colour``, ``red``, ``blue``: largest minus smallest mean of the three channels over the
      largest; logs of red over green and of blue over green.

    Args:
        picture: ``uint8`` RGB of shape (S, S, 3).

    Returns:
        Statistic to value, finite.

    Example:
        >>> found = picture_statistics(np.zeros((64, 64, 3), np.uint8))
        >>> found['field'], found['brightness'], found['colour']
        (1.0, 0.0, 0.0)
    """
    side = picture.shape[0]
    mask = field_mask(picture).astype(np.uint8)
    if mask.shape[0] != side:
        mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST)
    # away from the border of the field, whose edge is no detail of the fundus
    inner = cv2.erode(mask, np.ones((9, 9), np.uint8), borderValue=0)
    inner = inner if inner.any() else mask
    means = cv2.mean(picture, mask)[:3]
    red, green, blue = (mean + 4 for mean in means)  # near 0 a ratio means nothing
    area = cv2.countNonZero(mask)
    clipped = [
        (
            cv2.countNonZero(
                cv2.bitwise_and(cv2.compare(picture[..., i], CLIPPED, cv2.CMP_GE), mask)
            )
            / area
        )
        ** 0.5
        for i in (0, 1)
    ]
    values = picture[..., 1].astype(np.float32)
    bands = _bands(values, inner)
    return {
        'field': area / mask.size,
        'brightness': float(np.log2(cv2.mean(picture.max(2), mask)[0] + 1)),
        'clipped': sum(clipped) / 2,
        'structure': float(np.log2(bands[2] + 0.05)),
        'detail': float(np.log2(bands[0] + 0.05)),
        'sharpness': _sharpness(values, inner),
        'colour': (max(means) - min(means)) / max(*means, 1.0),
        'red': float(np.log2(red / green)),
        'blue': float(np.log2(blue / green)),
    }


def _bands(values: np.ndarray, mask: np.ndarray) -> list[float]:
    """Spreads of a picture at three scales, each twice the one before."""
    spreads = []
    for _ in range(3):
        low = cv2.GaussianBlur(values, (5, 5), 1.0)
        spreads.append(float(cv2.meanStdDev(values - low, mask=mask)[1][0, 0]))
        values = np.ascontiguousarray(low[::2, ::2])
        smaller = np.ascontiguousarray(mask[::2, ::2])
        mask = smaller if smaller.any() else np.ones_like(smaller)
    return spreads


def _sharpness(values: np.ndarray, mask: np.ndarray) -> float:
    smooth = cv2.GaussianBlur(values, (0, 0), 0.7)
    slopes = cv2.magnitude(
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125),
        cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125),
    )
    bends = np.abs(cv2.Laplacian(cv2.GaussianBlur(values, (0, 0), 1.0), cv2.CV_32F))
    inside = mask > 0
    steepest = [_high(bends[inside]), _high(slopes[inside])]
    return float(np.log2((steepest[0] + 0.1) / (steepest[1] + 0.1)))


def _high(values: np.ndarray) -> float:
    place = int(0.995 * (len(values) - 1))
    return float(np.partition(values, place)[place])


def picture_layout(picture: np.ndarray) -> np.ndarray:
    """Reduce a picture to colours of :data:`LAYOUT_SIDE` x :data:`LAYOUT_SIDE` fields.

    Args:
        picture: ``uint8`` RGB of shape (S, S, 3).

    Returns:
        ``float64`` of shape (3 LAYOUT_SIDE²,), 0 to 255.
    """
    side = (LAYOUT_SIDE, LAYOUT_SIDE)
    return cv2.resize(picture, side, interpolation=cv2.INTER_AREA).reshape(-1).astype(np.float64)


@dataclass(frozen=True)
class Space:
    """Where the training pictures lie in a space of D numbers: a mean and a few directions.

    The squared distance of x is the sum of (a · (x - mean))² / variance over the K axes a, plus
    what is left of |x - mean|² over ``rest``: Mahalanobis's for a covariance whose smaller
    eigenvalues are equal (probabilistic principal components; Tipping and Bishop 1999).

    Attributes:
        mean: (D,).
        axes: (K, D), orthonormal.
        variances: Along the axes, (K,).
        rest: Along every other direction.
    """

    mean: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]
    variances: tuple[float, ...]
    rest: float

    def __post_init__(self) -> None:
        for name, shape in (('mean', 1), ('axes', 2), ('variances', 1)):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), shape))
        rows, columns = len(self.axes), len(self.mean)
        if len(self.variances) != rows or any(len(axis) != columns for axis in self.axes):
            raise InputError('input_check.spaces: mean, axes and variances do not fit together')
        if not 1 <= rows <= MOST_AXES or not 1 <= columns <= _MOST_NUMBERS:
            raise InputError(f'input_check.spaces: {rows} axes of {columns} numbers are too many')
        if not _is_number(self.rest) or min(self.rest, *self.variances) <= 0:
            raise InputError('input_check.spaces: variances must be positive')

    @classmethod
    def fit(cls, points: np.ndarray) -> Space:
        """Describe points, shape (N, D), by their mean and shrunk covariance.

        The covariance is shrunk as Ledoit and Wolf (2004) choose, because N may be below D.
        """
        from sklearn.covariance import ledoit_wolf

        mean = points.mean(0)
        covariance, _ = ledoit_wolf(points - mean, assume_centered=True)
        values, vectors = np.linalg.eigh(covariance)
        values = np.maximum(values, max(_LEAST_SHARE * values[-1], _LEAST_VARIANCE))
        number = max(1, min(MOST_AXES, len(values) - 1))
        rest = float(_rounded(values[:-number].mean())) if number < len(values) else 1.0
        axes, variances = vectors.T[::-1][:number], values[::-1][:number]
        return cls(_listed(mean), tuple(map(_listed, axes)), _listed(variances), rest)

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.array(self.mean), np.array(self.axes), np.array(self.variances)

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Log2 of the root mean squared distance over the D directions, of points (N, D): (N,)."""
        mean, axes, variances = self._arrays
        offset = points - mean
        along = offset @ axes.T
        left = np.maximum((offset**2).sum(1) - (along**2).sum(1), 0)
        squared = (along**2 / variances).sum(1) + left / self.rest
        return np.log2(np.maximum(squared / len(self.mean), _LEAST_VARIANCE)) / 2


@dataclass(frozen=True)
class InputCheck:
    """Limits of what can be graded; part of a model's description.

    Attributes:
        pictures: Number of training pictures that they were found on.
        limits: Statistic to lower and upper limit; None where there is none.
        spaces: ``layout``, and ``features`` if the network's features count.

    Raises:
        InputError: If a field has a wrong type or is out of range.

    Example:
        >>> pictures = [np.full((64, 64, 3), (180 + i, 90, 40), np.uint8) for i in range(30)]
        >>> check = InputCheck.fit(pictures)
        >>> check.reasons(np.zeros((64, 64, 3), np.uint8))[0]
        'too dark'
    """

    pictures: int
    limits: dict[str, tuple[float | None, float | None]]
    spaces: dict[str, Space]

    @classmethod
    def fit(cls, pictures: Sequence[np.ndarray], features: np.ndarray | None = None) -> InputCheck:
        """Find the limits on training pictures.

        A limit is the quantile :data:`QUANTILE` (or its counterpart) of the statistic, moved
        outward by :data:`MARGIN` of the distance between the two, and by no less than
        :data:`LEAST_MARGIN`. Distances are measured from the other half of the pictures, as
        those of new pictures will be.

        Args:
            pictures: As the network gets them, ``uint8`` RGB of shape (S, S, 3).
            features: Of the network, (N, D); where left out they do not count.

        Raises:
            InputError: If there are fewer than :data:`LEAST_PICTURES`.
        """
        if len(pictures) < LEAST_PICTURES:
            raise InputError(
                f'an input check needs {LEAST_PICTURES} training pictures or more, got '
                f'{len(pictures)}'
            )
        measured = [picture_statistics(picture) for picture in pictures]
        values = {name: np.array([row[name] for row in measured]) for name in measured[0]}
        points = {'layout': np.stack([picture_layout(picture) for picture in pictures])}
        if features is not None:
            points['features'] = np.asarray(features, np.float64)
        spaces = {name: Space.fit(rows) for name, rows in points.items()}
        for name, rows in points.items():
            halves = rows[::2], rows[1::2]
            values[name] = np.concatenate(
                [Space.fit(a).distances(b) for a, b in (halves, halves[::-1])]
            )
        return cls(len(pictures), {n: _limits(n, v) for n, v in values.items()}, spaces)

    @classmethod
    def from_fields(cls, content: Any) -> InputCheck:
        """Read what :func:`dataclasses.asdict` made, from JSON.

        Raises:
            InputError: If it holds anything else.
        """
        content = _fields(content, cls, 'input_check')
        spaces = content['spaces']
        if not isinstance(spaces, Mapping):
            raise InputError('input_check.spaces must be an object')
        return cls(
            content['pictures'],
            content['limits'],
            {
                name: Space(**_fields(space, Space, f'input_check.spaces.{reprlib.repr(name)}'))
                for name, space in spaces.items()
            },
        )

    def __post_init__(self) -> None:
        if type(self.pictures) is not int or not 0 < self.pictures <= _LARGEST:
            raise InputError(f'input_check.pictures must be a count, got {self.pictures!r}')
        if not isinstance(self.limits, Mapping) or not set(self.limits) <= set(STATISTICS):
            raise InputError(f'input_check.limits must be of {list(STATISTICS)}')
        limits = {}
        for name, pair in self.limits.items():
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise InputError(f'input_check.limits.{name} must be two numbers')
            if not all(limit is None or _is_number(limit) for limit in pair):
                raise InputError(f'input_check.limits.{name} must be two numbers')
            limits[name] = tuple(pair)
        object.__setattr__(self, 'limits', limits)
        if not set(self.spaces) <= set(SPACES) or not set(self.limits) >= set(self.spaces):
            raise InputError(f'input_check.spaces must be of {list(SPACES)} and have limits')

    def values(self, picture: np.ndarray, features: np.ndarray | None = None) -> dict[str, float]:
        """Compute the statistics that have limits.

        Args:
            picture: As the network gets it, ``uint8`` RGB of shape (S, S, 3).
            features: Of the network, (D,); None if unknown, which leaves their distance out.
        """
        values = picture_statistics(picture)
        points = {'layout': picture_layout(picture), 'features': features}
        for name, space in self.spaces.items():
            if points[name] is not None:
                values[name] = float(space.distances(points[name][None])[0])
        return {name: values[name] for name in self.limits if name in values}

    def reasons(self, picture: np.ndarray, features: np.ndarray | None = None) -> tuple[str, ...]:
        """Say why a picture cannot be graded; nothing if it can.

        Args:
            picture: As for :meth:`values`.
            features: As for :meth:`values`.

        Returns:
            Out of :data:`realmnet.evaluation.findings.REASONS`, each once.
        """
        found = []
        for name, value in self.values(picture, features).items():
            (low, high), (below, above) = self.limits[name], STATISTICS[name]
            if low is not None and value < low:
                found.append(below)
            elif high is not None and not value <= high:  # NaN too
                found.append(above)
        return tuple(dict.fromkeys(found))


def _limits(name: str, values: np.ndarray) -> tuple[float | None, float | None]:
    low, high = np.quantile(values, (QUANTILE, 1 - QUANTILE))
    margin = max(MARGIN * (high - low), LEAST_MARGIN)
    below, above = STATISTICS[name]
    return (
        None if below is None else float(_rounded(low - margin)),
        None if above is None else float(_rounded(high + margin)),
    )


def _spread(values: np.ndarray, mask: np.ndarray) -> float:
    return float(cv2.meanStdDev(values, mask=mask)[1][0, 0])


def _listed(values: np.ndarray) -> tuple[float, ...]:
    return tuple(_rounded(values).tolist())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST  # no NaN


def _numbers(name: str, value: Any, dimensions: int) -> tuple:
    """Check lists of numbers, or of lists of numbers, as JSON gives them."""
    if not isinstance(value, list | tuple) or len(value) > _MOST_NUMBERS:
        raise InputError(f'input_check.spaces: {name} must be a list of at most {_MOST_NUMBERS}')
    if dimensions > 1:
        return tuple(_numbers(name, row, dimensions - 1) for row in value)
    if not all(map(_is_number, value)):
        raise InputError(f'input_check.spaces: {name} must be numbers')
    return tuple(value)


def _fields(content: Any, kind: type, place: str) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    if not isinstance(content, Mapping) or set(content) != names:
        raise InputError(f'{place} must hold {sorted(names)}')
    return dict(content)


def _rounded(values: np.ndarray | float) -> np.ndarray:
    """Keep five digits, so that a description stays small."""
    values = np.asarray(values, np.float64)
    return np.array([float(f'{value:.5g}') for value in values.ravel()]).reshape(values.shape)
