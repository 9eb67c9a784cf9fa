"""The runtime: without torch, safe with strangers' files, equal to what the graph says."""

import runpy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from realmnet.curation.pictures import write_picture
from realmnet.deployment.description import KEY, ModelDescription, Preprocessing
from realmnet.deployment.runtime import OnnxModel
from realmnet.errors import InputError

SIZE = 32
NETWORK = {'type': 'ImageClassifier', 'backbone': {'type': 'RealMTinyViT'},
           'head': {'type': 'ResidualAttentionHead', 'num_classes': 2}}  # fmt: skip
DESCRIPTION = ModelDescription(('N', 'M'), Preprocessing(SIZE), NETWORK)


def write_toy(path, description=DESCRIPTION, classes=2, size=SIZE, external=None):
    """A graph whose scores are the mean of red and of green over the columns' ramp, by hand."""
    ramp = np.linspace(0, 1, size, dtype=np.float32).reshape(1, 1, size, 1)
    weights = numpy_helper.from_array(ramp, 'ramp')
    if external:
        weights.ClearField('raw_data')
        weights.data_location = TensorProto.EXTERNAL
        for key, value in (('location', external), ('offset', '0'), ('length', str(4 * SIZE))):
            weights.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node('Cast', ['pictures'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['float', 'ramp'], ['weighted']),
        helper.make_node('ReduceMean', ['weighted', 'axes'], ['mean'], keepdims=0),
        helper.make_node('Div', ['mean', 'most'], ['shares']),
        helper.make_node('Slice', ['shares', 'zero', 'classes', 'one'], ['scores']),
    ]
    constants = {'axes': [1, 2], 'zero': [0], 'classes': [classes], 'one': [1]}
    initializers = [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in constants.items()]
    initializers += [weights, numpy_helper.from_array(np.float32(255), 'most')]
    graph = helper.make_graph(
        nodes,
        'toy',
        [helper.make_tensor_value_info('pictures', TensorProto.UINT8, ['N', size, size, 3])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', classes])],
        initializers,
    )
    # the slice is of the last axis
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), 'last'))
    graph.node[-1].input[:] = ['shares', 'zero', 'classes', 'last', 'one']
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
    if description is not None:
        text = description if isinstance(description, str) else description.to_json()
        model.metadata_props.add(key=KEY, value=text)
    onnx.save(model, path)
    return path


@pytest.fixture
def toy(tmp_path):
    return write_toy(tmp_path / 'toy.onnx')


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (7, SIZE, SIZE, 3), np.uint8)


def by_hand(pictures):
    ramp = np.linspace(0, 1, SIZE).reshape(1, 1, SIZE, 1)
    return (pictures * ramp).mean(axis=(1, 2))[:, :2] / 255


@pytest.mark.parametrize('threads', [1, 3])
def test_scores_are_those_of_the_graph(toy, pictures, threads):
    found = OnnxModel(toy, threads).scores(pictures)
    assert np.allclose(found, by_hand(pictures), atol=1e-6)
    assert found.shape == (7, 2)
    assert OnnxModel(toy).scores(pictures[:0]).shape == (0, 2)


def test_flip_averages_with_the_mirror_image(toy, pictures):
    expected = (by_hand(pictures) + by_hand(pictures[:, :, ::-1])) / 2
    assert np.allclose(OnnxModel(toy, flip=True).scores(pictures), expected, atol=1e-6)
    assert not np.allclose(OnnxModel(toy).scores(pictures), expected, atol=1e-4)


def test_stream_keeps_the_order_and_goes_on_after_a_broken_picture(toy, pictures, tmp_path):
    paths = []
    for number, picture in enumerate(pictures):
        paths.append(tmp_path / f'{number}.png')
        write_picture(paths[-1], picture)
    paths[3].write_text('no picture')
    results = list(OnnxModel(toy, 2).stream(iter(paths)))
    assert [r.path for r in results] == paths
    assert [r.finding is None for r in results] == [n == 3 for n in range(7)]
    assert '3.png' in results[3].problem
    expected = by_hand(pictures)
    for n in (0, 1, 2, 4, 5, 6):
        assert np.allclose(list(results[n].finding.scores.values()), expected[n], atol=1e-6)
        assert np.array_equal(results[n].picture, pictures[n])


def test_stream_reads_only_a_little_ahead(toy, pictures, tmp_path):
    path = tmp_path / 'a.png'
    write_picture(path, pictures[0])
    asked = 0

    def paths():
        nonlocal asked
        while True:
            asked += 1
            yield path

    stream = OnnxModel(toy, 2).stream(paths())
    for _ in range(20):
        next(stream)
    stream.close()
    assert asked <= 20 + 4 * 2


def test_thresholds_and_preprocessing_come_from_the_file(pictures, tmp_path):
    wide = np.repeat(np.repeat(pictures[0], 2, axis=0), 4, axis=1)
    model = OnnxModel(write_toy(tmp_path / 'toy.onnx'))
    ready = DESCRIPTION.preprocessing.apply(wide)
    finding = model.predict(wide)
    assert np.allclose(list(finding.scores.values()), by_hand(ready[None])[0], atol=1e-6)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda data: b'', 'cut short, or no ONNX file'),
        (lambda data: data[: len(data) // 2], 'cut short, or no ONNX file'),
        (lambda data: b'PK\x03\x04' + data[:100], 'cut short, or no ONNX file'),
        (lambda data: b'\xff\xd8\xff\xe0 a JPEG', 'cut short, or no ONNX file'),
    ],
)
def test_damaged_files_are_one_sentence(toy, change, message):
    toy.write_bytes(change(toy.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        OnnxModel(toy)
    assert str(toy) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_files_of_others_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match='no such file'):
        OnnxModel(tmp_path / 'missing.onnx')
    with pytest.raises(InputError, match='does not say how it is to be used'):
        OnnxModel(write_toy(tmp_path / 'a.onnx', description=None))
    with pytest.raises(InputError, match='format_version'):
        OnnxModel(write_toy(tmp_path / 'b.onnx', description='{"format_version": 99}'))
    three = replace(DESCRIPTION, classes=('N', 'M', 'D'), class_names=(),
                    network=NETWORK | {'head': {'type': 'ResidualAttentionHead'}})  # fmt: skip
    with pytest.raises(InputError, match='its description expects'):
        OnnxModel(write_toy(tmp_path / 'c.onnx', description=three))
    with pytest.raises(InputError, match='its description expects'):
        OnnxModel(write_toy(tmp_path / 'd.onnx', size=2 * SIZE))
    with pytest.raises(InputError, match='threads is 0'):
        OnnxModel(write_toy(tmp_path / 'e.onnx'), threads=0)


def test_operators_of_a_newer_onnx_are_one_sentence(toy):
    model = onnx.load(toy)
    model.opset_import[0].version = 999
    onnx.save(model, toy)
    with pytest.raises(InputError, match='install a newer onnxruntime'):
        OnnxModel(toy)


@pytest.mark.parametrize('where', ['weights', './weights', 'absolute', '../weights', 'here'])
def test_no_other_file_is_read(tmp_path, monkeypatch, where):
    """Weights kept in another file: in the model's folder, above it, in the current folder."""
    inner = tmp_path / 'inner'
    inner.mkdir()
    ramp = np.linspace(0, 1, SIZE, dtype=np.float32).tobytes()
    for path in (inner / 'weights', tmp_path / 'weights', tmp_path / 'here'):
        path.write_bytes(ramp)
    monkeypatch.chdir(tmp_path)
    location = str(inner / 'weights') if where == 'absolute' else where
    path = write_toy(inner / 'toy.onnx', external=location)
    with pytest.raises(InputError, match='refers to other files'):
        OnnxModel(path)


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {'torch', 'torchvision', 'mmengine', 'mmcv', 'mmpretrain',
                                      'timm', 'onnx', 'sklearn', 'matplotlib', 'statsmodels'}:
            raise ImportError(f'{name} is blocked')
sys.meta_path.insert(0, Block())
"""


def test_the_tool_works_without_torch(toy, pictures, tmp_path):
    folder = tmp_path / 'pictures'
    for number, picture in enumerate(pictures):
        write_picture(folder / f'{number}_left.png', picture)
    (folder / 'broken.jpg').write_text('no picture')
    out = tmp_path / 'findings.csv'
    code = BLOCKED + (
        'import runpy\n'
        f'sys.argv = ["predict_onnx.py", {str(toy)!r}, {str(folder)!r}, "--out", {str(out)!r}]\n'
        'runpy.run_path("tools/deployment/predict_onnx.py", run_name="__main__")\n'
        'assert not {"torch", "mmengine", "mmcv", "mmpretrain"} & set(sys.modules)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '7 pictures read, 0 were done before, 1 could not be read' in done.stdout
    assert 'not a medical device' in done.stdout
    assert 'broken.jpg' in done.stderr
    problems = pd.read_csv(tmp_path / 'findings.problems.csv')
    assert problems['filename'].tolist() == ['broken.jpg']
    assert 'not a medical device' in problems['notice'][0]
    rows = pd.read_csv(out)
    assert np.allclose(rows['M_score'], by_hand(pictures)[:, 1], atol=1e-6)
    assert rows['patient'].tolist() == list(range(7))


def test_the_block_blocks():
    done = subprocess.run([sys.executable, '-c', BLOCKED + 'import torch'], capture_output=True)
    assert b'torch is blocked' in done.stderr


def predict(monkeypatch, *arguments):
    """Run the tool in this process: its exit status, with interrupts and mistakes told."""
    monkeypatch.setattr(sys, 'argv', ['predict_onnx.py', *map(str, arguments)])
    try:
        runpy.run_path('tools/deployment/predict_onnx.py', run_name='__main__')
    except SystemExit as stop:
        return stop.code or 0
    return 0


@pytest.fixture
def folder(tmp_path, pictures):
    for number, picture in enumerate(pictures):
        write_picture(tmp_path / 'in' / f'{number}_left.png', picture)
    return tmp_path / 'in'


def test_an_interrupt_keeps_what_is_done_and_the_work_continues(
    toy, folder, tmp_path, monkeypatch, capsys
):
    out = tmp_path / 'a.csv'

    def stop(self, done, total):
        if done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr('realmnet.progress.Progress.__call__', stop)
    assert predict(monkeypatch, toy, folder, '--out', out) == 130
    assert '3 of 7 pictures are in' in capsys.readouterr().err
    assert len(pd.read_csv(out)) == 3
    monkeypatch.undo()
    assert predict(monkeypatch, toy, folder, '--out', out) == 0
    assert '4 pictures read, 3 were done before' in capsys.readouterr().out
    rows = pd.read_csv(out)
    assert rows['filename'].tolist() == [f'{n}_left.png' for n in range(7)]
    assert predict(monkeypatch, toy, folder, '--out', out, '--flip') == 1
    assert 'was made with another flip' in capsys.readouterr().err


def test_links_and_large_pictures_are_problems(toy, folder, tmp_path, monkeypatch, capsys):
    write_picture(tmp_path / 'elsewhere' / 'secret.png', np.zeros((SIZE, SIZE, 3), np.uint8))
    (folder / 'link.png').symlink_to(tmp_path / 'elsewhere' / 'secret.png')
    write_picture(folder / 'large.png', np.zeros((2 * SIZE, SIZE, 3), np.uint8))
    out = tmp_path / 'a.csv'
    arguments = (toy, folder, '--out', out, '--limit-pixels', SIZE * SIZE)
    assert predict(monkeypatch, *arguments) == 0
    problems = pd.read_csv(tmp_path / 'a.problems.csv').set_index('filename')['problem']
    assert 'is a link out of the folder' in problems['link.png']
    assert 'more than' in problems['large.png']
    assert len(problems) == 2
    assert len(pd.read_csv(out)) == 7
    assert 'link.png' in capsys.readouterr().err


def test_outputs_that_cannot_be_are_one_sentence(toy, folder, tmp_path, monkeypatch, capsys):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'thesis.csv').write_text('x')
    for out, sentence in (
        (tmp_path / 'out', 'is a folder; name the CSV file'),
        (tmp_path / 'thesis.csv', 'is not of this tool'),
        (tmp_path / 'thesis.csv' / 'a.csv', 'cannot be written'),
    ):
        assert predict(monkeypatch, toy, folder, '--out', out) == 1
        complained = capsys.readouterr().err
        assert sentence in complained
        assert complained.count('\n') == 1
    assert (tmp_path / 'thesis.csv').read_text() == 'x'


def test_scores_that_are_no_probabilities_name_the_file(tmp_path, pictures):
    path = write_toy(tmp_path / 'toy.onnx')
    model = onnx.load(path)
    (most,) = (i for i in model.graph.initializer if i.name == 'most')
    most.CopyFrom(numpy_helper.from_array(np.float32('nan'), 'most'))
    onnx.save(model, path)
    with pytest.raises(InputError, match=r'toy\.onnx: a score is NaN'):
        OnnxModel(path).predict(pictures[0])
