"""The transcribed numbers: complete, with their digits, and consistent with each other."""

import itertools

import numpy as np
import pytest

from realmnet.curation.label_schema import PSMM
from realmnet.errors import InputError
from realmnet.reporting.published import (
    ABLATIONS,
    METRICS,
    ablation_cell,
    ablation_table,
    class_cells,
    class_tables,
    gains,
    headline,
    load,
    misprints,
    printed,
    statements,
)

# Every cell of Tables A5-A7 once more, typed from the page and not from the files: the fraction
# digits of precision, recall, F1, mAP, AUROC, Hamming, ranking, coverage.
AGAIN = {
    'A5': """
        9071 6071 7105 8778 9766 0659 0255 2233   8720 7325 7922 8783 9774 0554 0249 2145
        8309 8031 8158 8794 9781 0541 025 2156    7805 8716 8229 8787 9782 0575 0253 2148
        7163 9347 8082 8781 9783 0709 0247 2108   5193 9914 6569 8492 9747 1389 0254 2194
        3981 9961 5186 7532 9607 2545 0314 2614""",
    'A6': """
        7805 8716 8229 8787 9782 0575 0253 2148   7822 8693 8230 8764 9787 0571 0251 2134
        7826 8688 8230 8779 9788 0569 0248 2109   8296 7981 8122 8774 9786 0537 0249 2133
        8628 7207 7806 8747 9774 0566 0252 2156   8660 7180 7802 8768 9783 0564 0251 2142
        8695 7097 7760 8791 9790 0572 0253 2155""",
    'A7': """
        7493 8883 8124 8803 9774 0668 0261 2241   7095 922 8006 8821 978 0773 0254 2153
        6787 9453 7871 8837 9788 0878 0246 2075   6531 9591 77 8851 9785 0948 0246 2075
        7729 8694 8178 8736 9764 0607 0262 2272   7244 9072 804 8771 9772 0699 025 2159
        6938 9388 7949 8812 9783 0797 0241 2073   6548 9571 7704 8802 9781 0918 0245 2101
        798 837 8162 8699 9752 0568 0261 2288     7536 8835 8123 8734 9769 0629 025 2186
        714 9226 8025 8761 9777 0712 0243 2103    6691 9532 7778 8771 9781 0817 0238 2043
        8294 7918 806 8675 9745 0557 0263 2293    8017 8371 8164 8702 9761 0578 0259 2241
        7475 885 809 8708 9763 0639 0252 2161     6853 9424 7852 8688 9759 073 025 2117""",
}


@pytest.mark.parametrize(('number', 'rows'), [('A5', 7), ('A6', 7), ('A7', 16)])
def test_ablation_tables_have_every_cell_with_its_digits(number, rows):
    table = ablation_table(number)
    assert table.shape == (rows, len(ABLATIONS[number]) + len(METRICS))
    digits = [cell.split('.')[1] for row in table[list(METRICS)].to_numpy() for cell in row]
    assert digits == AGAIN[number].split()
    whole = {cell.split('.')[0] for cell in table['coverage']}
    assert whole == {'2'}
    assert {cell.split('.')[0] for m in METRICS[:-1] for cell in table[m]} == {'0'}


def test_settings_of_the_ablation_tables():
    assert ablation_table('A5')['alpha'].tolist() == [
        '.10',
        '.25',
        '.50',
        '.75',
        '.90',
        '.99',
        '.999',
    ]
    a6 = ablation_table('A6')
    assert a6['gamma'].tolist() == ['0', '0.1', '0.2', '0.5', '1.0', '2.0', '5.0']
    assert a6['alpha'].tolist() == ['.75', '.75', '.75', '.50', '.25', '.25', '.25']
    grid = list(itertools.product(('0.5', '1', '2', '4'), repeat=2))
    assert list(ablation_table('A7')[['T_P', 'T_N']].itertuples(index=False, name=None)) == grid


def test_alpha_75_of_a5_is_gamma_0_of_a6():
    assert ablation_cell('A5', alpha=0.75) == ablation_cell('A6', gamma=0)
    assert ablation_cell('A5', alpha=0.5) != ablation_cell('A6', gamma=0.5)


def test_macro_f1_is_at_most_the_harmonic_mean_of_macro_precision_and_recall():
    # the harmonic mean is concave, so the mean over classes of F1 cannot exceed it (Jensen)
    for number in ABLATIONS:
        p, r, f1 = ablation_table(number)[['precision', 'recall', 'F1']].to_numpy(float).T
        assert (f1 <= 2 * p * r / (p + r) + 1e-4).all()


def test_a_heavier_weight_of_positives_trades_precision_for_recall():
    p, r = ablation_table('A5')[['precision', 'recall']].to_numpy(float).T
    assert (np.diff(p) < 0).all()
    assert (np.diff(r) > 0).all()
    for _, rows in ablation_table('A7').groupby('T_P'):
        p, r = rows[['precision', 'recall']].to_numpy(float).T
        assert (np.diff(p) < 0).all()
        assert (np.diff(r) > 0).all()


def test_cells_are_found_by_number_and_mistakes_are_named():
    assert ablation_cell('A7', T_P=2.0, T_N=4)['coverage'] == '2.2043'
    assert ablation_cell('A6', gamma=1, alpha=0.25)['F1'] == '0.7806'
    assert ablation_cell('A6', gamma=1, alpha=0.75) == {}
    with pytest.raises(InputError, match='4 rows of table A7'):
        ablation_cell('A7', T_P=1)
    with pytest.raises(InputError, match=r"no setting \['T_X'\]"):
        ablation_cell('A7', T_X=1)
    with pytest.raises(InputError, match="'A4' is no ablation table"):
        ablation_table('A4')


def test_printed_intervals_are_symmetric():
    # mean +- 1.96 std: the value is the middle of its interval, to the last printed digit
    table = statements()
    table = table[table['low'] != '']
    assert len(table) == 16
    value, low, high = table[['value', 'low', 'high']].to_numpy(float).T
    assert np.abs((low + high) / 2 - value).max() <= 1.0001e-4
    for row in table[['value', 'low', 'high']].to_numpy():
        assert {len(cell.split('.')[1]) for cell in row} == {4}


def test_running_text():
    assert len(statements()) == 19
    assert headline()['value'].tolist() == [0.7970, 0.8497, 0.9745, 0.7903, 0.8398, 0.9736, 2.2586]
    assert printed('main-source', 'SUSTech') == {
        'F1': '0.7956', 'mAP': '0.8927', 'AUROC': '0.9869'
    }  # fmt: skip
    assert printed('main-source', 'LishuiR') == {}
    assert printed('peripheral', 'test') == {'AUROC': '0.8642'}
    assert printed('peripheral', 'test', of='PC')['AP'] == '0.8894'
    significant = statements()[statements()['p'] == '<0.001']
    assert significant['metric'].tolist() == ['F1', 'mAP', 'AUROC', 'coverage']
    assert gains()['gain'].tolist() == ['10%', '10%', '1%', '3.5%', '6.7%', '3.2%']


def test_means_of_class_rows_give_the_headline():
    for metric, name in (('F1', 'F1'), ('AP', 'mAP'), ('AUROC', 'AUROC')):
        for model in ('RealMNet', 'RealMNet-Max'):
            cells = class_cells(metric)[model]
            assert tuple(cells) == PSMM.classes
            mean = np.mean([float(percent) for percent, _ in cells.values()])
            assert f'{mean / 100:.4f}' == printed('centralized', 'test', model)[name]


def test_class_cells_keep_digits_and_leave_copies_out():
    assert {len(x.split('.')[1]) for m in class_cells('F1').values() for v in m.values()
            for x in v} == {4}  # fmt: skip
    assert len(class_cells('F1')) == 6
    assert list(class_cells('AP')) == list(class_cells('AUROC')) == ['RealMNet', 'RealMNet-Max']


def test_black_borders_add_up_to_the_data_set():
    tables = load('psmm_tables')
    number = lambda text: int(text.replace(',', ''))  # noqa: E731
    a3 = {name: [number(v) for v in cells.values()] for name, cells in tables['A3'].items()}
    for name, pair in a3.items():
        assert sum(pair) == number(tables['A1'][name]['images'])
    parts = np.sum([pair for name, pair in a3.items() if name != 'PSMM'], axis=0)
    assert parts.tolist() == a3['PSMM']
    assert tables['A4']['w/ Black Border'] == {'accuracy': '0.9813', 'mIoU': '0.9586'}
    assert tables['A4']['w/o Black Border'] == {'accuracy': '0.9796', 'mIoU': '0.9482'}


def test_what_the_misprints_say_is_so():
    found = {m.key: m for m in misprints()}
    table = class_tables()
    means = table[table['table'] == 1].groupby('model')['percent'].mean()
    for model in ('EfficientNet', 'RealMNet', 'RealMNet-Max'):
        assert f'{means[model]:.2f}' in found['efficientnet-f1'].what
    for model in found['copied-baselines'].rows:
        rows = table[table['model'] == model]
        values = [rows[rows['table'] == n][['percent', 'plus_minus']].to_numpy() for n in (1, 2, 3)]
        assert (values[0] == values[1]).all()
        assert (values[0] == values[2]).all()
    # no other two rows of different settings agree in ranking loss and coverage
    rows = [
        (number, tuple(row[name] for name in ABLATIONS[number]), row['ranking'], row['coverage'])
        for number in ABLATIONS
        for row in ablation_table(number).to_dict('records')
    ]
    pairs = [(a, b) for a, b in itertools.combinations(rows, 2) if a[2:] == b[2:]]
    assert [{a[:2], b[:2]} for a, b in pairs] == [
        {('A5', ('.75',)), ('A6', ('0', '.75'))},
        {('A7', ('0.5', '2')), ('A7', ('0.5', '4'))},
    ]
    coverage = [float(row[3]) for row in rows] + [2.2586]
    assert 2.20 < min(coverage) < max(coverage) < 2.27


def test_misprints_belong_to_tables_and_figures_that_exist():
    from realmnet.reporting.paper import PAPER

    kinds = {'misprint', 'contradiction', 'formula', 'convention', 'suspicion'}
    for misprint in misprints():
        assert misprint.kind in kinds
        assert set(misprint.where) <= set(PAPER)
        assert misprint.what.endswith('.')
        assert misprint.how
    assert len({m.key for m in misprints()}) == len(misprints()) == 13
