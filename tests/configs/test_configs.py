"""Every config builds at full size and takes a step at a small one, and says only what differs."""

import ast
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, RUNNERS, init_default_scope

from realmnet.engine.config import datasets, load_config
from realmnet.experiments.quick import make_quick
from realmnet.experiments.sweep import cell_config, is_sweep, read_sweep
from realmnet.models.complexity import build_without_memory

ROOT = Path(__file__).parents[2]
FILES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / 'configs').rglob('*.py'))
CONFIGS = [path for path in FILES if '_base_' not in Path(path).parts and not is_sweep(ROOT / path)]
SWEEPS = [path for path in FILES if is_sweep(ROOT / path)]
OPTIONS = sorted(p.stem for p in (ROOT / 'configs' / '_base_' / 'options').glob('*.py'))


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def shrink(cfg, root, work_dir):
    """The quick version, cut to one epoch of two steps with two pictures each."""
    for dataset in datasets(cfg):
        dataset.data_root = str(root)  # whatever pictures of one's own lie here
    cfg = make_quick(cfg, epochs=1, data_root=root)
    for loader in ('train', 'val', 'test'):
        if cfg.get(f'{loader}_dataloader') is not None:
            cfg[f'{loader}_dataloader'].batch_size = 2
    for dataset in datasets(cfg):
        dataset.indices = 4
        if not Path(root, dataset.ann_file).is_file():
            # Lists of protocols and shares: making them is tested elsewhere.
            dataset.ann_file = 'ImageSets/Main/MYOPIA/MYOPIA.csv'
    cfg.work_dir = str(work_dir)
    return cfg


def test_there_are_configs():
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize('path', CONFIGS)
def test_builds_at_full_size_twice(path):
    cfg = load_config(path)
    init_default_scope('mmpretrain')
    first, second = build_without_memory(cfg.model), build_without_memory(cfg.model)
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


@pytest.mark.parametrize('path', SWEEPS)
def test_a_cell_of_each_sweep_takes_a_step(path, synthetic_psmm, tmp_path):
    cfg = shrink(cell_config(read_sweep(path).cells[-1]), synthetic_psmm, tmp_path)
    runner = RUNNERS.build(cfg)
    runner.train()
    assert all(torch.isfinite(value).all() for value in runner.model.state_dict().values())
    assert 'multi-label/AUROC' in runner.test()


def test_no_two_configs_are_the_same():
    """What a run depends on; helper variables of a file do not count."""
    keys = (
        'model', 'pretrained', 'load_from', 'train_dataloader', 'val_dataloader',
        'test_dataloader', 'val_evaluator', 'test_evaluator', 'optim_wrapper', 'param_scheduler',
        'train_cfg', 'val_cfg', 'test_cfg', 'default_hooks', 'custom_hooks', 'randomness',
    )  # fmt: skip
    seen = {}
    for path in CONFIGS:
        cfg = load_config(path).to_dict()
        content = json.dumps([cfg.get(key) for key in keys], sort_keys=True)
        assert content not in seen, f'{path} is the same as {seen[content]}'
        seen[content] = path


def own_and_parents(path):
    """What a config file says itself, and what its parents say together."""
    tree = ast.parse(Path(path).read_text())
    bases = []
    for node in list(tree.body):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '_base_':
            named = ast.literal_eval(node.value)
            bases = [named] if isinstance(named, str) else named
            tree.body.remove(node)
    parents = ConfigDict()
    for base in bases:
        parents.update(Config.fromfile(Path(path).parent / base)._cfg_dict)
    names = {'_base_': parents}
    exec(compile(tree, path, 'exec'), names)  # noqa: S102 (a config of this repository)
    own = {key: value for key, value in names.items() if not key.startswith('_')}
    return own, parents.to_dict()


def repeats(own, parents, place=''):
    """Yield the keys of ``own`` that ``parents`` already have with the same value."""
    for key, value in own.items():
        if key not in parents:
            continue
        if isinstance(value, dict) and isinstance(parents[key], dict):
            if not value.get('_delete_'):
                yield from repeats(value, parents[key], f'{place}{key}.')
        elif plain(value) == plain(parents[key]):
            yield f'{place}{key}'


def plain(value):
    return json.dumps(value, sort_keys=True)  # lists and tuples alike


@pytest.mark.parametrize('path', FILES)
def test_no_config_repeats_its_parent(path):
    assert list(repeats(*own_and_parents(path))) == []


def test_a_repetition_would_be_found(tmp_path):
    (tmp_path / 'parent.py').write_text('a = dict(b=1, c=[1, 2], d=dict(e=3))\n')
    child = tmp_path / 'child.py'
    child.write_text("_base_ = './parent.py'\na = dict(b=2, c=(1, 2), d=dict(e=_base_.a.d.e))\n")
    assert list(repeats(*own_and_parents(child))) == ['a.c', 'a.d.e']


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


def test_averaged_weights_are_what_is_saved_and_tested(synthetic_psmm, tmp_path):
    def build():
        cfg = load_config('configs/quickstart/tinyvit-5m-128_synthetic.py', fragments=['ema'])
        cfg = shrink(cfg, synthetic_psmm, tmp_path)
        cfg.test_dataloader.dataset.ann_file = cfg.val_dataloader.dataset.ann_file
        cfg.default_hooks.ema.momentum = 0.3
        return cfg

    trained = RUNNERS.build(build())
    trained.train()
    validated = trained.message_hub.get_scalar('val/multi-label/brier').current()
    cfg = build()
    cfg.load_from = (tmp_path / 'last_checkpoint').read_text().strip()
    tested = RUNNERS.build(cfg).test()
    assert tested['multi-label/brier'] == pytest.approx(validated, abs=1e-9)


@pytest.mark.parametrize(
    ('size', 'parameters'), [(224, 20_629_632), (384, 20_661_552), (512, 20_699_184)]
)
def test_parameters_of_the_published_models(size, parameters):
    cfg = load_config(f'configs/myopia_models/tinyvit-21m-distill-{size}_MYOPIA.py')
    init_default_scope('mmpretrain')
    model = build_without_memory(cfg.model)
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
    for key in ('optim_wrapper', 'train_cfg', 'param_scheduler'):
        cfg[key] = recipe[key]
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
