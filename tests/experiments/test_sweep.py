"""Sweep files: what is in them, what they become, and what is wrong with bad ones."""

import json
from pathlib import Path

import pytest

from realmnet.engine.config import datasets, load_config
from realmnet.engine.options import nested, set_options
from realmnet.errors import InputError
from realmnet.experiments.sweep import cell_config, is_sweep, read_sweep, write_cell
from realmnet.reporting.published import ablation_table

ROOT = Path(__file__).parents[2]
#: Cells that the paper's tables and figures have.
CELLS = {
    'ablations/a5_alpha.py': 7,
    'ablations/a6_gamma.py': 7,
    'ablations/a7_two_way.py': 16,
    'ablations/fig-4a_label_efficiency.py': 3 * 10,
    'ablations/fig-4b_freezing.py': 5,
    'ablations/fig-4c_augmentation.py': 4,
    'ablations/fig-a4a_asymmetric.py': (3 + 5) * 4,
    'ablations/fig-a4b_residual_attention.py': 7 + 4,
    'ablations/fig-a5a_resampling.py': 1 + 3 + 3 + 5 + 5 + 1 + 3,
    'ablations/fig-a5b_resolution.py': 3,
    'ablations/fig-a5c_drop_path.py': 6,
    'ablations/fig-a6c_pretraining.py': 2,
    'peripheral/fig-6_transfer.py': 2,
    'protocols/fig-3a_centralized.py': 6,
    'protocols/fig-3b_main-source.py': 1,
    'protocols/fig-3c_cyclic-source.py': 4,
}


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def sweep(tmp_path, text='', **changes):
    """Write a small sweep on the linear-head model and return its path."""
    data = dict(
        id='mine', title='mine', base=str(ROOT / 'configs/ablations/linear-bce.py'), split='val',
        grid='ours', keys=dict(rate='model.backbone.drop_path_rate'),
        cells=[dict(rate=0.1), dict(rate=0.2)],
    ) | changes  # fmt: skip
    path = tmp_path / 'mine.py'
    path.write_text(f'{text}sweep = {data!r}\n')
    return path


def test_every_sweep_has_its_stated_number_of_cells():
    files = {
        p.relative_to(ROOT / 'configs').as_posix()
        for p in (ROOT / 'configs').rglob('*.py')
        if is_sweep(p)
    }
    assert files == set(CELLS)
    for name, number in CELLS.items():
        assert len(read_sweep(ROOT / 'configs' / name).cells) == number, name


@pytest.mark.parametrize('name', CELLS)
def test_cells_differ_from_one_another_only_as_stated(name):
    read = read_sweep(ROOT / 'configs' / name)
    configs = [json.dumps(cell_config(c).to_dict(), default=str) + str(c.tests) for c in read.cells]
    assert len(set(configs)) == len(configs)


@pytest.mark.parametrize('number', ['A5', 'A6', 'A7'])
def test_cells_are_the_rows_of_the_printed_table(number):
    (name,) = [name for name in CELLS if f'/a{number[1]}_' in name]
    cells = read_sweep(ROOT / 'configs' / name).cells
    printed = ablation_table(number)
    settings = [{k: float(row[k]) for k in cells[0].settings} for _, row in printed.iterrows()]
    assert [dict(cell.settings) for cell in cells] == settings


def test_settings_reach_the_config():
    cell = read_sweep('configs/ablations/a6_gamma.py').cells[3]
    loss = cell_config(cell).model.head.loss
    assert (loss.gamma_pos, loss.gamma_neg, loss.alpha) == (0.5, 0.5, 0.5)
    cell = read_sweep('configs/ablations/a7_two_way.py').cells[1]
    loss = cell_config(cell).model.head.loss
    assert loss == dict(type='TwoWayLoss', temperature_pos=0.5, temperature_neg=1.0)
    cell = read_sweep('configs/ablations/fig-4a_label_efficiency.py').cells[-1]
    cfg = cell_config(cell)
    assert cfg.model.backbone.img_size == 512
    assert next(datasets(cfg, ['train'])).ann_file.endswith('MYOPIA_MLRUS-20_100.csv')


def test_the_true_bases():
    """Resampling to augmentation, and the loss: linear head; the rest: the final model."""
    final = {'fig-4a', 'fig-4b', 'fig-a4b', 'fig-a6c'}
    for name in CELLS:
        if not name.startswith('ablations'):
            continue
        head = cell_config(read_sweep(ROOT / 'configs' / name).cells[0]).model.head
        expected = Path(name).stem.split('_')[0] in final
        assert (head.type == 'ResidualAttentionHead') == expected, name


def test_augmentation_cells():
    cells = {
        c.name: cell_config(c) for c in read_sweep('configs/ablations/fig-4c_augmentation.py').cells
    }
    for name, simulated, batch_wise in [
        ('w/o Aug', False, False), ('w/o SA', False, True), ('w/o BA', True, False),
        ('Aug', True, True),
    ]:  # fmt: skip
        types = [t['type'] for t in cells[name].train_dataloader.dataset.pipeline]
        assert ('RandomErasing' in types) == simulated
        assert (cells[name].model.train_cfg is not None) == batch_wise


def test_written_cell_is_the_cell(tmp_path):
    read = read_sweep('configs/ablations/a7_two_way.py')
    path = tmp_path / 'deep' / 'cell.py'
    write_cell(read, read.cells[5], 7, path)
    expected = cell_config(read.cells[5])
    expected.randomness.seed = 7
    assert load_config(str(path)).to_dict() == expected.to_dict()
    assert path.read_text().count('\n') < 20


def test_only_takes_printed_names_and_folders():
    read = read_sweep('configs/ablations/a7_two_way.py')
    kept = read.only(['T_P 1, T_N 0.5', 'T_P-4_T_N-4']).cells
    assert [c.name for c in kept] == ['T_P 1, T_N 0.5', 'T_P 4, T_N 4']
    with pytest.raises(InputError, match=r"no cell 'x'; there are T_P-0\.5_T_N-0\.5, "):
        read.only(['x'])


def test_nested_merges_into_a_dictionary_and_replaces_values():
    assert nested({'a': {'b': 1}, 'a.c': 2}) == {'a': {'b': 1, 'c': 2}}
    assert nested({'a.b': 1, 'a': {'_delete_': True, 'c': 2}}) == {'a': {'_delete_': True, 'c': 2}}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(sead=1), "unknown key 'sead'; a sweep has id, title"),
        (dict(cells='all'), "`cells` must be a list, got 'all' \\(str\\)"),
        (dict(cells=[3]), 'a cell is a dictionary, got 3'),
        (dict(cells=[]), 'needs a cell or more'),
        (dict(split='train'), "split is one of \\('val', 'test'\\), got 'train'"),
        (dict(base='nowhere.py'), r'its base .*nowhere\.py does not exist; bases are relative'),
        (dict(cells=[dict(rate=0.1), dict(rate=0.1)]), "two cells are named 'rate 0.1'"),
        (dict(cells=[{'name': 'a b'}, {'name': 'a-b'}]), r"two cells are named 'a-b' \(folder a-b"),
        (dict(cells=[{'model.backbone.drop_path_rate': 0.1}]), 'needs a `name`'),
        (dict(cells=[dict(rat=0.1)]), r"'rat' is no short name of `keys` \(rate\)"),
        (dict(chosen=['rate 3']), "chosen cell 'rate 3' does not exist"),
        (dict(seeds=['a']), 'seeds are whole numbers from 0 on'),
        (dict(seeds=[1, 1]), 'name each once'),
        (dict(keys=dict(rate=3)), "keys.'rate'. must be a dotted key or a list of them, got 3"),
        (dict(chosen=[['a']]), '`chosen` holds names of cells'),
        (dict(common={1: 2}), 'the keys of `common` are words'),
        (dict(prepare=['x']), 'has `command` and `makes`'),
        (dict(cells=[dict(rate=0.1, tests={'val': 3})]), '`tests` gives a label file'),
        (dict(cells=[dict(rate=0.1, tests={'../x': 'a'})]), '`tests` gives a label file'),
        (dict(cells=[{'rate': 0.1, 'randomness.seed': 1}]), 'use `seeds`'),
    ],
)  # fmt: skip
def test_bad_sweeps_are_named(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_sweep(sweep(tmp_path, **changes))


def test_missing_key_no_sweep_no_file(tmp_path):
    path = sweep(tmp_path)
    path.write_text(path.read_text().replace("'title'", "'says'"))
    with pytest.raises(InputError, match='`title` is missing'):
        read_sweep(path)
    with pytest.raises(InputError, match='defines no `sweep`; train a config'):
        read_sweep('configs/ablations/linear-bce.py')
    with pytest.raises(InputError, match='no such sweep'):
        read_sweep('configs/ablations/none.py')
    for text in (
        'sweep = dict(',
        'sweep = 1 / 0',
        'from numpy import linspace\nsweep = dict(a=linspace(0, 1))',
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=r'cannot be read as a sweep \(.*\w'):
            read_sweep(path)
    path.write_text('sweep = [1]')
    with pytest.raises(InputError, match='`sweep` must be a dictionary, got list'):
        read_sweep(path)


@pytest.mark.parametrize(
    ('option', 'value', 'message'),
    [
        ('model.backbone.drop_path', 0.1, 'has no .drop_path.; did you mean drop_path_rate'),
        ('model.bakbone.arch', '5m', 'model has no .bakbone.; did you mean backbone'),
        ('nothing', 1, 'the config has no .nothing.'),
        ('model.backbone.drop_path_rate', 'high', r"is a float \(0.5\), got 'high' \(str\)"),
        ('model.backbone.drop_path_rate', True, r'is a float \(0.5\), got True \(bool\)'),
        ('model.backbone.frozen_stages', 'two', r"is a int \(0\), got 'two' \(str\)"),
        ('pretrained.url', 'x', 'goes through .pretrained., which is no dictionary'),
        ('train_dataloader.dataset.pipeline.0.prob', 1, 'it is no dictionary'),
        ('optim_wrapper.optimizer', {'weightdecay': 0.1}, 'did you mean weight_decay?'),
        ('optim_wrapper.optimizer', {'lr': 'high'}, 'optimizer.lr is a float'),
        ('optim_wrapper.optimizer.type', 'AdamQ', "'AdamQ' is not a registered class"),
        ('model.head.loss', dict(_delete_=True, type='TwoWay'), "'TwoWay' is not a registered"),
        ('model.head.loss', dict(_delete_=True, type='TwoWayLoss', gamma=1), 'unknown key'),
    ],
)  # fmt: skip
def test_bad_options_are_named(option, value, message):
    cfg = load_config('configs/ablations/linear-bce.py')
    with pytest.raises(InputError, match=message):
        set_options(cfg, {option: value}, 'cell x')


def test_arguments_of_the_class_are_keys_too():
    cfg = load_config('configs/ablations/linear-bce.py')
    assert 'frozen_stages' not in cfg.model.backbone
    set_options(cfg, {'model.backbone.frozen_stages': 2, 'pretrained': None}, 'cell x')
    assert cfg.model.backbone.frozen_stages == 2 and cfg.pretrained is None


def test_a_name_of_any_characters_gives_a_config_and_a_folder(tmp_path):
    name = 'a\nb {{ fileDirname }} ' + 'x' * 300
    read = read_sweep(sweep(tmp_path, cells=[dict(name=name, rate=0.1)]))
    assert len(read.cells[0].folder) <= 100
    write_cell(read, read.cells[0], 1, tmp_path / 'cell.py')
    assert load_config(str(tmp_path / 'cell.py')).model.backbone.drop_path_rate == 0.1
