import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmnet.curation.partition import split_patients
from realmnet.errors import InputError


@given(
    st.lists(st.integers(0, 40), min_size=60, max_size=200).filter(lambda x: len(set(x)) > 5),
    st.integers(0, 5),
)
def test_every_row_once_and_no_patient_twice(patients, seed):
    patients = np.array([f'p{i}' for i in patients])
    parts = split_patients(patients, (0.6, 0.2, 0.2), seed)
    assert sorted(np.concatenate(parts)) == list(range(len(patients)))
    owners = [set(patients[part]) for part in parts]
    assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])
    assert abs(len(owners[0]) - 0.6 * len(set(patients))) <= 1


def test_the_same_seed_gives_the_same_patients_whatever_the_row_order():
    patients = np.repeat([f'p{i}' for i in range(30)], 3)
    shuffled = np.random.default_rng(0).permutation(patients)
    first = split_patients(patients, (0.7, 0.3), 1)
    again = split_patients(shuffled, (0.7, 0.3), 1)
    assert [set(patients[a]) for a in first] == [set(shuffled[b]) for b in again]
    other = split_patients(patients, (0.7, 0.3), 2)
    assert set(patients[other[0]]) != set(patients[first[0]])


@pytest.mark.parametrize('ratios', [(0.7, 0.2), (1.2, -0.2), (0.5, 0.5, 0.0)])
def test_bad_ratios(ratios):
    with pytest.raises(InputError, match='sum to 1'):
        split_patients(np.array(['a', 'b', 'c', 'd']), ratios, 0)


def test_fewer_patients_than_splits():
    with pytest.raises(InputError, match='1 patient'):
        split_patients(np.array(['a', 'a']), (0.5, 0.5), 0)
