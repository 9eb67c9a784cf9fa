"""A description may name declared networks, with plain values, and nothing else."""

import json
import sys
from pathlib import Path

import pytest
import torch
from mmpretrain.registry import MODELS
from model_files import NETWORK, small_description

import realmnet.plugin  # noqa: F401
from realmnet.deployment.description import KEY, ModelDescription, Preprocessing
from realmnet.deployment.description_hook import describe_config
from realmnet.deployment.model_file import load_model
from realmnet.deployment.network import build_network, outline_network
from realmnet.deployment.network_classes import check_classes
from realmnet.deployment.network_rules import MMPRETRAIN, check_network
from realmnet.engine.config import load_config
from realmnet.engine.signatures import takes
from realmnet.errors import InputError
from realmnet.experiments.quick import make_quick
from realmnet.experiments.sweep import cell_config, is_sweep, read_sweep

ROOT = Path(__file__).parents[2]
FILES = [p for p in sorted((ROOT / 'configs').rglob('*.py')) if '_base_' not in p.parts]
LINEAR = {'type': 'MultiLabelLinearClsHead', 'num_classes': 7, 'in_channels': 8}


def configs_of(path):
    if is_sweep(path):
        return [cell_config(cell) for cell in read_sweep(path).cells]
    return [load_config(str(path))]


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def networks(descriptions):
    """Descriptions by their networks, each once."""
    return {json.dumps(d.network, sort_keys=True): d for d in descriptions}.values()


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_every_config_is_described_and_loaded_back(path, tmp_path):
    configs = configs_of(path)
    for description in networks(map(describe_config, configs)):
        assert ModelDescription.from_json(description.to_json()) == description
        assert 'loss' not in description.network['head']
        outline_network(description)
    # the same networks, small enough to be written and read
    for number, small in enumerate(networks(describe_config(make_quick(c)) for c in configs)):
        file = tmp_path / f'{number}.pth'
        weights = build_network(small).state_dict()
        torch.save({'meta': {KEY: small.to_json()}, 'state_dict': weights}, file)
        network, description = load_model(file)
        assert description == small
        for name, value in network.state_dict().items():
            assert torch.equal(value, weights[name]), name


def test_files_that_name_their_loss_are_read_without_it(tmp_path):
    content = json.loads(small_description().to_json())
    content['network']['head']['loss'] = {'type': 'os.system', 'command': f'touch {tmp_path}/ran'}
    assert ModelDescription.from_json(json.dumps(content)) == small_description()
    assert not (tmp_path / 'ran').exists()


def evil_file(tmp_path, weights=None, **parts):
    """A checkpoint with a description that only a forger would write."""
    content = json.loads(small_description().to_json())
    for part, change in parts.items():
        content['network'][part] = change
    path = tmp_path / 'evil.pth'
    state = weights or build_network(small_description()).state_dict()
    torch.save({'meta': {KEY: json.dumps(content)}, 'state_dict': state}, path)
    return path


def shell(tmp_path):
    return f'touch {tmp_path / "ran"}'


MODULE = 'a_module_that_runs'
SWIN = {'type': 'SwinTransformer', 'arch': 'tiny', 'img_size': 64}
FORGERIES = {
    'padding layer': lambda t: {
        'neck': {'type': 'ConvModule', 'in_channels': 3, 'out_channels': 3, 'kernel_size': 1,
                 'padding': shell(t), 'padding_mode': 'os.system'},
    },
    'padding layer as backbone': lambda t: {
        'backbone': {'type': 'ConvModule', 'in_channels': 3, 'out_channels': 3, 'kernel_size': 1,
                     'padding': shell(t), 'padding_mode': 'os.system'},
    },
    'convolution': lambda t: {'backbone': {**SWIN, 'patch_cfg': {'conv_type': MODULE}}},
    'convolution of DeiT': lambda t: {
        'backbone': {'type': 'DistilledVisionTransformer', 'patch_cfg': {'conv_type': MODULE}},
    },
    'convolution of a stage': lambda t: {
        'backbone': {**SWIN, 'stage_cfgs': {'block_cfgs': {'window_size': 2,
                     'ffn_cfgs': {'act_cfg': {'type': MODULE}}}}},
    },
    'norm': lambda t: {'backbone': {**NETWORK['backbone'], 'norm_cfg': {'type': MODULE}}},
    'loss of the training': lambda t: {
        'head': {**NETWORK['head'], 'init_cfg': {'type': MODULE}},
    },
    'class': lambda t: {'backbone': {'type': MODULE}},
    'neck as a list': lambda t: {'neck': [{'type': MODULE}]},
}  # fmt: skip


@pytest.mark.parametrize('name', FORGERIES)
def test_a_file_runs_nothing(name, tmp_path, monkeypatch):
    source = f'import pathlib\npathlib.Path({str(tmp_path / "ran")!r}).touch()\n'
    (tmp_path / f'{MODULE}.py').write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    path = evil_file(tmp_path, **FORGERIES[name](tmp_path))
    with pytest.raises(InputError, match=r'evil\.pth: its description cannot be used') as error:
        load_model(path)
    assert not (tmp_path / 'ran').exists()
    assert MODULE not in sys.modules
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'options',
    [
        {'model_name': 'hf-hub:someone/model'},
        {'model_name': 'hf_hub:someone/model'},
        {'model_name': 'local-dir:/home'},
        {'model_name': 'convnext_atto.d2_in1k'},
        {'model_name': 'convnext_atto\n'},
        {'model_name': 'convnext_atto', 'checkpoint_path': '/etc/passwd'},
        {'model_name': 'convnext_atto', 'pretrained': True},
        {'model_name': 'convnext_atto', 'pretrained_cfg': {'url': 'http://localhost'}},
        {'model_name': 'convnext_atto', 'pretrained_cfg_overlay': {'file': '/etc/passwd'}},
        {'model_name': 'convnext_atto', 'cache_dir': '/tmp'},
        {'model_name': 'swin_tiny_patch4_window7_224', 'act_layer': 'os.system'},
    ],
)
def test_timm_is_not_asked_for_addresses_or_files(options, tmp_path, monkeypatch):
    import timm

    def create_model(*args, **kwargs):
        (tmp_path / 'ran').touch()
        raise RuntimeError('asked')

    monkeypatch.setattr(timm, 'create_model', create_model)
    path = evil_file(tmp_path, backbone={'type': 'TimmFeatures', **options}, head=LINEAR)
    with pytest.raises(InputError, match=r'evil.pth: .*network\.backbone'):
        load_model(path)
    assert not (tmp_path / 'ran').exists()


def test_a_name_that_timm_does_not_know_is_one_sentence(tmp_path):
    backbone = {'type': 'TimmFeatures', 'model_name': 'no_such_network'}
    with pytest.raises(InputError, match=r'evil.pth: .*Unknown model \(no_such_network\)'):
        load_model(evil_file(tmp_path, backbone=backbone, head=LINEAR))


OURS = {
    'backbone': ('RealMTinyViT', 'TimmFeatures'),
    'neck': (),
    'head': ('ResidualAttentionHead',),
}
CLASSES = [(part, kind) for part in MMPRETRAIN for kind in (*MMPRETRAIN[part], *OURS[part])]
HOSTILE = [
    'os.system',
    '',
    '../a',
    '/etc/passwd',
    'C:\\a',
    'hf-hub:a/b',
    'local-dir:a',
    'http://a',
    'a\n',
    'mmdet.Conv2d',
    'x' * 65,
    {'type': 'os.system'},
    {'type': 'this'},
    {'type': 'ConvModule'},
    {'type': ['BN']},
    {'type': 'TIMMBackbone'},
    [{'type': 'os.system'}],
    [['os.system']],
    ['os.system'] * 4,
    ['this'],
    {'conv_type': 'this'},
    {'block_cfgs': {'type': 'os.system'}},
    {'depths': ['os.system']},
    {'depths': [10**6]},
    {'depths': [2.0]},
    {'window_size': 65},
    {'init_cfg': {'type': 'Pretrained', 'checkpoint': 'a'}},
    {'_scope_': 'mmdet'},
    {'a.b': 1},
    float('nan'),
    float('inf'),
    [float('nan')],
    10**9,
    -(10**9),
    10**400,
    1e300,
    [2] * 999,
    [[[[[[2]]]]]],
    {'a': {'a': {'a': {'a': {'a': {'a': 1}}}}}},
    {str(n): 1 for n in range(999)},
    b'a',
    {1, 2},
    object(),
]


def arguments(kind):
    never = ('init_cfg', 'loss', 'pretrained_window_sizes')
    known = [name for name in takes(kind) if name not in never]
    return [*known, *vars(MODELS.get(kind)).get('described_options', ())]


@pytest.fixture
def nothing_is_built(monkeypatch):
    """Fail as soon as any part of a network is made."""

    def build(*args, **kwargs):
        raise AssertionError('built')

    monkeypatch.setattr(torch.nn.Module, '__init__', build)


@pytest.mark.parametrize(('part', 'kind'), CLASSES)
def test_no_argument_takes_what_is_looked_up_or_without_bounds(part, kind, nothing_is_built):
    for key in arguments(kind):
        for value in HOSTILE:
            network = {**NETWORK, part: {'type': kind, key: value}}
            with pytest.raises(InputError, match=rf'network\.{part}(\.{key}| may not hold)'):
                check_network(network)
        check_classes({**NETWORK, part: {'type': kind, key: 1}})


@pytest.mark.parametrize(('part', 'kind'), CLASSES)
def test_text_is_taken_only_where_the_constructor_has_text(part, kind, nothing_is_built):
    known = takes(kind)
    for key in arguments(kind):
        network = {**NETWORK, part: {'type': kind, key: 'this'}}
        if key in known and isinstance(known[key].default, str | type):  # or no default
            check_classes(network)
        else:
            with pytest.raises(InputError, match=rf'network\.{part}\.{key} is'):
                check_classes(network)


@pytest.mark.parametrize(('part', 'kind'), CLASSES)
@pytest.mark.parametrize(
    'key', ['_scope_', '_delete_', 'checkpoint', 'init_cfg', 'pretrained', 'loss', 'plugins']
)
def test_other_arguments_are_refused(part, kind, key, nothing_is_built):
    with pytest.raises(InputError, match=f"network.{part} may not hold '{key}'"):
        check_classes({**NETWORK, part: {'type': kind, key: 1}})


@pytest.mark.parametrize(
    'name',
    [
        'TIMMBackbone',
        'HuggingFaceClassifier',
        'TimmClassifier',
        'ConvModule',
        'CSPNet',
        'LeViT',
        'BatchNorm2d',
        'ImageClassifier',
        'ImageToImageRetriever',
        'CostSensitiveLoss',
        'no_such',
        'this',
        'mmpretrain.ResNet',
        'mmpretrain::ResNet',
        'os.system',
        '',
        5,
        None,
        ['ResNet'],
    ],
)
@pytest.mark.parametrize('part', MMPRETRAIN)
def test_other_classes_are_refused(part, name, nothing_is_built):
    with pytest.raises(InputError, match=rf'network\.{part}\.type is .*, expected one of'):
        check_classes({**NETWORK, part: {'type': name, 'model_name': 'resnet18'}})


def test_a_class_of_ours_is_described_if_it_says_so_itself():
    class Declared(torch.nn.Module):
        describable = True

        def __init__(self, width: int, pooling: str = 'mean') -> None:
            """Take a word and a number."""

    class Derived(Declared):
        """Says nothing: what it adds to its parent nobody has looked at."""

    MODELS.register_module(module=Declared, name='DeclaredForTest')
    MODELS.register_module(module=Derived, name='DerivedForTest')
    try:
        known = {'type': 'DeclaredForTest', 'width': 3, 'pooling': 'max'}
        check_classes({**NETWORK, 'backbone': known})
        with pytest.raises(InputError, match="may not hold 'height'; DeclaredForTest may have"):
            check_classes({**NETWORK, 'backbone': {**known, 'height': 3}})
        with pytest.raises(InputError, match='says describable = True'):
            check_classes({**NETWORK, 'backbone': {**known, 'type': 'DerivedForTest'}})
    finally:
        del MODELS.module_dict['DeclaredForTest'], MODELS.module_dict['DerivedForTest']


def test_every_class_of_the_list_exists_and_takes_no_address():
    for part, kind in CLASSES:
        assert kind in MODELS.module_dict, (part, kind)
        for key in arguments(kind):
            words = set(key.split('_'))
            assert not words & {
                'path',
                'file',
                'url',
                'checkpoint',
                'ckpt',
                'pretrained',
                'name',
                'dir',
            } - {'path' if 'drop_path' in key else ''} or (
                (kind, key) in {('TimmFeatures', 'model_name'), ('RealMTinyViT', 'use_checkpoint')}
            ), (kind, key)


def test_a_network_of_too_many_layers_is_not_built(monkeypatch):
    monkeypatch.setattr('realmnet.deployment.network_classes.MOST_MODULES', 1000)
    many = {'type': 'ConvNeXt', 'arch': {'channels': [4] * 64, 'depths': [64] * 64}}
    with pytest.raises(InputError, match=r'cannot be built .*more than 1,000 layers'):
        outline_network(small_description(network={**NETWORK, 'backbone': many}))


def test_a_network_of_too_large_maps_is_not_run():
    wide = {
        'type': 'VisionTransformer',
        'img_size': 4096,
        'patch_size': 1,
        'arch': {'embed_dims': 512, 'num_layers': 1, 'num_heads': 1, 'feedforward_channels': 8},
    }
    with pytest.raises(InputError, match='numbers at once'):
        outline_network(
            small_description(
                network={**NETWORK, 'backbone': wide}, preprocessing=Preprocessing(4096)
            )
        )


def test_size_of_the_pictures_is_that_of_the_network():
    with pytest.raises(InputError, match=r'img_size is 64, but preprocessing\.size is 128'):
        small_description(preprocessing=Preprocessing(128))
    backbone = {**NETWORK['backbone'], 'img_size': [64, 96]}
    with pytest.raises(InputError, match=r'img_size is \[64, 96\]'):
        small_description(network={**NETWORK, 'backbone': backbone})


def test_parts_that_do_not_fit_together_are_one_sentence(tmp_path):
    wide = {**NETWORK['head'], 'in_channels': 24}
    with pytest.raises(
        InputError, match=r'evil\.pth: network\.head\.in_channels is 24, .*gives 16'
    ):
        load_model(evil_file(tmp_path, head=wide))
    maps = {**LINEAR, 'in_channels': 16}  # a linear head on maps of 2 x 2 gives no row a picture
    with pytest.raises(InputError, match=r'one row of features .* gives \(16, 2, 2\); add neck='):
        load_model(evil_file(tmp_path, head=maps))
