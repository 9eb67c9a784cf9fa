"""Reading pictures of strangers."""

import io
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from curation_samples import rgb, write_dicom
from PIL import Image

from realmnet.curation.pictures import (
    list_pictures,
    read_any_picture,
    write_picture,
)
from realmnet.errors import InputError

pydicom = pytest.importorskip('pydicom')


@pytest.mark.parametrize('suffix', ['png', 'tif', 'bmp'])
def test_lossless_formats_come_back_equal(tmp_path, suffix):
    path = tmp_path / f'x.{suffix}'
    Image.fromarray(rgb()).save(path)
    assert (read_any_picture(path) == rgb()).all()


def test_jpeg_is_pillows(tmp_path):
    path = tmp_path / 'x.JPG'
    Image.fromarray(rgb()).save(path, 'JPEG', quality=95)
    with Image.open(path) as image:
        expected = np.asarray(image.convert('RGB')).astype(int)
    assert np.abs(read_any_picture(path).astype(int) - expected).max() <= 3


@pytest.mark.parametrize(('least', 'shape'), [(0, (480, 640)), (200, (240, 320)),
                                              (60, (60, 80)), (241, (480, 640))])  # fmt: skip
def test_jpeg_may_be_decoded_smaller(tmp_path, least, shape):
    path = tmp_path / 'x.jpg'
    Image.fromarray(rgb(480, 640)).save(path)
    assert read_any_picture(path, least_side=least).shape[:2] == shape


@pytest.mark.parametrize('quality', [0, 95])
def test_exif_orientation_is_applied(tmp_path, quality):
    path = tmp_path / ('x.jpg' if quality else 'x.tif')
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees
    Image.fromarray(rgb()).save(path, exif=exif)
    expected = np.rot90(rgb(), -1).astype(int)
    assert np.abs(read_any_picture(path).astype(int) - expected).mean() < 8


def test_other_modes_become_rgb(tmp_path):
    grey = rgb()[..., 0]
    Image.fromarray(grey).save(tmp_path / 'grey.png')
    assert (read_any_picture(tmp_path / 'grey.png') == grey[..., None]).all()
    Image.fromarray(grey.astype(np.uint16) << 8).save(tmp_path / 'deep.png')
    assert np.abs(read_any_picture(tmp_path / 'deep.png')[..., 0].astype(int) - grey).max() == 0
    Image.fromarray(rgb()).convert('P', palette=Image.Palette.ADAPTIVE).save(tmp_path / 'p.png')
    assert read_any_picture(tmp_path / 'p.png').shape == (48, 64, 3)
    Image.fromarray(rgb()).convert('CMYK').save(tmp_path / 'c.jpg')
    assert read_any_picture(tmp_path / 'c.jpg').shape == (48, 64, 3)


def truncated_jpeg():
    file = io.BytesIO()
    Image.fromarray(rgb(480, 640)).save(file, 'JPEG')
    return file.getvalue()[:-800]


def png_bomb():
    def chunk(kind, data):
        return (struct.pack('>L', len(data)) + kind + data
                + struct.pack('>L', zlib.crc32(kind + data)))  # fmt: skip

    head = struct.pack('>LL5B', 60_000, 60_000, 8, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head)
            + chunk(b'IDAT', zlib.compress(b'\0' * 1000)) + chunk(b'IEND', b''))  # fmt: skip


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('empty.jpg', b'', 'is empty'),
        ('text.jpg', b'hello, this is no picture', 'cannot be read'),
        ('cut.jpg', truncated_jpeg(), 'cannot be read'),
        ('bomb.png', png_bomb(), 'million pixels'),
        ('script.png', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'cannot be read'),
        ('x.dcm', b'not dicom at all' * 20, 'cannot be read'),
    ],
)
def test_broken_files_are_one_sentence(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_any_picture(path)
    assert name in str(caught.value)
    assert '\n' not in str(caught.value)


def test_tiff_with_pages(tmp_path):
    pages = [Image.fromarray(rgb()) for _ in range(2)]
    pages[0].save(tmp_path / 'x.tif', save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match='has 2 pages'):
        read_any_picture(tmp_path / 'x.tif')


def test_dicom_colour_and_grey(tmp_path):
    write_dicom(tmp_path / 'a.dcm', rgb())
    assert (read_any_picture(tmp_path / 'a.dcm') == rgb()).all()
    grey = rgb()[..., 0]
    write_dicom(tmp_path / 'b.dcm', grey, 'MONOCHROME2')
    found = read_any_picture(tmp_path / 'b.dcm')
    assert (found == grey[..., None]).all()
    write_dicom(tmp_path / 'c.dcm', grey, 'MONOCHROME1')
    assert (read_any_picture(tmp_path / 'c.dcm') == 255 - grey[..., None]).all()
    write_dicom(tmp_path / 'd.dcm', grey.astype(np.uint16) * 16, 'MONOCHROME2', 12)
    deep = read_any_picture(tmp_path / 'd.dcm')[..., 0]
    assert (deep == grey).all()


@pytest.mark.parametrize('name', ['JPEGBaseline8Bit', 'JPEG2000Lossless'])
def test_compressed_dicom_comes_back_as_rgb(tmp_path, name):
    import pydicom.uid
    from pydicom.encaps import encapsulate

    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0], image[:32, :, 1] = 200, 120
    file = io.BytesIO()
    jpeg = name.startswith('JPEGB')
    Image.fromarray(image).save(file, 'JPEG' if jpeg else 'JPEG2000', **({'quality': 95} if jpeg
                                else {'irreversible': False, 'mct': 0}))  # fmt: skip
    write_dicom(tmp_path / 'x.dcm', image, 'YBR_FULL_422' if jpeg else 'RGB')
    data = pydicom.dcmread(tmp_path / 'x.dcm')
    data.file_meta.TransferSyntaxUID = getattr(pydicom.uid, name)
    data.PixelData = encapsulate([file.getvalue()])
    data['PixelData'].is_undefined_length = True
    data.save_as(tmp_path / 'x.dcm')
    found = read_any_picture(tmp_path / 'x.dcm').astype(int)
    assert np.abs(found - image).mean() < 4


def test_dicom_that_must_not_pass(tmp_path):
    write_dicom(tmp_path / 'a.dcm', rgb(), BurnedInAnnotation='YES')
    with pytest.raises(InputError, match='BurnedInAnnotation'):
        read_any_picture(tmp_path / 'a.dcm')
    write_dicom(tmp_path / 'b.dcm', rgb(), NumberOfFrames=3)
    with pytest.raises(InputError, match='3 frames'):
        read_any_picture(tmp_path / 'b.dcm')
    write_dicom(tmp_path / 'c.dcm', rgb(), Rows=40000, Columns=40000)
    with pytest.raises(InputError, match='million pixels'):
        read_any_picture(tmp_path / 'c.dcm')


def test_a_dicom_file_packed_as_a_whole_is_not_unpacked(tmp_path, monkeypatch):
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    write_dicom(tmp_path / 'a.dcm', np.zeros((2000, 2000, 3), np.uint8))
    data = pydicom.dcmread(tmp_path / 'a.dcm')
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(tmp_path / 'bomb.dcm')
    assert (tmp_path / 'bomb.dcm').stat().st_size < 20_000

    def decompress(*args):
        (tmp_path / 'ran').touch()
        return zlib.decompress(*args)

    monkeypatch.setattr(pydicom.filereader, 'zlib', SimpleNamespace(
        decompress=decompress, MAX_WBITS=zlib.MAX_WBITS))  # fmt: skip
    with pytest.raises(InputError, match=r'bomb\.dcm: is packed as a whole'):
        read_any_picture(tmp_path / 'bomb.dcm')
    assert not (tmp_path / 'ran').exists()


def test_a_dicom_file_is_read_only_as_far_as_it_may_be(tmp_path, monkeypatch):
    write_dicom(tmp_path / 'a.dcm', rgb())
    with (tmp_path / 'a.dcm').open('ab') as file:
        file.truncate(17_000_000)
    write_dicom(tmp_path / 'b.dcm', rgb(), Rows=4000, Columns=4000)
    write_dicom(tmp_path / 'c.dcm', rgb(), SamplesPerPixel=60_000)
    write_dicom(tmp_path / 'd.dcm', rgb(), BitsAllocated=64)
    write_dicom(tmp_path / 'e.dcm', rgb(), Rows=0)
    read = pydicom.dcmread

    def before_pixels(path, stop_before_pixels=False):
        assert stop_before_pixels
        return read(path, stop_before_pixels=True)

    monkeypatch.setattr(pydicom, 'dcmread', before_pixels)
    for name, sentence in (
        ('a', 'has 17 million bytes'),
        ('b', 'more than 0.1 million pixels'),
        ('c', '60000 channels'),
        ('d', '64 bits'),
        ('e', 'no pixel data'),
    ):
        with pytest.raises(InputError, match=sentence):
            read_any_picture(tmp_path / f'{name}.dcm', max_pixels=100_000)


def test_the_limit_in_the_sentence_is_the_one_that_was_passed(tmp_path):
    png_head = png_bomb().replace(
        struct.pack('>LL', 60_000, 60_000), struct.pack('>LL', *[20_000] * 2)
    )
    checksum = struct.pack('>L', zlib.crc32(png_head[12:29]))
    path = tmp_path / 'x.png'
    path.write_bytes(png_head[:29] + checksum + png_head[33:])
    for limit, sentence in ((120_000_000, '120'), (500_000_000, '178.957')):
        with pytest.raises(InputError, match=f'more than {sentence} million pixels'):
            read_any_picture(path, max_pixels=limit)


def test_listing(tmp_path):
    (tmp_path / 'sub').mkdir()
    write_picture(tmp_path / 'sub' / 'a.jpg', rgb())
    write_dicom(tmp_path / '1.2.840.113', rgb())
    (tmp_path / 'notes.txt').write_text('x')
    (tmp_path / '.hidden.jpg').write_text('x')
    (tmp_path / '@eaDir').mkdir()
    (tmp_path / '@eaDir' / 'thumbnail.jpg').write_text('x')
    assert [p.as_posix() for p in list_pictures(tmp_path)] == ['1.2.840.113', 'sub/a.jpg']
    with pytest.raises(InputError, match='no such folder'):
        list_pictures(tmp_path / 'none')
    (tmp_path / 'void').mkdir()
    with pytest.raises(InputError, match='no picture'):
        list_pictures(tmp_path / 'void')


def test_no_picture_at_all_is_said_plainly(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_text('hello')
    with pytest.raises(InputError, match='is not a JPEG, PNG, TIFF, BMP, WebP, JPEG 2000 or'):
        read_any_picture(path)


def test_floating_point_pictures_do_not_turn_black(tmp_path):
    path = tmp_path / 'a.tif'
    Image.fromarray(np.full((20, 20), 0.5, np.float32)).save(path)
    with pytest.raises(InputError, match='floating-point'):
        read_any_picture(path)
