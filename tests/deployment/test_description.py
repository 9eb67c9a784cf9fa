import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS, TRANSFORMS
from model_files import NETWORK, small_description
from PIL import Image

import realmnet.plugin  # noqa: F401
from realmnet.curation.borders import find_field
from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.curation.prepare import PrepareSettings, prepare_picture
from realmnet.deployment.deployed_network import DeployedNetwork
from realmnet.deployment.describe import describe, how_prepared
from realmnet.deployment.description import ModelDescription, Preprocessing, Training
from realmnet.deployment.network import build_network
from realmnet.deployment.torch_inputs import network_inputs
from realmnet.errors import InputError
from realmnet.evaluation.recalibration import Recalibration
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


RECALIBRATION = Recalibration(
    'temperature',
    list(PSMM.classes),
    {name: [0.5, 0.0] for name in PSMM.classes},
    source='val.csv',
    images=10,
)


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
        ('thresholds.recalibration', 3, 'thresholds.recalibration'),
        ('thresholds.recalibration', 'abc', 'chosen on scores with the recalibration abc'),
        ('recalibration', 3, 'recalibration: not a recalibration'),
        ('recalibration', {'method': 'isotonic'}, 'must hold'),
        ('recalibration', asdict(RECALIBRATION), 'chosen on scores without recalibration'),
        ('recalibration', asdict(RECALIBRATION) | {'curves': {'S0': [-1, 0]}}, 'holds -1'),
        ('recalibration', asdict(RECALIBRATION) | {'schema': ['S0'], 'curves': {}}, 'needed is'),
        ('recalibration', asdict(RECALIBRATION) | {'source': 'a\x1b[2J'}, 'recalibration|shown'),
        ('training.experiment', 'a\nb', 'cannot be shown'),
        ('training.seed', 'x', 'training.seed'),
        ('training.synthetic', 'no', 'training.synthetic'),
        ('network', [], 'ImageClassifier'),
        ('network.type', 'HuggingFaceClassifier', 'ImageClassifier'),
        ('network.backbone', 'os.system', 'network.backbone'),
        ('network.backbone.type', 'os.system', "is 'os.system', expected one of"),
        ('network.backbone.type', ['os'], 'expected one of'),
        ('network.backbone.type', 'mmpretrain::ResNet', 'expected one of'),
        ('network.backbone.norm_cfg', {'type': 'builtins.eval'}, 'norm_cfg.type is'),
        ('network.backbone._scope_', 'mmdet', '_scope_'),
        ('network.backbone.init_cfg', {'type': 'Pretrained', 'checkpoint': 'http://x'}, 'init_cfg'),
        ('network.backbone.img_size', 10**9, 'img_size is 1000000000'),
        ('network.backbone.img_size', list(range(1001)), 'img_size is .* expected'),
        ('network.backbone.window_size', [4, 4, 20000, 4], 'whole number from 1 to 64'),
        ('network.backbone.arch', {'depths': [65536] * 4}, 'whole number from 1 to 64'),
        ('network.pretrained', 'http://x', 'network may hold'),
        ('network.head.num_classes', 5, 'another label schema'),
        ('channel_order', 'GBR', 'channel_order is'),
        ('channel_order', [], 'channel_order is'),
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


BLACK = dict(img=(10, 20, 30))
PIPELINES = {
    'shorter edge and crop': [
        dict(type='ResizeEdge', scale=73, edge='short', interpolation='bicubic'),
        dict(type='CenterCrop', crop_size=64),
    ],
    'both sides and crop': [
        dict(type='mmpretrain.Resize', scale=(80, 71)),
        dict(type='CenterCrop', crop_size=(64, 64)),
    ],
    'fit and pad': [
        dict(type='Resize', scale=(64, 64), keep_ratio=True, interpolation='area'),
        dict(type='Pad', size=(64, 64), pad_val=BLACK),
    ],
    'square and resize': [
        dict(type='Pad', pad_to_square=True, pad_val=7),
        dict(type='Resize', scale=64, backend='cv2'),
    ],
    'longer edge and square': [
        dict(type='ResizeEdge', scale=64, edge='long', interpolation='area'),
        dict(type='Pad', pad_to_square=True),
    ],
    'crop with padding': [
        dict(type='Resize', scale=(50, 41)),
        dict(type='CenterCrop', crop_size=64, auto_pad=True),
    ],
}
SIZES = [(64, 64), (63, 65), (97, 64), (300, 411), (411, 300), (33, 200), (901, 702), (200, 39)]


@pytest.mark.parametrize('to_rgb', [True, False])
@pytest.mark.parametrize('name', PIPELINES)
def test_pipelines_are_repeated_bit_by_bit(name, to_rgb, tmp_path):
    """The oracle is what the network gets in training: transforms, then the data preprocessor."""
    steps = [dict(type='LoadPicture'), *PIPELINES[name], dict(type='PackInputs')]
    numbers = dict(mean=[103.5, 116.25, 123.75], std=[57.0, 57.5, 58.0], to_rgb=to_rgb)
    description = describe({**NETWORK, 'data_preprocessor': numbers}, steps, PSMM)
    assert ModelDescription.from_json(description.to_json()) == description
    assert description.channel_order == ('RGB' if to_rgb else 'BGR')
    preprocessor = MODELS.build(dict(type='MultiLabelDataPreprocessor', num_classes=7, **numbers))
    pipeline = [TRANSFORMS.build(dict(step)) for step in steps]
    for number, (height, width) in enumerate(SIZES):
        path = tmp_path / f'{number}.png'
        Image.fromarray(noise(height, width, number)).save(path)
        results = {'img_path': str(path)}
        for step in pipeline:
            results = step(results)
        expected = preprocessor({'inputs': results['inputs'][None]})['inputs']
        found = description.preprocessing.read(path)
        assert (found == results['inputs'].numpy()[::-1].transpose(1, 2, 0)).all()
        inputs = network_inputs(found[None], description, torch.device('cpu'))
        assert torch.equal(inputs, expected)


def test_the_exported_graph_turns_the_channels():
    turned = small_description(mean=(10.0, 20.0, 30.0), channel_order='BGR')
    network = build_network(turned)
    pictures = np.stack([noise(64, 64, seed) for seed in (0, 1)])
    inputs = network_inputs(pictures, turned, torch.device('cpu'))
    assert inputs[0, 0, 5, 7].item() == pytest.approx((pictures[0, 5, 7, 2] - 30.0) / 255)
    with torch.no_grad():
        expected = torch.sigmoid(network(inputs, mode='tensor'))
        found = DeployedNetwork(network, turned)(torch.from_numpy(pictures))
    assert torch.allclose(found, expected, atol=1e-5)


def test_what_is_seen_of_a_picture_is_what_the_steps_leave():
    """Enlarged, the part that is shown is the picture that the network gets."""
    for steps in PIPELINES.values():
        description = describe(
            {**NETWORK, 'data_preprocessor': {'to_rgb': True}},
            [dict(type='LoadPicture'), *steps],
            PSMM,
        )
        for height, width in [(300, 411), (411, 300)]:
            picture = cv2.resize(noise(6, 8), (width, height), interpolation=cv2.INTER_CUBIC)
            seen = description.preprocessing.visible(picture)
            small = cv2.resize(seen, (64, 64), interpolation=cv2.INTER_AREA).astype(int)
            assert np.abs(small - description.preprocessing.apply(picture)).mean() < 4


def test_descriptions_without_steps_and_order_stay_readable():
    content = json.loads(small_description().to_json())
    del content['preprocessing']['steps'], content['channel_order']
    assert ModelDescription.from_json(json.dumps(content)) == small_description()


@pytest.mark.parametrize(
    ('steps', 'sentence'),
    [
        ([{'type': 'CenterCrop', 'crop_size': 64}], r'CenterCrop\(crop_size=64\) .* expected a'),
        ([{'type': 'Resize', 'scale': (64, 32)}], 'expected a square'),
        ([{'type': 'Resize', 'scale': (64, 64), 'keep_ratio': True}], 'keep_ratio'),
        ([{'type': 'Resize', 'scale': (64, 64), 'backend': 'pillow'}], 'sets backend=pillow'),
        ([{'type': 'Resize', 'scale': (64, 64), 'interpolation': 'lanczos'}], 'interpolation'),
        ([{'type': 'Resize', 'scale_factor': 0.5}], 'sets scale_factor=0.5'),
        ([{'type': 'ResizeEdge', 'scale': 64}], 'cannot be repeated'),
        ([{'type': 'ResizeEdge', 'scale': 64, 'edge': 'width'}], "edge='width'"),
        ([{'type': 'Pad', 'size_divisor': 32}], 'sets size_divisor=32'),
        ([{'type': 'Pad', 'pad_to_square': True, 'padding_mode': 'edge'}], 'padding_mode=edge'),
        ([{'type': 'EfficientNetCenterCrop', 'crop_size': 64}], 'has EfficientNetCenterCrop'),
        ([{'type': 'RandomFlip', 'prob': 0.5}], 'has RandomFlip, which'),
    ],
)
def test_pipelines_that_cannot_be_repeated(steps, sentence):
    model = {**NETWORK, 'data_preprocessor': {'to_rgb': True}}
    with pytest.raises(InputError, match=sentence):
        describe(model, [{'type': 'LoadPicture'}, *steps, {'type': 'PackInputs'}], PSMM)


STEP = {'kind': 'resize', 'width': 64, 'height': 64, 'interpolation': 'area', 'fill': [0, 0, 0]}


@pytest.mark.parametrize(
    ('steps', 'sentence'),
    [
        (5, 'a list of at most'),
        ([STEP] * 9, 'a list of at most'),
        ([{'kind': 'resize'}], 'each must hold'),
        ([{**STEP, 'more': 1}], 'each must hold'),
        ([{**STEP, 'kind': 'os.system'}], 'kind is'),
        ([{**STEP, 'kind': []}], 'kind is'),
        ([{**STEP, 'width': 10**9}], 'width of resize is 1000000000'),
        ([{**STEP, 'width': 64.0}], 'width of resize is'),
        ([{**STEP, 'width': True}], 'width of resize is'),
        ([{**STEP, 'height': 0}], 'height of resize is 0'),
        ([{**STEP, 'kind': 'short'}], 'height of short is 64'),
        ([{**STEP, 'interpolation': 'nearest'}], 'interpolation is'),
        ([{**STEP, 'fill': [0, 0, 256]}], 'fill is'),
        ([{**STEP, 'fill': 'red'}], 'fill is'),
        ([{**STEP, 'width': 65}], 'make 65 x 64 pixels of a picture of 32 x 32'),
        ([{**STEP, 'kind': 'pad'}], 'make 64 x 97 pixels of a picture of 32 x 97'),
    ],
)
def test_steps_that_are_refused(steps, sentence):
    with pytest.raises(
        InputError, match=f'model.pth: its description cannot be used: .*{sentence}'
    ):
        ModelDescription.from_json(changed('preprocessing.steps', steps), 'model.pth')


def test_a_picture_that_would_grow_beyond_memory_is_refused():
    steps = [
        {**STEP, 'kind': 'short', 'width': 4096, 'height': 0},
        {**STEP, 'kind': 'crop'},
    ]
    with pytest.raises(InputError, match='would become one of 4096 x 128000; take it out'):
        Preprocessing(64, steps=steps).apply(np.zeros((1000, 32, 3), np.uint8))


def test_needs_neither_torch_nor_openmmlab():
    code = (
        'import sys, realmnet.deployment.description, realmnet.reporting.findings_report, '
        'realmnet.reporting.model_card; '
        'print(sorted({"torch", "mmengine", "mmcv", "mmpretrain"} & set(sys.modules)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
