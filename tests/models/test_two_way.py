"""TwoWayLoss against the formula in NumPy and SciPy."""

import numpy as np
import pytest
import torch
from mmpretrain.models.heads import MultiLabelClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from scipy.special import logsumexp

from realmnet.models.losses import TwoWayLoss, two_way_loss


def oracle(pred, target, temperature_pos, temperature_neg, mode, reduction):
    """Slice by slice, summing over the positives and over the negatives only."""

    def slices(matrix_pairs):
        losses = []
        for x, t in matrix_pairs:
            positive, negative = t > 0, t < 1
            if not positive.any():
                continue
            if not negative.any():
                losses.append(0.0)
                continue
            hard_pos = logsumexp(-x[positive] / temperature_pos, b=t[positive])
            hard_neg = logsumexp(x[negative] / temperature_neg, b=1 - t[negative])
            losses.append(np.logaddexp(0, temperature_pos * hard_pos + temperature_neg * hard_neg))
        return getattr(np, reduction)(losses)

    total = 0.0
    if mode in ('sample', 'both'):
        total += slices(zip(pred, target, strict=True))
    if mode in ('class', 'both'):
        total += slices(zip(pred.T, target.T, strict=True))
    return total


@pytest.mark.parametrize('mode', ['sample', 'class', 'both'])
@pytest.mark.parametrize('reduction', ['mean', 'sum'])
@pytest.mark.parametrize('kind', ['hard', 'soft', 'mixed'])
@pytest.mark.parametrize('temperatures', [(4.0, 1.0), (0.5, 2.0)])
def test_equals_the_formula(mode, reduction, kind, temperatures):
    rng = np.random.default_rng(0)
    pred, target = 3 * rng.normal(size=(5, 4)), rng.random((5, 4))
    if kind == 'hard':
        target = target.round()
    elif kind == 'mixed':
        target[target < 0.4] = 0
        target[target > 0.7] = 1
    target[2] = 0  # a sample without a positive
    target[3] = 1  # and one without a negative
    if kind != 'soft':
        target[:, 1] = 0
        target[3, 1] = 0
    got = two_way_loss(
        torch.from_numpy(pred), torch.from_numpy(target), *temperatures, mode, reduction
    )
    assert got.item() == pytest.approx(oracle(pred, target, *temperatures, mode, reduction))


@pytest.mark.filterwarnings('ignore:Anomaly Detection')
@pytest.mark.parametrize('target', [torch.zeros(3, 4), torch.ones(3, 4), torch.eye(3, 4)])
@pytest.mark.parametrize('mode', ['sample', 'class', 'both'])
def test_one_sided_targets_have_finite_gradients(target, mode):
    pred = torch.randn(3, 4, requires_grad=True)
    with torch.autograd.detect_anomaly():
        loss = two_way_loss(pred, target, mode=mode)
        loss.backward()
    assert loss.isfinite() and pred.grad.isfinite().all()
    two_sided = bool((target.sum() > 0) and (target.sum() < 12))
    assert bool(loss > 0) is two_sided
    assert bool(pred.grad.any()) is two_sided
    if two_sided and mode == 'class':  # the last class has no positive
        assert not pred.grad[:, 3].any()


def test_gradients_are_right():
    pred = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[1, 0, 0.3, 0], [0, 0, 0, 0], [1, 1, 1, 1.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: two_way_loss(x, target), pred)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_extreme_logits(dtype):
    pred = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype, requires_grad=True)
    loss = two_way_loss(pred, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(4e4, rel=1e-2)
    assert pred.grad.isfinite().all() and pred.grad.any()


def test_order_decides():
    """Positives above negatives cost little, the reverse costs their distance."""
    target = torch.tensor([[1.0, 0.0]])
    good = two_way_loss(torch.tensor([[20.0, -20.0]]), target, mode='sample')
    bad = two_way_loss(torch.tensor([[-20.0, 20.0]]), target, mode='sample')
    assert good.item() == pytest.approx(0, abs=1e-6)
    assert bad.item() == pytest.approx(40)


def test_serves_a_head():
    cfg = dict(type='TwoWayLoss', temperature_pos=2.0, mode='sample', loss_weight=3.0)
    loss = MODELS.build(cfg)
    assert isinstance(loss, TwoWayLoss)
    pred = torch.randn(2, 3)
    target = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    samples = [DataSample().set_gt_score(row) for row in target]
    got = MultiLabelClsHead(loss=loss).loss((pred,), samples)['loss']
    expected = oracle(pred.double().numpy(), target.double().numpy(), 2.0, 1.0, 'sample', 'mean')
    assert got.item() == pytest.approx(3 * expected, rel=1e-5)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(temperature_pos=0), 'temperatures'),
        (dict(mode='rows'), "'rows'"),
        (dict(reduction='none'), "'none'"),
    ],
)
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        TwoWayLoss(**kwargs)


def test_inputs_must_be_matrices_of_one_shape():
    for pred, target in ((torch.zeros(3), torch.zeros(3)), (torch.zeros(2, 3), torch.zeros(2, 2))):
        with pytest.raises(ValueError, match=r'\(N, C\)'):
            two_way_loss(pred, target)
