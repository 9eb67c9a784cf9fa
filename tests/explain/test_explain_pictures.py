"""tools/visualization/explain.py on pictures of strangers: names, formats, links, thresholds."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from model_files import patches
from PIL import Image

from realmnet.apis import Inferencer
from realmnet.curation.borders import find_field
from realmnet.curation.label_schema import PSMM
from realmnet.deployment.description import KEY
from realmnet.deployment.description_hook import describe_config
from realmnet.engine.config import load_config
from realmnet.errors import InputError
from realmnet.evaluation.thresholds import Thresholds
from realmnet.explain.loading import TrainedModel
from realmnet.explain.pictures import explain_picture, find_pictures, make_explainers

ROOT = Path(__file__).parents[2]
NOTICE = 'Research software, not a medical device.'


@pytest.fixture
def explain(trained_files, tmp_path, monkeypatch):
    """Run the tool in this process, on the class S1, into tmp_path/out; return the overlays."""

    def run(*arguments, files=trained_files, classes='S1'):
        command = [
            'explain.py',
            *files,
            *arguments,
            '--classes',
            classes,
            '--out',
            tmp_path / 'out',
        ]
        monkeypatch.setattr(sys, 'argv', [str(part) for part in command])
        tool = runpy.run_path(str(ROOT / 'tools' / 'visualization' / 'explain.py'))
        try:
            tool['main']()
        finally:
            out = tmp_path / 'out'
            run.overlays = sorted(p.relative_to(out).as_posix() for p in out.rglob('*_*_*.png'))
        return run.overlays

    return run


def draw(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(patches(number)).save(folder / name)
    return folder


def described(files, tmp_path, crop_border=False, **fields):
    """The checkpoint with a description, which inference needs."""
    description = describe_config(load_config(str(files[0])))
    preprocessing = replace(description.preprocessing, crop_border=crop_border)
    description = replace(description, preprocessing=preprocessing, **fields)
    content = torch.load(files[1])
    content['meta'] = {KEY: description.to_json()}
    path = tmp_path / 'described.pth'
    torch.save(content, path)
    return files[0], path


def test_no_picture_overwrites_another(explain, tmp_path):
    names = ('a/1.png', 'b/1.png', 'one.png', 'one.bmp')
    folder = draw(tmp_path / 'in', *names)
    assert explain(folder) == sorted(f'{name}_S1_gradcam++.png' for name in names)
    first, second = (
        np.asarray(Image.open(tmp_path / 'out' / f'{name}_S1_gradcam++.png'), int)
        for name in names[:2]
    )
    assert np.abs(first - second).mean() > 5


def test_labels_find_their_picture_in_its_folder(explain, tmp_path):
    folder = draw(tmp_path / 'in', 'a/1.png', 'b/1.png', '1.png')
    rows = [[0, 1, 0, 1, 0, 0, 0, name, name[0]] for name in ('a/1.png', 'b/1.png')]
    pd.DataFrame(rows, columns=PSMM.columns).to_csv(tmp_path / 'labels.csv', index=False)
    overlays = explain(folder, '--labels', tmp_path / 'labels.csv')
    assert overlays == ['a/1.png_S1_gradcam++.png', 'b/1.png_S1_gradcam++.png']
    with pytest.raises(InputError, match='none of its pictures is among those named'):
        explain(folder / 'a', '--labels', tmp_path / 'labels.csv')


def test_pictures_of_one_name_are_refused(tmp_path):
    folder = draw(tmp_path, 'a/1.png', 'b/1.png')
    with pytest.raises(InputError, match=r'both called 1\.png'):
        find_pictures([folder / 'a', folder / 'b' / '1.png'])
    found = find_pictures([folder / 'a' / '1.png', folder / 'a'])
    assert [p.name for p in found] == ['1.png']


def write_formats(folder):
    """Pictures of every accepted kind that training does not take."""
    pydicom = pytest.importorskip('pydicom')
    colour = Image.fromarray(patches(1, 90, 80))
    folder.mkdir()
    colour.convert('L').save(folder / 'grey.jpg')
    colour.convert('CMYK').save(folder / 'cmyk.jpg')
    colour.convert('RGBA').save(folder / 'alpha.png')
    colour.convert('P').save(folder / 'palette.png')
    Image.fromarray(np.asarray(colour.convert('L')).astype(np.uint16) << 8).save(folder / '16.png')
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.Rows, data.Columns, data.SamplesPerPixel, data.PlanarConfiguration = 90, 80, 3, 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PhotometricInterpretation = 'RGB'
    data.PixelData = np.asarray(colour).tobytes()
    data.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.save_as(folder / 'fundus.dcm', enforce_file_format=True)
    framed = np.zeros((400, 600, 3), np.uint8)
    framed[100:300, 150:450] = patches(2, 200, 300)
    Image.fromarray(framed).save(folder / 'framed.tif')
    return folder


@pytest.mark.parametrize('crop', [False, True])
def test_pictures_are_read_as_by_inference(trained_files, tmp_path, crop):
    files = described(trained_files, tmp_path, crop_border=crop)
    trained, inferencer = TrainedModel(*files), Inferencer(files[1], 'cpu')
    explainers = make_explainers(trained, ['attention'])
    pictures = find_pictures([write_formats(tmp_path / 'in')])
    assert len(pictures) == 7
    for picture in pictures:
        (row,) = explain_picture(picture, trained, explainers, ['S1'])
        finding = inferencer.predict(picture.path)
        assert row.scores == pytest.approx(finding.scores, abs=1e-5), picture.name
        assert row.found == set(finding.found)
        if picture.name == 'framed.tif':
            left, top, right, bottom = find_field(np.asarray(Image.open(picture.path)))
            height, width = (bottom - top, right - left) if crop else (400, 600)
            assert row.picture.shape == (height, width, 3)


def test_without_a_description_the_config_tells(trained_files):
    trained = TrainedModel(*trained_files)
    expected = describe_config(load_config(str(trained_files[0])))
    assert replace(trained.description, training=expected.training) == expected


def test_padded_pictures_are_shown_padded(trained_files, tmp_path):
    config, checkpoint = described(trained_files, tmp_path)
    trained = TrainedModel(config, checkpoint)
    preprocessing = replace(trained.description.preprocessing, keep_aspect=True)
    trained.description = replace(trained.description, preprocessing=preprocessing)
    Image.fromarray(patches(0, 100, 200)).save(tmp_path / 'wide.png')
    (row,) = explain_picture(tmp_path / 'wide.png', trained, {'m': None}, [])
    assert row.picture.shape == (200, 200, 3)
    assert not row.picture[:50].any()
    assert (row.picture[50:150] == patches(0, 100, 200)).all()


def test_bad_pictures_are_refused_as_by_inference(explain, trained_files, tmp_path, capsys):
    folder = draw(tmp_path / 'in', 'good.png')
    frames = [Image.fromarray(patches(i)) for i in range(3)]
    for name in ('animated.png', 'pages.tiff'):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    Image.new('RGB', (1, 1)).save(folder / 'dot.png')
    Image.fromarray(np.full((64, 64), 0.5, np.float32)).save(folder / 'float.tif')
    (folder / 'empty.jpg').write_bytes(b'')
    (folder / 'fake.dcm').write_text('x' * 200)
    with pytest.raises(InputError, match=r'6 of 7 picture\(s\) could not be explained'):
        explain(folder)
    assert explain.overlays == ['good.png_S1_gradcam++.png']
    inferencer = Inferencer(described(trained_files, tmp_path)[1], 'cpu')
    expected = [
        f'error: {r.problem}' for r in inferencer.stream(sorted(folder.iterdir())) if r.problem
    ]
    assert capsys.readouterr().err.splitlines() == expected


def test_links_out_of_the_folder_are_not_followed(explain, tmp_path, capsys):
    elsewhere = draw(tmp_path / 'elsewhere', 'secret.png')
    folder = draw(tmp_path / 'in', 'a.png')
    (folder / 'inside.png').symlink_to(folder / 'a.png')
    (folder / 'link.png').symlink_to(elsewhere / 'secret.png')
    with pytest.raises(InputError, match='1 of 3'):
        explain(folder)
    assert explain.overlays == ['a.png_S1_gradcam++.png', 'inside.png_S1_gradcam++.png']
    assert 'is a link out of the folder' in capsys.readouterr().err
    # a link that the user names is the user's
    assert 'link.png_S1_gradcam++.png' in explain(folder / 'link.png')


def test_what_is_found_is_what_inference_finds(explain, trained_files, tmp_path):
    """One class of each exclusive group, however high the scores of the others."""
    folder = draw(tmp_path / 'in', 'a.png')
    files = described(trained_files, tmp_path)
    finding = Inferencer(files[1], 'cpu').predict(folder / 'a.png')
    assert sum(score >= 0.5 for score in finding.scores.values()) > len(finding.found)
    overlays = explain(folder, files=files, classes='found')
    assert overlays == sorted(f'a.png_{c}_gradcam++.png' for c in finding.found)
    everything = explain(folder, '--threshold', 0, files=files, classes='found')
    assert len(everything) == len(PSMM.classes)


def test_stored_thresholds_decide_what_is_found(explain, trained_files, tmp_path):
    folder = draw(tmp_path / 'in', 'a.png')
    classes = tuple('NDGCAHM')
    config = tmp_path / 'config.py'
    config.write_text(
        f"_base_ = '{trained_files[0]}'\n"
        f"schema = dict(name='ODIR-5K', classes={classes}, allow_empty=True)\n"
        'train_dataloader = dict(dataset=dict(schema=schema))\n'
        'test_dataloader = dict(dataset=dict(schema=schema))\n'
    )
    values = dict.fromkeys(classes, 0.0) | {'N': 1.0, 'D': 1.0}
    stored = Thresholds(values, 'F1', list(classes))
    files = described((config, trained_files[1]), tmp_path, thresholds=stored)
    overlays = explain(folder, files=files, classes='found')
    assert overlays == [f'a.png_{c}_gradcam++.png' for c in sorted('GCAHM')]


def test_every_output_says_what_it_is_not(explain, tmp_path, monkeypatch, capsys):
    texts = []

    def save(figure, path, dpi):
        texts.extend(text.get_text() for text in figure.texts)

    monkeypatch.setattr('realmnet.reporting.style.save', save)
    (overlay,) = explain(draw(tmp_path / 'in', 'a.png'))
    assert NOTICE in ' '.join(texts)
    assert NOTICE in Image.open(tmp_path / 'out' / overlay).text['Description']
    assert capsys.readouterr().out.endswith(f'{NOTICE}\n')
