import json
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


def one_patient(folder, name, found):
    """All 20 positives of X from one patient, ``found`` of them right; Y in many patients."""
    rng = np.random.default_rng(0)
    truth = np.zeros((120, 2), np.int8)
    truth[:20, 0], truth[::3, 1] = 1, 1
    scores = np.clip(0.4 * truth + 0.6 * rng.random((120, 2)), 0, 1)
    scores[:20, 0] = np.where(np.arange(20) < found, 0.9, 0.1)
    who = np.array(['P-0'] * 20 + [f'P-{i}' for i in range(100)], dtype=object)
    files = np.array([f'{i}.jpg' for i in range(120)], dtype=object)
    write_predictions(Predictions(files, who, scores, truth, ('X', 'Y')), folder / name)
    return folder / name


def test_one_patient_is_said_where_the_interval_would_stand(tmp_path):
    path = one_patient(tmp_path, 'x.csv', 18)
    out = run('evaluate.py', path, '--bootstrap', 40, '--out', tmp_path / 'o')
    assert '0.9000 (one patient)' in out
    assert '(X: one patient)' in out
    assert '[0.9000, 0.9000]' not in out
    assert 'No interval for' in out
    written = {p.suffix: p.read_text() for p in (tmp_path / 'o').iterdir()}
    assert all('one patient' in text for text in written.values())
    rows = json.loads(written['.json'])['rows']
    row = next(r for r in rows if (r['metric'], r['of']) == ('recall', 'X'))
    assert (row['low'], row['high'], row['remark']) == (None, None, 'one patient')
    assert row['units'] == pytest.approx(1)
    row = next(r for r in rows if (r['metric'], r['of']) == ('recall', 'Y'))
    assert row['low'] < row['value'] < row['high'] and row['remark'] == ''


def test_comparisons_of_one_patient_have_no_p(tmp_path):
    first, second = one_patient(tmp_path, 'x.csv', 18), one_patient(tmp_path, 'y.csv', 12)
    out = run('compare.py', first, second, '--bootstrap', 40, '--metrics', 'recall_X', 'F1',
              'recall_Y', '--format', 'csv')  # fmt: skip
    rows = {line.split(',')[0]: line.split(',') for line in out.splitlines()}
    assert rows['recall_X'][3] and rows['recall_X'][4:8] == [''] * 4
    assert rows['recall_X'][-1] == 'one patient'
    assert rows['F1'][-1] == 'X: one patient'
    assert rows['AUROC_X'][6] == '' and rows['AUROC_X'][-1] == 'one patient'  # Obuchowski
    assert rows['recall_Y'][-1] == 'no spread'  # the same scores: no difference anywhere
    assert float(rows['recall_Y'][6]) == 1


def test_thresholds_beside_the_checkpoint_decide_in_every_tool(files, tmp_path):
    run('choose_thresholds.py', files / 'ours.json', '--rule', 'youden')
    try:
        run('plot_curves.py', files / 'ours.json', '--kinds', 'roc', 'forest', '--bootstrap', 10,
            '--format', 'svg', '--out', tmp_path)  # fmt: skip
        table = run('compare.py', files / 'ours.json', files / 'other.json', '--bootstrap', 10,
                    '--metrics', 'F1')  # fmt: skip
        expected = run('evaluate.py', files / 'ours.json', '--bootstrap', 0).splitlines()
    finally:
        (files / 'epoch_1.thresholds.json').unlink()
    for kind in ('roc', 'forest'):
        assert 'youden' in (tmp_path / f'{kind}.svg').read_text()
    assert 'Thresholds by the rule youden' in table
    mean = next(line.split() for line in expected if line.startswith('mean'))
    first = next(line.split() for line in table.splitlines() if line.startswith('F1'))
    assert first[1] == mean[3]  # precision, recall, F1


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
