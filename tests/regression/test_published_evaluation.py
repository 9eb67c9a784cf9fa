"""Numbers of the paper: internally consistent, and its interval convention reproduced."""

import numpy as np
import pytest

from realmnet.curation.label_schema import PSMM
from realmnet.curation.label_table import read_label_table
from realmnet.evaluation.bootstrap import PUBLISHED_DRAWS, replicate
from realmnet.evaluation.decoding import exclusive_groups
from realmnet.evaluation.intervals import published
from realmnet.evaluation.metrics import make_plan
from realmnet.evaluation.synthetic import calibrated_scores
from realmnet.reporting.published import class_tables, class_targets, class_values, headline


def test_headline_values_are_the_means_of_their_class_rows():
    printed = headline().set_index(['model', 'metric'])['value']
    values = class_values('RealMNet', PSMM.classes)
    for metric, name in (('F1', 'F1'), ('AP', 'mAP'), ('AUROC', 'AUROC')):
        assert np.mean(values[metric]) == pytest.approx(printed['RealMNet', name], abs=5.1e-5)
    largest = class_values('RealMNet-Max', PSMM.classes)
    means = [np.mean(largest[metric]) for metric in ('F1', 'AP', 'AUROC')]
    assert means == pytest.approx([0.7970, 0.8497, 0.9745], abs=5.1e-5)


def test_baseline_rows_of_tables_2_and_3_are_copies_of_table_1():
    table = class_tables()
    for model in ('DeiT', 'ConvNeXt', 'EfficientNet', 'Swin Transformer'):
        rows = [table[(table['model'] == model) & (table['table'] == n)]['percent'].tolist()
                for n in (1, 2, 3)]  # fmt: skip
        assert rows[0] == rows[1] == rows[2]
    best = table[table['table'] == 1].groupby('model')['percent'].mean()
    assert best['EfficientNet'] == pytest.approx(79.41, abs=0.005)
    assert best['RealMNet'] == pytest.approx(79.03, abs=0.005)


@pytest.fixture(scope='module')
def replicates(image_sets):
    table = read_label_table(image_sets / 'test.csv')
    groups = [[PSMM.classes.index(c) for c in group] for group in exclusive_groups(PSMM.classes)]
    targets = class_targets('RealMNet', PSMM.classes)
    scores = calibrated_scores(table.labels, targets, 42, groups)
    plan = make_plan(table.labels, scores, PSMM.classes, essential=True)
    return replicate(plan, 1000, draws=PUBLISHED_DRAWS)


def test_synthetic_scores_have_the_point_values_of_tables_1_to_3(replicates):
    values = class_values('RealMNet', PSMM.classes)
    for metric, tolerance in (('F1', 0.0025), ('AP', 0.0005), ('AUROC', 0.0001)):
        ours = [replicates.point[replicates.names.index(f'{metric}_{c}')] for c in PSMM.classes]
        np.testing.assert_allclose(ours, values[metric], atol=tolerance)


def test_class_wise_f1_plus_minus_within_15_percent_of_table_1(replicates):
    printed = class_values('RealMNet', PSMM.classes, 'plus_minus')['F1']
    plus_minus = published(replicates)[1]
    ours = [plus_minus[replicates.names.index(f'F1_{c}')] for c in PSMM.classes]
    np.testing.assert_allclose(np.array(ours) / printed, 1, atol=0.15)


def test_macro_f1_half_width_within_10_percent_of_the_paper(replicates):
    row = headline().set_index(['model', 'metric']).loc[('RealMNet', 'F1')]
    ends = published(replicates)[0]
    place = replicates.names.index('F1')
    ratio = (ends.high[place] - ends.low[place]) / (row['high'] - row['low'])
    assert ratio == pytest.approx(1, abs=0.10)
