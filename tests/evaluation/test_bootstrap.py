import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import (
    bootstrap_statistic,
    draw_weights,
    effective_units,
    jackknife,
    replicate,
    unit_of,
)
from realmnet.evaluation.intervals import METHODS, interval, published, spread
from realmnet.evaluation.metrics import all_metrics, make_plan
from realmnet.evaluation.plan import MetricPlan

CLASSES = ['a', 'b']


def example(n=150, seed=0, patients=40):
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 2)) < [0.3, 0.5]).astype(int)
    scores = 1 / (1 + np.exp(-(1.5 * truth + rng.normal(size=(n, 2)) - 0.7)))
    return truth, scores, rng.integers(0, patients, n)


@pytest.mark.parametrize('by', ['image', 'patient'])
def test_replicates_equal_recomputed_metrics(by):
    truth, scores, patients = example()
    patients = None if by == 'image' else patients
    plan = make_plan(truth, scores, CLASSES)
    drawn = replicate(plan, 7, patients, seed=3)
    unit, number = unit_of(patients, len(truth))
    ((_, weights),) = draw_weights(unit, number, 7, number, np.random.default_rng(3))
    for row, counts in zip(drawn.values, weights, strict=True):
        rows = np.repeat(np.arange(len(truth)), counts)
        expected = all_metrics(truth[rows], scores[rows], CLASSES)
        for name, value in zip(drawn.names, row, strict=True):
            assert value == pytest.approx(expected[name], abs=1e-9, nan_ok=True), name
    if by == 'patient':
        assert all(len(set(w[patients == p])) == 1 for w in weights for p in set(patients))


def test_draws_do_not_depend_on_how_they_are_cut(monkeypatch):
    truth, scores, _ = example()
    plan = make_plan(truth, scores, CLASSES)
    whole = replicate(plan, 40, seed=5)
    monkeypatch.setattr('realmnet.evaluation.bootstrap._ELEMENTS', 450)
    np.testing.assert_allclose(replicate(plan, 40, seed=5).values, whole.values, rtol=1e-13)
    assert not np.array_equal(replicate(plan, 40, seed=6).values, whole.values)


def test_replicates_of_1000_images_hold_1000_images():
    unit, number = unit_of(None, 150)
    ((_, weights),) = draw_weights(unit, number, 4, 1000, np.random.default_rng(0))
    assert weights.sum(1).tolist() == [1000] * 4


def test_bca_and_percentile_agree_with_scipy():
    truth, scores, _ = example(120)
    plan = make_plan(truth, scores, CLASSES)
    drawn = replicate(plan, 4000, seed=1)
    place = drawn.names.index('AUROC_a')
    left_out = jackknife(plan, groups=0)

    def auroc(rows):
        return sk.roc_auc_score(truth[rows, 0], scores[rows, 0])

    for method, name in (('bca', 'BCa'), ('percentile', 'percentile')):
        ours = interval(drawn, method, left_out=left_out)
        result = stats.bootstrap(
            (np.arange(120),), auroc, vectorized=False, n_resamples=1500, method=name,
            rng=np.random.default_rng(2),
        )  # fmt: skip
        low, high = result.confidence_interval
        width = high - low
        assert ours.low[place] == pytest.approx(low, abs=0.08 * width)
        assert ours.high[place] == pytest.approx(high, abs=0.08 * width)


def test_bca_is_scipys_formula_on_the_same_replicates():
    truth, scores, _ = example(60)
    plan = make_plan(truth, scores, CLASSES)
    drawn, left_out = replicate(plan, 999, seed=1), jackknife(plan, groups=0)
    place = drawn.names.index('brier_b')
    theta, values = drawn.point[place], drawn.values[:, place]
    influence = left_out[:, place].mean() - left_out[:, place]
    a = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
    z0 = stats.norm.ppf((np.sum(values < theta) + np.sum(values <= theta)) / 2 / len(values))
    levels = [stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in (-1.959964, 1.959964)]
    ours = interval(drawn, 'bca', left_out=left_out)
    assert [ours.low[place], ours.high[place]] == pytest.approx(np.quantile(values, levels), 1e-6)


def test_jackknife_leaves_out_one_unit_and_groups_keep_the_acceleration():
    truth, scores, patients = example(400, patients=60)
    plan = make_plan(truth, scores, CLASSES)
    by_patient = jackknife(plan, patients)
    first = patients != np.unique(patients.astype(str))[0].astype(int)
    expected = all_metrics(truth[first], scores[first], CLASSES)
    assert by_patient[0, plan.names.index('AP_a')] == pytest.approx(expected['AP_a'], abs=1e-12)
    assert len(by_patient) == len(set(patients))

    def acceleration(left_out):
        influence = left_out.mean(0) - left_out
        return (influence**3).sum(0) / (6 * (influence**2).sum(0) ** 1.5)

    place = plan.names.index('brier')
    exact = acceleration(jackknife(plan, groups=0))[place]
    groups = [acceleration(jackknife(plan, groups=200, seed=s))[place] for s in range(20)]
    assert np.mean(groups) == pytest.approx(exact, abs=0.005)


def test_intervals_hold_the_value_and_stay_in_range():
    truth, scores, patients = example(80)
    drawn = replicate(make_plan(truth, scores, CLASSES), 200, patients)
    left_out = jackknife(make_plan(truth, scores, CLASSES), patients)
    for method in METHODS:
        ends = interval(drawn, method, left_out=left_out)
        assert (ends.low <= ends.high).all()
        if method.startswith('logit'):
            assert (ends.low <= drawn.point).all()
            assert (drawn.point <= ends.high).all()
            ratios = [n for n in drawn.names if n not in ('coverage', 'kappa')]
            index = [drawn.names.index(n) for n in ratios]
            assert (ends.low[index] >= 0).all()
            assert (ends.high[index] <= 1).all()


def test_logit_interval_worked_by_hand():
    truth, scores, _ = example()
    drawn = replicate(make_plan(truth, scores, CLASSES), 300)
    place = drawn.names.index('recall_a')
    p, sd = drawn.point[place], drawn.values[:, place].std(ddof=1)
    centre, reach = np.log(p / (1 - p)), 1.959964 * sd / (p * (1 - p))
    ends = interval(drawn, 'logit')
    assert ends.low[place] == pytest.approx(1 / (1 + np.exp(-(centre - reach))), 1e-6)
    n = truth[:, 0].sum() - 1
    reach *= stats.t.isf(0.025, n) / 1.959964 * np.sqrt((n + 1) / n)
    ends = interval(drawn, 'logit-t')
    assert ends.high[place] == pytest.approx(1 / (1 + np.exp(-(centre + reach))), 1e-6)


def test_perfect_scores_have_an_exact_binomial_interval():
    truth = np.repeat([[1], [0]], [10, 30], axis=0)
    drawn = replicate(make_plan(truth, truth * 0.8 + 0.1, ['a']), 100)
    ends = interval(drawn, 'logit-t')
    place = drawn.names.index('recall_a')
    expected = stats.binomtest(10, 10).proportion_ci(method='exact')
    assert (ends.low[place], ends.high[place]) == pytest.approx((expected.low, 1.0))


def test_effective_units_are_kishs():
    # Class a: 4 positive images of one patient, 1 of another: (4 + 1)^2 / (16 + 1).
    truth = np.array([[1], [1], [1], [1], [1], [0], [0]])
    patients = np.array([0, 0, 0, 0, 1, 2, 3])
    plan = make_plan(truth, truth * 0.5, ['a'])
    values = dict(zip(plan.names, effective_units(plan, patients), strict=True))
    assert values['recall_a'] == pytest.approx(25 / 17)
    assert values['specificity_a'] == pytest.approx(2)
    assert values['AP_a'] == pytest.approx(25 / 17)
    assert values['brier'] == pytest.approx(49 / (16 + 1 + 1 + 1))
    assert np.isnan(values['mAP'])


def test_published_convention():
    truth, scores, _ = example(500)
    drawn = replicate(make_plan(truth, scores, CLASSES), 200, draws=1000)
    ends, plus_minus = published(drawn)
    place = drawn.names.index('F1')
    column = drawn.values[:, place]
    assert ends.low[place] == pytest.approx(column.mean() - 1.96 * column.std(ddof=1))
    assert plus_minus[place] == pytest.approx(column.std(ddof=1) / np.sqrt(200))


def test_rare_class_leaves_replicates_undefined_and_counts_them():
    truth = np.zeros((60, 1), int)
    truth[:2] = 1
    scores = np.linspace(0.9, 0.1, 60)[:, None]
    drawn = replicate(make_plan(truth, scores, ['a']), 300)
    undefined = drawn.undefined[drawn.names.index('AUROC_a')]
    assert 0.05 < undefined / 300 < 0.25  # (1 - 2/60)^60 = .13
    assert np.isfinite(spread(drawn.values)[drawn.names.index('AUROC_a')])
    assert np.isfinite(interval(drawn).low[drawn.names.index('AUROC_a')])


TWENTY = np.arange(20)


@pytest.mark.parametrize(
    ('sizes', 'units', 'remark'),
    [
        ([20], 1, 'one patient'),  # the case: all positives from one patient
        ([99, 1], 10000 / 9802, 'one patient'),  # 99 of 100: two patients, 1.02 in effect
        ([17, 3], 400 / 298, 'one patient'),
        ([10, 10], 2, '2.0 patients'),
        ([1, 1, 1, 1], 4, '4.0 patients'),
        ([6, 1, 1, 1, 1], 100 / 40, '2.5 patients'),
        ([2, 2, 2, 2, 2], 5, ''),
    ],
)
@pytest.mark.parametrize('method', METHODS)
def test_what_positives_of_few_patients_hold(sizes, units, remark, method):
    positives = np.repeat(np.arange(len(sizes)), sizes)
    patients = np.r_[positives, 1000 + np.arange(60)]
    truth = (patients < 1000).astype(int)[:, None]
    scores = np.random.default_rng(0).normal(truth * 1.5, 1)
    plan = make_plan(truth, 1 / (1 + np.exp(-scores)), ['a'])
    drawn = replicate(plan, 100, patients)
    ends = interval(drawn, method, left_out=jackknife(plan, patients))
    remarks = dict(zip(drawn.names, ends.remarks('patient'), strict=True))
    for name in ('recall_a', 'AP_a', 'AUROC_a', 'F1_a', 'recall', 'mAP', 'AUROC', 'NPV_a'):
        place = drawn.names.index(name)
        assert ends.units[place] == pytest.approx(units), name
        assert np.isfinite(drawn.point[place])
        if 'one' in remark:
            assert remarks[name] == remark
            assert np.isnan([ends.low[place], ends.high[place]]).all()
        else:  # equal patients may still give equal replicates
            assert remarks[name] in (remark, 'no spread')
            assert np.isfinite(ends.low[place]) == (remarks[name] == remark)
    # What rests on the negatives, or on all, keeps its interval.
    for name in ('specificity_a', 'hamming', 'brier'):
        assert np.isfinite(ends.low[drawn.names.index(name)])


@pytest.mark.parametrize(
    ('truth', 'scores', 'patients', 'metric', 'remark'),
    [
        # Perfect separation: by quantiles [1, 1]; the exact binomial form does not need spread.
        (TWENTY < 10, 1 - TWENTY / 20, None, 'AUROC', 'no spread'),
        (TWENTY < 10, np.full(20, 0.5), None, 'brier_a', 'no spread'),  # constant scores
        (TWENTY < 10, np.full(20, 0.5), None, 'AUROC', 'no spread'),
        (TWENTY % 2 == 0, 0.8 * (TWENTY < 18) + 0.1, TWENTY // 4, 'recall_a', ''),
        (np.ones(20), 0.8 * (TWENTY < 18), None, 'AP_a', 'one class only'),
        (TWENTY < 1, 1 - TWENTY / 20, None, 'recall_a', 'one image'),
        (TWENTY >= 1, 1 - TWENTY / 20, None, 'AUROC_a', 'one image'),  # one negative
        (TWENTY < 10, TWENTY / 20 * (TWENTY == 3), None, 'precision_a', ''),
        (TWENTY < 10, 0.9 * (TWENTY == 3), None, 'precision_a', 'one image'),  # one prediction
        # Two patients with the same share: every replicate is .5.
        (TWENTY < 8, 0.9 * (TWENTY % 2), np.r_[np.arange(8) // 4, 2 + TWENTY[8:]], 'recall_a',
         'no spread'),
    ],
)  # fmt: skip
def test_intervals_that_are_none(truth, scores, patients, metric, remark):
    plan = make_plan(np.asarray(truth, int)[:, None], scores[:, None], ['a'])
    drawn = replicate(plan, 100, patients)
    place = drawn.names.index(metric)
    ends = interval(drawn, 'percentile')
    by = drawn.by
    assert ends.why[place] == ('' if np.isnan(drawn.point[place]) else remark), by
    assert np.isnan(ends.low[place]) == bool(remark or np.isnan(drawn.point[place]))
    for method in METHODS:  # none has no length
        length = np.subtract(*(getattr(interval(drawn, method, left_out=jackknife(plan, patients)),
                                       end) for end in ('high', 'low')))  # fmt: skip
        assert not (length <= 0).any()


def test_grades_of_one_patient_give_kappa_no_interval():
    truth = np.zeros((30, 3), int)
    truth[:9, :] = np.eye(3, dtype=int)[np.arange(9) % 3]  # the others have no grade
    scores = np.random.default_rng(0).random((30, 3))
    patients = np.r_[np.zeros(9, int), np.arange(1, 22)]
    plan = MetricPlan(truth, scores, ['A0', 'A1', 'A2'], scores > 0.5, graded=[0, 1, 2])
    drawn = replicate(plan, 50, patients)
    assert interval(drawn).why[drawn.names.index('kappa')] == 'one patient'


def test_class_without_positives_is_nan_and_nothing_crashes():
    truth = np.zeros((30, 2), int)
    truth[:9, 1] = 1
    scores = np.random.default_rng(0).random((30, 2))
    plan = make_plan(truth, scores, CLASSES)
    drawn = replicate(plan, 50)
    for method in METHODS:
        ends = interval(drawn, method, left_out=jackknife(plan))
        assert np.isnan(ends.low[drawn.names.index('AUROC_a')])
        assert np.isfinite(ends.low[drawn.names.index('AUROC')])


def test_any_statistic_through_scipy():
    truth, scores, patients = example(90)
    value, low, high = bootstrap_statistic(
        lambda t, s: sk.roc_auc_score(t[:, 0], s[:, 0]), truth, scores, patients, 200
    )
    assert value == pytest.approx(sk.roc_auc_score(truth[:, 0], scores[:, 0]))
    assert low < value < high


def test_mistaken_settings_are_refused():
    truth, scores, _ = example()
    plan = make_plan(truth, scores, CLASSES)
    drawn = replicate(plan, 5)
    with pytest.raises(InputError, match='at least 1'):
        replicate(plan, 0)
    with pytest.raises(InputError, match='two patients'):
        replicate(plan, 5, np.zeros(len(truth)))
    with pytest.raises(InputError, match='unknown'):
        interval(drawn, 'magic')
    with pytest.raises(InputError, match='jackknife'):
        interval(drawn, 'bca')
