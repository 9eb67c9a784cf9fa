"""The tools as a user runs them: help, results, one-line errors, exit status."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from realmnet.curation.label_table import read_label_table

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / 'tools' / 'dataset_tools'
NAMES = ['prepare_images', 'partition', 'imbalance', 'resample', 'make_protocols', 'subset',
         'verify', 'statistics']  # fmt: skip
SETS = ['1,0,0,1,0,0,0', '0,1,0,0,1,0,0', '1,0,1,0,0,0,0', '0,1,0,0,0,1,0', '0,1,0,0,0,0,1']
HEADER = 'S0,S1,A0,A1,A2,A3,A4,filename,ID'


def tool(name, *arguments):
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY), 'MPLBACKEND': 'agg'}
    return subprocess.run(
        [sys.executable, str(TOOLS / f'{name}.py'), *map(str, arguments)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip


def succeeds(name, *arguments):
    done = tool(name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fails(message, name, *arguments):
    done = tool(name, *arguments)
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    assert message in errors[0]


def write_rows(path, patients, sources=('ShenzhenEye', 'SUSTech'), first=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(first)
    lines = [HEADER]
    for patient in range(first, first + patients):
        owner = f'{sources[patient % len(sources)]}-{patient}'
        for i in range(2):
            lines.append(
                f'{rng.choice(SETS, p=[0.6, 0.2, 0.1, 0.06, 0.04])},{owner}_{i}.jpg,{owner}'
            )
    path.write_text('\n'.join(lines) + '\n')
    return path


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / 'data' / 'ImageSets' / 'Main'
    for first, split, patients in ((0, 'train', 60), (60, 'val', 10), (70, 'test', 10)):
        write_rows(folder / f'{split}.csv', patients, first=first)
    return tmp_path / 'data'


def names_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file())


@pytest.mark.parametrize('name', NAMES)
def test_help_shows_an_example(name):
    text = succeeds(name, '--help')
    assert f'python tools/dataset_tools/{name}.py' in text


def test_the_tool_named_statistics_does_not_hide_the_standard_module():
    code = (
        f'import sys; sys.path.insert(0, {str(TOOLS)!r})\n'
        'from statistics import NormalDist\n'
        'import statistics, random, numpy, pandas\n'
        'print(NormalDist().cdf(0), statistics.__file__)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    value, file = done.stdout.split()
    assert value == '0.5'
    assert 'dataset_tools' not in file


def test_partition(tmp_path):
    labels = write_rows(tmp_path / 'labels.csv', 40)
    text = succeeds('partition', labels, tmp_path / 'out')
    assert names_in(tmp_path / 'out') == ['partition.json', 'test.csv', 'train.csv', 'val.csv']
    record = json.loads((tmp_path / 'out' / 'partition.json').read_text())
    assert [c['patients'] for c in record['counts'].values()] == [28, 6, 6]
    assert '| published | 3,192 |' in text
    again = tmp_path / 'again'
    succeeds('partition', labels, again)
    for name in names_in(again):
        assert (again / name).read_bytes() == (tmp_path / 'out' / name).read_bytes()
    succeeds('partition', labels, tmp_path / 'folds', '--folds', 4, '--method', 'group-k-fold')
    assert len(names_in(tmp_path / 'folds')) == 5


def test_partition_of_bad_input(tmp_path):
    labels = write_rows(tmp_path / 'labels.csv', 40)
    out = tmp_path / 'out'
    fails('sum to 1', 'partition', labels, out, '--ratios', 0.7, 0.2, 0.2)
    fails('2 or more', 'partition', labels, out, '--folds', 1)
    labels.write_text(labels.read_text().replace(',ID', ',patient', 1))
    fails("column(s) ['ID'] missing", 'partition', labels, out)
    fails('no such label file', 'partition', tmp_path / 'none.csv', out)
    assert not out.exists()


def test_imbalance(root):
    text = succeeds('imbalance', root / 'ImageSets' / 'Main' / 'train.csv')
    assert '| IRLbl |' in text
    assert '| S0A1 |' in text
    assert '| SCUMBLE w/ REMEDIAL |' in text


@pytest.mark.parametrize('method', ['lp-ros', 'lp-rus', 'ml-ros', 'ml-rus', 'remedial',
                                    'remedial-hwr'])  # fmt: skip
def test_resample(root, tmp_path, method):
    train = root / 'ImageSets' / 'Main' / 'train.csv'
    succeeds('resample', train, tmp_path / 'out.csv', '--method', method)
    with (tmp_path / 'out.csv').open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == HEADER.split(',')
    assert (len(rows) - 1 < 120) == (method in ('lp-rus', 'ml-rus'))


def test_resample_of_bad_input(root, tmp_path):
    train = root / 'ImageSets' / 'Main' / 'train.csv'
    fails('between 0 and 1', 'resample', train, tmp_path / 'out.csv', '--ratio', 20)
    fails('replace the input', 'resample', train, train)
    assert tool('resample', train, tmp_path / 'out.csv', '--method', 'lp-ros', '--variant',
                'charte').returncode == 2  # fmt: skip
    assert not (tmp_path / 'out.csv').exists()


def test_make_protocols(root, tmp_path):
    text = succeeds('make_protocols', root)
    assert 'not PSMM' in text
    assert names_in(root / 'ImageSets' / 'Main') == [
        'CGP_wo-SUSTech/test.csv', 'CGP_wo-SUSTech/train.csv', 'CGP_wo-SUSTech/train_MLRUS-20.csv',
        'MRP/test_SUSTech.csv', 'MRP/train.csv', 'MRP/train_MLRUS-20.csv',
        'test.csv', 'train.csv', 'train_MLRUS-20.csv', 'val.csv',
    ]  # fmt: skip
    fails('no image of source(s)', 'make_protocols', root, '--out', tmp_path / 'x', '--sources',
          'ShenzhenEye', 'Zhongshan')  # fmt: skip
    assert not (tmp_path / 'x').exists()
    fails('no training list', 'make_protocols', tmp_path)


def test_subset(root, tmp_path):
    train = root / 'ImageSets' / 'Main' / 'train.csv'
    succeeds('subset', train, tmp_path / 'a')
    assert len(names_in(tmp_path / 'a')) == 10
    rows = [set((tmp_path / 'a' / f'train_{s}.csv').read_text().split()) for s in (10, 50, 100)]
    assert rows[0] < rows[1] < rows[2]
    succeeds('subset', train, tmp_path / 'b', '--k-shot', 1, 2)
    assert names_in(tmp_path / 'b') == ['train_1-shot.csv', 'train_2-shot.csv']
    fails('leaves none', 'subset', train, tmp_path / 'c', '--shares', 10)
    fails('ask for fewer', 'subset', train, tmp_path / 'c', '--k-shot', 1000)


def fill_pictures(root):
    folder = root / 'JPEGImages'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for path in (root / 'ImageSets' / 'Main').glob('*.csv'):
        for line in path.read_text().splitlines()[1:]:
            pixels = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / line.split(',')[7], quality=95)
    return folder


def test_verify_and_statistics_with_pictures(root, tmp_path):
    folder = fill_pictures(root)
    text = succeeds('verify', root, '--size', 24, '--out', tmp_path / 'report', '--jobs', 1,
                    '--agreement', *[root / 'ImageSets' / 'Main' / 'val.csv'] * 2)  # fmt: skip
    assert 'training may start' in text
    assert 'kappa S0: 1.0000' in text
    report = json.loads((tmp_path / 'report' / 'report.json').read_text())
    assert report['may_train']
    assert len((tmp_path / 'report' / 'quality.csv').read_text().splitlines()) == 161
    succeeds('statistics', root, '--out', tmp_path / 'statistics')
    assert 'fig_A1b.pdf' in names_in(tmp_path / 'statistics')
    next(folder.iterdir()).unlink()
    done = tool('verify', root, '--jobs', 1)
    assert done.returncode == 1
    assert 'training must not start' in done.stdout
    assert 'Traceback' not in done.stderr


def test_prepare_with_pseudonyms_and_unpack(root, tmp_path):
    folder = fill_pictures(root)
    train = root / 'ImageSets' / 'Main' / 'train.csv'
    succeeds('prepare_images', folder, tmp_path / 'out', '--size', 32, '--jobs', 2,
             '--pseudonymise', tmp_path / 'key', '--labels', train,
             '--labels-out', tmp_path / 'labels')  # fmt: skip
    with (tmp_path / 'labels' / 'train.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    for row in rows:
        assert (tmp_path / 'out' / row['filename']).is_file()
        assert row['filename'].startswith(row['ID'])
    assert 'ShenzhenEye-0' not in {row['ID'] for row in rows}

    with zipfile.ZipFile(tmp_path / 'p.zip', 'w') as archive:
        for path in folder.iterdir():
            archive.write(path, f'JPEGImages/{path.name}')
    text = succeeds('prepare_images', tmp_path / 'p.zip', tmp_path / 'unpacked', '--unpack',
                    '--data-root', root)  # fmt: skip
    assert '160 labelled, 0 of them missing, 0 pictures without label' in text
    fails('add --unpack', 'prepare_images', tmp_path / 'p.zip', tmp_path / 'x')


def test_prepare_reports_what_it_could_not_read(tmp_path):
    (tmp_path / 'raw').mkdir()
    (tmp_path / 'raw' / 'a.jpg').write_bytes(b'no picture')
    done = tool('prepare_images', tmp_path / 'raw', tmp_path / 'out', '--jobs', 1)
    assert done.returncode == 1
    assert '1 could not be read' in done.stdout
    assert 'a.jpg' in (tmp_path / 'out' / 'unreadable.csv').read_text()


def test_statistics_of_bad_input(tmp_path):
    fails('no training list', 'statistics', tmp_path, '--out', tmp_path / 'out')


def test_one_patient_in_three_spellings_is_no_sound_data_set(root):
    sets = root / 'ImageSets' / 'Main'
    for name, row in (('train', 'a.jpg,007'), ('val', 'c.jpg,7'), ('test', './a.jpg,7.0')):
        (sets / f'{name}.csv').write_text(f'{HEADER}\n1,0,1,0,0,0,0,{row}\n')
    done = tool('verify', root, '--labels-only')
    assert done.returncode == 1
    for named in ('007 and 7)', '007 and 7.0)', "a.jpg (written './a.jpg')"):
        assert named in done.stdout
    fails("'007' of train", 'make_protocols', root)


def test_formulas_pass_no_tool_and_are_read_back(root, tmp_path):
    train = root / 'ImageSets' / 'Main' / 'train.csv'
    lines = train.read_text().splitlines()
    evil = [line.replace('SUSTech', '=SUM(A1)-SUSTech') for line in lines]
    train.write_text('\n'.join(evil) + '\n')
    succeeds('partition', train, tmp_path / 'split')
    succeeds('subset', train, tmp_path / 'part', '--shares', 1)
    succeeds('resample', train, tmp_path / 'more.csv', '--method', 'lp-ros', '--ratio', 0.01)
    for path in [*tmp_path.rglob('split/*.csv'), *tmp_path.rglob('part/*.csv'),
                 tmp_path / 'more.csv']:  # fmt: skip
        with path.open(newline='') as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith('=')]
        if 'part' in str(path):
            assert sum(cell.startswith("'=SUM(A1)-") for cell in cells) == 120
    back = read_label_table(tmp_path / 'part' / 'train_100.csv')
    assert back.frame.equals(read_label_table(train).frame)


def test_patients_that_look_alike_are_not_split(tmp_path):
    labels = write_rows(tmp_path / 'labels.csv', 40)
    labels.write_text(labels.read_text().replace('SUSTech-1\n', 'sustech-01\n', 1))
    for name in ('partition', 'subset'):
        done = tool(name, labels, tmp_path / 'out')
        assert done.returncode == 1
        warning, error = done.stderr.splitlines()
        assert warning.startswith(f'warning: {labels}: patients ')
        assert error.startswith('error: ')
        assert "'SUSTech-1' and 'sustech-01'" in warning
        assert "'SUSTech-1' and 'sustech-01'" in error
    assert not (tmp_path / 'out').exists()
