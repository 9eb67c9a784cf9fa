"""A network costs one config: from training to the report of a picture, no other file touched."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import RUNNERS
from model_files import patches
from PIL import Image

import realmnet.plugin  # noqa: F401
from realmnet.apis import Inferencer
from realmnet.apis.one_picture import Examiner
from realmnet.deployment.export import TOLERANCE, export_model
from realmnet.deployment.model_file import load_model, pack
from realmnet.deployment.runtime import OnnxModel
from realmnet.engine.config import datasets, load_config
from realmnet.reporting.picture_report import write_picture_report

CUSTOM = Path(__file__).parents[2] / 'configs' / 'custom'
SMALLER = {
    'Resize': dict(scale=(64, 64)),
    'ResizeEdge': dict(scale=73),
    'CenterCrop': dict(crop_size=64),
}
SIZES = [(64, 64), (97, 80), (80, 131), (200, 150), (65, 66), (90, 64)]


@pytest.fixture(scope='module')
def own_pictures(tmp_path_factory):
    """Pictures of several sizes as ``configs/custom/tinyvit-21m-384_csv.py`` expects them."""
    root = tmp_path_factory.mktemp('own')
    (root / 'images').mkdir()
    classes = ['normal', 'high_myopia', 'pathologic_myopia']
    for name in ('train', 'val', 'test'):
        rows = [['filename', 'ID', *classes]]
        for number, size in enumerate(SIZES):
            file = f'{name}{number}.png'
            Image.fromarray(patches(number, *size)).save(root / 'images' / file)
            rows.append([file, f'{name}{number}', *(int(c == number % 3) for c in range(3))])
        with (root / f'{name}.csv').open('w', newline='') as file:
            csv.writer(file).writerows(rows)
    return root


def train(name, root, work_dir):
    """Train a config for one epoch on pictures of 64 px, and return the checkpoint."""
    cfg = load_config(str(CUSTOM / f'{name}.py'))
    cfg.pretrained, cfg.param_scheduler, cfg.work_dir = None, None, str(work_dir)
    cfg.train_cfg.max_epochs = 1
    cfg.auto_scale_lr = None
    if 'img_size' in cfg.model.backbone:
        cfg.model.backbone.img_size = 64
    for loader in ('train', 'val', 'test'):
        cfg[f'{loader}_dataloader'].update(batch_size=3, num_workers=0)
    for dataset in datasets(cfg):
        dataset.data_root = str(root)
        for transform in dataset.pipeline:
            transform.update(SMALLER.get(transform.type, {}))
    runner = RUNNERS.build(cfg)
    for module in runner.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # running statistics are plain means: two steps are enough
    runner.train()
    return next(work_dir.glob('*/epoch_1.pth'))


@pytest.mark.parametrize(
    ('name', 'formats'),
    [
        ('mobilenet-v3-s-224_csv', ['onnx']),
        pytest.param('mobilenet-v3-s-224_csv', ['pt2'], marks=pytest.mark.slow),
        pytest.param('resnet-50-384_csv', ['onnx', 'pt2'], marks=pytest.mark.slow),
        pytest.param('vit-s-224_csv', ['onnx', 'pt2'], marks=pytest.mark.slow),
        pytest.param('regnet-y-224_csv', ['onnx', 'pt2'], marks=pytest.mark.slow),
    ],
)
def test_trains_packs_infers_exports_explains_and_shows(name, formats, own_pictures, tmp_path):
    checkpoint = train(name, own_pictures, tmp_path / 'run')
    packed = pack(checkpoint, tmp_path / 'model.pth', input_check=False)
    assert packed.description.preprocessing.size == 64

    inferencer = Inferencer(tmp_path / 'model.pth', 'cpu')
    paths = sorted((own_pictures / 'images').glob('test*.png'))
    results = list(inferencer.stream(paths))
    assert not any(result.problem for result in results)
    scores = inferencer.scores(np.stack([inferencer.read(path) for path in paths]))
    assert len(np.unique(scores.round(9), axis=0)) == len(paths)

    network, description = load_model(tmp_path / 'model.pth')
    prepared = np.stack([description.preprocessing.read(path) for path in paths])
    for suffix in formats:
        parity = export_model(network, description, tmp_path / f'model.{suffix}', prepared)
        assert parity.difference <= TOLERANCE and parity.changed == 0
    if 'onnx' in formats:
        onnx = OnnxModel(tmp_path / 'model.onnx', threads=1)
        assert np.allclose(onnx.scores(prepared), scores, atol=TOLERANCE)

    examiner = Examiner(inferencer)
    picture = examiner.examine(paths[3])
    for method in examiner.compared_methods():
        heat = [examiner.heat(picture, name, method) for name in description.classes]
        assert all(one.shape == (64, 64) for one in heat)
        # after two steps, not every class has places that speak for it
        assert max(one.max() for one in heat) > 0.99 and max(one.std() for one in heat) > 0.01
    report = tmp_path / 'report.html'
    model = {'name': 'model.pth', 'sha256': packed.sha256}
    write_picture_report(
        report, picture.name, picture.shown, picture.finding, picture.heat, description, model
    )
    assert report.read_text().count('data:image') >= 3
