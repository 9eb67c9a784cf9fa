"""What --quick changes, what it leaves alone, and its data."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mmengine.config import Config
from model_files import patches
from PIL import Image

from realmnet.curation.label_table import read_label_table
from realmnet.curation.sources import PSMM_SOURCES, sources_of
from realmnet.engine.config import datasets, load_config
from realmnet.errors import InputError
from realmnet.experiments import quick, quick_data

ROOT = Path(__file__).parents[2]
MODELS = ROOT / 'configs' / 'myopia_models'
REALMNET = MODELS / 'tinyvit-21m-distill-384_MYOPIA.py'
CSV = ROOT / 'configs' / 'custom' / 'tinyvit-21m-384_csv.py'


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
    assert cfg.quick is not True and cfg.model.backbone.arch == '21m'


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


def test_sizes_and_epochs_that_cannot_be_are_said():
    cfg = load_config(REALMNET)
    with pytest.raises(InputError, match='multiple of 32'):
        quick.make_quick(cfg, size=70)
    with pytest.raises(InputError, match='one epoch'):
        quick.make_quick(cfg, epochs=0)
    with pytest.raises(InputError, match='declares is for pictures of 64 px, got 96'):
        quick.make_quick(cfg, size=96)


SWIN = dict(embed_dims=48, depths=[2, 2, 2, 2], num_heads=[2, 4, 8, 16])


@pytest.mark.parametrize(
    ('path', 'backbone', 'channels'),
    [
        ('tinyvit-21m-distill-512', dict(arch='5m', img_size=64, window_size=[2, 2, 4, 2]), 320),
        ('deit-b-distill-384', dict(arch='deit-tiny', img_size=64), 192),
        ('convnext-t-384', dict(arch='atto'), 320),
        ('efficientnet-b4-380', dict(arch='b0'), 1280),
        (
            'swin-b-384',
            dict(arch=SWIN, img_size=64, stage_cfgs=dict(block_cfgs=dict(window_size=2))),
            384,
        ),
        (
            'timm/timm-deit-b-distill-384',
            dict(model_name='deit_tiny_distilled_patch16_224', img_size=64),
            192,
        ),
        ('timm/timm-convnext-t-384', dict(model_name='convnext_atto'), 320),
        ('timm/timm-efficientnet-b4-380', dict(model_name='tf_efficientnet_b0'), 1280),
        (
            'timm/timm-swin-b-384',
            dict(
                model_name='swin_tiny_patch4_window7_224',
                img_size=64,
                window_size=2,
                embed_dim=48,
                depths=[2, 2, 2, 2],
                num_heads=[2, 4, 8, 16],
            ),
            384,
        ),
        ('timm/timm-tinyvit-21m-distill-384', dict(model_name='tiny_vit_5m_224'), 320),
    ],
)
def test_each_family_has_its_small_network(path, backbone, channels):
    """What is not named here, such as the drop path, stays."""
    cfg = load_config(MODELS / f'{path}_MYOPIA.py')
    small = quick.make_quick(cfg)
    assert small.model.backbone.to_dict() == {**cfg.model.backbone.to_dict(), **backbone}
    assert small.model.head.to_dict() == {**cfg.model.head.to_dict(), 'in_channels': channels}
    assert (small.quick, small.pretrained, small.data_root) == (True, None, quick_data.QUICK_ROOT)
    assert small.optim_wrapper.optimizer.lr == 5 * cfg.optim_wrapper.optimizer.lr
    for loader, dataset in zip(('train', 'val', 'test'), datasets(small), strict=True):
        assert dataset.data_root == quick_data.QUICK_ROOT
        assert [t.scale for t in dataset.pipeline if t.type == 'Resize'] == [(64, 64)]
        assert small[f'{loader}_dataloader'].batch_size == 16


def write_config(folder, text, base=REALMNET):
    path = folder / 'config.py'
    path.write_text(f"_base_ = '{base}'\n{text}")
    return load_config(path)


RESNET = """
model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=18,
                  init_cfg=dict(type='Pretrained', checkpoint='https://example.org/r18.pth')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(_delete_=True, type='MultiLabelLinearClsHead', in_channels=512, num_classes=7,
              loss=dict(type='CostSensitiveLoss')),
)
"""


def test_a_network_without_quick_stays_as_it_is_on_small_pictures(tmp_path):
    cfg = write_config(tmp_path, RESNET)
    small, said = quick.make_quick_and_say(cfg)
    backbone = cfg.model.backbone.to_dict()
    assert backbone.pop('init_cfg')
    assert small.model.backbone.to_dict() == backbone
    assert small.model.head == cfg.model.head
    assert small.train_dataloader.dataset.pipeline[1].scale == (64, 64)
    text = '\n'.join(said)
    assert "network: the config's `quick` is for RealMTinyViT, its backbone is ResNet" in text
    assert 'so it stays as it is, on pictures of 64 px' in text
    assert quick.make_quick(cfg, size=96).train_dataloader.dataset.pipeline[1].scale == (96, 96)


@pytest.mark.parametrize(
    ('backbone', 'channels'),
    [
        ("type='VisionTransformer', arch='deit-t', out_type='avg_featmap', img_size=384", 192),
        ("type='TimmFeatures', model_name='vit_tiny_patch16_224'", 192),
    ],
)
def test_a_network_that_fixes_its_size_is_built_for_the_small_one(tmp_path, backbone, channels):
    head = "type='MultiLabelLinearClsHead', num_classes=7, loss=dict(type='CostSensitiveLoss')"
    cfg = write_config(
        tmp_path,
        f'model = dict(backbone=dict(_delete_=True, {backbone}),\n'
        f'             head=dict(_delete_=True, in_channels={channels}, {head}))\n',
    )
    small = quick.make_quick(cfg)
    assert small.model.backbone.img_size == 64 and small.model.head == cfg.model.head
    assert small.train_dataloader.dataset.pipeline[1].scale == (64, 64)


def test_a_network_for_one_size_keeps_it(tmp_path, monkeypatch):
    cfg = write_config(tmp_path, RESNET)
    monkeypatch.setattr(quick, '_fits', lambda model, size: False)
    small, said = quick.make_quick_and_say(cfg)
    assert 'img_size' not in small.model.backbone
    assert small.train_dataloader.dataset.pipeline[1].scale == (384, 384)
    assert any('so it stays as it is, on pictures of 384 px' in line for line in said)


def test_quick_is_merged_as_configs_are_and_has_the_last_word(tmp_path):
    cfg = write_config(
        tmp_path,
        'quick = dict(\n'
        '    train_cfg=dict(max_epochs=3),\n'
        '    model=dict(\n'
        '        backbone=dict(drop_path_rate=0.0),\n'  # beside what the parent says
        "        head=dict(loss=dict(_delete_=True, type='TwoWayLoss')),\n"  # instead of the loss
        '    ),\n'
        ')\n',
    )
    small = quick.make_quick(cfg)
    assert small.train_cfg.max_epochs == 3 and small.train_cfg.val_interval == 1
    assert small.model.backbone.arch == '5m' and small.model.backbone.drop_path_rate == 0.0
    assert small.model.head.loss == dict(type='TwoWayLoss')
    assert small.model.head.lam == cfg.model.head.lam


@pytest.mark.parametrize(
    ('said', 'message'),
    [
        ('quick = dict(modle=dict(x=1))', "quick: the config has no 'modle'"),
        ('quick = dict(model=dict(backbone=dict(arhc=1)))', 'arhc'),
        (
            'val_dataloader = None\nval_evaluator = None\nval_cfg = None\n'
            'quick = dict(val_dataloader=dict(batch_size=4))',
            'quick: cannot be merged with the config .*val_dataloader',
        ),
    ],
)
def test_a_quick_that_does_not_fit_is_refused(tmp_path, said, message):
    with pytest.raises(InputError, match=message) as error:
        quick.make_quick(write_config(tmp_path, said))
    assert '\n' not in str(error.value)


def own_data(root, rows):
    """Three classes as in the custom config: the last in the last row alone."""
    (root / 'images').mkdir(parents=True)
    labels = np.zeros((rows, 3), int)
    labels[:, 0] = np.arange(rows) % 2
    labels[::4, 1] = 1
    labels[-1, 2] = 1
    table = pd.DataFrame(labels, columns=['normal', 'high_myopia', 'pathologic_myopia'])
    for split in ('train', 'val', 'test'):
        table['filename'] = [f'{split}{i}.png' for i in range(rows)]
        table['ID'] = [f'{split}{i}' for i in range(rows)]
        table.to_csv(root / f'{split}.csv', index=False)
        for number, name in enumerate(table['filename']):
            Image.fromarray(patches(number, 90, 80)).save(root / 'images' / name)
    return root


def test_own_pictures_stay_few_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(quick_data, 'FEW', 8)
    root = own_data(tmp_path / 'mine', 12)
    before = sorted(tmp_path.rglob('*'))
    cfg = load_config(CSV)
    small, said = quick.run_config(cfg, {'data_root': str(root)}, quick=True)
    assert small.data_root == str(root) and not quick_data.uses_quick_data(small)
    for split, dataset in zip(('train', 'val', 'test'), datasets(small), strict=True):
        assert dataset.ann_file == f'{split}.csv' and dataset.data_root == str(root)
        assert dataset.schema.classes == ['normal', 'high_myopia', 'pathologic_myopia']
        assert len(dataset.indices) == 8 and 11 in dataset.indices
    assert small.model.head.num_classes == 3
    text = '\n'.join(said)
    assert f'train: 8 of the 12 pictures of {root / "train.csv"}, every class that it has' in text
    assert 'train_dataloader.dataset.pipeline.1.scale: [384, 384] -> [64, 64]' in text
    assert "model.backbone.arch: '21m' -> '5m'" in text
    assert 'train_cfg.max_epochs: 50 -> 2' in text
    assert text.endswith('says nothing about patients.') and 'SYNTHETIC' not in text
    # in PSMM's layout, in a folder of one's own
    cfg = load_config(REALMNET)
    assert quick_data.own_list(cfg) is None
    cfg.train_dataloader.dataset.data_root = str(root)
    assert quick_data.own_list(cfg) == root / cfg.train_dataloader.dataset.ann_file
    (root / 'synthetic.json').write_text('{}')
    assert quick_data.own_list(cfg) is None
    (root / 'synthetic.json').unlink()
    assert sorted(tmp_path.rglob('*')) == before


def test_options_count_before_pictures_are_taken(tmp_path):
    root = own_data(tmp_path / 'mine', 12)
    for split in ('train', 'val', 'test'):
        table = pd.read_csv(root / f'{split}.csv')
        table.columns = ['calm', 'leaky', 'scarred', *table.columns[3:]]
        table.to_csv(root / f'{split}.csv', index=False)
    options = {'data_root': str(root)}
    options |= {
        f'{split}_dataloader.dataset.schema.classes': ['calm', 'leaky', 'scarred']
        for split in ('train', 'val', 'test')
    }
    small, _ = quick.run_config(load_config(CSV), options, quick=True)
    assert [d.schema.classes for d in datasets(small)] == [['calm', 'leaky', 'scarred']] * 3


def test_own_pictures_that_are_not_there_are_named():
    small, said = quick.make_quick_and_say(load_config(CSV))
    assert any('data/custom/train.csv is not there, so synthetic' in line for line in said)
    assert any(line == f'pictures: SYNTHETIC, of {quick_data.QUICK_ROOT}' for line in said)
    assert quick_data.uses_quick_data(small)


def test_stored_pictures_of_ones_own_are_resized(tmp_path):
    """A pipeline without a size takes pictures as they are stored: synthetic ones are 64 px."""
    quickstart = ROOT / 'configs' / 'quickstart' / 'tinyvit-5m-128_synthetic.py'
    cfg = load_config(quickstart)
    types = [t.type for t in quick.make_quick(cfg).test_dataloader.dataset.pipeline]
    assert types == ['LoadPicture', 'PackInputs']
    root = own_data(tmp_path / 'mine', 4)
    for dataset in datasets(cfg):
        dataset.update(data_root=str(root), ann_file='train.csv', data_prefix='images')
        dataset.schema = dict(name='m', classes=('normal', 'high_myopia'), allow_empty=True)
    pipeline = quick.make_quick(cfg).test_dataloader.dataset.pipeline
    assert [t.type for t in pipeline] == ['LoadPicture', 'Resize', 'PackInputs']
    assert pipeline[1].scale == (64, 64)


def test_several_sizes_of_a_pipeline_shrink_together():
    steps = [
        dict(type='LoadPicture'),
        dict(type='ResizeEdge', scale=256, edge='short'),
        dict(type='mmpretrain.CenterCrop', crop_size=224),
        dict(type='ScaledAffine', scale=(0.8, 1.2), rotate=0, shear=0),
    ]
    dataset = Config(dict(pipeline=steps))
    quick._shrink_pictures(dataset, 64, stored=None)
    assert [dataset.pipeline[1].scale, dataset.pipeline[2].crop_size] == [73, 64]
    assert dataset.pipeline[3].scale == (0.8, 1.2)


def test_few_rows_have_every_class():
    labels = np.zeros((200, 4), np.int64)
    labels[:, 0] = 1
    labels[150:160, 1] = labels[199, 2] = labels[5:8, 3] = 1
    labels[20:30, 0] = 0
    rows = quick_data.few_rows(table_of(labels), 16)
    assert rows == sorted(set(rows)) and len(rows) == 16
    chosen = labels[rows]
    assert chosen[:, 2].sum() == 1 and chosen[:, 3].sum() == 3 and chosen[:, 1].sum() >= 3
    assert (chosen.sum(1) == 0).any() and rows == quick_data.few_rows(table_of(labels), 16)
    assert quick_data.few_rows(table_of(labels[:5]), 16) == [0, 1, 2, 3, 4]


def table_of(labels):
    classes = tuple('wxyz')
    names = np.array([f'{i}.png' for i in range(len(labels))])
    return SimpleNamespace(labels=labels, schema=SimpleNamespace(classes=classes), filenames=names)


def test_data_are_drawn_once(tmp_path, monkeypatch):
    small = quick_data.SyntheticArguments(patients=8, size=32, labels='even', seed=42)
    monkeypatch.setattr(quick_data, 'QUICK_DATA', small)
    root = quick_data.ensure_quick_data(tmp_path / 'data' / 'quick')
    written = {path: path.stat().st_mtime_ns for path in root.rglob('*') if path.is_file()}
    assert (root / 'ImageSets/Main/MYOPIA_MLRUS-20/MYOPIA_MLRUS-20.csv') in written
    assert quick_data.ensure_quick_data(root) == root
    assert written == {p: p.stat().st_mtime_ns for p in root.rglob('*') if p.is_file()}
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'mine.txt').write_text('keep')
    with pytest.raises(InputError, match='not a synthetic data set'):
        quick_data.ensure_quick_data(tmp_path / 'other')


def test_all_sources_are_in_the_quick_data():
    """Protocols by source can be tried too: each source has patients."""
    patients = quick_data.draw_patients(
        quick_data.QUICK_DATA.patients, quick_data.QUICK_DATA.labels, quick_data.QUICK_DATA.seed
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

    small = quick_data.SyntheticArguments(patients=14, size=64, labels='even', seed=42)
    monkeypatch.setattr(quick_data, 'QUICK_DATA', small)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, 'argv',
        ['train.py', str(REALMNET), '--quick', '--cfg-options', 'train_cfg.max_epochs=1',
         'param_scheduler=None', 'train_dataloader.dataset.indices=4'],
    )  # fmt: skip
    train.main()
    work_dir = tmp_path / 'work_dirs' / 'quick' / REALMNET.stem
    assert read_label_table(tmp_path / quick_data.QUICK_ROOT / 'ImageSets/Main/val.csv')
    checkpoint = Path((work_dir / 'last_checkpoint').read_text().strip())
    assert checkpoint.name == 'epoch_1.pth'
    cfg = Config.fromfile(checkpoint.parent / 'vis_data' / 'config.py')
    assert cfg.quick is True
    cfg.load_from = str(checkpoint)
    assert 'multi-label/AUROC' in RUNNERS.build(cfg).test()


def test_the_tool_trains_on_own_pictures_and_says_so(train, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quick_data, 'FEW', 8)
    own_data(tmp_path / 'mine', 12)
    monkeypatch.chdir(tmp_path)
    options = ['data_root=mine', 'train_cfg.max_epochs=1', 'param_scheduler=None']
    monkeypatch.setattr(sys, 'argv', ['train.py', str(CSV), '--quick', '--cfg-options', *options])
    train.main()
    said = capsys.readouterr().out
    assert 'quick: train: 8 of the 12 pictures of mine/train.csv' in said
    assert "quick: data_root: 'data/custom' -> 'mine'" not in said  # an option, not --quick
    assert not (tmp_path / 'data').exists()
    work_dir = tmp_path / 'work_dirs' / 'quick' / CSV.stem
    assert Path((work_dir / 'last_checkpoint').read_text().strip()).name == 'epoch_1.pth'
