import json
import subprocess
import sys

import numpy as np
import pytest

from realmnet.errors import InputError
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.metrics import all_metrics
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.simulation import Population, coverage
from realmnet.evaluation.synthetic import calibrated_scores, competing_noise
from realmnet.evaluation.tables import FORMATS, lay_out, write_tables
from realmnet.evaluation.thresholds import choose_thresholds

CLASSES = ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')


def example(n=200, patients=40, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.zeros((n, 7), np.int8)
    truth[np.arange(n), rng.integers(0, 2, n)] = 1
    truth[np.arange(n), 2 + rng.integers(0, 5, n)] = 1
    scores = 1 / (1 + np.exp(-(3 * truth - 1.5 + rng.normal(size=(n, 7)))))
    who = np.array([f'{"AB"[i % 2]}-{i}' for i in rng.integers(0, patients, n)], dtype=object)
    names = np.array([f'{p}_OD_2020-01-{i % 28 + 1:02}_{i}.jpg' for i, p in enumerate(who)],
                     dtype=object)  # fmt: skip
    return Predictions(names, who, scores, truth, CLASSES)


@pytest.fixture(scope='module')
def evaluation():
    model = example()
    groups = np.array([p[0] for p in model.patients], dtype=object)
    return evaluate(model, 60, mode='both', consistent=True, groups=groups)


def test_values_are_the_point_metrics(evaluation):
    model = example()
    expected = all_metrics(model.truth, model.scores, CLASSES)
    for row in evaluation.rows:
        if row.part == 'labels' and row.group == 'all':
            name = f'{row.metric}_{row.of}' if row.of else row.metric
            assert row.value == pytest.approx(expected[name], nan_ok=True)
    assert evaluation.value('AUROC', 'A4', 'sound').positives == model.truth[:, 6].sum()


def test_parts_groups_and_conventions(evaluation):
    parts = {row.part for row in evaluation.rows}
    assert parts == {'labels', 'consistent', *(f'pathologic myopia, by {u}' for u in
                                               ('image', 'eye', 'patient'))}  # fmt: skip
    assert {row.group for row in evaluation.rows} == {'all', 'A', 'B'}
    published = evaluation.value('F1', 'A4', 'published')
    sound = evaluation.value('F1', 'A4', 'sound')
    assert published.value == sound.value
    assert published.plus_minus == pytest.approx(
        (published.high - published.low) / 2 / 1.96 / np.sqrt(60)
    )
    assert evaluation.value('F1', '', 'sound', part='consistent').value > 0
    with pytest.raises(KeyError):
        evaluation.value('nothing')


def test_diagnosis_of_patients(evaluation):
    row = evaluation.value('recall', 'PM', part='pathologic myopia, by patient')
    model = example()
    positive = (model.truth[:, [1, 4, 5, 6]] == 1).any(1)
    assert row.positives == len(set(model.patients[positive]))


@pytest.mark.parametrize('form', FORMATS)
def test_every_format_holds_the_numbers(evaluation, form):
    text = evaluation.table(form)
    value = evaluation.value('AUROC').value
    assert (f'{value:.4f}' if form in ('text', 'markdown', 'latex') else str(value)) in text
    assert 'NaN' not in text
    if form == 'json':
        assert len(json.loads(text)['rows']) == len(evaluation.rows)
    if form in ('text', 'markdown', 'latex'):
        assert 'Threshold 0.5' in text
        assert 'by patient' in text


def test_without_bootstrap_there_are_values_only():
    rows = evaluate(example(), 0).rows
    assert all(np.isnan(row.low) for row in rows)
    assert {row.convention for row in rows} == {''}


def test_thresholds_are_used_and_named():
    model = example()
    chosen = choose_thresholds(model, 'sensitivity', 0.99, 'val.csv')
    result = evaluate(model, 0, thresholds=chosen)
    assert result.value('recall', 'A4').value >= 0.99
    recall = result.value('recall', 'PM', part='pathologic myopia, by eye').value
    assert recall >= 0.99
    assert 'sensitivity on val.csv' in result.notes[0]


def test_missing_class_is_said_and_does_not_crash():
    model = example(60)
    truth = model.truth.copy()
    truth[truth[:, 6] == 1, 3] = 1
    truth[:, 6] = 0
    model = Predictions(model.filenames, model.patients, model.scores, truth, CLASSES)
    result = evaluate(model, 30)
    assert np.isnan(result.value('AUROC', 'A4').value)
    assert any('No positives, so undefined: A4 (all)' in note for note in result.notes)
    assert '-' in result.table()


def test_image_bootstrap_warns_of_patients_with_several_images():
    assert any('too short' in note for note in evaluate(example(), 20, by='image').notes)


def test_every_interval_method(recwarn):
    for method in ('percentile', 'bca', 'normal', 'logit', 'logit-t'):
        row = evaluate(example(80), 60, method=method, diagnosis='').value('F1')
        assert row.low < row.value < row.high
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_unknown_settings_are_refused():
    for settings in (dict(mode='wild'), dict(by='clinic'), dict(method='magic')):
        with pytest.raises(InputError, match='unknown'):
            evaluate(example(40), 5, **settings)


def test_a_single_image_has_values_without_intervals():
    result = evaluate(example(1), 50)
    assert np.isnan(result.value('hamming').low)


def test_import_leaves_torch_alone():
    code = (
        'import sys, pkgutil, importlib, realmnet.evaluation as e, realmnet.reporting as r\n'
        'for p in (e, r):\n'
        '    for m in pkgutil.walk_packages(p.__path__, p.__name__ + "."):\n'
        '        importlib.import_module(m.name)\n'
        'print("torch" in sys.modules, "matplotlib.pyplot" in sys.modules)'
    )
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ['False', 'False']


def test_latex_is_escaped():
    text = lay_out(['a_b', 'p'], [['50 %', 1e-9]], 'latex')
    assert r'a\_b' in text
    assert r'50 \%' in text
    assert '$<$0.0001' in text


def test_calibrated_scores_have_the_values_asked_for():
    rng = np.random.default_rng(0)
    label = rng.random(3000) < 0.3
    truth = np.stack([~label, label, rng.random(3000) < 0.05], axis=1).astype(int)
    targets = [dict(F1=0.93, AP=0.98, AUROC=0.96), dict(F1=0.84, AP=0.92, AUROC=0.96),
               dict(F1=0.62, AP=0.66, AUROC=0.95)]  # fmt: skip
    scores = calibrated_scores(truth, targets, groups=[(0, 1)])
    values = all_metrics(truth, scores, ['a', 'b', 'c'])
    for target, name in zip(targets, 'abc', strict=True):
        assert values[f'AP_{name}'] == pytest.approx(target['AP'], abs=0.002)
        assert values[f'AUROC_{name}'] == pytest.approx(target['AUROC'], abs=0.002)
        assert values[f'F1_{name}'] == pytest.approx(target['F1'], abs=0.005)
    with pytest.raises(InputError, match='no scores were found'):
        calibrated_scores(truth[:400, :1], [dict(F1=0.99, AP=0.9, AUROC=0.7)])


def test_competing_noise_is_standard_and_sums_to_zero():
    noise = competing_noise((20_000, 7), [(0, 1), (2, 3, 4, 5, 6)], np.random.default_rng(0))
    assert np.abs(noise[:, :2].sum(1)).max() < 1e-12
    assert np.abs(noise[:, 2:].sum(1)).max() < 1e-12
    np.testing.assert_allclose(noise.std(0), 1, atol=0.02)


def test_intervals_cover_in_a_small_simulation():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(300), rng.integers(1, 6, 300))
    truth = (rng.random((300, 2)) < [0.3, 0.5]).astype(int)[patients]
    targets = [dict(AP=0.8, AUROC=0.9), dict(AP=0.9, AUROC=0.9)]
    population = Population(truth, patients, ('a', 'b'), targets, (), shared=0.5)
    names, result = coverage(population, 'patient', 120, sets=60, replicates=100, bca_sets=2)
    held = dict(zip(names, result['logit-t'][0], strict=True))
    assert held['AUROC'] > 0.85  # 60 sets: .95 +- .056 (two standard errors)
    assert result['published +-'][0].mean() < 0.5
    assert result['logit-t'][:3].sum(0) == pytest.approx(1)


def test_undefined_values_are_named():
    model = example()
    model.truth[:, 6] = 1
    model.scores[:, 0] = 0.1
    notes = ' '.join(evaluate(model, 0).notes)
    assert 'precision of S0' in notes
    assert 'AUROC of A4' in notes


def test_one_patient_gets_no_claim_of_intervals():
    model = example(patients=1)
    model.patients[:] = 'A-0'
    notes = ' '.join(evaluate(model, 20).notes)
    assert '95 % intervals' not in notes
    assert 'one patient' in notes


def test_missing_patients_are_said():
    model = example()
    assert 'own patient' not in ' '.join(evaluate(model, 5).notes)
    model.patients[:] = model.filenames
    assert 'own patient' in ' '.join(evaluate(model, 5).notes)


def test_tables_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot be written'):
        write_tables(tmp_path / 'file', 'x', lambda form: form)
