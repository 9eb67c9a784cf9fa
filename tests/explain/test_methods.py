import mmpretrain.models  # noqa: F401
import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

import realmnet.plugin  # noqa: F401
from realmnet.errors import InputError
from realmnet.explain.feature_maps import layers_at
from realmnet.explain.methods import METHODS, Explainer, attention_map
from realmnet.models.heads.residual_attention_head import residual_attention

LINEAR = dict(type='MultiLabelLinearClsHead', num_classes=7)
# Name to (backbone, channels of the head, strides of the maps).
COUNTERPARTS = {
    'deit': (
        dict(type='DistilledVisionTransformer', arch='deit-t', img_size=64, out_type='avg_featmap'),
        192, {16},
    ),
    'deit-class-token': (
        dict(type='VisionTransformer', arch='deit-t', img_size=64), 192, {16},
    ),
    'convnext': (
        dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32])),
        32, {4, 32},
    ),
    'efficientnet': (dict(type='EfficientNet', arch='b0'), 1280, {4, 32}),
    'swin': (
        dict(
            type='SwinTransformer', img_size=64, window_size=2,
            arch=dict(embed_dims=16, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8]),
        ),
        128, {4, 32},
    ),
}  # fmt: skip


def classifier(backbone, head, neck=None):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(type='mmpretrain.ImageClassifier', backbone=backbone, neck=neck, head=head)
    )
    # Initial weights give the classes almost equal maps; those of the head decide.
    with torch.no_grad():
        for param in model.head.parameters():
            param.normal_(0, 0.5)
    return model.eval()


def counterpart(name):
    backbone, channels, _ = COUNTERPARTS[name]
    neck = None
    if name in ('efficientnet', 'swin'):
        neck = dict(type='GlobalAveragePooling')
    return classifier(backbone, dict(LINEAR, in_channels=channels), neck)


@pytest.fixture(scope='module')
def realmnet_model():
    backbone = dict(
        type='RealMTinyViT', arch='5m', img_size=64, window_size=[2, 2, 4, 2],
        gap_before_final_norm=False, frozen_stages=4, freeze_stem=True,
    )  # fmt: skip
    head = dict(type='ResidualAttentionHead', num_classes=7, in_channels=320, lam=0.7, num_heads=2)
    return classifier(backbone, head)


@pytest.fixture
def pictures():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('method', METHODS)
def test_maps_have_the_shape_and_range_and_differ_between_classes(realmnet_model, pictures, method):
    maps = Explainer(realmnet_model, method).maps(pictures, [0, 3, 6])
    assert maps.shape == (2, 3, 64, 64) and maps.dtype == np.float32
    assert maps.min() == 0 and maps.max() == pytest.approx(1, abs=1e-4)
    assert np.abs(maps[:, 0] - maps[:, 1]).mean() > 0.01
    assert np.abs(maps[0] - maps[1]).mean() > 0.01


@pytest.mark.parametrize('method', ['gradcam++', 'attention'])
def test_a_batch_gives_what_single_pictures_and_classes_give(realmnet_model, pictures, method):
    explainer = Explainer(realmnet_model, method)
    together = explainer.maps(pictures, [1, 5])
    for i in range(2):
        for j, c in enumerate((1, 5)):
            alone = explainer.maps(pictures[i : i + 1], [c])[0, 0]
            assert np.allclose(alone, together[i, j], atol=2e-3)


@pytest.mark.parametrize('name', COUNTERPARTS)
def test_the_counterparts(name, pictures):
    model = counterpart(name)
    layers, _ = layers_at(model, pictures[:1])
    assert set(layers) == COUNTERPARTS[name][2]
    maps = Explainer(model, 'gradcam++').maps(pictures, [0, 6])
    assert maps.shape == (2, 2, 64, 64)
    assert maps.max() > 0.99
    assert np.abs(maps[:, 0] - maps[:, 1]).mean() > 0.001
    with pytest.raises(InputError, match='ResidualAttentionHead'):
        Explainer(model, 'attention')


def test_tokens_are_put_where_their_patches_are():
    model = counterpart('deit')
    layers, to_map = layers_at(model, torch.zeros(1, 3, 64, 64))
    assert list(layers) == [16]
    tokens = torch.zeros(1, 2 + 16, 192)
    tokens[0, 2 + 4 * 1 + 3] = 1  # second row, fourth column
    assert to_map(tokens)[0, 0].nonzero().tolist() == [[1, 3]]


class TinyNet(nn.Module):
    """Two convolutions and a mean: small enough to write Grad-CAM++ down for."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4, padding=1), nn.ReLU())
        self.head = nn.Module()
        self.head.num_classes = 2
        self.mix = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x):
        return self.mix(self.backbone(x)).square().mean((2, 3))


def test_gradcam_plus_plus_is_the_published_formula(monkeypatch):
    torch.manual_seed(3)
    net, x = TinyNet().eval(), torch.rand(1, 3, 32, 32)
    monkeypatch.setattr(
        'realmnet.explain.feature_maps.candidate_layers', lambda backbone: [backbone[1]]
    )
    got = Explainer(net, 'gradcam++').maps(x, [1])[0, 0]

    activation = net.backbone(x).detach().requires_grad_()
    logit = net.mix(activation).square().mean((2, 3))[0, 1]
    (gradient,) = torch.autograd.grad(logit, activation)
    a, g = activation[0].detach().double(), gradient[0].double()
    # Equations 10 and 19 of Chattopadhay et al. with Y = exp(logit), channel by channel.
    heat = torch.zeros(a.shape[1:], dtype=torch.float64)
    for k in range(4):
        alpha = g[k] ** 2 / (2 * g[k] ** 2 + a[k].sum() * g[k] ** 3 + 1e-6)
        heat += (alpha * g[k].clamp(min=0)).sum() * a[k]
    heat = heat.clamp(min=0).numpy()
    heat = (heat - heat.min()) / (heat.max() - heat.min())
    # The centre of a cell of 4 pixels lies between its second and third.
    middle = got.reshape(8, 4, 8, 4)[:, 1:3, :, 1:3].mean((1, 3))
    assert np.corrcoef(middle.ravel(), heat.ravel())[0, 1] > 0.99
    assert got.std() > 0.05


def test_default_is_the_mean_of_two_strides(realmnet_model, pictures):
    layers, _ = layers_at(realmnet_model, pictures[:1], (4, 32))
    backbone = realmnet_model.backbone
    assert layers == {4: backbone.stages[0].blocks[-1], 32: backbone.norm3}
    alone = [Explainer(realmnet_model, 'gradcam', (s,)).maps(pictures, [2]) for s in (4, 32)]
    both = Explainer(realmnet_model, 'gradcam').maps(pictures, [2])
    # Enlarging lowers the coarse map's maximum a little before the two are added.
    assert np.corrcoef(both.ravel(), (alone[0] + alone[1]).ravel())[0, 1] > 0.99
    assert np.corrcoef(both.ravel(), alone[0].ravel())[0, 1] < 0.98


def test_attention_adds_up_to_the_logits():
    scores = torch.randn(2, 3, 5, 4, 6)
    temperatures = (1, 2, 99)
    maps = attention_map(scores, temperatures, 0.4)
    assert maps.shape == (2, 5, 4, 6)
    logits = residual_attention(scores.flatten(3), temperatures, 0.4)
    assert torch.allclose(maps.sum((2, 3)), logits, atol=1e-4)


@pytest.mark.parametrize('method', ['gradcam++', 'attention'])
def test_the_model_is_left_as_it_was(realmnet_model, pictures, method):
    model = realmnet_model.train()
    before = {name: module.training for name, module in model.named_modules()}
    wanted = [p.requires_grad for p in model.parameters()]
    marker = torch.ones_like(model.head.csra_heads[0]['head'].weight)
    model.head.csra_heads[0]['head'].weight.grad = marker
    Explainer(model, method).maps(pictures, [1])
    assert before == {name: module.training for name, module in model.named_modules()}
    assert [p.requires_grad for p in model.parameters()] == wanted
    assert model.head.csra_heads[0]['head'].weight.grad is marker
    assert not any(m._forward_hooks for m in model.modules())
    model.eval()
    model.zero_grad()


def test_eight_views_of_a_mirrored_picture_are_the_mirrored_map(realmnet_model, pictures):
    explainer = Explainer(realmnet_model, 'attention')
    assert explainer.views == 8
    maps = explainer.maps(pictures, [4])
    mirrored = explainer.maps(pictures.flip(-1), [4])
    assert np.allclose(maps, mirrored[..., ::-1], atol=1e-3)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(method='cam'), 'gradcam'),
        (dict(method='attention', strides=(32,)), 'leave the strides out'),
        (dict(strides=(5,)), r'\[4, 8, 16, 32\]'),
        (dict(views=3), '1 or 8'),
    ],
)
def test_mistakes_name_the_choice(realmnet_model, pictures, arguments, message):
    with pytest.raises(InputError, match=message):
        Explainer(realmnet_model, **arguments).maps(pictures, [0])
    with pytest.raises(InputError, match=r'0\.\.6'):
        Explainer(realmnet_model).maps(pictures, [7])


def test_the_library_is_used_as_it_is(realmnet_model, pictures):
    model = realmnet_model
    cam = GradCAMPlusPlus(model, [model.backbone.stages[1].blocks[-1]])
    theirs = cam(pictures.clone().requires_grad_(), [ClassifierOutputTarget(2)] * 2)
    cam.activations_and_grads.release()
    ours = Explainer(model, strides=(8,)).maps(pictures, [2])[:, 0]
    assert np.allclose(ours, theirs, atol=1e-4)
