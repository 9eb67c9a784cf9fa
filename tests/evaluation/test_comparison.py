import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import replicate
from realmnet.evaluation.comparison import compare, holm
from realmnet.evaluation.delong import auroc_test
from realmnet.evaluation.mcnemar import mcnemar_test
from realmnet.evaluation.metrics import make_plan
from realmnet.evaluation.predictions import Predictions


def example(n=90, seed=0, patients=30, ties=False):
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.4).astype(int)
    scores = 1 / (1 + np.exp(-(truth[:, None] * [1.5, 1.0] + rng.normal(size=(n, 2)))))
    return truth, np.round(scores, 1) if ties else scores, rng.integers(0, patients, n)


def kernel(positive, negative):
    return (positive > negative) + 0.5 * (positive == negative)


def by_definition(truth, scores, cluster):
    """Obuchowski 1997, equations as printed, by loops over all pairs."""
    positives, negatives = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
    models, clusters = range(scores.shape[1]), np.unique(cluster)
    m, n, number = len(positives), len(negatives), len(clusters)
    v10 = np.array([[np.mean([kernel(scores[i, r], scores[j, r]) for j in negatives])
                     for r in models] for i in positives])  # fmt: skip
    v01 = np.array([[np.mean([kernel(scores[i, r], scores[j, r]) for i in positives])
                     for r in models] for j in negatives])  # fmt: skip
    auroc = v10.mean(0)
    i10 = len(np.unique(cluster[positives]))
    i01 = len(np.unique(cluster[negatives]))
    covariance = np.zeros((len(models), len(models)))
    for r in models:
        for s in models:
            s10 = s01 = s11 = s11_other = 0.0
            for k in clusters:
                in_p, in_n = cluster[positives] == k, cluster[negatives] == k
                a = [v10[in_p, q].sum() - in_p.sum() * auroc[q] for q in (r, s)]
                b = [v01[in_n, q].sum() - in_n.sum() * auroc[q] for q in (r, s)]
                s10 += a[0] * a[1] * i10 / ((i10 - 1) * m)
                s01 += b[0] * b[1] * i01 / ((i01 - 1) * n)
                s11 += a[0] * b[1] * number / (number - 1)
                s11_other += a[1] * b[0] * number / (number - 1)
            covariance[r, s] = s10 / m + s01 / n + (s11 + s11_other) / (m * n)
    return auroc, covariance


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('clustered', [False, True])
def test_delong_and_obuchowski_equal_their_definition(ties, clustered):
    truth, scores, patients = example(70, ties=ties)
    test = auroc_test(truth, scores, patients if clustered else None)
    cluster = patients if clustered else np.arange(len(truth))
    auroc, covariance = by_definition(truth, scores, cluster)
    np.testing.assert_allclose(test.auroc, auroc, atol=1e-12)
    np.testing.assert_allclose(test.covariance, covariance, atol=1e-14)
    assert test.method == ('Obuchowski' if clustered else 'DeLong')
    for r in range(2):
        assert test.auroc[r] == pytest.approx(sk.roc_auc_score(truth, scores[:, r]))


def test_one_picture_a_patient_is_delongs_test():
    truth, scores, _ = example()
    plain = auroc_test(truth, scores)
    clustered = auroc_test(truth, scores, np.random.default_rng(1).permutation(len(truth)))
    np.testing.assert_allclose(clustered.covariance, plain.covariance, rtol=1e-12)
    assert clustered.p == pytest.approx(plain.p)


def test_clustered_standard_error_equals_the_cluster_bootstrap():
    rng = np.random.default_rng(4)
    patient = np.repeat(np.arange(250), 4)
    truth = np.repeat(rng.integers(0, 2, 250), 4)
    score = 1 / (1 + np.exp(-(truth + np.repeat(rng.normal(size=250), 4) + rng.normal(size=1000))))
    test = auroc_test(truth, score, patient)
    plan = make_plan(truth[:, None], score[:, None], ['a'])
    spread = replicate(plan, 1500, patient).column('AUROC_a').std()
    assert np.sqrt(test.covariance[0, 0]) == pytest.approx(spread, rel=0.08)
    naive = np.sqrt(auroc_test(truth, score).covariance[0, 0])
    assert np.sqrt(test.covariance[0, 0]) > 1.3 * naive


def test_delong_p_value_is_uniform_without_a_difference():
    p = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = np.arange(120) % 3 == 0
        latent = truth + rng.normal(size=120)
        p.append(auroc_test(truth, latent[:, None] + rng.normal(size=(120, 2))).p)
    assert stats.kstest(p, 'uniform').pvalue > 0.01


def test_delong_without_enough_images_is_nan_and_equal_models_do_not_differ():
    assert np.isnan(auroc_test(np.array([1, 0, 0]), np.array([[0.9, 0.8], [0.1, 0.2], [0, 0]])).p)
    assert np.isnan(auroc_test(np.zeros(5, int), np.ones((5, 2)) / 2).p)
    truth, scores, _ = example()
    same = auroc_test(truth, scores[:, [0, 0]])
    assert (same.difference, same.p) == (0, 1)


@pytest.mark.parametrize(('n', 'method'), [(30, 'exact'), (400, 'chi-square')])
def test_mcnemar_equals_statsmodels(n, method):
    rng = np.random.default_rng(n)
    first, second = rng.random(n) < 0.8, rng.random(n) < 0.7
    table = [[(first & second).sum(), (first & ~second).sum()],
             [(~first & second).sum(), (~first & ~second).sum()]]  # fmt: skip
    expected = mcnemar(table, exact=method == 'exact', correction=False)
    test = mcnemar_test(first, second)
    assert (test.method, test.p) == (method, pytest.approx(expected.pvalue))


def test_clustered_mcnemar_by_hand_and_in_the_limit():
    # Patients' differences 2, 1, -1: (2 + 1 - 1)^2 / (4 + 1 + 1) = 2/3.
    first = np.array([1, 1, 1, 0, 1], bool)
    second = np.array([0, 0, 0, 1, 1], bool)
    test = mcnemar_test(first, second, np.array([0, 0, 1, 2, 2]))
    assert test.statistic == pytest.approx(4 / 6)
    assert test.p == pytest.approx(stats.chi2.sf(4 / 6, 1))
    rng = np.random.default_rng(0)
    first, second = rng.random(300) < 0.8, rng.random(300) < 0.6
    b, c = (first & ~second).sum(), (~first & second).sum()
    # Every second image of a patient adds an agreement, which must not change the statistic.
    doubled = mcnemar_test(np.r_[first, np.ones(300, bool)], np.r_[second, np.ones(300, bool)],
                           np.r_[np.arange(300), np.arange(300)])  # fmt: skip
    assert doubled.method == 'clustered'
    assert doubled.statistic == pytest.approx((b - c) ** 2 / (b + c))


def test_models_that_never_differ():
    right = np.array([True, False, True, True])
    assert mcnemar_test(right, right).p == 1
    assert mcnemar_test(right, right, np.array([0, 0, 1, 1])).p == 1


def test_holm_equals_statsmodels_and_by_hand():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    p = np.random.default_rng(0).random(8) / 5
    np.testing.assert_allclose(holm(p), multipletests(p, method='holm')[1])
    assert np.isnan(holm([0.01, np.nan])[1])
    assert holm([0.01, np.nan])[0] == pytest.approx(0.01)


def predictions(seed, quality, patients=40, n=160):
    rng = np.random.default_rng(0)
    truth = (rng.random((n, 2)) < 0.4).astype(np.int8)
    noise = np.random.default_rng(seed).normal(size=(n, 2))
    scores = 1 / (1 + np.exp(-(quality * (truth - 0.5) + noise)))
    patient = np.array([f'P-{i}' for i in rng.integers(0, patients, n)], dtype=object)
    names = np.array([f'P-{i}.jpg' for i in range(n)], dtype=object)
    return Predictions(names, patient, scores, truth, ('a', 'b'))


def test_clearly_better_model_is_significant_and_equal_one_is_not():
    good, bad, other = predictions(1, 4), predictions(2, 0.5), predictions(3, 4)
    rows = {(row.metric, row.test): row for row in compare(good, bad, 300)}
    row = rows['F1', 'bootstrap']
    assert row.difference > 0
    assert row.low > 0
    assert row.p == pytest.approx(2 / 301)
    assert rows['AUROC_a', 'Obuchowski'].p_holm < 0.001
    assert rows['decisions_a', 'McNemar clustered'].p < 0.01
    assert rows['ranking', 'bootstrap'].difference < 0
    rows = {(row.metric, row.test): row for row in compare(good, other, 300)}
    assert rows['F1', 'bootstrap'].low < 0 < rows['F1', 'bootstrap'].high
    assert all(row.p_holm >= row.p for row in rows.values())


def test_same_model_has_difference_zero_and_p_one():
    model = predictions(1, 2)
    for row in compare(model, model, 50):
        assert row.difference == 0
        assert row.p == pytest.approx(1)


def test_replicates_of_both_models_are_the_same_images():
    model = predictions(1, 2)
    worse = Predictions(model.filenames, model.patients, model.scores * 0.999, model.truth,
                        model.classes)  # fmt: skip
    row = next(r for r in compare(model, worse, 200, metrics=['AUROC']) if r.metric == 'AUROC')
    assert (row.difference, row.p, row.remark) == (0, 1, 'no spread')
    assert np.isnan(row.low)


def test_published_t_test_finds_every_difference_significant():
    rows = compare(predictions(1, 2), predictions(9, 2.2), 300, mode='published', metrics=['F1'])
    sound = compare(predictions(1, 2), predictions(9, 2.2), 300, metrics=['F1'])[0]
    assert rows[0].test == 't-test'
    assert rows[0].p < 1e-3
    assert sound.p > 0.05


def test_files_on_other_images_are_refused():
    model = predictions(1, 2)
    with pytest.raises(InputError, match=r'not on the same pictures.*one test set'):
        compare(model, model.take(np.arange(100)), 10)


def test_unknown_metric_and_seed_are_refused():
    ours = predictions(1, 2)
    with pytest.raises(InputError, match="metric 'FOO' is unknown"):
        compare(ours, ours, 5, metrics=['FOO'])
    with pytest.raises(InputError, match='seed'):
        compare(ours, ours, 5, seed=-1)
