import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from realmnet.evaluation.bootstrap import replicate
from realmnet.evaluation.clinical_simulation import asymptotic_kappa, clinical_coverage
from realmnet.evaluation.intervals import interval
from realmnet.evaluation.metrics import make_plan
from realmnet.evaluation.simulation import Population

CLASSES = ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')


def graded(n, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.zeros((n, 7), np.int8)
    truth[np.arange(n), rng.integers(0, 2, n)] = 1
    truth[np.arange(n), 2 + rng.choice(5, n, p=[0.1, 0.5, 0.2, 0.15, 0.05])] = 1
    return truth, 1 / (1 + np.exp(-(2.5 * truth - 1 + rng.normal(size=(n, 7)))))


def kappa_of(truth, scores, patients, method, replicates=1500):
    drawn = replicate(make_plan(truth, scores, CLASSES), replicates, patients)
    place = drawn.names.index('kappa')
    ends = interval(drawn, method)
    return float(drawn.point[place]), float(ends.low[place]), float(ends.high[place])


def test_kappa_of_independent_pictures_has_the_asymptotic_interval():
    truth, scores = graded(1200)
    grades = [part[:, 2:].argmax(1) for part in (truth, scores)]
    value, low, high = asymptotic_kappa(*grades)
    assert value == pytest.approx(cohen_kappa_score(*grades, weights='quadratic'))
    for method in ('normal', 'logit-t'):
        found = kappa_of(truth, scores, None, method)
        assert found[0] == pytest.approx(value)
        assert found[1:] == pytest.approx((low, high), abs=0.1 * (high - low))


def test_pictures_repeated_within_patients_say_no_more():
    truth, scores = graded(240)
    five = [np.repeat(part, 5, axis=0) for part in (truth, scores, np.arange(240))]
    one, many = kappa_of(truth, scores, np.arange(240), 'logit-t'), kappa_of(*five, 'logit-t')
    assert many == pytest.approx(one)
    low, high = asymptotic_kappa(*(part[:, 2:].argmax(1) for part in five[:2]))[1:]
    assert high - low < 0.5 * (many[2] - many[1])  # too short by the root of five


def test_asymptotic_form_is_statsmodels_on_the_counts():
    truth, guess = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 0])
    found = cohens_kappa([[1, 1, 0], [0, 2, 0], [1, 0, 1]], wt='quadratic')
    assert asymptotic_kappa(truth, guess) == pytest.approx(
        (found.kappa, found.kappa_low, found.kappa_upp)
    )


def test_simulation_holds_what_it_should():
    truth, _ = graded(600)
    patients = np.repeat(np.arange(120), 5)
    targets = [{'AP': 0.8, 'AUROC': 0.9}] * 7
    population = Population(truth, patients, CLASSES, targets, [[0, 1], [2, 3, 4, 5, 6]])
    found = clinical_coverage(
        population, 'patient', 60, range(2, 7), {'A2': (0.2, 0.02)}, 20, 60, images=50_000
    )
    assert set(found) == {
        'kappa',
        'F1 of all classes',
        *(f'{m} of A2 at {p}' for m in ('PPV', 'NPV') for p in (0.2, 0.02)),
        *(f'{what} of A2' for what in ('slope', 'level', 'benefit')),
    }
    for name, methods in found.items():
        for method, (held, width, there) in methods.items():
            least = 0.3 if method in ('asymptotic', 'each') else 0.7
            assert least <= held <= 1 and width > 0 and there == 1, (name, method)
    assert found['kappa']['asymptotic'][1] < found['kappa']['logit-t'][1]
    together = found['F1 of all classes']
    assert together['each'][0] <= together['Bonferroni'][0]
