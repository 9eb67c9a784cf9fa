"""Which checkpoint a resumed training takes, and whose files it touches."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import toy_training

from realmnet.engine import CheckpointError, read_checkpoint
from realmnet.engine.resume import newest_checkpoint, own_file
from realmnet.engine.run_lock import sole_training
from realmnet.errors import InputError

HOOK = {'type': 'RunCheckpointHook', 'interval': 1}


def train(work_dir, epochs, resume=True, **more):
    hook = {**HOOK, **more.pop('hook', {})}
    source = None if isinstance(resume, bool) else str(resume)
    cfg = toy_training.config(
        work_dir, epochs=epochs, resume=bool(resume), load_from=source, log_level='INFO',
        default_hooks={'checkpoint': hook}, **more,
    )  # fmt: skip
    folder = work_dir / time.strftime('%Y%m%d_%H%M%S')
    while folder.exists():  # folders are named by the second
        time.sleep(0.1)
        folder = work_dir / time.strftime('%Y%m%d_%H%M%S')
    return toy_training.train(cfg)


def log_of(runner):
    return Path(runner.log_dir, f'{runner.timestamp}.log').read_text()


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*.pth'))


def zeros(path):
    """Overwrite the middle of a file, as a rotten disk does."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(600) + content[len(content) // 2 + 600 :])


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Three epochs, kept one by one."""
    work_dir = tmp_path_factory.mktemp('runs') / 'trained'
    train(work_dir, 3, resume=False)
    return work_dir


@pytest.fixture
def work_dir(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / 'work dir 眼底.v1'))


@pytest.mark.parametrize(
    ('pointer', 'said'),
    [
        ('', 'last_checkpoint is empty'),
        (None, 'last_checkpoint is missing'),
        ('/gone/epoch_2.pth\r\n', 'names /gone/epoch_2.pth, which is not there'),
        (b'\xff\xfe\x00', 'which is not there'),
        ('{folder}/epoch_1.pth\n', 'epoch_1.pth.'),
        ('{folder}/epoch_3.pth\r\n', 'last_checkpoint names it, too'),
    ],
)
def test_the_pointer_decides_nothing(work_dir, pointer, said):
    file = work_dir / 'last_checkpoint'
    folder = next(work_dir.glob('2*'))
    file.unlink()
    if isinstance(pointer, bytes):
        file.write_bytes(pointer)
    elif pointer is not None:
        file.write_bytes(pointer.format(folder=folder).encode())
    runner = train(work_dir, 4)
    log = log_of(runner)
    assert f'Resuming from {folder}/epoch_3.pth, the newest valid checkpoint' in log
    assert said in log
    assert 'resumed epoch: 3' in log
    assert Path(file.read_text()) == Path(runner.log_dir, 'epoch_4.pth')


def test_a_damaged_newest_one_is_named_and_passed_over(work_dir):
    newest = next(work_dir.rglob('epoch_3.pth'))
    zeros(newest)
    runner = train(work_dir, 3)
    assert f'Passed over: {newest} is cut short or damaged' in log_of(runner)
    assert 'resumed epoch: 2' in log_of(runner)


def test_what_lies_there_is_never_ignored(work_dir):
    for path in work_dir.rglob('*.pth'):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match='checkpoints are there, but none can be resumed from'):
        train(work_dir, 4)


def test_an_empty_folder_starts_at_the_beginning(tmp_path):
    assert 'starting at the beginning' in log_of(train(tmp_path / 'run', 1))


def test_the_number_inside_counts_and_not_the_name(work_dir):
    one, three = (next(work_dir.rglob(f'epoch_{n}.pth')) for n in (1, 3))
    shutil.copy(one, one.with_name('epoch_9.pth'))
    os.utime(one)
    assert newest_checkpoint([work_dir]).path == three


def test_the_best_ones_and_packed_models_are_no_candidates(work_dir, tmp_path):
    content = read_checkpoint(next(work_dir.rglob('epoch_3.pth')))
    content['meta']['epoch'] = 8
    del content['optimizer']
    torch.save(content, work_dir / 'best_score_epoch_8.pth')
    assert newest_checkpoint([work_dir]).epoch == 3
    torch.save({'state_dict': content['state_dict'], 'meta': {}}, tmp_path / 'packed.pth')
    assert newest_checkpoint([tmp_path / 'no']).path is None
    (tmp_path / 'alone').mkdir()
    torch.save({'state_dict': content['state_dict']}, tmp_path / 'alone' / 'packed.pth')
    assert newest_checkpoint([tmp_path / 'alone']).path is None
    torch.save(content, tmp_path / 'alone' / 'best_score_epoch_8.pth')
    with pytest.raises(CheckpointError, match='has no optimizer state'):
        newest_checkpoint([tmp_path / 'alone'])


@pytest.mark.parametrize('value', ['3', -1, 2.5, None])
def test_a_count_of_epochs_that_is_none(work_dir, value):
    newest = next(work_dir.rglob('epoch_3.pth'))
    content = read_checkpoint(newest)
    content['meta']['epoch'] = value
    torch.save(content, newest)
    with pytest.raises(CheckpointError, match='does not say after which epoch'):
        train(work_dir, 4, resume=newest)


def test_a_moved_folder_goes_on_in_the_new_place(work_dir):
    moved = work_dir.rename(work_dir.with_name('moved'))
    train(moved, 4, hook={'max_keep_ckpts': 2})
    assert [name.partition('/')[2] for name in files(moved)] == ['epoch_3.pth', 'epoch_4.pth']
    assert not work_dir.exists()


def test_a_copy_leaves_the_original_alone(work_dir):
    copy = Path(shutil.copytree(work_dir, work_dir.with_name('copy')))
    before = files(work_dir)
    train(copy, 4, hook={'max_keep_ckpts': 1})
    assert files(work_dir) == before
    assert [Path(name).name for name in files(copy)] == ['epoch_4.pth']


def test_another_runs_files_are_left_alone(work_dir):
    before = files(work_dir)
    other = work_dir.with_name('other')
    runner = train(other, 5, resume=next(work_dir.rglob('epoch_3.pth')), hook={'max_keep_ckpts': 1})
    assert files(work_dir) == before
    assert [Path(name).name for name in files(other)] == ['epoch_5.pth']
    assert 'files that are not of' in log_of(runner)


@pytest.mark.parametrize('absolute', [False, True])
def test_the_best_checkpoint_belongs_to_its_folder(tmp_path, absolute, monkeypatch):
    scores = iter([3.0, 2.0, 1.0, 4.0])
    monkeypatch.setattr(
        toy_training.ToyMetric, 'compute_metrics', lambda *_: {'score': next(scores)}
    )
    hook = {'hook': {'save_best': 'score', 'rule': 'greater'}}
    one = train(tmp_path / 'one', 1, resume=False, **hook)
    first = Path(one.log_dir, 'epoch_1.pth')
    if absolute:  # as earlier versions wrote it
        content = read_checkpoint(first)
        info = content['message_hub']['runtime_info']
        info['best_ckpt'] = str(tmp_path / 'one' / info['best_ckpt'])
        info['kept_checkpoints'] = [str(tmp_path / 'one' / k) for k in info['kept_checkpoints']]
        torch.save(content, first)
    copy = Path(shutil.copytree(tmp_path / 'one', tmp_path / 'copy'))
    two = train(tmp_path / 'two', 2, resume=first, **hook)
    # 2.0 is the best of the second folder, whatever the first has
    assert Path(two.log_dir, 'best_score_epoch_2.pth').exists()
    train(copy, 2, **hook)
    # in the copy, 3.0 is still to beat (1.0 does not), then 4.0 replaces it there and only there
    assert [Path(n).name for n in files(copy) if 'best' in n] == ['best_score_epoch_1.pth']
    train(copy, 3, **hook)
    assert [Path(n).name for n in files(copy) if 'best' in n] == ['best_score_epoch_3.pth']
    assert len([n for n in files(tmp_path / 'one') if 'best' in n]) == 1


def test_a_crafted_checkpoint_deletes_nothing(work_dir, tmp_path):
    victim, inner = tmp_path / 'victim' / 'epoch_1.pth', next(work_dir.glob('2*')) / 'notes.txt'
    victim.parent.mkdir()
    for path in (victim, inner):
        path.write_text('x')
    link = work_dir / 'link'
    link.symlink_to(victim.parent)
    newest = next(work_dir.rglob('epoch_3.pth'))
    content = read_checkpoint(newest)
    info = content['message_hub']['runtime_info']
    names = [str(victim), '../victim/epoch_1.pth', 'link/epoch_1.pth', '/etc/passwd', 7, None,
             f'{inner.parent.name}/notes.txt', 'a\0b', 'x' * 5000]  # fmt: skip
    info.update(kept_checkpoints=names, best_ckpt=str(victim), best_ckpt_score='/etc/passwd',
                best_score=-9.0, keep_ckpt_ids=['/../../victim/epoch_1.pth'] * 9,
                last_ckpt=str(victim))  # fmt: skip
    content['message_hub']['resumed_keys'].update(dict.fromkeys(info, True))
    torch.save(content, newest)
    hook = {'max_keep_ckpts': 1, 'save_best': 'score', 'rule': 'greater'}
    runner = train(work_dir, 5, hook=hook)
    assert victim.exists() and inner.exists() and Path('/etc/passwd').exists()
    assert '/etc/passwd' in log_of(runner)


def test_out_dir_is_the_runs_own_folder_too(tmp_path):
    hook = {'out_dir': str(tmp_path / 'out'), 'max_keep_ckpts': 1, 'save_best': 'score',
            'rule': 'greater'}  # fmt: skip
    train(tmp_path / 'run', 2, resume=False, hook=hook)
    (tmp_path / 'run' / 'last_checkpoint').unlink()
    runner = train(tmp_path / 'run', 3, hook=hook)
    assert 'resumed epoch: 2' in log_of(runner)
    assert [Path(n).name for n in files(tmp_path / 'out' / 'run') if 'best' not in n] == [
        'epoch_3.pth'
    ]


def test_paths_in_a_checkpoint_are_relative(work_dir):
    info = read_checkpoint(next(work_dir.rglob('epoch_3.pth')))['message_hub']['runtime_info']
    folder = next(work_dir.glob('2*')).name
    assert info['kept_checkpoints'] == [f'{folder}/epoch_{n}.pth' for n in (1, 2, 3)]
    assert info['last_ckpt'] == f'{folder}/epoch_3.pth'


def test_own_file(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'epoch_1.pth').touch()
    pattern = r'epoch_[0-9]+\.pth'
    for stored in ('a/epoch_1.pth', '/gone/place/a/epoch_1.pth', 'C:\\runs\\a\\epoch_1.pth'):
        assert own_file(stored, tmp_path, pattern) == tmp_path / 'a' / 'epoch_1.pth'
    for stored in ('../a/epoch_1.pth', 'b/epoch_1.pth', 'epoch_1.pth', '', '.', '/', 'a', 3):
        expected = tmp_path / 'a' / 'epoch_1.pth' if stored == '../a/epoch_1.pth' else None
        assert own_file(stored, tmp_path, pattern) == expected


HOLDER = """
import logging, sys, time
from realmnet.engine.run_lock import sole_training
with sole_training(sys.argv[1], logging.getLogger()):
    print('held', flush=True)
    if len(sys.argv) > 2:
        import multiprocessing
        multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,)).start()
        print('forked', flush=True)
    time.sleep(60)
"""


def test_two_trainings_in_one_folder(tmp_path):
    """A process that was killed holds nothing, even if a worker that it forked lives on."""
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLDER, str(tmp_path), 'fork'], stdout=subprocess.PIPE, text=True
    )
    try:
        assert [holder.stdout.readline() for _ in range(2)] == ['held\n', 'forked\n']
        with pytest.raises(InputError, match=f'at work there .process {holder.pid} on .*, since'):
            train(tmp_path, 1, resume=False)
    finally:
        holder.kill()
        holder.wait()
    train(tmp_path, 1, resume=False)


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, caplog):
    import logging

    from realmnet.engine import run_lock

    def refuse(*_):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr(run_lock.fcntl, 'lockf', refuse)
    with sole_training(tmp_path, logging.getLogger('lock')):
        assert 'cannot be locked (No locks available)' in caplog.text
