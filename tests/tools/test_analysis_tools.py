import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from realmnet.evaluation.predictions import Predictions, write_predictions

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools' / 'analysis_tools'
CLASSES = ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')


def run(tool, *arguments, status=0):
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, str(TOOLS / tool), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('predictions')
    n, rng = 120, np.random.default_rng(0)
    truth = np.zeros((n, 7), np.int8)
    truth[np.arange(n), rng.integers(0, 2, n)] = 1
    truth[np.arange(n), 2 + rng.integers(0, 5, n)] = 1
    names = np.array([f'Here-{i // 3}_OD_2020-01-01_{i}.jpg' for i in range(n)], dtype=object)
    who = np.array([f'Here-{i // 3}' for i in range(n)], dtype=object)
    for name, quality in (('ours', 3), ('other', 1)):
        scores = 1 / (1 + np.exp(-(quality * (truth - 0.5) + rng.normal(size=(n, 7)))))
        info = {'checkpoint': str(folder / 'epoch_1.pth')}
        write_predictions(Predictions(names, who, scores, truth, CLASSES, info),
                          folder / f'{name}.json')  # fmt: skip
    return folder


@pytest.mark.parametrize(
    'tool', ['evaluate.py', 'compare.py', 'choose_thresholds.py', 'plot_curves.py']
)
def test_help_has_an_example(tool):
    assert 'example' in run(tool, '--help')


def test_thresholds_are_chosen_and_then_found_by_evaluate(files, tmp_path):
    before = run('evaluate.py', files / 'ours.json', '--bootstrap', 0)
    assert 'Threshold 0.5 for every class' in before
    out = run('choose_thresholds.py', files / 'ours.json', '--rule', 'youden')
    assert (files / 'epoch_1.thresholds.json').is_file()
    assert 'pathologic myopia, by image' in out
    out = run('evaluate.py', files / 'ours.json', '--bootstrap', 30, '--mode', 'both', '--group',
              'source', '--consistent', '--out', tmp_path)  # fmt: skip
    assert 'Thresholds by the rule youden' in out
    assert '±' in out
    assert {p.suffix for p in tmp_path.iterdir()} == {'.txt', '.md', '.csv', '.tex', '.json'}
    (files / 'epoch_1.thresholds.json').unlink()


def test_compare(files, tmp_path):
    out = run('compare.py', files / 'ours.json', files / 'other.json', '--bootstrap', 50, '--mode',
              'both', '--out', tmp_path)  # fmt: skip
    assert 'Obuchowski' in out
    assert 'McNemar clustered' in out
    assert 't-test' in out
    assert (tmp_path / 'ours_vs_other.csv').is_file()


def test_plot_curves(files, tmp_path):
    out = run('plot_curves.py', files / 'ours.json', '--out', tmp_path, '--bootstrap', 20)
    names = {Path(line).name for line in out.split()}
    assert names == {'roc.png', 'pr.png', 'calibration.png', 'confusion_ours.png', 'forest.png'}


def test_mistakes_of_users_are_one_line(files, tmp_path):
    for tool, arguments, message in (
        ('evaluate.py', [tmp_path / 'none.csv'], 'no such predictions file'),
        ('compare.py', [files / 'ours.json', tmp_path / 'none.csv'], 'no such predictions file'),
        ('evaluate.py', [files / 'ours.json', '--group', 'sex'], "no column 'sex'"),
        ('plot_curves.py', [files / 'ours.json', '--kinds', 'mistakes', '--out', tmp_path],
         'name its folder with --images'),
    ):  # fmt: skip
        error = run(tool, *arguments, status=1)
        assert error.startswith('error: ')
        assert message in error
        assert error.strip().count('\n') == 0


class Command:
    def __reduce__(self):
        return os.system, ('echo ran',)


def test_pickle_with_code_is_refused(tmp_path):
    (tmp_path / 'x.pkl').write_bytes(pickle.dumps([Command()]))
    error = run('evaluate.py', tmp_path / 'x.pkl', status=1)
    assert error.startswith('error: ')
    assert 'could run code' in error
    assert 'Traceback' not in error
