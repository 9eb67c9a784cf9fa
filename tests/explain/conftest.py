from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

import realmnet.plugin  # noqa: F401
from realmnet.engine.config import load_config

QUICKSTART = Path(__file__).parents[2] / 'configs' / 'quickstart' / 'tinyvit-5m-128_synthetic.py'


@pytest.fixture(scope='session')
def trained_files(tmp_path_factory):
    """A config of 64 px and a checkpoint of random weights, which does not describe itself."""
    folder = tmp_path_factory.mktemp('explain')
    config = folder / 'config.py'
    config.write_text(
        f"_base_ = '{QUICKSTART}'\n"
        'model = dict(backbone=dict(img_size=64, window_size=[2, 2, 4, 2]))\n'
    )
    cfg = load_config(str(config))
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), folder / 'epoch_1.pth')
    return config, folder / 'epoch_1.pth'
