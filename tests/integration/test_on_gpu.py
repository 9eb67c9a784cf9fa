"""What only a GPU can show: NCCL, mixed precision, exact resuming and inference on it.

Skipped without one; on a machine that has one, with
``python -m pytest tests/integration/test_on_gpu.py``.
"""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from commands import QUICKSTART, SMALL, run

from realmnet.engine.checkpoint_io import read_checkpoint

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU is visible')

ON_GPU = {'CUDA_VISIBLE_DEVICES': '0'}


def train(root, work_dir, *arguments, options=(), check=True):
    return run(
        'tools/dist_train.sh', QUICKSTART, 1, '--work-dir', work_dir, *arguments, '--cfg-options',
        *SMALL, f'data_root={root}', 'train_dataloader.batch_size=4',
        'train_dataloader.num_workers=2', 'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.max_keep_ckpts=9', *options,
        check=check, **ON_GPU,
    )  # fmt: skip


def checkpoint(work_dir, epoch):
    return next(work_dir.glob(f'*/epoch_{epoch}.pth'))


def losses(work_dir):
    values = {}
    for path in sorted(work_dir.glob('2*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if 'loss' in record:
                values[record['step']] = record['loss']
    return values


def same_weights(one, other):
    a, b = (read_checkpoint(str(path))['state_dict'] for path in (one, other))
    return all(torch.equal(a[key].cpu(), b[key].cpu()) for key in a)


@pytest.fixture(scope='module')
def straight(synthetic_psmm, tmp_path_factory):
    """Two epochs in fp32 through NCCL."""
    work_dir = tmp_path_factory.mktemp('gpu')
    result = train(synthetic_psmm, work_dir, options=['train_cfg.max_epochs=2'])
    assert 'GPU 0:' in result.stdout + result.stderr
    return work_dir


def test_two_runs_are_equal(straight, synthetic_psmm, tmp_path):
    train(synthetic_psmm, tmp_path, options=['train_cfg.max_epochs=2'])
    assert losses(tmp_path) == losses(straight)
    assert same_weights(checkpoint(tmp_path, 2), checkpoint(straight, 2))


@pytest.mark.parametrize('precision', [(), ('--amp',)])
def test_resuming_is_exact(precision, synthetic_psmm, tmp_path):
    options = ['train_cfg.max_epochs=3']
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    train(synthetic_psmm, whole, *precision, options=options)
    shutil.copytree(whole, cut)
    for epoch in (2, 3):
        checkpoint(cut, epoch).unlink()
    result = train(synthetic_psmm, cut, '--resume', *precision, options=options)
    assert 'resuming exactly' in result.stdout + result.stderr
    assert same_weights(checkpoint(whole, 3), checkpoint(cut, 3))


def test_steps_that_amp_skips_are_told(synthetic_psmm, tmp_path):
    # a scale far above what half precision holds makes the first steps overflow
    wrapper = [
        'optim_wrapper.type=AmpOptimWrapper',
        "optim_wrapper.loss_scale={'init_scale': 1e12}",
    ]
    result = train(synthetic_psmm, tmp_path, options=['train_cfg.max_epochs=2', *wrapper])
    assert 'Step 1 was skipped, because its gradients overflowed' in result.stdout + result.stderr
    weights = read_checkpoint(str(checkpoint(tmp_path, 2)))['state_dict']
    assert all(torch.isfinite(value).all() for value in weights.values())


@pytest.mark.parametrize('precision', [(), ('--amp',)])
def test_divergence_stops(precision, synthetic_psmm, tmp_path):
    result = train(
        synthetic_psmm, tmp_path, '--no-validate', *precision,
        options=['train_cfg.max_epochs=2', 'optim_wrapper.optimizer.lr=1e30',
                 'param_scheduler=None'],
        check=False,
    )  # fmt: skip
    assert result.returncode != 0
    assert 'the training diverged at step' in result.stderr
    assert not list(tmp_path.glob('*/epoch_*.pth'))


def test_scores_equal_those_of_the_cpu(straight, synthetic_psmm, tmp_path):
    model = tmp_path / 'model.pth'
    run(sys.executable, 'tools/deployment/pack.py', checkpoint(straight, 2), '--out', model,
        '--no-input-check', **ON_GPU)  # fmt: skip
    pictures, tables = synthetic_psmm / 'JPEGImages', []
    for device in ('cuda', 'cpu'):
        out = tmp_path / device
        run(
            sys.executable, 'tools/infer.py', model, pictures, '--device', device, '--out', out,
            **ON_GPU,
        )  # fmt: skip
        rows = json.loads((out / 'findings.json').read_text())['findings']
        tables.append(np.array([list(row['scores'].values()) for row in rows]))
    assert np.abs(tables[0] - tables[1]).max() < 1e-3  # TF32 keeps three digits
