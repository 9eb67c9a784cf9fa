"""What a user says of file names and of the disease reaches every tool that pools pictures."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from model_files import patches, small_description, write_model
from PIL import Image

from realmnet.curation.label_schema import PSMM
from realmnet.evaluation.predictions import Predictions, read_predictions, write_predictions

ROOT = Path(__file__).parents[2]
EVALUATE, CHOOSE = 'analysis_tools/evaluate.py', 'analysis_tools/choose_thresholds.py'


@pytest.fixture(autouse=True)
def _leave_warnings_alone():
    """The tools set filters of their own process."""


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a tool in this process: (exit status, what it said, what it complained about)."""

    def tool(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
        except SystemExit as stop:
            status = stop.code or 0
        said = capsys.readouterr()
        return status, said.out, said.err

    return tool


def write(path, classes, names=None, **info):
    """Twenty pictures of ten patients, an eye each."""
    rng = np.random.default_rng(0)
    scores = rng.random((20, len(classes)))
    names = names or [
        f'clinic_2020-01-05_{i // 2}_{"OD" if i % 2 else "OS"}.jpg' for i in range(20)
    ]
    names = np.array(names, dtype=object)
    truth = (scores > 0.6).astype(np.int8)
    write_predictions(Predictions(names, names, scores, truth, classes, info), path)
    return path


def test_a_class_called_m_means_nothing_by_itself(run, tmp_path):
    path = write(tmp_path / 'glaucoma.csv', ('N', 'M', 'S'))
    status, said, _ = run(EVALUATE, path, '--bootstrap', 0)
    assert status == 0
    assert 'myopia' not in said
    assert 'No diagnosis: the predictions do not say which classes mean a disease' in said
    _, said, told = run(EVALUATE, path, '--bootstrap', 0, '--disease', 'M')
    assert 'disease, by eye' in said
    assert 'myopia' not in said
    assert 'names recognised: none' not in said
    assert 'names recognised' in told
    status, _, told = run(EVALUATE, path, '--disease', 'X')
    assert status == 1
    assert "the diagnosis names ['X'], and the classes are ['N', 'M', 'S']" in told
    status, said, _ = run(CHOOSE, path, '--out', tmp_path / 't.json')
    assert 'myopia' not in said
    named = ('--disease', 'M', '--disease-name', 'macular hole')
    status, said, _ = run(CHOOSE, path, '--out', tmp_path / 't.json', *named)
    assert 'macular hole, by eye' in said
    said = run(EVALUATE, path, '--bootstrap', 0, *named)[1]
    assert 'macular hole, by eye' in said
    assert '\nMH ' in said


def test_the_diagnosis_travels_in_json(run, tmp_path):
    path = write(tmp_path / 'x.json', ('N', 'M'), schema='ODIR-5K', diagnosis=['M'])
    assert read_predictions(path).schema.diagnosis == ('M',)
    assert 'pathologic myopia, by eye' in run(EVALUATE, path, '--bootstrap', 0)[1]
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {'diagnosis': ['X']}))
    status, _, told = run(EVALUATE, path, '--bootstrap', 0)
    assert status == 1
    assert f"{path}: the diagnosis names ['X']" in told
    path.write_text(json.dumps(content | {'diagnosis': 'M'}))
    assert 'diagnosis is no list of classes' in run(EVALUATE, path)[2]


@pytest.mark.parametrize(
    ('classes', 'info', 'note'),
    [
        (PSMM.classes, {}, "The classes are PSMM's seven, so its diagnosis is taken"),
        (PSMM.classes[::-1], {}, "The classes are PSMM's seven"),
        (PSMM.classes, {'schema': 'glaucoma'}, 'No diagnosis'),
        (PSMM.classes, {'schema': 'PSMM'}, 'pathologic myopia, by eye'),
        (PSMM.classes, {'schema': 'x', 'diagnosis': []}, 'Threshold'),
        (PSMM.classes[:6], {}, 'No diagnosis'),
        ((*PSMM.classes, 'G'), {}, 'No diagnosis'),
        (('S1', 'A2', 'A3', 'A4'), {}, 'No diagnosis'),
    ],
)
def test_only_all_of_psmm_are_psmm(run, tmp_path, classes, info, note):
    path = write(tmp_path / 'x.json', classes, **info)
    said = run(EVALUATE, path, '--bootstrap', 0)[1]
    taken = note.startswith(('The classes are', 'pathologic'))
    assert ('pathologic myopia, by image' in said) is taken
    assert note in said
    assert ('The classes are' in said) is (taken and not info)


def test_eyes_and_patients_by_a_pattern_or_a_table(run, tmp_path):
    path = write(tmp_path / 'x.csv', PSMM.classes)
    blocks = {}
    (tmp_path / 'names.csv').write_text('filename,patient,eye,date\n' + ''.join(
        f'clinic_2020-01-05_{i // 2}_{"OD" if i % 2 else "OS"}.jpg,{i // 4},OD,\n'
        for i in range(20)))  # fmt: skip
    for key, options in {
        'none': (),
        'pattern': ('--name-pattern', '{any}_{date}_{patient}_{eye}'),
        'table': ('--names', tmp_path / 'names.csv'),
    }.items():
        status, _, told = run(EVALUATE, path, '--bootstrap', 0, '--out', tmp_path / key, *options)
        assert status == 0
        rows = json.loads((tmp_path / key / 'x.evaluation.json').read_text())
        blocks[key] = (rows['settings']['patients'], told)
    assert [patients for patients, _ in blocks.values()] == [20, 10, 5]
    assert 'none, 20 unknown' not in blocks['none'][1]
    assert '20 unknown (each of their pictures counts as an eye of its own)' in blocks['none'][1]
    assert 'clinic_2020-01-05_0_OS.jpg is patient 0, eye OS, 2020-01-05' in blocks['pattern'][1]
    assert "20 by 'table'" in blocks['table'][1]
    status, _, told = run(EVALUATE, path, '--name-pattern', '{patient}_{who}')
    assert status == 1
    assert 'the fields are {patient}, {eye}, {date}, {index}, {any}' in told


def test_inference_says_what_names_tell_before_it_pools(run, tmp_path):
    model = write_model(tmp_path / 'model.pth')
    for name in ('UWF_20200105_P001_OD.png', 'UWF_20200105_P002_OD.png', 'x_OD_OS.png'):
        (tmp_path / 'in').mkdir(exist_ok=True)
        Image.fromarray(patches(0)).save(tmp_path / 'in' / name)
    common = ('infer.py', model, tmp_path / 'in', '--device', 'cpu', '--no-report', '--out')
    status, _, told = run(*common, tmp_path / 'a')
    assert status == 0
    assert '3 unknown (their pictures are left out of eyes and patients)' in told
    assert not (tmp_path / 'a' / 'patients.csv').exists()
    pattern = ('--name-pattern', '{any}_{date}_{patient}_{eye}')
    status, _, told = run(*common, tmp_path / 'b', *pattern)
    assert "2 by '{any}_{date}_{patient}_{eye}', 1 unknown" in told
    assert pd.read_csv(tmp_path / 'b' / 'patients.csv')['patient'].tolist() == ['P001', 'P002']
    assert pd.read_csv(tmp_path / 'b' / 'eyes.csv')['eye'].tolist() == [
        'P001 OD 2020-01-05', 'P002 OD 2020-01-05'
    ]  # fmt: skip
    found = json.loads((tmp_path / 'b' / 'findings.json').read_text())['findings']
    assert sorted(str(f['patient']) for f in found) == ['None', 'P001', 'P002']
    status, _, told = run(*common, tmp_path / 'b')
    assert status == 1
    assert 'was made with another names' in told


def test_a_model_without_a_diagnosis_says_so(run, tmp_path):
    (tmp_path / 'in').mkdir()
    Image.fromarray(patches(0)).save(tmp_path / 'in' / 'a.png')
    for number, (diagnosis, told) in enumerate([
        ((), 'no diagnosis: the model does not say which classes mean a disease'),
        (('M',), 'pathologic myopia: '),
    ]):  # fmt: skip
        description = small_description(('N', 'M'), schema='ODIR-5K', diagnosis=diagnosis)
        model = write_model(tmp_path / f'{number}.pth', description)
        status, said, _ = run('infer.py', model, tmp_path / 'in', '--device', 'cpu', '--out',
                              tmp_path / f'out{number}')  # fmt: skip
        assert status == 0
        assert told in said
        columns = pd.read_csv(tmp_path / f'out{number}' / 'findings.csv').columns
        assert ('pathologic_myopia' in columns) is bool(diagnosis)
