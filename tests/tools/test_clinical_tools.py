"""Recalibration, predictive values and decision curves from the command line, end to end."""

import contextlib
import csv
import io
import json
import runpy
import sys
from unittest import mock

import numpy as np
import pytest
from mmengine.config import Config
from test_analysis_tools import TOOLS

from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions, write_predictions

CLASSES = ('N', 'H', 'M')


def run(tool, *arguments, status=0):
    """Run a tool in this process, which has the libraries; return what it prints, or its error."""
    printed, command = io.StringIO(), [tool, *map(str, arguments)]
    with mock.patch.object(sys, 'argv', command), contextlib.redirect_stdout(printed):
        main = runpy.run_path(str(TOOLS / tool))['main']
        if status == 0:
            main()
            return printed.getvalue()
        with pytest.raises(InputError) as error:
            main()
    return str(error.value)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clinical')
    for seed, name in enumerate(('val', 'test')):
        rng = np.random.default_rng(seed)
        chance = rng.normal(-0.5, 1.5, (300, 3))
        truth = (rng.random((300, 3)) < 1 / (1 + np.exp(-chance))).astype(np.int8)
        names = np.array([f'{name}_{i}.jpg' for i in range(300)], dtype=object)
        who = np.array([f'{name}{i // 2}' for i in range(300)], dtype=object)
        info = {'checkpoint': str(folder / 'epoch_1.pth'), 'schema': 's', 'diagnosis': ['M']}
        data = Predictions(
            names, who, 1 / (1 + np.exp(-2 * chance - 0.5)), truth, CLASSES, info | {'split': name}
        )
        write_predictions(data, folder / f'{name}.json')
        write_predictions(data, folder / f'{name}.csv')
    return folder


def test_recalibrate_then_choose_then_evaluate(files):
    val, test = files / 'val.json', files / 'test.json'
    run('choose_thresholds.py', val)  # on scores as they are
    out = run('recalibrate.py', val, '--test', test, '--method', 'logistic')
    assert (files / 'epoch_1.recalibration.json').is_file()
    block = out[out.index('reported only') :]
    rows = [line.split() for line in block.splitlines() if line.startswith('M ')]
    assert abs(float(rows[1][3]) - 1) < abs(float(rows[0][3]) - 1)  # slope before and after
    assert '[' in rows[0][4]
    # thresholds of before are not used in silence, neither on the old scores ...
    error = run('evaluate.py', test, '--bootstrap', 0, status=1)
    assert 'chosen on scores without recalibration' in error and 'choose them anew' in error
    run('choose_thresholds.py', val)
    out = run('evaluate.py', test, '--bootstrap', 40, '--prevalence', 0.02, 'H=0.1')
    assert 'Scores recalibrated by logistic curves fitted on' in out
    assert 'stated prevalence, sound' in out and 'H at 0.1' in out
    # ... nor the new ones on scores as they are
    error = run(
        'evaluate.py',
        files / 'test.csv',
        '--thresholds',
        files / 'epoch_1.thresholds.json',
        '--bootstrap',
        0,
        status=1,
    )
    assert 'with the recalibration' in error and 'scores without recalibration' in error
    out = run(
        'evaluate.py',
        files / 'test.csv',
        '--thresholds',
        files / 'epoch_1.thresholds.json',
        '--recalibration',
        files / 'epoch_1.recalibration.json',
        '--bootstrap',
        0,
    )
    assert 'Scores recalibrated by logistic' in out


def test_decision_curve_writes_figure_and_table(files, tmp_path):
    out = run(
        'decision_curve.py',
        files / 'test.csv',
        files / 'test.json',
        '--of',
        'M',
        'H',
        '--models',
        'plain',
        'recalibrated',
        '--prevalence',
        0.1,
        '--bootstrap',
        20,
        '--range',
        0.05,
        0.5,
        '--out',
        tmp_path,
    )
    assert str(tmp_path / 'decision_curve.png') in out
    with (tmp_path / 'decision_curve.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 46 and {row['prevalence'] for row in rows} == {'0.1'}
    assert float(rows[0]['low']) <= float(rows[0]['net_benefit']) <= float(rows[0]['high'])
    out = run(
        'decision_curve.py',
        files / 'test.csv',
        '--disease',
        'M',
        '--bootstrap',
        0,
        '--out',
        tmp_path / 'b',
        '--format',
        'svg',
    )
    assert 'PM' in (tmp_path / 'b' / 'decision_curve.csv').read_text()


def test_what_is_refused(files, tmp_path):
    val, test = files / 'val.csv', files / 'test.csv'
    out = ('--out', tmp_path / 'r.json')
    empty = tmp_path / 'empty.csv'
    empty.write_text(val.read_text().splitlines()[0] + '\n')
    broken = tmp_path / 'nan.csv'
    broken.write_text(val.read_text().replace(val.read_text().split(',')[11], 'nan', 1))
    other = tmp_path / 'other.csv'
    other.write_text(test.read_text().replace('M', 'X'))
    error = {
        'test split': run('recalibrate.py', files / 'test.json', status=1),
        'thresholds': run('choose_thresholds.py', files / 'test.json', status=1),
        'overlap': run('recalibrate.py', val, '--test', val, *out, status=1),
        'no checkpoint': run('recalibrate.py', val, status=1),
        'empty': run('recalibrate.py', empty, *out, status=1),
        'nan': run('recalibrate.py', broken, *out, status=1),
        'classes': run('recalibrate.py', val, '--test', other, *out, status=1),
        'scarce': run(
            'recalibrate.py', val, '--method', 'isotonic', '--leave', 'X', *out, status=1
        ),
        'percent': run('evaluate.py', test, '--prevalence', 5, status=1),
        'zero': run('evaluate.py', test, '--prevalence', 'M=0', status=1),
        'one': run('evaluate.py', test, '--prevalence', 'M=1', status=1),
        'disease': run('evaluate.py', test, '--prevalence', 0.1, status=1),
        'range': run('decision_curve.py', test, '--range', 0.5, 0.2, '--of', 'M', *out, status=1),
        'no disease': run('decision_curve.py', test, *out, status=1),
    }
    words = {
        'test split': 'predictions of the test or an external set',
        'thresholds': 'thresholds are chosen on the development split',
        'overlap': 'is in both',
        'no checkpoint': 'say --checkpoint',
        'empty': 'no prediction',
        'nan': 'nan',
        'classes': 'M_score',
        'scarce': "['X']",
        'percent': 'for 5 % say 0.05',
        'zero': 'above 0 and below 1',
        'one': 'above 0 and below 1',
        'disease': 'no class is said to mean one',
        'range': 'two rising numbers',
        'no disease': 'say --disease or --of',
    }
    for name, text in error.items():
        assert words[name] in text, (name, text)
        assert '\n' not in text, (name, text)
    assert not (tmp_path / 'r.json').exists()


def test_recalibrated_predictions_are_not_recalibrated_again(files, tmp_path):
    content = json.loads((files / 'val.json').read_text()) | {'recalibration': 'abc'}
    (tmp_path / 'x.json').write_text(json.dumps(content))
    error = run('recalibrate.py', tmp_path / 'x.json', status=1)
    assert 'recalibrated already' in error


def test_predictions_tell_their_split():
    split_of = runpy.run_path(str(TOOLS.parent / 'test.py'))['split_of']

    def config(tested, validated='val.csv'):
        files = {'train': 'MYOPIA.csv', 'val': validated, 'test': tested}
        loaders = {
            f'{name}_dataloader': {'dataset': {'ann_file': file, 'data_root': 'data/PSMM'}}
            for name, file in files.items()
            if file
        }
        return Config(loaders | {'data_root': 'data/PSMM'})

    assert split_of(config('test.csv')) == 'test'
    assert split_of(config('hospital_b.csv')) == 'test'  # external sets are reported, too
    assert split_of(config('val.csv')) == 'val'
    assert split_of(config('MYOPIA.csv')) == 'train'
    assert split_of(config('test.csv', None)) == 'test'
