"""What pixels mean: depth, palette, transparency, inks, profiles, gamma, orientation, links."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from curation_samples import rgb
from PIL import Image, ImageCms, PngImagePlugin

from realmnet.curation.pictures import (
    list_pictures,
    read_any_picture,
    read_with_notes,
    refuse_outward,
)
from realmnet.datasets.transforms.loading import read_picture
from realmnet.errors import InputError

PIXELS = rgb(48, 64)
GREY = PIXELS[..., 0]


def saved(path, image, **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(path, **options)
    return path


def with_chunk(path, kind, data):
    """Put a chunk behind the header of a PNG file."""
    png = path.read_bytes()
    crc = struct.pack('>I', zlib.crc32(kind + data))
    path.write_bytes(png[:33] + struct.pack('>I', len(data)) + kind + data + crc + png[33:])
    return path


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_16_bits_do_not_depend_on_the_brightest_pixel(tmp_path, suffix):
    for top in (4095, 4096, 65535):
        values = np.full((40, 40), 1000, np.uint16)
        values[0, 0] = top
        path = saved(tmp_path / f'{top}.{suffix}', values)
        assert read_any_picture(path)[20, 20].tolist() == [3, 3, 3]
        assert read_picture(path, 'x')[20, 20].tolist() == [3, 3, 3]


def test_a_picture_that_fills_12_of_16_bits_is_named(tmp_path):
    path = saved(tmp_path / 'a.png', GREY.astype(np.uint16) * 16)
    assert [note[:5] for note in read_with_notes(path).notes] == ['dark:']
    assert read_with_notes(saved(tmp_path / 'b.png', GREY.astype(np.uint16) * 257)).notes == ()


def tiff(bits, photometric, data, width, height):
    """A TIFF of one strip, made by hand: what Pillow does not write."""
    entries = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1),
               (262, 3, photometric), (273, 4, 8 + 2 + 12 * 9 + 4), (277, 3, 1),
               (278, 4, height), (279, 4, len(data))]  # fmt: skip
    fields = b''.join(struct.pack('<HHII', tag, kind, 1, value) for tag, kind, value in entries)
    return b'II*\0' + struct.pack('<IH', 8, 9) + fields + b'\0' * 4 + data


def test_tiffs_that_say_12_bits_or_that_0_is_white(tmp_path):
    deep = GREY.astype(np.uint32) * 16
    pairs = deep.reshape(-1, 2)
    packed = np.stack(
        [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], -1
    )
    path = tmp_path / 'a.tif'
    path.write_bytes(tiff(12, 1, packed.astype(np.uint8).tobytes(), 64, 48))
    assert (read_any_picture(path)[..., 0] == GREY).all()
    path.write_bytes(tiff(16, 0, (65535 - GREY.astype('<u2') * 256).tobytes(), 64, 48))
    assert (read_any_picture(path)[..., 0] == GREY).all()
    path.write_bytes(tiff(8, 0, (255 - GREY).tobytes(), 64, 48))
    assert (read_any_picture(path)[..., 0] == GREY).all()


@pytest.mark.parametrize('mode', ['F', 'I'])
def test_numbers_of_unknown_range_are_refused(tmp_path, mode):
    path = saved(tmp_path / 'a.tif', Image.new(mode, (40, 40), 1))
    for read in (read_any_picture, lambda p: read_picture(p, 'a.tif')):
        with pytest.raises(InputError, match='of unknown range'):
            read(path)


def test_transparent_is_black(tmp_path):
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:], alpha[:, :8] = 255, 100
    path = saved(tmp_path / 'a.png', np.dstack([PIXELS, alpha]))
    found = read_any_picture(path)
    assert (found[:, 32:] == PIXELS[:, 32:]).all() and found[:, 8:32].max() == 0
    assert np.abs(found[:, :8] - PIXELS[:, :8] * (100 / 255)).max() <= 0.5
    path = saved(tmp_path / 'b.webp', np.dstack([PIXELS, alpha]), lossless=True)
    assert np.abs(read_any_picture(path).astype(int) - found).max() == 0
    path = saved(tmp_path / 'c.png', GREY, transparency=int(GREY[0, 5]))
    assert (read_any_picture(path)[:, 5] == 0).all() and read_any_picture(path)[0, 6, 0] > 0
    path = with_chunk(saved(tmp_path / 'e.png', GREY.astype(np.uint16) * 256), b'tRNS',
                      struct.pack('>H', int(GREY[0, 5]) * 256))  # fmt: skip
    assert (read_any_picture(path)[:, 5] == 0).all() and read_any_picture(path)[0, 6, 0] > 0


def test_inks_with_and_without_adobes_mark(tmp_path):
    path = saved(tmp_path / 'a.jpg', Image.fromarray(PIXELS).convert('CMYK'), quality=95)
    data = path.read_bytes()
    mark = data.find(b'\xff\xee')
    (length,) = struct.unpack('>H', data[mark + 2 : mark + 4])
    assert np.abs(read_any_picture(path).astype(int) - PIXELS).mean() < 2
    path.write_bytes(data[:mark] + data[mark + 2 + length :])
    assert np.abs(read_any_picture(path).astype(int) - PIXELS).mean() < 2


def swapped_profile():
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    red, green = data.find(b'rXYZ'), data.find(b'gXYZ')
    data[red : red + 4], data[green : green + 4] = b'gXYZ', b'rXYZ'
    return bytes(data)


@pytest.mark.parametrize('kind', ['png', 'jpg', 'tif', 'webp'])
def test_profiles_are_converted_to_srgb(tmp_path, kind):
    options = {'jpg': {'quality': 95, 'subsampling': 0}, 'webp': {'lossless': True}}.get(kind, {})
    path = saved(tmp_path / f'a.{kind}', PIXELS, icc_profile=swapped_profile(), **options)
    turned = PIXELS[..., [1, 0, 2]].astype(int)
    assert np.abs(read_any_picture(path) - turned).mean() < 3
    assert (read_picture(path, 'x')[..., ::-1] == read_any_picture(path)).all()


def test_a_profile_that_says_srgb_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    path = saved(tmp_path / 'a.png', PIXELS, icc_profile=profile)
    assert (read_any_picture(path) == PIXELS).all()


def test_a_broken_profile_is_named(tmp_path):
    path = saved(tmp_path / 'a.png', PIXELS, icc_profile=b'no profile' * 20)
    with pytest.raises(InputError, match='colour profile cannot be used'):
        read_any_picture(path)
    assert (read_any_picture(path, accept_damaged=True) == PIXELS).all()


def test_a_pngs_gamma_and_primaries(tmp_path):
    def gama(value):
        path = saved(tmp_path / 'a.png', PIXELS)
        return with_chunk(path, b'gAMA', struct.pack('>I', value))

    assert (read_any_picture(gama(45455)) == PIXELS).all()
    light = PIXELS / 255
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    found = read_any_picture(gama(100_000))
    assert np.abs(found - 255 * code).max() <= 0.51
    # the sRGB chunk counts more
    path = with_chunk(gama(100_000), b'sRGB', b'\0')
    assert (read_any_picture(path) == PIXELS).all()
    # red and green exchanged: (x, y) of white, red, green, blue
    swapped = [31270, 32900, 30000, 60000, 64000, 33000, 15000, 6000]
    path = with_chunk(saved(tmp_path / 'b.png', PIXELS), b'cHRM', struct.pack('>8I', *swapped))
    assert np.abs(read_any_picture(path).astype(int) - PIXELS[..., [1, 0, 2]]).max() <= 2


XMP = '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" {}</rdf:Description>'


@pytest.mark.parametrize(
    'form', ['tiff:Orientation="6">', "tiff:Orientation = '6'>",
             '><tiff:Orientation>6</tiff:Orientation>', '><tiff:Orientation> 6</tiff:Orientation>'],
)  # fmt: skip
def test_orientation_in_xmp(tmp_path, form):
    text = XMP.format(form)
    info = PngImagePlugin.PngInfo()
    info.add_itxt('XML:com.adobe.xmp', text)
    for path in (
        saved(tmp_path / 'a.jpg', PIXELS, xmp=text.encode()),
        saved(tmp_path / 'a.png', PIXELS, pnginfo=info),
        saved(tmp_path / 'a.tif', PIXELS, tiffinfo={700: text.encode()}),
        saved(tmp_path / 'a.webp', PIXELS, xmp=text.encode(), lossless=True),
    ):
        for found in (read_any_picture(path), read_picture(path, 'x')[..., ::-1]):
            assert np.abs(found.astype(int) - np.rot90(PIXELS, -1)).mean() < 8, path


@pytest.mark.parametrize(('exif', 'xmp', 'turns'), [(6, 3, -1), (1, 6, 0), (0, 6, 0), (9, 6, 0)])
def test_exif_counts_more_than_xmp(tmp_path, exif, xmp, turns):
    tags = Image.Exif()
    tags[0x0112] = exif
    text = XMP.format(f'tiff:Orientation="{xmp}">').encode()
    path = saved(tmp_path / 'a.webp', PIXELS, exif=tags.tobytes(), xmp=text, lossless=True)
    assert (read_any_picture(path) == np.rot90(PIXELS, turns)).all()


def test_several_pages_or_frames_are_refused_alike(tmp_path):
    more = {'save_all': True, 'append_images': [Image.fromarray(PIXELS[::-1])]}
    for name in ('a.tif', 'a.png', 'a.webp'):
        path = saved(tmp_path / name, PIXELS, **more)
        for read in (read_any_picture, lambda p: read_picture(p, p.name)):
            with pytest.raises(InputError, match='has 2 pages or frames'):
                read(path)
    path = saved(tmp_path / 'a.jpg', PIXELS, format='MPO', **more)
    assert np.abs(read_any_picture(path).astype(int) - PIXELS).mean() < 8


def test_the_content_counts_and_not_the_suffix(tmp_path):
    for kind in ('PNG', 'TIFF', 'BMP', 'JPEG2000'):
        path = saved(tmp_path / 'a.jpg', PIXELS, format=kind)
        assert (read_any_picture(path) == PIXELS).all()
        path = saved(tmp_path / 'a.dcm', PIXELS, format=kind)
        assert (read_any_picture(path) == PIXELS).all()


@pytest.mark.parametrize('kind', ['GIF', 'EPS', 'ICO', 'PPM', 'PCX', 'TGA', 'PDF', 'SGI'])
def test_other_decoders_stay_shut(tmp_path, kind):
    saved(tmp_path / 'a.jpg', Image.fromarray(PIXELS), format=kind)
    for read in (read_any_picture, lambda p: read_picture(p, p.name)):
        with pytest.raises(InputError, match='it is not a JPEG'):
            read(tmp_path / 'a.jpg')


def test_a_broken_exif_block_is_named(tmp_path):
    exif = b'Exif\0\0II*\0\x08\0\0\0' + struct.pack('<H', 40) + b'\x12\x01'
    path = saved(tmp_path / 'a.jpg', PIXELS, exif=exif)
    with pytest.raises(InputError, match=r'cannot be read whole \(.*EXIF'):
        read_any_picture(path)


def test_links_that_stay_inside_are_followed_and_others_named(tmp_path):
    folder, elsewhere = tmp_path / 'in', tmp_path / 'else'
    (folder / 'sub').mkdir(parents=True)
    elsewhere.mkdir()
    saved(folder / 'a.png', PIXELS)
    saved(elsewhere / 'b.png', PIXELS)
    (folder / 'sub' / 'c.png').symlink_to(folder / 'a.png')
    (folder / 'd.png').symlink_to(elsewhere / 'b.png')
    (folder / 'gone.png').symlink_to(tmp_path / 'gone.png')
    (folder / 'far').symlink_to(elsewhere)
    (tmp_path / 'door').symlink_to(folder)
    names = [path.as_posix() for path in list_pictures(folder)]
    assert names == ['a.png', 'd.png', 'gone.png', 'sub/c.png']
    for name in ('a.png', 'sub/c.png'):
        refuse_outward(tmp_path / 'door' / name, tmp_path / 'door')
    for name in ('d.png', 'far/b.png', '../else/b.png', 'gone.png'):
        with pytest.raises(InputError, match='a link out of the folder'):
            refuse_outward(folder / name, folder)


def test_a_cmyk_profile_and_a_grey_one(tmp_path):
    """A profile for other colours than the picture's is named, not applied."""
    path = saved(tmp_path / 'a.png', GREY, icc_profile=swapped_profile())
    with pytest.raises(InputError, match='colour profile cannot be used'):
        read_any_picture(path)


def test_reading_is_the_same_at_reduced_size(tmp_path):
    image = cv2.resize(rgb(120, 160), (640, 480), interpolation=cv2.INTER_LINEAR)
    for mode in ('RGB', 'L', 'CMYK'):
        picture = Image.fromarray(image).convert(mode)
        file = io.BytesIO()
        picture.save(file, 'JPEG', quality=95)
        (tmp_path / 'a.jpg').write_bytes(file.getvalue())
        small = read_any_picture(tmp_path / 'a.jpg', least_side=120)
        assert small.shape == (120, 160, 3)
        whole = read_any_picture(tmp_path / 'a.jpg')
        expected = cv2.resize(whole, (160, 120), interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - expected).mean() < 2


def test_signed_samples_are_refused(tmp_path):
    image = Image.fromarray(np.full((40, 40), 200, np.uint8))
    image.save(tmp_path / 'a.tif', tiffinfo={339: 2})
    with pytest.raises(InputError, match='signed integers'):
        read_any_picture(tmp_path / 'a.tif')
