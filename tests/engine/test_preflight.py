"""What a run looks at before it starts: room for workers, and what its curves need."""

import shutil
from collections import namedtuple
from importlib.util import find_spec

import pytest
from mmengine.config import Config

from realmnet.engine import preflight
from realmnet.engine.config import load_config
from realmnet.engine.preflight import check_curves, check_shared_memory
from realmnet.errors import InputError

CONFIG = 'configs/quickstart/tinyvit-5m-128_synthetic.py'
Usage = namedtuple('Usage', 'total used free')


@pytest.fixture(autouse=True)
def in_root(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)


def config(**loader):
    return Config(dict(model=dict(backbone=dict(img_size=100)), train_dataloader=loader))


@pytest.mark.parametrize(
    ('loader', 'processes', 'needed'),
    [
        (dict(batch_size=10, num_workers=2), 1, 2 * 2 * 10 * 30_000),
        (dict(batch_size=10, num_workers=2, prefetch_factor=5), 1, 2 * 5 * 10 * 30_000),
        (dict(batch_size=10, num_workers=1), 3, 3 * 2 * 10 * 30_000),
        (dict(batch_size=10, num_workers=0), 3, 0),
    ],
)
def test_batches_of_workers_must_fit(monkeypatch, tmp_path, loader, processes, needed):
    monkeypatch.setattr(preflight, 'SHARED_MEMORY', tmp_path)
    free = needed
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: Usage(0, 0, free))
    check_shared_memory(config(**loader), ['train', 'val'], processes)
    free = needed - 1
    if needed:
        with pytest.raises(InputError, match=r'num_workers=0 .* --shm-size=8g'):
            check_shared_memory(config(**loader), ['train', 'val'], processes)
    check_shared_memory(config(**loader), ['val'], processes)


def test_a_system_without_shared_memory_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(preflight, 'SHARED_MEMORY', tmp_path / 'absent')
    check_shared_memory(config(batch_size=10**9, num_workers=9), ['train'])


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """An account that never logged in to anything."""
    for name in ('WANDB_API_KEY', 'WANDB_MODE', 'WANDB_BASE_URL', 'WANDB_IDENTITY_TOKEN_FILE'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
    monkeypatch.setattr(preflight, 'find_spec', lambda name: True)
    return tmp_path / 'netrc'


def test_wandb_without_login_is_found_before_anything_starts(nobody, monkeypatch):
    cfg = load_config(CONFIG, fragments=['wandb'])
    with pytest.raises(InputError, match='nobody is logged in'):
        check_curves(cfg)
    monkeypatch.setenv('WANDB_MODE', 'offline')
    check_curves(cfg)
    monkeypatch.delenv('WANDB_MODE')
    nobody.write_text('machine other.example login user password x\n')
    with pytest.raises(InputError, match='nobody is logged in'):
        check_curves(cfg)
    nobody.write_text('machine api.wandb.ai login user password x\n')
    check_curves(cfg)
    nobody.unlink()
    monkeypatch.setenv('WANDB_API_KEY', 'x')
    check_curves(cfg)
    monkeypatch.delenv('WANDB_API_KEY')
    cfg.visualizer.vis_backends[1].init_kwargs.mode = 'disabled'
    check_curves(cfg)


@pytest.mark.parametrize(('fragment', 'package'), [('wandb', 'wandb'), ('tensorboard', 'tensorb')])
def test_packages_that_are_not_installed_are_named(monkeypatch, fragment, package):
    monkeypatch.setattr(
        preflight, 'find_spec', lambda name: None if package in name else find_spec(name)
    )
    with pytest.raises(InputError, match=f'pip install {package}'):
        check_curves(load_config(CONFIG, fragments=[fragment]))
    check_curves(load_config(CONFIG))
