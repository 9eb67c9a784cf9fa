"""ResidualAttentionHead against mmpretrain's CSRAClsHead and the formula of the paper."""

import math

import pytest
import torch
from mmpretrain.models.heads import CSRAClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from realmnet.models import ResidualAttentionHead


@pytest.mark.parametrize('num_heads', [1, 2, 4, 6, 8])
@pytest.mark.parametrize('lam', [0.1, 1.5])
def test_values_and_gradients_equal_mmpretrain(num_heads, lam):
    loss = dict(type='AsymmetricLoss', gamma_pos=3.0, gamma_neg=4.0, clip=0.0)
    shape = dict(num_classes=5, in_channels=12, num_heads=num_heads, lam=lam, loss=loss)
    stock, own = CSRAClsHead(**shape).double(), ResidualAttentionHead(**shape).double()
    own.load_state_dict(stock.state_dict(), strict=True)
    stock.load_state_dict(own.state_dict(), strict=True)
    feats = [torch.randn(3, 12, 4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    feats[1].data.copy_(feats[0].data)
    samples = [DataSample().set_gt_score(torch.rand(5)) for _ in range(3)]
    losses = [m.loss((f,), samples)['loss'] for m, f in zip((stock, own), feats, strict=True)]
    torch.testing.assert_close(losses[1], losses[0])
    for one in losses:
        one.backward()
    torch.testing.assert_close(feats[1].grad, feats[0].grad)
    for expected, got in zip(stock.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad)


def test_logits_are_the_paper_s_residual_features():
    """``sum_h c_i . (mean_p x_p + lam * sum_p softmax(T_h s)_p x_p)`` with unit-norm ``c_i``."""
    head = ResidualAttentionHead(4, 10, lam=0.7, temperatures=[0.5, 3.0, 99]).double()
    x = torch.randn(2, 10, 3, 5, dtype=torch.float64)
    tokens = x.flatten(2)
    expected = torch.zeros(2, 4, dtype=torch.float64)
    for n in range(2):
        for i in range(4):
            for temperature, branch in zip([0.5, 3.0, None], head.csra_heads, strict=True):
                c = branch['head'].weight[i].flatten()
                c = c / c.square().sum().sqrt()
                s = c @ tokens[n]
                attention = (
                    (s == s.max()).double()
                    if temperature is None
                    else torch.softmax(temperature * s, 0)
                )
                expected[n, i] += c @ (tokens[n].mean(1) + 0.7 * tokens[n] @ attention)
    torch.testing.assert_close(head((x,)), expected)


def test_infinite_temperature_is_max_pooling_and_others_approach_it():
    x = torch.randn(2, 8, 3, 3)
    heads = [
        ResidualAttentionHead(3, 8, lam=1.0, temperatures=[t]) for t in (99, math.inf, 1e4, 1.0)
    ]
    for head in heads[1:]:
        head.load_state_dict(heads[0].state_dict())
    reference, infinite, large, small = (head((x,)) for head in heads)
    torch.testing.assert_close(infinite, reference, rtol=0, atol=0)
    torch.testing.assert_close(large, reference)
    assert (small < reference).all()


def test_without_attention_it_is_average_pooling():
    head = ResidualAttentionHead(3, 8, lam=0.0, num_heads=2)
    x = torch.randn(2, 8, 3, 3)
    expected = sum(
        F.linear(x.mean((2, 3)), F.normalize(b['head'].weight.flatten(1))) for b in head.csra_heads
    )
    torch.testing.assert_close(head((x,)), expected)


def test_score_maps():
    head = ResidualAttentionHead(3, 8, lam=0.2, num_heads=2)
    x = torch.randn(2, 8, 4, 5)
    maps = head.score_maps((None, x))
    assert maps.shape == (2, 2, 3, 4, 5)
    weight = head.csra_heads[1]['head'].weight[2].flatten()
    torch.testing.assert_close(maps[0, 1, 2, 3, 4], weight @ x[0, :, 3, 4] / weight.norm())
    flat = maps.flatten(3)
    first = flat[:, 0].mean(-1) + 0.2 * (flat[:, 0].softmax(-1) * flat[:, 0]).sum(-1)
    second = flat[:, 1].mean(-1) + 0.2 * flat[:, 1].amax(-1)
    torch.testing.assert_close(head((x,)), first + second)


def test_full_precision_inside_autocast():
    head = ResidualAttentionHead(3, 64, lam=0.2, num_heads=4)
    x = torch.randn(2, 64, 4, 4)
    with torch.autocast('cpu', torch.bfloat16):
        got = head((x,))
        maps = head.score_maps((x.bfloat16(),))
    assert got.dtype == maps.dtype == torch.float32
    torch.testing.assert_close(got, head((x,)), rtol=0, atol=0)
    assert head.bfloat16()((x.bfloat16(),)).dtype == torch.float32


def test_zero_vector_scores_zero():
    head = ResidualAttentionHead(2, 8, lam=0.2, num_heads=2)
    torch.nn.init.zeros_(head.csra_heads[0]['head'].weight[1:])
    x = torch.randn(2, 8, 3, 3)
    assert not head.score_maps((x,))[:, 0, 1].any()
    head((x,)).sum().backward()
    assert all(p.grad.isfinite().all() for p in head.parameters())


def test_init_cfg_reaches_the_class_vectors():
    cfg = dict(type='Constant', layer='Conv2d', val=0.5)
    head = ResidualAttentionHead(2, 8, lam=0.2, num_heads=2, init_cfg=cfg)
    head.init_weights()
    assert all((p == 0.5).all() for p in head.parameters())


def test_registered_and_predicts():
    cfg = dict(
        type='ResidualAttentionHead', num_classes=3, in_channels=8, lam=0.1, num_heads=1, thr=0.4
    )
    head = MODELS.build(cfg)
    samples = head.predict((torch.randn(2, 8, 3, 3),))
    assert samples[0].pred_score.shape == (3,)
    expected = torch.where(samples[1].pred_score >= 0.4)[0]
    assert samples[1].pred_label.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(num_heads=3), 'num_heads must be one of'),
        (dict(num_heads=2, temperatures=[1, 99]), 'either'),
        (dict(), 'either'),
        (dict(temperatures=[]), 'positive'),
        (dict(temperatures=[1, 0]), 'positive'),
        (dict(num_heads=1, lam=-0.1), 'lam'),
        (dict(num_heads=1, num_classes=0), 'num_classes'),
    ],
)
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ResidualAttentionHead(**dict(num_classes=2, in_channels=8, lam=0.1) | kwargs)


def test_pooled_features_are_refused():
    head = ResidualAttentionHead(2, 8, lam=0.1, num_heads=1)
    for feats in (torch.randn(2, 8), torch.randn(2, 9, 3, 3)):
        with pytest.raises(ValueError, match='gap_before_final_norm=False'):
            head((feats,))
