import os

import pytest
import torch
from mmpretrain.registry import MODELS
from model_files import NETWORK, small_description, write_model

from realmnet.deployment.description import KEY
from realmnet.deployment.model_file import load_model, pack
from realmnet.deployment.network import build_network
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
    'name', ['TIMMBackbone', 'HuggingFaceClassifier', 'ExponentialMovingAverage', 'system', 'eval']
)
def test_classes_that_a_description_may_not_name(name):
    # names that pass for a name; mmengine's registry would build the first three
    description = small_description(
        network={**NETWORK, 'backbone': {'type': name}},
        preprocessing=small_description().preprocessing,
    )
    with pytest.raises(InputError, match=r'network\.backbone\.type names'):
        build_network(description)


def test_nested_types_are_looked_up_too(tmp_path):
    @MODELS.register_module(force=True)
    class Foreign:
        def __init__(self, *args, **kwargs):
            (tmp_path / 'ran').write_text('')

    backbone = {**NETWORK['backbone'], 'norm_cfg': {'type': 'Foreign'}}
    description = small_description(network={**NETWORK, 'backbone': backbone})
    with pytest.raises(InputError, match=r'network\.backbone\.norm_cfg\.type'):
        build_network(description)
    assert not (tmp_path / 'ran').exists()


def test_wrong_arguments_are_one_sentence():
    for change in ({'arch': '99m'}, {'colour': 1}, {'window_size': [0, 0, 0, 0]}):
        network = {**NETWORK, 'backbone': {**NETWORK['backbone'], **change}}
        with pytest.raises(InputError, match='cannot be built') as error:
            build_network(small_description(network=network))
        assert '\n' not in str(error.value)


def test_a_config_in_the_file_is_not_executed(tmp_path):
    meta = {
        KEY: small_description().to_json(),
        'cfg': f'import pathlib; pathlib.Path({str(tmp_path / "ran")!r}).write_text("")',
    }
    load_model(write_model(tmp_path / 'a.pth', meta=meta))
    assert not os.path.exists(tmp_path / 'ran')  # noqa: PTH110
