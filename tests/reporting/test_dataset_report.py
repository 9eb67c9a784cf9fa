"""Tables as text, figures with the right numbers, and the report as a whole."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.curation.label_table import LabelTable
from realmnet.curation.protocols import Counts
from realmnet.errors import InputError
from realmnet.reporting.dataset_figures import (
    draw_class_counts,
    draw_flows,
    draw_people,
    draw_samples,
)
from realmnet.reporting.dataset_report import write_report
from realmnet.reporting.dataset_tables import count_problems, verdict
from realmnet.reporting.published import load
from realmnet.reporting.style import save_figure
from realmnet.reporting.tables import Table

HEADER = 'S0,S1,A0,A1,A2,A3,A4,filename,ID\n'
ROWS = {
    'train': ['1,0,0,1,0,0,0,SUSTech-1_1.jpg,SUSTech-1', '0,1,0,0,1,0,0,SUSTech-1_2.jpg,SUSTech-1',
              '1,0,1,0,0,0,0,ShenzhenEye-2_1.jpg,ShenzhenEye-2',
              '1,0,0,1,0,0,0,ShenzhenEye-6_1.jpg,ShenzhenEye-6'],
    'val': ['0,1,0,0,0,0,1,ShenzhenEye-3_1.jpg,ShenzhenEye-3'],
    'test': ['0,1,0,0,0,1,0,SUSTech-4_1.jpg,SUSTech-4'],
}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / 'data' / 'ImageSets' / 'Main'
    folder.mkdir(parents=True)
    for split, rows in ROWS.items():
        (folder / f'{split}.csv').write_text(HEADER + '\n'.join(rows) + '\n')
    return tmp_path / 'data'


def texts(figure):
    from matplotlib.text import Text

    return [t.get_text() for t in figure.findobj(Text) if t.get_text()]


def test_a_table_in_three_forms():
    table = Table('t', 'A & B', ['x', 'y_1'], [['a|b', '50 %']], ['see ± 1'])
    assert table.to_markdown().splitlines()[2:5] == ['| x | y_1 |', '| --- | ---: |',
                                                     '| a\\|b | 50 % |']  # fmt: skip
    assert table.to_csv() == 'x,y_1\na|b,50 %\n'
    latex = table.to_latex()
    assert r'\caption{A \& B}' in latex
    assert r'x & y\_1 \\' in latex
    assert r'a|b & 50 \% \\' in latex
    assert r'see $\pm$ 1' in latex
    with pytest.raises(ValueError, match='does not fit'):
        Table('t', 'T', ['x'], [['1', '2']])


def test_verdict_compares_printed_digits():
    assert verdict([(4560, '4,560')]) == 'exact'
    assert verdict([(4561, '4,560'), (1, '1')]) == '1 of 2 differ'
    assert verdict([(0.00176, '0.0018'), (0.0, '0.')], 4) == 'exact'
    assert verdict([(1, '–')]) == '–'


def test_published_tables_add_up():
    tables = load('psmm_tables')
    number = lambda text: int(text.replace(',', ''))  # noqa: E731
    a1 = {k: (number(v['patients']), number(v['images'])) for k, v in tables['A1'].items()}
    parts = np.array([v for k, v in a1.items() if k != 'PSMM'])
    assert tuple(parts.sum(0)) == a1['PSMM']
    cip = tables['5']['CIP']
    assert sum(number(cip[s]['images']) for s in ('train', 'val', 'test')) == a1['PSMM'][1]
    for folder, row in tables['7'].items():
        source = folder.removeprefix('CGP_wo-')
        assert number(row['train']['images']) + a1[source][1] == a1['PSMM'][1]
        assert number(row['train']['patients']) + a1[source][0] == a1['PSMM'][0]
    splits = load('psmm_splits')['splits']
    for row in splits.values():
        assert row['positives'][0] + row['positives'][1] == row['images']
        assert sum(row['positives'][2:]) == row['images']


def test_figures_carry_the_counts(tmp_path):
    counts = pd.DataFrame([[30, 4, 1, 29, 3, 1, 0], [3, 1, 0, 4, 0, 0, 0]], ['PSMM', 'X'],
                          list(PSMM.classes))  # fmt: skip
    figure = draw_class_counts(counts, PSMM)
    found = texts(figure)
    assert {'30', '29', 'NoPS', 'MA', 'PSMM (34 images)', 'X (4 images)'} <= set(found)
    flow = np.array([[1, 28, 1, 0, 0], [0, 1, 2, 1, 0]])
    found = texts(draw_flows({'PSMM': flow}, PSMM))
    assert {'NoPS 30', 'PS 4', 'TFO 29', 'MA 0'} <= set(found)
    people = pd.DataFrame({'ID': list('abcd'), 'age': [9, 10, 100, 19.5], 'sex': list('FMFM')})
    figure = draw_people(people)
    heights = [p.get_height() for p in figure.axes[0].patches]
    assert heights == [1, *[0] * 9, 1, 0, 2, *[0] * 9]
    first, second = (save_figure(figure, folder, 'x') for folder in (tmp_path, tmp_path))
    assert [p.suffix for p in first] == ['.pdf', '.png']
    assert first == second


def test_figures_are_the_same_every_time(tmp_path):
    flow = {'PSMM': np.array([[1, 28, 1, 0, 0], [0, 1, 2, 1, 0]])}
    for name in 'ab':
        save_figure(draw_flows(flow, PSMM), tmp_path, name)
    for suffix in ('pdf', 'png'):
        assert (tmp_path / f'a.{suffix}').read_bytes() == (tmp_path / f'b.{suffix}').read_bytes()


def test_samples_show_each_class_its_own_pictures():
    names = [f'{i}.jpg' for i in range(8)]
    labels = np.eye(2, dtype=np.int8)[[0, 0, 0, 0, 0, 0, 1, 1]]
    frame = pd.DataFrame(labels, columns=['x', 'y']).assign(filename=names, ID=list('aaabcdef'))
    table = LabelTable(frame, LabelSchema('s', ('x', 'y')), 's')

    def read(name):
        return np.full((4, 4, 3), int(name[0]), np.uint8)

    axes = np.array(draw_samples(table, read, rows_per_class=3).axes).reshape(3, 2)
    shown = [[int(a.images[0].get_array()[0, 0, 0]) if a.images else None for a in column]
             for column in axes.T]  # fmt: skip
    assert set(shown[0]) <= set(range(6))
    assert len({frame['ID'][i] for i in shown[0]}) == 3
    assert sorted(shown[1][:2]) == [6, 7]
    assert shown[1][2] is None


def test_report_of_a_small_data_set(root, tmp_path):
    (tmp_path / 'ages.csv').write_text('ID,age,sex\nSUSTech-1,30,F\nShenzhenEye-2,40,M\nzz,1,F\n')
    files = write_report(root, tmp_path / 'out', people=tmp_path / 'ages.csv')
    names = {str(path) for path in files}
    assert {'table_A1.md', 'table_7.tex', 'fig_2a.pdf', 'fig_2b.png', 'fig_A2.pdf'} <= names
    assert 'fig_A1b.pdf' not in names
    assert names == {p.name for p in (tmp_path / 'out').iterdir()}
    table = pd.read_csv(tmp_path / 'out' / 'table_A1.csv')
    assert table['Images'].astype(str).tolist() == ['6', '3', '3']
    assert '<' not in (tmp_path / 'out' / 'README.md').read_text()


def test_report_appears_whole_or_not_at_all(root, tmp_path):
    (tmp_path / 'ages.csv').write_text('ID,age,sex\nzz,1,F\n')
    with pytest.raises(InputError, match='none of its 1 patient'):
        write_report(root, tmp_path / 'out', people=tmp_path / 'ages.csv')
    assert not (tmp_path / 'out').exists()
    pictures = root / 'JPEGImages'
    pictures.mkdir()
    (pictures / 'SUSTech-1_1.jpg').write_bytes(b'no picture')
    with pytest.raises(InputError, match='cannot be read'):
        write_report(root, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_count_problems_names_the_list(root):
    from realmnet.curation.protocols import join_tables, protocol_sets, read_splits

    table, rows = join_tables(read_splits(root))
    problems = count_problems(table, protocol_sets(table, rows))
    assert 'CIP train: 3 patients, 4 images; published 3,192, 30,420' in problems
    assert Counts.of(table.patients).images == 6


def test_curation_and_reporting_import_no_torch():
    code = (
        'import sys, pkgutil, importlib, realmnet.curation, realmnet.reporting\n'
        'for package in (realmnet.curation, realmnet.reporting):\n'
        '    for m in pkgutil.walk_packages(package.__path__, package.__name__ + "."):\n'
        '        importlib.import_module(m.name)\n'
        'print(sorted({"torch", "mmengine", "mmcv"} & set(sys.modules)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
