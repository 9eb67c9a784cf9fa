"""One picture in one encoding: every path of the software must see the same pixels."""

import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin
from property_runs import MINUTES, repeat

from realmnet.apis.one_picture import SHOWN_SIDE, _view
from realmnet.curation.borders import square
from realmnet.curation.pictures import read_any_picture
from realmnet.curation.prepare import PrepareSettings, prepare_picture
from realmnet.curation.verification import _look
from realmnet.datasets.transforms.loading import LoadPicture, check_picture, read_picture
from realmnet.deployment.description import Preprocessing
from realmnet.reporting.mistakes import _picture

SIDE = 32
# Pillow's own names of the eight orientations, as an oracle of ours.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
ENCODINGS = {
    'JPEG': [{}, {'progressive': True}, {'subsampling': 2}, {'keep_rgb': True, 'subsampling': 0},
             {'restart_marker_blocks': 3}, {'optimize': True}],
    'MPO': [{}],
    'PNG': [{}, {'compress_level': 1}],
    'TIFF': [{}, {'compression': 'tiff_lzw'}, {'compression': 'tiff_adobe_deflate'},
             {'compression': 'packbits'}],
    'BMP': [{}],
    'WEBP': [{'lossless': True}],
    'JPEG2000': [{}],
}  # fmt: skip
MODES = {
    'JPEG': ['RGB', 'L', 'CMYK'], 'MPO': ['RGB'],
    'PNG': ['RGB', 'L', '1', 'P', 'RGBA', 'LA', 'P+', 'I;16', 'RGB;16', 'L+', 'RGB+'],
    'TIFF': ['RGB', 'L', '1', 'P', 'RGBA', 'LA', 'CMYK', 'I;16', 'RGB;16'],
    'BMP': ['RGB', 'L', '1', 'P'], 'WEBP': ['RGB', 'RGBA'],
    'JPEG2000': ['RGB', 'L', 'RGBA', 'LA', 'I;16'],
}  # fmt: skip
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    'syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" {}</rdf:Description>'
    '</rdf:RDF></x:xmpmeta>'
)
STATED = {
    'attribute': 'tiff:Orientation="{}">', 'single quotes': "tiff:Orientation = '{}'>",
    'element': '><tiff:Orientation>{}</tiff:Orientation>',
}  # fmt: skip


def profile(swap):
    """sRGB, or sRGB with red and green exchanged, so that ignoring it shows."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    if swap:
        red, green = data.find(b'rXYZ'), data.find(b'gXYZ')
        data[red : red + 4], data[green : green + 4] = b'gXYZ', b'rXYZ'
    return bytes(data)


@st.composite
def cases(draw):
    kind = draw(st.sampled_from(sorted(ENCODINGS)))
    carriers = {'JPEG': ['exif', *STATED], 'TIFF': ['exif', *STATED], 'WEBP': ['exif', *STATED],
                'PNG': ['exif', *STATED], 'MPO': ['exif']}.get(kind, [])  # fmt: skip
    return {
        'kind': kind,
        'mode': draw(st.sampled_from(MODES[kind])),
        'options': draw(st.sampled_from(ENCODINGS[kind])),
        'carrier': draw(st.sampled_from(['', *carriers])),
        'orientation': draw(st.integers(0, 9)),
        'suffix': draw(st.sampled_from(['.jpg', '.png', '.tif', '.bmp', '.webp', '.jp2'])),
        'profile': draw(st.sampled_from([None, None, False, True])),
        'trailer': draw(st.sampled_from([b'', b'\0' * 100, b'SEFH' * 40])),
        'height': draw(st.integers(40, 120)),
        'width': draw(st.integers(40, 120)),
        'seed': draw(st.integers(0, 2**32 - 1)),
    }


def scene(seed, height, width):
    """Smooth colours with a bright patch: what JPEG keeps well."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (3, 3, 3)).astype(np.float32)
    pixels = np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), 0, 255)
    pixels[: height // 4, : width // 4] = rng.integers(0, 256, 3)
    return cv2.GaussianBlur(pixels, (0, 0), 3).astype(np.uint8)


def in_mode(pixels, mode, seed):
    """The picture as it is stored, and as it is meant to be seen (RGB)."""
    image, rng = Image.fromarray(pixels), np.random.default_rng(seed)
    if mode == 'I;16':
        grey = np.asarray(image.convert('L'))
        low = rng.integers(0, 256, grey.shape)
        return Image.fromarray((grey.astype(np.uint16) << 8) | low.astype(np.uint16)), (
            np.repeat(grey[..., None], 3, 2)
        )
    if mode == 'RGB;16':
        return pixels.astype(np.uint16) * 256 + np.uint16(rng.integers(256)), pixels
    if mode in ('P', 'P+'):
        stored = image.quantize(16)
        seen = np.array(stored.convert('RGB'))
        if mode == 'P+':
            stored.info['transparency'] = 3
            seen[np.asarray(stored) == 3] = 0
        return stored, seen
    if mode in ('L+', 'RGB+'):
        stored = image.convert(mode[:-1])
        values = np.asarray(stored)
        key = values[0, 0]
        stored.info['transparency'] = int(key) if mode == 'L+' else tuple(key.tolist())
        seen = np.array(stored.convert('RGB', dither=None))
        clear = values == key if mode == 'L+' else (values == key).all(-1)
        seen = np.array(Image.fromarray(values).convert('RGB'))
        seen[clear] = 0
        return stored, seen
    if mode in ('RGBA', 'LA'):
        alpha = cv2.resize(rng.integers(0, 256, (2, 2)).astype(np.uint8), pixels.shape[1::-1])
        stored = image.convert(mode[:-1])
        seen = np.asarray(stored.convert('RGB')).astype(float) * alpha[..., None] / 255
        stored.putalpha(Image.fromarray(alpha))
        return stored, np.round(seen)
    stored = image.convert(mode)
    return stored, np.asarray(stored.convert('RGB'))


def write(path: Path, case):
    """Write the file; return what is to be seen and how far it may be off on average."""
    kind, mode = case['kind'], case['mode']
    stored, seen = in_mode(scene(case['seed'], case['height'], case['width']), mode, case['seed'])
    options, text = dict(case['options']), ''
    if mode not in ('RGB', 'L'):
        options.pop('keep_rgb', None)
    if mode == 'CMYK':
        options.pop('subsampling', None)  # refused, see test_damaged_pictures.py
    if mode in ('1', 'CMYK', 'I;16') and options.get('compression') == 'packbits':
        options.pop('compression')
    if case['carrier'] == 'exif':
        if case['orientation'] not in range(1, 9) and kind == 'TIFF':
            options.pop('compression', None)  # libtiff does not write such a value
        exif = Image.Exif()
        exif[0x0112] = case['orientation']
        options['exif'] = exif.tobytes() if kind != 'TIFF' else exif
    elif case['carrier']:
        text = XMP.format(STATED[case['carrier']].format(case['orientation']))
    if text and kind == 'PNG':
        options['pnginfo'] = PngImagePlugin.PngInfo()
        options['pnginfo'].add_itxt('XML:com.adobe.xmp', text)
    elif text and kind == 'TIFF':
        options['tiffinfo'] = {700: text.encode()}
    elif text:
        options['xmp'] = text.encode()
    coloured = case['profile'] is not None and mode == 'RGB' and kind in ('JPEG', 'PNG', 'TIFF')
    if coloured:
        options['icc_profile'] = profile(case['profile'])
        seen = np.asarray(ImageCms.profileToProfile(
            stored, ImageCms.ImageCmsProfile(io.BytesIO(options['icc_profile'])),
            ImageCms.createProfile('sRGB'), ImageCms.Intent.RELATIVE_COLORIMETRIC))  # fmt: skip
    if mode == 'RGB;16':
        # written by OpenCV, which has 16 bits a channel; it writes no orientation
        cv2.imwrite(str(path.with_suffix('.tif' if kind == 'TIFF' else '.png')), stored[..., ::-1])
        path.with_suffix('.tif' if kind == 'TIFF' else '.png').rename(path)
        return seen, 0
    if kind in ('JPEG', 'MPO'):
        options['quality'] = 95
    if 'transparency' in stored.info:
        options['transparency'] = stored.info['transparency']
    if kind == 'MPO':
        options |= {'save_all': True, 'append_images': [stored.resize((16, 16))]}
    file = io.BytesIO()
    stored.save(file, kind, **options)
    path.write_bytes(file.getvalue() + case['trailer'])
    if case['carrier'] and case['orientation'] in UPRIGHT:
        seen = Image.fromarray(seen.astype(np.uint8)).transpose(UPRIGHT[case['orientation']])
    lossy = kind in ('JPEG', 'MPO')
    return np.asarray(seen), 2 if lossy else 1 if coloured or mode in ('RGBA', 'LA') else 0


def test_all_paths_see_the_same_pixels(tmp_path):
    @settings(max_examples=200 if MINUTES else 40, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(cases())
    def check(case):
        path = tmp_path / f'x{case["suffix"]}'
        path.unlink(missing_ok=True)
        expected, tolerance = write(path, case)
        pixels = read_any_picture(path)
        assert pixels.shape == expected.shape
        far = np.abs(pixels.astype(float) - expected)
        assert (far.mean() < 2) if tolerance == 2 else (far.max() <= tolerance)

        assert check_picture(path, 'x') == ()
        assert (read_picture(path, 'x')[..., ::-1] == pixels).all()
        assert (LoadPicture()({'img_path': str(path)})['img'][..., ::-1] == pixels).all()
        digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        assert _look(path.name, tmp_path, False).digest == digest
        preprocessing = Preprocessing(SIDE)
        # libjpeg may skip work where a picture has more than twice the size
        reduced = read_any_picture(path, least_side=2 * SIDE)
        assert (preprocessing.read(path) == preprocessing.apply(reduced)).all()
        prepare_picture(path, tmp_path / 'p.png', PrepareSettings(SIDE, crop=False, suffix='.png'))
        assert (read_any_picture(tmp_path / 'p.png') == square(reduced, SIDE)).all()
        shown = _view(path, preprocessing, 10**6)
        assert max(shown.shape) == SHOWN_SIDE
        assert np.abs(shown.astype(float).mean((0, 1)) - pixels.mean((0, 1))).max() < 6
        assert (_picture(path.name, tmp_path, 200) == pixels).all()

    repeat(check)
