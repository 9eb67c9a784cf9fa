import base64
import re
from html.parser import HTMLParser

import pytest
from outcome_samples import cell, predictions

from realmnet.errors import InputError
from realmnet.reporting.measured import entries_of
from realmnet.reporting.outcome import Outcome
from realmnet.reporting.page import Section, write_page
from realmnet.reporting.paper import (
    KINDS,
    PAPER,
    PERIPHERAL,
    draw,
    find_item,
    gains_table,
    misprint_notes,
)
from realmnet.reporting.style import save
from realmnet.reporting.tables import Table

PARTS = {part.name: part for item in PAPER.values() for part in item.parts}


def test_every_table_and_figure_has_an_entry():
    tables = [str(n) for n in range(1, 8)] + [f'A{n}' for n in range(1, 8)]
    figures = [f'fig-{n}' for n in range(1, 7)] + [f'fig-A{n}' for n in range(1, 7)]
    assert set(PAPER) == {*tables, *figures}
    names = [part.name for item in PAPER.values() for part in item.parts]
    assert len(set(names)) == len(names)
    charts = [chart.name for part in PARTS.values() for chart in part.charts]
    assert all(charts)
    assert len(set(charts)) == len(charts)
    for part in PARTS.values():
        assert part.kind in KINDS
        assert bool(part.sweep) == (part.kind in ('sweep', 'protocol', 'classes', 'comparison'))
        assert bool(part.why) == (part.kind in ('tool', 'published'))
    assert [n for n, p in PARTS.items() if p.kind == 'drawing'] == ['fig_1', 'fig_A1a', 'fig_A3']


def test_ids_are_found_however_they_are_spelled():
    for text in ('fig-A4', 'figA4', 'Fig. A4', 'fig a4', 'fig_a4'):
        assert find_item(text).id == 'fig-A4'
    assert find_item('Table 3').id == find_item('3').id == '3'
    assert find_item('a3').id == 'A3'
    with pytest.raises(InputError, match="'A9' is no table or figure"):
        find_item('A9')
    assert any('repeat Table 1' in note for note in misprint_notes('3'))
    assert misprint_notes('A1') == []


CELLS = {
    'table_A5': [dict(alpha=a) for a in (0.5, 0.75, 0.99)],
    'table_A6': [dict(gamma=0.0, alpha=0.75), dict(gamma=1.0, alpha=0.25)],
    'table_A7': [dict(T_P=p, T_N=n) for p in (0.5, 1.0) for n in (0.5, 1.0)],
    'fig_4a': [dict(size=s, share=k) for s in (224, 384) for k in (20, 50)],
    'fig_4b': [dict(frozen=k) for k in range(3)],
    'fig_4c': [{}, {}],
    'fig_A4a': [dict(gamma_pos=1.0, gamma_neg=n, margin=m) for n in (2.0, 4.0) for m in (0, 0.1)],
    'fig_A4b': [{'lambda': x, 'heads': 8} for x in (0.2, 1.2)] + [{'lambda': 1.2, 'heads': 2}],
    'fig_A5a': [dict(method='none', ratio=0), dict(method='ml-rus', ratio=0.2)],
    'fig_A5b': [dict(size=s) for s in (224, 384)],
    'fig_A5c': [dict(rate=r) for r in (0.0, 0.5)],
    'fig_A6c': [{}, {}],
    'fig_3a': [{}, {}],
}


def test_every_sweep_is_tried_below():
    assert {n for n, p in PARTS.items() if p.kind == 'sweep'} == {*CELLS, 'fig_6b'}


@pytest.mark.parametrize('name', CELLS)
def test_every_sweep_becomes_a_table_and_its_figures(name, tmp_path):
    part = PARTS[name]
    outcomes = [
        cell(f'cell {i}', settings, seeds=(i,) if i != 1 else (), target=part.target,
             chosen=i == 0, data='synthetic')
        for i, settings in enumerate(CELLS[name])
    ]  # fmt: skip
    drawn = draw(part, outcomes, ['The paper: x.'], bootstrap=15)
    assert (drawn.ran, drawn.cells) == (len(outcomes) - 1, len(outcomes))
    assert drawn.tables[0].name == name
    assert 'The paper: x.' in drawn.tables[0].notes
    assert drawn.tables[0].title.startswith('[SYNTHETIC]')
    assert set(drawn.figures) == {chart.name for chart in part.charts}
    for key, figure in drawn.figures.items():
        save(figure, tmp_path / f'{key}.png', dpi=40)


def test_lambda_and_heads_are_drawn_apart():
    part = PARTS['fig_A4b']
    outcomes = [cell(str(s), s) for s in CELLS['fig_A4b']]
    figures = draw(part, outcomes, bootstrap=15).figures
    places = {name: figure.axes[0].get_lines()[0].get_xdata().tolist()
              for name, figure in figures.items()}  # fmt: skip
    assert places == {'fig_A4b_lambda': [0.2, 1.2], 'fig_A4b_heads': [2, 8]}


def test_protocols_classes_and_transfer():
    sources = ('SUSTech', 'LishuiR', 'Zhongshan', 'LishuiZ')
    outcome = Outcome('main source', {}, {}, [{s: predictions(1) for s in sources}], 'done')
    drawn = draw(PARTS['fig_3b'], [outcome], bootstrap=15)
    assert (drawn.ran, drawn.cells) == (4, 4)
    assert drawn.tables[0].rows[-2][0] == 'average'
    models = [cell('RealMNet', target='test'), cell('DeiT', target='test', seeds=())]
    for number, title in (('1', 'F1'), ('2', 'AP'), ('3', 'AUROC')):
        (table,) = draw(PARTS[f'table_{number}'], models, bootstrap=15).tables
        assert title in table.title
    assert draw(PARTS['fig_3a_comparison'], models).tables[0].name == 'fig_3a_comparison'
    run = predictions(classes=tuple(PERIPHERAL))
    transfer = Outcome('from PSMM', {}, {}, [{'test': run}], 'done', True)
    drawn = draw(PARTS['fig_6b'], [transfer], bootstrap=15)
    assert drawn.tables[0].rows[1][6] == '0.8642'
    assert set(drawn.figures) == {'fig_6b'}


def test_gains_stand_beside_the_printed_ones():
    outcomes = [cell('w/o Aug', target='test', noise=2), cell('Aug', target='test')]
    entries = entries_of(outcomes, 'test', 0)
    table = gains_table(PARTS['fig_4c'], entries)
    first, last = (entry.estimates['mAP'].value for entry in entries)
    assert table.rows[1] == ['w/o Aug → Aug', 'mAP', f'{100 * (last - first):+.1f} points',
                             f'{100 * (last / first - 1):+.1f} %', '6.7%']  # fmt: skip
    assert gains_table(PARTS['fig_4c'], entries[:1]).rows[0][2] == 'not run'
    assert gains_table(PARTS['fig_4b'], entries) is None


class Reader(HTMLParser):
    """Collects addresses and checks that tags close."""

    def __init__(self):
        super().__init__()
        self.addresses, self.open, self.ids = [], [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.addresses += [values[k] for k in ('src', 'href') if k in values]
        self.ids += [values['id']] if 'id' in values else []
        if tag not in ('meta', 'img', 'br'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path):
    picture = tmp_path / 'figures' / 'f.png'
    picture.parent.mkdir()
    picture.write_bytes(b'\x89PNG made up')
    table = Table('t', 'T <1>', ['a', 'b|c'], [['x & y', '0.5 [0.4, 0.6]']],
                  ['run `a < b`', "it's ` one"])  # fmt: skip
    sections = [
        Section('A5', 'Table A5. α <b>', '1 of 2', [table], {'a "figure"': picture}, ['n & m'],
                True),
        Section('fig-1', 'Fig. 1', 'a drawing'),
    ]  # fmt: skip
    paths = write_page(tmp_path, 'Title & more', ['Lead.'], sections)
    return [path.read_text() for path in paths], picture


def test_the_page_stands_alone(page):
    (text, _), picture = page
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    inner = [a for a in reader.addresses if a.startswith('#')]
    assert [a[1:] for a in inner] == ['A5', 'fig-1']
    assert set(reader.ids) == {'contents', 'A5', 'fig-1'}
    (embedded,) = [a for a in reader.addresses if not a.startswith('#')]
    kind, data = embedded.split(',')
    assert kind == 'data:image/png;base64'
    assert base64.b64decode(data) == picture.read_bytes()
    assert not re.search(r'https?:|url\(|@import|<script', text)


def test_the_page_escapes_and_says_what_is_synthetic(page):
    (text, markdown), _ = page
    assert '<h1>Title &amp; more</h1>' in text
    assert 'T &lt;1&gt;' in text
    assert 'x &amp; y' in text
    assert '<code>a &lt; b</code>' in text
    assert '0.5<br><small>[0.4, 0.6]</small>' in text
    assert 'SYNTHETIC: the numbers of A5 come' in text
    assert 'SYNTHETIC: the numbers of A5 come' in markdown
    assert '![a "figure"](figures/f.png)' in markdown
    assert '| Fig. 1 | a drawing |' in markdown
    assert '| x & y | 0.5 [0.4, 0.6] |' in markdown


def test_a_missing_figure_is_one_sentence(tmp_path):
    section = Section('A5', 'T', '', figures={'f': tmp_path / 'none.png'})
    with pytest.raises(InputError, match=r'none\.png: No such file'):
        write_page(tmp_path, 'T', [], [section])
