import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy_training

SCRIPT = toy_training.__file__
ROOT = Path(SCRIPT).parents[2]


def start(work_dir, *options, processes=1):
    """Run the script, by torchrun for several processes; return its exit status."""
    work_dir.mkdir(exist_ok=True)
    command = [sys.executable, SCRIPT]
    if processes > 1:
        torchrun = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}']
        command[1:1] = torchrun
        options = [*options, '--launcher', 'pytorch']
    path = f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    environment = {**os.environ, 'PYTHONPATH': path, 'CUDA_VISIBLE_DEVICES': '-1'}
    return subprocess.run(
        [*command, str(work_dir), *map(str, options)],
        env=environment,
        capture_output=True,
        timeout=240,
    ).returncode


def last(work_dir):
    return Path((work_dir / 'last_checkpoint').read_text())


def losses(work_dir):
    """Iteration to loss; of an iteration that was run twice, the second time."""
    return dict(line.split() for line in (work_dir / 'losses.txt').read_text().splitlines())


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def assert_same_end(one, other):
    """Weights, optimizer and schedules bit by bit, and every loss."""
    assert last(one).name == last(other).name == 'epoch_4.pth'
    first, second = (toy_training.realmnet.engine.read_checkpoint(last(d)) for d in (one, other))
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert same(first[part], second[part]), part
    assert losses(one) == losses(other)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_same_seed_same_losses(tmp_path, threads):
    for name in ('a', 'b'):
        toy_training.train(toy_training.config(tmp_path / name))
    assert_same_end(tmp_path / 'a', tmp_path / 'b')
    toy_training.train(toy_training.config(tmp_path / 'c', randomness={'seed': 43}))
    assert losses(tmp_path / 'c') != losses(tmp_path / 'a')


@pytest.mark.parametrize('hooked', [True, False])
def test_exactness_comes_from_the_hook(tmp_path, threads, hooked):
    """Two and two epochs equal four with the hook, and do not without it."""

    def train(name, **more):
        cfg = toy_training.config(tmp_path / name, **more)
        if not hooked:
            del cfg.custom_hooks[0]
        toy_training.train(cfg)

    train('straight')
    train('halves', epochs=2)
    train('halves', resume=True)
    assert len(losses(tmp_path / 'halves')) == 12
    if hooked:
        assert_same_end(tmp_path / 'straight', tmp_path / 'halves')
    else:
        assert losses(tmp_path / 'straight') != losses(tmp_path / 'halves')


def test_workers_draw_new_numbers_each_epoch(tmp_path, threads):
    """With mmengine's own worker seeding the two epochs show the same noise."""

    def repeats(name, **loader):
        cfg = toy_training.config(tmp_path / name, workers=2, epochs=2)
        cfg.train_dataloader.sampler.shuffle = False
        del cfg.train_dataloader['worker_init_fn']
        cfg.train_dataloader.update(loader)
        (tmp_path / name).mkdir()
        runner = toy_training.RUNNERS.build(cfg)
        seen = []

        class Watch(toy_training.Hook):
            def before_train_iter(self, runner, batch_idx, data_batch=None):
                seen.append(torch.stack(data_batch['inputs']))

        runner.register_hook(Watch())
        runner.train()
        return torch.equal(torch.stack(seen[:3]), torch.stack(seen[3:]))

    assert repeats('stock')
    assert not repeats('ours', worker_init_fn={'type': 'seed_worker'})


@pytest.mark.parametrize('workers', [0, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_in_an_epoch(tmp_path, threads, workers):
    toy_training.train(toy_training.config(tmp_path / 'straight', workers))
    killed = tmp_path / 'killed'
    assert start(killed, '--workers', workers, '--die-at', 7) == -signal.SIGKILL
    assert last(killed).name == 'epoch_2.pth'
    assert len(losses(killed)) == 7
    toy_training.train(toy_training.config(killed, workers, resume=True))
    assert_same_end(tmp_path / 'straight', killed)


@pytest.mark.parametrize(
    ('write', 'found'),
    [(5, ['epoch_1.pth', 'epoch_2.pth']), pytest.param(6, None, marks=pytest.mark.slow)],
)
def test_killed_while_writing(tmp_path, threads, write, found):
    """The fifth write is the third checkpoint, the sixth the pointer to it."""
    toy_training.train(toy_training.config(tmp_path / 'straight'))
    killed = tmp_path / 'killed'
    assert start(killed, '--die-in-write', write) == -signal.SIGKILL
    assert len(list(killed.rglob('.*.unfinished'))) == 1
    assert last(killed).name == 'epoch_2.pth'
    assert sorted(path.name for path in killed.rglob('*.pth')) == (
        found or ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth']
    )
    toy_training.train(toy_training.config(killed, resume=True))
    assert not list(killed.rglob('.*.unfinished'))
    assert_same_end(tmp_path / 'straight', killed)


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 2])
def test_two_processes_killed(tmp_path, workers):
    options = ('--workers', workers)
    assert start(tmp_path / 'straight', *options, processes=2) == 0
    assert start(tmp_path / 'killed', *options, '--die-at', 5, processes=2) != 0
    assert last(tmp_path / 'killed').name == 'epoch_2.pth'
    assert start(tmp_path / 'killed', *options, '--resume', processes=2) == 0
    assert_same_end(tmp_path / 'straight', tmp_path / 'killed')


def test_persistent_workers_are_refused(tmp_path):
    cfg = toy_training.config(tmp_path / 'run', workers=1)
    cfg.train_dataloader.persistent_workers = True
    with pytest.raises(ValueError, match='persistent_workers=False'):
        toy_training.train(cfg)


def test_accumulation_over_the_end_of_an_epoch_is_named(tmp_path):
    for counts, said in ((2, True), (3, False)):
        cfg = toy_training.config(tmp_path / f'run{counts}', epochs=1)
        cfg.optim_wrapper.accumulative_counts = counts
        runner = toy_training.train(cfg)
        log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
        assert ('accumulative_counts=2' in log) == said
