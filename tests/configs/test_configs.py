"""Every config builds at full size and takes a step at a small one."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import DATASETS, MODELS, RUNNERS, init_default_scope

from realmnet.engine.config import datasets, load_config

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(
    p.relative_to(ROOT).as_posix()
    for p in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in p.parts
)
OPTIONS = sorted(p.stem for p in (ROOT / 'configs' / '_base_' / 'options').glob('*.py'))


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def shrink(cfg, root, work_dir):
    """64 px, two pictures a batch, one epoch of one or two steps, on the synthetic set."""
    cfg.model.backbone.update(img_size=64, window_size=[2, 2, 4, 2])
    schema = next(iter(datasets(cfg, ['train']))).get('schema', 'PSMM')
    for loader in ('train', 'val', 'test'):
        if cfg[f'{loader}_dataloader'] is not None:
            cfg[f'{loader}_dataloader'].update(batch_size=2, num_workers=0)
    for dataset in datasets(cfg):
        dataset.data_root = str(root)
        dataset.indices = 4
        for transform in dataset.pipeline:
            if transform['type'] == 'Resize':
                transform['scale'] = (64, 64)
        if schema != 'PSMM':
            # Any labelled CSV: take two of the synthetic set's columns.
            dataset.update(
                schema=dict(name='two', classes=['S1', 'A1'], allow_empty=True),
                data_prefix='JPEGImages',
                ann_file='ImageSets/Main/val.csv',
            )
            cfg.model.head.num_classes = cfg.model.data_preprocessor.num_classes = 2
    cfg.train_cfg.max_epochs = 1
    cfg.param_scheduler = [s for s in cfg.param_scheduler if s.get('begin', 0) < 1]
    cfg.pretrained = None
    cfg.work_dir = str(work_dir)
    return cfg


def test_there_are_configs():
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize('path', CONFIGS)
def test_builds_at_full_size_twice(path):
    cfg = load_config(path)
    init_default_scope('mmpretrain')
    with torch.device('meta'):
        first, second = MODELS.build(cfg.model), MODELS.build(cfg.model)
    assert first.head.num_classes == second.head.num_classes


@pytest.mark.parametrize('path', CONFIGS)
def test_takes_a_step(path, synthetic_psmm, tmp_path):
    cfg = shrink(load_config(path), synthetic_psmm, tmp_path)
    runner = RUNNERS.build(cfg)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    after = runner.model.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.isfinite(value).all() for value in after.values())
    assert 'multi-label/AUROC' in runner.test()


@pytest.mark.parametrize('name', OPTIONS)
def test_every_option_takes_a_step(name, synthetic_psmm, tmp_path, monkeypatch):
    monkeypatch.setenv('WANDB_MODE', 'disabled')
    if name == 'wandb':
        pytest.importorskip('wandb', reason='wandb is an extra and not installed')
    cfg = load_config('configs/quickstart/tinyvit-5m-128_synthetic.py', fragments=[name])
    RUNNERS.build(shrink(cfg, synthetic_psmm, tmp_path)).train()
    if name == 'best_checkpoint':
        assert len(list(tmp_path.rglob('best_multi-label_mAP_epoch_1.pth'))) == 1
    if name == 'tensorboard':
        assert list(tmp_path.rglob('events.out.tfevents*'))


@pytest.mark.parametrize(
    ('size', 'parameters'), [(224, 20_629_632), (384, 20_661_552), (512, 20_699_184)]
)
def test_parameters_of_the_published_models(size, parameters):
    cfg = load_config(f'configs/myopia_models/tinyvit-21m-distill-{size}_MYOPIA.py')
    init_default_scope('mmpretrain')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_published_recipe():
    cfg = load_config('configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py')
    dataset = cfg.train_dataloader.dataset
    assert dataset.ann_file == 'ImageSets/Main/MYOPIA_MLRUS-20/MYOPIA_MLRUS-20.csv'
    assert [t['type'] for t in dataset.pipeline] == [
        'LoadPicture', 'Resize', 'RandomErasing', 'RandomApply', 'RandomFlip', 'RandomFlip',
        'RandomApply', 'RandomApply', 'RandomApply', 'PackInputs',
    ]  # fmt: skip
    inner = [t['transforms']['type'] for t in dataset.pipeline if t['type'] == 'RandomApply']
    assert inner == ['ScaledAffine', 'KernelBlur', 'PictureColorJitter', 'GaussianNoise']
    assert cfg.train_dataloader.batch_size == 16 and cfg.auto_scale_lr.base_batch_size == 64
    assert cfg.model.train_cfg.probs == [0.3, 0.3]
    assert cfg.model.backbone.drop_path_rate == 0.5
    assert cfg.randomness == dict(seed=42, deterministic=True)


def test_published_pipeline_never_fails(synthetic_psmm):
    """Each transform is drawn many times: one that fails now and then would stop an epoch."""
    cfg = load_config('configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py')
    cfg.train_dataloader.dataset.update(data_root=str(synthetic_psmm), indices=1)
    init_default_scope('mmpretrain')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    pictures = [dataset[0]['inputs'] for _ in range(80)]
    assert all(p.shape == (3, 384, 384) and p.dtype == torch.uint8 for p in pictures)
    assert sum(torch.equal(pictures[0], p) for p in pictures) < 40


def test_learning_rate_of_the_published_recipe(synthetic_psmm, tmp_path):
    """Warm-up per iteration from 1e-6 to 1e-4 over 5 epochs, then cosine per epoch to 1e-6."""
    cfg = shrink(
        load_config('configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py'),
        synthetic_psmm,
        tmp_path,
    )
    recipe = load_config('configs/myopia_models/tinyvit-21m-distill-384_MYOPIA.py')
    cfg.merge_from_dict(dict(train_cfg=recipe.train_cfg, param_scheduler=recipe.param_scheduler))
    runner = RUNNERS.build(cfg)
    runner.train_loop  # noqa: B018 (builds the loop, which the schedulers ask for epochs)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    groups = runner.optim_wrapper.optimizer.param_groups
    warmup, cosine = runner.build_param_scheduler(runner.param_schedulers)
    iterations = len(runner.train_dataloader)
    rates = []
    for _ in range(50):
        for _ in range(iterations):
            rates.append(groups[0]['lr'])
            warmup.step()
        cosine.step()
    assert rates[0] == pytest.approx(1e-6)
    assert rates[5 * iterations] == pytest.approx(1e-4)
    middle = 5 + 22
    expected = 1e-6 + (1e-4 - 1e-6) * (1 + torch.cos(torch.tensor(22 / 45 * torch.pi)).item()) / 2
    assert rates[middle * iterations] == pytest.approx(expected, rel=1e-3)
    assert rates[-1] < 2e-6
    assert {group['weight_decay'] for group in groups} == {0.05, 0.0}
    for group in groups:
        thin = all(p.ndim < 2 for p in group['params'])
        assert group['weight_decay'] == (0.0 if thin else 0.05)
