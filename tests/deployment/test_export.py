"""Exported files say what the network says, for any batch, and hold nothing they should not."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from mmpretrain.models.utils import ShiftWindowMSA
from torch import nn

from realmnet.curation.pictures import list_pictures
from realmnet.deployment import deployed_network, export
from realmnet.deployment.deployed_network import DeployedNetwork, FoldedAttention, merge_windows
from realmnet.deployment.description import KEY, ModelDescription, Preprocessing
from realmnet.deployment.export import TOLERANCE, compare, export_model, reference_scores
from realmnet.deployment.export_report import export_all, report
from realmnet.deployment.model_file import load_model, pack
from realmnet.deployment.network import build_network
from realmnet.deployment.runtime import DIGEST, OnnxModel, onnxruntime
from realmnet.errors import InputError
from realmnet.models.backbones.tinyvit_layers import WindowAttention

CLASSES = ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')


#: Fewer blocks than any TinyViT, for exports that take a second.
TINY = dict(channels=[16, 24, 32, 48], num_heads=[1, 2, 2, 3], depths=[1, 1, 2, 1])


def realmnet(size, windows, arch=TINY, width=48, **head):
    """Description of a RealMNet."""
    return ModelDescription(
        CLASSES,
        Preprocessing(size),
        dict(
            type='ImageClassifier',
            backbone=dict(type='RealMTinyViT', arch=arch, img_size=size, window_size=windows,
                          gap_before_final_norm=False),
            head=dict(type='ResidualAttentionHead', num_classes=7, in_channels=width, num_heads=2,
                      lam=1.2) | head,
        ),
        mean=(10.0, 20.0, 30.0),
        std=(200.0, 255.0, 300.0),
    )  # fmt: skip


def counterpart(size, backbone, width, pooled=True):
    """Description of a network of mmpretrain with a linear head."""
    network = dict(
        type='ImageClassifier',
        backbone=backbone,
        head=dict(type='MultiLabelLinearClsHead', num_classes=7, in_channels=width),
    )
    if pooled:
        network['neck'] = dict(type='GlobalAveragePooling')
    return ModelDescription(CLASSES, Preprocessing(size), network)


SMALL = {
    'DeiT': counterpart(
        32,
        dict(type='DistilledVisionTransformer', img_size=32, patch_size=8, out_type='avg_featmap',
             arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)),
        16,
        pooled=False,
    ),
    'ConvNeXt': counterpart(
        64,
        dict(type='ConvNeXt', arch=dict(depths=[1, 1, 2, 1], channels=[8, 16, 24, 32])),
        32,
        pooled=False,
    ),
    'EfficientNet': counterpart(64, dict(type='EfficientNet', arch='b0'), 1280),
    # its second block shifts the windows
    'Swin': counterpart(
        64,
        dict(type='SwinTransformer', img_size=64, window_size=2,
             arch=dict(embed_dims=8, depths=[2, 1, 1, 1], num_heads=[1, 2, 4, 8])),
        64,
    ),
}  # fmt: skip


def noise(number, size):
    """Blurred colours, no two pictures alike."""
    coarse = np.random.default_rng(1).integers(0, 256, (number, 8, 8, 3), np.uint8)
    return np.array(
        [cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC) for picture in coarse],
        np.uint8,
    ).reshape(number, size, size, 3)


def build(description):
    """A network whose scores depend on the picture: at its start values they hardly do."""
    torch.manual_seed(0)
    network = build_network(description)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.momentum = 1.0  # takes on the statistics of the next batch
    for name, parameter in network.named_parameters():
        if name.endswith('attention_biases'):
            nn.init.normal_(parameter)
    network.train()
    size = description.preprocessing.size
    # The kinds of picture that the export compares on: with statistics of others, norms would blow
    # them up until float32 itself is off.
    wild = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), np.uint8)
    flat = np.stack([np.full((size, size, 3), value, np.uint8) for value in (0, 255)])
    pictures = np.concatenate([noise(8, size), wild, flat])
    with torch.no_grad():
        network(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255)
    return network.eval()


@pytest.fixture(scope='module')
def small():
    description = realmnet(64, [2, 2, 4, 2])
    return build(description), description


@pytest.fixture(scope='module')
def small_onnx(small, tmp_path_factory):
    path = tmp_path_factory.mktemp('export') / 'model.onnx'
    parity = export_model(*small, path, np.zeros((0, 64, 64, 3), np.uint8))
    assert parity.pictures == 6
    return path


@pytest.mark.parametrize('side', [2, 3, 4])
def test_folded_attention_is_the_same_function(side):
    torch.manual_seed(0)
    attention = WindowAttention(24, 3, side).eval()
    with torch.no_grad():
        attention.attention_biases.normal_(0, 1)
        attention.norm.weight.uniform_(0.5, 1.5)
        attention.norm.bias.normal_(0, 1)
        attention.proj.bias.normal_(0, 1)
        attention.qkv.bias.normal_(0, 1)  # the key's is dropped, the value's passed on
        windows = torch.randn(5, side * side, 24)
        assert torch.allclose(FoldedAttention(attention)(windows), attention(windows), atol=1e-5)


def test_the_network_is_copied_not_changed(small):
    network, description = small
    before = {name: value.clone() for name, value in network.state_dict().items()}
    DeployedNetwork(network, description)
    after = network.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_windows_come_back_as_swin_puts_them():
    maps = torch.arange(3 * 8 * 12 * 5).view(3, 8, 12, 5)
    windows = ShiftWindowMSA.window_partition(maps, 4)
    assert torch.equal(merge_windows(windows, 8, 12, 4), maps)
    assert torch.equal(ShiftWindowMSA.window_reverse(windows, 8, 12, 4), maps)


def test_onnx_gives_the_networks_scores_for_any_batch(small, small_onnx):
    network, _ = small
    session = onnxruntime.InferenceSession(small_onnx)
    for number in (1, 3, 8):
        pictures = noise(number, 64)
        found = session.run(None, {'pictures': pictures})[0]
        with torch.no_grad():  # spelled out, apart from the code under test
            x = torch.tensor(pictures.transpose(0, 3, 1, 2), dtype=torch.float32)
            x = (x - torch.tensor([10.0, 20, 30]).view(3, 1, 1)) / torch.tensor(
                [200.0, 255, 300]
            ).view(3, 1, 1)
            expected = network.head(network.backbone(x)).sigmoid().numpy()
        assert np.abs(found - expected).max() < 1e-5
        assert np.ptp(expected, axis=1).min() > 0.1


def test_a_changed_byte_is_found_by_the_digest(small_onnx, tmp_path):
    content = bytearray(small_onnx.read_bytes())
    places = np.random.default_rng(0).integers(0, len(content), 20)
    for place in (*places, content.rfind(DIGEST.encode()) + len(DIGEST) + 5):
        damaged = bytearray(content)
        damaged[place] ^= 1
        (tmp_path / 'damaged.onnx').write_bytes(damaged)
        with pytest.raises(InputError, match='damaged'):
            OnnxModel(tmp_path / 'damaged.onnx')
    earlier = content.replace(DIGEST.encode(), b'realmnet.other!')  # as if it had none
    (tmp_path / 'earlier.onnx').write_bytes(earlier)
    assert OnnxModel(tmp_path / 'earlier.onnx').description.classes


def test_the_file_stands_alone_and_tells_nothing_of_this_machine(small, small_onnx, tmp_path):
    model = onnx.load(small_onnx, load_external_data=False)
    assert [p.key for p in model.metadata_props] == [KEY, DIGEST]
    assert ModelDescription.from_json(model.metadata_props[0].value) == small[1]
    assert model.opset_import[0].version == export.OPSET
    assert {o.domain for o in model.opset_import} == {''}  # operators of the standard only
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in model.graph.initializer)
    assert 'Attention' in {node.op_type for node in model.graph.node}
    program = tmp_path / 'model.pt2'
    export_model(*small, program, noise(0, 64))
    for path in (small_onnx, program):
        content = path.read_bytes()
        for place in (Path(export.__file__).parents[2], Path(torch.__file__).parent, tmp_path):
            assert str(place).encode() not in content
        assert b'stack_trace' not in content


def test_a_program_of_torch_export(small, tmp_path):
    network, description = small
    path = tmp_path / 'model.pt2'
    assert export_model(network, description, path, noise(3, 64)).pictures == 9
    extra = {KEY: ''}
    module = torch.export.load(path, extra_files=extra).module()
    assert ModelDescription.from_json(extra[KEY]) == description
    for number in (1, 5):
        found = module(torch.from_numpy(noise(number, 64))).numpy()
        expected = reference_scores(network, description, noise(number, 64))
        assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize(
    'name', ['DeiT', 'ConvNeXt', 'Swin', pytest.param('EfficientNet', marks=pytest.mark.slow)]
)
def test_counterparts(name, tmp_path):
    description = SMALL[name]
    network = build(description)
    size = description.preprocessing.size
    path = tmp_path / 'model.onnx'
    assert export_model(network, description, path, noise(2, size)).difference < 1e-5
    assert OnnxModel(path).description == description


def test_a_file_that_says_something_else_is_not_written(small, tmp_path, monkeypatch):
    network, description = small
    other = build(description)
    with torch.no_grad():
        other.head.csra_heads[0]['head'].weight.neg_()
    write = export.write_onnx
    monkeypatch.setattr(export, 'write_onnx', lambda _, about, path: write(other, about, path))
    path = tmp_path / 'model.onnx'
    with pytest.raises(InputError, match='not written, because its scores differ'):
        export_model(network, description, path, noise(1, 64))
    assert list(tmp_path.iterdir()) == []


def test_a_frozen_batch_size_is_noticed(tmp_path, monkeypatch):
    """mmpretrain's own way to merge Swin's windows makes the traced batch size a constant."""
    monkeypatch.setattr(deployed_network, 'merge_windows', ShiftWindowMSA.window_reverse)
    description = SMALL['Swin']
    with pytest.raises(InputError, match='not written'):
        export_model(build(description), description, tmp_path / 'model.onnx', noise(0, 64))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_one_sentence(small, tmp_path):
    network, description = small
    with pytest.raises(InputError, match=r'must end in \.onnx or \.pt2'):
        export_model(network, description, tmp_path / 'model.pth', noise(0, 64))

    class Stubborn(nn.Module):
        def forward(self, x, mode):
            return x if x.sum() > 0 else -x  # depends on the data

    with pytest.raises(InputError, match='cannot be exported') as caught:
        export_model(Stubborn(), description, tmp_path / 'model.onnx', noise(0, 64))
    assert '\n' not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_int8_is_smaller_close_and_reported(small, tmp_path, real_or_noise):
    rows = export_all(*small, [tmp_path / 'model.onnx'], int8=True, folder=real_or_noise)
    assert [row.name for row in rows] == ['network', 'model.onnx', 'model_int8.onnx']
    assert rows[2].megabytes < 0.6 * rows[1].megabytes
    assert rows[1].parity.difference < 1e-5 < rows[2].parity.difference < 0.1
    assert rows[1].parity.pictures == 6 + len(list_pictures(real_or_noise))
    assert 'mAP' not in report(rows)
    pictures = noise(4, 64)
    model = OnnxModel(tmp_path / 'model_int8.onnx')
    one_by_one = np.concatenate([model.scores(pictures[n : n + 1]) for n in range(4)])
    assert np.array_equal(model.scores(pictures), one_by_one)


@pytest.fixture
def real_or_noise(synthetic_psmm):
    return synthetic_psmm / 'JPEGImages'


def test_map_of_each_file(small, tmp_path, synthetic_psmm):
    from sklearn.metrics import average_precision_score

    from realmnet.curation.label_table import read_label_table

    network, description = small
    labels = synthetic_psmm / 'ImageSets' / 'Main' / 'test.csv'
    folder = synthetic_psmm / 'JPEGImages'
    rows = export_all(network, description, [tmp_path / 'm.onnx'], False, folder, labels)
    table = read_label_table(labels)
    pictures = np.stack([description.preprocessing.read(folder / n) for n in table.filenames])
    scores = reference_scores(network, description, pictures)
    there = table.labels.any(axis=0)
    expected = np.mean(
        [average_precision_score(table.labels[:, c], scores[:, c]) for c in np.flatnonzero(there)]
    )
    assert [row.mean_ap for row in rows] == pytest.approx([expected] * 2, abs=1e-6)
    assert f'{expected:.4f}' in report(rows)


def test_the_description_holds_no_secrets(small_onnx):
    text = onnx.load(small_onnx).metadata_props[0].value
    assert set(json.loads(text)['network']) == {'type', 'backbone', 'head'}


def photographs(real_data, description, number=200):
    folder = real_data / 'odir5k_256' / 'images'
    names = list_pictures(folder)[:number]
    assert len(names) == number
    return np.stack([description.preprocessing.read(folder / name) for name in names])


def test_parity_on_200_photographs(small, small_onnx, real_data):
    network, description = small
    pictures = photographs(real_data, description)
    parity = compare(small_onnx, network, description, pictures)
    assert parity.pictures == 206
    assert parity.difference <= TOLERANCE
    assert parity.changed == 0
    # what is compared differs from picture to picture
    assert reference_scores(network, description, pictures[:20]).std(axis=0).min() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize('size', [384, 512])
def test_parity_of_the_published_size(size, tmp_path, real_data):
    side = size // 32
    description = realmnet(size, [side, side, 2 * side, side], arch='21m', width=576)
    network = build(description)
    pictures = photographs(real_data, description, 4)
    path = tmp_path / 'model.onnx'
    parity = export_model(network, description, path, pictures)
    assert parity.difference <= TOLERANCE
    # the biases are gathered from their small tables, not stored as masks
    assert path.stat().st_size < 1.05 * 4 * sum(p.numel() for p in network.parameters())


@pytest.mark.slow
def test_parity_of_the_quickstarts_model(tmp_path, real_data):
    runs = Path('work_dirs', 'quickstart')
    if not (runs / 'last_checkpoint').is_file():
        pytest.skip('needs the model that tools/quickstart.sh trains')
    checkpoint = (runs / 'last_checkpoint').read_text().strip()
    config = 'configs/quickstart/tinyvit-5m-128_synthetic.py'
    pack(checkpoint, tmp_path / 'model.pth', config=config)
    network, description = load_model(tmp_path / 'model.pth')
    pictures = photographs(real_data, description)
    parity = export_model(network, description, tmp_path / 'model.onnx', pictures)
    assert parity.pictures == 206
    assert parity.difference <= TOLERANCE
    assert parity.changed == 0
