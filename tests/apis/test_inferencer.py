import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from model_files import patches, small_description, write_model
from PIL import Image

from realmnet.apis import Inferencer
from realmnet.curation.borders import find_field
from realmnet.deployment.description import Preprocessing
from realmnet.errors import InputError


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp('model') / 'model.pth')


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures')
    for i in range(11):
        Image.fromarray(patches(i, 70 + i, 90)).save(folder / f'{i:02d}.png')
    return folder


def paths(folder):
    return sorted(folder.iterdir())


def scores(finding):
    return np.array(list(finding.scores.values()))


def test_scores_are_those_of_the_network_one_by_one(model, pictures):
    """Against plain float32 in the usual memory layout, without batches."""
    inferencer = Inferencer(model, 'cpu', batch_size=4)
    reference = Inferencer(model, 'cpu').network.to(memory_format=torch.contiguous_format)
    results = list(inferencer.stream(paths(pictures)))
    assert [r.path for r in results] == paths(pictures)
    spread = []
    for result in results:
        assert result.picture.shape == (64, 64, 3)
        planes = np.ascontiguousarray(result.picture.transpose(2, 0, 1))
        inputs = torch.from_numpy(planes)[None] / 255.0
        with torch.no_grad():
            expected = torch.sigmoid(reference(inputs, mode='tensor'))[0].numpy()
        assert np.abs(scores(result.finding) - expected).max() < 1e-5
        spread.append(expected)
    assert np.ptp(spread, axis=0).max() > 0.01  # the pictures do matter


def test_normalisation_is_the_descriptions(tmp_path, pictures):
    description = small_description(mean=(10.0, 20.0, 30.0), std=(50.0, 60.0, 70.0))
    inferencer = Inferencer(write_model(tmp_path / 'm.pth', description), 'cpu')
    picture = inferencer.read(paths(pictures)[0])
    inputs = (picture - np.array([10.0, 20.0, 30.0])) / np.array([50.0, 60.0, 70.0])
    inputs = torch.from_numpy(inputs.transpose(2, 0, 1)[None].copy()).float()
    with torch.no_grad():
        expected = torch.sigmoid(inferencer.network(inputs, mode='tensor')).numpy()
    assert np.abs(inferencer.scores(picture[None]) - expected).max() < 1e-5


def test_flip_is_the_mean_with_the_mirror_image(model, pictures):
    plain, flip = (Inferencer(model, 'cpu', flip=flag) for flag in (False, True))
    picture = plain.read(paths(pictures)[3])
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    one, other = plain.predict(picture), plain.predict(mirrored)
    expected = (scores(one) + scores(other)) / 2
    assert np.abs(scores(flip.predict(picture)) - expected).max() < 1e-6
    assert np.abs(scores(one) - scores(other)).max() > 1e-3


def test_files_and_pixels_give_the_same(model, pictures):
    inferencer = Inferencer(model, 'cpu')
    path = paths(pictures)[0]
    assert inferencer.predict(path) == inferencer.predict(np.asarray(Image.open(path)))
    assert inferencer.predict(str(path)) == inferencer.predict(path)


def test_thresholds_and_margin_are_used(model, pictures):
    everything = Inferencer(model, 'cpu', margin=100.0).predict(paths(pictures)[0])
    assert everything.uncertain == ('staphyloma', 'grade', 'pathologic myopia')


def test_what_cannot_be_read_does_not_stop_the_rest(model, pictures, tmp_path):
    (tmp_path / 'text.jpg').write_text('hello')
    given = paths(pictures)
    given[2:2] = [tmp_path / 'text.jpg', tmp_path / 'none.png']
    results = list(Inferencer(model, 'cpu', batch_size=3).stream(given))
    assert [r.path for r in results] == given
    assert [r.finding is None for r in results].count(True) == 2
    assert 'is not a JPEG' in results[2].problem
    assert 'none.png: cannot be read' in results[3].problem
    assert list(Inferencer(model, 'cpu').stream([])) == []
    only = list(Inferencer(model, 'cpu').stream([tmp_path / 'text.jpg'] * 20))
    assert [bool(r.problem) for r in only] == [True] * 20


def test_reading_ahead_is_bounded(model, pictures):
    inferencer = Inferencer(model, 'cpu', batch_size=2)
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield paths(pictures)[0]

    stream = inferencer.stream(endless())
    for done in range(1, 20):
        next(stream)
        assert taken - done <= 2 * 2 + 4
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith('read')]


MEMORY = """
import sys
from realmnet.apis import Inferencer
inferencer = Inferencer(sys.argv[1], 'cpu', batch_size=4)
def peak():  # of this program: getrusage's is at least that of the process that started it
    status = dict(line.split(':') for line in open('/proc/self/status'))
    return int(status['VmHWM'].split()[0]) / 1024
for _ in inferencer.stream([sys.argv[2]] * 12):  # what is allocated once
    pass
before, kept = peak(), []
for result in inferencer.stream(sys.argv[2] for _ in range(200)):
    if sys.argv[3] == 'keep':
        kept.append(inferencer.read(result.path).repeat(256, axis=0))
print(peak() - before)
"""


@pytest.mark.parametrize(('what', 'grows'), [('forget', False), ('keep', True)])
def test_memory_does_not_grow_with_the_number_of_pictures(model, tmp_path, what, grows):
    """In a process of its own, whose peak is of this work; the second case shows that it tells."""
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    path = tmp_path / 'a.jpg'
    Image.fromarray(pixels).save(path)
    command = [sys.executable, '-c', MEMORY, model, path, what]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # MiB; the decoded pictures together have 570, what is kept 600
    assert (float(done.stdout) > 60) is grows


def test_weights_that_are_no_numbers_name_the_checkpoint(tmp_path, pictures):
    path = write_model(tmp_path / 'nan.pth')
    content = torch.load(path)
    for values in content['state_dict'].values():
        values.mul_(1e30) if values.is_floating_point() else None  # finite, but not for long
    torch.save(content, path)
    inferencer = Inferencer(path, 'cpu')
    for ask in (inferencer.predict, lambda picture: list(inferencer.stream([picture]))):
        with pytest.raises(InputError, match=r'nan\.pth: a score is NaN'):
            ask(paths(pictures)[0])


def test_sizes_of_strangers(model, tmp_path):
    inferencer = Inferencer(model, 'cpu', max_pixels=5000)
    Image.new('RGB', (80, 80)).save(tmp_path / 'large.png')
    with pytest.raises(InputError, match=r'large\.png: more than 0\.005 million pixels'):
        inferencer.predict(tmp_path / 'large.png')
    Image.new('RGB', (1, 1)).save(tmp_path / 'dot.png')
    with pytest.raises(InputError, match=r'dot\.png: the picture has 1 x 1 pixels'):
        inferencer.predict(tmp_path / 'dot.png')


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ({'batch_size': 0}, 'batch size is 0'),
        ({'device': 'tpu9'}, "device 'tpu9' cannot be used"),
        ({'device': 'cuda:99'}, "device 'cuda:99' cannot be used"),
    ],
)
def test_settings_that_cannot_be(model, options, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        Inferencer(model, **options)
    assert '\n' not in str(error.value)


def test_cropping_travels_with_the_checkpoint(tmp_path, pictures):
    description = small_description(preprocessing=Preprocessing(64, 'area', crop_border=True))
    inferencer = Inferencer(write_model(tmp_path / 'm.pth', description), 'cpu')
    framed = np.zeros((200, 300, 3), np.uint8)
    framed[60:130, 80:170] = np.asarray(Image.open(paths(pictures)[0]))
    plain = Inferencer(write_model(tmp_path / 'n.pth'), 'cpu')
    left, top, right, bottom = find_field(framed)
    assert inferencer.predict(framed) == plain.predict(framed[top:bottom, left:right])
    assert inferencer.predict(framed) != plain.predict(framed)
