import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from realmnet.errors import InputError
from realmnet.evaluation.decoding import decide
from realmnet.evaluation.metrics import (
    CLASS_METRICS,
    SET_METRICS,
    all_metrics,
    class_metrics,
    make_plan,
    metrics_table,
    set_metrics,
)

#: Scores: any, a few values (ties), the ends, almost equal.
SCORES = st.one_of(
    st.floats(0, 1),
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    st.sampled_from([0.0, 1.0, 5e-324, 1 - 2**-53, 0.5, 0.5 - 2**-54]),
)


@st.composite
def cases(draw):
    shape = draw(st.tuples(st.integers(1, 25), st.integers(1, 4)))
    truth = draw(hnp.arrays(np.int8, shape, elements=st.integers(0, 1)))
    kind = draw(st.sampled_from(['mixed', 'all negative', 'all positive']))
    if kind != 'mixed':
        truth = np.full(shape, int(kind == 'all positive'), np.int8)
    return truth, draw(hnp.arrays(float, shape, elements=SCORES))


def sklearn_class(truth, scores, predicted):
    """Scikit-learn's value for each class; NaN where it is not defined."""
    positives, negatives = truth.any(), not truth.all()
    tn, fp, fn, _ = sk.confusion_matrix(truth, predicted, labels=[0, 1]).ravel()
    options = dict(zero_division=np.nan)
    return {
        'precision': sk.precision_score(truth, predicted, **options),
        'recall': sk.recall_score(truth, predicted, **options),
        'F1': sk.f1_score(truth, predicted) if positives else np.nan,
        'AP': sk.average_precision_score(truth, scores) if positives else np.nan,
        'AUROC': sk.roc_auc_score(truth, scores) if positives and negatives else np.nan,
        'specificity': tn / (tn + fp) if tn + fp else np.nan,
        'NPV': tn / (tn + fn) if tn + fn else np.nan,
        'brier': sk.brier_score_loss(truth, scores, pos_label=1),
    }


@settings(max_examples=150, deadline=None)
@given(cases(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_every_metric_equals_scikit_learn(case, threshold):
    truth, scores = case
    ours = class_metrics(truth, scores, threshold)
    predicted = scores >= threshold
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for c in range(truth.shape[1]):
            for name, value in sklearn_class(truth[:, c], scores[:, c], predicted[:, c]).items():
                assert ours[name][c] == pytest.approx(value, abs=1e-9, nan_ok=True), name
        sets = set_metrics(truth, scores, threshold)
        assert sets['hamming'] == pytest.approx(sk.hamming_loss(truth, predicted), abs=1e-9)
        if truth.shape[1] > 1:
            assert sets['coverage'] == pytest.approx(sk.coverage_error(truth, scores), abs=1e-9)
            ranking = sk.label_ranking_loss(truth, scores)
            assert sets['ranking'] == pytest.approx(ranking, abs=1e-9)
        assert sets['brier'] == pytest.approx(np.mean((scores - truth) ** 2), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_overall_values_equal_scikit_learn(case):
    truth, scores = case
    classes = [f'c{i}' for i in range(truth.shape[1])]
    values = all_metrics(truth, scores, classes)
    predicted = scores >= 0.5
    subset = (predicted == (truth == 1)).all(1).mean()
    assert values['subset_accuracy'] == pytest.approx(subset, abs=1e-9)
    if truth.any():
        flat, guess = truth.ravel(), predicted.ravel()
        precision = sk.precision_score(flat, guess, zero_division=np.nan)
        assert values['precision_micro'] == pytest.approx(precision, abs=1e-9, nan_ok=True)
        assert values['recall_micro'] == pytest.approx(sk.recall_score(flat, guess), abs=1e-9)
        assert values['F1_micro'] == pytest.approx(sk.f1_score(flat, guess), abs=1e-9)
        ap = sk.average_precision_score(flat, scores.ravel())
        assert values['mAP_micro'] == pytest.approx(ap, abs=1e-9)
        if not truth.all():
            auroc = sk.roc_auc_score(flat, scores.ravel())
            assert values['AUROC_micro'] == pytest.approx(auroc, abs=1e-9)
    by_class = class_metrics(truth, scores)
    for name in CLASS_METRICS:
        column = by_class[name]
        mean = np.mean(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan
        overall = values['mAP' if name == 'AP' else name]
        assert overall == pytest.approx(mean, abs=1e-12, nan_ok=True)
    count = sum(np.isnan(by_class[name]).sum() for name in CLASS_METRICS)
    assert values['undefined'] == count


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_weights_equal_scikit_learns_sample_weight(case, seed):
    truth, scores = case
    weights = np.random.default_rng(seed).integers(0, 4, len(truth))
    weights[0] += weights.sum() == 0
    plan = make_plan(truth, scores, [str(c) for c in range(truth.shape[1])])
    row = dict(zip(plan.names, plan(weights[None])[0], strict=True))
    repeated = np.repeat(np.arange(len(truth)), weights)
    expected = all_metrics(truth[repeated], scores[repeated], plan.classes)
    expected.pop('undefined')
    assert row == pytest.approx(expected, abs=1e-9, nan_ok=True)
    for c in range(truth.shape[1]):
        if 0 < truth[repeated, c].sum() < len(repeated):
            auroc = sk.roc_auc_score(truth[:, c], scores[:, c], sample_weight=weights)
            assert row[f'AUROC_{c}'] == pytest.approx(auroc, abs=1e-9)


PSMM = ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')


def with_staphyloma(*grades):
    return [np.hstack([np.zeros((len(g), 2), g.dtype), g]) for g in grades]


@pytest.mark.parametrize('seed', range(5))
def test_kappa_equals_scikit_learns_quadratic_weights(seed):
    rng = np.random.default_rng(seed)
    grade, scores = rng.integers(0, 5, 80), rng.random((80, 5))
    values = all_metrics(*with_staphyloma(np.eye(5, dtype=int)[grade], scores), PSMM)
    kappa = sk.cohen_kappa_score(grade, scores.argmax(1), weights='quadratic', labels=range(5))
    assert values['kappa'] == pytest.approx(kappa, abs=1e-9)


def test_kappa_ignores_images_without_exactly_one_grade():
    truth = np.array([[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0]])
    scores = np.array([[0.9, 0, 0, 0, 0], [0, 0, 0.9, 0, 0], [0, 0, 0, 0.9, 0], [0, 0, 0, 0, 0.9]])
    assert all_metrics(*with_staphyloma(truth, scores), PSMM)['kappa'] == 1
    # names alone are no grades
    assert 'kappa' not in all_metrics(truth, scores, ['A0', 'A1', 'A2', 'A3', 'A4'])


def test_calibration_error_worked_by_hand():
    # Bin .2-.3 holds .2 and .25 with no positive, bin .9-1 holds .95 and 1 with one positive:
    # (|.45 - 0| + |1.95 - 1|) / 4.
    scores, truth = np.array([[0.2], [0.25], [0.95], [1.0]]), np.array([[0], [0], [1], [0]])
    assert class_metrics(truth, scores)['calibration'][0] == pytest.approx(1.4 / 4)


def test_metrics_worked_by_hand():
    # Two images, three classes. Image 1: true a, b; scores .9, .4, .6: all three are needed to
    # hold a and b, and of the pairs (a, c), (b, c) one is reversed.
    truth = np.array([[1, 1, 0], [0, 0, 1]])
    scores = np.array([[0.9, 0.4, 0.6], [0.1, 0.2, 0.8]])
    values = all_metrics(truth, scores, ['a', 'b', 'c'])
    assert values['coverage'] == pytest.approx((3 + 1) / 2)
    assert values['ranking'] == pytest.approx((1 / 2 + 0) / 2)
    assert values['hamming'] == pytest.approx(2 / 6)
    assert values['F1_c'] == pytest.approx(2 / 3)
    assert values['F1'] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert np.isnan(values['precision_b'])
    assert values['precision'] == pytest.approx((1 + 1 / 2) / 2)


def test_minimum_coverage_of_two_labels_is_two():
    truth = np.array([[1, 0, 1, 0]])
    assert set_metrics(truth, truth * 0.9)['coverage'] == 2


def test_thresholds_by_class_name_and_top_k():
    scores = np.array([[0.3, 0.6, 0.6]])
    classes = ['a', 'b', 'c']
    assert decide(scores, classes, [0.2, 0.7, 0.6]).tolist() == [[True, False, True]]
    assert decide(scores, classes, {'a': 0.3}).tolist() == [[True, True, True]]
    assert decide(scores, classes, top_k=1).tolist() == [[False, True, False]]
    assert decide(scores, classes, top_k=2).tolist() == [[False, True, True]]


def test_consistent_decisions_have_one_class_of_each_group():
    scores = np.random.default_rng(0).random((50, 7))
    predicted = decide(scores, ['S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4'], consistent=True)
    assert (predicted[:, :2].sum(1) == 1).all()
    assert (predicted[:, 2:].sum(1) == 1).all()


@pytest.mark.parametrize(
    ('scores', 'message'),
    [
        ([[2.5, -1.0]], 'look like logits.*sigmoid'),
        ([[np.nan, 0.5]], 'NaN'),
        ([[np.inf, 0.5]], 'infinite'),
        ([[97.0, 0.5]], 'percentage'),
    ],
)
def test_scores_that_are_no_probabilities_are_refused(scores, message):
    with pytest.raises(InputError, match=message):
        all_metrics(np.array([[1, 0]]), np.array(scores), ['a', 'b'])


def test_wrong_arrays_and_settings_are_refused():
    truth, scores = np.array([[1, 0]]), np.array([[0.5, 0.5]])
    with pytest.raises(InputError, match='shape'):
        all_metrics(truth, scores, ['a'])
    with pytest.raises(InputError, match='no image'):
        all_metrics(truth[:0], scores[:0], ['a', 'b'])
    with pytest.raises(InputError, match='not 0 or 1'):
        all_metrics(truth * 2, scores, ['a', 'b'])
    with pytest.raises(InputError, match='3 thresholds for 2 classes'):
        decide(scores, ['a', 'b'], [0.1, 0.2, 0.3])
    with pytest.raises(InputError, match='name'):
        decide(scores, ['a', 'b'], {'z': 0.1})
    with pytest.raises(InputError, match='top_k'):
        decide(scores, ['a', 'b'], top_k=3)
    with pytest.raises(InputError, match='consistent'):
        decide(scores, ['a', 'b'], consistent=True)
    with pytest.raises(InputError, match='NaN'):
        decide(scores, ['a', 'b'], float('nan'))


def test_large_sets_are_cut_into_blocks_without_changing_values():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, (40_000, 2))
    scores = np.round(rng.random((40_000, 2)), 3)
    values = all_metrics(truth, scores, ['a', 'b'])
    assert values['brier'] == pytest.approx(np.mean((scores - truth) ** 2), abs=1e-12)
    assert values['coverage'] == pytest.approx(sk.coverage_error(truth, scores), abs=1e-12)


def test_table_names_every_class_and_metric():
    values = all_metrics(np.array([[1, 0], [0, 1]]), np.array([[0.9, 0.1], [0.2, 0.7]]), ['a', 'b'])
    table = metrics_table(values, ['a', 'b'], ['alpha', 'b'])
    assert 'a alpha' in table
    assert all(name in table for name in (*CLASS_METRICS, *SET_METRICS))
