import math

import numpy as np
import pytest
from outcome_samples import cell, predictions

from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.metrics import all_metrics
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting.measured import (
    Entry,
    Estimate,
    average,
    entries_by_source,
    entries_of,
    measure,
    same_pictures,
    synthetic_mark,
)
from realmnet.reporting.outcome import Outcome
from realmnet.reporting.published import METRICS
from realmnet.reporting.sweep_tables import shown


def test_one_run_has_the_intervals_of_the_evaluation():
    run = predictions()
    found = measure([run], bootstrap=30)
    whole = evaluate(run, 30, diagnosis='')
    assert tuple(found) == METRICS
    for metric, estimate in found.items():
        row = whole.value(metric)
        assert (estimate.value, estimate.low, estimate.high) == (row.value, row.low, row.high)
        assert estimate.of == 'patients'
    assert measure([]) == {}


def test_several_runs_have_mean_and_deviation_over_seeds():
    runs = [predictions(seed) for seed in (1, 2, 3)]
    values = [all_metrics(r.truth, r.scores, r.classes)['mAP'] for r in runs]
    found = measure(runs, ['mAP'])['mAP']
    assert found.value == pytest.approx(np.mean(values))
    assert found.high - found.value == pytest.approx(np.std(values, ddof=1))
    assert found.value - found.low == pytest.approx(np.std(values, ddof=1))
    assert (found.of, found.runs) == ('seeds', 3)


def test_classes_without_positives_are_named():
    run = predictions()
    truth = run.truth.copy()
    truth[:, 6] = 0
    run = Predictions(run.filenames, run.patients, run.scores, truth, run.classes)
    found = measure([run], ('F1', 'mAP', 'hamming'), bootstrap=20)
    assert found['F1'].undefined == found['mAP'].undefined == ('A4',)
    assert found['hamming'].undefined == ()


def test_average_of_independent_test_sets_has_the_right_spread():
    # a mean of two numbers with standard deviations .03 and .04 has (.03^2 + .04^2)^.5 / 2 = .025
    parts = [{'F1': Estimate(m, m - 1.96 * s, m + 1.96 * s, 'patients')}
             for m, s in ((0.5, 0.03), (0.7, 0.04))]  # fmt: skip
    found = average(parts)['F1']
    assert found.value == pytest.approx(0.6)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 0.025)
    skewed = [{'F1': Estimate(0.5, 0.44, 0.52)}, {'F1': Estimate(0.7, 0.62, 0.73)}]
    found = average(skewed)['F1']  # below: (.06^2 + .08^2)^.5 / 2 = .05
    assert (found.low, found.high) == pytest.approx((0.55, 0.6 + (0.02**2 + 0.03**2) ** 0.5 / 2))
    assert average([*parts, {}]) == {}
    seeds = average([{'F1': Estimate(0.5, 0.4, 0.6, 'seeds', 3)}, parts[1]])['F1']
    assert math.isnan(seeds.low)
    assert seeds.runs == 3


def test_entries_keep_order_state_and_published():
    outcomes = [cell('a', {'x': 1}, published={'F1': '0.5'}, chosen=True), cell('b', seeds=()),
                cell('c', target='test')]  # fmt: skip
    calls = []
    entries = entries_of(outcomes, 'val', 20, progress=lambda *args: calls.append(args))
    assert [entry.name for entry in entries] == ['a', 'b', 'c']
    assert entries[0].chosen
    assert entries[0].published == {'F1': '0.5'}
    assert entries[1].state == 'not run'
    assert entries[2].state == 'no predictions on val'
    assert [bool(entry.estimates) for entry in entries] == [True, False, False]
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_protocols_by_source():
    runs = [{s: predictions(i) for i, s in
             enumerate(('SUSTech', 'LishuiR', 'Zhongshan', 'LishuiZ'))}]  # fmt: skip
    entries = entries_by_source([Outcome('main source', {}, {}, runs, 'done')], 'main-source', 20)
    assert [e.name for e in entries] == ['SUSTech', 'LishuiR', 'Zhongshan', 'LishuiZ', 'average']
    assert entries[0].published['mAP'] == '0.8927'
    assert entries[2].published['F1'] == '>0.70'
    values = [entry.estimates['F1'].value for entry in entries]
    assert values[4] == pytest.approx(np.mean(values[:4]))

    cells = [Outcome(f'w/o {s}', {}, {}, [{s: run}], 'done') for s, run in runs[0].items()]
    again = entries_by_source(cells, 'cyclic-source', 20)
    assert [entry.estimates['F1'].value for entry in again] == values
    assert again[2].published == {'hamming': '0.0985', 'ranking': '0.0530'}

    short = entries_by_source([*cells[:3], Outcome('w/o LishuiZ', {}, {}, [])], 'cyclic-source', 20)
    assert short[3].state == 'not run'
    assert short[4].estimates == {}
    assert short[4].state == 'needs all sources'


def test_cells_on_other_pictures_are_named():
    other = Outcome('c', {}, {}, [{'val': predictions(first=1000)}])
    assert same_pictures([cell('a'), cell('b')], 'val') == ''
    assert same_pictures([cell('a'), cell('b'), other], 'val').endswith('them: c.')


def test_marks_of_the_data():
    number = {'F1': Estimate(0.5)}
    assert synthetic_mark([Entry('a', {}, number)]) == ''
    assert synthetic_mark([Entry('a', {}, {}, data='synthetic')]) == ''  # nothing ran
    mixed = [Entry('a', {}, number), Entry('b', {}, number, data='synthetic')]
    assert synthetic_mark(mixed) == 'SYNTHETIC'


def test_one_patient_reaches_the_tables_of_sweeps():
    truth = np.zeros((60, 1), np.int8)
    truth[:20] = 1
    scores = np.where(np.arange(60) < 18, 0.9, 0.1)[:, None]
    who = np.array(['a'] * 20 + [f'p{i}' for i in range(40)], dtype=object)
    names = np.array([f'{i}.jpg' for i in range(60)], dtype=object)
    found = measure([Predictions(names, who, scores, truth, ('M',))], ('recall', 'hamming'), 40)
    assert shown(found['recall']) == '0.9000 (one patient)'
    assert math.isnan(found['recall'].low)
    assert '[' in shown(found['hamming'])
    mean = average([found, {'recall': Estimate(0.7, 0.6, 0.8), 'hamming': found['hamming']}])
    assert shown(mean['recall']) == '0.8000 (one patient)'
