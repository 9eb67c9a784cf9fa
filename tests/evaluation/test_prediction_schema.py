"""What the classes mean travels with predictions, and is checked where it comes back."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.errors import InputError
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.predictions import Predictions, read_predictions, write_predictions
from realmnet.evaluation.thresholds import choose_thresholds

TOOLS = Path(__file__).parents[2] / 'tools' / 'analysis_tools'
FIELDS = dict(
    name='PALM', classes=['N', 'H', 'P'], diagnosis=['P'], disease='pathologic myopia',
    diagnosis_rule='noisy-or', groups=[dict(name='stage', classes=['N', 'H', 'P'], ordered=True)],
)  # fmt: skip
PALM = LabelSchema(**FIELDS)


@pytest.fixture
def predictions():
    rng = np.random.default_rng(1)
    truth = np.eye(3, dtype=np.int8)[rng.integers(0, 3, 40)]
    scores = np.clip(truth * 0.3 + rng.random((40, 3)) * 0.7, 0, 1).round(4)
    names = np.array([f'{i // 2}_{("left", "right")[i % 2]}.jpg' for i in range(40)], dtype=object)
    patients = np.array([str(i // 2) for i in range(40)], dtype=object)
    return Predictions(names, patients, scores, truth, PALM.classes)


@pytest.fixture
def run(monkeypatch, capsys):
    def call(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        try:
            runpy.run_path(str(TOOLS / tool), run_name='__main__')
            status = 0
        except SystemExit as error:
            status = error.code or 0
        return status, *capsys.readouterr()

    return call


def test_the_schema_comes_back_from_json(predictions, tmp_path):
    write_predictions(predictions.with_schema(PALM), tmp_path / 'x.json')
    content = json.loads((tmp_path / 'x.json').read_text())
    assert (content['schema'], content['diagnosis']) == ('PALM', ['P'])  # as files always said
    assert read_predictions(tmp_path / 'x.json').schema == PALM
    turned = read_predictions(tmp_path / 'x.json', ['P', 'N', 'H'])
    assert turned.schema == PALM.subset(['P', 'N', 'H'])
    assert turned.schema.graded == (1, 2, 0)
    assert (
        read_predictions(tmp_path / 'x.json', LabelSchema('own', PALM.classes)).schema.name == 'own'
    )


def test_taking_classes_keeps_what_is_left_of_the_meaning(predictions):
    full = predictions.with_schema(PALM)
    assert full.take(slice(None)).schema == PALM
    part = full.take(slice(None), [2, 0]).schema
    assert (part.classes, part.groups, part.diagnosis) == (('P', 'N'), (), ('P',))
    assert full.take(slice(None), [0, 1]).schema.disease == ''
    assert predictions.take(slice(None), [0, 1]).schema.diagnosis == ()


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (dict(label_schema={**FIELDS, 'classes': ['N', 'H', 'X']}), r'x\.json: label_schema: '),
        (dict(label_schema={**FIELDS, 'groups': 7}), r'label_schema: .*expected a list of groups'),
        (dict(label_schema={'name': 'b', 'classes': ['a', 'b']}), r'has the classes \[.a., .b.\]'),
        (dict(label_schema='PALM'), 'label_schema is no object'),
        (dict(diagnosis=['H']), r"diagnosis names \['H'\], label_schema \['P'\]; make both the"),
        (dict(diagnosis=['X']), r"the diagnosis names \['X'\], and the classes are"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(predictions, tmp_path, change, sentence):
    path = tmp_path / 'x.json'
    write_predictions(predictions.with_schema(PALM), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=sentence):
        read_predictions(path)


def test_three_exclusive_classes_are_evaluated_by_their_schema(predictions):
    full = predictions.with_schema(PALM)
    found = evaluate(full, bootstrap=0, consistent=True)
    chosen, truth = full.scores.argmax(1), full.truth.argmax(1)
    kappa = cohen_kappa_score(truth, chosen, weights='quadratic')
    assert found.value('kappa').value == pytest.approx(kappa)
    assert found.value('subset_accuracy', part='consistent').value == np.mean(chosen == truth)
    row = found.value('AUROC', 'PM', part='pathologic myopia, by image')
    assert row.positives == full.truth[:, 2].sum()
    assert choose_thresholds(full).diagnosis_rule == 'noisy-or'
    assert choose_thresholds(full, diagnosis='max').diagnosis_rule == 'max'
    with pytest.raises(InputError, match=r'thresholds of pathologic myopia were chosen for .*max'):
        evaluate(full, bootstrap=0, thresholds=choose_thresholds(full, diagnosis='max'))


def test_tools_take_the_schema_of_a_bare_csv(predictions, tmp_path, run):
    write_predictions(predictions, tmp_path / 'x.csv')
    (tmp_path / 's.json').write_text(json.dumps(FIELDS))
    options = ('--schema', tmp_path / 's.json')
    status, said, _ = run(
        'evaluate.py', tmp_path / 'x.csv', '--bootstrap', 0, '--consistent', *options
    )
    assert status == 0
    assert 'pathologic myopia, by eye' in said
    assert 'kappa' in said
    status, _, told = run('evaluate.py', tmp_path / 'x.csv', '--bootstrap', 0, '--consistent')
    assert status == 1
    assert 'has none; name them in the schema (--schema FILE.json)' in told
    _, said, _ = run(
        'choose_thresholds.py', tmp_path / 'x.csv', '--out', tmp_path / 't.json', *options
    )
    assert 'pathologic myopia, by patient' in said
    status, _, told = run('evaluate.py', tmp_path / 'x.csv', '--schema', 'PSMM')
    assert status == 1
    assert f'expected {list(PSMM.classes)}' in told or 'missing' in told
    status, _, told = run('evaluate.py', tmp_path / 'x.csv', '--classes', 'N', 'H', 'P', *options)
    assert (status, 'leave --classes out' in told) == (1, True)
    status, _, told = run('evaluate.py', tmp_path / 'x.csv', '--disease-name', 'glaucoma')
    assert (status, "the disease 'glaucoma' names no class" in told) == (1, True)


def test_truth_and_scores_that_contradict_a_group_are_said(predictions):
    fields = {**FIELDS, 'groups': [{**FIELDS['groups'][0], 'activation': 'softmax'}]}
    whole = predictions.scores / predictions.scores.sum(1, keepdims=True)
    right = Predictions(
        predictions.filenames, predictions.patients, whole, predictions.truth, PALM.classes
    ).with_schema(LabelSchema(**fields))
    assert not [n for n in evaluate(right, 0).notes if 'picture(s)' in n]
    truth, scores = right.truth.copy(), right.scores.copy()
    truth[5] = (1, 1, 0)
    scores[7] = (0.9, 0.9, 0.9)
    wrong = Predictions(right.filenames, right.patients, scores, truth, PALM.classes, right.info)
    notes = '\n'.join(evaluate(wrong, 0).notes)
    assert '1 picture(s) have none or several of N, H, P' in notes and '(2_right.jpg is' in notes
    assert 'N, H, P do not add up to 1 in 1 picture(s) (3_right.jpg is the first: 2.7)' in notes
