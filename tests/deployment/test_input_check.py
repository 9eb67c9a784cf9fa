"""A picture that is no fundus gets no grade: black, white, noise, grey, and whatever is unlike."""

import json
from dataclasses import asdict, replace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from model_files import small_description, write_model

from realmnet.apis import Inferencer
from realmnet.apis.folder import infer_folder
from realmnet.apis.one_picture import Examiner
from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.curation.label_table import read_label_table
from realmnet.curation.pictures import read_any_picture
from realmnet.deployment.description import ModelDescription
from realmnet.deployment.export import export_model
from realmnet.deployment.input_check import STATISTICS, InputCheck, Space, picture_statistics
from realmnet.deployment.model_file import load_model, pack
from realmnet.deployment.runtime import OnnxModel
from realmnet.deployment.training_pictures import read_literals, training_files
from realmnet.errors import InputError
from realmnet.evaluation.findings import REASONS, Units, findings_of, refuse
from realmnet.reporting.findings_summary import Summary, graded_lines
from realmnet.reporting.picture_report import facts_html

BLACK, WHITE = np.zeros((300, 400, 3), np.uint8), np.full((300, 400, 3), 255, np.uint8)
DISEASE = LabelSchema('mine', ('M',), diagnosis=('M',))
NOISE = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)


def names(root):
    return list(read_label_table(root / 'ImageSets/Main/MYOPIA/MYOPIA.csv', PSMM).filenames)


@pytest.fixture(scope='module')
def trained(synthetic_psmm, tmp_path_factory):
    """A training's checkpoint that names its training pictures, as mmengine writes it."""
    text = (
        'train_dataloader = dict(batch_size=2, dataset=dict(\n'
        f"    type='PSMMDataset', ann_file='ImageSets/Main/MYOPIA/MYOPIA.csv',\n"
        f"    data_root={str(synthetic_psmm)!r}, pipeline=[dict(type='LoadPicture')]))\n"
    )
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    write_model(path)
    content = torch.load(path, weights_only=True)
    content['meta']['cfg'] = text
    torch.save(content, path)
    return path


@pytest.fixture(scope='module')
def packed(trained):
    out = trained.with_name('model.pth')
    pack(trained, out)
    return out


@pytest.fixture(scope='module')
def model(packed):
    return Inferencer(packed, 'cpu')


@pytest.fixture(scope='module')
def fundus(synthetic_psmm):
    folder = synthetic_psmm / 'JPEGImages'
    return [read_any_picture(folder / name) for name in names(synthetic_psmm)]


def test_what_shows_no_retina_gets_no_grade(model):
    for picture in (BLACK, WHITE, NOISE):
        finding = model.predict(picture)
        assert finding.ungradable
        assert set(finding.ungradable) <= set(REASONS)
        assert (finding.found, finding.grade, finding.staphyloma) == ((), None, None)
        assert (finding.pathologic_myopia, finding.uncertain) == (None, ())
        assert len(finding.scores) == 7  # they stay
    assert 'too dark' in model.predict(BLACK).ungradable
    assert 'too bright' in model.predict(WHITE).ungradable
    assert 'noise' in model.predict(NOISE).ungradable


def half_black(p):
    p = p.copy()
    p[:, : p.shape[1] // 2] = 0
    return p


def screenshot_of_an_oct(p):
    y, x = np.mgrid[0:256, 0:512]
    layers = sum(np.exp(-(((y - 120 - 10 * i - 8 * np.sin(x / 90)) / 3) ** 2)) for i in range(4))
    return np.repeat((layers.clip(0, 1) * 220).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    'change',
    [
        lambda p: np.zeros_like(p),
        lambda p: np.full_like(p, 255),
        lambda p: np.full_like(p, 128),
        lambda p: np.full_like(p, (255, 0, 0)),  # pure red
        lambda p: np.full_like(p, (0, 0, 255)),
        lambda p: np.repeat(p.mean(2, keepdims=True).astype(np.uint8), 3, axis=2),  # grey
        lambda p: p // 32,
        lambda p: 255 - p,
        lambda p: np.ascontiguousarray(p[..., ::-1]),  # blue and red exchanged
        screenshot_of_an_oct,
        lambda p: np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((8, 8)))[..., None].repeat(3, 2)
        .astype(np.uint8) * 255,
    ],
)  # fmt: skip
def test_what_is_no_fundus_photograph_is_refused(model, fundus, change):
    refused = [bool(model.predict(change(picture)).ungradable) for picture in fundus[:10]]
    assert all(refused)


def test_good_pictures_are_graded(model, fundus):
    for turned in (lambda p: p, lambda p: np.ascontiguousarray(p[::-1]),
                   lambda p: np.ascontiguousarray(p[:, ::-1])):  # fmt: skip
        refused = [bool(model.predict(turned(picture)).ungradable) for picture in fundus]
        assert np.mean(refused) <= 0.05
    assert not model.predict(cv2.resize(fundus[0], (200, 200))).ungradable


def test_statistics_of_pictures_worked_by_hand():
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[16:48, 16:48] = (127, 63, 0)
    found = picture_statistics(picture)
    assert found['field'] == 0.25
    assert found['brightness'] == 7.0  # log2(127 + 1)
    assert found['colour'] == 1.0
    assert found['red'] == pytest.approx(np.log2(131 / 67))
    assert found['clipped'] == 0
    picture[16:48, 16:32] = (255, 255, 0)
    assert picture_statistics(picture)['clipped'] == pytest.approx(0.5**0.5)
    assert set(found) == set(STATISTICS) - {'layout', 'features'}
    assert {reason for pair in STATISTICS.values() for reason in pair if reason} <= set(REASONS)


def test_exposure_is_a_step_a_stop_and_sharpness_does_not_see_it():
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 100, (64, 64, 3), np.uint8), (0, 0), 1.5)
    brighter = picture * 2
    one, other = picture_statistics(picture), picture_statistics(brighter)
    assert other['brightness'] - one['brightness'] == pytest.approx(1, abs=0.05)
    assert other['sharpness'] == pytest.approx(one['sharpness'], abs=0.05)
    blurred = cv2.GaussianBlur(picture, (0, 0), 3)
    assert picture_statistics(blurred)['sharpness'] < one['sharpness'] - 0.3


def test_distances_are_mahalanobis_where_all_directions_are_kept():
    from scipy.spatial.distance import mahalanobis

    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    points = rng.normal(size=(4000, 5)) * (1, 1.5, 2, 2.5, 3) @ turn
    space = Space.fit(points)
    inverse = np.linalg.inv(np.cov(points.T, bias=True))
    expected = [np.log2(mahalanobis(p, points.mean(0), inverse) / 5**0.5) for p in points[:50]]
    assert np.abs(space.distances(points[:50]) - expected).max() < 0.05


def test_the_check_travels_as_json(model, fundus):
    description = model.description
    text = description.to_json()
    again = ModelDescription.from_json(text)
    assert again == description
    ready = description.preprocessing.apply(fundus[0])
    assert again.input_check.values(ready) == description.input_check.values(ready)
    without = json.loads(text)
    del without['input_check']  # a file of an earlier version
    assert ModelDescription.from_json(json.dumps(without)).input_check is None


@pytest.mark.parametrize(
    ('place', 'value'),
    [
        (('pictures',), -1),
        (('pictures',), '7'),
        (('limits',), []),
        (('limits', 'field'), [0, 'x']),
        (('limits', 'field'), [0, 10**12]),
        (('limits', 'field'), 3),
        (('limits', 'unknown'), [0, 1]),
        (('spaces',), 5),
        (('spaces', 'other'), {}),
        (('spaces', 'layout', 'mean'), [0.0]),
        (('spaces', 'layout', 'mean'), [0.0] * 5000),
        (('spaces', 'layout', 'axes'), [[1.0]]),
        (('spaces', 'layout', 'axes'), []),
        (('spaces', 'layout', 'axes'), ['a']),
        (('spaces', 'layout', 'rest'), 0.0),
        (('spaces', 'layout', 'rest'), None),
        (('spaces', 'layout', 'variances'), [-1.0] * 24),
        (('extra',), 1),
    ],
)
def test_fields_of_strangers_are_checked(model, place, value):
    content = json.loads(model.description.to_json())
    node = content['input_check']
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    with pytest.raises(InputError, match='input_check'):
        ModelDescription.from_json(json.dumps(content))


def test_a_number_that_is_none_is_refused(model):
    text = model.description.to_json().replace('"rest": ', '"rest": NaN, "x": ', 1)
    with pytest.raises(InputError):
        ModelDescription.from_json(text)


def test_packing_without_the_training_pictures_says_so(trained, tmp_path):
    content = torch.load(trained, weights_only=True)
    for text, sentence in (
        (content['meta']['cfg'].replace('MYOPIA.csv', 'none.csv'), 'no such label file'),
        ('x = 1\n', 'does not tell the pictures'),
        ('x = = 1', 'no Python'),
        (7, 'does not tell the pictures'),
        (content['meta']['cfg'].replace('PSMMDataset', 'Other'), 'cannot list'),
    ):
        content['meta']['cfg'] = text
        torch.save(content, tmp_path / 'a.pth')
        done = pack(tmp_path / 'a.pth', tmp_path / 'b.pth')
        assert done.description.input_check is None
        assert sentence in done.unchecked
    assert Inferencer(tmp_path / 'b.pth', 'cpu').predict(BLACK).grade is not None
    done = pack(trained, tmp_path / 'b.pth', input_check=False)
    assert (done.description.input_check, done.unchecked) == (None, '')


def test_a_packed_model_packed_again_keeps_its_check(packed, tmp_path):
    again = pack(packed, tmp_path / 'again.pth').description
    assert again.input_check == load_model(packed)[1].input_check
    # but not for pictures that are prepared in another way
    assert pack(packed, tmp_path / 'c.pth', crop_border=True).description.input_check is None


def test_a_configuration_is_read_and_not_executed(tmp_path):
    bomb = tmp_path / 'made'
    text = f"a = open({str(bomb)!r}, 'w')\nb = [dict(c=__import__('os'))]\nd = {{'e': (1, -2)}}\n"
    assert read_literals(text) == {'d': {'e': [1, -2]}}
    assert not bomb.exists()


def test_training_pictures_are_listed_once(synthetic_psmm):
    dataset = dict(type='PSMMDataset', ann_file='ImageSets/Main/MYOPIA/MYOPIA.csv',
                   data_root=str(synthetic_psmm))  # fmt: skip
    twice = dict(type='RepeatDataset', times=2, dataset=dataset)
    files = training_files({'train_dataloader': {'dataset': twice}})
    assert len(files) == len(names(synthetic_psmm))
    assert all(file.is_file() for file in files)


def test_too_few_pictures(fundus):
    with pytest.raises(InputError, match='20 training pictures'):
        InputCheck.fit(fundus[:19])


def test_units_are_graded_by_what_can_be_graded():
    good, bad = findings_of(np.array([[0.3], [0.9]]), DISEASE)
    units = Units()
    units.add('1_left.jpg', good)
    units.add('1_left.jpg', refuse(bad, ['too dark']))
    units.add('1_right.jpg', refuse(bad, ['blurred']))
    units.add('2_left.jpg', refuse(bad, ['blurred']))
    eyes = {unit.name: unit for unit in units.findings('eye')}
    assert eyes['1 OS'].pathologic_myopia is False
    assert (eyes['1 OS'].images, eyes['1 OS'].ungradable, eyes['1 OS'].gradable) == (2, 1, True)
    assert eyes['1 OD'].pathologic_myopia is None
    assert not eyes['1 OD'].gradable
    patients = {unit.name: unit for unit in units.findings('patient')}
    assert patients['1'].pathologic_myopia is False
    assert patients['2'].pathologic_myopia is None
    assert units.counts('eye') == (3, 2)
    assert units.counts('patient') == (2, 1)


def test_lines_of_a_summary():
    summary, description = Summary(), small_description(('M',), diagnosis=('M',))
    good, bad = findings_of(np.array([[0.9], [0.9]]), DISEASE)
    summary.add(good)
    summary.add(refuse(bad, ['too dark', 'blurred']))
    lines = graded_lines(summary, description, {'eye': (2, 1), 'patient': (0, 0)})
    assert 'This model has no input check' in lines[1]
    check = InputCheck(30, {'field': (0.1, 0.9)}, {})
    lines = graded_lines(
        summary, replace(description, input_check=check), {'eye': (2, 1), 'patient': (0, 0)}
    )
    assert lines == [
        'found: M 1; too close to call: 0',
        'ungradable: 1 of 2 pictures (too dark 1, blurred 1), 1 of 2 eyes',
        'pathologic myopia: 1 of 1 gradable pictures',
    ]


def test_tables_count_them_apart(model, packed, fundus, tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    for name, picture in (('1_left.png', BLACK), ('2_left.png', fundus[0]), ('2_right.png', NOISE)):
        cv2.imwrite(str(folder / name), picture[..., ::-1])
    result = infer_folder(model, folder, tmp_path / 'out', {'name': 'm', 'sha256': 'x'})
    assert (result.summary.pictures, result.summary.ungradable) == (3, 2)
    assert sum(result.summary.found[grade] for grade in PSMM.groups[1].classes) == 1
    assert result.units == {'eye': (3, 2), 'patient': (2, 1)}
    table = pd.read_csv(tmp_path / 'out' / 'findings.csv', keep_default_na=False, dtype=str)
    table = table.set_index('filename')
    assert 'too dark' in table['ungradable']['1_left.png']
    assert table['grade']['1_left.png'] == table['pathologic_myopia']['1_left.png'] == ''
    assert table['S0_score']['1_left.png'] != ''
    assert table['ungradable']['2_left.png'] == ''
    patients = pd.read_csv(tmp_path / 'out' / 'patients.csv', keep_default_na=False, dtype=str)
    assert patients[['images', 'ungradable']].to_numpy().tolist() == [['1', '1'], ['2', '1']]
    assert (patients['grade'] == '').tolist() == [True, False]
    page = (tmp_path / 'out' / 'report.html').read_text(encoding='utf-8')
    assert '2 of 3 pictures are ungradable' in page
    assert page.count('class=refused') == 2
    # again: what is stored comes back
    assert infer_folder(
        model, folder, tmp_path / 'out', {'name': 'm', 'sha256': 'x'}
    ).summary.reasons == result.summary.reasons  # fmt: skip


def test_the_page_says_why(model, tmp_path):
    cv2.imwrite(str(tmp_path / 'cap.png'), BLACK)
    finding = Examiner(model).examine(tmp_path / 'cap.png').finding
    assert finding == model.predict(BLACK)
    text = facts_html(finding, model.description)
    assert 'ungradable' in text
    assert 'too dark' in text
    assert 'Myopic maculopathy' not in text


@pytest.mark.slow
def test_onnx_refuses_the_same(model, packed, fundus, tmp_path):
    network, description = load_model(packed)
    size = description.preprocessing.size
    export_model(network, description, tmp_path / 'm.onnx', np.zeros((0, size, size, 3), np.uint8))
    exported = OnnxModel(tmp_path / 'm.onnx')
    for picture in (BLACK, WHITE, NOISE, half_black(fundus[0]), *fundus[:8]):
        assert exported.predict(picture).ungradable == model.predict(picture).ungradable
        ready = description.preprocessing.apply(picture)
        one, other = (m._outputs(ready[None])[1][0] for m in (model, exported))
        values = [description.input_check.values(ready, f)['features'] for f in (one, other)]
        assert values[0] == pytest.approx(values[1], abs=1e-3)


def test_limits_are_those_of_the_rule():
    from realmnet.deployment import input_check as module

    pictures = [np.full((32, 32, 3), (100 + i, 60, 30), np.uint8) for i in range(41)]
    check = InputCheck.fit(pictures)
    values = [picture_statistics(picture)['brightness'] for picture in pictures]
    low, high = np.quantile(values, (module.QUANTILE, 1 - module.QUANTILE))
    margin = max(module.MARGIN * (high - low), module.LEAST_MARGIN)
    assert check.limits['brightness'] == pytest.approx((low - margin, high + margin), abs=1e-3)
    assert check.limits['detail'][0] is None
    assert asdict(check)['pictures'] == 41
