"""What a library refuses to build is one sentence; a mistake of one's own keeps its traceback."""

from types import SimpleNamespace

import pytest
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

import realmnet.plugin  # noqa: F401
from realmnet.engine.runner import RealMRunner
from realmnet.errors import InputError


def test_a_depth_that_there_is_not_is_one_sentence(monkeypatch):
    monkeypatch.setattr(Runner, 'build_model', lambda self, model: MODELS.build(model))
    with pytest.raises(InputError, match=r'cannot be built \(KeyError: .*invalid depth 19 for'):
        RealMRunner.build_model(object.__new__(RealMRunner), dict(type='ResNet', depth=19))


def test_an_error_of_ones_own_code_stays(monkeypatch):
    def fails(self, model):
        raise KeyError('mine')

    monkeypatch.setattr(Runner, 'build_model', fails)
    with pytest.raises(KeyError, match='mine'):
        RealMRunner.build_model(object.__new__(RealMRunner), SimpleNamespace())
