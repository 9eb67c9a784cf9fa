"""Every record of a metric is whole: what it says of itself is what its numbers do."""

import json
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from realmnet.curation.label_schema import PSMM
from realmnet.errors import InputError
from realmnet.evaluation import comparison, evaluate, metric_records
from realmnet.evaluation.bootstrap import effective_units, replicate
from realmnet.evaluation.intervals import interval
from realmnet.evaluation.metric_records import (
    METRICS,
    columns_of,
    find_metric,
    metric_of,
    title_of,
)
from realmnet.evaluation.metric_types import Metric
from realmnet.evaluation.metrics import all_metrics, class_metrics, make_plan, metrics_table
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting import grid_figures, measured, model_tables, published, summary

CLASSES = PSMM.classes
EACH = pytest.mark.parametrize('metric', METRICS, ids=lambda metric: metric.name)
OF_CLASS = pytest.mark.parametrize(
    'metric', [m for m in METRICS if m.level == 'class'], ids=lambda metric: metric.name
)


def example(n=240, seed=0):
    """One staphyloma and one grade an image, A4 rare; some four images a patient."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((n, 7), np.int8)
    truth[np.arange(n), rng.integers(0, 2, n)] = 1
    truth[np.arange(n), 2 + rng.choice(5, n, p=[0.2, 0.4, 0.2, 0.15, 0.05])] = 1
    scores = 1 / (1 + np.exp(-(2.5 * truth - 1.2 + rng.normal(size=(n, 7)))))
    return truth, scores, rng.integers(0, n // 4, n)


def columns(metric, classes=CLASSES):
    return [c for c in columns_of(classes) if c.metric is metric]


@EACH
def test_a_record_has_names_and_titles_of_its_own(metric):
    names = [c.name for c in columns(metric)]
    others = [c.name for m in METRICS if m is not metric for c in columns(m)]
    assert names
    assert not {*names, metric.name} & {*others, *(m.name for m in METRICS if m is not metric)}
    assert all(find_metric(name) is metric for name in (metric.name, *names))
    titles = [title_of(m.name) for m in METRICS]
    assert titles.count(metric.title) == 1
    assert metric.title[0].isupper()
    levels = {'class': {'class', 'macro'}, 'set': {'set'}}[metric.level]
    assert {c.level for c in columns(metric)} == levels | ({'micro'} if metric.micro else set())
    assert (
        len({title_of(c.name) for c in columns(metric) if c.level != 'class'}) == 1 + metric.micro
    )


@EACH
def test_values_lie_in_the_range_and_better_is_better(metric):
    low, high = metric.range(7)
    truth, scores, _ = example()
    sure = np.where(truth == 1, 0.95, 0.05)
    found = [
        all_metrics(truth, s, CLASSES) for s in (sure, 1 - sure, scores, scores * 0, 0 * sure + 1)
    ]
    for column in columns(metric):
        best, worst, *others = (values[column.name] for values in found)
        assert all(low <= v <= high for v in (best, worst, *others) if np.isfinite(v))
        assert best > worst if metric.better == 'greater' else best < worst
    # No narrower range would do, of a ratio: it is reached where all is right, or all is wrong.
    single = [
        all_metrics(truth, np.abs(truth - wrong) * 1.0, CLASSES)[columns(metric)[0].name]
        for wrong in (0, 1)
    ]
    assert {low, high} & set(single)


@OF_CLASS
@pytest.mark.parametrize('part', ['positives', 'negatives', 'claimed', 'rejected'])
def test_a_class_value_is_undefined_without_what_it_needs_and_only_then(metric, part):
    rng = np.random.default_rng(1)
    truth, scores = rng.integers(0, 2, (60, 1)), rng.random((60, 1))
    assert np.isfinite(class_metrics(truth, scores)[metric.name][0])
    truth = {'positives': 0 * truth, 'negatives': 0 * truth + 1}.get(part, truth)
    threshold = {'claimed': 1.1, 'rejected': 0.0}.get(part, 0.5)
    value = class_metrics(truth, scores, threshold)[metric.name][0]
    assert np.isnan(value) == (part in metric.needs)


def test_a_value_of_label_sets_is_undefined_only_without_grades():
    truth, scores, _ = example()
    truth[:, 2:] = 0
    values = all_metrics(truth, scores, CLASSES)
    for metric in METRICS:
        if metric.level == 'set':
            assert np.isnan(values[metric.name]) == ('graded' in metric.needs), metric.name


@OF_CLASS
def test_a_mean_is_that_of_the_classes_with_a_value(metric):
    truth, scores, _ = example()
    truth[:, 6] = 0  # nothing of A4
    by_class = class_metrics(truth, scores)[metric.name]
    assert np.isnan(by_class[6]) == ('positives' in metric.needs)
    values = all_metrics(truth, scores, CLASSES)
    assert values[metric.mean] == pytest.approx(np.nanmean(by_class), abs=1e-12)


@EACH
def test_its_spread_rests_on_what_it_needs_and_on_what_moves_it(metric):
    assert set(metric.needs) <= set(metric.rests_on)
    assert bool(metric.needs) == bool(metric.rests_on)
    if metric.level == 'set' or not metric.rests_on:
        return
    rng = np.random.default_rng(2)
    truth, scores = rng.integers(0, 2, (200, 1)), rng.random((200, 1))
    before = class_metrics(truth, scores)[metric.name][0]
    for kind, value in (('positives', 1), ('negatives', 0)):
        other = np.where(truth == value, rng.random((200, 1)), scores)
        moves = class_metrics(truth, other)[metric.name][0] != pytest.approx(before, abs=1e-9)
        # The units with a prediction, or without one, are of both kinds.
        named = {kind, 'claimed', 'rejected'} & set(metric.rests_on)
        assert bool(named) == bool(moves), kind


@EACH
def test_the_bootstrap_counts_the_units_of_its_record(metric):
    truth, scores, patients = example()
    plan = make_plan(truth, scores, CLASSES)
    found = dict(zip(plan.names, effective_units(plan, patients), strict=True))
    yes, chosen = truth == 1, scores >= 0.5

    def kish(counts):
        sizes = np.array([counts[patients == p].sum() for p in np.unique(patients)])
        return sizes.sum() ** 2 / (sizes**2).sum()

    for column in columns(metric):
        pick = slice(None) if column.level != 'class' else [CLASSES.index(column.of)]
        units = {
            'positives': yes[:, pick].sum(1),
            'negatives': (~yes)[:, pick].sum(1),
            'claimed': chosen[:, pick].sum(1),
            'rejected': (~chosen)[:, pick].sum(1),
            'graded': yes[:, 2:].sum(1) == 1,
        }
        if column.level == 'macro' and metric.rests_on:
            assert np.isnan(found[column.name])
            continue
        wanted = min((kish(units[part]) for part in metric.rests_on), default=kish(np.ones(240)))
        assert found[column.name] == pytest.approx(wanted), column.name


@pytest.fixture(scope='module')
def drawn():
    truth, scores, patients = example(480)
    return replicate(make_plan(truth, scores, CLASSES), 100, patients)


@EACH
@pytest.mark.parametrize('method', ['logit', 'logit-t'])
def test_its_interval_holds_the_value_inside_its_range(metric, method, drawn):
    ends, (low, high) = interval(drawn, method), metric.range(7)
    for column in columns(metric):
        i = drawn.names.index(column.name)
        assert low <= ends.low[i] < drawn.point[i] < ends.high[i] <= high, column.name
        assert ends.units[i] >= 1.5


@pytest.fixture(scope='module')
def evaluation():
    truth, scores, patients = example()
    names = np.array([f'{i}.png' for i in range(len(truth))], dtype=object)
    return evaluate.evaluate(
        Predictions(names, patients.astype(str).astype(object), scores, truth, CLASSES), 20
    )


@EACH
def test_files_hold_it_and_texts_print_it_where_its_record_says(metric, evaluation):
    rows = {
        (row['metric'], row['of'])
        for row in json.loads(evaluation.table('json'))['rows']
        if row['part'] == 'labels'
    }
    for column in columns(metric):
        wanted = metric.name if column.level == 'class' else column.name
        assert (wanted, column.of) in rows
    text = evaluation.table('text')
    blocks = text.split('\n\n')
    place = {'table': blocks[1].splitlines()[0], 'files': ''}.get(metric.shown, blocks[2])
    found = {name for name in re.findall(r'\S+', place) if name == metric.name}
    assert found == (set() if metric.shown == 'files' else {metric.name})
    if metric.shown == 'files':
        assert metric.name not in text
    truth, scores, _ = example()
    log = metrics_table(all_metrics(truth, scores, CLASSES), CLASSES, CLASSES)
    assert (metric.name in re.findall(r'\w+', log)) == (metric.shown in ('table', 'line'))


def test_tables_and_comparisons_can_name_every_metric():
    truth, scores, patients = example()
    names = np.array([f'{i}.png' for i in range(len(truth))], dtype=object)
    one = Predictions(names, patients.astype(str).astype(object), scores, truth, CLASSES)
    asked = [c.name for c in columns_of(CLASSES)]
    rows = comparison.compare(one, one, 10, metrics=asked)
    assert [row.metric for row in rows if row.test == 'bootstrap'] == asked
    overall = {c.name: c.metric for c in columns_of((), micro=False)}
    values = all_metrics(truth, scores, CLASSES)
    for name, estimate in measured.measure([one], tuple(overall), 0).items():
        assert estimate.value == values[name]
        assert measured.heading(name).endswith('↓') == (overall[name].better == 'less')


def test_what_is_asked_for_by_name_has_a_record():
    asked = [
        *published.METRICS,
        *comparison.OVERALL,
        *comparison.BY_CLASS,
        *model_tables.COMPARED,
        *evaluate.DECISION_METRICS,
        *evaluate.DIAGNOSIS_METRICS,
        *grid_figures.RADAR_METRICS,
        *summary.forest_figure.__defaults__[0],
    ]
    known = {name for metric in METRICS for name in (metric.name, metric.mean)}
    assert set(asked) <= known
    assert [m.clinical for m in map(metric_of, evaluate.DIAGNOSIS_METRICS)] == [
        'sensitivity',
        'specificity',
        'PPV',
        'NPV',
        'AUROC',
        'AP',
    ]


def test_a_record_without_a_field_is_none_and_an_unknown_name_is_said():
    whole = {field: getattr(METRICS[0], field) for field in Metric.__dataclass_fields__}
    for field in (
        'name',
        'title',
        'level',
        'limits',
        'better',
        'rests_on',
        'needs',
        'shown',
        'value',
    ):
        with pytest.raises(TypeError, match=field):
            Metric(**{key: value for key, value in whole.items() if key != field})
    assert find_metric('accuracy') is find_metric('F10') is None
    with pytest.raises(InputError, match=r"metric 'accuracy' is unknown; there are .*'MCC'"):
        metric_of('accuracy')


def test_docs_name_every_record_and_show_one():
    page = (Path(__file__).parents[2] / 'docs' / 'evaluation.md').read_text(encoding='utf-8')
    shown = page.split('```python\n')[1].split('```')[0]
    source = Path(metric_records.__file__).read_text(encoding='utf-8')
    assert textwrap.indent(shown.strip(), '    ') + ',\n' in source
    for metric in METRICS:
        low, high = metric.limits
        levels = 'label sets' if metric.level == 'set' else 'class, mean'
        if metric.mean != metric.name:
            levels += f' (`{metric.mean}`)'
        cells = [
            f'`{metric.name}`',
            levels + ', micro' * metric.micro,
            f'{low} to {"the number of classes" if high is None else high}',
            metric.better,
            ', '.join(metric.rests_on) or 'all',
            ', '.join(metric.needs) or '-',
            metric.shown,
        ]
        assert f'| {" | ".join(cells)} |\n' in page, metric.name


@pytest.mark.parametrize(
    ('name', 'oracle'),
    [('MCC', sk.matthews_corrcoef), ('balanced_accuracy', sk.balanced_accuracy_score)],
)
@pytest.mark.parametrize('seed', range(3))
def test_mcc_and_balanced_accuracy_equal_scikit_learns(name, oracle, seed):
    truth, scores, _ = example(60 + seed, seed)
    scores[:, 1] = 0.2 + 0.1 * (scores[:, 1] > 0.5)  # S1 is never predicted, A1 always
    scores[:, 3] = 0.9
    truth[:, 6] = seed == 2  # all A4 or none
    values, predicted = all_metrics(truth, scores, CLASSES), scores >= 0.5
    wanted = np.full(7, np.nan)
    for i in range(6):
        wanted[i] = oracle(truth[:, i], predicted[:, i])
    found = [values[f'{name}_{c}'] for c in CLASSES]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert values[name] == pytest.approx(np.nanmean(wanted), abs=1e-12)


def test_mcc_of_perfect_and_reversed_decisions_is_exact():
    for positives in range(1, 50):
        truth = (np.arange(50) < positives).astype(int)[:, None]
        assert class_metrics(truth, truth * 1.0)['MCC'][0] == 1
        assert class_metrics(truth, 1.0 - truth)['MCC'][0] == -1
