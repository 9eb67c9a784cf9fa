"""Heads and backbones that do not fit are refused before a training, with both numbers."""

import pytest
import torch
from mmpretrain.models import ImageClassifier

import realmnet.plugin  # noqa: F401
from realmnet.errors import InputError
from realmnet.models.fit import check_fit

RESNET = dict(type='ResNet', depth=18)
POOLING = dict(type='GlobalAveragePooling')


def linear(channels):
    return dict(type='MultiLabelLinearClsHead', num_classes=3, in_channels=channels)


def attention(channels):
    return dict(
        type='ResidualAttentionHead', num_classes=3, in_channels=channels, num_heads=2, lam=0.1
    )


def vit(**options):
    return dict(type='VisionTransformer', arch='deit-tiny', img_size=64, **options)


@pytest.mark.parametrize(
    'parts',
    [
        dict(backbone=RESNET, neck=POOLING, head=linear(512)),
        dict(backbone=RESNET, head=attention(512)),
        dict(backbone=vit(), head=linear(192)),
        dict(backbone=vit(out_type='featmap'), head=attention(192)),
        dict(backbone=dict(type='TimmFeatures', model_name='resnet10t'), head=linear(512)),
    ],
)
def test_parts_that_fit(parts):
    check_fit(ImageClassifier(**parts), 64)


@pytest.mark.parametrize(
    ('parts', 'sentence'),
    [
        (
            dict(backbone=RESNET, neck=POOLING, head=linear(384)),
            r'model\.head\.in_channels is 384, but the backbone ResNet and the neck '
            r'GlobalAveragePooling give 512 channels .* set model\.head\.in_channels=512',
        ),
        (dict(backbone=RESNET, head=attention(24)), r'is 24, but the backbone ResNet gives 512'),
        (
            dict(backbone=vit(), head=linear(384)),
            'is 384, but the backbone Vision.*192',
        ),
        (
            dict(backbone=RESNET, head=linear(512)),
            r"ResNet gives \(512, 2, 2\); add neck=dict\(type='GlobalAveragePooling'\) to model",
        ),
        (dict(backbone=vit(), head=attention(192)), r'takes a map .* 192 features without places'),
        (dict(backbone=RESNET, neck=POOLING, head=attention(512)), 'take the neck out'),
    ],
)
def test_parts_that_do_not_fit(parts, sentence):
    with pytest.raises(InputError, match=sentence):
        check_fit(ImageClassifier(**parts), 64)


def test_a_network_that_shapes_cannot_tell_is_tried_with_a_picture(monkeypatch):
    model = ImageClassifier(backbone=RESNET, head=linear(512))

    def only_real(x, forward=model.backbone.forward):
        float(x.sum())  # fails on the meta device
        return forward(x)

    monkeypatch.setattr(model.backbone, 'forward', only_real)
    with pytest.raises(InputError, match='add neck='):
        check_fit(model, 64)


def test_the_model_stays_as_it_is():
    model = ImageClassifier(RESNET, neck=POOLING, head=linear(512)).train()
    model.backbone.layer1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    check_fit(model, 64)
    assert model.training and not model.backbone.layer1.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.head._forward_pre_hooks
    check_fit(torch.nn.Linear(2, 2), 64)  # neither backbone nor head: passed by
