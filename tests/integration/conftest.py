"""Running the command-line tools as a user does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICKSTART = 'configs/quickstart/tinyvit-5m-128_synthetic.py'
# 64 px and two pictures a batch: seconds instead of minutes.
SMALL = ['model.backbone.img_size=64', 'model.backbone.window_size=[2,2,4,2]']


def run(*command, check=True, **environment):
    """Run a command in the repository root on CPUs, one thread a process."""
    environment = {
        **os.environ,
        'PYTHON': sys.executable,
        'OMP_NUM_THREADS': '1',
        'CUDA_VISIBLE_DEVICES': '-1',
        **environment,
    }
    result = subprocess.run(
        [str(c) for c in command], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if check and result.returncode:
        pytest.fail(f'{command} exited with {result.returncode}\n{result.stdout}\n{result.stderr}')
    return result


@pytest.fixture(scope='session')
def trained(synthetic_psmm, tmp_path_factory):
    """One epoch of the small quickstart model on two processes: (work folder, checkpoint)."""
    work_dir = tmp_path_factory.mktemp('work_dirs')
    run(
        'tools/dist_train.sh', QUICKSTART, 2, '--work-dir', work_dir, '--cfg-options', *SMALL,
        f'data_root={synthetic_psmm}', 'train_cfg.max_epochs=2', 'train_dataloader.batch_size=4',
    )  # fmt: skip
    return work_dir, Path((work_dir / 'last_checkpoint').read_text().strip())
