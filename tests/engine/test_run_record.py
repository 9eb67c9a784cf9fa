"""Resuming compares what is asked with what was."""

import json
import time
from pathlib import Path
from typing import ClassVar

import pytest
import torch
import toy_training
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from realmnet.engine import read_checkpoint
from realmnet.engine.run_record import KEY, RunRecord, compare, data_digest, differences
from realmnet.errors import InputError

COSINE = [
    {'type': 'LinearLR', 'start_factor': 0.1, 'end': 1, 'convert_to_iter_based': True},
    {'type': 'CosineAnnealingLR', 'begin': 1, 'eta_min': 1e-6},
]
BY_STEP = [
    {'type': 'PolyLR', 'power': 0.9, 'convert_to_iter_based': True},
    {'type': 'MultiStepLR', 'milestones': [2], 'gamma': 0.1},
]


@toy_training.HOOKS.register_module()
class Rates(toy_training.Hook):
    """Keep the learning rate of every step."""

    seen: ClassVar[dict[int, float]] = {}

    def before_train(self, runner):
        self.seen.clear()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen[runner.iter] = runner.optim_wrapper.get_lr()['lr'][0]


def train(work_dir, epochs, source=None, **options):
    cfg = toy_training.config(work_dir, epochs=epochs, log_level='INFO')
    cfg.param_scheduler = COSINE
    cfg.custom_hooks.append({'type': 'Rates'})
    cfg.merge_from_dict(options)
    cfg.resume, cfg.load_from = source is not None, source and str(source)
    folder = work_dir / time.strftime('%Y%m%d_%H%M%S')
    while folder.exists():  # folders are named by the second
        time.sleep(0.1)
        folder = work_dir / time.strftime('%Y%m%d_%H%M%S')
    return toy_training.train(cfg)


def log_of(runner):
    return Path(runner.log_dir, f'{runner.timestamp}.log').read_text()


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """The last checkpoint of two epochs."""
    runner = train(tmp_path_factory.mktemp('two'), 2)
    return Path(runner.log_dir, 'epoch_2.pth')


@pytest.mark.parametrize('schedule', [COSINE, BY_STEP])
def test_a_longer_run_has_the_rates_of_one_that_never_stopped(tmp_path, schedule):
    train(tmp_path / 'whole', 5, param_scheduler=schedule)
    whole = dict(Rates.seen)
    start = train(tmp_path / 'half', 3, param_scheduler=schedule)
    assert Rates.seen != {step: whole[step] for step in range(9)}
    half = Path(start.log_dir, 'epoch_3.pth')
    runner = train(tmp_path / 'more', 5, half, param_scheduler=schedule)
    assert Rates.seen == {step: rate for step, rate in whole.items() if step >= 9}
    log = log_of(runner)
    assert 'not bit by bit' in log and 'train_cfg.max_epochs: 3 there, 5 now' in log
    assert 'Up to epoch 3 this training had the learning rates of another length' in log


def test_a_shorter_run(tmp_path, two):
    long = train(tmp_path / 'long', 6)
    source = Path(long.log_dir, 'epoch_2.pth')
    train(tmp_path / 'whole', 4)
    whole = dict(Rates.seen)
    train(tmp_path / 'cut', 4, source)
    assert Rates.seen == {step: rate for step, rate in whole.items() if step >= 6}
    with pytest.raises(InputError, match='already trained for 2 epochs'):
        train(tmp_path / 'less', 1, two, param_scheduler=None)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'optim_wrapper.optimizer.lr': 1e-5}, 'optimizer.lr: 0.05 there, 1e-05 now'),
        ({'optim_wrapper.optimizer.weight_decay': 0.1}, 'weight_decay: nothing there, 0.1 now'),
        ({'optim_wrapper.clip_grad.max_norm': 1.0}, 'optim_wrapper.clip_grad: nothing there'),
        ({'optim_wrapper.type': 'AmpOptimWrapper'}, 'optim_wrapper.type: OptimWrapper there'),
        ({'train_dataloader.batch_size': 2}, r'total batch: 4 \(4 pictures x 1 process x 1 step\)'),
        ({'optim_wrapper.accumulative_counts': 2}, 'total batch: 4 .* there, 8 '),
        ({'param_scheduler.1.eta_min': 0.1}, r'param_scheduler.1.eta_min: 1e-06 there, 0.1 now'),
        ({'randomness.seed': 7}, 'randomness.seed: 42 there, 7 now'),
        ({'model.width': 9}, 'model.width: nothing there, 9 now'),
        ({'train_dataloader.sampler.shuffle': False}, 'sampler.shuffle: True there, False now'),
        ({'custom_hooks.0.type': 'EMAHook'}, 'averages'),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused(tmp_path, two, options, said):
    cfg = toy_training.config(tmp_path / 'run', epochs=3)
    cfg.param_scheduler = COSINE
    old = RunRecord.from_json(read_checkpoint(two)['meta'][KEY])
    if 'optim_wrapper.type' in options:  # needs a GPU: the record alone
        new = RunRecord.from_json(old.to_json())
        new.config['optim_wrapper']['type'] = options['optim_wrapper.type']
        assert said in compare(old, new).refused[0]
        return
    with pytest.raises(InputError, match=said) as caught:
        train(tmp_path / 'run', 3, two, **options)
    assert 'start a new training from its weights' in str(caught.value)
    assert not list((tmp_path / 'run').rglob('*.pth'))


def test_the_same_total_batch_is_honoured(tmp_path, two):
    runner = train(
        tmp_path / 'run', 3, two,
        **{'train_dataloader.batch_size': 2, 'optim_wrapper.accumulative_counts': 2},
    )  # fmt: skip
    log = log_of(runner)
    assert 'total batch: 4 (4 pictures x 1 process x 1 step) there, 4 (2 pictures x' in log
    assert runner.iter == 18  # three epochs of six steps
    old = RunRecord({}, processes=1, batch=8, total_batch=8)
    new = RunRecord({}, processes=2, batch=4, total_batch=8)
    assert compare(old, new).refused == []
    assert '4 pictures x 2 processes' in compare(old, new).honoured[0]


@pytest.mark.parametrize(
    'options',
    [
        {},
        {
            'default_hooks.checkpoint.max_keep_ckpts': 1,
            'default_hooks.logger.interval': 1,
            'val_dataloader.batch_size': 1,
            'train_cfg.val_interval': 2,
            'vis_backends': [{'type': 'LocalVisBackend'}],
        },
    ],
)
def test_settings_that_decide_nothing(tmp_path, two, options):
    """Resuming a run that is complete: nothing is left to do, and nothing is different."""
    cfg = {'default_hooks': {'checkpoint': {'type': 'RunCheckpointHook', 'interval': 1},
                             'logger': {'type': 'LoggerHook'}}}  # fmt: skip
    runner = train(tmp_path / 'run', 2, two, **cfg, **options)
    assert 'Settings unchanged: resuming exactly.' in log_of(runner)


def test_workers_are_honoured_and_said(tmp_path, two):
    runner = train(tmp_path / 'run', 2, two, **{'train_dataloader.num_workers': 1})
    assert 'train_dataloader.num_workers: 0 there, 1 now' in log_of(runner)


def test_the_configuration_of_the_run_says_what_was_used(tmp_path, two):
    runner = train(tmp_path / 'run', 3, two)
    used = Config.fromfile(Path(runner.log_dir, 'vis_data', 'config.py')).run_record
    assert used.resumed_from == str(two)
    assert (used.processes, used.total_batch, used.seed, used.launcher) == (1, 4, 42, 'none')
    assert used.environment.torch == torch.__version__.partition('+')[0]
    record = json.loads(Path(runner.log_dir, 'run.json').read_text())
    assert record['changes'] == ['train_cfg.max_epochs: 2 there, 3 now']
    newest = read_checkpoint(Path(runner.log_dir, 'epoch_3.pth'))
    assert json.loads(newest['meta'][KEY]) == record


@pytest.mark.parametrize('text', [None, 'x', '[]', '{}', 7])
def test_checkpoints_without_a_record(tmp_path, two, text):
    content = read_checkpoint(two)
    content['meta'][KEY] = text
    old = tmp_path / 'old.pth'
    torch.save(content, old)
    assert 'has no record' in log_of(train(tmp_path / 'run', 2, old))
    for options, said in [
        ({'optim_wrapper.optimizer.lr': 1e-5}, 'lr: 0.05 there, 1e-05 now'),
        ({'randomness.seed': 7}, 'seed: 42 there, 7 now'),
        ({'train_dataloader.batch_size': 2}, 'steps of an epoch: 3 there, 6 now'),
    ][: 3 if text is None else 1]:
        with pytest.raises(InputError, match=said):
            train(tmp_path / 'no', 2, old, **options)


class Labelled(BaseDataset):
    """Pictures of a list."""

    def __init__(self, rows):
        self.rows = rows
        super().__init__()

    def load_data_list(self):
        return [dict(row) for row in self.rows]


def test_digest_of_the_data(tmp_path):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        for name, content in (('1.jpg', b'12'), ('2.jpg', b'345')):
            (tmp_path / folder / name).write_bytes(content)

    def digest(folder='a', labels=([0], [1]), names=('1.jpg', '2.jpg')):
        rows = [
            {'img_path': str(tmp_path / folder / name), 'gt_label': label}
            for name, label in zip(names, labels, strict=True)
        ]
        return data_digest(Labelled(rows))

    before = digest()
    assert digest('b') == before  # a copy elsewhere
    others = [digest(labels=([0], [0])), digest(names=('2.jpg', '1.jpg'), labels=([1], [0]))]
    (tmp_path / 'a' / '1.jpg').write_bytes(b'1')
    others.append(digest())
    assert len({before, *others}) == 4
    assert data_digest(toy_training.ToyDataset()) == ''


def test_other_data_are_refused_and_moved_ones_are_not():
    def record(root, data):
        dataset = {'type': 'X', 'data_root': root, 'ann_file': f'{root}/train.csv'}
        return RunRecord({'train_dataloader': {'dataset': {'dataset': dataset}}}, data=data)

    moved = compare(record('/a', 'digest'), record('/b', 'digest'))
    assert moved.refused == [] and len(moved.honoured) == 2
    assert 'training data' in compare(record('/a', 'one'), record('/a', 'two')).refused[0]
    assert len(compare(record('/a', ''), record('/b', '')).refused) == 2  # unknown


def test_differences():
    assert list(differences({'a': None}, {})) == []
    assert [key for key, *_ in differences([{'a': 1}], [{'a': 1}, {'b': 2}])] == ['']
    assert list(differences({'a': [1, 2]}, {'a': [1, 3]})) == [('a', [1, 2], [1, 3])]
