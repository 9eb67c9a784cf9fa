"""A training of a second with every kind of randomness, for the tests of resuming.

Run as a script it is a process that a test can kill; torchrun can start several of it.
"""

import argparse
import itertools
import os
import random
import signal
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import RUNNERS
from mmpretrain.registry import DATASETS, HOOKS, METRICS, MODELS
from torch import nn
from torch.utils.data import Dataset

from realmnet.engine import DivergenceError
from realmnet.engine.launch import finish_launch, prepare_launch

_COUNT = itertools.count()


@DATASETS.register_module()
class ToyDataset(Dataset):
    """12 points whose augmentation draws from python, numpy and torch."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        noise = random.random() + np.random.rand() + torch.rand(()).item()  # noqa: NPY002
        return {'inputs': torch.full((4,), float(index)) / 12 + noise, 'target': index % 2}


@MODELS.register_module()
class ToyModel(BaseModel):
    """Backbone with batch norm and dropout, linear head."""

    def __init__(self, width=8, classes=1):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.5)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, inputs, target, mode='tensor'):
        scores = self.head(self.backbone(torch.stack(inputs))).squeeze(1)
        if mode == 'loss':
            wanted = torch.as_tensor(target, dtype=scores.dtype)
            return {'loss': nn.functional.binary_cross_entropy_with_logits(scores, wanted)}
        return list(scores)


@METRICS.register_module()
class ToyMetric(BaseMetric):
    """Mean score as a numpy number, which a checkpoint's log must survive."""

    def process(self, data_batch, data_samples):
        self.results.extend(float(score) for score in data_samples)

    def compute_metrics(self, results):
        return {'score': np.float32(np.mean(results))}


@HOOKS.register_module()
class ToyLog(Hook):
    """Append the loss of each iteration to a file; die on command."""

    def __init__(self, path, die_at=None):
        self.path, self.die_at = Path(path), die_at

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.die_at == runner.iter:
            os.kill(os.getpid(), signal.SIGKILL)
        if runner.rank == 0:
            with self.path.open('a') as file:
                file.write(f'{runner.iter} {outputs["loss"].item()!r}\n')


@HOOKS.register_module()
class ToySpoil(Hook):
    """Make the pictures of the second epoch NaN."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.epoch == 1:
            for picture in data_batch['inputs']:
                picture.fill_(np.nan)


def config(work_dir, workers=0, epochs=4, die_at=None, **more):
    """A configuration of 3 iterations an epoch in one process."""
    work_dir = Path(work_dir)
    loader = {
        'batch_size': 4,
        'num_workers': workers,
        'persistent_workers': False,
        'dataset': {'type': 'ToyDataset'},
        'sampler': {'type': 'DefaultSampler', 'shuffle': True},
        'worker_init_fn': {'type': 'seed_worker'},
    }
    return Config(
        {
            'default_scope': 'mmpretrain',
            'runner_type': 'RealMRunner',
            'work_dir': str(work_dir),
            # mmengine keeps logs by name; two runs of one process and second must not share them
            'experiment_name': f'{work_dir.name}{next(_COUNT)}',
            'model': {'type': 'ToyModel'},
            'train_dataloader': loader,
            'val_dataloader': {**loader, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
            'train_cfg': {'by_epoch': True, 'max_epochs': epochs},
            'val_cfg': {},
            'val_evaluator': {'type': 'ToyMetric'},
            'optim_wrapper': {'optimizer': {'type': 'AdamW', 'lr': 0.05}},
            'param_scheduler': [
                {
                    'type': 'LinearLR',
                    'start_factor': 0.1,
                    'end': 1,
                    'convert_to_iter_based': True,
                },
                {'type': 'CosineAnnealingLR', 'begin': 1, 'end': 4, 'T_max': 3, 'eta_min': 1e-6},
            ],
            'default_hooks': {'checkpoint': {'type': 'RunCheckpointHook', 'interval': 1}},
            'custom_hooks': [
                {'type': 'EpochSeedHook'},
                {'type': 'ToyLog', 'path': str(work_dir / 'losses.txt'), 'die_at': die_at},
                {'type': 'FiniteHook'},
            ],
            'randomness': {'seed': 42},
            'env_cfg': {'dist_cfg': {'backend': 'nccl'}},
            'log_level': 'WARNING',
            **more,
        }
    )


def train(cfg):
    """Build the runner as the tools do, train, return the runner."""
    Path(cfg.work_dir).mkdir(parents=True, exist_ok=True)
    runner = RUNNERS.build(cfg)
    runner.train()
    return runner


def _main():
    parser = argparse.ArgumentParser()
    parser.add_argument('work_dir')
    parser.add_argument('--workers', type=int, default=0)
    parser.add_argument('--die-at', type=int)
    parser.add_argument('--die-in-write', type=int, help='which os.replace is never reached')
    parser.add_argument('--spoil', type=int, help='the process whose second epoch sees NaN')
    parser.add_argument('--resume', action='store_true')
    parser.add_argument('--launcher', default='none')
    args = parser.parse_args()
    if args.die_in_write is not None:
        calls = []

        def replace(source, target):
            calls.append(target)
            if len(calls) == args.die_in_write:
                os.kill(os.getpid(), signal.SIGKILL)
            os.rename(source, target)  # noqa: PTH104

        os.replace = replace
    cfg = config(args.work_dir, args.workers, die_at=args.die_at, resume=args.resume)
    prepare_launch(cfg, args.launcher, threads=1)
    if args.spoil == int(os.environ.get('RANK', 0)):
        cfg.custom_hooks.append({'type': 'ToySpoil'})
    try:
        train(cfg)
    except DivergenceError as error:
        if args.spoil is not None:
            Path(args.work_dir, 'error.txt').write_text(str(error))
        raise
    finish_launch()


if __name__ == '__main__':
    _main()
