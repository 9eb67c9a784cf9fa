import os
import zipfile
from pathlib import Path

import pytest
import torch
from mmpretrain.registry import MODELS
from model_files import NETWORK, small_description, write_model
from torch.utils._python_dispatch import TorchDispatchMode

from realmnet.deployment.description import KEY
from realmnet.deployment.model_file import load_model, pack
from realmnet.deployment.network import build_network, outline_network
from realmnet.engine import read_checkpoint
from realmnet.errors import InputError
from realmnet.evaluation.thresholds import Thresholds, write_thresholds


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / 'model.pth')


def test_weights_come_back(model):
    network, description = load_model(model)
    assert description == small_description()
    assert not network.training
    stored = read_checkpoint(model)['state_dict']
    for name, value in network.state_dict().items():
        assert torch.equal(value, stored[name]), name


def test_pack_keeps_names_and_drops_the_rest(tmp_path):
    description = small_description()
    meta = {KEY: description.to_json(), 'cfg': 'data_root = "/home/someone"', 'seed': 1}
    source = write_model(tmp_path / 'epoch_1.pth', description, meta)
    content = read_checkpoint(source)
    torch.save({**content, 'optimizer': {'state': {0: torch.ones(9)}}}, source)
    classes = description.classes
    chosen = Thresholds(
        dict.fromkeys(classes, 0.2), 'F1', list(classes), '/home/someone/val.csv', 4
    )
    write_thresholds(chosen, tmp_path / 't.json')
    packed = pack(source, tmp_path / 'out' / 'model.pth', thresholds=tmp_path / 't.json',
                  crop_border=True)  # fmt: skip
    written = torch.load(tmp_path / 'out' / 'model.pth', weights_only=True)
    assert set(written) == {'meta', 'state_dict'}
    assert set(written['meta']) == {KEY, 'dataset_meta'}
    assert list(written['state_dict']) == list(content['state_dict'])
    assert b'someone' not in (tmp_path / 'out' / 'model.pth').read_bytes()
    assert packed.description.preprocessing.crop_border
    assert packed.description.thresholds.source == 'val.csv'
    assert load_model(tmp_path / 'out' / 'model.pth')[1] == packed.description


def test_checkpoint_without_description_names_the_remedy(tmp_path):
    path = write_model(tmp_path / 'old.pth', meta={'epoch': 1})
    with pytest.raises(InputError, match=r'pack\.py .*old\.pth --config CONFIG'):
        load_model(path)


def test_checkpoint_of_another_class_schema(tmp_path):
    description = small_description()
    meta = {KEY: description.to_json(), 'dataset_meta': {'classes': ['N', 'M']}}
    path = write_model(tmp_path / 'a.pth', meta=meta)
    with pytest.raises(InputError, match=r"its\s+training had \['N', 'M'\]"):
        load_model(path)


def test_thresholds_of_another_class_schema(model, tmp_path):
    write_thresholds(Thresholds({'M': 0.5}, 'F1', ['M']), tmp_path / 't.json')
    with pytest.raises(InputError, match='needed are those of'):
        pack(model, tmp_path / 'b.pth', thresholds=tmp_path / 't.json')
    assert not (tmp_path / 'b.pth').exists()


def test_weights_of_another_network(tmp_path):
    head = {**NETWORK['head'], 'in_channels': 16, 'num_heads': 1}
    other = small_description(network={**NETWORK, 'head': head})
    path = write_model(tmp_path / 'a.pth', meta={KEY: other.to_json()})
    with pytest.raises(InputError, match='demand every key and shape'):
        load_model(path)


def test_targets_that_cannot_be_written(model, tmp_path):
    with pytest.raises(InputError, match='the checkpoint itself'):
        pack(model, model)
    with pytest.raises(InputError, match=r'must end in \.pth'):
        pack(model, tmp_path / 'model.onnx')
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot be written'):
        pack(model, tmp_path / 'file' / 'model.pth')


@pytest.mark.parametrize(
    'name', ['TIMMBackbone', 'HuggingFaceClassifier', 'ExponentialMovingAverage', 'eval']
)
def test_classes_that_a_description_may_not_name(name):
    # mmengine's registry would build the first three
    description = small_description(network={**NETWORK, 'backbone': {'type': name}})
    for build in (build_network, outline_network):
        with pytest.raises(InputError, match=r'cannot be used: network\.backbone\.type is'):
            build(description)


def test_nested_types_are_looked_up_too(tmp_path):
    @MODELS.register_module(force=True)
    class Foreign:
        def __init__(self, *args, **kwargs):
            (tmp_path / 'ran').write_text('')

    description = small_description()
    description.network['backbone'] = {**NETWORK['backbone'], 'norm_cfg': {'type': 'Foreign'}}
    with pytest.raises(InputError, match=r"network\.backbone\.norm_cfg\.type is 'Foreign'"):
        build_network(description)
    assert not (tmp_path / 'ran').exists()


def test_wrong_arguments_are_one_sentence():
    for change, place in (
        ({'arch': '99m'}, 'arch'),
        ({'colour': 1}, 'colour'),
        ({'window_size': [0, 0, 0, 0]}, 'window_size'),
        ({'window_size': [2, 2]}, 'cannot be built'),
    ):
        network = {**NETWORK, 'backbone': {**NETWORK['backbone'], **change}}
        with pytest.raises(InputError, match=place) as error:
            build_network(small_description(network=network))
        assert '\n' not in str(error.value)


class Allocated(TorchDispatchMode):
    """Notes the largest storage of a tensor, except on the ``meta`` device."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.device.type == 'cpu':
            self.bytes = max(self.bytes, out.untyped_storage().nbytes())
        return out


def wide(channels):
    arch = {**NETWORK['backbone']['arch'], 'channels': [8, 8, 16, channels]}
    head = {**NETWORK['head'], 'in_channels': channels}
    backbone = {**NETWORK['backbone'], 'arch': arch}
    return small_description(network={**NETWORK, 'backbone': backbone, 'head': head})


def test_a_network_that_the_weights_do_not_fit_takes_no_memory(model):
    content = read_checkpoint(model)
    torch.save({**content, 'meta': {KEY: wide(2048).to_json()}}, model)
    with Allocated() as allocated, pytest.raises(InputError, match='demand every key and shape'):
        load_model(model)
    assert allocated.bytes < 1e6  # the network has a layer of 67 million bytes


def test_weights_wider_than_their_storage_take_no_memory(tmp_path):
    description = wide(4096)
    with torch.device('meta'):
        shapes = build_network(description).state_dict()
    weights = {name: torch.zeros((), dtype=value.dtype).expand(value.shape)
               for name, value in shapes.items()}  # fmt: skip
    path = tmp_path / 'bomb.pth'
    torch.save({'meta': {KEY: description.to_json()}, 'state_dict': weights}, path)
    assert path.stat().st_size < 1e6
    with Allocated() as allocated, pytest.raises(InputError, match='far more than the weights'):
        load_model(path)
    assert allocated.bytes < 1e6


def test_packed_archives_are_refused(model, tmp_path):
    packed = tmp_path / 'packed.pth'
    with zipfile.ZipFile(model) as source, zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as to:
        for name in source.namelist():
            to.writestr(name, source.read(name))
    with pytest.raises(InputError, match=r'packed\.pth: unpacks to .* bytes'):
        load_model(packed)


def test_a_damaged_archive_is_one_sentence(model):
    content = bytearray(model.read_bytes())
    content[content.rindex(b'PK\x01\x02')] = 0  # one entry of the directory at the end
    model.write_bytes(content)
    with pytest.raises(InputError, match='is cut short or damaged'):
        load_model(model)


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda value: value.to_sparse(), 'no plain tensor'),
        (lambda value: value.to('meta'), 'no plain tensor'),
        (lambda value: value.to(torch.complex64), 'no plain tensor'),
        (lambda value: value * torch.nan, 'are not finite'),
        (lambda value: value / 0, 'are not finite'),
        (lambda value: [1], 'of another shape|holds no weights'),
    ],
)
def test_weights_that_are_no_numbers(model, change, sentence):
    content = read_checkpoint(model)
    name = 'head.csra_heads.0.head.weight'
    content['state_dict'][name] = change(content['state_dict'][name].abs() + 1)
    torch.save(content, model)
    with pytest.raises(InputError, match=sentence) as error:
        load_model(model)
    assert str(error.value).startswith(str(model))


@pytest.mark.parametrize(
    'meta',
    [
        ['realmnet'],
        'realmnet',
        torch.ones(2),
        {'dataset_meta': ['S0']},
        {'dataset_meta': {'classes': 7}},
        {'dataset_meta': {'classes': [1, 2]}},
    ],
)
def test_meta_of_another_kind_is_one_sentence(meta, tmp_path):
    if isinstance(meta, dict):
        meta |= {KEY: small_description().to_json()}
    path = write_model(tmp_path / 'a.pth', meta=meta)
    with pytest.raises(InputError, match=r'a\.pth: (its meta|its dataset_meta|dataset_meta)'):
        load_model(path)
    config = Path(__file__).parents[2] / 'configs/quickstart/tinyvit-5m-128_synthetic.py'
    with pytest.raises(InputError, match=r'a\.pth: (its meta|its dataset_meta|dataset_meta)'):
        pack(path, tmp_path / 'b.pth', config=config)


def test_a_config_in_the_file_is_not_executed(tmp_path):
    meta = {
        KEY: small_description().to_json(),
        'cfg': f'import pathlib; pathlib.Path({str(tmp_path / "ran")!r}).write_text("")',
    }
    load_model(write_model(tmp_path / 'a.pth', meta=meta))
    assert not os.path.exists(tmp_path / 'ran')  # noqa: PTH110
