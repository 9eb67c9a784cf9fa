import contextlib
import functools
import hashlib
import http.server
import io
import os
import pickle
import threading
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from realmnet.engine import CheckpointError, checkpoint_io, read_checkpoint

WEIGHTS = {'state_dict': {'w': torch.arange(3.0)}}


@pytest.fixture
def saved(tmp_path):
    def save(content, name='checkpoint.pth', **kwargs):
        path = tmp_path / name
        torch.save(content, path, **kwargs)
        return path

    return save


def message_of(path):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert str(path) in message
    assert '\n' not in message
    return message


class Reduced:
    """Pickles into a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def with_pickle(path, program):
    """Put a hand-written pickle into a file of torch.save."""
    buffer = io.BytesIO()
    torch.save(WEIGHTS, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, 'w') as new:
        for name in old.namelist():
            new.writestr(name, program if name.endswith('/data.pkl') else old.read(name))


def text(value):
    encoded = value.encode()
    return b'X' + len(encoded).to_bytes(4, 'little') + encoded


def getattr_chain(expression):
    """``getattr(getattr(getattr, '__self__'), 'eval')`` as a HistoryBuffer's ``__setstate__``."""
    return b''.join(
        (
            b'\x80\x02cbuiltins\ngetattr\nq\x01',
            b'h\x01' + text('__self__') + b'\x86R',  # getattr(getattr, '__self__'): builtins
            b'q\x02h\x01h\x02' + text('eval') + b'\x86Rq\x03',
            b'cmmengine.logging.history_buffer\nHistoryBuffer\n)R',
            b'}' + text('__setstate__') + b'h\x03sb',  # its __setstate__ becomes eval
            text(expression) + b'b.',  # and is given this
        )
    )


def test_everything_mmengine_writes_is_read(saved):
    content = {
        **WEIGHTS,
        'message_hub': {
            'log_scalars': {'loss': HistoryBuffer([0.5, 0.25], [1, 2])},
            'numbers': [np.float32(0.5), np.int64(3), np.array([1.5, 2.5]), np.array([True])],
        },
        'meta': {'cfg': 'raise SystemExit', 'config': 'raise SystemExit'},
    }
    read = read_checkpoint(saved(content))
    assert torch.equal(read['state_dict']['w'], WEIGHTS['state_dict']['w'])
    buffer = read['message_hub']['log_scalars']['loss']
    assert buffer.statistics('mean') == pytest.approx(0.75 / 3)
    numbers = read['message_hub']['numbers'], content['message_hub']['numbers']
    for got, wanted in zip(*numbers, strict=True):
        assert got.dtype == wanted.dtype
        assert np.array_equal(got, wanted)
    # mmengine would execute `config` on resume
    assert read['meta'] == {'cfg': 'raise SystemExit'}


def test_old_format_and_bare_state_dict(saved):
    old = saved(WEIGHTS['state_dict'], _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(old)['state_dict']['w'], WEIGHTS['state_dict']['w'])


@pytest.mark.parametrize('zipped', [True, False])
def test_call_in_a_file_is_refused_and_does_not_run(saved, tmp_path, zipped):
    trace = tmp_path / 'ran'
    path = saved(
        {**WEIGHTS, 'extra': Reduced(os.system, f'echo > "{trace}"')},
        _use_new_zipfile_serialization=zipped,
    )
    assert f'{os.system.__module__}.system' in message_of(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the file does what it was made for
    assert trace.exists()


def test_getattr_chain_is_refused_and_does_not_run(tmp_path):
    trace, path = tmp_path / 'ran', tmp_path / 'crafted.pth'
    with_pickle(path, getattr_chain(f'open({str(trace)!r}, "w").close()'))
    assert 'carries code' in message_of(path)
    assert not trace.exists()
    # With the real getattr on the list it runs in spite of weights_only.
    with torch.serialization.safe_globals([HistoryBuffer, (getattr, 'builtins.getattr')]):
        torch.load(path, weights_only=True)
    assert trace.exists()


def test_history_method_answers_for_four_names_only():
    assert checkpoint_io.history_method(HistoryBuffer, 'mean') is HistoryBuffer.mean
    for obj, name in (
        (HistoryBuffer, '__init__'),
        (HistoryBuffer, 'statistics'),
        (HistoryBuffer(), 'mean'),
        (getattr, '__self__'),
    ):
        with pytest.raises(Exception, match='getattr'):
            checkpoint_io.history_method(obj, name)


@pytest.mark.parametrize(
    'extra',
    [
        np.array([None, 'x'], dtype=object),
        np.zeros(2, dtype=[('a', 'f8')]),
        Reduced(np.ndarray, (1,), 'O', bytearray(8)),  # bytes taken for a pointer
        Reduced(np.dtype, 'O'),
    ],
)
def test_numpy_beyond_plain_numbers_is_refused(saved, extra):
    assert 'carries code or a type' in message_of(saved({**WEIGHTS, 'extra': extra}))


def test_number_types_cannot_be_altered(tmp_path):
    """A file that tells float64 to hold objects has no effect."""
    fields = {'a': (np.dtype('f4'), 0)}
    forged = pickle.dumps((3, '<', None, ('a',), fields, 8, 1, 63), protocol=2)
    program = b'\x80\x02cnumpy\ndtype\n' + text('f8') + b'\x89\x88\x87R' + forged[2:-1] + b'b.'
    with_pickle(tmp_path / 'forged.pth', program)
    message_of(tmp_path / 'forged.pth')
    copied = pickle.loads(program)  # noqa: S301 (what numpy itself makes of it)
    assert copied.fields
    assert np.dtype('f8').fields is None


@pytest.mark.parametrize('zipped', [True, False])
def test_cut_short(saved, tmp_path, zipped):
    whole = saved(
        {'state_dict': {str(i): torch.rand(20) for i in range(5)}},
        _use_new_zipfile_serialization=zipped,
    ).read_bytes()
    path = tmp_path / 'cut.pth'
    lengths = {0, 1, 3, 4, 14, 15, 16, 17, len(whole) - 1, *range(20, len(whole), 97)}
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        assert 'cut short' in message_of(path), length
    path.write_bytes(whole)
    assert len(read_checkpoint(path)['state_dict']) == 5


def test_other_files(saved, tmp_path):
    assert 'missing' in message_of(tmp_path / 'absent.pth')
    for content, word in (
        (b'<html>log in first, please</html>', 'not a file of torch.save'),
        (pickle.dumps(Reduced(os.system, 'true')), 'plain pickle'),
    ):
        (tmp_path / 'other.pth').write_bytes(content)
        assert word in message_of(tmp_path / 'other.pth')
    assert 'a list' in message_of(saved([1, 2]))
    assert "'model'" in message_of(saved({'model': {'w': torch.zeros(1)}}))
    assert 'nothing' in message_of(saved({}))


def test_mmengine_has_no_other_loader():
    loaders = {loader.__module__ for loader in CheckpointLoader._schemes.values()}
    assert loaders == {'realmnet.engine.checkpoint_io'}
    for address in ('s3://a/b.pth', 'x:petrel://a', 'torchvision://resnet18', 'mmcls://a'):
        with pytest.raises(CheckpointError, match='not supported'):
            CheckpointLoader.load_checkpoint(address, 'cpu')


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files; ``/short/...`` announces more than it sends."""

    def do_GET(self):
        if not self.path.startswith('/short/'):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header('Content-Length', '100000')
        self.end_headers()
        buffer = io.BytesIO()
        torch.save(WEIGHTS, buffer)
        self.wfile.write(buffer.getvalue()[:-50])

    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder and the address under which it is served; the hub cache is elsewhere."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    folder = tmp_path / 'site'
    folder.mkdir()
    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f'http://127.0.0.1:{server.server_port}', server
    server.shutdown()
    server.server_close()


def cached(tmp_path):
    files = (tmp_path / 'cache').rglob('*')
    return sorted(path.name for path in files if path.is_file() and path.suffix != '.lock')


def test_download_is_checked_and_reused(site, tmp_path):
    folder, address, server = site
    torch.save(WEIGHTS, folder / 'plain.pth')
    digest = hashlib.sha256((folder / 'plain.pth').read_bytes()).hexdigest()
    for name in (f'model_20221021-{digest[:8]}.pth', 'model-00000000.pth', 'dated-20221021.pth'):
        (folder / name).write_bytes((folder / 'plain.pth').read_bytes())
    for name in (f'model_20221021-{digest[:8]}.pth', 'dated-20221021.pth'):
        read = read_checkpoint(f'{address}/{name}')
        assert torch.equal(read['state_dict']['w'], WEIGHTS['state_dict']['w'])
    with pytest.raises(CheckpointError, match='not the file its name promises'):
        read_checkpoint(f'{address}/model-00000000.pth')
    assert cached(tmp_path) == ['dated-20221021.pth', f'model_20221021-{digest[:8]}.pth']
    server.shutdown()
    server.server_close()
    CheckpointLoader.load_checkpoint(f'{address}/dated-20221021.pth', 'cpu')
    with pytest.raises(CheckpointError, match='download the file elsewhere') as caught:
        read_checkpoint(f'{address}/plain.pth')
    assert 'pretrained=None' in str(caught.value)
    assert '\n' not in str(caught.value)


def test_download_that_fails_leaves_nothing(site, tmp_path):
    folder, address, _ = site
    torch.save({**WEIGHTS, 'extra': Reduced(os.system, 'true')}, folder / 'bad.pth')
    for name, word in (
        ('none.pth', 'File not found'),
        ('short/a.pth', 'cut short'),
        ('bad.pth', 'carries code'),
    ):
        with pytest.raises(CheckpointError, match=word) as caught:
            read_checkpoint(f'{address}/{name}')
        assert f'{address}/{name}' in str(caught.value)
    assert cached(tmp_path) == []


def test_blocks_of_zeros_are_found_wherever_they_change_something(saved):
    """24 places over the file; torch pads between records, where zeros are no damage."""
    weights = {f'layer.{i}': torch.randn(120, 70) for i in range(20)}
    path = saved({'state_dict': weights, 'meta': {'epoch': 1}})
    whole = path.read_bytes()
    refused = 0
    for place in np.linspace(0, len(whole) - 4096, 24, dtype=int):
        damaged = whole[:place] + bytes(4096) + whole[place + 4096 :]
        path.write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            read_checkpoint(path)
            pytest.fail(f'zeros from {place} on were read')
        refused += 1
    assert refused == 24
    path.write_bytes(whole)
    assert torch.equal(read_checkpoint(path)['state_dict']['layer.7'], weights['layer.7'])


def test_the_record_that_is_damaged_is_named(saved):
    path = saved({'state_dict': {'w': torch.full((1000,), 7.0)}})
    content = path.read_bytes()
    place = content.index(np.float32(7).tobytes() * 8)
    path.write_bytes(content[: place + 2] + b'\0' + content[place + 3 :])
    assert 'data/0 does not match its checksum' in message_of(path)


def test_an_archive_that_unpacks_to_more_is_refused(saved, tmp_path):
    source = saved({'state_dict': {'w': torch.zeros(100_000)}})
    packed = tmp_path / 'packed.pth'
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert 'unpacks to' in message_of(packed)
