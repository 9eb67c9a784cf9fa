"""tools/infer.py and tools/deployment/pack.py, as someone with a folder of pictures runs them."""

import json
import re
import runpy
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from model_files import patches, small_description, write_model
from PIL import Image
from pydicom.dataset import FileMetaDataset

from realmnet.deployment.description import KEY
from realmnet.evaluation.thresholds import Thresholds, write_thresholds

ROOT = Path(__file__).parents[2]
NOTICE = 'Research software, not a medical device.'


@pytest.fixture(autouse=True)
def _leave_warnings_alone():
    """The tools set filters of their own process."""


def run(capsys, monkeypatch, tool, *arguments):
    """Run a tool in this process: (exit status, what it said, what it complained about)."""
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
    status = 0
    try:
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
    except SystemExit as stop:
        status = stop.code or 0
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp('model') / 'model.pth')


def dicom_without_pixels(path):
    data = pydicom.Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.PatientName = 'Doe^Jane'
    data.Rows, data.Columns = 64, 64
    data.save_as(path, enforce_file_format=False)


def huge(path):
    """A PNG whose header says 20,000 x 20,000 pixels."""

    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', crc)

    header = struct.pack('>IIBBBBB', 20000, 20000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(60001) * 50)
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', rows)
                     + chunk(b'IEND', b''))  # fmt: skip


def animated(path):
    frames = [Image.fromarray(patches(i)) for i in range(3)]
    frames[0].save(path, format=path.suffix[1:].upper(), save_all=True, append_images=frames[1:])


BROKEN = {
    'dot.png': (lambda p: Image.new('RGB', (1, 1)).save(p), 'has 1 x 1 pixels'),
    'huge.png': (huge, 'more than 120 million pixels'),
    'text.jpg': (lambda p: p.write_text('hello'), 'is not a JPEG, PNG, TIFF, BMP, WebP, JPEG 2000'),
    'empty.jpg': (lambda p: p.write_bytes(b''), 'the file is empty'),
    'animated.png': (animated, 'has 3 pages or frames'),
    'pages.tiff': (animated, 'has 3 pages or frames'),
    'gif.jpg': (lambda p: (animated(p.with_name('x.gif')), p.with_name('x.gif').rename(p)),
                'is not a JPEG, PNG, TIFF, BMP, WebP, JPEG 2000'),
    'report.dcm': (dicom_without_pixels, 'cannot be read'),
    'fake.dcm': (lambda p: p.write_text('x' * 200), 'cannot be read'),
    'cut.jpg': (lambda p: p.write_bytes(cv2.imencode('.jpg', patches(1))[1].tobytes()[:-300]),
                'cannot be read'),
    'float.tif': (lambda p: Image.fromarray(np.full((64, 64), 0.5, np.float32)).save(p),
                  'floating-point'),
}  # fmt: skip


def test_every_bad_picture_is_one_sentence_and_the_good_are_done(
    model, tmp_path, capsys, monkeypatch
):
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    good = {'a.jpg': {}, 'b.png': {}, 'c.bmp': {}, 'd.tif': {}}
    for number, name in enumerate(good):
        Image.fromarray(patches(number)).save(folder / name)
    for name, (make, _) in BROKEN.items():
        make(folder / name)
    status, said, complained = run(capsys, monkeypatch, 'infer.py', model, folder, '--out', out,
                                   '--device', 'cpu')  # fmt: skip
    assert status == 0
    assert 'Traceback' not in complained
    assert set(pd.read_csv(out / 'findings.csv')['filename']) == set(good)
    problems = pd.read_csv(out / 'problems.csv').set_index('filename')['problem']
    assert set(problems.index) == set(BROKEN)
    for name, (_, sentence) in BROKEN.items():
        assert sentence in problems[name], name
        assert problems[name].startswith(f'{name}: ')
        assert '\n' not in problems[name]
        assert 'Jane' not in problems[name]
    assert f'4 pictures read, 0 were done before, {len(BROKEN)} could not be read' in said
    assert said.strip().endswith(NOTICE)


def test_nothing_readable_is_a_failure(model, tmp_path, capsys, monkeypatch):
    folder = tmp_path / 'in'
    folder.mkdir()
    (folder / 'text.jpg').write_text('hello')
    status, said, _ = run(capsys, monkeypatch, 'infer.py', model, folder, '--out',
                          tmp_path / 'out')  # fmt: skip
    assert status == 1
    assert 'text.jpg: cannot be read (it is not a JPEG' in said
    assert NOTICE in said


def test_mistakes_are_one_line(model, tmp_path, capsys, monkeypatch):
    folder = tmp_path / 'in'
    folder.mkdir()
    Image.fromarray(patches(0)).save(folder / 'a.png')
    (tmp_path / 'void').mkdir()
    (tmp_path / 'file').write_text('')
    old = write_model(tmp_path / 'old.pth', meta={'epoch': 1})
    text = small_description().to_json()
    other = write_model(
        tmp_path / 'other.pth', meta={KEY: text, 'dataset_meta': {'classes': ['N', 'M']}}
    )
    text = re.sub(r'"num_classes": 7', '"num_classes": 9', text)
    outputs = write_model(tmp_path / 'outputs.pth', meta={KEY: text})
    for arguments, sentence in [
        ((model, tmp_path / 'void', '--out', tmp_path / 'a'), 'no picture found'),
        ((model, tmp_path / 'none', '--out', tmp_path / 'a'), 'no such folder'),
        ((model, folder, '--out', tmp_path / 'file' / 'a'), 'cannot be written'),
        ((model, folder, '--out', folder / 'a'), 'overlaps'),
        ((tmp_path / 'none.pth', folder, '--out', tmp_path / 'a'), 'is missing'),
        ((tmp_path / 'file', folder, '--out', tmp_path / 'a'), 'cut short'),
        ((old, folder, '--out', tmp_path / 'a'), 'pack.py'),
        ((other, folder, '--out', tmp_path / 'a'), "training had ['N', 'M']"),
        ((outputs, folder, '--out', tmp_path / 'a'), 'another label schema'),
        ((model, folder, '--out', tmp_path / 'a', '--batch-size', 0), 'batch size is 0'),
        ((model, folder, '--out', tmp_path / 'a', '--device', 'abacus'), "device 'abacus'"),
    ]:
        status, _, complained = run(capsys, monkeypatch, 'infer.py', *arguments)
        assert status == 1
        assert complained.startswith('error: '), complained
        assert sentence in complained
        assert complained.strip().count('\n') == 0
        assert not (tmp_path / 'a').exists()


def test_pictures_over_the_users_limit(model, tmp_path, capsys, monkeypatch):
    folder = tmp_path / 'in'
    folder.mkdir()
    Image.fromarray(patches(0)).save(folder / 'a.png')
    Image.fromarray(patches(0, 100, 100)).save(folder / 'b.png')
    status, said, _ = run(capsys, monkeypatch, 'infer.py', model, folder, '--out',
                          tmp_path / 'out', '--limit-pixels', 5000, '--no-report')  # fmt: skip
    assert status == 0
    assert 'b.png: more than 0.005 million pixels' in said
    assert not list((tmp_path / 'out').glob('*.html'))


def evaluation(classes):
    row = {'group': 'all', 'part': 'labels', 'convention': 'sound', 'low': 0.7, 'high': 0.9}
    rows = [{**row, 'metric': 'AUROC', 'of': '', 'value': 0.8, 'positives': -1}]
    rows += [{**row, 'metric': 'AUROC', 'of': c, 'value': 0.8125, 'positives': 12} for c in classes]
    rows += [{**row, 'metric': 'recall', 'of': c, 'value': None, 'positives': 0} for c in classes]
    rows += [{**rows[1], 'convention': 'published', 'value': 0.1234}]
    return {'settings': {'images': 40, 'patients': 9}, 'notes': ['A note.'], 'rows': rows}


def test_pack_writes_model_and_card(model, tmp_path, capsys, monkeypatch):
    classes = small_description().classes
    chosen = Thresholds(dict.fromkeys(classes, 0.25), 'F1', list(classes), 'val.csv', 40)
    write_thresholds(chosen, tmp_path / 't.json')
    (tmp_path / 'e.json').write_text(json.dumps(evaluation(classes)))
    status, said, complained = run(
        capsys, monkeypatch, 'deployment/pack.py', model, '--out', tmp_path / 'packed.pth',
        '--thresholds', tmp_path / 't.json', '--evaluation', tmp_path / 'e.json', '--crop-border',
    )  # fmt: skip
    assert status == 0, complained
    assert NOTICE in said
    card = (tmp_path / 'packed.md').read_text()
    for part in (NOTICE, 'packed.pth', 'black outer border cropped', '| A4 | 0.2500 |',
                 '0.8125 [0.7000, 0.9000]', 'undefined', 'A note.', '40 pictures of 9 patients',
                 'not recorded whether', 'realmnet 0.1.0'):  # fmt: skip
        assert part in card, part
    assert '0.1234' not in card  # the paper's intervals are not the sound ones
    assert '$' not in card.replace('```', '')
    import hashlib

    assert hashlib.sha256((tmp_path / 'packed.pth').read_bytes()).hexdigest() in card


def test_card_of_another_evaluation_is_refused(model, tmp_path, capsys, monkeypatch):
    for content, sentence in (
        (json.dumps(evaluation(['M'])), 'says nothing about'),
        ('[]', 'not a JSON table'),
        ('{"rows": [1]}', 'not a JSON table'),
    ):
        (tmp_path / 'e.json').write_text(content)
        status, _, complained = run(
            capsys, monkeypatch, 'deployment/pack.py', model, '--out', tmp_path / 'packed.pth',
            '--evaluation', tmp_path / 'e.json',
        )  # fmt: skip
        assert status == 1
        assert sentence in complained


@pytest.mark.parametrize('tool', ['infer.py', 'deployment/pack.py'])
def test_help_has_an_example(tool, capsys, monkeypatch):
    status, said, _ = run(capsys, monkeypatch, tool, '--help')
    assert status == 0
    assert 'example' in said
