"""Partition by patient: exact sizes, no overlap, strata, ties, scikit-learn's alternative."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.curation.partition import (
    check_no_other_split,
    group_k_fold,
    patient_strata,
    split_patients,
    stratified_partition,
)
from realmnet.errors import InputError

FREE = LabelSchema('free', ('x', 'y', 'z'), allow_empty=True)


def random_table(seed, patients=60, images=200):
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(patients), rng.integers(0, patients, images)])
    labels = (rng.random((len(owner), 3)) < [0.7, 0.4, 0.1]).astype(np.int8)
    return np.array([f'p{i}' for i in owner], dtype=object), labels


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.5), (0.6, 0.2, 0.2), (0.25,) * 4]),
    st.sampled_from(['rarest', 'labelset']),
)
def test_every_patient_once_and_exact_sizes(seed, ratios, ties):
    patients, labels = random_table(seed)
    result = stratified_partition(patients, labels, FREE, ratios, seed, ties)
    assert sorted(np.concatenate(result.rows)) == list(range(len(patients)))
    owners = [set(patients[rows]) for rows in result.rows]
    assert sum(map(len, owners)) == 60
    assert [len(o) for o in owners] == [round(60 * r) for r in ratios]


def test_strata_are_divided_by_ratio():
    # 40 patients of x, 20 of y, 20 of z
    labels = np.repeat(np.eye(3, dtype=np.int8), [40, 20, 20], axis=0)
    result = stratified_partition(np.arange(80).astype(str), labels, FREE, (0.7, 0.15, 0.15), 1)
    assert [labels[rows].sum(0).tolist() for rows in result.rows] == [
        [28, 14, 14], [6, 3, 3], [6, 3, 3]
    ]  # fmt: skip
    assert result.strata == {'x': 40, 'y': 20, 'z': 20}


def test_order_of_rows_is_irrelevant_and_seed_is_not():
    patients, labels = random_table(3)
    order = np.random.default_rng(0).permutation(len(patients))
    first = stratified_partition(patients, labels, FREE, seed=5)
    second = stratified_partition(patients[order], labels[order], FREE, seed=5)
    other = stratified_partition(patients, labels, FREE, seed=6)
    assert set(patients[first.rows[2]]) == set(patients[order][second.rows[2]])
    assert set(patients[first.rows[2]]) != set(patients[other.rows[2]])


def test_dominant_label_and_ties():
    # a: x twice, y once. b: x and y once each, y is rarer in the table. c: no label.
    patients = np.array(['a', 'a', 'a', 'b', 'b', 'c'])
    labels = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]])
    names, owner, strata, tied = patient_strata(patients, labels, FREE, 'rarest')
    assert names.tolist() == ['a', 'b', 'c']
    assert owner.tolist() == [0, 0, 0, 1, 1, 2]
    assert strata.tolist() == ['x', 'y', '(none)']
    assert tied == 1
    assert patient_strata(patients, labels, FREE, 'labelset')[2].tolist() == ['x', 'x+y', '(none)']


def test_small_strata_are_merged_and_named():
    labels = np.repeat(np.eye(3, dtype=np.int8), [40, 2, 3], axis=0)
    result = stratified_partition(np.arange(45).astype(str), labels, FREE, (0.6, 0.2, 0.2))
    assert result.merged == {'y': 2, 'z': 3}
    assert result.strata == {'x': 40, 'merged': 5}
    # too few even together: the next smallest joins
    labels = np.repeat(np.eye(3, dtype=np.int8), [40, 9, 1], axis=0)
    result = stratified_partition(np.arange(50).astype(str), labels, FREE, (0.6, 0.2, 0.2))
    assert result.merged == {'z': 1, 'y': 9}


def test_group_k_fold_is_scikit_learns():
    from sklearn.model_selection import StratifiedGroupKFold

    patients, labels = random_table(9)
    result = group_k_fold(patients, labels, (0.5, 0.5), seed=4)
    codes = np.unique(labels, axis=0, return_inverse=True)[1]
    owner = np.unique(patients.astype(str), return_inverse=True)[1]
    splitter = StratifiedGroupKFold(2, shuffle=True, random_state=4)
    expected = next(splitter.split(owner, codes, owner))[1]
    assert result.rows[0].tolist() == expected.tolist()
    assert not set(patients[result.rows[0]]) & set(patients[result.rows[1]])
    three = group_k_fold(patients, labels, (0.7, 0.15, 0.15), seed=4).rows
    assert sorted(np.concatenate(three)) == list(range(len(patients)))
    assert abs(len(three[0]) / len(patients) - 0.7) < 0.06


@pytest.mark.parametrize('ratios', [(0.7, 0.2), (0.7, 0.4, -0.1), (), (1.2, -0.2), (np.nan, 1)])
def test_ratios_that_do_not_sum_to_one(ratios):
    patients, labels = random_table(0)
    for divide in (
        lambda: stratified_partition(patients, labels, FREE, ratios),
        lambda: group_k_fold(patients, labels, ratios),
    ):
        with pytest.raises(InputError, match='sum to 1'):
            divide()


def test_other_bad_input():
    patients, labels = random_table(0)
    with pytest.raises(InputError, match='ties'):
        stratified_partition(patients, labels, FREE, ties='first')
    with pytest.raises(InputError, match='cannot fill 3 splits'):
        stratified_partition(patients[:1], labels[:1], FREE)
    with pytest.raises(InputError, match='20 equal folds'):
        group_k_fold(patients, labels, (0.707, 0.293))


def test_psmm_rows_tie_between_their_two_labels():
    labels = np.array([[1, 0, 0, 1, 0, 0, 0]] * 2 + [[0, 1, 0, 1, 0, 0, 0]])
    names = np.array(['a', 'a', 'b'])
    assert patient_strata(names, labels, PSMM, 'labelset')[2].tolist() == ['S0A1', 'S1A1']
    assert patient_strata(names, labels, PSMM)[2].tolist() == ['S0', 'S1']


def test_no_split_stays_empty():
    labels = np.tile([1, 0], (4, 1))
    schema = LabelSchema('s', ('x', 'y'))
    with pytest.raises(InputError, match='empty'):
        stratified_partition(np.arange(4), labels, schema, (0.8, 0.1, 0.1))
    with pytest.raises(InputError, match='empty'):
        split_patients(np.arange(4), (0.8, 0.1, 0.1), 0)


def test_group_k_fold_with_rare_label_sets_only():
    with pytest.raises(InputError, match='no label set'):
        group_k_fold(np.arange(12), np.eye(12, dtype=int), (0.7, 0.15, 0.15))


def test_an_earlier_partition_does_not_stay_beside_a_new_one(tmp_path):
    for name in ('train.csv', 'test.csv', 'labels.csv'):
        (tmp_path / name).write_text('')
    check_no_other_split(tmp_path, ['train', 'test'])
    (tmp_path / 'val.csv').write_text('')
    with pytest.raises(InputError, match=r'val\.csv'):
        check_no_other_split(tmp_path, ['train', 'test'])
    with pytest.raises(InputError, match=r'train\.csv'):
        check_no_other_split(tmp_path, ['fold_1', 'fold_2'])


@pytest.mark.parametrize('seed', range(30))
def test_small_clinics_get_whole_splits_or_a_sentence(seed):
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(rng.integers(2, 10)), 2).astype(str)
    labels = (rng.random((len(patients), 3)) < (0.5, 0.2, 0.1)).astype(int)
    for make in (
        lambda: stratified_partition(patients, labels, FREE, (0.6, 0.2, 0.2), seed),
        lambda: group_k_fold(patients, labels, (0.6, 0.2, 0.2), seed, FREE.classes),
    ):
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter('always')
                result = make()
        except InputError:
            continue
        assert all(len(rows) for rows in result.rows)
        lost = [[c for i, c in enumerate(FREE.classes) if labels[:, i].any()
                 and not labels[rows, i].any()] for rows in result.rows]  # fmt: skip
        assert result.missing == lost
        assert len(told) == any(lost)
        assert len(result.lacking(['train', 'val', 'test'])) == sum(map(bool, lost))
