import numpy as np
import pytest
from outcome_samples import cell, predictions

from realmnet.curation.label_schema import PSMM
from realmnet.evaluation.comparison import compare, holm
from realmnet.evaluation.evaluate import evaluate
from realmnet.reporting.border_tables import count_borders, table_a3, table_a4
from realmnet.reporting.measured import TRIAL, Entry, Estimate, entries_of
from realmnet.reporting.model_tables import (
    MODELS,
    class_value_tables,
    comparison_table,
    published_overall,
)
from realmnet.reporting.sweep_tables import difference, sweep_table

ESTIMATE = {'F1': Estimate(0.8, 0.7, 0.9, 'patients')}


def test_a_cell_has_ours_published_and_difference():
    entries = [
        Entry('a', {}, ESTIMATE, {'F1': '0.8229'}, 'done', True),
        Entry('b', {}, {}, {'F1': '0.7'}, command='tools/sweep.py s.py --only b'),
        Entry('c', {}, ESTIMATE, {}, 'done'),
    ]
    table = sweep_table('t', 'T', entries, ('F1', 'mAP'))
    assert table.rows == [
        ['a ★', 'ours', '0.8000 [0.7000, 0.9000]', ''],
        ['', 'published', '0.8229', 'not printed'],
        ['', 'difference', '-0.0229', ''],
        ['b', 'ours', 'not run', ''],
        ['', 'published', '0.7', 'not printed'],
        ['c', 'ours', '0.8000 [0.7000, 0.9000]', ''],
        ['', 'published', 'not printed', 'not printed'],
    ]
    assert table.notes == [
        'Ours: 95 % intervals by patient; threshold 0.5.',
        "★ the paper's choice.",
        'Not run: b (`tools/sweep.py s.py --only b`).',
    ]
    assert table.title == 'T'


def test_where_nothing_is_printed_a_cell_is_one_line():
    table = sweep_table('t', 'T', [Entry('a', {}, ESTIMATE)], ('F1',), ['The paper: x.'])
    assert table.rows == [['a', 'not printed', '0.8000 [0.7000, 0.9000]']]
    assert table.notes[0] == 'The paper: x.'


def test_synthetic_results_are_called_so():
    entries = [Entry('a', {}, ESTIMATE, data='quick'), Entry('b', {}, ESTIMATE, data='quick')]
    table = sweep_table('t', 'T', entries, ('F1',))
    assert table.title == '[SYNTHETIC, QUICK] T'
    assert 'all results come from synthetic pictures' in table.notes[0]
    assert 'mean nothing' in table.notes[0]
    mixed = sweep_table('t', 'T', [entries[0], Entry('c', {}, ESTIMATE)], ('F1',))
    assert [row[0] for row in mixed.rows] == ['a (synthetic)', 'c']
    assert mixed.notes[0].startswith('SYNTHETIC: a come')


def test_quick_results_on_own_pictures_are_called_quick_alone():
    table = sweep_table('t', 'T', [Entry('a', {}, ESTIMATE, data=TRIAL)], ('F1',))
    assert table.title == '[QUICK] T' and table.rows[0][0] == 'a'
    assert table.notes[0].startswith('QUICK: trained for a few epochs')


def test_commands_of_missing_cells_are_one_command():
    entries = [Entry(n, {}, {}, command=f'tools/sweep.py s.py --only {n}') for n in 'ab']
    assert sweep_table('t', 'T', entries).notes == ['Not run: a; b (`tools/sweep.py s.py`).']
    failed = Entry('c', {}, {}, state='failed', command='tools/sweep.py s.py --only c')
    done = Entry('d', {}, ESTIMATE)
    notes = sweep_table('t', 'T', [*entries, failed, done], ('F1',)).notes
    assert 'Not run: a; b (`tools/sweep.py s.py --only a b`).' in notes
    assert 'Failed: c (`tools/sweep.py s.py --only c`).' in notes


def test_classes_that_are_left_out_are_said():
    lost = {'F1': Estimate(0.5, undefined=('A4',)), 'mAP': Estimate(float('nan'))}
    table = sweep_table('t', 'T', [Entry('a', {}, lost)], ('F1', 'mAP'))
    assert table.rows[0][-1] == 'undefined'
    assert any('a: A4' in note for note in table.notes)


def test_difference_never_is_minus_zero():
    entry = Entry('a', {}, {'F1': Estimate(0.82289)}, {'F1': '0.8229', 'mAP': '0.5'})
    assert difference(entry, 'F1') == '+0.0000'
    assert difference(entry, 'mAP') == ''
    low = Entry('a', {}, {'F1': Estimate(0.6)}, {'F1': '>0.70'})
    assert difference(low, 'F1') == 'not above'


def test_class_tables_hold_both_conventions_beside_the_printed_cells():
    outcomes = [cell('RealMNet', target='test', data='synthetic'), cell('DeiT', target='test'),
                cell('ConvNeXt', seeds=(1, 2), target='test')]  # fmt: skip
    f1, ap, _ = class_value_tables(outcomes, PSMM.classes, bootstrap=30)
    rows = {}
    name = ''
    for row in f1.rows:
        name = row[0] or name
        rows[name, row[1]] = row[2:]
    assert {name for name, _ in rows} == set(MODELS)
    assert rows['RealMNet', 'published'][0] == '93.7815±0.0208'
    assert rows['RealMNet', 'published'][-1] == '79.0288'
    done = evaluate(predictions(0), 30, mode='both', diagnosis='')
    first = done.value('F1', 'S0', 'published')
    assert rows['RealMNet', 'ours, same ±'][0] == (
        f'{100 * first.value:.4f}±{100 * first.plus_minus:.4f}'
    )
    last = done.value('F1', '', 'sound')
    assert rows['RealMNet', 'ours, 95 %'][-1] == (
        f'{100 * last.value:.2f} [{100 * last.low:.2f}, {100 * last.high:.2f}]'
    )
    assert rows['RealMNet', 'difference'][0] == f'{100 * first.value - 93.7815:+.2f}'
    assert ('ConvNeXt', 'ours, 2 seeds') in rows
    assert rows['RealMNet-Max', 'ours'][0] == 'not run'
    assert f1.title.startswith('[SYNTHETIC] Table 1.')
    published = [row for row in ap.rows if row[1] == 'published']
    assert [set(row[2:]) == {'not printed'} for row in published] == [True] * 4 + [False] * 2
    assert not any(row[1] == 'difference' and row[0] == 'DeiT' for row in ap.rows)


def test_published_overall_has_no_copies():
    assert published_overall('DeiT') == {'F1': '0.7502'}
    assert published_overall('RealMNet') == {
        'F1': '0.7903', 'mAP': '0.8398', 'AUROC': '0.9736', 'coverage': '2.2586'
    }  # fmt: skip
    assert published_overall('another') == {}


def test_comparison_corrects_over_all_counterparts():
    outcomes = [
        cell('RealMNet', target='test'),
        cell('DeiT', seeds=(5,), noise=3, target='test'),
        cell('Swin Transformer', seeds=(7,), target='test'),
        cell('ConvNeXt', seeds=()),
    ]
    table = comparison_table(outcomes, bootstrap=40)
    assert len(table.rows) == 8
    p = []
    for i, other in enumerate(outcomes[1:3]):
        rows = compare(outcomes[0].runs[0]['test'], other.runs[0]['test'], 40,
                       metrics=('F1', 'mAP', 'AUROC', 'coverage'))[:4]  # fmt: skip
        p += [row.p for row in rows]
        assert table.rows[4 * i][2:4] == [f'{rows[0].first:.4f}', f'{rows[0].second:.4f}']
    assert [row[6] for row in table.rows] == [f'{v:.3f}' for v in holm(p)]
    assert {row[-1] for row in table.rows} == {'P <0.001'}
    assert 'Not run: ConvNeXt.' in table.notes
    nothing = comparison_table(outcomes[1:], bootstrap=40)
    assert nothing.rows == []
    assert nothing.notes[0].startswith('Nothing to compare yet')


def test_tables_are_written_for_latex():
    table = sweep_table('t', 'γ < 1 ★', [Entry('a', {}, ESTIMATE)], ('F1', 'coverage'))
    latex = table.to_latex()
    assert r'$\gamma$ $<$ 1 $\star$' in latex
    assert r'Coverage $\downarrow$' in latex


def test_black_borders_are_counted_by_source(tmp_path):
    from PIL import Image

    from realmnet.curation.label_table import read_label_table

    lines = ['S0,S1,A0,A1,A2,A3,A4,filename,ID']
    for i, source in enumerate(['SUSTech', 'SUSTech', 'LishuiR']):
        picture = np.full((60, 60, 3), 90, np.uint8)
        if i == 0:
            picture[:10] = 0
        Image.fromarray(picture).save(tmp_path / f'{source}-{i}_1.png')
        lines.append(f'1,0,0,1,0,0,0,{source}-{i}_1.png,{source}-{i}')
    (tmp_path / 'all.csv').write_text('\n'.join(lines) + '\n')
    counts = count_borders(read_label_table(tmp_path / 'all.csv'), tmp_path)
    assert counts == {'SUSTech': (1, 1), 'LishuiR': (0, 1)}
    table = table_a3(counts)
    ours = dict(zip(table.header, table.rows[0], strict=True))
    assert (ours['PSMM'], ours['SUSTech'], ours['Zhongshan']) == ('1', '1', 'not counted')
    assert table_a3(None).rows[1][1] == '31,244'
    assert table_a4().rows[0][1:3] == ['0.9813', '0.9586']


@pytest.mark.parametrize('seeds', [(0,), (1, 2)])
def test_tables_from_predictions(seeds):
    entries = entries_of([cell('a', seeds=seeds)], 'val', 20)
    table = sweep_table('t', 'T', entries)
    assert ('(2 seeds)' in table.rows[0][2]) == (len(seeds) == 2)
    assert ('seeds' in table.notes[0]) == (len(seeds) == 2)
