import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseTTAModel
from torch import nn

from realmnet.engine import CheckpointError, load_weights


class Resizing(nn.Module):
    """Holds a table of 4 and halves tables of 8 while loading, as backbones do with biases."""

    def __init__(self):
        super().__init__()
        self.child = nn.Module()
        self.child.table = nn.Parameter(torch.zeros(4))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        key = f'{prefix}child.table'
        if key in state_dict and len(state_dict[key]) == 8:
            state_dict[key] = state_dict[key][::2]
        super()._load_from_state_dict(state_dict, prefix, *args)


class Model(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        more = [nn.Linear(4, 4), nn.Linear(4, 4)]  # one tensor of eleven may be missing
        self.backbone = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), Resizing(), *more)
        self.head = nn.Linear(4, classes)

    def test_step(self, data):
        return data


@pytest.fixture
def log(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    yield caplog
    logger.removeHandler(caplog.handler)


def filled(model):
    """The model's state with ones everywhere."""
    state = model.state_dict()
    for value in state.values():
        value.fill_(1)
    return {'state_dict': state}


def test_exact_takes_a_complete_file_also_through_wrappers(log):
    checkpoint = filled(Model())
    report = load_weights(Model(), checkpoint, 'exact')
    assert report.complete
    assert report.loaded == len(checkpoint['state_dict']) - 1  # without batch norm's counter
    assert 'nothing is left over' in log.text
    parallel = {f'module.{key}': value for key, value in checkpoint['state_dict'].items()}

    class TTA(BaseTTAModel):
        def merge_preds(self, data_samples_list):
            return data_samples_list

    wrapped = TTA(module=Model())
    assert load_weights(wrapped, {'state_dict': parallel}, 'exact').complete
    assert all((value == 1).all() for value in wrapped.module.state_dict().values())


def test_exact_names_every_kind_of_difference():
    checkpoint = filled(Model(classes=7))
    del checkpoint['state_dict']['backbone.0.bias']
    checkpoint['state_dict']['neck.weight'] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        load_weights(Model(), checkpoint, 'exact', source='a.pth')
    message = str(caught.value)
    assert message.startswith('a.pth: ')
    for line in (
        '1 missing in the file:\n    backbone.0.bias',
        '1 not in the model:\n    neck.weight',
        '2 of another shape (file -> model):\n    head.weight (7, 4) -> (2, 4)',
        'head.bias (7,) -> (2,)',
    ):
        assert line in message


@pytest.mark.parametrize('drop', ['backbone.0.bias', 'backbone.1.running_mean'])
def test_exact_demands_each_key(drop):
    checkpoint = filled(Model())
    del checkpoint['state_dict'][drop]
    with pytest.raises(CheckpointError, match=drop):
        load_weights(Model(), checkpoint, 'exact')


def test_init_loads_what_fits_and_lists_the_rest(log):
    model = Model()
    before = model.head.weight.clone()
    report = load_weights(model, filled(Model(classes=7)), 'init')
    assert report.mismatched == ['head.weight (7, 4) -> (2, 4)', 'head.bias (7,) -> (2,)']
    assert not report.missing
    assert torch.equal(model.head.weight, before)
    assert (model.backbone[0].weight == 1).all()
    assert 'head.bias (7,) -> (2,)' in log.text


def test_init_refuses_if_nothing_fits():
    with pytest.raises(CheckpointError, match='not weights for this model'):
        load_weights(Model(), {'state_dict': {'other.weight': torch.zeros(1)}}, 'init')
    other_size = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6))
    with pytest.raises(CheckpointError, match=r'\(6, 5\) -> \(4, 3\)'):
        load_weights(Model().backbone, {'state_dict': other_size.state_dict()}, 'init')


def test_prefix_takes_the_backbone_or_a_bare_backbone():
    whole = filled(Model(classes=7))
    model = Model()
    report = load_weights(model.backbone, whole, 'init', prefix='backbone')
    assert report.complete
    assert (model.backbone[1].weight == 1).all()
    assert not (model.head.weight == 1).any()
    bare = {'state_dict': Model().backbone.state_dict()}
    assert load_weights(model.backbone, bare, 'init', prefix='backbone').complete


@pytest.mark.parametrize('purpose', ['init', 'exact'])
def test_shapes_are_compared_after_the_models_own_hooks(purpose):
    checkpoint = filled(Model())
    checkpoint['state_dict']['backbone.2.child.table'] = torch.arange(8.0)
    model = Model()
    assert load_weights(model, checkpoint, purpose).complete
    assert model.backbone[2].child.table.tolist() == [0, 2, 4, 6]
    checkpoint['state_dict']['backbone.2.child.table'] = torch.arange(9.0)
    assert load_weights(Model(), checkpoint).mismatched == ['backbone.2.child.table (9,) -> (4,)']


def test_hooks_are_removed_and_purpose_is_checked():
    model = Model()
    load_weights(model, filled(Model()))
    assert not any(module._load_state_dict_pre_hooks for module in model.modules())
    with pytest.raises(ValueError, match='purpose'):
        load_weights(model, filled(Model()), 'strict')
