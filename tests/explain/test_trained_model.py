"""One trained model for findings, heat maps, page and export, from one file or with its config."""

import hashlib
import runpy
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_files import patches, small_description, write_model
from PIL import Image

from realmnet.apis import Inferencer
from realmnet.apis.one_picture import Examiner
from realmnet.curation.label_schema import PSMM
from realmnet.deployment import trained_model
from realmnet.deployment.deployed_network import DeployedNetwork
from realmnet.deployment.description import KEY, ModelDescription, Preprocessing
from realmnet.deployment.export import reference_scores
from realmnet.deployment.model_file import pack
from realmnet.deployment.trained_model import TrainedModel, split_arguments
from realmnet.errors import InputError
from realmnet.explain.methods import Explainer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def packed(trained_files, tmp_path_factory):
    """The checkpoint of ``trained_files``, packed by its config."""
    out = tmp_path_factory.mktemp('packed') / 'model.pth'
    pack(trained_files[1], out, config=trained_files[0], input_check=False)
    return out


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for number in range(3):
        Image.fromarray(patches(number, 90, 80)).save(folder / f'{number}.png')
    return folder


def test_packed_file_and_config_with_checkpoint_are_one_model(trained_files, packed, pictures):
    paths = sorted(pictures.iterdir())
    from_config, from_file = TrainedModel(*trained_files), TrainedModel(packed)
    assert from_file.schema == from_config.schema
    inputs = from_config.inputs(paths)
    assert torch.equal(inputs, from_file.inputs(paths))
    assert torch.equal(from_config.scores(inputs), from_file.scores(inputs))
    for method in ('gradcam++', 'hirescam', 'attention'):
        one = Explainer(from_config.model, method).maps(inputs, [1, 4])
        other = Explainer(from_file.model, method).maps(inputs, [1, 4])
        assert one.max() == 1 and (one == other).all(), method


def test_what_is_exported_is_the_same_model(trained_files, packed):
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    scores, references = [], []
    for files in (trained_files, (packed,)):
        trained = TrainedModel(*files)
        deployed = DeployedNetwork(trained.model, trained.description)
        scores.append(deployed(torch.from_numpy(noise)))
        references.append(reference_scores(trained.model, trained.description, noise))
    assert torch.equal(*scores) and (references[0] == references[1]).all()
    assert np.abs(scores[0].numpy() - references[0]).max() < 1e-5


@pytest.fixture
def counted(monkeypatch):
    """How often a file is read as a checkpoint, verified and digested, by its name."""
    counts = {}

    def count(what, name):
        counts.setdefault(Path(name).name, []).append(what)

    load, verify, digest = torch.load, zipfile.ZipFile.testzip, hashlib.file_digest
    monkeypatch.setattr(torch, 'load', lambda f, *a, **k: (count('load', f), load(f, *a, **k))[1])
    monkeypatch.setattr(
        zipfile.ZipFile, 'testzip', lambda z: (count('verify', z.filename), verify(z))[1]
    )
    monkeypatch.setattr(
        hashlib, 'file_digest', lambda f, kind: (count('digest', f.name), digest(f, kind))[1]
    )
    return counts


def run_tool(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools' / name))['main']()


def test_tools_read_a_model_once(counted, monkeypatch, pictures, tmp_path):
    model = write_model(tmp_path / 'm.pth')
    counted.clear()
    once = ['digest', 'verify', 'load']
    run_tool(monkeypatch, 'infer.py', model, pictures, '--out', tmp_path / 'a', '--device', 'cpu')
    assert counted.pop('m.pth') == once
    run_tool(
        monkeypatch,
        'visualization/explain.py',
        model,
        pictures,
        '--classes',
        'S1',
        '--method',
        'attention',
        'hirescam',
        '--out',
        tmp_path / 'b',
    )
    assert counted.pop('m.pth') == once
    assert len(list((tmp_path / 'b').glob('*_S1_*.png'))) == 6
    noted = (tmp_path / 'a' / 'findings.json').read_text()
    assert hashlib.sha256(model.read_bytes()).hexdigest() in noted


def test_the_page_reads_a_model_once(counted, monkeypatch, pictures, tmp_path):
    gradio = pytest.importorskip('gradio')
    from realmnet.apis import page_server

    pages = []
    monkeypatch.setattr(page_server, 'launch', lambda *a: None)
    monkeypatch.setattr(gradio.Blocks, 'block_thread', lambda self: None)
    monkeypatch.setattr(
        'realmnet.apis.page.Page.blocks', lambda page: pages.append(page) or gradio.Blocks()
    )
    model = write_model(tmp_path / 'm.pth')
    counted.clear()
    run_tool(monkeypatch, 'demo.py', model, '--device', 'cpu')
    (page,) = pages
    session = page.examine(pictures / '0.png')
    page.explain(session, 'S1', ['gradcam++', 'attention'])
    page.write(session)
    session.close()
    assert counted['m.pth'] == ['digest', 'verify', 'load']
    assert page.model == {'name': 'm.pth', 'sha256': page.examiner.inferencer.trained.sha256}


def test_findings_and_heat_maps_share_one_loaded_model(counted, pictures, tmp_path):
    model = write_model(tmp_path / 'm.pth')
    counted.clear()
    trained = TrainedModel(model)
    examiner = Examiner(Inferencer(trained))
    picture = examiner.examine(pictures / '0.png')
    assert examiner.heat(picture, 'S1', 'attention').max() == 1
    assert examiner.inferencer.network is trained.model
    assert counted['m.pth'] == ['digest', 'verify', 'load']


def described(path, checkpoint, **fields):
    """The checkpoint with a description that differs from its packed one in some fields."""
    content = torch.load(checkpoint)
    about = ModelDescription.from_json(content['meta'][KEY], str(checkpoint))
    content['meta'] = {KEY: replace(about, **fields).to_json()}
    torch.save(content, path)
    return path


def test_a_config_may_stand_beside_a_file_that_says_the_same(trained_files, packed, tmp_path):
    stored = TrainedModel(trained_files[0], packed)
    assert stored.description == TrainedModel(packed).description
    with pytest.raises(InputError, match=r'the options \[.model.head.lam.\] would change nothing'):
        TrainedModel(trained_files[0], packed, options={'model.head.lam': 0.5})
    with pytest.raises(InputError, match=r'model\.pth: describes itself, so the options'):
        TrainedModel(packed, options={'model.head.lam': 0.5})


def test_a_config_that_contradicts_the_file_is_refused(trained_files, packed, tmp_path):
    other = tuple('abcdefg')
    names = described(
        tmp_path / 'a.pth',
        packed,
        classes=other,
        class_names=(),
        diagnosis=(),
        schema='letters',
        meaning=None,
    )
    with pytest.raises(InputError, match=r"a\.pth: was trained on classes \['a', 'b'.*config\.py"):
        TrainedModel(trained_files[0], names)
    wide = tmp_path / 'wide.py'
    wide.write_text(
        f"_base_ = '{trained_files[0]}'\n"
        'model = dict(backbone=dict(img_size=128, window_size=[4, 4, 8, 4]))\n'
    )
    with pytest.raises(InputError, match=r'on pictures of 64 px, .*wide\.py has 128 px; leave'):
        TrainedModel(wide, packed)


def test_options_still_override_the_config_of_a_checkpoint_without_description(trained_files):
    trained = TrainedModel(*trained_files, 'cpu', {'model.head.lam': 0.5})
    assert trained.description.network['head']['lam'] == trained.model.head.lam == 0.5


def test_head_and_schema_must_agree(trained_files):
    with pytest.raises(InputError, match='the head has 5 outputs, the label schema 7 classes'):
        TrainedModel(*trained_files, options={'model.head.num_classes': 5})


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (
            ['m.onnx'],
            r'm\.onnx: is an exported model, without .* gradients; give the \.pth',
        ),
        (['m.pt2'], r'm\.pt2: is an exported model'),
        (['config.py'], r'config\.py: is a config, not a trained model'),
        (['text.pth'], r'text\.pth is refused: it is something else, not a file of torch\.save'),
        (['none.pth'], r'none\.pth is missing'),
        (['eye.png'], r'eye\.png is refused: it is something else'),
        (['bare.pth'], r'bare\.pth: does not say how it is to be used .*pack\.py'),
        (['m.pth', 'm.pth'], r'm\.pth: is no config \(\.py'),
        (['none.py', 'bare.pth'], r'none\.py: no such config file'),
    ],
)
def test_what_is_no_trained_model_is_said(words, message, trained_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('m.onnx', 'm.pt2', 'text.pth', 'config.py'):
        Path(name).write_text('nothing of the kind')
    Image.fromarray(patches(0)).save('eye.png')
    write_model(Path('m.pth'))
    Path('bare.pth').write_bytes(trained_files[1].read_bytes())
    with pytest.raises(InputError, match=message) as error:
        TrainedModel(*words)
    assert '\n' not in str(error.value)
    if len(words) == 1:
        with pytest.raises(InputError, match=message):
            Inferencer(*words, device='cpu')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['config.py'], r'config\.py: is a config; give the checkpoint'),
        (['a.pth', 'b.pth', 'eye.jpg'], r'a\.pth and then b\.pth: one trained model is taken'),
        (['c.py', 'a.pth', 'b.pth', 'eye.jpg'], r'c\.py a\.pth and then b\.pth: one trained'),
        (['a.pth', 'c.py', 'eye.jpg'], r'a\.pth and then c\.py: one trained'),
        (['a.pth', 'b.onnx'], r'a\.pth and then b\.onnx: one trained'),
    ],
)
def test_one_model_stands_at_the_beginning_of_a_command(words, message):
    with pytest.raises(InputError, match=message):
        split_arguments(words)


def test_tools_say_what_follows_a_model(monkeypatch, tmp_path, capsys):
    with pytest.raises(InputError, match=r'a\.pth and then b\.pth'):
        run_tool(monkeypatch, 'visualization/explain.py', 'a.pth', 'b.pth', 'x', '--out', 'o')
    for words, said in ((('c.py', 'a.pth'), 'required: pictures'), (('a.pth',), 'pictures')):
        with pytest.raises(SystemExit):
            run_tool(monkeypatch, 'visualization/explain.py', *words, '--out', 'o')
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_tool(monkeypatch, 'benchmarks/localisation.py', 'a.pth', 'data', 'more')
    assert "one synthetic data set after the model, got ['data', 'more']" in capsys.readouterr().err


def test_a_file_that_changes_while_it_is_read_is_refused(monkeypatch, tmp_path):
    model = write_model(tmp_path / 'm.pth')
    read = trained_model.read_checkpoint

    def read_and_write(path):
        content = read(path)
        write_model(model, small_description(PSMM.classes, preprocessing=Preprocessing(64)))
        return content

    monkeypatch.setattr(trained_model, 'read_checkpoint', read_and_write)
    with pytest.raises(InputError, match=r'm\.pth: was changed while it was read'):
        TrainedModel(model)
