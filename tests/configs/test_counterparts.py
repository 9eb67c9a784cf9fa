"""The counterpart models: their weights arrive and stay, and the recipe reaches them."""

from pathlib import Path

import mmpretrain
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import MODELS, RUNNERS, init_default_scope
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from realmnet.engine.config import load_config
from realmnet.experiments.quick import make_quick
from realmnet.models.complexity import build_without_memory

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'myopia_models'
ALL = sorted(p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob('*.py'))
OPENMMLAB = [name for name in ALL if not name.startswith('timm/')]
COUNTERPARTS = [name for name in ALL if not name.startswith('tinyvit')]  # and those of timm
LINEAR_BCE = ROOT / 'configs' / 'ablations' / 'linear-bce.py'


def shapes(module):
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def test_there_are_counterparts():
    assert len(OPENMMLAB) >= 7 and len(COUNTERPARTS) >= 9


# At quick size RealMNet's three are one.
@pytest.mark.parametrize('name', [*COUNTERPARTS, 'tinyvit-21m-distill-384_MYOPIA.py'])
def test_every_pretrained_tensor_is_there_when_training_starts(name, synthetic_psmm, tmp_path):
    """Some backbones of mmpretrain draw part of their weights anew after loading."""
    cfg = make_quick(load_config(FOLDER / name), data_root=synthetic_psmm)
    init_default_scope('mmpretrain')
    torch.manual_seed(1)
    saved = {
        key: torch.rand_like(value) if value.is_floating_point() else value
        for key, value in MODELS.build(cfg.model.backbone).state_dict().items()
    }
    weights = {f'backbone.{key}': value for key, value in saved.items()}
    torch.save({'state_dict': weights}, tmp_path / 'weights.pth')
    cfg.merge_from_dict(
        dict(
            pretrained=str(tmp_path / 'weights.pth'),
            work_dir=str(tmp_path),
            param_scheduler=None,
            train_cfg=dict(max_epochs=0),
        )
    )
    runner = RUNNERS.build(cfg)
    runner.train()  # no epoch: initialisation, then loading
    loaded = runner.model.backbone.state_dict()
    assert loaded.keys() == saved.keys()
    different = [key for key, value in saved.items() if not torch.equal(value, loaded[key])]
    assert different == []


@pytest.mark.parametrize('name', OPENMMLAB)
def test_weights_are_those_of_mmpretrain_for_this_backbone(name):
    """The address stands in mmpretrain's model index, with a config whose backbone is ours."""
    cfg = load_config(FOLDER / name)
    index = Path(mmpretrain.__file__).parent / '.mim'
    entries = [
        entry
        for metafile in (index / 'configs').glob('*/metafile.yml')
        for entry in yaml.safe_load(metafile.read_text()).get('Models', [])
        if entry.get('Weights') == cfg.pretrained
    ]
    assert len(entries) == 1
    stock = Config.fromfile(index / entries[0]['Config'])
    init_default_scope('mmpretrain')
    theirs = shapes(build_without_memory(stock.model.backbone))
    ours = shapes(build_without_memory(cfg.model.backbone))
    # The norm after the mean of the tokens belongs to the linear head and starts anew.
    new = {'ln2.weight', 'ln2.bias'} if name.startswith('deit') else set()
    assert ours.keys() - theirs.keys() == new
    assert theirs == {key: shape for key, shape in ours.items() if key not in new}


@pytest.mark.parametrize('name', ALL)
def test_drop_path_rises_to_a_half(name):
    # timm's EfficientNet has 32 blocks and gives block i, counted from 0, the rate .5 i / 32.
    highest = 0.5 * 31 / 32 if name.startswith('timm/timm-efficientnet') else 0.5
    init_default_scope('mmpretrain')
    backbone = build_without_memory(load_config(FOLDER / name).model.backbone)
    rates = [m.drop_prob for m in backbone.modules() if type(m).__name__ == 'DropPath']
    assert len(rates) >= 5
    assert rates[-1] == pytest.approx(highest)
    assert rates == sorted(rates)


@pytest.mark.parametrize('path', [LINEAR_BCE, *(FOLDER / name for name in COUNTERPARTS)], ids=str)
def test_loss_is_bce_for_soft_labels(path):
    """Summed over the classes and averaged over the pictures."""
    head = load_config(path).model.head
    init_default_scope('mmpretrain')
    head = MODELS.build({**head, 'in_channels': 5})
    torch.manual_seed(0)
    features, target = torch.randn(6, 5), torch.rand(6, 7)
    target[0] = torch.tensor([1.0, 0, 1, 0, 0, 0, 0])
    samples = [DataSample().set_gt_score(score) for score in target]
    expected = F.binary_cross_entropy_with_logits(head.fc(features), target, reduction='sum') / 6
    torch.testing.assert_close(head.loss((features,), samples)['loss'], expected)


@pytest.mark.parametrize('name', COUNTERPARTS)
def test_same_data_augmentation_and_schedule_as_realmnet(name):
    ours = load_config(FOLDER / 'tinyvit-21m-distill-384_MYOPIA.py').to_dict()
    theirs = load_config(FOLDER / name).to_dict()
    if 'efficientnet' in name:
        assert theirs['optim_wrapper']['optimizer'].pop('lr') == 5e-5
        del ours['optim_wrapper']['optimizer']['lr']
        for cfg, side in ((ours, 384), (theirs, 380)):
            for loader in ('train', 'val', 'test'):
                resize = cfg[f'{loader}_dataloader']['dataset']['pipeline'].pop(1)
                assert resize['type'] == 'Resize' and tuple(resize['scale']) == (side, side)
    for key in (
        'train_dataloader', 'val_dataloader', 'test_dataloader', 'optim_wrapper',
        'param_scheduler', 'train_cfg', 'randomness', 'default_hooks',
    ):  # fmt: skip
        assert theirs[key] == ours[key], key
    assert theirs['model']['train_cfg'] == ours['model']['train_cfg']
    assert theirs['model']['data_preprocessor'] == ours['model']['data_preprocessor']
