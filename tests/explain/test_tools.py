import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from realmnet.curation.label_table import read_label_table
from realmnet.errors import InputError
from realmnet.explain.benchmark import BASELINE, localise, read_masks
from realmnet.explain.loading import TrainedModel
from realmnet.explain.methods import Explainer

ROOT = Path(__file__).parents[2]


def run(tool, *arguments, status=0):
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, str(ROOT / 'tools' / tool), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def test_overlays_and_sheet(trained_files, synthetic_psmm, tmp_path):
    table = read_label_table(synthetic_psmm / 'ImageSets' / 'Main' / 'test.csv')
    out = run(
        'visualization/explain.py', *trained_files, synthetic_psmm / 'JPEGImages', '--labels',
        synthetic_psmm / 'ImageSets' / 'Main' / 'test.csv', '--each', 1, '--classes', 'S1', 'A3',
        '--method', 'gradcam++', 'attention', '--out', tmp_path,
    )  # fmt: skip
    assert 'the sheet is' in out
    overlays = sorted(p.name for p in tmp_path.glob('*_*_*.png'))
    assert overlays
    assert {n.rsplit('_', 2)[0] for n in overlays} <= {str(name) for name in table.filenames}
    assert {tuple(n[:-4].rsplit('_', 2)[1:]) for n in overlays} == {
        (c, m) for c in ('S1', 'A3') for m in ('gradcam++', 'attention')
    }
    name = overlays[0].rsplit('_', 2)[0]
    shown = np.asarray(Image.open(tmp_path / overlays[0]), dtype=int)
    with Image.open(synthetic_psmm / 'JPEGImages' / name) as original:
        assert shown.shape == (original.height, original.width, 3)
        assert np.abs(shown - np.asarray(original, dtype=int)).mean() > 1
    assert np.asarray(Image.open(tmp_path / 'sheet.png')).std() > 5


def test_every_row_is_on_a_sheet(trained_files, synthetic_psmm, tmp_path, monkeypatch):
    drawn = []
    tool = runpy.run_path(str(ROOT / 'tools' / 'visualization' / 'explain.py'))
    monkeypatch.setitem(
        tool['main'].__globals__,
        'explanation_sheet',
        lambda rows, classes, schema, note: drawn.append(([r.name for r in rows], classes, note)),
    )
    monkeypatch.setitem(
        tool['main'].__globals__, 'save', lambda figure, path, dpi: files.append(path)
    )
    files = []
    pictures = sorted((synthetic_psmm / 'JPEGImages').iterdir())[:14]
    command = ['explain.py', *trained_files, *pictures, '--sheet-rows', 5, '--out', tmp_path]
    monkeypatch.setattr(sys, 'argv', [str(part) for part in command])
    tool['main']()
    assert [path.name for path in files] == ['sheet.png', 'sheet_2.png', 'sheet_3.png']
    assert [name for names, _, _ in drawn for name in names] == [path.name for path in pictures]
    assert 'Sheet 3: rows 11 to 14 of 14.' in drawn[2][2]
    for names, classes, note in drawn:
        maps = {p.name[:-4].rsplit('_', 2)[1] for n in names for p in tmp_path.glob(f'{n}_*.png')}
        assert maps == set(classes) or not maps  # every map has its column
        assert all(c in classes or c in note for c in ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4'))
        assert 'Threshold 0.5 for every class' in note
        assert 'SYNTHETIC pictures' in note


def test_a_broken_picture_is_reported_and_the_rest_goes_on(trained_files, synthetic_psmm, tmp_path):
    good = next((synthetic_psmm / 'JPEGImages').iterdir())
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'no picture')
    error = run(
        'visualization/explain.py', *trained_files, broken, good, '--classes', 'A4', '--out',
        tmp_path / 'out', status=1,
    )  # fmt: skip
    assert 'broken.jpg: cannot be read (it is not a JPEG' in error
    assert '1 of 2 picture(s) could not be explained' in error
    assert 'Traceback' not in error
    assert (tmp_path / 'out' / f'{good.name}_A4_gradcam++.png').is_file()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--classes', 'A9'], '--classes A9: choose from S0, S1'),
        (['--classes', 'all', 'S1'], '--classes all S1: all stands alone'),
        (['--method', 'cam'], "method 'cam' is unknown"),
        (
            ['--method', 'eigencam'],
            'eigencam is the same for all classes; choose from .*eigengradcam',
        ),
        (['--stride', '3'], 'no feature map of stride 3 for a picture of 64 px'),
        (['--device', 'abacus'], "device 'abacus' cannot be used"),
        (['--sheet', 'x.doc'], r'--sheet x\.doc: must end in one of \.png, \.pdf, \.svg'),
        (['missing.jpg'], r'missing\.jpg: no such file or folder'),
        (['--labels', 'none.csv'], 'none.csv'),
    ],
)
def test_mistakes_say_what_to_do(
    trained_files, synthetic_psmm, tmp_path, monkeypatch, arguments, message
):
    picture = next((synthetic_psmm / 'JPEGImages').iterdir())
    command = ['explain.py', *trained_files, picture, *arguments, '--out', tmp_path]
    monkeypatch.setattr(sys, 'argv', [str(part) for part in command])
    tool = runpy.run_path(str(ROOT / 'tools' / 'visualization' / 'explain.py'))
    with pytest.raises(InputError, match=message) as error:
        tool['main']()
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('tool', ['visualization/explain.py', 'benchmarks/localisation.py'])
def test_help_has_an_example(tool):
    assert 'example' in run(tool, '--help').lower()


class MaskReader:
    """Stands for an explainer that knows the lesion: 1 in the mask of the first class asked."""

    def __init__(self, masks):
        self.masks, self.at = masks, 0

    def maps(self, inputs, classes):
        maps = np.stack([self.masks[self.at : self.at + len(inputs)]] * len(classes), 1)
        self.at += len(inputs)
        return maps.astype(np.float32)


def test_localise_measures_and_compares(trained_files, synthetic_psmm):
    trained = TrainedModel(*trained_files)
    test = read_label_table(synthetic_psmm / 'ImageSets' / 'Main' / 'test.csv')
    known = list(test.schema.classes)
    counts = dict(zip(known, test.labels.sum(0), strict=True))
    name = max(('S1', 'A2', 'A3', 'A4'), key=counts.get)
    index = known.index(name)
    present = np.flatnonzero(test.labels[:, index])
    masks = read_masks(synthetic_psmm, name, [str(f) for f in test.filenames[present]])
    explainers = {'oracle': MaskReader(masks), 'gradcam++': Explainer(trained.model)}
    result = localise(
        trained, explainers, synthetic_psmm, synthetic_psmm, 'test', [name], curves=True
    )
    assert np.isfinite(result.hits['oracle'][:, 0]).nonzero()[0].tolist() == present.tolist()
    assert (result.hits['oracle'][present, 0] == 1).all()
    assert np.allclose(result.energy['oracle'][present, 0], 1)
    baseline = result.hits[BASELINE][present, 0]
    assert result.difference('oracle')[0] == pytest.approx(1 - baseline.mean())
    assert set(result.deletion) == set(result.hits)
    text = str(result.tables())
    assert f'{name} (n={len(present)})' in text


def test_localise_needs_synthetic_masks(trained_files, synthetic_psmm, tmp_path):
    trained = TrainedModel(*trained_files)
    with pytest.raises(InputError, match=r'synthetic\.json'):
        localise(trained, {}, tmp_path, synthetic_psmm)
    with pytest.raises(InputError, match='class A0 has no lesion masks'):
        localise(trained, {}, synthetic_psmm, synthetic_psmm, classes=['A0'])


def test_classes_of_config_head_and_checkpoint_must_agree(trained_files, tmp_path):
    config, checkpoint = trained_files
    content = torch.load(checkpoint)
    content['meta'] = dict(dataset_meta=dict(classes=['a', 'b', 'c', 'd', 'e', 'f', 'g']))
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(InputError, match='was trained on classes'):
        TrainedModel(config, tmp_path / 'other.pth')
