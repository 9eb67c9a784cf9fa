import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.registry import TRANSFORMS
from model_files import NETWORK, small_description
from PIL import Image

import realmnet.plugin  # noqa: F401
from realmnet.curation.borders import find_field
from realmnet.curation.label_table import PSMM, LabelSchema
from realmnet.curation.prepare import PrepareSettings, prepare_picture
from realmnet.deployment.describe import describe, how_prepared
from realmnet.deployment.description import ModelDescription, Preprocessing, Training
from realmnet.errors import InputError
from realmnet.evaluation.thresholds import Thresholds

ROOT = Path(__file__).parents[2]
CONFIGS = [
    'myopia_models/tinyvit-21m-distill-224_MYOPIA.py',
    'myopia_models/tinyvit-21m-distill-384_MYOPIA.py',
    'myopia_models/tinyvit-21m-distill-512_MYOPIA.py',
    'quickstart/tinyvit-5m-128_synthetic.py',
    'custom/tinyvit-5m-128_odir-5k.py',
]
THRESHOLDS = Thresholds(
    dict.fromkeys(PSMM.classes, 0.25), 'F1', list(PSMM.classes), 'val.csv', 10,
    diagnosis={'image': 0.3},
)  # fmt: skip


def noise(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), np.uint8), (3, 3), 0)


def from_config(name) -> tuple[Config, ModelDescription]:
    cfg = Config.fromfile(ROOT / 'configs' / name)
    dataset = cfg.test_dataloader.dataset
    schema = dataset.get('schema')
    schema = LabelSchema(**schema) if schema else PSMM
    return cfg, describe(cfg.model, dataset.pipeline, schema)


@pytest.mark.parametrize('name', CONFIGS)
def test_preprocessing_is_the_test_pipeline_bit_by_bit(name, tmp_path):
    cfg, description = from_config(name)
    size = description.preprocessing.size
    stored = [(size, size)]
    if any(step['type'] == 'Resize' for step in cfg.test_dataloader.dataset.pipeline):
        stored += [(300, 411), (97, 64), (900, 701)]
    pipeline = [TRANSFORMS.build(step) for step in cfg.test_dataloader.dataset.pipeline]
    for number, (height, width) in enumerate(stored):
        path = tmp_path / f'{number}.png'
        Image.fromarray(noise(height, width, number)).save(path)
        results = {'img_path': str(path)}
        for step in pipeline:
            results = step(results)
        expected = results['inputs'].numpy()[::-1].transpose(1, 2, 0)  # BGR
        found = description.preprocessing.read(path)
        assert found.shape == (size, size, 3)
        assert (found == expected).all()


def test_other_pictures_of_a_config_without_resize_are_prepared_as_offline(tmp_path):
    _, description = from_config('quickstart/tinyvit-5m-128_synthetic.py')
    picture = np.zeros((400, 500, 3), np.uint8)
    picture[50:300, 100:450] = noise(250, 350) // 2 + 60
    Image.fromarray(picture).save(tmp_path / 'a.png')
    prepare_picture(tmp_path / 'a.png', tmp_path / 'b.png', PrepareSettings(128, suffix='.png'))
    cropping = replace(description.preprocessing, crop_border=True)
    expected = np.asarray(Image.open(tmp_path / 'b.png'))
    assert (cropping.read(tmp_path / 'a.png') == expected).all()
    assert (description.preprocessing.read(tmp_path / 'a.png') != expected).any()


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic', 'area'])
def test_border_is_cut_before_resizing(interpolation):
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[40:260, 70:200] = noise(220, 130) // 2 + 60
    box = find_field(picture)
    inner = picture[box.top : box.bottom, box.left : box.right]
    method = getattr(cv2, {'bilinear': 'INTER_LINEAR', 'bicubic': 'INTER_CUBIC'}.get(
        interpolation, 'INTER_AREA'))  # fmt: skip
    expected = cv2.resize(inner, (64, 64), interpolation=method)
    found = Preprocessing(64, interpolation, crop_border=True).apply(picture)
    assert (found == expected).all()


def test_padding_keeps_the_aspect():
    white = np.full((100, 200, 3), 255, np.uint8)
    found = Preprocessing(64, 'area', keep_aspect=True).apply(white)
    assert (found[16:48] == 255).all()
    assert (found[:16] == 0).all()
    assert (found[48:] == 0).all()


@pytest.mark.parametrize(
    ('picture', 'sentence'),
    [
        (np.zeros((1, 1, 3), np.uint8), '1 x 1 pixels'),
        (np.zeros((64, 31, 3), np.uint8), '31 x 64 pixels'),
        (np.zeros((64, 64), np.uint8), 'shape'),
        (np.zeros((64, 64, 4), np.uint8), 'shape'),
        (np.zeros((64, 64, 3), np.float32), 'float32'),
    ],
)
def test_arrays_that_are_no_pictures(picture, sentence):
    with pytest.raises(InputError, match=sentence):
        Preprocessing(64).apply(picture)


def test_how_pictures_were_prepared_is_read_from_their_folder(tmp_path):
    assert how_prepared(tmp_path) == {'crop_border': False, 'keep_aspect': False}
    record = tmp_path / 'prepare_images.json'
    record.write_text(json.dumps(asdict(PrepareSettings(keep_aspect=True))))
    assert how_prepared(tmp_path / 'none', tmp_path) == {'crop_border': True, 'keep_aspect': True}
    record.write_text('[')
    assert how_prepared(tmp_path) == {'crop_border': False, 'keep_aspect': False}


def test_round_trip():
    training = Training('run', 42, 'PSMMDataset a.csv', True, 100, 7)
    one = small_description(thresholds=THRESHOLDS, training=training, class_names=PSMM.class_names)
    other = ModelDescription.from_json(one.to_json())
    assert other == one
    assert other.thresholds.diagnosis == {'image': 0.3}


def changed(path, value):
    content = json.loads(small_description(thresholds=THRESHOLDS).to_json())
    node = content
    *parents, last = path.split('.')
    for key in parents:
        node = node[key]
    node[last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ('path', 'value', 'sentence'),
    [
        ('format_version', 2, 'format_version is 2'),
        ('format_version', None, 'format_version'),
        ('format_version', True, 'format_version is True'),
        ('format_version', 1.0, 'format_version is 1.0'),
        ('extra', 1, 'must hold'),
        ('classes', 'S0', 'classes must be a list'),
        ('classes', [1, 2], 'classes must be a list'),
        ('classes', [], 'named, each once'),
        ('classes', ['S0'] * 7, 'named, each once'),
        ('class_names', ['x'], 'readable names'),
        ('class_names', ['', *'bcdefg'], "readable name ''"),
        ('class_names', ['a\x1b[2J', *'bcdefg'], 'cannot be shown'),
        ('schema', 3, 'schema must be text'),
        ('mean', [0, 0], 'mean must be three'),
        ('mean', [10**400, 0, 0], '401 digits'),
        ('mean', [10**17, 0, 0], 'mean must be three'),
        ('mean', [float('inf'), 0, 0], 'mean must be three'),
        ('std', [0, 0, 0], 'std must be positive'),
        ('std', ['a', 0, 0], 'std must be three'),
        ('preprocessing', None, 'preprocessing must hold'),
        ('preprocessing.size', 10**9, 'preprocessing.size'),
        ('preprocessing.size', True, 'preprocessing.size'),
        ('preprocessing.size', '64', 'preprocessing.size'),
        ('preprocessing.interpolation', 'nearest', 'preprocessing.interpolation'),
        ('preprocessing.interpolation', [], 'preprocessing.interpolation'),
        ('preprocessing.crop_border', 1, 'preprocessing.crop_border'),
        ('thresholds.values', {'S0': 2}, 'thresholds'),
        ('thresholds.values', 3, 'thresholds'),
        ('thresholds.diagnosis', {'image': -1}, 'thresholds'),
        ('thresholds.diagnosis', {'country': 0.5}, 'thresholds'),
        ('thresholds.diagnosis_rule', 'os.system', 'diagnosis_rule'),
        ('thresholds.schema', ['M'], 'thresholds'),
        ('thresholds.source', ['x'], 'thresholds.source'),
        ('thresholds.required', json.loads('[' * 900 + ']' * 900), 'thresholds.required'),
        ('thresholds.undefined', json.loads('[' * 900 + ']' * 900), 'recursion depth'),
        ('thresholds.undefined', 3, 'thresholds'),
        ('training.experiment', 'a\nb', 'cannot be shown'),
        ('training.seed', 'x', 'training.seed'),
        ('training.synthetic', 'no', 'training.synthetic'),
        ('network', [], 'ImageClassifier'),
        ('network.type', 'HuggingFaceClassifier', 'ImageClassifier'),
        ('network.backbone', 'os.system', 'network.backbone'),
        ('network.backbone.type', 'os.system', "is 'os.system', expected one of"),
        ('network.backbone.type', ['os'], 'expected one of'),
        ('network.backbone.type', 'mmpretrain::ResNet', 'expected one of'),
        ('network.backbone.norm_cfg', {'type': 'builtins.eval'}, "may not hold 'norm_cfg'"),
        ('network.backbone._scope_', 'mmdet', '_scope_'),
        ('network.backbone.init_cfg', {'type': 'Pretrained', 'checkpoint': 'http://x'}, 'init_cfg'),
        ('network.backbone.img_size', 10**9, 'img_size is 1000000000'),
        ('network.backbone.img_size', list(range(1001)), 'img_size is .* expected'),
        ('network.backbone.window_size', [4, 4, 20000, 4], 'whole number from 1 to 64'),
        ('network.backbone.arch', {'depths': [65536] * 4}, 'whole number from 1 to 64'),
        ('network.pretrained', 'http://x', 'network may hold'),
        ('network.head.num_classes', 5, 'another label schema'),
    ],
)
def test_descriptions_that_are_refused(path, value, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        ModelDescription.from_json(changed(path, value), 'model.pth')
    text = str(error.value)
    assert text.startswith('model.pth: its description cannot be used')
    assert '\n' not in text


@pytest.mark.parametrize('text', ['', '{', '[]', '"a"', 'NaN', '[' * 100_000, 'x' * 2_000_000])
def test_text_that_is_no_description(text):
    with pytest.raises(InputError, match=r'model.pth: its description cannot be used'):
        ModelDescription.from_json(text, 'model.pth')


def test_not_a_number_is_refused():
    text = small_description().to_json().replace('1.2', 'NaN')
    with pytest.raises(InputError, match=r'network\.head\.lam is nan'):
        ModelDescription.from_json(text)


@pytest.mark.parametrize(
    'name',
    [
        '',
        'b  c',
        ' b',
        'b,c',
        'a/b',
        'a_score',
        'found',
        '=HYPERLINK("http://x")',
        '+1',
        '-1',
        '@x',
        "'x",
        'a\n',
        'a\x07',
        'a;b',
        'x' * 65,
    ],
)
def test_class_names_that_would_break_a_table(name):
    with pytest.raises(InputError, match=r'the class name .*; rename the class'):
        small_description(('S0', name))


@pytest.mark.parametrize(
    ('classes', 'column'),
    [
        (('M', 'pathologic_myopia'), 'pathologic_myopia'),
    ],
)
def test_class_names_that_are_columns_already(classes, column):
    with pytest.raises(InputError, match=f"two columns '{column}'"):
        small_description(classes, diagnosis=classes[:1])


def test_the_diagnosis_comes_from_the_schema_and_travels():
    odir = small_description(('N', 'M'), schema='ODIR-5K', diagnosis=['M'])
    assert ModelDescription.from_json(odir.to_json()).label_schema.diagnosis == ('M',)
    with pytest.raises(InputError, match=r"diagnosis names \['X'\]"):
        small_description(('N', 'M'), diagnosis=['X'])
    other = small_description(schema='glaucoma')  # the names of PSMM's classes, another meaning
    assert (other.diagnosis, other.label_schema.exclusive) == ((), ())


@pytest.mark.parametrize(
    ('classes', 'schema', 'diagnosis'),
    [
        (PSMM.classes, 'PSMM', PSMM.diagnosis),
        (PSMM.classes, 'custom', PSMM.diagnosis),  # no name was given
        (PSMM.classes, 'other', ()),
        (('N', 'M'), 'ODIR-5K', ()),
        (('S1', 'A2', 'A3', 'A4'), 'PSMM', ()),
    ],
)
def test_descriptions_without_a_diagnosis_stay_readable(classes, schema, diagnosis):
    content = json.loads(small_description(classes, schema=schema).to_json())
    for name in ('diagnosis', 'meaning'):
        del content[name]  # as files were before there were these fields
    assert ModelDescription.from_json(json.dumps(content)).diagnosis == diagnosis


def test_class_names_of_other_alphabets():
    classes = ('normal', 'pathologic_myopia', '高度近视', 'A-2.b', 'macular hole')
    assert small_description(classes).classes == classes


def test_a_training_with_another_loss_is_described():
    head = {**NETWORK['head'], 'loss': {'type': 'AsymmetricLoss'}}
    model = {**NETWORK, 'head': head, 'data_preprocessor': {'to_rgb': True}}
    found = describe(model, [{'type': 'LoadPicture'}, {'type': 'PackInputs'}], PSMM)
    assert found.network == NETWORK


@pytest.mark.parametrize(
    ('step', 'sentence'),
    [
        ({'type': 'CenterCrop', 'crop_size': 64}, 'CenterCrop'),
        ({'type': 'Resize', 'scale': (64, 32)}, 'expected a square'),
        ({'type': 'Resize', 'scale': (64, 64), 'keep_ratio': True}, 'keep_ratio'),
        ({'type': 'Resize', 'scale': (64, 64), 'backend': 'pillow'}, 'keep_ratio or another'),
        ({'type': 'Resize', 'scale': (64, 64), 'interpolation': 'lanczos'}, 'interpolation'),
    ],
)
def test_pipelines_that_cannot_be_repeated(step, sentence):
    model = {**NETWORK, 'data_preprocessor': {'to_rgb': True}}
    with pytest.raises(InputError, match=sentence):
        describe(model, [{'type': 'LoadPicture'}, step, {'type': 'PackInputs'}], PSMM)


def test_channel_order_of_the_training_must_be_rgb():
    with pytest.raises(InputError, match='to_rgb'):
        describe({**NETWORK, 'data_preprocessor': {}}, [{'type': 'LoadPicture'}], PSMM)


def test_needs_neither_torch_nor_openmmlab():
    code = (
        'import sys, realmnet.deployment.description, realmnet.reporting.findings_report, '
        'realmnet.reporting.model_card; '
        'print(sorted({"torch", "mmengine", "mmcv", "mmpretrain"} & set(sys.modules)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
