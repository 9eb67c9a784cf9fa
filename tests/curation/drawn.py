"""Pictures whose visible field is known, drawn here and nowhere else."""

import cv2
import numpy as np


def draw_picture(seed, size=(480, 384), border=True, lossy=True):
    """Draw a lit ellipse on black (or on the lit frame of the device) with noise.

    Returns:
        The RGB picture, and the mask of the retina.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre = (width * rng.uniform(0.45, 0.55), height * rng.uniform(0.45, 0.55))
    axes = (width * rng.uniform(0.28, 0.42), height * rng.uniform(0.28, 0.42))
    radius = ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2
    retina = radius < 1
    light = np.clip(1.15 - radius * rng.uniform(0.2, 0.9), 0.12, 1)
    colour = np.array([200, 110, 60]) * rng.uniform(0.6, 1.2)
    image = light[..., None] * colour * retina[..., None]
    if not border:
        image[~retina] = np.array([60, 75, 40]) * rng.uniform(0.7, 1.3)
    image += rng.normal(0, rng.uniform(0.3, 2.5), image.shape)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if lossy:
        _, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    return np.ascontiguousarray(image), retina
