"""One photograph under two names."""

import cv2
import numpy as np
import pytest
import simplejpeg

from realmnet.curation.near_duplicates import (
    ALIKE,
    SAME,
    VIEW,
    alike_pairs,
    detail_correlation,
    small_view,
)
from realmnet.curation.pictures import list_pictures, read_any_picture


def vessels(seed, side=256):
    """A bright disc with branches of its own, as every eye has."""
    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), (150, 80, 40), np.uint8)
    for _ in range(14):
        points = rng.integers(0, side, (4, 2)).astype(np.int32)
        cv2.polylines(image, [points], False, (90, 30, 20), int(rng.integers(2, 7)))
    for _ in range(6):
        place = tuple(rng.integers(0, side, 2).tolist())
        cv2.circle(image, place, int(rng.integers(5, 18)), (220, 190, 90), -1)
    image = cv2.GaussianBlur(image, (0, 0), 1.5)
    y, x = np.mgrid[:side, :side] - side / 2
    return (image * (x**2 + y**2 < (side * 0.49) ** 2)[..., None]).astype(np.uint8)


def encoded(image, quality):
    return simplejpeg.decode_jpeg(
        simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, colorsubsampling='420')
    )


def resized(image, factor):
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


CHANGED = {
    'encoded again': lambda image: encoded(image, 60),
    'half the size': lambda image: resized(image, 0.5),
    'twice the size': lambda image: resized(image, 2),
    'smaller and encoded': lambda image: encoded(resized(image, 0.7), 80),
    'cropped': lambda image: image[4:-4, 4:-4],
    'brighter': lambda image: np.clip(image.astype(int) + 15, 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize('change', CHANGED)
def test_the_same_photograph_is_found(change):
    photographs = [vessels(seed) for seed in range(12)]
    copies = [CHANGED[change](image) for image in photographs]
    views = np.stack([small_view(image) for image in (*photographs, *copies)])
    groups = np.repeat([0, 1], 12)
    pairs = list(alike_pairs(views, groups))
    assert {(i, i + 12) for i in range(12)} <= set(pairs)
    images = [*photographs, *copies]
    same = {(i, j) for i, j in pairs if detail_correlation(images[i], images[j]) >= SAME}
    assert same == {(i, i + 12) for i in range(12)}


def test_pairs_are_those_of_the_whole_matrix(monkeypatch):
    monkeypatch.setattr('realmnet.curation.near_duplicates._BLOCK', 7)
    rng = np.random.default_rng(0)
    views = rng.integers(0, 256, (20, VIEW, VIEW)).astype(np.uint8)
    views[13], views[5], views[19] = views[2], views[4], views[18]
    groups = np.array([0, 1] * 10)
    assert sorted(alike_pairs(views, groups)) == [(2, 13), (4, 5), (18, 19)]
    assert list(alike_pairs(views, np.zeros(20))) == []
    assert ALIKE < 1


def test_black_pictures_are_like_nothing():
    black = np.zeros((64, 64, 3), np.uint8)
    views = np.stack([small_view(black)] * 2)
    assert list(alike_pairs(views, np.array([0, 1]))) == []
    assert detail_correlation(black, black) == 0


def test_few_real_photographs_of_different_patients_are_called_one(real_data):
    folder = real_data / 'palm_224'
    names = list_pictures(folder)[::3]
    images = [read_any_picture(folder / name) for name in names]
    views = np.stack([small_view(image) for image in images])
    pairs = list(alike_pairs(views, np.arange(len(images))))
    same = [p for p in pairs if detail_correlation(images[p[0]], images[p[1]]) >= SAME]
    assert len(same) <= 1
