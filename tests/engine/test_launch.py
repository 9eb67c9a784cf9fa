import os
import socket

import pytest
import torch
from mmengine.config import Config
from torch import distributed

from realmnet.engine import launch
from realmnet.engine.launch import prepare_launch, set_threads


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """No launcher's variables, and everything as before afterwards."""
    before, threads = dict(os.environ), torch.get_num_threads()
    for name in {*sum(launch._PLACE.values(), ()), 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'}:
        os.environ.pop(name, None)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()
    os.environ.clear()
    os.environ.update(before)
    torch.set_num_threads(threads)


def place(launcher, *values):
    os.environ.update(zip(launch._PLACE[launcher], map(str, values), strict=True))
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free.getsockname()[1]))


def test_one_process_needs_nothing():
    cfg = Config({'randomness': {'deterministic': True}})
    prepare_launch(cfg)
    assert cfg.launcher == 'none'
    assert 'model_wrapper_cfg' not in cfg
    assert not distributed.is_initialized()
    assert os.environ['CUBLAS_WORKSPACE_CONFIG'] == ':4096:8'


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_processes_on_the_cpu_meet_through_gloo(launcher):
    place(launcher, 0, 1, 0, 1)
    cfg = Config({'env_cfg': {'dist_cfg': {'backend': 'nccl'}}, 'find_unused_parameters': True})
    prepare_launch(cfg, launcher)
    assert distributed.get_backend() == 'gloo'
    assert cfg.env_cfg.dist_cfg.backend == 'gloo'
    assert cfg.model_wrapper_cfg == {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': True,
        'device_ids': None,
    }
    assert os.environ['LOCAL_RANK'] == '0'


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    place('pytorch', 0, 4, 0, 4)
    with pytest.raises(ValueError, match=r'4 processes .* shows 2 GPUs'):
        prepare_launch(Config(), 'pytorch')
    place('pytorch', 1, 2, 1, 2)
    prepare_launch(cfg := Config(), 'pytorch')
    assert cfg.launcher == 'pytorch'
    assert not distributed.is_initialized()  # the runner does it, with NCCL


def test_errors_name_the_remedy():
    with pytest.raises(ValueError, match=r'RANK, WORLD_SIZE, LOCAL_RANK .*torchrun'):
        prepare_launch(Config(), 'pytorch')
    with pytest.raises(ValueError, match="got 'ray'"):
        prepare_launch(Config(), 'ray')


def test_threads():
    cores = len(os.sched_getaffinity(0))
    assert set_threads(None, 1) == cores
    os.environ.pop('OMP_NUM_THREADS')
    assert set_threads(None, 10**6) == 1
    os.environ['OMP_NUM_THREADS'] = '3'
    assert set_threads(None, 1) == 3
    assert torch.get_num_threads() == 3
    assert set_threads(2, 1) == 2
    assert os.environ['OMP_NUM_THREADS'] == '2'
    with pytest.raises(ValueError, match='at least 1'):
        set_threads(0, 1)
