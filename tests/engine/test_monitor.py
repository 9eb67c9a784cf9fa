"""Metrics that are watched: undefined ones, unknown ones, and those of which less is better."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import realmnet.plugin  # noqa: F401
from realmnet.datasets.label_table_dataset import LabelTableDataset
from realmnet.engine.hooks import RunCheckpointHook
from realmnet.engine.metric import MultiLabelReport
from realmnet.engine.monitor import RunEarlyStoppingHook, check_monitored, rule_of
from realmnet.errors import InputError
from realmnet.evaluation.metric_records import METRICS, columns_of

CLASSES = ['N', 'macular hole', 'M']


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """Two pictures, neither of which has M."""
    root = tmp_path_factory.mktemp('data')
    for name in 'ab':
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(root / f'{name}.png')
    (root / 'val.csv').write_text('filename,ID,N,macular hole,M\na.png,1,1,0,0\nb.png,2,0,1,0\n')
    schema = dict(name='mine', classes=CLASSES, allow_empty=True)
    return LabelTableDataset('val.csv', schema, data_root=str(root))


@pytest.fixture
def runner(dataset):
    return SimpleNamespace(
        val_loop=SimpleNamespace(),
        val_dataloader=SimpleNamespace(dataset=dataset),
        val_evaluator=SimpleNamespace(metrics=[MultiLabelReport()]),
        train_loop=SimpleNamespace(stop_training=False),
        logger=logging.getLogger('monitor'),
        epoch=1,
    )


@pytest.mark.parametrize(
    ('name', 'rule'),
    [
        ('multi-label/brier', 'less'), ('multi-label/brier_A4', 'less'),
        ('multi-label/hamming', 'less'), ('multi-label/coverage', 'less'),
        ('multi-label/ranking', 'less'), ('multi-label/calibration', 'less'),
        ('multi-label/F1', 'greater'), ('multi-label/NPV_A4', 'greater'),
        ('multi-label/subset_accuracy', 'greater'), ('multi-label/mAP', 'greater'),
    ],
)  # fmt: skip
def test_the_rule_follows_the_metric(name, rule):
    other = {'less': 'greater', 'greater': 'less'}[rule]
    assert rule_of(name) == rule_of(name, rule) == rule
    assert RunEarlyStoppingHook(name).rule == rule
    assert RunCheckpointHook(save_best=name).rules == [rule]
    with pytest.raises(InputError, match='leave the rule out'):
        RunEarlyStoppingHook(name, rule=other)
    with pytest.raises(InputError, match='leave the rule out'):
        RunCheckpointHook(save_best=[name], rule=[other])


@pytest.mark.parametrize('metric', METRICS, ids=lambda metric: metric.name)
def test_every_number_of_a_metric_can_be_watched_in_its_own_direction(runner, metric):
    names = [f'multi-label/{c.name}' for c in columns_of(CLASSES[:2], [metric])]
    assert RunCheckpointHook(save_best=names).rules == [metric.better] * len(names)
    assert [RunEarlyStoppingHook(name).rule for name in names] == [metric.better] * len(names)
    if 'graded' not in metric.needs:  # these classes hold no scale
        check_monitored(runner, names, 'save_best')


def test_a_metric_of_a_class_called_loss_is_no_loss():
    assert rule_of('multi-label/AUROC_hair loss') == 'greater'
    assert [rule_of(name) for name in ('loss', 'multi-label/undefined')] == ['less', 'less']
    assert rule_of('single-label/accuracy') == 'greater'


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('multi-label/map', 'did you mean multi-label/mAP'),
        ('mAP', 'did you mean multi-label/mAP'),
        ('multi-label/mcc', r'did you mean multi-label/MCC\? There are .*/balanced_accuracy'),
        ('multi-label/AUROC_A4', 'no such metric'),
        ('accuracy/top1', 'There are multi-label/precision, '),
        ('multi-label/AUROC_M', 'undefined on the development split.*0 of its 2 pictures have M'),
        ('multi-label/recall_M', 'undefined on the development split'),
    ],
)
def test_what_will_never_be_reported_is_refused_at_the_start(runner, name, message):
    with pytest.raises(InputError, match=message):
        check_monitored(runner, [name], 'save_best')
    with pytest.raises(InputError, match=message):
        RunEarlyStoppingHook(name, rule='greater').before_train(runner)


def test_what_may_be_reported_is_not_refused(runner):
    # no picture has M, but a prediction of M would have the precision 0
    names = ['multi-label/mAP', 'multi-label/precision_M', 'multi-label/AUROC_macular hole', 'auto']
    check_monitored(runner, names, 'save_best')


def test_watching_needs_a_validation(runner):
    runner.val_loop = None
    with pytest.raises(InputError, match='the run has no validation; leave --no-validate out'):
        check_monitored(runner, ['multi-label/mAP'], 'early stopping')


def test_undefined_values_neither_stop_nor_count(runner, caplog):
    hook = RunEarlyStoppingHook('multi-label/precision', patience=2)
    values = [float('nan'), 0.5, float('nan'), 0.4, float('nan'), 0.3]
    stopped = []
    for value in values:
        hook.after_val_epoch(runner, {'multi-label/precision': value})
        stopped.append(runner.train_loop.stop_training)
    assert stopped == [False] * 5 + [True]  # after two values that are no improvement
    assert hook.best_score == 0.5
    assert caplog.text.count('undefined, so it is neither') == 3
    with pytest.raises(InputError, match="'multi-label/precision' is watched"):
        hook.after_val_epoch(runner, {'multi-label/F1': 1.0})
