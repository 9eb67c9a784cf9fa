import numpy as np
import pytest
from scipy import stats

from realmnet.evaluation.bootstrap import Replicates
from realmnet.evaluation.comparison import _corrected, _paired, _together, adjusted, compare
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.metric_records import metric_of
from realmnet.evaluation.metric_types import Column
from realmnet.evaluation.predictions import Predictions

CLASSES = tuple('abcde')


def model(seed=0, quality=2.0, n=300):
    rng = np.random.default_rng(0)
    truth = (rng.random((n, 5)) < 0.4).astype(np.int8)
    noise = np.random.default_rng(seed).normal(size=(n, 5))
    scores = 1 / (1 + np.exp(-(quality * (truth - 0.5) + noise)))
    names = np.array([f'{i}.jpg' for i in range(n)], dtype=object)
    return Predictions(names, names, scores, truth, CLASSES, {'schema': 's'})


def test_benjamini_and_hochberg_by_hand():
    # sorted .01 .03 .04 times 3/1, 3/2, 3/3: .03 .045 .04, each at most the next
    assert adjusted([0.01, 0.04, np.nan, 0.03], 'fdr_bh') == pytest.approx(
        [0.03, 0.04, np.nan, 0.04], nan_ok=True
    )


def test_rows_of_one_kind_of_test_are_a_family():
    rows = compare(model(), model(1, 1.5), 100)
    for test in ('bootstrap', 'DeLong'):
        mine = [row for row in rows if row.test == test]
        assert len(mine) == (21 if test == 'bootstrap' else 5)
        p = [row.p for row in mine]
        assert [row.p_bh for row in mine] == pytest.approx(stats.false_discovery_control(p))
        assert all(row.p <= row.p_bh <= row.p_holm for row in mine)


@pytest.mark.parametrize('number', [1, 8])
def test_together_is_sidak_s_interval_where_metrics_are_independent(number):
    rng = np.random.default_rng(3)
    names = tuple(f'F1_{i}' for i in range(number))

    def of(values):
        units = np.full(number, 500.0)
        columns = tuple(Column(metric_of('F1'), 'class', str(i)) for i in range(number))
        return Replicates(columns, (), values.mean(0), values, units, 'image', 500, 0)

    scale = np.linspace(0.01, 0.05, number)
    first = of(0.7 + scale * rng.normal(size=(20_000, number)))
    second = of(np.full((20_000, number), 0.6))
    rows = _together(_corrected([_paired(first, second, name) for name in names]), first, second)
    wanted = stats.norm.isf((1 - 0.95 ** (1 / number)) / 2)
    for row, sd in zip(rows, scale, strict=True):
        assert (row.high - row.difference) / sd == pytest.approx(wanted, rel=0.03)
        assert row.high - row.difference == pytest.approx(row.difference - row.low)


def test_correlated_metrics_cost_less_than_bonferroni():
    plain, together = (compare(model(), model(1, 1.5), 400, simultaneous=s) for s in (False, True))
    number = sum(row.test == 'bootstrap' for row in plain)
    most = stats.norm.isf(0.025 / number) / stats.norm.isf(0.025)
    ratios = []
    for one, other in zip(plain, together, strict=True):
        if one.test == 'bootstrap':
            ratios.append((other.high - other.low) / (one.high - one.low))
        else:
            assert (one.low, one.p) == pytest.approx((other.low, other.p), nan_ok=True)
    assert 1.2 < np.mean(ratios) < most


def test_intervals_of_classes_are_bonferroni_s_and_means_stay():
    settings = dict(bootstrap=200, method='normal', diagnosis='')
    plain, wide = (evaluate(model(), simultaneous=s, **settings) for s in (False, True))
    factor = stats.norm.isf(0.025 / 5) / stats.norm.isf(0.025)
    for one, other in zip(plain.rows, wide.rows, strict=True):
        if one.of:
            assert other.high - other.value == pytest.approx(factor * (one.high - one.value))
        else:
            assert (one.low, one.high) == pytest.approx((other.low, other.high), nan_ok=True)
    assert 'of the 5 classes of a metric hold all together' in wide.notes[-1]
    assert 'simultaneous' not in plain.settings
