"""Pseudonyms: stable, reversible only with the key file, and tight on unknown names."""

import re
from datetime import date

import pytest
from curation_samples import psmm_table
from hypothesis import given, settings
from hypothesis import strategies as st

from realmnet.curation.privacy import Pseudonyms
from realmnet.errors import InputError

NAMES = [
    'ShenzhenEye-2415460_OD_2020-12-27_2.jpg',
    'LishuiR-027429_20230823@090310_R5.jpg',
    'Zhongshan-33_3_OD3.jpg',
    'SUSTech-129_10.jpg',
]


def test_names_of_psmm_keep_source_eye_and_index(tmp_path):
    names = Pseudonyms(tmp_path / 'key')
    found = [names.filename(name) for name in NAMES]
    patterns = [
        r'ShenzhenEye-[0-9a-f]{10}_OD_\d{4}-\d\d-\d\d_2\.jpg',
        r'LishuiR-[0-9a-f]{10}_\d{8}@\d{6}_R5\.jpg',
        r'Zhongshan-[0-9a-f]{10}_3_OD3\.jpg',
        r'SUSTech-[0-9a-f]{10}_10\.jpg',
    ]
    for pattern, name in zip(patterns, found, strict=True):
        assert re.fullmatch(pattern, name)
    for secret in ('2415460', '2020-12-27', '027429', '20230823', '090310'):
        assert secret not in ' '.join(found)


def test_dates_of_a_patient_keep_their_distance(tmp_path):
    names = Pseudonyms(tmp_path / 'key')

    def moved(day):
        name = names.filename(f'ShenzhenEye-1_OD_{day}_1.jpg')
        return date.fromisoformat(name.split('_')[2])

    first, second = moved('2020-01-31'), moved('2021-03-01')
    assert (second - first).days == (date(2021, 3, 1) - date(2020, 1, 31)).days
    assert 1 <= (date(2020, 1, 31) - first).days <= 3650


def test_key_file_makes_it_repeatable_and_secret(tmp_path):
    first = Pseudonyms(tmp_path / 'a')
    name = first.filename(NAMES[0])
    first.save()
    assert Pseudonyms(tmp_path / 'a').filename(NAMES[0]) == name
    assert Pseudonyms(tmp_path / 'b').filename(NAMES[0]) != name
    assert (tmp_path / 'a').stat().st_mode & 0o077 == 0
    (tmp_path / 'c').write_text('{"secret": 5}')
    with pytest.raises(InputError, match='not a key file'):
        Pseudonyms(tmp_path / 'c')


@pytest.mark.parametrize(
    'name',
    ['Zhang-12_1.jpg', 'Zhang_San_OD_2020-12-27.jpg', 'SUSTech-1_Zhang_1.jpg',
     'ShenzhenEye-1_OD_2020-13-45_1.jpg', 'SUSTech-1.jpg', '2415460.png'],
)  # fmt: skip
def test_any_other_name_goes_as_a_whole(tmp_path, name):
    found = Pseudonyms(tmp_path / 'key').filename(name)
    assert re.fullmatch(r'image-[0-9a-f]{16}\.(jpg|png)', found)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(categories=('L', 'N'), include_characters='-_ @'), min_size=1))
def test_no_long_piece_of_an_unknown_name_survives(tmp_path_factory, stem):
    key = tmp_path_factory.getbasetemp() / 'hypothesis.key'
    found = Pseudonyms(key, sources=()).filename(f'{stem}.jpg')
    assert re.fullmatch(r'image-[0-9a-f]{16}\.jpg', found)


def test_tables_and_pictures_get_the_same_names(tmp_path):
    names = Pseudonyms(tmp_path / 'key')
    table = psmm_table([(NAMES[0], 'S0A1'), (NAMES[3], 'S1A2')])
    renamed = names.table(table)
    assert renamed.filenames.tolist() == [names.filename(NAMES[0]), names.filename(NAMES[3])]
    assert renamed.filenames[0].startswith(renamed.patients[0] + '_')
    assert (renamed.labels == table.labels).all()
    assert names.patient('Zhang San').startswith('patient-')
