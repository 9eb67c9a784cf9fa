"""A description may name the networks of this repository's configurations, and nothing else."""

import json
import sys
from pathlib import Path

import pytest
import torch
from model_files import NETWORK, small_description

import realmnet.plugin  # noqa: F401
from realmnet.deployment.description import KEY, ModelDescription, Preprocessing
from realmnet.deployment.description_hook import describe_config
from realmnet.deployment.model_file import load_model
from realmnet.deployment.network import build_network, outline_network
from realmnet.deployment.network_rules import PARTS, check_network
from realmnet.engine.config import load_config
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


STRANGE = [
    'os.system', 'this', 'Conv2d', '', '../a', 'hf-hub:a/b', 'local-dir:a', None, [], {}, [[2]],
    {'type': 'os.system'}, [{'type': 'os.system'}], float('nan'), float('inf'), -1, 10**9, 10**400,
    {'depths': ['os.system']}, {'block_cfgs': {'type': 'os.system'}}, ['os.system'] * 4, [2] * 999,
]  # fmt: skip
ARGUMENTS = [
    (part, kind, key)
    for part, kinds in PARTS.items() for kind, rules in kinds.items() for key in rules
]  # fmt: skip


@pytest.mark.parametrize(('part', 'kind', 'key'), ARGUMENTS)
def test_no_argument_takes_what_is_looked_up_or_without_bounds(part, kind, key):
    for value in STRANGE:
        if (key, value) in (('model_name', 'this'), ('arch', {}), ('stage_cfgs', {})):
            continue  # plain names are asked of timm's registry; objects may be empty
        network = {**NETWORK, part: {'type': kind, key: value}}
        with pytest.raises(InputError, match=rf'network\.{part}\.{key} is'):
            check_network(network)


@pytest.mark.parametrize('part', PARTS)
@pytest.mark.parametrize(
    'key',
    ['_scope_', '_delete_', 'checkpoint', 'init_cfg', 'pretrained', 'loss', 'plugins', 'conv_cfg'],
)
def test_other_arguments_are_refused(part, key):
    for kind in PARTS[part]:
        with pytest.raises(InputError, match=f"network.{part} may not hold '{key}'"):
            check_network({**NETWORK, part: {'type': kind, key: 1}})


def test_size_of_the_pictures_is_that_of_the_network():
    with pytest.raises(InputError, match=r'img_size is 64, but preprocessing\.size is 128'):
        small_description(preprocessing=Preprocessing(128))
    backbone = {**NETWORK['backbone'], 'img_size': [64, 96]}
    with pytest.raises(InputError, match=r'img_size is \[64, 96\]'):
        small_description(network={**NETWORK, 'backbone': backbone})


def test_parts_that_do_not_fit_together_are_one_sentence(tmp_path):
    wide = {**NETWORK['head'], 'in_channels': 24}
    with pytest.raises(InputError, match=r'evil\.pth: .*cannot be used on pictures of 64 px'):
        load_model(evil_file(tmp_path, head=wide))
    maps = {**LINEAR, 'in_channels': 2}  # a linear head on maps of 2 x 2 gives no row a picture
    with pytest.raises(InputError, match=r'cannot be used on pictures of 64 px .* gives \(1, 16'):
        load_model(evil_file(tmp_path, head=maps))
