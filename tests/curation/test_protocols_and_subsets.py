"""Protocols, subsets, counts and people, on small tables whose answer is known."""

import itertools

import numpy as np
import pytest
from curation_samples import psmm_table
from hypothesis import given, settings
from hypothesis import strategies as st

from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.curation.label_table import LabelTable, read_label_table, write_label_table
from realmnet.curation.outputs import staged
from realmnet.curation.partition import group_k_fold, split_patients, stratified_partition
from realmnet.curation.protocols import (
    Counts,
    join_tables,
    protocol_sets,
    read_splits,
    resampled_counts,
    sampling_error,
)
from realmnet.curation.resampling import MLRUS
from realmnet.curation.schema_file import read_schema
from realmnet.curation.sources import order_sources, sources_of
from realmnet.curation.statistics import class_counts, label_flows, overview, read_people
from realmnet.curation.subsets import k_shot, nested_subsets
from realmnet.errors import InputError, LabelTableError


@pytest.fixture
def splits():
    return {
        'train': psmm_table([('SUSTech-1_1.jpg', 'S0A1'), ('SUSTech-1_2.jpg', 'S1A2'),
                             ('ShenzhenEye-1_1.jpg', 'S0A1'), ('ShenzhenEye-2_1.jpg', 'S0A0')]),
        'val': psmm_table([('ShenzhenEye-3_1.jpg', 'S1A4')]),
        'test': psmm_table([('LishuiZ-4_1.jpg', 'S1A3'), ('SUSTech-5_1.jpg', 'S0A1')]),
    }  # fmt: skip


def test_sources():
    assert sources_of(['LishuiR-027429', 'x', 'a-b-c']).tolist() == ['LishuiR', '', 'a']
    assert order_sources(['Zoo', 'LishuiZ', 'ShenzhenEye', 'Ape']) == [
        'ShenzhenEye', 'LishuiZ', 'Ape', 'Zoo'
    ]  # fmt: skip


def test_protocols_by_hand(splits):
    table, rows = join_tables(splits)
    sets = protocol_sets(table, rows)
    assert [(s.protocol, s.folder) for s in sets] == [
        ('CIP', ''), ('MRP', 'MRP'), ('CGP', 'CGP_wo-SUSTech'), ('CGP', 'CGP_wo-LishuiZ')
    ]  # fmt: skip
    cip, mrp, without_sustech, without_lishui = sets
    assert cip.train.tolist() == [0, 1, 2, 3]
    assert {k: v.tolist() for k, v in cip.tests.items()} == {'val': [4], 'test': [5, 6]}
    assert mrp.train.tolist() == [2, 3, 4]
    assert {k: v.tolist() for k, v in mrp.tests.items()} == {
        'test_SUSTech': [0, 1, 6], 'test_LishuiZ': [5]
    }  # fmt: skip
    assert without_sustech.train.tolist() == [2, 3, 4, 5]
    assert without_sustech.tests['test'].tolist() == [0, 1, 6]
    assert without_lishui.train.tolist() == [0, 1, 2, 3, 4, 6]


def test_a_source_that_is_absent(splits):
    table, rows = join_tables(splits)
    with pytest.raises(InputError, match=r"no image of source\(s\) \['Zhongshan'\]"):
        protocol_sets(table, rows, ['ShenzhenEye', 'Zhongshan'])
    with pytest.raises(InputError, match='two sources or more'):
        protocol_sets(table, rows, ['ShenzhenEye'])


def test_join_refuses_a_picture_in_two_splits(splits):
    with pytest.raises(LabelTableError, match='second time'):
        join_tables({'a': splits['train'], 'b': splits['train']})


def test_read_splits_says_what_is_missing(tmp_path, splits):
    with pytest.raises(InputError, match='no training list'):
        read_splits(tmp_path)
    folder = tmp_path / 'ImageSets' / 'Main'
    folder.mkdir(parents=True)
    splits['train'].frame.to_csv(folder / 'train.csv', index=False)
    with pytest.raises(InputError, match=r'val\.csv: no such label file'):
        read_splits(tmp_path)
    splits['train'].frame.to_csv(folder / 'val.csv', index=False)
    splits['test'].frame.to_csv(folder / 'test.csv', index=False)
    with pytest.raises(InputError, match='is in both train'):
        read_splits(tmp_path)


def test_resampled_counts_and_their_spread():
    rng = np.random.default_rng(1)
    sets = rng.choice(['S0A1', 'S1A2', 'S1A1', 'S1A3', 'S0A0'], 300, p=[0.6, 0.2, 0.1, 0.06, 0.04])
    table = psmm_table([(f'SUSTech-{i // 4}_{i}.jpg', s) for i, s in enumerate(sets)])
    train = np.arange(50, 300)
    kept, counts = resampled_counts(table, train)
    assert set(kept) <= set(train)
    assert counts == Counts(len(set(table.patients[kept])), len(kept))
    spread = sampling_error(table, train, seeds=40)
    assert spread['images'] == MLRUS(0.2).expected_size(table.labels[train])
    assert abs(counts.patients - spread['patients'][0]) < 5 * spread['patients'][1] + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_shares_are_nested_whole_patients_and_stratified(seed):
    rng = np.random.default_rng(seed)
    patients = rng.integers(0, 50, 300).astype(str)
    labels = np.eye(3, dtype=np.int8)[(patients.astype(int) % 10 >= 5).astype(int)]
    schema = LabelSchema('s', ('x', 'y', 'z'))
    shares = [0.1, 0.3, 0.5, 1.0]
    subsets = nested_subsets(patients, labels, schema, shares, seed)
    everyone = set(patients)
    for smaller, larger in itertools.pairwise(subsets):
        assert set(smaller) <= set(larger)
    for share, rows in zip(shares, subsets, strict=True):
        members = set(patients[rows])
        assert len(members) == round(share * len(everyone))
        assert set(rows) == set(np.flatnonzero(np.isin(patients, list(members))))
        for low in (True, False):
            stratum = {p for p in everyone if (int(p) % 10 < 5) == low}
            assert abs(len(members & stratum) - share * len(stratum)) < 2
    assert len(subsets[-1]) == len(patients)


def test_shares_that_make_no_sense():
    labels = np.eye(7, dtype=np.int8)[[0, 0]]
    for share in (0, 1.5, 10, -0.1, 0.1):
        with pytest.raises(InputError, match='leaves none'):
            nested_subsets(np.array(['a', 'b']), labels, PSMM, [share])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_k_shot_has_enough_of_every_class_and_little_more(seed, k):
    rng = np.random.default_rng(seed)
    labels = np.eye(4, dtype=np.int8)[rng.choice(4, 200, p=[0.5, 0.3, 0.1, 0.1])]
    if (labels.sum(0) < k).any():
        return
    rows = k_shot(rng.integers(0, 150, 200).astype(str), labels, k, seed)
    assert len(set(rows)) == len(rows)
    # with one label an image, k of each class exactly
    assert labels[rows].sum(0).tolist() == [k] * 4


def test_k_shot_prefers_new_patients_and_refuses_too_many():
    labels = np.array([[1]] * 6)
    patients = np.array(['a', 'a', 'a', 'a', 'b', 'c'])
    assert set(patients[k_shot(patients, labels, 3)]) == {'a', 'b', 'c'}
    assert len(k_shot(patients, labels, 5)) == 5
    with pytest.raises(InputError, match='the least frequent has 6'):
        k_shot(patients, labels, 7)
    with pytest.raises(InputError, match='1 or more'):
        k_shot(patients, labels, 0)


def test_overview_counts_and_flows(splits):
    table, _ = join_tables(splits)
    assert overview(table) == {
        'PSMM': Counts(6, 7), 'ShenzhenEye': Counts(3, 3), 'SUSTech': Counts(2, 3),
        'LishuiZ': Counts(1, 1),
    }  # fmt: skip
    assert class_counts(table).loc['SUSTech'].tolist() == [2, 1, 0, 2, 1, 0, 0]
    assert label_flows(table)['SUSTech'].tolist() == [[0, 2, 0, 0, 0], [0, 0, 1, 0, 0]]
    schema = read_schema('PSMM-resampled')
    with pytest.raises(InputError, match='exclusive group'):
        label_flows(LabelTable(table.frame, schema, 'x'))


def test_people(tmp_path):
    path = tmp_path / 'people.csv'
    path.write_text('ID,age,sex,name\na,7.5,F,x\nb,80,male,y\n')
    people = read_people(path)
    assert people.columns.tolist() == ['ID', 'age', 'sex']
    assert people['sex'].tolist() == ['F', 'M']
    for text, problem in (
        ('ID,age\na,1\n', 'sex'),
        ('ID,age,sex\na,old,F\n', 'line 2: age'),
        ('ID,age,sex\na,1,F\na,2,F\n', 'line 3: the patient'),
        ('ID,age,sex\na,1,fish\n', 'neither'),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=problem):
            read_people(path)
    with pytest.raises(InputError, match='no such file'):
        read_people(tmp_path / 'none.csv')


def test_schema_from_a_file(tmp_path):
    path = tmp_path / 'schema.json'
    path.write_text('{"name": "two", "classes": ["x", "y"], "allow_empty": true}')
    assert read_schema(str(path)).classes == ('x', 'y')
    for text in ('[1]', '{', '{"name": "two", "colour": 1}'):
        path.write_text(text)
        with pytest.raises(LabelTableError):
            read_schema(str(path))


def test_a_resampled_list_can_be_read_with_its_schema(tmp_path):
    path = tmp_path / 'train.csv'
    path.write_text('S0,S1,A0,A1,A2,A3,A4,filename,ID\n1,0,1,0,0,0,0,a.jpg,a\n')
    row = '0,0,0,0,0,0,1,a.jpg,a\n'
    path.write_text(path.read_text() + row)
    with pytest.raises(LabelTableError, match='second time'):
        read_label_table(path)
    assert len(read_label_table(path, 'PSMM-resampled')) == 2


def test_staged_files_appear_all_or_none(tmp_path):
    with pytest.raises(RuntimeError), staged(tmp_path) as place:
        (place / 'a.txt').write_text('x')
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with staged(tmp_path / 'new') as place:
        (place / 'sub').mkdir()
        (place / 'sub' / 'a.txt').write_text('x')
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob('*') if p.is_file()] == [
        'new/sub/a.txt'
    ]


def test_sources_named_twice_or_not_at_all(splits):
    table, rows = join_tables(splits)
    main, other, *_ = order_sources(sources_of(table.patients))
    with pytest.raises(InputError, match='each once'):
        protocol_sets(table, rows, [main, other, main])
    table.frame.loc[2, 'ID'] = 'nobody'
    with pytest.raises(InputError, match="'nobody' has no '-'"):
        protocol_sets(table, rows)


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot be written'), staged(tmp_path / 'file'):
        pass
    with pytest.raises(InputError, match='is a folder'):
        write_label_table(psmm_table([('SUSTech-1_1.jpg', 'S0A1')]), tmp_path)


@pytest.mark.parametrize('seed', [-1, 2**32])
def test_seeds_out_of_range(seed):
    patients, labels = np.arange(20), np.eye(2, dtype=int)[np.arange(20) % 2]
    schema = LabelSchema('s', ('x', 'y'))
    for draw in (
        lambda: MLRUS(0.2, seed).fit_resample(labels),
        lambda: nested_subsets(patients, labels, schema, seed=seed),
        lambda: k_shot(patients, labels, 1, seed),
        lambda: split_patients(patients, (0.5, 0.5), seed),
        lambda: stratified_partition(patients, labels, schema, (0.5, 0.5), seed),
        lambda: group_k_fold(patients, labels, (0.5, 0.5), seed),
    ):
        with pytest.raises(InputError, match='seed'):
            draw()
