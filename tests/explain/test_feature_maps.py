"""Maps of features are found in networks of any family, or named."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import nn

import realmnet.plugin  # noqa: F401
from realmnet.errors import InputError
from realmnet.explain import feature_maps
from realmnet.explain.feature_maps import find_layers, layers_at, map_layout

PICTURE = torch.zeros(1, 3, 64, 64)  # what is in it must not matter
VIT = dict(type='VisionTransformer', img_size=64, arch='deit-tiny')


def classifier(backbone) -> nn.Module:
    init_default_scope('mmpretrain')
    model = nn.Module()
    model.backbone = MODELS.build(dict(backbone)) if isinstance(backbone, dict) else backbone
    return model.eval()


def names_at(model, **options):
    names = {layer: name for name, layer in model.named_modules()}
    return {
        stride: names[layer] for stride, layer in layers_at(model, PICTURE, **options)[0].items()
    }


@pytest.mark.parametrize(
    ('backbone', 'expected'),
    [
        (dict(type='ResNet', depth=18), {4: 'backbone.layer1', 32: 'backbone.layer4'}),
        (dict(type='MobileNetV3'), {4: 'backbone.layer1', 32: 'backbone.layer12'}),
        (
            dict(type='TimmFeatures', model_name='resnet10t'),
            {4: 'backbone.timm_model.layer1', 32: 'backbone.timm_model.layer4'},
        ),
        (
            dict(type='TimmFeatures', model_name='vit_tiny_patch16_224', img_size=64, depth=2),
            {16: 'backbone.timm_model.blocks.1.norm1'},
        ),
        (
            dict(
                type='TimmFeatures',
                model_name='swin_tiny_patch4_window7_224',
                img_size=64,
                window_size=2,
                embed_dim=12,
                depths=[1] * 4,
            ),
            {4: 'backbone.timm_model.layers.0', 32: 'backbone.timm_model.norm'},
        ),
    ],
    ids=lambda value: value.get('model_name', value.get('type')),
)
def test_layers_are_found_by_themselves(backbone, expected):
    assert names_at(classifier(backbone)) == expected


def test_the_general_way_finds_what_was_written_down_for_a_transformer(monkeypatch):
    model = classifier(VIT)
    known = names_at(model)
    monkeypatch.setattr(feature_maps, 'candidate_layers', lambda backbone: [])
    assert names_at(model) == known == {16: 'backbone.layers.11.ln1'}


def test_a_search_leaves_the_model_as_it_was():
    model = classifier(dict(type='ResNet', depth=18))
    model.backbone.layer1.training = True
    before = {name: value.clone() for name, value in model.state_dict().items()}
    find_layers(model.backbone, PICTURE, map_layout((64, 64)))
    assert model.backbone.layer1.training and not model.backbone.layer2.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_tokens_of_patches_of_another_side():
    assert map_layout((70, 70), 1)(torch.zeros(1, 26, 8)).shape == (1, 8, 5, 5)  # 14 px


def test_layers_are_named():
    model = classifier(dict(type='ResNet', depth=18))
    assert names_at(model, names=['backbone.layer2']) == {8: 'backbone.layer2'}
    with pytest.raises(InputError, match=r"no layer 'backbone\.layer5'; did you mean back"):
        layers_at(model, PICTURE, names=['backbone.layer5'])
    model.backbone.pool = nn.AdaptiveAvgPool2d(1)
    with pytest.raises(InputError, match='has no feature map of stride 16'):
        layers_at(model, PICTURE, [16], ['backbone.layer2'])


def test_a_network_without_maps_says_how_to_name_one():
    rows = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 8))
    with pytest.raises(
        InputError, match=r'Sequential: no map of features .* explain=dict\(layers='
    ):
        layers_at(classifier(rows), PICTURE)
    with pytest.raises(InputError, match=r'backbone\.0: no map of features'):
        layers_at(classifier(rows), PICTURE, names=['backbone.0'])
