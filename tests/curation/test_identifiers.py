"""One rule for identifiers: what is one, what looks alike, and where that is refused."""

import unicodedata
import warnings

import numpy as np
import pytest
from curation_samples import psmm_table

from realmnet.curation.identifiers import (
    check_distinct,
    clean,
    clean_name,
    identifier_problem,
    look_alikes,
    name_spelling,
    picture_path,
    spelling,
)
from realmnet.curation.label_table import read_label_table, write_label_table
from realmnet.curation.leakage import check_disjoint
from realmnet.curation.listed_pictures import missing_pictures, near_picture
from realmnet.curation.partition import group_k_fold, split_patients, stratified_partition
from realmnet.curation.privacy import Pseudonyms
from realmnet.curation.protocols import join_tables, protocol_sets
from realmnet.curation.statistics import read_people
from realmnet.curation.subsets import k_shot, nested_subsets
from realmnet.curation.verification import agreement, verify_labels
from realmnet.errors import InputError, InputWarning, LabelTableError

NFC, NFD = 'José', unicodedata.normalize('NFD', 'José')
ONE_PATIENT = [
    ['007', '7', '7.0', '07', '7.00', '\u00a07'],
    ['P-007', 'P-7', 'p-7', 'p - 7', 'Ｐ-７', 'P-\u200b7'],
    [NFC, NFD, 'JOSÉ'],
    ['Wang Li', 'WangLi', 'wang  li', 'Wang\u3000Li'],
    ["'007", '7'],
    ['P-7', 'P\u20117', 'P\u20137'],
    ["O'Brien", 'O\u2019Brien'],
]
OTHER_PATIENTS = ['7', '70', '71', '7.1', '1.05', '1.5', 'P7', 'P-7', 'NA', 'nan', 'None', 'null',
                  'Inf', '1e5', '100000', 'Wang Li', 'Wang', '1.jpg', '01.jpg', '10', '0', 'O',
                  'x-1-2', 'x-12', '张三', '张四']  # fmt: skip
SETS = {'a': 'S0A1', 'b': 'S1A2'}


@pytest.mark.parametrize('names', ONE_PATIENT)
def test_spellings_of_one_patient_look_alike(names):
    assert len({spelling(clean(name)) for name in names}) == 1
    with pytest.raises(InputError, match='differ only by leading zeros'):
        check_distinct(names)


def test_names_with_odd_signs_are_names():
    for name in ("O'Brien", '#7', '=SUM(A1)', '"Li" Wang', "'007", '1E5', '12e4', '#', 'a"b"'):
        assert identifier_problem(name) == ''


def test_different_patients_do_not():
    assert look_alikes(OTHER_PATIENTS) == []


def test_the_published_identifiers_give_no_alarm(image_sets):
    tables = {}
    with warnings.catch_warnings():
        warnings.simplefilter('error', InputWarning)
        for name in ('MYOPIA/MYOPIA', 'val', 'test'):
            tables[name] = read_label_table(image_sets / f'{name}.csv')
    check_disjoint(tables)
    joined, _ = join_tables(tables)
    assert len(joined) == 43371
    assert look_alikes(joined.patients) == []
    assert look_alikes(joined.filenames, name_spelling) == []


def test_published_files_are_written_as_they_are(image_sets, tmp_path):
    table = read_label_table(image_sets / 'val.csv')
    write_label_table(table, tmp_path / 'val.csv')
    published = (image_sets / 'val.csv').read_text().replace('.0,', ',')
    assert (tmp_path / 'val.csv').read_text() == published


@pytest.mark.parametrize(
    ('name', 'meant'),
    [
        ('./a.jpg', 'a.jpg'),
        ('x//a.jpg', 'x/a.jpg'),
        ('x/./a.jpg', 'x/a.jpg'),
        ('.\\x\\a.jpg', 'x/a.jpg'),
        (' a.jpg\u00a0', 'a.jpg'),
        ('\ufeffa.jpg', 'a.jpg'),
        (f'{NFD}.jpg', f'{NFC}.jpg'),
        ('x /a.jpg', 'x/a.jpg'),
        ('x /', 'x'),
        ('../a.jpg', '../a.jpg'),
        ('A.JPG', 'A.JPG'),
        ('.hidden.jpg', '.hidden.jpg'),
    ],
)
def test_paths_have_one_form(name, meant):
    assert clean_name(name) == meant


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('', 'empty'),
        ('1.23457E+11', 'digits are lost'),
        ('1,23457E+11', 'digits are lost'),
        ('1e+16', 'digits are lost'),
        ('a\nb', 'line break'),
        ('"a"', 'quotes'),
        ("'a'", 'quotes'),
        ('="007"', 'quotes'),
        ('#REF!', 'error of a spreadsheet'),
        ('########', 'error of a spreadsheet'),
    ],
)
def test_what_is_no_identifier(text, problem):
    assert problem in identifier_problem(text)


def test_names_are_never_numbers(tmp_path):
    path = tmp_path / 'x.csv'
    names = ['NA', 'nan', 'None', 'null', '', 'Inf', '1e5', '007', 'TRUE']
    path.write_text(
        'N,filename,ID\n' + ''.join(f'1,{i}.jpg,{n or "-"}\n' for i, n in enumerate(names))
    )
    table = read_label_table(path, dict(name='x', classes=['N']))
    assert table.patients.tolist() == [n or '-' for n in names]


def write(path, *rows):
    header = 'S0,S1,A0,A1,A2,A3,A4,filename,ID'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join([header, *(f'1,0,0,1,0,0,0,{row}' for row in rows)]) + '\n')
    return path


@pytest.mark.filterwarnings('ignore::realmnet.errors.InputWarning')
@pytest.mark.parametrize(
    ('first', 'second', 'message'),
    [
        ('a.jpg,007', 'b.jpg,7', r"patient '007' of one .* and '7' of two .*line 2"),
        ('a.jpg,7', 'b.jpg,7.0', "'7' of one .* and '7.0' of two"),
        ('a.jpg,p1', 'b.jpg,P1', "'p1' of one .* and 'P1' of two"),
        ('a.jpg,Wang Li', 'b.jpg,WangLi', "'Wang Li' of one"),
        (f'a.jpg,{NFC}', f'b.jpg,{NFD}', f"patient '{NFC}'.* is in both"),
        ('a.jpg,1', 'a.jpg ,2', "picture 'a.jpg' is in both"),
        ('a.jpg,1', './a.jpg,2', r"picture 'a.jpg' \(written './a.jpg'\) is in both"),
        ('x/a.jpg,1', 'x\\a.jpg,2', "picture 'x/a.jpg'.* is in both"),
        ('a.jpg,1', 'A.JPG,2', "picture 'a.jpg' of one .* and 'A.JPG' of two"),
    ],
)
def test_a_leak_by_spelling_is_refused(tmp_path, first, second, message):
    tables = {
        name: read_label_table(write(tmp_path / f'{name}.csv', row))
        for name, row in (('one', first), ('two', second))
    }
    with pytest.raises(LabelTableError, match=message):
        check_disjoint(tables)


def test_two_folders_may_hold_one_file_name(tmp_path):
    table = read_label_table(write(tmp_path / 'x.csv', 'A/1.jpg,1', 'B/1.jpg,2', '1.jpg,3'))
    assert table.filenames.tolist() == ['A/1.jpg', 'B/1.jpg', '1.jpg']


def test_look_alikes_of_one_table_are_said(tmp_path):
    path = write(tmp_path / 'x.csv', 'a.jpg,007', 'b.jpg,7', 'A.jpg,8')
    with pytest.warns(InputWarning) as said:
        read_label_table(path)
    texts = [str(warning.message) for warning in said]
    assert any("patients '007' and '7'" in text for text in texts)
    assert any("pictures 'A.jpg' and 'a.jpg'" in text for text in texts)


@pytest.mark.parametrize('row', ['./a.jpg,8', 'a.jpg ,8', '\u200ba.jpg,8'])
def test_one_picture_in_two_spellings_is_refused(tmp_path, row):
    with pytest.raises(LabelTableError, match=r'line 3 \(a.jpg\): the file name occurs a second'):
        read_label_table(write(tmp_path / 'x.csv', 'a.jpg,7', row))


@pytest.mark.parametrize('row', ['a.jpg,1.23457E+11', '"a\nb.jpg",7', '../a.jpg,7', '..\\a.jpg,7'])
def test_impossible_identifiers_are_refused_with_their_line(tmp_path, row):
    with pytest.raises(LabelTableError, match='line 3'):
        read_label_table(write(tmp_path / 'x.csv', 'z.jpg,1', row))


def test_nothing_is_split_while_patients_look_alike():
    patients = np.array(['007', '7', 'a', 'b', 'c', 'd'], object)
    labels = np.array([[1, 0], [0, 1]] * 3)
    from realmnet.curation.label_schema import LabelSchema

    schema = LabelSchema('s', ('x', 'y'))
    for split in (
        lambda: split_patients(patients, (0.5, 0.5), 0),
        lambda: stratified_partition(patients, labels, schema, (0.5, 0.5)),
        lambda: group_k_fold(patients, labels, (0.5, 0.5)),
        lambda: nested_subsets(patients, labels, schema),
        lambda: k_shot(patients, labels, 1),
    ):
        with pytest.raises(InputError, match="patients '007' and '7'"):
            split()


def test_joined_tables_name_both_files(tmp_path):
    one = read_label_table(write(tmp_path / 'one.csv', 'a.jpg,1', 'b.jpg,2'))
    two = read_label_table(write(tmp_path / 'two.csv', 'c.jpg,1', 'B.jpg,3'))
    with pytest.raises(LabelTableError, match=r"two.csv, line 3 .*second time, one has 'b.jpg'"):
        join_tables({'one': one, 'two': two})


def test_sources_that_look_alike_are_refused():
    table = psmm_table([('SUSTech-1_1.jpg', 'S0A1'), ('sustech-2_1.jpg', 'S0A1')])
    rows = {name: np.arange(1) for name in ('train', 'val', 'test')}
    with pytest.raises(InputError, match="'SUSTech' and 'sustech'"):
        protocol_sets(table, rows)


def test_pseudonyms_do_not_hide_look_alikes(tmp_path):
    table = psmm_table([('x_1.jpg', 'S0A1'), ('X_2.jpg', 'S0A1')])
    with pytest.raises(InputError, match='differ only by'):
        Pseudonyms(tmp_path / 'key').table(table)


def test_disk_and_table_give_one_pseudonym(tmp_path):
    names = Pseudonyms(tmp_path / 'key')
    assert names.filename(f'{NFD}/a.jpg') == names.filename(f'./{NFC}/a.jpg')
    assert names.patient(NFD) == names.patient(f' {NFC}')


@pytest.mark.filterwarnings('ignore::realmnet.errors.InputWarning')
def test_verify_names_every_spelling(tmp_path):
    sets = tmp_path / 'ImageSets' / 'Main'
    for name, rows in (
        ('train', ['a.jpg,007', 'b.jpg,x', 'c.jpg,X']),
        ('val', ['d.jpg,7']),
        ('test', ['./a.jpg,7.0']),
    ):
        write(sets / f'{name}.csv', *rows)
    result = verify_labels(tmp_path)
    said = ' '.join(' '.join(f.items) for f in result.findings if f.check == 'leakage' and f.fatal)
    for name in ('007 and 7', '007 and 7.0', '7 and 7.0', "a.jpg (written './a.jpg')"):
        assert name in said
    assert not result.may_train
    (within,) = [f for f in result.findings if f.check == 'identifiers']
    assert (within.fatal, within.items) == (False, ('X and x',))


def test_two_readers_of_one_picture_in_two_spellings(tmp_path):
    one = read_label_table(write(tmp_path / 'one.csv', 'a.jpg,1', 'b.jpg,2'))
    two = read_label_table(write(tmp_path / 'two.csv', './a.jpg,1', 'b.jpg,2'))
    assert agreement(one, two)['images'] == 2
    three = read_label_table(write(tmp_path / 'three.csv', 'a.jpg,1', 'B.jpg,2'))
    with pytest.raises(InputError, match=r"has 'b\.jpg' and .* 'B\.jpg'"):
        agreement(one, three)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('id,age,sex\n7,1,F\n', "found 'id', expected 'ID'"),
        ('ID,age,sex\n7,1,F\n\n7 ,2,F\n', "line 4: the patient '7' occurs a second time"),
        ('ID,age,sex\n7,1,F\n007,2,F\n', "patients '007' and '7'"),
        ('ID,age,sex\n7,"43,5",F\n', 'line 2: age .*decimal point'),
        ('ID,age,sex\n1.23457E+11,43,F\n', 'line 2: .*digits are lost'),
        ('ID;age;sex\n7;43;F\n', "separated by ';'"),
    ],
)
def test_tables_of_ages(tmp_path, text, message):
    (tmp_path / 'x.csv').write_text(text)
    with pytest.raises(InputError, match=message):
        read_people(tmp_path / 'x.csv')


def test_missing_pictures_are_named_with_what_is_there(tmp_path):
    for name in ('a.JPG', 'b.jpeg', f'{NFD}.jpg'):
        (tmp_path / name).touch()
    table = read_label_table(
        write(tmp_path / 'x.csv', 'a.jpg,1', 'b,2', f'{NFC}.jpg,3', 'c.jpg,4'))  # fmt: skip
    assert missing_pictures(table, tmp_path) == ['a.jpg', 'b', 'c.jpg']
    assert near_picture('a.jpg', tmp_path) == " (found 'a.JPG', expected 'a.jpg')"
    assert near_picture('b', tmp_path) == " (found 'b.jpeg', expected 'b')"
    assert near_picture('c.jpg', tmp_path) == ''
    assert picture_path(tmp_path, f'{NFC}.jpg').exists()
