"""Table A7 in quick mode: killed in the middle, resumed, reported."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import ROOT, run

SWEEP = 'configs/ablations/a7_two_way.py'
CELLS = ('T_P-1_T_N-0.5', 'T_P-4_T_N-4')


@pytest.mark.slow
def test_a_quick_sweep_survives_a_kill_and_has_a_table(tmp_path):
    work, report = tmp_path / 'a7', tmp_path / 'report'
    command = [sys.executable, 'tools/sweep.py', SWEEP, '--quick', '--gpus', '0', '--jobs', '1',
               '--work-dir', work, '--only', *CELLS]  # fmt: skip
    first = work / CELLS[0] / 'seed-42'
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'})
    deadline = time.monotonic() + 600
    while not (first / 'last_checkpoint').exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert Path((first / 'last_checkpoint').read_text().strip()).name == 'epoch_1.pth'
    assert not (first / 'val.csv').exists()

    result = run(*command)
    assert '2 of 2 runs done' in result.stdout
    assert '--resume' in (first / 'train.log').read_text()
    assert 'resumed epoch: 1' in (first / 'train.log').read_text()
    again = run(*command)
    assert '2 of 2 runs done' in again.stdout
    assert (first / 'train.log').read_text().count('dist_train.sh') == 2

    result = run(sys.executable, 'tools/report.py', 'A7', '--work-dirs', work, '--out', report,
                 '--bootstrap', 50)  # fmt: skip
    assert '[SYNTHETIC, QUICK] Table A7' in result.stdout and '0.8178' in result.stdout
    assert 'Table A7. Two-way loss: 2 of 16 cells have results' in result.stdout
    assert (report / 'report.html').is_file() and (report / 'table_A7.png').is_file()


def test_dry_run_prints_one_ordinary_command_a_cell(tmp_path):
    result = run(sys.executable, 'tools/sweep.py', SWEEP, '--gpus', '0', '--dry-run',
                 '--work-dir', tmp_path)  # fmt: skip
    lines = result.stdout.splitlines()
    assert len(lines) == 16
    assert all(line.startswith(f'tools/dist_train.sh {tmp_path}') for line in lines)
    assert all(Path(line.split()[1]).is_file() for line in lines)
