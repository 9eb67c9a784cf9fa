"""The border crop on pictures whose field is known."""

import numpy as np
import pytest
from curation_samples import draw_picture

from realmnet.curation.borders import SEARCH_SIDE, Box, field_mask, find_field, square


def shares(box, retina):
    """Share of the retina inside the box, and of the box that is beyond the retina's rectangle."""
    inside = np.zeros_like(retina)
    inside[box.top : box.bottom, box.left : box.right] = True
    rows, columns = np.flatnonzero(retina.any(1)), np.flatnonzero(retina.any(0))
    tight = np.zeros_like(retina)
    tight[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return (retina & inside).sum() / retina.sum(), (inside & ~tight).sum() / inside.sum()


@pytest.mark.parametrize('seed', range(12))
@pytest.mark.parametrize('size', [(480, 384), (1600, 1200), (301, 257)])
def test_black_border_goes_and_retina_stays(seed, size):
    image, retina = draw_picture(seed, size)
    box = find_field(image)
    assert shares(box, retina)[0] == 1
    # JPEG blocks (16 pixels for colour) ring around the field, and two reduced pixels are added
    most = 16 + 2 * max(1, max(size) // SEARCH_SIDE)
    rows, columns = np.flatnonzero(retina.any(1)), np.flatnonzero(retina.any(0))
    tight = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    assert (np.abs(tight - box) <= most).all()


@pytest.mark.parametrize('seed', range(6))
def test_without_black_border_the_whole_picture_stays(seed):
    image, _ = draw_picture(seed, border=False)
    assert find_field(image) == Box(0, 0, 480, 384)


@pytest.mark.parametrize('seed', range(4))
def test_exact_without_compression(seed):
    image, retina = draw_picture(seed, lossy=False)
    image[~retina] = 0
    kept, left = shares(find_field(image), retina)
    assert kept == 1
    assert left < 0.02


def test_bars_go_and_the_lit_frame_stays():
    image = np.zeros((200, 300, 3), np.uint8)
    image[30:170, :] = 90
    assert find_field(image) == Box(0, 29, 300, 171)


def test_noise_letters_and_scan_lines_are_not_field():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 7, (300, 300, 3)).astype(np.uint8)
    image[80:220, 80:220] = 120
    image[5:15, 5:12] = 255  # a burnt-in letter
    image[290] = 40  # a scan line
    box = find_field(image)
    assert abs(np.array(box) - [80, 80, 220, 220]).max() <= 3


def test_dark_retina_at_the_edge_is_kept():
    image = np.zeros((256, 256, 3), np.uint8)
    ramp = np.linspace(4, 160, 200).astype(np.uint8)
    image[28:228, 28:228] = ramp[None, :, None]
    box = find_field(image)
    assert box.left <= 28
    assert box.right >= 228


@pytest.mark.parametrize('value', [0, 3, 255])
@pytest.mark.parametrize('shape', [(40, 60, 3), (1, 1, 3), (5, 900, 3), (64, 64)])
def test_pictures_that_show_nothing_stay_whole(value, shape):
    image = np.full(shape, value, np.uint8)
    assert find_field(image) == Box(0, 0, shape[1], shape[0])
    assert field_mask(image).all()


def test_dark_spots_inside_belong_to_the_field():
    image = np.zeros((120, 120, 3), np.uint8)
    image[20:100, 20:100] = 100
    image[50:60, 50:60] = 0
    assert field_mask(image)[55, 55]


def test_square_pads_or_stretches():
    image = np.full((50, 100, 3), 77, np.uint8)
    assert (square(image, 40) == 77).all()
    padded = square(image, 40, keep_aspect=True)
    assert padded.shape == (40, 40, 3)
    assert (padded[10:30] == 77).all()
    assert not padded[:10].any()
    assert not padded[30:].any()
    assert square(np.full((3, 2000, 3), 9, np.uint8), 16, keep_aspect=True).shape == (16, 16, 3)


def test_real_photographs_lose_nothing_lit(real_data):
    from realmnet.curation.pictures import list_pictures, read_any_picture

    folders = [real_data / 'uwf_slo_7' / 'images', real_data / 'odir5k_256' / 'images']
    for folder in folders:
        for name in list_pictures(folder)[:: 40 if 'odir' in str(folder) else 1]:
            image = read_any_picture(folder / name)
            left, top, right, bottom = find_field(image)
            outside = np.ones(image.shape[:2], bool)
            outside[top:bottom, left:right] = False
            # brighter than compression noise, in more than a handful of pixels
            assert (image.max(2)[outside] > 24).sum() <= 8, name


def test_synthetic_ultra_widefield_pictures_of_both_border_types(monkeypatch):
    import cv2

    from realmnet.curation.synthetic import acquisition, draw_patients, render_patient

    known = []
    surround = acquisition._surround

    def remember(image, field, *rest):
        """Keep what is known while the picture is drawn: which pixels are visible retina."""
        result = surround(image, field, *rest)
        known.append((field > 0.5) & (result.max(2) > 3 / 255))
        return result

    monkeypatch.setattr(acquisition, '_surround', remember)
    left_over = {True: [], False: []}
    for patient in draw_patients(12, seed=3):
        known.clear()
        for retina, shot in zip(known, render_patient(patient, 192, 3).values(), strict=True):
            quality = [cv2.IMWRITE_JPEG_QUALITY, shot.quality]
            data = cv2.imencode('.jpg', shot.image[..., ::-1], quality)[1]
            box = find_field(cv2.imdecode(data, cv2.IMREAD_COLOR))
            kept, _ = shares(box, retina)
            assert kept > 0.999
            left_over[shot.has_border].append(box.width * box.height / retina.size)
    assert min(map(len, left_over.values())) > 5
    assert np.mean(left_over[True]) < 0.97
    # a dark edge of the device may cost a row
    assert min(left_over[False]) > 0.98
