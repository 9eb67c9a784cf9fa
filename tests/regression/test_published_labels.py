"""The published label files of PSMM (FACTS: counts were taken from the files themselves)."""

from collections import Counter

import pytest

from realmnet.curation.label_table import read_label_table
from realmnet.curation.leakage import check_disjoint
from realmnet.curation.listed_pictures import missing_pictures
from realmnet.curation.resampling import MLRUS

FILES = {'train': 'MYOPIA/MYOPIA.csv', 'val': 'val.csv', 'test': 'test.csv'}
# Images by label set, in the order train, development, test.
LABEL_SETS = {
    'S0A1': (18327, 3980, 4180), 'S1A2': (4322, 870, 872), 'S1A1': (3821, 686, 707),
    'S1A3': (1836, 368, 377), 'S0A0': (1436, 340, 294), 'S1A4': (568, 121, 96),
    'S0A3': (75, 8, 35), 'S0A2': (35, 4, 13),
}  # fmt: skip
SOURCES = {
    'ShenzhenEye': (38922, 4003), 'SUSTech': (2835, 226), 'LishuiR': (938, 155),
    'Zhongshan': (456, 85), 'LishuiZ': (220, 91),
}  # fmt: skip


@pytest.fixture(scope='module')
def tables(image_sets):
    return {split: read_label_table(image_sets / file) for split, file in FILES.items()}


def test_images_patients_and_label_sets(tables):
    assert [len(t) for t in tables.values()] == [30420, 6377, 6574]
    assert [len(set(t.patients)) for t in tables.values()] == [3192, 684, 684]
    for column, table in enumerate(tables.values()):
        names = table.schema.classes
        found = Counter(
            ''.join(n for n, y in zip(names, row, strict=True) if y) for row in table.labels
        )
        assert found == {label_set: counts[column] for label_set, counts in LABEL_SETS.items()}


def test_sources(tables):
    images, patients = Counter(), {}
    for table in tables.values():
        for name, patient in zip(table.filenames, table.patients, strict=True):
            source = patient.split('-')[0]
            assert name.startswith(source + '-')
            images[source] += 1
            patients.setdefault(source, set()).add(patient)
    assert {s: (images[s], len(patients[s])) for s in images} == SOURCES


def test_no_patient_is_in_two_splits(tables):
    check_disjoint(tables)


def test_missing_pictures_are_counted(tables, tmp_path):
    assert len(missing_pictures(tables['test'], tmp_path)) == 6574


def test_resampled_list_is_a_subset_of_the_training_split(tables, image_sets):
    published = read_label_table(image_sets / 'MYOPIA_MLRUS-20' / 'MYOPIA_MLRUS-20.csv')
    assert len(published) == 24683
    assert set(published.filenames) <= set(tables['train'].filenames)


def test_our_resampling_follows_the_released_rule(tables):
    sampler = MLRUS(0.2, 42)
    sampler.fit_resample(tables['train'].labels)
    # Expected 24,689 with a standard deviation of 17.
    assert abs(len(sampler.sample_indices_) - 24689) <= 60
