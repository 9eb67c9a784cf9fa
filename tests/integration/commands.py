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
