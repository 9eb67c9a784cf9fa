"""What is damaged is found by every reader, and what is whole is not called damaged."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import simplejpeg
from curation_samples import rgb
from PIL import Image

from realmnet.curation.pictures import read_any_picture, read_with_notes
from realmnet.curation.prepare import PrepareSettings, prepare_images
from realmnet.datasets.transforms.loading import check_picture, read_picture
from realmnet.errors import InputError

PIXELS = rgb(240, 320)


def encoded(kind, pixels=PIXELS, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


JPEG = encoded('JPEG', quality=90)
PROGRESSIVE = encoded('JPEG', quality=90, progressive=True)
RESTARTS = encoded('JPEG', quality=90, restart_marker_blocks=10)
PNG = encoded('PNG')
START = JPEG.find(b'\xff\xda') + 14
MIDDLE = (START + len(JPEG)) // 2


def zeros(data, number, place=None):
    place = len(data) // 2 if place is None else place
    return data[:place] + b'\0' * number + data[place + number :]


def png_with(change, checksum=True):
    """PNG whose pixel data went through ``change``, with a right checksum or the old one."""
    place = PNG.find(b'IDAT')
    (length,) = struct.unpack('>I', PNG[place - 4 : place])
    end = place + 4 + length
    body = change(PNG[place + 4 : end])
    crc = struct.pack('>I', zlib.crc32(b'IDAT' + body)) if checksum else PNG[end : end + 4]
    chunk = struct.pack('>I', len(body)) + b'IDAT' + body + crc
    return PNG[: place - 4] + chunk + PNG[end + 4 :]


def without_restart_marker(data):
    place = data.find(b'\xff\xd3', data.find(b'\xff\xda'))
    return data[:place] + data[place + 2 :]


DAMAGED = {
    'cut.jpg': JPEG[:MIDDLE],
    'cut_padded.jpg': JPEG[:MIDDLE] + b'\0' * (len(JPEG) - MIDDLE),
    'cut_ended.jpg': JPEG[:MIDDLE] + b'\xff\xd9',
    'no_end.jpg': JPEG[:-2],
    'sector.jpg': zeros(JPEG, 512),
    'sixteen.jpg': zeros(JPEG, 16),
    'marker.jpg': JPEG[:MIDDLE] + b'\xff\xc4' + JPEG[MIDDLE + 2 :],
    'extra.jpg': JPEG[:-2] + b'\x12\x34\x56' * 20 + JPEG[-2:],
    'restart.jpg': without_restart_marker(RESTARTS),
    'progressive.jpg': PROGRESSIVE[: len(PROGRESSIVE) // 2] + b'\xff\xd9',
    'sector.png': zeros(PNG, 16),
    'cut.png': PNG[:-300],
    'no_end.png': PNG[:-12],
    'checksum.png': PNG[:-16] + b'abcd' + PNG[-12:],
    'adler.png': png_with(lambda z: z[:-4] + b'abcd'),
    'short.png': png_with(lambda z: zlib.compress(zlib.decompress(z)[:-5000])),
    'flipped.png': png_with(lambda z: z[:-4] + b'abcd', checksum=False),
    'text.png': encoded('PNG').replace(b'IEND', b'IENd'),
    'cut.bmp': encoded('BMP')[:-10],
    'cut.tif': encoded('TIFF')[:-2000],
    'lzw.tif': zeros(encoded('TIFF', compression='tiff_lzw'), 512, 3000),
    'deflate.tif': zeros(encoded('TIFF', compression='tiff_adobe_deflate'), 1, 3000),
    'jpeg.tif': zeros(encoded('TIFF', compression='jpeg'), 64, 2000),
    'cut.webp': encoded('WEBP', lossless=True)[:-100],
    'cut.jp2': encoded('JPEG2000')[:-100],
}


@pytest.mark.parametrize('name', DAMAGED)
def test_damage_is_found_by_every_reader(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(DAMAGED[name])
    for read in (
        read_any_picture, lambda p: read_any_picture(p, least_side=60),
        lambda p: check_picture(p, p.name), lambda p: read_picture(p, p.name),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f'{name}: cannot be read'):
            read(path)


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.bmp', 'a.tif', 'a.webp', 'a.jp2'])
def test_bytes_behind_a_picture_are_no_damage(tmp_path, name):
    kind = {'a.tif': 'TIFF', 'a.jp2': 'JPEG2000', 'a.jpg': 'JPEG'}.get(name, name[2:].upper())
    path = tmp_path / name
    for trailer in (b'\0' * 100, JPEG[:5000], b'\xff\xd9', b'SEFH' + b'x' * 5000):
        path.write_bytes(encoded(kind) + trailer)
        assert check_picture(path, name) == ()
        assert read_any_picture(path).shape == PIXELS.shape


@pytest.mark.parametrize('data', [JPEG, PROGRESSIVE, RESTARTS, encoded('JPEG', PIXELS[..., 0])])
def test_a_whole_jpeg_is_pillows(tmp_path, data):
    (tmp_path / 'a.jpg').write_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        assert (read_any_picture(tmp_path / 'a.jpg') == np.asarray(image.convert('RGB'))).all()


def test_lost_sectors_are_found(tmp_path):
    """Nothing else tells of damage in a JPEG than what its decoder stumbles over."""
    path, rng = tmp_path / 'a.jpg', np.random.default_rng(0)
    found = 0
    for place in rng.integers(START, len(JPEG) - 514, 100):
        path.write_bytes(zeros(JPEG, 512, place))
        try:
            read_any_picture(path)
        except InputError:
            found += 1
    assert found == 100


def test_accepted_damage_is_marked(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(DAMAGED['cut_ended.jpg'])
    read = read_with_notes(path, accept_damaged=True)
    assert read.notes == ('damaged: Corrupt JPEG data: premature end of data segment, accepted',)
    whole = np.abs(read.pixels.astype(int) - PIXELS).mean(axis=(1, 2))
    assert whole[:40].max() < 8 and whole[-40:].min() > 20
    path.write_bytes(DAMAGED['checksum.png'])
    read = read_with_notes(path, accept_damaged=True)
    assert (read.pixels == PIXELS).all() and 'IDAT' in read.notes[0]
    path.write_bytes(b'no picture at all')
    with pytest.raises(InputError, match='cannot be read'):
        read_with_notes(path, accept_damaged=True)


def test_nothing_damaged_is_stored_as_new_unless_accepted(tmp_path):
    source, target = tmp_path / 'raw', tmp_path / 'out'
    source.mkdir()
    (source / 'good.jpg').write_bytes(JPEG)
    (source / 'bad.jpg').write_bytes(DAMAGED['sector.jpg'])
    report = prepare_images(source, target, PrepareSettings(64), jobs=1)
    assert report.written == 1 and [name for name, _ in report.unreadable] == ['bad.jpg']
    assert not (target / 'bad.jpg').exists()
    for _ in range(2):  # the second run finds everything there and still says so
        settings = PrepareSettings(64, accept_damaged=True)
        report = prepare_images(source, target, settings, jobs=1)
        assert not report.unreadable and (target / 'bad.jpg').exists()
        assert report.notes == [
            ('bad.jpg', 'damaged: Corrupt JPEG data: premature end of data segment, accepted')
        ]
        assert 'bad.jpg,"damaged' in (target / 'unreadable.csv').read_text().replace(
            'bad.jpg,damaged', 'bad.jpg,"damaged'
        )


def test_a_rare_sampling_of_colours_is_not_called_whole(tmp_path):
    path = tmp_path / 'a.jpg'
    Image.fromarray(PIXELS).convert('CMYK').save(path, quality=95, subsampling=2)
    with pytest.raises(InputError, match='sampled in a rare way'):
        read_any_picture(path)
    pixels = read_any_picture(path, accept_damaged=True)
    assert np.abs(pixels.astype(int) - PIXELS).mean() < 3


def test_pipes_folders_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'pipe.jpg')
    (tmp_path / 'folder.jpg').mkdir()
    for path in (tmp_path / 'pipe.jpg', tmp_path / 'folder.jpg', '/dev/zero'):
        for read in (read_any_picture, lambda p: check_picture(p, str(p))):
            with pytest.raises(InputError, match='is a folder, pipe or device'):
                read(path)


def test_strictness_is_simplejpegs_own(tmp_path):
    """If a newer one were lenient by default, nothing else would notice."""
    with pytest.raises(ValueError, match='premature end'):
        simplejpeg.decode_jpeg(DAMAGED['cut_ended.jpg'])


@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
def test_scans_that_a_progressive_jpeg_lacks_are_found(tmp_path, mode):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / 'a.jpg'
    Image.fromarray(noise).convert(mode).save(path, quality=90, progressive=True)
    data = path.read_bytes()
    assert read_any_picture(path).shape == (64, 64, 3)
    scans = [i for i in range(len(data)) if data[i : i + 2] == b'\xff\xda']
    for start in scans[1:]:
        path.write_bytes(data[:start] + b'\xff\xd9')
        with pytest.raises(InputError, match='the last scans of the progressive JPEG are missing'):
            read_any_picture(path)
    read_any_picture(path, accept_damaged=True)
