import fcntl
import os
import stat

import pytest
from mmengine.fileio import get_file_backend

from realmnet.engine import AtomicBackend
from realmnet.engine.storage import remove_leftovers


def test_writes_through_mmengine(tmp_path):
    backend = get_file_backend(backend_args={'backend': 'atomic'})
    assert isinstance(backend, AtomicBackend)
    path = tmp_path / 'new' / 'file'
    backend.put(b'one', path)
    backend.put_text('zwölf', path)
    assert path.read_text('utf-8') == 'zwölf'
    assert [entry.name for entry in path.parent.iterdir()] == ['file']
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize('name', ['replace', 'fsync'])
def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch, name):
    path = tmp_path / 'file'
    path.write_bytes(b'old')

    def fail(*args):
        raise OSError('no space left on device')

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(OSError, match='no space'):
        AtomicBackend().put(b'new', path)
    monkeypatch.undo()
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace

    def is_folder(descriptor):
        return stat.S_ISDIR(os.fstat(descriptor).st_mode)

    monkeypatch.setattr(
        os, 'fsync', lambda fd: (events.append('folder' if is_folder(fd) else 'file'), fsync(fd))
    )
    monkeypatch.setattr(os, 'replace', lambda *a: (events.append('rename'), replace(*a)))
    AtomicBackend().put(b'x', tmp_path / 'file')
    assert events == ['file', 'rename', 'folder']


def test_leftovers_go_unless_someone_writes_them(tmp_path):
    (tmp_path / 'run').mkdir()
    dead = [tmp_path / '.last_checkpoint.7.unfinished', tmp_path / 'run/.epoch_1.pth.7.unfinished']
    alive = tmp_path / 'run/.epoch_2.pth.8.unfinished'
    other = tmp_path / 'run/epoch_1.pth'
    for path in (*dead, alive, other):
        path.touch()
    with alive.open('rb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert sorted(remove_leftovers(tmp_path)) == sorted(dead)
    assert alive.exists()
    assert other.exists()
