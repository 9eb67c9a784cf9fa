"""The published recipe, killed in the middle of an epoch and resumed, ends bit by bit the same."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import ROOT, SMALL, run

from realmnet.engine.checkpoint_io import read_checkpoint

CONFIG = 'configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py'


def command(root, work_dir, processes, *arguments):
    options = [
        *SMALL, 'model.backbone.arch=5m', 'model.head.in_channels=320', f'data_root={root}',
        'pretrained=None', 'train_cfg.max_epochs=6', 'default_hooks.checkpoint.max_keep_ckpts=9',
        'train_dataloader.batch_size=4', 'train_dataloader.num_workers=2',
        'val_dataloader.num_workers=0', 'default_hooks.logger.interval=1',
        *(f'{s}_dataloader.dataset.pipeline.1.scale=(64,64)' for s in ('train', 'val', 'test')),
    ]  # fmt: skip
    return [
        'tools/dist_train.sh', CONFIG, str(processes), '--work-dir', str(work_dir), *arguments,
        '--cfg-options', *options,
    ]  # fmt: skip


def losses(work_dir):
    """Loss by step, later runs replacing what they repeated."""
    values = {}
    for path in sorted(Path(work_dir).glob('2*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if 'loss' in record:
                values[record['step']] = record['loss']
    return values


def last_weights(work_dir):
    path = (work_dir / 'last_checkpoint').read_text().strip()
    assert path.endswith('epoch_6.pth')
    return read_checkpoint(path)['state_dict']


def kill_all_that_name(folder):
    """Kill torchrun, the processes it started and their workers, all at once."""
    for path in Path('/proc').glob('[0-9]*'):
        try:
            if str(folder).encode() in (path / 'cmdline').read_bytes():
                os.kill(int(path.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended meanwhile


@pytest.mark.slow
@pytest.mark.parametrize(
    ('processes', 'fragments'), [(1, ()), (2, ()), (1, ('--with', 'ema', 'best_checkpoint'))]
)
def test_killed_and_resumed(processes, fragments, synthetic_psmm, tmp_path):
    straight, again, broken = (tmp_path / name for name in ('straight', 'again', 'broken'))
    run(*command(synthetic_psmm, straight, processes, *fragments))
    run(*command(synthetic_psmm, again, processes, *fragments))
    assert losses(straight) == losses(again)

    environment = {
        **os.environ,
        'PYTHON': sys.executable,
        'OMP_NUM_THREADS': '1',
        'CUDA_VISIBLE_DEVICES': '-1',
    }
    with subprocess.Popen(
        command(synthetic_psmm, broken, processes, *fragments), cwd=ROOT, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 600
        while not any(
            re.search(r'train\) +\[4\]\[ *2/', p.read_text()) for p in broken.glob('2*/*.log')
        ):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        kill_all_that_name(broken)
    assert (broken / 'last_checkpoint').read_text().strip().endswith('epoch_3.pth')
    run(*command(synthetic_psmm, broken, processes, '--resume', *fragments))

    assert losses(broken) == losses(straight)
    expected, found = last_weights(straight), last_weights(broken)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
