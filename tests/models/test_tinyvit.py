"""RealMTinyViT against mmpretrain's TinyViT and timm's, and what only it can do."""

import copy

import pytest
import timm
import torch
from mmengine.runner.checkpoint import load_state_dict
from mmpretrain.engine import LearningRateDecayOptimWrapperConstructor
from mmpretrain.models import ImageClassifier, TinyViT
from torch import nn

import realmnet.models.backbones.tinyvit as tinyvit_module
from realmnet.models import RealMTinyViT
from realmnet.models.backbones.tinyvit import default_windows
from realmnet.models.backbones.tinyvit_keys import convert_state_dict
from realmnet.models.backbones.tinyvit_layers import resize_bias_table

SMALL = dict(channels=[16, 32, 48, 64], num_heads=[1, 2, 3, 4], depths=[1, 1, 2, 1])
WINDOWS = [2, 2, 4, 2]


def small(**kwargs) -> RealMTinyViT:
    kwargs = dict(arch=SMALL, img_size=64, gap_before_final_norm=False) | kwargs
    return RealMTinyViT(**kwargs)


def stock_and_own(scramble, window_size=WINDOWS, **kwargs):
    kwargs = dict(gap_before_final_norm=False, out_indices=[0, 1, 2, 3]) | kwargs
    stock = TinyViT(arch=SMALL, img_size=(64, 64), window_size=window_size, **kwargs)
    own = RealMTinyViT(arch=SMALL, img_size=64, window_size=window_size, **kwargs)
    own.load_state_dict(scramble(stock).state_dict(), strict=True)
    stock.double()
    stock.eval()  # caches its position biases, so after the cast
    return stock, own.double().eval()


def classifier(**backbone) -> ImageClassifier:
    return ImageClassifier(
        backbone=dict(
            type='RealMTinyViT', arch=SMALL, img_size=64, gap_before_final_norm=False, **backbone
        ),
        head=dict(
            type='ResidualAttentionHead', num_classes=3, in_channels=64, lam=0.1, num_heads=2
        ),
    )


@pytest.mark.parametrize('arch', ['5m', '11m', '21m'])
def test_state_dict_is_that_of_mmpretrain(arch):
    stock = TinyViT(arch=arch, img_size=(64, 64), window_size=WINDOWS).state_dict()
    with torch.device('meta'):
        own = RealMTinyViT(arch=arch, img_size=64).state_dict()
    assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in stock.items()}


def test_start_values_are_those_of_mmpretrain():
    torch.manual_seed(1)
    stock = TinyViT(arch=SMALL, img_size=(64, 64), window_size=WINDOWS).state_dict()
    torch.manual_seed(1)
    own = RealMTinyViT(arch=SMALL, img_size=64).state_dict()
    assert all(torch.equal(own[name], stock[name]) for name in stock)


@pytest.mark.parametrize('gap', [True, False])
@pytest.mark.parametrize('window_size', [WINDOWS, [3, 3, 3, 3], [8, 8, 4, 2]])
def test_outputs_equal_mmpretrain(scramble, gap, window_size):
    stock, own = stock_and_own(scramble, window_size, gap_before_final_norm=gap)
    x = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    for expected, got in zip(stock(x), own(x), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)
    stock.load_state_dict(own.state_dict(), strict=True)


def test_training_step_equals_mmpretrain(scramble):
    stock, own = stock_and_own(scramble, drop_path_rate=0.5, drop_rate=0.2)
    x = torch.rand(3, 3, 64, 64, dtype=torch.float64)
    for model in (stock, own):
        model.train()
        torch.manual_seed(1)
        sum(out.square().sum() for out in model(x)).backward()
    expected = dict(stock.named_parameters())
    for name, param in own.named_parameters():
        torch.testing.assert_close(
            param.grad, expected[name].grad, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: n + m
        )
    for name, buffer in own.named_buffers():
        torch.testing.assert_close(buffer, stock.get_buffer(name), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('size', [(64, 64), (70, 52), (33, 97)])
def test_outputs_equal_timm(scramble, size):
    theirs = timm.create_model(
        'tiny_vit_5m_224', window_sizes=WINDOWS, depths=(1, 1, 1, 1), num_classes=0
    )
    scramble(theirs).eval()
    arch = RealMTinyViT.arch_settings['5m'] | dict(depths=[1, 1, 1, 1])
    own = small(arch=arch, window_size=WINDOWS, gap_before_final_norm=True).eval()
    own.load_state_dict(convert_state_dict(theirs.state_dict(), prefix=''), strict=True)
    x = torch.rand(2, 3, *size)
    torch.testing.assert_close(own(x)[-1], theirs(x), rtol=1e-4, atol=1e-4)


def test_feature_size_of_the_published_model():
    with torch.device('meta'):
        model = RealMTinyViT(arch='21m', img_size=384, gap_before_final_norm=False).eval()
        assert model(torch.empty(1, 3, 384, 384))[0].shape == (1, 576, 12, 12)


@pytest.mark.parametrize(
    ('img_size', 'total'), [(224, 20_629_632), (384, 20_661_552), (512, 20_699_184)]
)
def test_published_number_of_parameters(img_size, total):
    with torch.device('meta'):
        model = ImageClassifier(
            backbone=dict(
                type='RealMTinyViT', arch='21m', img_size=img_size, gap_before_final_norm=False
            ),
            head=dict(
                type='ResidualAttentionHead', num_classes=7, in_channels=576, lam=0.1, num_heads=2
            ),
        )
    assert sum(p.numel() for p in model.parameters()) == total


@pytest.mark.parametrize(
    ('img_size', 'windows'),
    [(224, [7, 7, 14, 7]), ((384, 384), [12, 12, 24, 12]), (512, [16, 16, 32, 16])],
)
def test_default_windows(img_size, windows):
    assert default_windows(img_size) == windows


# --- freezing


@pytest.mark.parametrize(
    ('stages', 'frozen'), [(0, 0), (1, 216_000), (2, 1_338_624), (3, 12_613_824), (4, 20_609_280)]
)
def test_published_number_of_frozen_parameters(stages, frozen):
    with torch.device('meta'):
        model = RealMTinyViT(arch='21m', img_size=384, frozen_stages=stages)
    count = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    assert count == frozen
    assert all(p.requires_grad for p in model.patch_embed.parameters())


def test_what_is_frozen_does_not_move():
    model = small(frozen_stages=2, freeze_stem=True, drop_path_rate=0.3)
    assert model.train() is model
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=0.1)
    model(torch.rand(2, 3, 64, 64))[0].square().sum().backward()
    optimizer.step()
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert {k.split('.')[0] for k in before if k not in moved} >= {'patch_embed', 'stages'}
    assert not any(k.startswith(('patch_embed', 'stages.0', 'stages.1')) for k in moved)
    assert any(k.startswith('stages.2') and k.endswith('running_mean') for k in moved)
    assert model.stages[2].training and not model.stages[1].training


# --- loading


def test_constant_bias_table_stays_constant():
    table = torch.tensor([[0.25], [-3.0]]).expand(2, 144)
    torch.testing.assert_close(resize_bias_table(table, 16), table[:, :1].expand(2, 256))


def test_bias_table_keeps_its_axes():
    """A table that grows with the vertical offset alone still does, over the same range."""
    table = torch.arange(12.0)[:, None].expand(12, 12).reshape(1, 144)
    resized = resize_bias_table(table, 16).view(16, 16)
    torch.testing.assert_close(resized, resized[:, :1].expand(16, 16))
    middle = (torch.arange(16.0) + 0.5) * 12 / 16 - 0.5
    torch.testing.assert_close(resized[3:-3, 0], middle[3:-3], rtol=0, atol=0.05)


@pytest.mark.parametrize('load', ['torch', 'mmengine'])
def test_checkpoint_of_smaller_windows_starts_a_classifier(monkeypatch, scramble, load):
    lines = []
    monkeypatch.setattr(tinyvit_module, 'print_log', lambda message, **_: lines.append(message))
    old, new = scramble(classifier()), classifier(window_size=[3, 3, 6, 3])
    state = old.state_dict()
    key = 'backbone.stages.2.blocks.1.attn.attention_biases'
    state['backbone.stages.2.blocks.1.attn.attention_bias_idxs'] = torch.zeros(16, 16).long()
    state[key] = torch.full_like(state[key], 0.5)
    given = {k: v.clone() for k, v in state.items()}
    if load == 'torch':
        new.load_state_dict(state, strict=True)
    else:
        load_state_dict(new, state, strict=True)
    assert len(lines) == 1 and '2 -> 3, 4 -> 6' in lines[0]
    torch.testing.assert_close(new.state_dict()[key], torch.full((3, 36), 0.5))
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in given.items()}

    lines.clear()
    new.load_state_dict(new.state_dict(), strict=True)
    assert not lines


def test_other_bias_tables_are_refused():
    model = small()
    state = model.state_dict()
    key = 'stages.1.blocks.0.attn.attention_biases'
    for wrong in (torch.zeros(5, 4), torch.zeros(2, 5)):
        with pytest.raises(RuntimeError, match='size mismatch'):
            model.load_state_dict(state | {key: wrong})


def test_no_position_bias_goes_stale(scramble):
    x = torch.rand(1, 3, 64, 64)
    model, other = small().eval(), scramble(small()).eval()
    model(x)
    model.load_state_dict(other.state_dict())
    torch.testing.assert_close(model(x)[0], other(x)[0], rtol=0, atol=0)

    expected = other.double()(x.double())[0]
    assert expected.dtype == torch.float64
    for dtype, atol in ((torch.bfloat16, 0.3), (torch.float16, 0.05)):
        cast = copy.deepcopy(model).to(dtype)
        got = cast(x.to(dtype))[0]
        assert got.dtype == dtype
        torch.testing.assert_close(got.double(), expected, rtol=0, atol=atol)

    with torch.no_grad():
        for param in other.parameters():
            param.mul_(2)  # as an optimiser or a moving average does, in place
    assert not torch.allclose(other(x.double())[0], expected)


# --- ways to run


def test_runs_under_autocast(scramble):
    model = scramble(small()).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.autocast('cpu', torch.bfloat16):
        got = model(x)[0]
    torch.testing.assert_close(got.float(), model(x)[0], rtol=0, atol=0.3)


def test_channels_last_is_the_same(scramble):
    model = scramble(small()).eval()
    x = torch.rand(2, 3, 64, 64)
    expected = model(x)[0]
    model.to(memory_format=torch.channels_last)
    got = model(x.to(memory_format=torch.channels_last))[0]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_exports(scramble):
    model = scramble(small()).eval()
    x = torch.rand(2, 3, 64, 64)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim('n')},))
    x = torch.rand(3, 3, 64, 64)
    torch.testing.assert_close(exported.module()(x)[0], model(x)[0])


def test_recomputation_changes_nothing(scramble):
    models = [scramble(small(drop_path_rate=0.5)), small(drop_path_rate=0.5, use_checkpoint=True)]
    models[1].load_state_dict(models[0].state_dict())
    x = torch.rand(3, 3, 64, 64)
    for model in models:
        model.double().train()
        torch.manual_seed(1)
        model(x.double())[0].square().sum().backward()
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)
    for name, buffer in models[0].named_buffers():
        if 'num_batches' not in name:
            torch.testing.assert_close(buffer, models[1].get_buffer(name), msg=name)
    assert models[1].stages[0].blocks[0].conv1.bn2d.momentum == 0.1


# --- layer depth


def test_layer_depth_rises_with_the_forward_pass():
    model = RealMTinyViT(arch=SMALL, img_size=64)
    depths = [model.get_layer_depth(name) for name, _ in model.named_parameters()]
    assert {total for _, total in depths} == {7}
    layers = [layer for layer, _ in depths]
    assert layers == sorted(layers)
    assert set(layers) == set(range(7))
    assert model.get_layer_depth('stages.0.downsample.conv1.conv2d.weight')[0] == 2
    assert model.get_layer_depth('stages.1.blocks.0.mlp.fc1.bias')[0] == 2
    assert model.get_layer_depth('head.fc.weight', 'backbone.') == (6, 7)


def test_layer_decay_of_a_classifier():
    constructor = LearningRateDecayOptimWrapperConstructor(
        optim_wrapper_cfg=dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05)),
        paramwise_cfg=dict(layer_decay_rate=0.5),
    )
    groups = constructor(classifier()).optimizer.param_groups
    rates = {group['param_name']: group['lr'] for group in groups}
    assert rates['backbone.patch_embed.seq.0.conv2d.weight'] == 0.5**6
    assert rates['backbone.stages.0.blocks.0.conv1.conv2d.weight'] == 0.5**5
    assert rates['backbone.norm3.weight'] == 1
    assert rates['head.csra_heads.0.head.weight'] == 1


# --- arguments


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(arch='1m'), "'1m'"),
        (dict(arch=dict(channels=[8])), 'num_heads'),
        (dict(arch=SMALL | dict(depths=[1, 1])), 'one value a stage'),
        (dict(arch=SMALL | dict(num_heads=[1, 5, 3, 4])), 'divisible'),
        (dict(img_size=100), 'pass window_size'),
        (dict(img_size=(64, 96)), 'square'),
        (dict(window_size=[2, 2]), '4 positive numbers'),
        (dict(window_size=[2, 2, 0, 2]), '4 positive numbers'),
        (dict(out_indices=4), '-4..3'),
        (dict(out_indices=[]), '-4..3'),
        (dict(frozen_stages=5), '0..4'),
        (dict(frozen_stages=-1), '0..4'),
        (dict(local_conv_size=2), 'odd'),
        (dict(drop_path_rate=1.0), r'\[0, 1\)'),
    ],
)
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        small(**kwargs)


def test_out_indices_are_left_as_they_were():
    wanted = [-1, 0]
    model = small(out_indices=wanted)
    assert wanted == [-1, 0]
    shapes = [out.shape[1:] for out in model.eval()(torch.rand(1, 3, 64, 64))]
    assert shapes == [(32, 8, 8), (64, 2, 2)]
    assert isinstance(model.norm0, nn.LayerNorm)
