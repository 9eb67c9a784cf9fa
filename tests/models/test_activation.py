"""Softmax within groups: the loss against torch's, and heads that follow their loss."""

import pytest
import torch
from mmpretrain.models import CrossEntropyLoss, LabelSmoothLoss, MultiLabelLinearClsHead
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from realmnet.models.activation import probabilities, softmax_groups_of
from realmnet.models.heads import GroupLinearHead, ResidualAttentionHead
from realmnet.models.losses import CostSensitiveLoss, GroupCrossEntropyLoss, TwoWayLoss


@pytest.fixture
def logits():
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3


def test_one_group_is_torchs_cross_entropy(logits):
    index = torch.tensor([0, 5, 2, 2, 1])
    loss = GroupCrossEntropyLoss()
    found = loss(logits, F.one_hot(index, 6).double(), avg_factor=5)
    assert found.item() == pytest.approx(F.cross_entropy(logits, index).item(), rel=1e-12)
    soft = torch.rand(5, 6, dtype=torch.float64).softmax(1)
    assert loss(logits, soft).item() == pytest.approx(F.cross_entropy(logits, soft).item())


def test_groups_and_free_classes_add_up(logits):
    target = torch.zeros(5, 6, dtype=torch.float64)
    first, second = torch.tensor([0, 1, 1, 0, 0]), torch.tensor([2, 0, 1, 1, 0])
    target[torch.arange(5), torch.tensor([4, 1])[first]] = 1
    target[torch.arange(5), torch.tensor([0, 2, 5])[second]] = 1
    target[:, 3] = torch.tensor([1, 0, 1, 0, 0])
    expected = (
        F.cross_entropy(logits[:, [4, 1]], first, reduction='none')
        + F.cross_entropy(logits[:, [0, 2, 5]], second, reduction='none')
        + F.binary_cross_entropy_with_logits(logits[:, 3], target[:, 3], reduction='none')
    )
    loss = GroupCrossEntropyLoss([[4, 1], [0, 2, 5]], reduction='none', loss_weight=2)
    assert torch.allclose(loss(logits, target), 2 * expected)
    weight = torch.tensor([1.0, 0, 0, 2, 0])
    found = loss(logits, target, weight, reduction_override='sum')
    assert found.item() == pytest.approx(2 * (expected[0] + 2 * expected[3]).item())


def test_gradients_and_a_picture_without_a_class_of_the_group(logits):
    loss = GroupCrossEntropyLoss([[0, 1, 2]])
    target = torch.rand(5, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits.requires_grad_())
    none = GroupCrossEntropyLoss()(logits, torch.zeros_like(logits))
    assert none.item() == 0


def test_probabilities_of_groups(logits):
    found = probabilities(logits, [[1, 4], [0, 2, 5]])
    assert torch.allclose(found[:, [1, 4]], logits[:, [1, 4]].softmax(1))
    assert torch.allclose(found[:, [0, 2, 5]].sum(1), torch.ones(5, dtype=torch.float64))
    assert torch.equal(found[:, 3], logits[:, 3].sigmoid())
    assert torch.equal(probabilities(logits), logits.sigmoid())


@pytest.mark.parametrize(
    ('loss', 'expected'),
    [
        (GroupCrossEntropyLoss(), ((0, 1, 2),)),
        (GroupCrossEntropyLoss([[2, 0]]), ((2, 0),)),
        (CrossEntropyLoss(use_soft=True), ((0, 1, 2),)),
        (LabelSmoothLoss(0.1, num_classes=3, mode='original'), ((0, 1, 2),)),
        (LabelSmoothLoss(0.1, num_classes=3, mode='multi_label'), ()),
        (CrossEntropyLoss(use_sigmoid=True), ()),
        (CostSensitiveLoss(), ()),
        (TwoWayLoss(), ()),
        (None, ()),
    ],
)
def test_which_classes_a_loss_makes_exclude_each_other(loss, expected):
    assert softmax_groups_of(loss, 3) == expected


@pytest.mark.parametrize('groups', [[[0]], [[0, 1], [1, 2]], [[0, 0]]])
def test_bad_groups(groups):
    with pytest.raises(ValueError, match='two classes or more, each in one group'):
        GroupCrossEntropyLoss(groups)


def test_a_group_outside_the_classes(logits):
    with pytest.raises(ValueError, match='outside 0 to 5'):
        GroupCrossEntropyLoss([[5, 6]])(logits, logits)


@pytest.mark.parametrize('options', [{}, {'thr': 0.4}, {'topk': 2}])
@pytest.mark.parametrize('kind', ['linear', 'attention'])
def test_heads_predict_what_their_loss_means(kind, options):
    loss = dict(type='GroupCrossEntropyLoss', groups=[[0, 1, 2]])
    if kind == 'linear':
        head = GroupLinearHead(num_classes=4, in_channels=8, loss=loss, **options)
        features = (torch.randn(3, 8),)
    else:
        head = ResidualAttentionHead(4, 8, 0.1, num_heads=1, loss=loss, **options)
        features = (torch.randn(3, 8, 2, 2),)
    samples = [DataSample().set_gt_score(torch.tensor([0.0, 1, 0, 1])) for _ in range(3)]
    found = head.predict(features, samples)
    scores = torch.stack([sample.pred_score for sample in found])
    assert torch.allclose(scores, probabilities(head(features), [[0, 1, 2]]))
    label, score = found[0].pred_label, scores[0]
    expected = score.topk(2)[1] if 'topk' in options else score >= options.get('thr', 0.5)
    assert set(label.tolist()) == set(
        (expected if 'topk' in options else expected.nonzero().flatten()).tolist()
    )
    assert head.loss(features, samples)['loss'].requires_grad


def test_without_cross_entropy_heads_are_as_before():
    ours, theirs = GroupLinearHead(4, 8), MultiLabelLinearClsHead(4, 8)
    theirs.load_state_dict(ours.state_dict())
    features = (torch.randn(3, 8),)
    for one, other in zip(ours.predict(features), theirs.predict(features), strict=True):
        assert torch.equal(one.pred_score, other.pred_score)
        assert torch.equal(one.pred_label, other.pred_label)
