import cv2
import numpy as np
import pytest
from PIL import Image

from realmnet.datasets.transforms.loading import LoadPicture, check_picture, read_picture
from realmnet.errors import InputError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 48, 3), dtype=np.uint8)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'bmp', 'tif'])
def test_same_pixels_as_opencv(tmp_path, suffix):
    path = save(tmp_path / f'a.{suffix}', PIXELS)
    image = read_picture(path, 'a')
    # Two JPEG decoders may differ by one grey level.
    assert np.abs(image.astype(int) - cv2.imread(str(path))).max() <= (1 if suffix == 'jpg' else 0)
    assert image.flags.c_contiguous and image.dtype == np.uint8
    check_picture(path, 'a')


def test_exif_orientation_is_applied(tmp_path):
    image = Image.fromarray(PIXELS)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / 'a.png', exif=exif)
    assert read_picture(tmp_path / 'a.png', 'a').shape == (48, 40, 3)


def both(path):
    """The check before a run and reading must both refuse."""
    messages = []
    for function in (check_picture, read_picture):
        with pytest.raises(InputError) as info:
            function(path, f'{path.name} (line 7)')
        messages.append(str(info.value))
    assert all(message.startswith(f'{path.name} (line 7): ') for message in messages)
    return messages


def test_other_kinds_of_picture_are_read_as_everywhere(tmp_path):
    grey = save(tmp_path / 'grey.png', PIXELS[..., 0])
    assert (read_picture(grey, 'a') == PIXELS[..., :1]).all()
    alpha = save(tmp_path / 'alpha.png', np.dstack([PIXELS, np.full((40, 48), 255, np.uint8)]))
    assert (read_picture(alpha, 'a') == PIXELS[..., ::-1]).all()
    deep = tmp_path / 'deep.png'
    cv2.imwrite(str(deep), PIXELS.astype(np.uint16) * 257)
    assert (read_picture(deep, 'a') == PIXELS).all()
    deep_grey = tmp_path / 'deep_grey.png'
    cv2.imwrite(str(deep_grey), PIXELS[..., 0].astype(np.uint16) * 257)
    assert (read_picture(deep_grey, 'a') == PIXELS[..., :1]).all()


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_cut_files_are_refused(tmp_path, suffix):
    path = save(tmp_path / f'a.{suffix}', PIXELS)
    data = path.read_bytes()
    for length in (0, 10, len(data) // 2, len(data) - 80):
        path.write_bytes(data[:length])
        for message in both(path):
            assert 'cannot be read' in message


def test_text_is_refused(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_text('not a picture')
    for message in both(path):
        assert 'cannot be read' in message


def test_bytes_after_the_end_are_no_harm(tmp_path):
    path = save(tmp_path / 'a.jpg', PIXELS)
    path.write_bytes(path.read_bytes() + b'\0' * 500)
    check_picture(path, 'a')


def test_transform_names_the_row(tmp_path):
    path = save(tmp_path / 'cut.png', PIXELS)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r'cut.png \(line 9 of its label file\)'):
        LoadPicture()(dict(img_path=str(path), line=9))
    path = save(tmp_path / 'good.png', PIXELS)
    results = LoadPicture()(dict(img_path=str(path)))
    assert results['img_shape'] == results['ori_shape'] == (40, 48)
