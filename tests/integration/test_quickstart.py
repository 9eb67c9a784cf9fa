"""The quickstart is neither trivial nor out of reach."""

import sys

import pytest
from commands import ROOT, run

from realmnet.curation.label_table import read_label_table
from realmnet.curation.synthetic.difficulty import histogram_baseline
from realmnet.evaluation.metrics import all_metrics
from realmnet.evaluation.predictions import read_predictions


@pytest.mark.slow
def test_network_learns_what_colours_do_not_tell():
    run('bash', 'tools/quickstart.sh', PYTHON=sys.executable)
    predictions = read_predictions(ROOT / 'work_dirs' / 'quickstart' / 'test.csv')
    values = all_metrics(predictions.truth, predictions.scores, predictions.classes)
    assert values['AUROC'] > 0.90
    root = ROOT / 'data' / 'synthetic'
    assert histogram_baseline(root)['auroc'].mean() < 0.80
    test = read_label_table(root / 'ImageSets' / 'Main' / 'test.csv')
    assert test.labels.sum(0, dtype=int).min() >= 30
    assert (ROOT / 'work_dirs' / 'quickstart' / 'sheet.png').is_file()
