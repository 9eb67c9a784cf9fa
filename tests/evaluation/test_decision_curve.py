import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy import special
from sklearn.metrics import confusion_matrix

from realmnet.errors import InputError
from realmnet.evaluation.decision_curve import curve_rows, decision_curve, net_benefit
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting.decision_curves import decision_figure
from realmnet.reporting.style import COLOURS


def model(n=400, seed=0, per_patient=2):
    rng = np.random.default_rng(seed)
    chance = rng.normal(-1, 1.5, (n, 1))
    truth = (rng.random((n, 1)) < special.expit(chance)).astype(np.int8)
    who = np.array([f'p{i // per_patient}' for i in range(n)], dtype=object)
    names = np.array([f'{i}.jpg' for i in range(n)], dtype=object)
    return Predictions(names, who, special.expit(chance), truth, ('M',))


def test_by_hand():
    # of ten, four ill; from .5 on five are referred, three of them ill; odds 1; from .2 on all
    scores = np.array([0.9, 0.8, 0.7, 0.3, 0.6, 0.55, 0.4, 0.3, 0.25, 0.2])[:, None]
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], np.int8)[:, None]
    names = np.array(list('abcdefghij'), dtype=object)
    found = decision_curve(
        Predictions(names, names, scores, truth, ('M',)), 'M', [0.2, 0.5], bootstrap=0
    )
    assert found.model == pytest.approx([0.4 - 0.6 / 4, 0.3 - 0.2])
    assert found.everyone == pytest.approx([0.25, -0.2])
    assert found.better == pytest.approx([0, 0.1])


def test_is_the_formula_of_the_paper_from_scikit_learn_s_counts():
    data = model()
    found = decision_curve(data, 'M', bootstrap=0)
    for pt, value in zip(found.thresholds, found.model, strict=True):
        counts = confusion_matrix(data.truth[:, 0], data.scores[:, 0] >= pt)
        (_, false), (_, true) = counts
        assert value == pytest.approx((true - false * pt / (1 - pt)) / len(data))
    assert (found.model <= data.truth.mean() + 1e-12).all()


def test_expected_utility_gives_the_same_order():
    """Cost of a needless referral pt, of a missed patient 1 - pt: utility = const + (1 - pt) NB."""
    data = model()
    for pt in (0.1, 0.3, 0.6):
        referred = data.scores[:, 0] >= pt
        ill = data.truth[:, 0] == 1
        cost = (pt * (referred & ~ill) + (1 - pt) * (~referred & ill)).mean()
        nothing = (1 - pt) * ill.mean()
        found = decision_curve(data, 'M', [pt], bootstrap=0)
        assert nothing - cost == pytest.approx((1 - pt) * found.model[0])


def test_stated_prevalence_of_the_data_changes_nothing_and_another_keeps_the_rates():
    data = model()
    plain = decision_curve(data, 'M', bootstrap=50)
    same = decision_curve(data, 'M', prevalence=float(data.truth.mean()), bootstrap=0)
    assert same.model == pytest.approx(plain.model) and same.stated
    pt, pi = 0.1, 0.02
    found = decision_curve(data, 'M', [pt], prevalence=pi, bootstrap=0)
    truth, prior = data.truth[:, 0] == 1, data.truth.mean()
    odds = data.scores[:, 0] / (1 - data.scores[:, 0]) * pi / (1 - pi) * (1 - prior) / prior
    referred = odds / (1 + odds) >= pt
    se, fp = referred[truth].mean(), referred[~truth].mean()
    assert found.model[0] == pytest.approx(net_benefit(se * pi, fp * (1 - pi), pt))
    assert found.everyone[0] == pytest.approx(pi - (1 - pi) / 9)


def test_band_is_by_patient():
    one = model(100, per_patient=1)
    many = one.take(np.repeat(np.arange(100), 4))
    names = np.array([f'{i}.jpg' for i in range(400)], dtype=object)
    many = Predictions(names, many.patients, many.scores, many.truth, many.classes)
    a, b = (decision_curve(p, 'M', [0.2], bootstrap=300) for p in (one, many))
    for name in ('low', 'high', 'better_low'):
        assert getattr(a, name) == pytest.approx(getattr(b, name))
    c = decision_curve(many, 'M', [0.2], bootstrap=300, by='image')
    assert (c.high - c.low) < 0.6 * (b.high - b.low)
    assert a.low < a.model < a.high and a.better_high - a.better_low < a.high - a.low
    alone = many.patients.copy()
    alone[many.truth[:, 0] == 1] = 'p0'
    lone = Predictions(names, alone, many.scores, many.truth, many.classes)
    assert np.isnan(decision_curve(lone, 'M', [0.2], bootstrap=20).low).all()


@pytest.mark.parametrize(
    ('change', 'settings', 'words'),
    [
        (None, {'of': 'X'}, "no class 'X'"),
        (None, {'thresholds': [0, 0.5]}, 'above 0 and below 1'),
        (None, {'thresholds': [0.5, 1]}, 'above 0 and below 1'),
        (None, {'thresholds': [np.nan]}, 'above 0 and below 1'),
        (None, {'thresholds': []}, 'must be numbers'),
        (None, {'thresholds': [0.5, 0.2]}, 'must rise'),
        (None, {'prevalence': 0}, 'above 0 and below 1'),
        (None, {'prevalence': 5}, 'for 5 % say 0.05'),
        (0, {}, 'no picture has M'),
        (1, {}, 'every picture has M'),
    ],
)
def test_refused(change, settings, words):
    data = model(20)
    if change is not None:
        data.truth[:] = change
    with pytest.raises(InputError, match=words):
        decision_curve(data, **{'of': 'M', **settings})


def test_table_and_figure():
    curves = {
        name: [decision_curve(model(seed=i), 'M', bootstrap=20)]
        for i, name in enumerate(('ours', 'other'))
    }
    header, rows = curve_rows(curves['ours'])
    first = dict(zip(header, rows[9], strict=True))
    curve = curves['ours'][0]
    assert first['threshold'] == 0.1 and first['net_benefit'] == curve.model[9]
    assert first['better_low'] == curve.better_low[9] and len(rows) == 99
    figure = decision_figure(curves, model().schema, synthetic=True)
    axes = figure.axes[0]
    lines = axes.get_lines()
    assert [line.get_ydata()[9] for line in lines[:3]] == pytest.approx(
        [curve.model[9], curves['other'][0].model[9], curve.everyone[9]]
    )
    assert to_hex(lines[0].get_color()) == COLOURS[0].lower()
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        'ours',
        'other',
        'refer everyone',
        'refer no one',
    ]
    texts = {text.get_gid(): text.get_text() for text in figure.texts}
    assert 'SYNTHETIC' in texts['synthetic'] and 'M 123 of 400' in texts['caption']
