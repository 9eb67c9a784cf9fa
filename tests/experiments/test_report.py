"""Reports from folders of results."""

import re
from pathlib import Path

import numpy as np
import pytest

from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions, write_predictions
from realmnet.experiments.collect import collect
from realmnet.experiments.record import Record
from realmnet.experiments.report import Results, item_of, make_section
from realmnet.experiments.sweep import is_sweep, read_sweep
from realmnet.reporting.paper import PAPER

ROOT = Path(__file__).parents[2]
A5 = 'configs/ablations/a5_alpha.py'


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def finish(sweep, folder, *cells, **record):
    """Leave what a finished run leaves."""
    rng = np.random.default_rng(0)
    classes = ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')
    truth = np.zeros((40, 7), int)
    truth[np.arange(40), np.arange(40) % 2] = 1
    truth[np.arange(40), 2 + np.arange(40) % 5] = 1
    for cell in cells or sweep.cells:
        place = folder / cell.folder / 'seed-42'
        scores = np.clip(0.3 * truth + rng.random((40, 7)) * 0.7, 0, 1)
        names = np.array([f'{i}.jpg' for i in range(40)])
        patients = np.array([f'p{i // 2}' for i in range(40)])
        predictions = Predictions(names, patients, scores, truth, classes)
        write_predictions(predictions, place / 'val.csv')
        run = Record(sweep.name, cell.name, 42, {}, 'done', tests={'val': 'val.csv'}, **record)
        run.write(place)


def test_every_sweep_file_has_a_place_in_the_paper_and_every_part_its_file():
    parts = {part.sweep for item in PAPER.values() for part in item.parts if part.sweep}
    files = {
        path.relative_to(ROOT / 'configs').as_posix()
        for path in (ROOT / 'configs').rglob('*.py')
        if is_sweep(path)
    }
    assert parts == files
    ids = {read_sweep(ROOT / 'configs' / file).id for file in files}
    assert ids <= set(PAPER)


@pytest.mark.parametrize('number', [n for n in PAPER if n not in ('4', 'A3')])
def test_without_results_everything_says_what_is_missing(number, tmp_path):
    section = make_section(PAPER[number], Results([tmp_path / 'none'], tmp_path), tmp_path / 'out')
    words = ('0 of ', 'a drawing', 'not reproduced', 'not made: ')
    states = re.split('; (?=fig_)', section.state)
    assert len(states) == len(PAPER[number].parts)
    assert all(any(word in state for word in words) for state in states), section.state
    assert not section.synthetic


def test_table_of_a_sweep_with_some_results(tmp_path):
    sweep = read_sweep(A5)
    finish(sweep, tmp_path / 'a5_alpha', *sweep.cells[:3])
    section = make_section(PAPER['A5'], Results([tmp_path], bootstrap=50), tmp_path / 'out')
    assert section.state == '3 of 7 cells have results' and not section.synthetic
    (table,) = section.tables
    assert table.rows[0][:2] == ['alpha 0.1', 'ours'] and table.rows[1][2] == '0.9071'
    assert any('Not run: alpha 0.75; ' in note for note in table.notes)
    for suffix in ('md', 'csv', 'tex', 'png', 'pdf'):
        assert (tmp_path / 'out' / f'table_A5.{suffix}').is_file()


def test_synthetic_and_quick_results_are_called_so_and_not_mixed_with_others(tmp_path):
    sweep = read_sweep(A5)
    finish(sweep, tmp_path / 'quick', synthetic=True, quick=True)
    section = make_section(PAPER['A5'], Results([tmp_path / 'quick'], bootstrap=0), tmp_path / 'o')
    assert section.synthetic and 'SYNTHETIC' in section.tables[0].title
    finish(sweep, tmp_path / 'quick', sweep.cells[0])
    with pytest.raises(InputError, match='mixes results of real data and quick'):
        collect(sweep, [tmp_path / 'quick'])


def test_quick_results_on_own_pictures_are_not_called_synthetic(tmp_path):
    sweep = read_sweep(A5)
    finish(sweep, tmp_path / 'quick', quick=True)
    section = make_section(PAPER['A5'], Results([tmp_path / 'quick'], bootstrap=0), tmp_path / 'o')
    assert not section.synthetic and section.tables[0].title.startswith('[QUICK] Table A5')


def test_a_sweep_of_ones_own_has_a_table_and_a_figure(tmp_path):
    path = tmp_path / 'decay.py'
    base = str(ROOT / 'configs/ablations/linear-bce.py')
    path.write_text(f"""sweep = dict(
    id='decay', title='weight decay', base={base!r}, split='val', grid='ours',
    keys=dict(decay='optim_wrapper.optimizer.weight_decay'),
    cells=[dict(decay=decay) for decay in (0.01, 0.05, 0.1)],
)
""")
    finish(read_sweep(path), tmp_path / 'decay')
    results = Results([tmp_path], bootstrap=20)
    section = make_section(item_of(read_sweep(path)), results, tmp_path / 'out')
    assert [row[0] for row in section.tables[0].rows] == ['decay 0.01', 'decay 0.05', 'decay 0.1']
    assert section.figures['decay'].is_file()


def test_seeds_that_are_lacking_are_named(tmp_path):
    sweep = read_sweep(A5)
    finish(sweep, tmp_path, *sweep.cells[:2])
    Record(sweep.name, sweep.cells[0].name, 43, {}, 'failed').write(
        tmp_path / sweep.cells[0].folder / 'seed-43'
    )
    outcomes = collect(sweep, [tmp_path])
    assert [o.lacking for o in outcomes[:3]] == ['seed 43 failed', 'seed 43 not finished', '']
    section = make_section(PAPER['A5'], Results([tmp_path], bootstrap=0), tmp_path / 'out')
    assert 'alpha 0.1: seed 43 failed.' in section.tables[0].notes


def test_a_part_of_the_paper_is_found_by_its_sweep():
    item = item_of(read_sweep('configs/protocols/fig-3b_main-source.py'))
    assert item.id == 'fig-3' and [part.name for part in item.parts] == ['fig_3b']
