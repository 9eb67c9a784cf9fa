import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, special
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss, roc_auc_score

from realmnet.errors import InputError
from realmnet.evaluation.calibration import LEAST, calibration_of, fit_recalibration
from realmnet.evaluation.development import check_apart, check_development
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.predictions import Predictions, read_predictions, write_predictions
from realmnet.evaluation.recalibration import (
    METHODS,
    find_recalibration,
    parse_recalibration,
    read_recalibration,
    recalibrated,
    recalibration_path,
    write_recalibration,
)
from realmnet.evaluation.thresholds import (
    choose_thresholds,
    find_thresholds,
    thresholds_path,
    write_thresholds,
)

CLASSES = ('M', 'N', 'G')


def model(n=800, sharpness=2.0, shift=0.5, seed=0, per_patient=2, prefix='p'):
    """Scores that are too extreme and too high."""
    rng = np.random.default_rng(seed)
    chance = rng.normal(-0.5, 1.5, (n, 3))
    truth = (rng.random((n, 3)) < special.expit(chance)).astype(np.int8)
    scores = special.expit(sharpness * chance + shift)
    who = np.array([f'{prefix}{i // per_patient}' for i in range(n)], dtype=object)
    names = np.array([f'{prefix}{i}.jpg' for i in range(n)], dtype=object)
    info = {'schema': 's', 'diagnosis': ['M']}
    return Predictions(names, who, scores, truth, CLASSES, info)


def exclusive(n=600, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3)) * 1.5
    chance = special.softmax(logits, axis=1)
    truth = np.array([rng.multinomial(1, p) for p in chance]).astype(np.int8)
    scores = special.softmax(3 * logits, axis=1)
    names = np.array([f'{i}.jpg' for i in range(n)], dtype=object)
    return Predictions(names, names, scores, truth, CLASSES, {'schema': 's'})


def test_temperature_is_a_logistic_regression_without_intercept():
    data = model()
    found = fit_recalibration(data)
    for i, name in enumerate(CLASSES):
        x = special.logit(data.scores[:, i : i + 1])
        slope = sm.Logit(data.truth[:, i], x).fit(disp=0).params[0]
        assert found.curves[name] == [pytest.approx(slope, rel=1e-5), 0]
    pooled = sm.Logit(data.truth.ravel(), special.logit(data.scores.reshape(-1, 1))).fit(disp=0)
    shared = fit_recalibration(data, shared=True)
    assert [c for c, _ in shared.curves.values()] == pytest.approx([pooled.params[0]] * 3, rel=1e-5)


def test_logistic_is_statsmodels_and_leaves_slope_1_and_intercept_0():
    data = model()
    found = fit_recalibration(data, 'logistic')
    after = recalibrated(data, found)
    for i, name in enumerate(CLASSES):
        x = sm.add_constant(special.logit(data.scores[:, i]))
        intercept, slope = sm.Logit(data.truth[:, i], x).fit(disp=0).params
        assert found.curves[name] == pytest.approx([slope, intercept], rel=1e-6)
        left = calibration_of(data.truth[:, i], after.scores[:, i], data.patients)
        assert left.slope == pytest.approx(1) and left.intercept == pytest.approx(0, abs=1e-8)
        assert left.in_the_large == pytest.approx(0, abs=1e-8)
        assert after.scores[:, i].mean() == pytest.approx(data.truth[:, i].mean())


def test_isotonic_is_scikit_learn_s_but_for_0_and_1():
    data, other = model(), model(seed=1)
    found = fit_recalibration(data, 'isotonic')
    after = found.apply(other.scores, CLASSES)
    for i in range(3):
        fit = IsotonicRegression(out_of_bounds='clip').fit(data.scores[:, i], data.truth[:, i])
        wanted = fit.predict(other.scores[:, i])
        assert after[:, i] == pytest.approx(wanted, abs=0.5 / 800)  # half a picture
        inner = (wanted > 0.05) & (wanted < 0.95)
        assert after[inner, i] == pytest.approx(wanted[inner], abs=1e-12)
        assert after[:, i].min() >= 0.5 / 800 and after[:, i].max() <= 1 - 0.5 / 800
        assert (np.diff(after[np.argsort(other.scores[:, i]), i]) >= 0).all()


def test_temperature_of_a_group_is_joint():
    data = exclusive()
    found = fit_recalibration(data, by='image', groups=[CLASSES])
    true = data.truth.argmax(1)
    logs = np.log(data.scores)
    best = optimize.minimize_scalar(
        lambda s: log_loss(true, special.softmax(s * logs, axis=1)),
        bounds=(0.05, 5),
        method='bounded',
    )
    assert [c for c, _ in found.curves.values()] == pytest.approx([best.x] * 3, rel=1e-4)
    assert best.x == pytest.approx(1 / 3, rel=0.15)  # drawn three times too sharp
    after = found.apply(data.scores, CLASSES)
    assert after.sum(1) == pytest.approx(np.ones(len(after)))
    assert (after.argmax(1) == data.scores.argmax(1)).all()
    assert after == pytest.approx(special.softmax(found.curves['M'][0] * logs, axis=1))
    # by hand: T = 2 of .64, .32, .04 is in the proportion of their roots
    half = replace(found, curves={name: [0.5, 0.0] for name in CLASSES})
    roots = np.sqrt([0.64, 0.32, 0.04])
    assert half.apply(np.array([[0.64, 0.32, 0.04]]), CLASSES)[0] == pytest.approx(
        roots / roots.sum()
    )
    steps = fit_recalibration(data, 'isotonic', by='image', groups=[CLASSES])
    assert steps.apply(data.scores, CLASSES).sum(1) == pytest.approx(np.ones(len(after)))


@pytest.mark.parametrize('method', METHODS)
def test_other_patients_are_better_calibrated_and_ranked_as_before(method):
    data, other = model(), model(seed=5, prefix='q')
    after = recalibrated(other, fit_recalibration(data, method))
    for i in range(3):
        truth = other.truth[:, i]
        pairs = [calibration_of(truth, p.scores[:, i], p.patients) for p in (other, after)]
        assert pairs[1].error < pairs[0].error and pairs[1].brier < pairs[0].brier
        assert abs(pairs[1].slope - 1) < abs(pairs[0].slope - 1)
        ranks = [roc_auc_score(truth, p.scores[:, i]) for p in (other, after)]
        assert ranks[1] == pytest.approx(ranks[0], abs=0 if method != 'isotonic' else 0.01)


def test_classes_are_found_by_name_and_one_left_stays():
    data = model()
    found = fit_recalibration(data, leave=['G'])
    swapped = found.apply(data.scores[:, ::-1], CLASSES[::-1])
    assert (swapped[:, ::-1] == found.apply(data.scores, CLASSES)).all()
    assert (swapped[:, 0] == data.scores[:, 2]).all()
    assert found.note.endswith('left as they were: G.')
    with pytest.raises(InputError, match=r"is for \['M', 'N', 'G'\], the scores are of \['M'\]"):
        found.apply(data.scores[:, :1], ['M'])


def test_measures_of_calibration():
    data = model(300, per_patient=1)
    truth, scores = data.truth[:, 0], data.scores[:, 0]
    x = special.logit(scores)
    line = sm.Logit(truth, sm.add_constant(x)).fit(disp=0)
    found = calibration_of(truth, scores, data.patients)
    assert (found.intercept, found.slope) == pytest.approx(tuple(line.params), rel=1e-6)
    assert (found.slope_low, found.slope_high) == pytest.approx(tuple(line.conf_int()[1]), rel=0.05)
    # in the large: the shift of logits at which the mean score is the share of positives
    shift = optimize.brentq(lambda b: special.expit(x + b).mean() - truth.mean(), -9, 9)
    assert found.in_the_large == pytest.approx(shift, abs=1e-6)
    # the same pictures five times over say no more, if patients are known
    five = [np.repeat(part, 5) for part in (truth, scores, data.patients)]
    many = calibration_of(*five)
    assert many.slope_high - many.slope_low == pytest.approx(
        found.slope_high - found.slope_low, rel=0.1
    )
    alone = calibration_of(five[0], five[1])
    assert alone.slope_high - alone.slope_low < 0.6 * (many.slope_high - many.slope_low)


@pytest.mark.parametrize(
    ('truth', 'scores'),
    [([0, 0, 0], [0.1, 0.2, 0.3]), ([0, 1, 0, 1], [0.3] * 4), ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])],
)
def test_no_line_where_there_is_no_best(truth, scores):
    found = calibration_of(np.array(truth), np.array(scores))
    assert np.isnan(found.slope) and np.isfinite(found.brier)


@pytest.mark.parametrize('method', METHODS)
def test_too_few_patients_are_refused_with_number_and_remedy(method):
    data = model()
    rare = np.flatnonzero(data.truth[:, 2])[LEAST[method] - 2 :]
    data.truth[rare, 2] = 0
    with pytest.raises(InputError) as error:
        fit_recalibration(data, method, by='image')
    text = str(error.value)
    assert f'needs {LEAST[method]} images with and {LEAST[method]} without' in text
    assert f'G {LEAST[method] - 2:.1f} with' in text and '--leave G' in text
    assert set(fit_recalibration(data, method, ['G'], by='image').curves) == {'M', 'N'}


def test_pictures_of_one_patient_are_one_event():
    data = model()
    data.truth[:, 1] = 0
    data.truth[:30, 1] = 1
    who = data.patients.copy()
    who[:30] = 'p0'
    data = replace(data, patients=who)
    fit_recalibration(data, by='image')
    with pytest.raises(InputError, match=r'N 1\.0 with'):
        fit_recalibration(data)


@pytest.mark.parametrize(
    ('change', 'settings', 'words'),
    [
        (None, {'method': 'platt'}, "method 'platt' is unknown"),
        (None, {'leave': ['X']}, r"\['X'\], the classes are"),
        (None, {'leave': CLASSES}, 'nothing to recalibrate'),
        (None, {'shared': True, 'method': 'isotonic'}, 'one curve for all'),
        (None, {'groups': [('M', 'N')], 'leave': ['M']}, 'leave all of them, or none'),
        (None, {'groups': [('M', 'N')], 'method': 'logistic'}, 'by temperature or isotonic'),
        ('separate', {}, 'M: no temperature fits best .* without error'),
        ('separate', {'method': 'logistic'}, r'M: no rising line fits best .*--leave M'),
        ('reverse', {}, 'M: no temperature fits best .* endless'),
        ('reverse', {'method': 'logistic'}, r'slope -'),
        ('constant', {'method': 'logistic'}, r'M: no rising line'),
        ('one class', {}, r'M 0\.0 with'),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, settings, words):
    data = model()
    if change == 'separate':
        data.scores[:, 0] = np.where(data.truth[:, 0] == 1, 0.7, 0.3)
    elif change == 'reverse':
        data.scores[:, 0] = 1 - data.scores[:, 0]
    elif change == 'constant':
        data.scores[:, 0] = 0.3
    elif change == 'one class':
        data.truth[:, 0] = 0
    with pytest.raises(InputError, match=words):
        fit_recalibration(data, **settings)


def test_file_round_trip_and_where_it_is_found(tmp_path):
    data = replace(model(), info=model().info | {'checkpoint': str(tmp_path / 'epoch_1.pth')})
    assert find_recalibration(data) is data
    for method in METHODS:
        found = fit_recalibration(data, method, source='val.csv')
        write_recalibration(found, recalibration_path(tmp_path / 'epoch_1.pth'))
        again = read_recalibration(tmp_path / 'epoch_1.recalibration.json', CLASSES)
        assert again == found and again.digest == found.digest
        after = find_recalibration(data)
        assert (after.scores == found.apply(data.scores, CLASSES)).all()
    note = evaluate(after, 0).notes[0]
    assert note == 'Scores recalibrated by isotonic curves fitted on val.csv (800 images).'
    with pytest.raises(InputError, match='recalibrated already'):
        fit_recalibration(after)
    write_predictions(after, tmp_path / 'after.json')
    after = read_predictions(tmp_path / 'after.json')
    assert find_recalibration(after) is after  # not a second time
    with pytest.raises(InputError, match='recalibrated already'):
        find_recalibration(after, tmp_path / 'epoch_1.recalibration.json')
    with pytest.raises(InputError, match='no such recalibration file'):
        find_recalibration(data, tmp_path / 'none.json')
    with pytest.raises(InputError, match=r"is for \['M', 'N', 'G'\], needed is one of \['A'\]"):
        read_recalibration(tmp_path / 'epoch_1.recalibration.json', ['A'])


def test_thresholds_of_other_scores_are_refused(tmp_path):
    checkpoint = tmp_path / 'epoch_1.pth'
    data = replace(model(), info=model().info | {'checkpoint': str(checkpoint)})
    fitted = fit_recalibration(data)
    after = recalibrated(data, fitted)
    write_thresholds(choose_thresholds(data), thresholds_path(checkpoint))
    assert find_thresholds(data).recalibration == ''
    with pytest.raises(
        InputError, match=r'chosen on scores without recalibration.*choose them anew'
    ):
        find_thresholds(after)
    chosen = choose_thresholds(after)
    write_thresholds(chosen, thresholds_path(checkpoint))
    assert find_thresholds(after).recalibration == fitted.digest
    with pytest.raises(InputError, match=f'with the recalibration {fitted.digest}'):
        find_thresholds(data)
    # a strictly rising curve moves a threshold and changes no decision
    before = choose_thresholds(data)
    for i, name in enumerate(CLASSES):
        decided = data.scores[:, i] >= before.values[name]
        assert (decided == (after.scores[:, i] >= chosen.values[name])).all()


def test_thresholds_files_of_before_are_read(tmp_path):
    content = asdict(choose_thresholds(model()))
    del content['recalibration']
    path = tmp_path / 'old.thresholds.json'
    path.write_text(json.dumps(content))
    assert find_thresholds(model(), path).recalibration == ''


GOOD = asdict(fit_recalibration(model(), 'temperature'))
STEPS = asdict(fit_recalibration(model(), 'isotonic'))


@pytest.mark.parametrize(
    ('start', 'change', 'words'),
    [
        (GOOD, {'method': 'os.system'}, 'method is'),
        (GOOD, {'method': []}, 'method is'),
        (GOOD, {'extra': 1}, 'must hold'),
        (GOOD, {'schema': 'MNG'}, 'list of names'),
        (GOOD, {'schema': []}, 'list of names'),
        (GOOD, {'schema': ['M', 'M']}, 'list of names'),
        (GOOD, {'schema': [[1]]}, 'list of names'),
        (GOOD, {'source': 3}, 'source must be text'),
        (GOOD, {'images': -1}, 'number of images'),
        (GOOD, {'images': True}, 'number of images'),
        (GOOD, {'positives': {'M': 'x'}}, 'positives must be'),
        (GOOD, {'positives': {'X': 1}}, 'positives must be of'),
        (GOOD, {'curves': []}, 'curves must be of'),
        (GOOD, {'curves': {'X': [1.0, 0.0]}}, 'curves must be of'),
        (GOOD, {'curves': {'M': [1.0]}}, 'must be .slope, intercept'),
        (GOOD, {'curves': {'M': [float('nan'), 0.0]}}, 'must be .slope, intercept'),
        (GOOD, {'curves': {'M': [float('inf'), 0.0]}}, 'must be .slope, intercept'),
        (GOOD, {'curves': {'M': [True, 0.0]}}, 'must be .slope, intercept'),
        (GOOD, {'curves': {'M': [-1.0, 0.0]}}, 'holds -1, expected 0.02 to 50'),
        (GOOD, {'curves': {'M': [1.0, 0.5]}}, 'a temperature has not'),
        (GOOD, {'groups': 'M'}, 'groups must be lists'),
        (GOOD, {'groups': [['M', 'X']]}, 'groups must hold'),
        (GOOD, {'groups': [['M', 'N'], ['N', 'G']]}, 'groups must hold'),
        (GOOD, {'groups': [['M', 'N']]}, 'must have one temperature'),
        (GOOD, {'groups': [['M', 'N']], 'curves': {'M': [1.0, 0.0]}}, 'treated as one'),
        (GOOD, {'groups': [['M', 'N']], 'method': 'logistic'}, 'treated as one'),
        (STEPS, {'curves': {'M': []}}, '1 to 1000 knots'),
        (STEPS, {'curves': {'M': [[i / 1e4, 0.5] for i in range(1001)]}}, '1 to 1000 knots'),
        (STEPS, {'curves': {'M': [[0.1, 0.2], [0.1, 0.3]]}}, 'does not rise'),
        (STEPS, {'curves': {'M': [[0.1, 0.2], [0.2, 0.1]]}}, 'does not rise'),
        (STEPS, {'curves': {'M': [[0.1, 1.2]]}}, r'within \[0, 1\]'),
        (STEPS, {'curves': {'M': [[0.1, float('nan')]]}}, 'has the knot'),
        (STEPS, {'curves': {'M': [[0.1, 0.2, 0.3]]}}, 'has the knot'),
        (STEPS, {'curves': {'M': [0.1]}}, 'has the knot'),
        (STEPS, {'curves': {'M': [['0.1', '0.2']]}}, 'has the knot'),
    ],
)
def test_files_that_are_refused(start, change, words):
    with pytest.raises(InputError, match=words) as error:
        parse_recalibration(start | change, 'x.json')
    assert str(error.value).startswith('x.json: ') and '\n' not in str(error.value)


@pytest.mark.parametrize('text', ['', '{', '[]', '3', '[' * 100_000, '{"method": "isotonic"}'])
def test_text_that_is_no_recalibration(text, tmp_path):
    path = tmp_path / 'x.json'
    path.write_text(text)
    with pytest.raises(InputError, match='not a recalibration'):
        read_recalibration(path)


def test_what_is_reported_is_of_other_patients():
    data = model(40)
    check_apart(data, model(40, prefix='q'))
    with pytest.raises(InputError, match=r"picture 'p0.jpg' is in both val and test, 40 picture"):
        check_apart(data, data, ('val', 'test'))
    other = model(40, prefix='q')
    other.patients[3] = 'P0 '
    with pytest.raises(InputError, match=r"patient 'p0' \(there 'P0 '\)"):
        check_apart(data, other)


@pytest.mark.parametrize(
    ('split', 'words'), [('test', 'test or an external'), ('train', 'training')]
)
def test_other_splits_are_not_chosen_on(split, words):
    data = replace(model(10), info={'split': split})
    with pytest.raises(
        InputError, match=f'{words} set, and thresholds are chosen on the development'
    ):
        check_development(data, 'x.json', 'thresholds')
