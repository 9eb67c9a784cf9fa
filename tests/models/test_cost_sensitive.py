"""CostSensitiveLoss against mmpretrain's losses, PyTorch's BCE and the written formula."""

import math

import pytest
import torch
from mmpretrain.models.losses import AsymmetricLoss, FocalLoss
from mmpretrain.registry import MODELS
from torch.nn import functional as F

from realmnet.models.losses import CostSensitiveLoss, cost_sensitive_loss

GAMMAS = [(0.0, 0.0), (3.0, 4.0), (1.0, 2.0), (0.5, 0.25)]


def logits(scale: float = 3.0) -> torch.Tensor:
    return (scale * torch.randn(6, 7, dtype=torch.float64)).requires_grad_()


def labels(kind: str) -> torch.Tensor:
    values = torch.rand(6, 7, dtype=torch.float64)
    return values.round() if kind == 'hard' else values


def assert_same(one, two, pred, target, **kwargs):
    """Assert equal values and gradients; where the second's gradient is NaN, the first's is 0.

    mmpretrain's gradient is NaN below the margin if a gamma is between 0 and 1.
    """
    results = []
    for loss in (one, two):
        value = loss(pred, target, **kwargs)
        (grad,) = torch.autograd.grad(value.sum(), pred)
        results.append((value, grad))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1].nan_to_num())


@pytest.mark.parametrize('gammas', GAMMAS)
@pytest.mark.parametrize('margin', [0.0, 0.05, 0.2])
@pytest.mark.parametrize(
    ('kind', 'soft_target'), [('hard', 'mmpretrain'), ('hard', 'asl'), ('soft', 'mmpretrain')]
)
def test_equals_asymmetric_loss(gammas, margin, kind, soft_target):
    own = CostSensitiveLoss(*gammas, margin=margin, soft_target=soft_target)
    assert_same(own, AsymmetricLoss(*gammas, clip=margin), logits(), labels(kind), avg_factor=6)


@pytest.mark.parametrize('soft_target', ['mmpretrain', 'asl'])
@pytest.mark.parametrize(('gamma', 'alpha'), [(2.0, 0.25), (0.0, 0.9), (1.5, 0.5)])
def test_equals_focal_loss(gamma, alpha, soft_target):
    own = CostSensitiveLoss(gamma, gamma, alpha=alpha, soft_target=soft_target)
    assert_same(own, FocalLoss(gamma, alpha), logits(), labels('hard'), avg_factor=6)


@pytest.mark.parametrize(('kind', 'soft_target'), [('hard', 'mmpretrain'), ('soft', 'asl')])
def test_equals_bce(kind, soft_target):
    own = CostSensitiveLoss(soft_target=soft_target, reduction='none')
    bce = torch.nn.BCEWithLogitsLoss(reduction='none')
    assert_same(own, bce, logits(), labels(kind))


@pytest.mark.parametrize('margin', [0.0, 0.1])
def test_asl_is_the_convex_combination(margin):
    """Worked out with Python's floats, element by element."""
    pred, target = logits(), labels('soft')
    got = cost_sensitive_loss(pred, target, 3, 4, margin, alpha=0.3, soft_target='asl')
    for x, t, value in zip(*(v.flatten().tolist() for v in (pred, target, got)), strict=True):
        p = 1 / (1 + math.exp(-x))
        p_m = max(p - margin, 0)
        positive = 0.3 * (1 - p) ** 3 * -math.log(p)
        negative = 0.7 * p_m**4 * -math.log(1 - p_m)
        assert value == pytest.approx(t * positive + (1 - t) * negative, rel=1e-9)


def test_targets_of_a_half():
    pred, target = logits(), torch.full((6, 7), 0.5, dtype=torch.float64)
    for soft_target, flat in (('mmpretrain', True), ('asl', False)):
        loss = cost_sensitive_loss(pred, target, 3, 4, soft_target=soft_target).sum()
        (grad,) = torch.autograd.grad(loss, pred)
        assert torch.allclose(grad, torch.zeros_like(grad)) is flat


@pytest.mark.parametrize('gammas', GAMMAS)
@pytest.mark.parametrize('soft_target', ['mmpretrain', 'asl'])
def test_gradients_are_right(gammas, soft_target):
    pred, target = logits(1.0), labels('soft')

    def loss(x):
        return cost_sensitive_loss(x, target, *gammas, margin=0.01, soft_target=soft_target)

    assert torch.autograd.gradcheck(loss, pred)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('gammas', GAMMAS)
@pytest.mark.parametrize('margin', [0.0, 0.05])
@pytest.mark.parametrize('soft_target', ['mmpretrain', 'asl'])
def test_extreme_logits(dtype, gammas, margin, soft_target):
    values = torch.tensor([-1e4, -100.0, -30.0, -17.0, 0.0, 17.0, 30.0, 100.0, 1e4], dtype=dtype)
    for target in (0.0, 0.3, 1.0):
        pred = values.clone().requires_grad_()
        loss = cost_sensitive_loss(
            pred, torch.full_like(pred, target), *gammas, margin, soft_target=soft_target
        )
        assert loss.dtype == torch.float32
        loss.sum().backward()
        assert loss.isfinite().all() and pred.grad.isfinite().all()


def test_asl_keeps_a_gradient_where_mmpretrain_s_vanishes():
    for soft_target, expected in (('mmpretrain', 0.0), ('asl', -1.0)):
        pred = torch.tensor([[-50.0]], requires_grad=True)
        cost_sensitive_loss(pred, torch.ones(1, 1), soft_target=soft_target).sum().backward()
        assert pred.grad.item() == pytest.approx(expected)


def test_full_precision_inside_autocast():
    pred, target = torch.randn(4, 7), torch.rand(4, 7)
    loss = CostSensitiveLoss(3.0, 4.0)
    with torch.autocast('cpu', torch.bfloat16):
        got = loss(pred.bfloat16(), target)
    expected = loss(pred.bfloat16().float(), target)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    assert got.dtype == torch.float32


def test_reductions():
    pred, target, weight = torch.randn(4, 7), torch.rand(4, 7), torch.rand(4)
    each = cost_sensitive_loss(pred, target, 3, 4)
    loss = MODELS.build(dict(type='CostSensitiveLoss', gamma_pos=3, gamma_neg=4, loss_weight=2.0))
    torch.testing.assert_close(loss(pred, target), 2 * each.mean())
    torch.testing.assert_close(loss(pred, target, avg_factor=4), 2 * each.sum(1).mean())
    torch.testing.assert_close(loss(pred, target, reduction_override='sum'), 2 * each.sum())
    torch.testing.assert_close(
        loss(pred, target, weight, reduction_override='none'), 2 * each * weight[:, None]
    )


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(gamma_pos=-1), 'gammas'),
        (dict(margin=1.0), 'margin'),
        (dict(alpha=1.1), 'alpha'),
        (dict(soft_target='linear'), "'linear'"),
        (dict(reduction='max'), "'max'"),
        (dict(eps=0), 'eps'),
    ],
)
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        CostSensitiveLoss(**kwargs)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r'\(2, 3\)'):
        cost_sensitive_loss(torch.zeros(2, 3), F.one_hot(torch.tensor([0, 1])))
