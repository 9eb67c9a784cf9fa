import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.transforms.functional import gaussian_blur

from realmnet.datasets.transforms import (
    GaussianNoise,
    KernelBlur,
    PictureColorJitter,
    ScaledAffine,
)
from realmnet.datasets.transforms.simulated import affine_matrix
from realmnet.errors import InputError


@pytest.fixture(autouse=True)
def seed():
    np.random.seed(0)  # noqa: NPY002


def smooth(size=64):
    y, x = np.mgrid[:size, :size] / size
    channels = [np.sin(5 * x + k) + np.cos(4 * y - k) for k in range(3)]
    return np.rint(np.dstack(channels) * 60 + 125).astype(np.uint8)


def test_warp_agrees_with_scipy():
    image = smooth()
    transform = ScaledAffine(scale=(0.8, 1.2), rotate=15, shear=10)
    draw = transform.draw()
    transform.draw = lambda: draw
    ours = transform(dict(img=image.copy()))['img']
    inverse = np.linalg.inv(np.vstack([affine_matrix(*draw, centre=(31.5, 31.5)), [0, 0, 1]]))
    swap = inverse[[1, 0]][:, [1, 0, 2]]  # scipy counts rows first
    for channel in range(3):
        expected = ndimage.affine_transform(
            image[..., channel].astype(float), swap[:, :2], swap[:, 2], order=1, cval=0
        )
        inside = ndimage.binary_erosion(expected > 0, iterations=2)
        assert np.abs(ours[..., channel] - expected)[inside].max() < 3


def test_matrix_by_hand():
    quarter = affine_matrix(np.ones(2), 90.0, np.zeros(2), (0, 0))
    assert np.allclose(quarter, [[0, -1, 0], [1, 0, 0]], atol=1e-12)
    sheared = affine_matrix(np.ones(2), 0.0, np.array([45.0, 0.0]), (0, 0))
    assert np.allclose(sheared, [[1, 1, 0], [0, 1, 0]])
    centred = affine_matrix(np.array([2.0, 3.0]), 20.0, np.array([5.0, -5.0]), (7.0, 9.0))
    assert np.allclose(centred @ [7, 9, 1], [7, 9])


def test_scales_are_drawn_apart_and_angles_as_asked():
    symmetric = [ScaledAffine(angles='symmetric').draw() for _ in range(500)]
    factors = np.array([d[0] for d in symmetric])
    angles = np.array([d[1] for d in symmetric])
    shears = np.array([d[2] for d in symmetric])
    assert factors.min() >= 0.8 and factors.max() <= 1.2
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.15
    assert angles.min() < -12 and angles.max() > 12 and abs(angles.mean()) < 2
    assert abs(shears).max() <= 10 and shears.min() < -8 and abs(np.corrcoef(shears.T)[0, 1]) < 0.15
    published = [ScaledAffine(angles='published').draw() for _ in range(20)]
    assert {d[1] for d in published} == {15.0}
    assert all((d[2] == 10).all() for d in published)


def test_blur_agrees_with_torchvision():
    image = smooth()
    transform = KernelBlur(kernel_size=7, sigma=(0.7, 0.7))
    ours = transform(dict(img=image))['img'].astype(int)
    theirs = gaussian_blur(torch.from_numpy(image).permute(2, 0, 1), [7, 7], [0.7, 0.7])
    assert np.abs(ours - theirs.permute(1, 2, 0).numpy()).max() <= 1
    assert transform.draw() == pytest.approx(0.7)


def test_noise_has_the_variance_and_is_independent():
    image = np.full((200, 200, 3), 128, np.uint8)
    noise = GaussianNoise(variance=(25, 25))(dict(img=image))['img'].astype(float) - 128
    assert noise.mean() == pytest.approx(0, abs=0.1)
    # Rounding to grey levels adds 1/12.
    assert noise.var() == pytest.approx(25 + 1 / 12, rel=0.03)
    assert np.abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.02
    bright = GaussianNoise()(dict(img=np.full((50, 50, 3), 255, np.uint8)))['img']
    assert bright.max() == 255 and bright.min() > 200


def fixed_jitter(**values):
    """Jitter whose draws are fixed: equal ends of each range."""
    transform = PictureColorJitter(0, 0, 0, 0)
    for name, value in values.items():
        setattr(transform.jitter, name, (value, value))
    return transform


def test_jitter_works_on_bgr():
    blue = np.zeros((2, 2, 3), np.uint8)
    blue[..., 0] = 255
    grey = fixed_jitter(saturation=0.0)(dict(img=blue))['img']
    assert (grey == 29).all()  # .114 of 255: the weight of blue, not of red
    red = fixed_jitter(hue=1 / 3)(dict(img=blue))['img']
    green = fixed_jitter(hue=-1 / 3)(dict(img=blue))['img']
    assert np.abs(red[0, 0].astype(int) - [0, 0, 255]).max() <= 6
    assert np.abs(green[0, 0].astype(int) - [0, 255, 0]).max() <= 6
    assert (fixed_jitter(brightness=0.5)(dict(img=blue))['img'][..., 0] == 127).all()


def test_jitter_never_fails_and_changes_pictures():
    torch.manual_seed(0)
    image = smooth()
    results = [PictureColorJitter()(dict(img=image.copy()))['img'] for _ in range(30)]
    assert all(r.shape == image.shape and r.dtype == np.uint8 for r in results)
    assert all((r != image).any() for r in results)


@pytest.mark.parametrize(
    ('transform', 'options'),
    [
        (ScaledAffine, dict(scale=(1.2, 0.8))), (ScaledAffine, dict(scale=(0, 1))),
        (ScaledAffine, dict(rotate=-1)), (ScaledAffine, dict(shear=90)),
        (ScaledAffine, dict(angles='both')), (KernelBlur, dict(kernel_size=6)),
        (PictureColorJitter, dict(hue=0.7)),
        (KernelBlur, dict(sigma=(0, 1))), (GaussianNoise, dict(variance=(50, 10))),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(transform, options):
    with pytest.raises(InputError, match=next(iter(options))):
        transform(**options)
