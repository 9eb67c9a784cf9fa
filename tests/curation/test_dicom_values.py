"""Grey and deep DICOM pictures against pydicom's own LUT functions."""

import io

import numpy as np
import pytest
from curation_samples import rgb, write_dicom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from property_runs import MINUTES, repeat

from realmnet.curation.pictures import read_any_picture, read_with_notes
from realmnet.errors import InputError

pydicom = pytest.importorskip('pydicom')
from pydicom.dataset import Dataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels import apply_modality_lut, apply_voi_lut  # noqa: E402

GREY = rgb()[..., 0]


def lut(entries, first, bits, values):
    item = Dataset()
    item.LUTDescriptor = [entries % 65536, first, bits]
    item['LUTDescriptor'].VR = 'US' if first >= 0 else 'SS'
    item.add_new('LUTData', 'US', [int(v) for v in values])
    return item


@st.composite
def grey_files(draw):
    """Stored values with the tags that say what they mean."""
    allocated = draw(st.sampled_from([8, 16]))
    stored = draw(st.integers(5, 8) if allocated == 8 else st.integers(9, 16))
    signed = draw(st.booleans())
    low, high = (-(2 ** (stored - 1)), 2 ** (stored - 1) - 1) if signed else (0, 2**stored - 1)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # seldom the whole range: what is not there must not matter
    a, b = sorted(rng.integers(low, high + 1, 2))
    values = rng.integers(a, b + 1, (16, 16))
    tags, ranges = {}, [low, high]
    modality = draw(st.sampled_from(['', 'rescale', 'rescale', 'lut']))
    if modality == 'rescale':
        slope = draw(st.sampled_from([1, 0.0625, 0.5, 2, 16]))
        intercept = draw(st.sampled_from([0, -1000, 1000, -2048, 0.5]))
        tags |= {'RescaleSlope': slope, 'RescaleIntercept': intercept, 'RescaleType': 'US'}
        ranges = [low * slope + intercept, high * slope + intercept]
    elif modality == 'lut':
        bits = draw(st.sampled_from([8, 16]))
        entries = draw(st.sampled_from([16, 256, 1024]))
        table = np.sort(rng.integers(0, 2**bits, entries))
        tags['ModalityLUTSequence'] = [lut(entries, max(low, -32768), bits, table)]
        ranges = [0, 2**bits - 1]
    voi = draw(st.sampled_from(['', 'LINEAR', 'LINEAR_EXACT', 'SIGMOID', 'lut']))
    if voi == 'lut' and modality != 'rescale':
        bits = draw(st.integers(10, 16))
        entries = draw(st.sampled_from([64, 300, 4096]))
        table = np.sort(rng.integers(0, 2**bits, entries))
        tags['VOILUTSequence'] = [lut(entries, 0, bits, table)]
        ranges = [0, 2**bits - 1]
    elif voi and voi != 'lut':
        span = ranges[1] - ranges[0]
        tags['WindowCenter'] = str(round(ranges[0] + span * draw(st.floats(0, 1)), 3))
        tags['WindowWidth'] = str(round(1.5 + span * draw(st.floats(0.01, 1.5)), 3))
        tags['VOILUTFunction'] = voi
    kind = draw(st.sampled_from(['MONOCHROME1', 'MONOCHROME2']))
    shape = draw(st.sampled_from(['', 'IDENTITY', 'INVERSE']))
    if shape:
        tags['PresentationLUTShape'] = shape
    tags['PixelRepresentation'] = int(signed)
    return {'values': values, 'tags': tags, 'kind': kind, 'shape': shape, 'stored': stored,
            'allocated': allocated, 'signed': signed, 'range': ranges,
            'rle': draw(st.booleans())}  # fmt: skip


def write_grey(path, case, values):
    sign, size = 'i' if case['signed'] else 'u', case['allocated'] // 8
    pixels = values.astype(f'<{sign}{size}')
    write_dicom(path, pixels, case['kind'], case['stored'], **case['tags'])
    data = pydicom.dcmread(path)
    data.BitsAllocated = case['allocated']
    if case['rle']:
        data.compress(pydicom.uid.RLELossless, encoding_plugin='pydicom')
    data.save_as(path)
    return pixels, data


@pytest.mark.filterwarnings('ignore')
def test_grey_is_what_pydicom_makes_of_it(tmp_path):
    @settings(max_examples=300 if MINUTES else 60, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(grey_files(), st.integers(0, 255))
    def check(case, place):
        path = tmp_path / 'x.dcm'
        pixels, data = write_grey(path, case, case['values'])
        low, high = case['range']
        wanted = apply_voi_lut(apply_modality_lut(pixels, data), data).astype(float)
        wanted = np.clip((wanted - low) / (high - low), 0, 1)
        if case['kind'] == 'MONOCHROME1' or case['shape'] == 'INVERSE':
            wanted = 1 - wanted
        found = read_any_picture(path)
        assert (found == found[..., :1]).all()
        assert np.abs(found[..., 0] - 255 * wanted).max() <= 1
        # one other pixel, the brightest there can be, changes nothing but itself
        other = case['values'].copy()
        other.flat[place] = 2 ** (case['stored'] - case['signed']) - 1
        write_grey(path, case, other)
        changed = read_any_picture(path)[..., 0]
        assert np.delete(changed.ravel(), place).tolist() == (
            np.delete(found[..., 0].ravel(), place).tolist()
        )

    repeat(check)


def test_bits_decide_and_not_the_brightest_pixel(tmp_path):
    dark = (GREY // 4).astype(np.uint16)
    write_dicom(tmp_path / 'grey.dcm', dark * 16, 'MONOCHROME2', 12)
    assert (read_any_picture(tmp_path / 'grey.dcm')[..., 0] == dark).all()
    write_dicom(tmp_path / 'negative.dcm', 4095 - dark * 16, 'MONOCHROME1', 12)
    assert (read_any_picture(tmp_path / 'negative.dcm')[..., 0] == dark).all()
    write_dicom(tmp_path / 'low.dcm', 255 - (GREY // 4 + 60), 'MONOCHROME1')
    assert (read_any_picture(tmp_path / 'low.dcm')[..., 0] == GREY // 4 + 60).all()
    deep = (rgb() // 4).astype(np.uint16)
    write_dicom(tmp_path / 'rgb.dcm', deep * 16, 'RGB', 12)
    assert (read_any_picture(tmp_path / 'rgb.dcm') == deep).all()
    write_dicom(tmp_path / 'rgb16.dcm', deep * 256, 'RGB', 16)
    assert (read_any_picture(tmp_path / 'rgb16.dcm') == deep).all()


def test_a_window_in_units_of_the_rescale(tmp_path):
    deep = GREY.astype(np.uint16) * 16
    write_dicom(tmp_path / 'a.dcm', deep, 'MONOCHROME2', 12, RescaleIntercept=0,
                RescaleSlope='0.0625', WindowCenter=128, WindowWidth=256)  # fmt: skip
    assert (read_any_picture(tmp_path / 'a.dcm')[..., 0] == GREY).all()


def test_a_falling_rescale_turns_the_picture(tmp_path):
    write_dicom(tmp_path / 'a.dcm', GREY, 'MONOCHROME2', RescaleIntercept=255, RescaleSlope=-1)
    assert (read_any_picture(tmp_path / 'a.dcm')[..., 0] == 255 - GREY).all()


def test_the_shape_inverse_turns_once(tmp_path):
    for number, (kind, shape) in enumerate(
        [('MONOCHROME1', ''), ('MONOCHROME1', 'INVERSE'), ('MONOCHROME2', 'INVERSE')]
    ):
        tags = {'PresentationLUTShape': shape} if shape else {}
        write_dicom(tmp_path / f'{number}.dcm', 255 - GREY, kind, **tags)
        assert (read_any_picture(tmp_path / f'{number}.dcm')[..., 0] == GREY).all()


def test_a_long_table_of_8_bits(tmp_path):
    """pydicom alone counts its places modulo 256."""
    table = lut(4096, 0, 8, np.arange(4096) // 16)
    write_dicom(tmp_path / 'a.dcm', GREY.astype(np.uint16) * 16, 'MONOCHROME2', 12,
                VOILUTSequence=[table])  # fmt: skip
    assert (read_any_picture(tmp_path / 'a.dcm')[..., 0] == GREY).all()


def test_palettes_are_scaled_by_their_own_bits(tmp_path):
    levels = np.arange(256, dtype=np.uint16)
    for bits, values in ((8, levels.astype(np.uint8)), (16, levels * 64)):
        tags = {}
        for colour in ('Red', 'Green', 'Blue'):
            tags[f'{colour}PaletteColorLookupTableDescriptor'] = [256, 0, bits]
            tags[f'{colour}PaletteColorLookupTableData'] = values.tobytes()
        write_dicom(tmp_path / 'a.dcm', GREY, 'PALETTE COLOR', **tags)
        expected = GREY if bits == 8 else GREY // 4
        assert (read_any_picture(tmp_path / 'a.dcm') == expected[..., None]).all()


def encapsulated(path, kind, syntax, frame, image=None):
    write_dicom(path, rgb() if image is None else image, kind)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    data.PixelData = encapsulate([frame])
    data['PixelData'].is_undefined_length = True
    data.save_as(path)
    return path


def test_damage_inside_is_found(tmp_path):
    file = io.BytesIO()
    Image.fromarray(rgb()).save(file, 'JPEG', quality=95)
    whole = file.getvalue()
    cut = whole[:-300] + b'\xff\xd9'
    path = encapsulated(tmp_path / 'a.dcm', 'YBR_FULL_422', 'JPEGBaseline8Bit', cut)
    with pytest.raises(InputError, match=r'a\.dcm: cannot be read whole \(Corrupt JPEG data'):
        read_any_picture(path)
    assert 'accepted' in read_with_notes(path, accept_damaged=True).notes[0]
    file = io.BytesIO()
    Image.fromarray(rgb()).save(file, 'JPEG2000', no_jp2=True, mct=1)
    half = file.getvalue()[: len(file.getvalue()) // 2]
    path = encapsulated(tmp_path / 'b.dcm', 'YBR_RCT', 'JPEG2000Lossless', half)
    with pytest.raises(InputError, match=r'b\.dcm: cannot be read'):
        read_any_picture(path)
    write_dicom(tmp_path / 'c.dcm', rgb())
    data = pydicom.dcmread(tmp_path / 'c.dcm')
    data.PixelData = data.PixelData[:-400]
    data.save_as(tmp_path / 'c.dcm')
    with pytest.raises(InputError, match=r'c\.dcm: cannot be read'):
        read_any_picture(tmp_path / 'c.dcm')


@pytest.mark.parametrize('syntax', ['JPEGLSLossless', 'JPEGLosslessSV1', 'HTJ2K'])
def test_what_another_package_reads_is_named(tmp_path, monkeypatch, syntax):
    path = encapsulated(tmp_path / 'a.dcm', 'RGB', syntax, b'\xff\xd8' + b'\0' * 50)
    decoder = pydicom.pixels.get_decoder(getattr(pydicom.uid, syntax))
    monkeypatch.setattr(type(decoder), 'is_available', property(lambda self: False))
    with pytest.raises(InputError, match=r"run pip install 'realmnet\[dicom\]'"):
        read_any_picture(path)


def test_what_is_no_photograph_or_says_too_much(tmp_path):
    path = encapsulated(tmp_path / 'a.dcm', 'YBR_PARTIAL_420', 'MPEG4HP41', b'\0' * 50)
    with pytest.raises(InputError, match='not for photographs'):
        read_any_picture(path)
    write_dicom(tmp_path / 'b.dcm', GREY, 'MONOCHROME2', PresentationLUTShape='LIN OD')
    with pytest.raises(InputError, match='presentation LUT of its own'):
        read_any_picture(tmp_path / 'b.dcm')
    write_dicom(tmp_path / 'c.dcm', GREY.astype(np.uint16), 'MONOCHROME2', 12, HighBit=15)
    with pytest.raises(InputError, match='do not fit together'):
        read_any_picture(tmp_path / 'c.dcm')
    two = np.concatenate([GREY, GREY])  # two frames that no tag counts
    write_dicom(tmp_path / 'd.dcm', two, 'MONOCHROME2', Rows=len(GREY))
    with pytest.raises(InputError, match='as several frames do'):
        read_any_picture(tmp_path / 'd.dcm')
    write_dicom(tmp_path / 'e.dcm', GREY, 'MONOCHROME2', RescaleSlope=None, RescaleIntercept=0)
    with pytest.raises(InputError, match='slope or intercept is empty'):
        read_any_picture(tmp_path / 'e.dcm')


def test_a_colour_profile_inside_is_used(tmp_path):
    from PIL import ImageCms

    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    red, green = data.find(b'rXYZ'), data.find(b'gXYZ')
    data[red : red + 4], data[green : green + 4] = b'gXYZ', b'rXYZ'
    write_dicom(tmp_path / 'a.dcm', rgb(), ICCProfile=bytes(data))
    found = read_any_picture(tmp_path / 'a.dcm').astype(int)
    assert np.abs(found - rgb()[..., [1, 0, 2]]).mean() < 3
