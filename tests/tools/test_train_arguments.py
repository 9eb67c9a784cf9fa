"""What the arguments of tools/train.py make of a config."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from realmnet.engine.config import load_config
from realmnet.errors import InputError

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / 'configs' / 'myopia_models' / 'tinyvit-21m-distill-384_MYOPIA.py')


@pytest.fixture(scope='module')
def train():
    spec = importlib.util.spec_from_file_location('train_tool', ROOT / 'tools' / 'train.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def configured(train, monkeypatch):
    def configured(*arguments):
        monkeypatch.setattr(sys, 'argv', ['train.py', CONFIG, *arguments])
        args = train.parse_args()
        cfg = load_config(args.config, args.cfg_options, args.fragments)
        train.apply_arguments(cfg, args)
        return cfg

    return configured


def test_folder_and_resume(configured):
    cfg = configured()
    assert cfg.work_dir == 'work_dirs/tinyvit-21m-distill-384_MYOPIA' and not cfg.resume
    assert configured('--work-dir', 'elsewhere').work_dir == 'elsewhere'
    cfg = configured('--resume')
    assert cfg.resume and cfg.load_from is None
    cfg = configured('--resume', 'epoch_3.pth')
    assert cfg.resume and cfg.load_from == 'epoch_3.pth'


def test_no_validate(configured):
    cfg = configured('--no-validate')
    assert cfg.val_cfg is None and cfg.val_dataloader is None and cfg.val_evaluator is None


def test_accumulated_steps_count_as_one_batch(configured):
    assert configured('--auto-scale-lr').auto_scale_lr == dict(base_batch_size=64, enable=True)
    cfg = configured('--auto-scale-lr', '--cfg-options', 'optim_wrapper.accumulative_counts=4')
    # One process of 16 pictures, four steps each: 16 / 16, so the rate stays.
    assert cfg.auto_scale_lr.base_batch_size == 16


def test_mixed_precision_needs_a_gpu(configured):
    if torch.cuda.is_available():
        assert configured('--amp').optim_wrapper.type == 'AmpOptimWrapper'
    else:
        with pytest.raises(InputError, match='none is visible'):
            configured('--amp')


def test_one_option_moves_all_data_and_one_the_weights(configured):
    cfg = configured('--cfg-options', 'data_root=elsewhere', 'pretrained=None')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == 'elsewhere'
    assert cfg.pretrained is None


def test_fragments_add_up(configured):
    cfg = configured('--with', 'best_checkpoint', 'ema', 'tensorboard')
    assert cfg.default_hooks.checkpoint.save_best == 'multi-label/mAP'
    assert cfg.default_hooks.checkpoint.max_keep_ckpts == 2
    assert cfg.default_hooks.ema.type == 'EMAHook'
    assert [b.type for b in cfg.visualizer.vis_backends] == [
        'LocalVisBackend',
        'TensorboardVisBackend',
    ]
