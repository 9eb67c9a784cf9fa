"""The paper's numbers about the data, from the published label files."""

import numpy as np
import pandas as pd
import pytest

from realmnet.curation.imbalance import label_set_codes, label_set_counts, measure_imbalance
from realmnet.curation.label_table import read_label_table
from realmnet.curation.partition import group_k_fold, stratified_partition
from realmnet.curation.protocols import (
    Counts,
    join_tables,
    protocol_sets,
    read_splits,
    sampling_error,
)
from realmnet.curation.resampling import MLRUS, REMEDIAL
from realmnet.curation.statistics import label_flows, overview
from realmnet.curation.verification import verify_labels
from realmnet.reporting.dataset_tables import count_problems, protocol_tables, table_a1, table_a2
from realmnet.reporting.published import load


@pytest.fixture(scope='module')
def root(real_data):
    return real_data / 'psmm_annotations'


@pytest.fixture(scope='module')
def splits(root):
    return read_splits(root)


@pytest.fixture(scope='module')
def whole(splits):
    return join_tables(splits)


def test_table_a1(whole):
    assert overview(whole[0]) == {
        'PSMM': Counts(4560, 43371), 'ShenzhenEye': Counts(4003, 38922),
        'SUSTech': Counts(226, 2835), 'LishuiR': Counts(155, 938), 'Zhongshan': Counts(85, 456),
        'LishuiZ': Counts(91, 220),
    }  # fmt: skip
    assert {row[-1] for row in table_a1(whole[0]).rows} == {'exact'}


def test_table_a2_to_all_printed_digits(splits):
    labels, schema = splits['train'].labels, splits['train'].schema
    plain = measure_imbalance(labels, schema)
    # transcribed from the paper once more, on purpose
    irlbl = [1.1145, 2.0999, 15.4234, 1, 5.0833, 11.5897, 38.9930]
    assert plain.irlbl.round(4).tolist() == irlbl
    assert plain.scumble_lbl.round(4).tolist() == [
        0.0394, 0.1393, 0.4986, 0.0124, 0.0915, 0.2853, 0.5596
    ]  # fmt: skip
    assert (round(plain.mean_ir, 4), round(plain.scumble, 4)) == (10.7577, 0.0741)
    decoupled = measure_imbalance(REMEDIAL().fit_resample(labels), schema)
    assert decoupled.scumble_lbl.round(4).tolist() == [0.0018, 0.0606, 0, 0.0124, 0.0915, 0, 0]
    assert round(decoupled.scumble, 4) == 0.0174
    assert (decoupled.images, decoupled.empty) == (38692, 4357)
    verdicts = [row[-1] for row in table_a2(labels, schema).rows if row[0] != 'published']
    assert verdicts == ['exact'] * 6


def test_only_eight_label_sets(whole):
    assert len(label_set_counts(whole[0].labels, whole[0].schema)) == 8
    flows = label_flows(whole[0])['PSMM']
    assert flows.sum() == 43371
    assert flows[0, 4] == flows[1, 0] == 0


def test_tables_5_to_7(whole):
    table, rows = whole
    sets = protocol_sets(table, rows)
    assert count_problems(table, sets) == []
    for item in protocol_tables(table, sets, seeds=10):
        for row in item.rows:
            if not row[0].startswith('r.'):
                assert row[-1] == 'exact', row


def test_published_resampled_counts_are_within_sampling_error(whole):
    table, rows = whole
    published = {**load('psmm_tables')['6'], **load('psmm_tables')['7']}
    distances = []
    for training in protocol_sets(table, rows):
        theirs = published.get(training.folder, load('psmm_tables')['5']['CIP'])
        spread = sampling_error(table, training.train, seeds=60)
        for name in ('images', 'patients'):
            wanted = int(theirs['train, resampled'][name].replace(',', ''))
            mean, deviation = spread[name]
            distances.append((wanted - mean) / deviation)
    assert np.abs(distances).max() < 3
    assert np.mean(np.square(distances)) < 2


def test_ml_rus_on_the_published_training_split(splits, image_sets):
    train = splits['train']
    released = read_label_table(image_sets / 'MYOPIA_MLRUS-20' / 'MYOPIA_MLRUS-20.csv')
    sampler = MLRUS(ratio=0.2, random_state=42)
    ours = sampler.fit_resample(train.labels)
    assert abs(len(ours) - 24689) <= 60
    assert len(released) == 24683
    assert sampler.expected_size(train.labels) == (
        pytest.approx(24689, abs=1), pytest.approx(16.3, abs=0.5)
    )  # fmt: skip
    # shares removed per label set: both lists lie within sampling error of the same expectation
    rows, codes = label_set_codes(train.labels)
    before = np.bincount(codes)
    bags = train.labels.sum(0).astype(float)
    stays = np.prod(np.where(rows[:, [0, 1, 3, 4]], 1 - 1521 / bags[[0, 1, 3, 4]], 1), axis=1)
    position = {tuple(row): i for i, row in enumerate(rows)}
    for kept in (ours, released.labels):
        after = np.zeros(len(rows))
        for row, number in zip(*np.unique(kept, axis=0, return_counts=True), strict=True):
            after[position[tuple(row)]] = number
        error = np.sqrt(before * stays * (1 - stays)) + 1
        assert (np.abs(after - before * stays) < 3.5 * error).all()
    # the released file keeps the order of the training split
    order = pd.Index(train.filenames).get_indexer(released.filenames)
    assert (np.diff(order) > 0).all()


def test_charte_variant_spares_minority_images(splits):
    labels = splits['train'].labels
    kept = MLRUS(0.2, 42, variant='charte').fit_resample(labels)
    assert len(kept) == 30420 - 6084
    assert kept.sum(0)[[2, 5, 6]].tolist() == labels.sum(0)[[2, 5, 6]].tolist()
    published = MLRUS(0.2, 42).fit_resample(labels)
    assert published.sum(0)[6] < labels.sum(0)[6]


@pytest.mark.parametrize('ties', ['rarest', 'labelset'])
def test_partition_of_all_images(whole, ties):
    table, _ = whole
    result = stratified_partition(table.patients, table.labels, table.schema, ties=ties)
    counts = [Counts.of(table.patients[rows]) for rows in result.rows]
    assert [c.patients for c in counts] == [3192, 684, 684]
    assert sum(c.images for c in counts) == 43371
    owners = [set(table.patients[rows]) for rows in result.rows]
    assert len(set.union(*owners)) == sum(map(len, owners))
    assert result.tied == 3750
    assert bool(result.merged) == (ties == 'labelset')


def test_group_k_fold_keeps_patients_apart(whole):
    table, _ = whole
    rows = group_k_fold(table.patients, table.labels, (0.7, 0.15, 0.15)).rows
    assert len(np.concatenate(rows)) == 43371
    owners = [set(table.patients[r]) for r in rows]
    assert not owners[0] & owners[1]
    shares = np.array([table.labels[r].mean(0) for r in rows])
    assert np.ptp(shares, axis=0).max() < 0.005


def test_the_published_label_files_are_sound(root):
    result = verify_labels(root)
    assert result.findings == []
    assert result.counts == {'train': 30420, 'val': 6377, 'test': 6574,
                             'train, resampled': 24683}  # fmt: skip
