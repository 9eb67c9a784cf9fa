"""Who and which eye: by patterns that explain the whole name, otherwise unknown."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmnet.curation.label_table import read_label_table
from realmnet.curation.name_pattern import UNKNOWN, NamePattern
from realmnet.curation.name_table import read_names
from realmnet.curation.picture_names import AUTOMATIC, PATTERNS, PictureNames, Recognised
from realmnet.errors import InputError
from realmnet.evaluation.diagnosis import eye_of, patient_of

SIDES = {'OD': 'OD', 'R': 'OD', 'OS': 'OS', 'L': 'OS', 'OU': None, 'PRE-OD': 'OD', 'PRE-OS': 'OS'}


def read(name):
    found = AUTOMATIC.read(name)
    return found.patient, found.side, found.date


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_every_published_name_is_read(image_sets, split):
    """Patients are those of the column ID; sides are taken from the parts between underscores."""
    path = image_sets / f'{split}.csv'
    if split == 'train':
        path = image_sets / 'MYOPIA' / 'MYOPIA.csv'
    table = read_label_table(path)
    for name, patient in zip(table.filenames, table.patients, strict=True):
        found = AUTOMATIC.read(name)
        words = [part.rstrip('0123456789') for part in name.removesuffix('.jpg').split('_')[1:]]
        sides = [SIDES[word] for word in words if word in SIDES]
        assert (found.patient, found.pattern) == (patient, 'PSMM')
        assert [found.side] == (sides or [None])
        stem = name.replace('-', '')
        assert bool(found.date) == (patient[:3] in ('She', 'Lis'))
        assert found.date.replace('-', '') in stem


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('UWF_20200105_P001_OD.jpg', 'UWF_20200105_P002_OD.jpg'),
        ('clinic_2020-01-05_Wang_OS.jpg', 'clinic_2020-01-05_Li_OS.jpg'),
        ('Visit_L2_P001_OD.jpg', 'Visit_L2_P009_OD.jpg'),
        ('20200105_001_OD.jpg', '20200105_002_OD.jpg'),
        ('20200105_001_OD.jpg', '20200106_001_OD.jpg'),
        ('scan_OD_12.jpg', 'scan_OD_13.jpg'),
        ('cam1_OD_77.jpg', 'cam1_OD_78.jpg'),
        ('X1_OD_77.jpg', 'X1_OD_78.jpg'),
        ('Optos1_OD_1.jpg', 'Optos1_OD_2.jpg'),
        ('Doe_John_7_20200105_OD_1.jpg', 'Doe_Jane_8_20200105_OD_1.jpg'),
        ('a/1_OD.jpg', 'b/1_OD.jpg'),
        ('a/0_left.jpg', 'b/0_left.jpg'),
        ('2020/OD_1.jpg', '2020/OD_2.jpg'),
        ('20200105/OD_1.jpg', '20200105/OD_2.jpg'),
        ('left/1.jpg', 'right/1.jpg'),
        ('OD_1.jpg', 'OS_1.jpg'),
        ('clinic_OD_20200105.jpg', 'clinic_OD_20200106.jpg'),
        ('200105_OD_1.jpg', '200105_OD_2.jpg'),
        ('05012020_OD_1.jpg', '05012020_OD_2.jpg'),
        ('site2_OD_01.jpg', 'site2_OD_02.jpg'),
        ('20051020_43808_0100_PP.tif', '20051020_43809_0100_PP.tif'),
        ('1.2.840.113619_OD.dcm', '1.2.840.113620_OD.dcm'),
        ('Wang_OD_1.jpg', 'Wang_OD_2.jpg'),
    ],
)
def test_two_patients_stay_two(one, other):
    patients = {patient_of(one), patient_of(other)}
    assert len(patients) == 2 or patients == {None}


@pytest.mark.parametrize(
    'name',
    ['WANG_L_0012_OD.jpg', 'DOE_R_19600101_OS.jpg', 'IMG_R2_OS_77.jpg', 'x_OD_OS.jpg',
     'P001_OD_OS.jpg', '12345_L_macula_OD.jpg', '1_OD_1_OS.jpg', '7_OD_f_OS_compare.jpg',
     'P001_R2.jpg', 'R12_OD.jpg', 'WANG_L.jpg', 'r_12.jpg', 'LE_0012.jpg', 'P001_OD.OS.jpg',
     'left/P001_right.jpg', 'P001_OD_20201345.jpg', 'IM0001.jpg', '_OD.jpg', 'OD.jpg',
     'Image_01L.jpg', '张三_左眼.jpg', 'P001/V2/OD.jpg', '', '/', '.jpg'],
)  # fmt: skip
def test_what_may_mean_something_else_is_unknown(name):
    assert eye_of(name, patient_of(name)) is None
    assert eye_of(name, '-') is None


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('123_left.jpeg', ('123', 'OS', '')),
        ('day 1/0_left.jpg', ('day 1/0', 'OS', '')),
        ('./a/0_left.jpg', ('a/0', 'OS', '')),
        ('left/P001_left.jpg', ('P001', 'OS', '')),
        ('R/ShenzhenEye-1_OS_2020-12-27_1.jpg', ('ShenzhenEye-1', None, '2020-12-27')),
        ('P001-OD.jpg', ('P001', 'OD', '')),
        ('P001 OD.jpg', ('P001', 'OD', '')),
        ('P001.OD.jpg', ('P001', 'OD', '')),
        ('P001.OD', ('P001', 'OD', '')),
        ('P001OD.JPG', ('P001', 'OD', '')),
        ('P001_od.tif', ('P001', 'OD', '')),
        ('P001_RE.jpg', ('P001', 'OD', '')),
        ('P001_OD-1.jpg', ('P001', 'OD', '')),
        ('P001_OD (2).jpg', ('P001', 'OD', '')),
        ('P001_OD2.jpg', ('P001', 'OD', '')),
        ('P001-R-01.png', ('P001', 'OD', '')),
        ('12_L_2.png', ('12', 'OS', '')),
        ('P001_left_eye.jpg', ('P001', 'OS', '')),
        ('P001_OU.jpg', ('P001', None, '')),
        ('OD_P001.jpg', ('P001', 'OD', '')),
        ('123/OD.jpg', ('123', 'OD', '')),
        ('123/OD_1.jpg', ('123', 'OD', '')),
        ('left/P001.jpg', ('P001', 'OS', '')),
        ('患者01_右眼.jpg', ('患者01', 'OD', '')),
        ('P001_OD_20200105.jpg', ('P001', 'OD', '2020-01-05')),
        ('P001_2020_01_05_OD.jpg', ('P001', 'OD', '2020-01-05')),
        ('P001_OD_2020-01-05_2.jpg', ('P001', 'OD', '2020-01-05')),
        ('ShenzhenEye-5f0c2ab913_OD_2016-03-02_2.jpg', ('ShenzhenEye-5f0c2ab913', 'OD',
                                                        '2016-03-02')),
        ('x/SUSTech-1_anything_OD.jpg', ('SUSTech-1', None, '')),
        ('ShenzhenEye-1_OD_2020-13-45_1.jpg', ('ShenzhenEye-1', None, '')),
    ],
)  # fmt: skip
def test_names_that_can_mean_one_thing(name, expected):
    assert read(name) == expected


@pytest.mark.parametrize(
    ('pattern', 'name', 'expected'),
    [
        ('{any}_{date}_{patient}_{eye}', 'UWF_20200105_P001_OD.jpg', ('P001', 'OD', '2020-01-05')),
        (
            '{any}_{any}_{patient}_{date}_{eye}_{index}',
            'Doe_Jane_77_20200105_OS_1.jpg',
            ('77', 'OS', '2020-01-05'),
        ),
        ('{any}_{any}_{patient}_{eye}', 'WANG_L_0012_OD.jpg', ('0012', 'OD', '')),
        ('{patient}_{eye}', '张三_左眼.jpg', ('张三', 'OS', '')),
        ('Image_{patient}{eye}', 'Image_01L.jpg', ('01', 'OS', '')),
        ('{patient}/{date}/{eye}', 'x/P1/2020-01-05/OD.jpg', ('x/P1', 'OD', '2020-01-05')),
        ('{patient}_{eye}_{any}', 'P1_OD_OS.jpg', (None, None, '')),
        ('{patient}_{eye}', 'WANG_L_0012_OD.jpg', (None, None, '')),
        ('{patient}_{date}_{eye}', 'P1_20201345_OD.jpg', (None, None, '')),
        ('{any}-{patient}', 'scan-7.jpg', ('7', None, '')),
        ('date-patient-eye', '20200105_001_OD.jpg', ('001', 'OD', '2020-01-05')),
        ('eye/patient', 'left/123.jpg', ('123', 'OS', '')),
        ('eye-patient', 'OD_1.jpg', ('1', 'OD', '')),
        ('patient-eye', 'Smith_L.jpg', ('Smith', 'OS', '')),
        ('ODIR', 'P001_OD.jpg', (None, None, '')),
        ('PSMM', 'Zhongshan-33_3_OD3.jpg', ('Zhongshan-33', 'OD', '')),
        ('PSMM', '0_left.jpg', (None, None, '')),
    ],
)
def test_patterns_that_a_user_chooses(pattern, name, expected):
    found = PictureNames([pattern]).read(name)
    assert (found.patient, found.side, found.date) == expected


def test_patterns_that_disagree_tell_nothing():
    names = PictureNames(['{any}_{patient}_{eye}', '{patient}_{any}_{eye}'])
    assert names.read('a1_b2_OD.jpg') is UNKNOWN
    assert names.read('b2_b2_OD.jpg').patient == 'b2'


@pytest.mark.parametrize(
    ('pattern', 'sentence'),
    [
        ('clinic', 'use one of'),
        ('{patient}_{who}', 'the fields are'),
        ('{patient}{any}_{eye}', 'nothing tells where'),
        ('{date}_{index}', 'neither'),
        ('{patient}_{patient}_{eye}', 'twice'),
        ('{patient_{eye}', 'brace'),
    ],
)
def test_templates_that_cannot_be_read(pattern, sentence):
    with pytest.raises(InputError, match=sentence):
        PictureNames([pattern])


def test_long_names_end():
    names = PictureNames(['{any}_{any}_{any}_{patient}_{eye}_{date}', '{patient}{eye}_{index}'])
    for name in ('_' * 20_000, '1' * 20_000, 'a_' * 10_000, '1OD' * 7_000, ' ' * 20_000):
        assert names.read(name).patient is None  # a search that goes back would not end
        assert AUTOMATIC.read(name) is UNKNOWN


WORDS = st.text(st.characters(categories=('L', 'Nd'), exclude_characters='/'), min_size=1)
SIDE_WORDS = st.sampled_from(['OD', 'os', 'Left', 'right', 'RE', 'L'])


@settings(max_examples=200, deadline=None)
@given(WORDS, SIDE_WORDS, st.dates(), st.integers(0, 99))
def test_a_template_reads_what_it_writes(patient, side, day, index):
    patient = unicodedata.normalize('NFC', patient)  # as every identifier is compared
    name = f'{patient}_{side}_{day.isoformat()}_{index}.png'
    found = NamePattern('{patient}_{eye}_{date}_{index}').read(name)
    if found is UNKNOWN:  # the patient is called like a side, or the year is not of our time
        assert PictureNames(['{patient}_x']).read(f'{patient}_x').patient in (patient, None)
        assert patient.lower() in ('od', 'os', 'ou', 'left', 'right', 'both', '左', '右', '双') or (
            not 1900 <= day.year < 2100
        )
        return
    assert (found.patient, found.date) == (patient, day.isoformat())
    assert found.side == ('OD' if side.lower() in ('od', 'right', 're') else 'OS')


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('12AbR_-. /ODSL(左2020'), max_size=14),
       st.text(st.sampled_from('12AbR_-. /ODSL(左2020'), max_size=14))  # fmt: skip
def test_names_in_two_folders_never_are_one_patient(one, other):
    known = patient_of(f'x/{one}.jpg'), patient_of(f'y/{other}.jpg')
    assert None in known or known[0] != known[1]


def test_counts_and_examples():
    told = Recognised.of(['0_left.jpg', '1_left.jpg', 'SUSTech-1_2.jpg', 'x.jpg'])
    assert (told.pictures, dict(told.by_pattern), told.no_eye, told.unknown) == (
        4, {'ODIR': 2, 'PSMM': 1}, 1, 1,
    )  # fmt: skip
    assert "2 by 'ODIR', 1 by 'PSMM', 1 unknown" in told.text()
    assert 'ODIR: 0_left.jpg is patient 0, eye OS' in told.text()


def test_a_table_of_names(tmp_path):
    path = tmp_path / 'names.csv'
    path.write_text(
        'filename,patient,eye,date\n./a.jpg,P1,OD,2020-01-05\nb.jpg,P1,left,\n"c, d.jpg",P2,,\n',
        encoding='utf-8-sig',
    )
    names = read_names(path)
    assert names.eye('a.jpg', 'P1') == 'P1 OD 2020-01-05'
    assert (names.read('b.jpg').side, names.read('c, d.jpg').side) == ('OS', None)
    assert names.read('0_left.jpg') is UNKNOWN  # the table alone counts
    assert names.settings != AUTOMATIC.settings is None


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        ('filename,patient\na,b\n', r"\['eye'\] missing"),
        ('filename,patient,eye\na,b,OD,c\n', 'line 2: . field'),
        ('filename,patient,eye\na,b\n', 'line 2: . field'),
        ('filename,patient,eye\na,b,OX\n', "line 2 .*eye is 'OX'"),
        ('filename,patient,eye,date\na,b,OD,2020-13-45\n', 'line 2 .*date is'),
        ('filename,patient,eye\na,b,OD\n./a,b,OS\n', 'line 3 .*differs'),
        ('filename,patient,eye\n,b,OD\n', 'filename is empty'),
        ('filename,patient,eye\n', 'no row'),
        (b'\xff\xfe', 'not a table of names'),
    ],
)
def test_tables_of_names_that_are_none(tmp_path, content, sentence):
    path = tmp_path / 'names.csv'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=sentence):
        read_names(path)
    with pytest.raises(InputError, match='no such table'):
        read_names(tmp_path / 'none.csv')


def test_every_ready_pattern_has_its_own_name():
    assert all(p.name == name for name, group in PATTERNS.items() for p in group)


@pytest.mark.parametrize(
    'name',
    ['VISUCAM500_OD.jpg', 'Macula1_OD.jpg', 'Baseline1_OS.jpg', 'fold3_OD.jpg', 'F1_OD.jpg',
     '20200105_left.jpg'],
)  # fmt: skip
def test_devices_fields_visits_and_days_are_no_patients(name):
    assert (patient_of(name), AUTOMATIC.read(name)) == (None, UNKNOWN)
