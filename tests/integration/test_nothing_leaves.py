"""No tool asks another computer for anything, or leaves more than caches under the home folder."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from model_files import NETWORK, patches, write_model
from PIL import Image

import realmnet
from realmnet.offline import QUIET

ROOT = Path(__file__).parents[2]
# Runs in every process of the tool, before anything of it.
WATCH = """
import os, sys
def hook(event, arguments):
    if event in ('socket.connect', 'socket.sendto', 'socket.sendmsg', 'socket.getaddrinfo',
                 'socket.gethostbyname'):
        place = arguments[0] if event.startswith('socket.get') else arguments[1]
        with open(os.environ['REALMNET_WATCHED'], 'a') as file:
            file.write(f'{event} {place!r}\\n')
sys.addaudithook(hook)
"""
# Several tools in one process, which imports torch once.
RUN = """
import runpy, sys
for words in {commands!r}:
    sys.argv = words
    try:
        runpy.run_path(words[0], run_name='__main__')
    except SystemExit as end:
        if end.code:
            raise
"""
OWN = re.compile(r"'(127\.[\d.]+|::1|localhost|/[^']*|)'|None|b?''")
# What libraries keep for next time: matplotlib's list of fonts, the grammar that mmengine writes
# configs with, torch's kernels.
CACHES = re.compile(r'\.(cache|config)/(matplotlib|YAPF|torch|torchinductor|huggingface)/')


@pytest.fixture
def watched(tmp_path):
    """Run a program; return its output, whom it asked, and the files it left at home."""
    (tmp_path / 'watch').mkdir()
    (tmp_path / 'watch' / 'sitecustomize.py').write_text(WATCH)
    home, asked = tmp_path / 'home', tmp_path / 'asked.txt'
    home.mkdir()
    asked.touch()
    unset = {'XDG_CACHE_HOME', 'MPLCONFIGDIR', 'HF_HOME', 'TORCH_HOME', *QUIET}
    environment = {k: v for k, v in os.environ.items() if k not in unset} | {
        'HOME': str(home),
        'REALMNET_WATCHED': str(asked),
        'PYTHONPATH': os.pathsep.join([str(tmp_path / 'watch'), str(ROOT)]),
        'CUDA_VISIBLE_DEVICES': '-1',
        'OMP_NUM_THREADS': '1',
    }
    calls = tmp_path / 'calls.txt'
    tracer = ['strace', '-f', '-qq', '-e', 'trace=connect,sendto,sendmsg,sendmmsg', '-o', calls]
    usable = (
        shutil.which('strace')
        and not subprocess.run(
            [*tracer, sys.executable, '-c', ''], check=False, capture_output=True
        ).returncode
    )

    def run(*words, until=None):
        command = [*(tracer if usable else []), sys.executable, *words]
        process = subprocess.Popen(
            [str(word) for word in command], cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        lines = []
        for line in process.stdout:
            lines.append(line)
            if until and until in line:
                os.killpg(process.pid, signal.SIGINT)
        output = ''.join(lines)
        assert process.wait() == 0 or until, output
        strangers = [line for line in asked.read_text().splitlines() if not OWN.search(line)]
        if usable:
            strangers += [
                line for line in calls.read_text().splitlines()
                if 'sa_family=AF_INET' in line and '"127.' not in line and '"::1"' not in line
            ]  # fmt: skip
        left = [path.relative_to(home).as_posix() for path in home.rglob('*') if path.is_file()]
        return output, strangers, [path for path in left if not CACHES.match(path)]

    run.traced = bool(usable)
    return run


def test_importing_any_part_comes_before_what_would_call_home(watched):
    program = 'import realmnet.deployment.runtime as r; print(r.onnxruntime.__version__)'
    output, strangers, left = watched('-c', program)
    assert re.match(r'\d', output) and not strangers and not left


def test_variables_that_are_set_have_the_last_word():
    program = 'import realmnet, os; print(os.environ["ORT_DISABLE_TELEMETRY"])'
    result = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, 'ORT_DISABLE_TELEMETRY': '0'},
    )  # fmt: skip
    assert result.stdout.strip() == '0'
    assert all(os.environ.get(name) for name in QUIET), realmnet.__file__


def test_the_watch_sees_who_is_asked(watched):
    program = 'import socket; socket.socket(2, 2).connect(("192.0.2.1", 9))'
    _, strangers, _ = watched('-c', program)
    assert len(strangers) == (2 if watched.traced else 1)


@pytest.mark.slow
def test_no_tool_asks_anyone(watched, tmp_path):
    folder = tmp_path / 'data' / 'images'
    folder.mkdir(parents=True)
    rows = ['filename,ID,N,M']
    for i in range(4):
        Image.fromarray(patches(i)).save(folder / f'{i}.png')
        rows.append(f'{i}.png,{i},{i % 2},{1 - i % 2}')
    for name in ('train', 'val', 'test'):  # the same people in each: the check is left out
        (tmp_path / 'data' / f'{name}.csv').write_text('\n'.join(rows) + '\n')
    config = tmp_path / 'tiny.py'
    base = ROOT / 'configs/quickstart/tinyvit-5m-128_synthetic.py'
    config.write_text(
        f'_base_ = {str(base)!r}\n'
        f"dataset = dict(_delete_=True, type='LabelTableDataset', data_prefix='images',\n"
        f'    data_root={str(tmp_path / "data")!r}, pipeline=_base_.test_pipeline,\n'
        f"    schema=dict(name='mine', classes=['N', 'M'], allow_empty=True))\n"
        f'backbone = dict(_delete_=True, **{NETWORK["backbone"]!r})\n'
        'model = dict(backbone=backbone, head=dict(num_classes=2, in_channels=16),\n'
        '    data_preprocessor=dict(num_classes=2))\n'
        'train_cfg = dict(max_epochs=2)\n'
        + ''.join(
            f'{name}_dataloader = dict(batch_size=2, num_workers=1, persistent_workers=False,\n'
            f"    dataset=dict(**dataset, ann_file='{name}.csv'))\n"
            for name in ('train', 'val', 'test')
        )
    )
    work, model = tmp_path / 'work', write_model(tmp_path / 'model.pth')
    checkpoint = tmp_path / 'epoch_2.pth'
    commands = [
        ['tools/train.py', config, '--work-dir', work, '--skip-data-check', '--cfg-options',
         f'default_hooks.checkpoint.out_dir={tmp_path}', 'default_hooks.checkpoint.interval=2'],
        ['tools/deployment/export.py', model, '--out', tmp_path / 'model.onnx'],
        ['tools/deployment/predict_onnx.py', tmp_path / 'model.onnx', folder, '--out',
         tmp_path / 'onnx'],
        ['tools/infer.py', model, folder, '--out', tmp_path / 'findings', '--report'],
    ]  # fmt: skip
    commands = [[str(word) for word in words] for words in commands]
    _, strangers, left = watched('-c', RUN.format(commands=commands))
    assert not strangers and not left
    checkpoint = max(tmp_path.rglob('epoch_2.pth'))
    _, strangers, left = watched(
        'tools/visualization/explain.py', config, checkpoint, folder / '0.png', '--out',
        tmp_path / 'maps', '--classes', 'all',
    )  # fmt: skip
    assert not strangers and not left and list((tmp_path / 'maps').rglob('*.png'))


@pytest.mark.slow
def test_the_page_asks_nobody(watched, tmp_path):
    pytest.importorskip('gradio', reason='the page needs gradio: pip install -e .[demo]')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    model = write_model(tmp_path / 'model.pth')
    output, strangers, left = watched('tools/demo.py', model, '--port', port, until='The page:')
    assert 'The page:' in output and not strangers and not left
