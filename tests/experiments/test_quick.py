"""What --quick changes, what it leaves alone, and its data."""

import importlib.util
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from realmnet.curation.label_table import read_label_table
from realmnet.curation.sources import PSMM_SOURCES, sources_of
from realmnet.engine.config import datasets, load_config
from realmnet.errors import InputError
from realmnet.experiments import quick

ROOT = Path(__file__).parents[2]
MODELS = ROOT / 'configs' / 'myopia_models'
REALMNET = MODELS / 'tinyvit-21m-distill-384_MYOPIA.py'


def flat(node, path=''):
    """Leaves of a config with their dotted names."""
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list | tuple):
        items = enumerate(node)
    else:
        return {path: node}
    leaves = {}
    for key, value in items:
        leaves.update(flat(value, f'{path}.{key}' if path else str(key)))
    return leaves


def test_only_size_weights_data_and_schedule_change():
    cfg = load_config(REALMNET, {'model.head.lam': 0.3, 'model.backbone.frozen_stages': 2})
    before, after = flat(cfg.to_dict()), flat(quick.make_quick(cfg).to_dict())
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    allowed = (
        'quick', 'pretrained', 'data_root', 'param_scheduler.', 'train_cfg.max_epochs',
        'optim_wrapper.optimizer.lr', 'default_hooks.logger.interval', 'model.head.in_channels',
        'model.backbone.arch', 'model.backbone.img_size', 'model.backbone.window_size.',
    )  # fmt: skip
    inside = ('.dataset.data_root', '.scale.0', '.scale.1', '.batch_size', '.num_workers')
    rest = {k for k in changed if not k.startswith(allowed)}
    assert {k for k in rest if not (k.split('_')[1:] and k.endswith(inside))} == set()
    assert after['model.head.lam'] == 0.3 and after['model.backbone.frozen_stages'] == 2
    assert not cfg.get('quick') and cfg.model.backbone.arch == '21m'


def test_ratios_of_learning_rates_stay():
    realmnet, efficientnet = (
        quick.make_quick(load_config(path)).optim_wrapper.optimizer.lr
        for path in (REALMNET, MODELS / 'efficientnet-b4-380_MYOPIA.py')
    )
    assert efficientnet / realmnet == pytest.approx(0.5)


def test_training_list_stays_and_other_classes_become_columns():
    cfg = quick.make_quick(load_config(REALMNET), data_root='here')
    train, val, _ = datasets(cfg)
    assert train.ann_file == 'ImageSets/Main/MYOPIA_MLRUS-20/MYOPIA_MLRUS-20.csv'
    assert train.data_root == val.data_root == cfg.data_root == 'here'
    cfg = quick.make_quick(load_config(ROOT / 'configs' / 'custom' / 'tinyvit-21m-384_csv.py'))
    train, val, test = datasets(cfg)
    assert [d.schema.classes for d in (train, val, test)] == [('S0', 'S1', 'A0')] * 3
    assert train.ann_file == 'ImageSets/Main/MYOPIA/MYOPIA.csv'
    assert test.ann_file == 'ImageSets/Main/test.csv'
    assert cfg.model.head.num_classes == cfg.model.data_preprocessor.num_classes == 3


def test_what_cannot_be_shrunk_is_said():
    cfg = load_config(REALMNET)
    with pytest.raises(InputError, match='multiple of 32'):
        quick.make_quick(cfg, size=70)
    with pytest.raises(InputError, match='one epoch'):
        quick.make_quick(cfg, epochs=0)
    cfg.model.backbone = dict(type='ResNet', depth=50)
    with pytest.raises(InputError, match='ResNet'):
        quick.make_quick(cfg)
    cfg.model.backbone = dict(type='TimmFeatures', model_name='resnet50')
    with pytest.raises(InputError, match='resnet50'):
        quick.make_quick(cfg)


def test_data_are_drawn_once(tmp_path, monkeypatch):
    small = quick.SyntheticArguments(patients=8, size=32, labels='even', seed=42)
    monkeypatch.setattr(quick, 'QUICK_DATA', small)
    root = quick.ensure_quick_data(tmp_path / 'data' / 'quick')
    written = {path: path.stat().st_mtime_ns for path in root.rglob('*') if path.is_file()}
    assert (root / 'ImageSets/Main/MYOPIA_MLRUS-20/MYOPIA_MLRUS-20.csv') in written
    assert quick.ensure_quick_data(root) == root
    assert written == {p: p.stat().st_mtime_ns for p in root.rglob('*') if p.is_file()}
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'mine.txt').write_text('keep')
    with pytest.raises(InputError, match='not a synthetic data set'):
        quick.ensure_quick_data(tmp_path / 'other')


def test_all_sources_are_in_the_quick_data():
    """Protocols by source can be tried too: each source has patients."""
    patients = quick.draw_patients(
        quick.QUICK_DATA.patients, quick.QUICK_DATA.labels, quick.QUICK_DATA.seed
    )
    assert set(sources_of([p.patient_id for p in patients])) == set(PSMM_SOURCES)


@pytest.fixture(scope='module')
def train():
    spec = importlib.util.spec_from_file_location('train_tool', ROOT / 'tools' / 'train.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tool_trains_and_leaves_a_config_that_tests(train, tmp_path, monkeypatch):
    """--quick from the command line to a checkpoint, and options have the last word."""
    from mmengine.registry import RUNNERS

    small = quick.SyntheticArguments(patients=14, size=64, labels='even', seed=42)
    monkeypatch.setattr(quick, 'QUICK_DATA', small)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, 'argv',
        ['train.py', str(REALMNET), '--quick', '--cfg-options', 'train_cfg.max_epochs=1',
         'param_scheduler=None', 'train_dataloader.dataset.indices=4'],
    )  # fmt: skip
    train.main()
    work_dir = tmp_path / 'work_dirs' / 'quick' / REALMNET.stem
    assert read_label_table(tmp_path / quick.QUICK_ROOT / 'ImageSets/Main/val.csv')
    checkpoint = Path((work_dir / 'last_checkpoint').read_text().strip())
    assert checkpoint.name == 'epoch_1.pth'
    cfg = Config.fromfile(checkpoint.parent / 'vis_data' / 'config.py')
    assert cfg.quick is True
    cfg.load_from = str(checkpoint)
    assert 'multi-label/AUROC' in RUNNERS.build(cfg).test()
