"""Simulated augmentation: the variation of real examinations, applied to one picture.

Zhang et al., npj Digital Medicine 2025 (RealMNet), section 4.5.2, with the values of the released
configuration. Flip, erasing and the random choice are mmcv's and mmpretrain's transforms; here is
what they lack.
"""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from torchvision.transforms import ColorJitter

from realmnet.errors import InputError


@TRANSFORMS.register_module()
class ScaledAffine(BaseTransform):
    """Scale x and y independently, rotate and shear about the centre of the picture.

    The map is ``R(angle) @ Shear(sx, sy) @ diag(kx, ky)``; what comes from outside is black.

    Args:
        scale: Range of the two scale factors ``kx`` and ``ky``, each drawn on its own.
        rotate: Largest rotation in degrees.
        shear: Largest shear in degrees, drawn for x and y each.
        angles: ``'symmetric'`` draws angles from ``[-rotate, rotate]`` and ``[-shear, shear]`` as
            the paper says; ``'published'`` always uses ``+rotate`` and ``+shear`` as the
            released code did.

    Raises:
        InputError: If a range is empty or not positive, or ``angles`` is another word.

    Example:
        >>> ScaledAffine(scale=(1, 1), rotate=0, shear=0)(dict(img=np.ones((4, 4, 3)))) \
        ...     # doctest: +SKIP
    """

    def __init__(
        self,
        scale: tuple[float, float] = (0.8, 1.2),
        rotate: float = 15,
        shear: float = 10,
        angles: str = 'symmetric',
    ) -> None:
        _require(
            0 < scale[0] <= scale[1], f'scale {scale} must be (low, high) with 0 < low <= high'
        )
        _require(rotate >= 0, f'rotate must be at least 0 degrees, got {rotate}')
        _require(0 <= shear < 90, f'shear must be in [0, 90) degrees, got {shear}')
        _require(angles in ('symmetric', 'published'),
                 f"angles must be 'symmetric' or 'published', got {angles!r}")  # fmt: skip
        self.scale = tuple(scale)
        self.rotate = rotate
        self.shear = shear
        self.angles = angles

    def draw(self) -> tuple[np.ndarray, float, np.ndarray]:
        """Draw scale factors (x, y), rotation and shears (x, y), angles in degrees."""
        factors = np.random.uniform(*self.scale, size=2)
        if self.angles == 'published':
            return factors, float(self.rotate), np.full(2, float(self.shear))
        angle = np.random.uniform(-self.rotate, self.rotate)
        return factors, float(angle), np.random.uniform(-self.shear, self.shear, size=2)

    def transform(self, results: dict) -> dict:
        """Warp ``results['img']``."""
        height, width = results['img'].shape[:2]
        matrix = affine_matrix(*self.draw(), centre=((width - 1) / 2, (height - 1) / 2))
        results['img'] = cv2.warpAffine(results['img'], matrix, (width, height))
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(scale={self.scale}, rotate={self.rotate}, '
            f'shear={self.shear}, angles={self.angles!r})'
        )


def affine_matrix(
    factors: np.ndarray, angle: float, shears: np.ndarray, centre: tuple[float, float]
) -> np.ndarray:
    """Matrix of :class:`ScaledAffine` for OpenCV.

    Args:
        factors: Scale factors (x, y).
        angle: Rotation in degrees; positive turns the picture clockwise on the screen.
        shears: Shears (x, y) in degrees.
        centre: The point that stays, in pixels (x, y).

    Returns:
        Shape (2, 3), from source to target coordinates.

    Example:
        >>> affine_matrix(np.array([2.0, 1.0]), 0.0, np.zeros(2), (0, 0)).tolist()
        [[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    tan_x, tan_y = np.tan(np.deg2rad(shears))
    linear = (
        np.array([[cos, -sin], [sin, cos]])
        @ np.array([[1, tan_x], [tan_y, 1]])
        @ np.diag(np.asarray(factors, dtype=float))
    )
    centre = np.asarray(centre, dtype=float)
    return np.column_stack([linear, centre - linear @ centre])


@TRANSFORMS.register_module()
class KernelBlur(BaseTransform):
    """Gaussian blur with a fixed kernel and a random width, as of a picture out of focus.

    mmpretrain's ``GaussianBlur`` takes a radius of Pillow's box approximation instead.

    Args:
        kernel_size: Side of the kernel in pixels, odd.
        sigma: Range of the standard deviation in pixels.

    Raises:
        InputError: If the kernel is even or the range is empty or not positive.
    """

    def __init__(self, kernel_size: int = 7, sigma: tuple[float, float] = (0.1, 1.0)) -> None:
        _require(kernel_size > 0 and kernel_size % 2 == 1,
                 f'kernel_size must be odd and positive, got {kernel_size}')  # fmt: skip
        _require(
            0 < sigma[0] <= sigma[1], f'sigma {sigma} must be (low, high) with 0 < low <= high'
        )
        self.kernel_size = kernel_size
        self.sigma = tuple(sigma)

    def draw(self) -> float:
        """Draw the standard deviation in pixels."""
        return float(np.random.uniform(*self.sigma))

    def transform(self, results: dict) -> dict:
        """Blur ``results['img']``."""
        size = (self.kernel_size, self.kernel_size)
        results['img'] = cv2.GaussianBlur(results['img'], size, self.draw())
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})'


@TRANSFORMS.register_module()
class PictureColorJitter(BaseTransform):
    """Change brightness, contrast, saturation and hue at random, in random order (torchvision).

    mmpretrain's ``ColorJitter`` stops with ``OverflowError`` at every negative hue under numpy 2.
    The released code took its BGR pictures for RGB here; this transform does not.

    Args:
        brightness: Factors are drawn from ``[1 - brightness, 1 + brightness]``.
        contrast: Likewise.
        saturation: Likewise.
        hue: Shifts are drawn from ``[-hue, hue]``, in turns of the colour circle; at most 0.5.
    """

    def __init__(
        self,
        brightness: float = 0.25,
        contrast: float = 0.25,
        saturation: float = 0.25,
        hue: float = 0.25,
    ) -> None:
        try:
            self.jitter = ColorJitter(brightness, contrast, saturation, hue)
        except ValueError as error:
            raise InputError(f'PictureColorJitter: {error}') from None

    def transform(self, results: dict) -> dict:
        """Change the colours of ``results['img']`` (BGR)."""
        jittered = self.jitter(Image.fromarray(np.ascontiguousarray(results['img'][..., ::-1])))
        results['img'] = np.ascontiguousarray(np.asarray(jittered)[..., ::-1])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.jitter})'


@TRANSFORMS.register_module()
class GaussianNoise(BaseTransform):
    """Add independent Gaussian noise to every pixel and channel, as of a sensor.

    Args:
        variance: Range of the noise variance in grey levels squared (pictures are 0-255).

    Raises:
        InputError: If the range is empty or negative.
    """

    def __init__(self, variance: tuple[float, float] = (10.0, 50.0)) -> None:
        _require(0 <= variance[0] <= variance[1],
                 f'variance {variance} must be (low, high) with 0 <= low <= high')  # fmt: skip
        self.variance = tuple(variance)

    def transform(self, results: dict) -> dict:
        """Add noise to ``results['img']`` and clip to 0-255."""
        image = results['img']
        deviation = np.sqrt(np.random.uniform(*self.variance))
        noise = np.random.normal(0.0, deviation, image.shape)
        results['img'] = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(variance={self.variance})'


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)
