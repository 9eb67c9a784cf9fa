import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import precision_score

from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.errors import InputError
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.evaluation_table import STATED
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.prevalence import predictive_values, read_prevalences

DISEASE_IS_M = LabelSchema('s', ('M', 'N'), allow_empty=True, diagnosis=('M',))


def model(n=600, prevalence=0.3, gap=2.0, seed=0, per_patient=1):
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 2)) < prevalence).astype(np.int8)
    scores = special.expit(gap * (truth - 0.5) + rng.normal(size=(n, 2)))
    names = np.array([f'{i}.jpg' for i in range(n)], dtype=object)
    who = np.array([f'p{i // per_patient}' for i in range(n)], dtype=object)
    return Predictions(names, who, scores, truth, ('M', 'N'), {'diagnosis': ['M'], 'schema': 's'})


def test_prevalence_of_the_sample_gives_the_ppv_of_the_sample():
    data = model()
    share = {c: float(data.truth[:, i].mean()) for i, c in enumerate(data.classes)}
    result = evaluate(data, 0, prevalence={'': [share['M']], 'N': [share['N']]})
    for i, (name, part) in enumerate((('M', 'pathologic myopia, by image'), ('N', 'labels'))):
        of = f'PM by image at {share["M"]:g}' if name == 'M' else f'N at {share["N"]:g}'
        wanted = precision_score(data.truth[:, i], data.scores[:, i] >= 0.5)
        assert result.value('precision', of, part=STATED).value == pytest.approx(wanted, abs=1e-12)
        sample = result.value('NPV', 'PM' if name == 'M' else 'N', part=part)
        assert result.value('NPV', of, part=STATED).value == pytest.approx(sample.value)


def test_interval_of_independent_pictures_is_mercaldo_s():
    """Mercaldo, Lau and Zhou, Stat Med 2007: the logit form with the delta method."""
    data, pi = model(4000), 0.05
    found = evaluate(data, 2000, by='image', prevalence={'N': [pi]})
    truth, said = data.truth[:, 1] == 1, data.scores[:, 1] >= 0.5
    se, sp, n1, n0 = said[truth].mean(), (~said[~truth]).mean(), truth.sum(), (~truth).sum()
    ppv, npv = predictive_values(se, sp, pi)
    variances = {
        'precision': (ppv, (1 - se) / se / n1 + sp / (1 - sp) / n0),
        'NPV': (npv, se / (1 - se) / n1 + (1 - sp) / sp / n0),
    }
    for metric, (value, variance) in variances.items():
        reach = stats.norm.isf(0.025) * np.sqrt(variance)
        row = found.value(metric, 'N at 0.05', part=STATED)
        ends = special.expit(special.logit(value) + np.array([-reach, reach]))
        assert (row.low, row.high) == pytest.approx(ends, rel=0.06)


def test_patients_with_equal_pictures_have_the_interval_of_their_number():
    one = model(150)
    many = one.take(np.repeat(np.arange(150), 5))
    names = np.array([f'{i}.jpg' for i in range(750)], dtype=object)
    many = Predictions(names, many.patients, many.scores, many.truth, many.classes, many.info)
    a, b = (evaluate(p, 400, prevalence={'': [0.1]}) for p in (one, many))
    of = 'PM by image at 0.1'
    rows = [e.value('precision', of, part=STATED) for e in (a, b)]
    assert rows[0].low == pytest.approx(rows[1].low) and rows[0].units == rows[1].units
    by_image = evaluate(many, 400, by='image', prevalence={'': [0.1]})
    row = by_image.value('precision', of, part=STATED)
    assert row.high - row.low < 0.6 * (rows[1].high - rows[1].low)


@pytest.mark.parametrize('method', ['logit-t', 'percentile', 'bca', 'normal'])
def test_no_false_alarm_does_not_promise_a_rare_disease(method):
    data = model(400)
    truth = data.truth[:, 1]
    data.scores[:, 1] = np.where(truth == 1, np.where(np.arange(400) % 3, 0.9, 0.1), 0.2)
    found = evaluate(data, 200, by='image', method=method, prevalence={'N': [0.001]})
    row = found.value('precision', 'N at 0.001', part=STATED)
    assert row.value == 1
    if method != 'logit-t':
        assert row.remark == 'no spread' and np.isnan(row.low)
        return
    healthy = (truth == 0).sum()
    worst = 0.025 ** (1 / healthy)  # Clopper and Pearson: none of so many healthy
    sensitivity = found.value('recall', 'N').value
    assert row.low == pytest.approx(
        float(predictive_values(sensitivity, worst, 0.001)[0]), rel=0.02
    )
    assert row.low < 0.1 and row.high == 1


def test_never_predicted_and_one_patient():
    data = model(60, per_patient=60)
    data.scores[:, 1] = 0.1
    rows = evaluate(data, 20, prevalence={'N': [0.1]}).rows
    ppv, npv = (
        next(r for r in rows if r.part == STATED and r.metric == m) for m in ('precision', 'NPV')
    )
    assert np.isnan(ppv.value) and npv.value == pytest.approx(0.9) and npv.convention == ''


def test_block_and_rows_of_the_table():
    result = evaluate(model(), 20, prevalence={'': [0.02, 0.2], 'N': [0.02]})
    text = result.table()
    block = text[text.index('stated prevalence') :]
    assert 'PM by eye at 0.02' in block and 'N at 0.02' in block and 'mean' not in block
    assert 'taken to be the same' in text
    assert 'stated prevalence,precision,PM by image at 0.2' in result.table('csv')
    assert result.settings['prevalence'] == {'': [0.02, 0.2], 'N': [0.02]}
    assert 'prevalence' not in evaluate(model(), 0).settings


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('0', 'above 0 and below 1'),
        ('1', 'above 0 and below 1'),
        ('5', 'for 5 % say 0.05'),
        ('-0.1', 'above 0'),
        ('nan', 'above 0'),
        ('N=1.5', 'for 1.5 % say 0.015'),
        ('5%', 'expected a number'),
        ('N=', 'expected a number'),
        ('A4=0.1', "no class 'A4'"),
    ],
)
def test_refused(text, words):
    with pytest.raises(InputError, match=words):
        read_prevalences([text], DISEASE_IS_M)


def test_disease_without_a_meaning_is_refused_and_psmm_s_is_known():
    with pytest.raises(InputError, match='no class is said to mean one'):
        read_prevalences(['0.1'], LabelSchema('s', ('M', 'N'), allow_empty=True))
    assert read_prevalences(['.1', 'A4=1e-3', '0.1'], PSMM) == {'': [0.1], 'A4': [0.001]}
    with pytest.raises(InputError, match='sound or both'):
        evaluate(model(), 10, mode='published', prevalence={'N': [0.1]})
    with pytest.raises(InputError, match='is 2'):
        evaluate(model(), 10, prevalence={'N': [2]})
