"""A training that diverges stops before it is saved."""

import math
from pathlib import Path

import pytest
import torch
import toy_training
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from test_resume import start
from torch import nn

from realmnet.engine import DivergenceError, read_checkpoint
from realmnet.engine.finite import MAX_SKIPPED, not_finite, picture_names
from realmnet.engine.resume import newest_checkpoint


def spoil(monkeypatch, at, change):
    """Call ``change(model)`` before the forward pass of a step, counted from 1."""
    forward, calls = toy_training.ToyModel.forward, []

    def spoiled(self, inputs, target, mode='tensor'):
        calls.extend([mode] * (mode == 'loss'))
        if mode == 'loss' and len(calls) == at:
            changed = change(self, inputs)
            inputs = inputs if changed is None else changed
        return forward(self, inputs, target, mode)

    monkeypatch.setattr(toy_training.ToyModel, 'forward', spoiled)


def saved(work_dir):
    return sorted(path.name for path in Path(work_dir).rglob('*.pth'))


def stopped(cfg, match):
    with pytest.raises(DivergenceError, match=match):
        toy_training.train(cfg)


def test_a_loss_that_is_not_finite(tmp_path, monkeypatch):
    spoil(monkeypatch, 5, lambda model, inputs: [x * math.inf for x in inputs])
    stopped(toy_training.config(tmp_path / 'run'), r'step 5 \(epoch 2\): the loss is nan')
    assert saved(tmp_path / 'run') == ['epoch_1.pth']
    assert Path((tmp_path / 'run' / 'last_checkpoint').read_text()).name == 'epoch_1.pth'


def explode(model, inputs):
    model.head.weight.register_hook(lambda gradient: gradient * math.inf)


def test_weights_that_explode(tmp_path, monkeypatch):
    """Nothing looks at the gradient without clip_grad; the step makes the weights infinite."""
    spoil(monkeypatch, 2, explode)
    stopped(toy_training.config(tmp_path / 'run'), r'step 2 \(epoch 1\): the weights .* are not')
    assert saved(tmp_path / 'run') == []


def test_a_gradient_that_is_not_finite_is_named_as_such(tmp_path, monkeypatch):
    spoil(monkeypatch, 2, explode)
    optimizer = {'optimizer': {'type': 'SGD', 'lr': 0.1}, 'clip_grad': {'max_norm': 1.0}}
    stopped(
        toy_training.config(tmp_path / 'run', optim_wrapper=optimizer),
        'step 2 .*: the norm of the gradient is',
    )


def test_a_buffer_that_is_not_finite(tmp_path, monkeypatch):
    def overflow(model, inputs):
        model.backbone[1].running_var.fill_(math.nan)

    spoil(monkeypatch, 4, overflow)
    stopped(toy_training.config(tmp_path / 'run'), 'backbone.1.running_var')
    assert saved(tmp_path / 'run') == ['epoch_1.pth']


def test_a_buffer_that_is_infinite_by_intent_is_no_divergence(tmp_path, monkeypatch):
    init = toy_training.ToyModel.__init__

    def with_mask(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.register_buffer('attn_mask', torch.tensor([0.0, -math.inf]))

    monkeypatch.setattr(toy_training.ToyModel, '__init__', with_mask)
    toy_training.train(toy_training.config(tmp_path / 'run', epochs=1))
    assert newest_checkpoint([tmp_path / 'run']).epoch == 1


def test_weights_that_were_not_finite_before(tmp_path, monkeypatch):
    init = toy_training.ToyModel.__init__

    def spoiled(self, *args, **kwargs):
        init(self, *args, **kwargs)
        nn.init.constant_(self.head.bias, math.nan)

    monkeypatch.setattr(toy_training.ToyModel, '__init__', spoiled)
    stopped(toy_training.config(tmp_path / 'run'), 'head.bias are not finite before the first')


@pytest.mark.parametrize('part', ['ema_state_dict', 'optimizer'])
def test_what_only_the_checkpoint_holds_is_checked_before_saving(tmp_path, part):
    hooks = [{'type': 'EMAHook'}] * (part == 'ema_state_dict')
    cfg = toy_training.config(tmp_path / 'run', epochs=2, custom_hooks=hooks)
    runner = toy_training.RUNNERS.build(cfg)

    class Spoil(toy_training.Hook):
        priority = 'LOW'  # before checkpoints, which are VERY_LOW

        def after_train_epoch(self, runner):
            if runner.epoch == 1 and part == 'optimizer':
                state = next(iter(runner.optim_wrapper.optimizer.state.values()))
                state['exp_avg'].fill_(math.inf)
            elif runner.epoch == 1:
                hook = next(h for h in runner.hooks if hasattr(h, 'ema_model'))
                nn.init.constant_(hook.ema_model.module.head.bias, math.nan)

    runner.register_hook(Spoil())
    with pytest.raises(DivergenceError, match=part):
        runner.train()
    assert saved(tmp_path / 'run') == ['epoch_1.pth']


def test_undefined_metrics_are_no_divergence(tmp_path, monkeypatch):
    monkeypatch.setattr(
        toy_training.ToyMetric, 'compute_metrics', lambda *_: {'score': float('nan')}
    )
    toy_training.train(toy_training.config(tmp_path / 'run', epochs=1))
    assert saved(tmp_path / 'run') == ['epoch_1.pth']


def test_resuming_passes_over_what_diverged_before(tmp_path):
    """As runs of earlier versions left it: the newest file holds NaN."""
    toy_training.train(toy_training.config(tmp_path / 'run', epochs=3))
    newest = next((tmp_path / 'run').rglob('epoch_3.pth'))
    checkpoint = read_checkpoint(newest)
    checkpoint['state_dict']['head.bias'].fill_(math.nan)
    torch.save(checkpoint, newest)
    found = newest_checkpoint([tmp_path / 'run'])
    assert found.path.name == 'epoch_2.pth'
    assert 'head.bias is not finite' in found.passed_over[0]


class Scaler(torch.amp.GradScaler):
    """The scaler of mixed precision, on the CPU."""

    def __init__(self, **kwargs):
        super().__init__('cpu', **kwargs)


@OPTIM_WRAPPERS.register_module()
class ScaledOptimWrapper(OptimWrapper):
    """What mmengine's AmpOptimWrapper does with its scaler, which it makes on GPUs only."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.loss_scaler = Scaler(init_scale=2.0**100)

    def backward(self, loss, **kwargs):
        self.loss_scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs):
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update()


def scaled(work_dir, **more):
    wrapper = {
        'type': 'ScaledOptimWrapper',
        'optimizer': {'type': 'SGD', 'lr': 0.01},
        'clip_grad': {'max_norm': 1.0},
    }
    return toy_training.config(work_dir, optim_wrapper=wrapper, log_level='INFO', epochs=12, **more)


def overflow(monkeypatch, steps):
    """Gradients of some steps overflow, as those of 16 bits do; the loss is finite."""
    calls = []

    def change(model):
        def hook(gradient):
            calls.append(gradient)
            return gradient * (math.inf if len(calls) in steps else 1.0)

        model.head.weight.register_hook(hook)

    init = toy_training.ToyModel.__init__

    def hooked(self, *args, **kwargs):
        init(self, *args, **kwargs)
        change(self)

    monkeypatch.setattr(toy_training.ToyModel, '__init__', hooked)


def test_skipped_steps_are_counted_and_are_no_divergence(tmp_path, monkeypatch):
    overflow(monkeypatch, {1, 2, 3, 17})
    runner = toy_training.train(scaled(tmp_path / 'run'))
    assert runner.message_hub.get_info('skipped_steps') == 4
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert 'Step 17 was skipped' in log and '4 skipped in all' in log


def test_too_many_skipped_steps_in_a_row(tmp_path, monkeypatch):
    overflow(monkeypatch, range(4, 99))
    stopped(scaled(tmp_path / 'run'), f'step {4 + MAX_SKIPPED} .*{MAX_SKIPPED + 1} steps in a row')


def test_accumulated_steps_are_one_update(tmp_path, monkeypatch):
    overflow(monkeypatch, {2})
    cfg = scaled(tmp_path / 'run')
    cfg.optim_wrapper.accumulative_counts = 3
    assert toy_training.train(cfg).message_hub.get_info('skipped_steps') == 1


def test_a_loss_of_mixed_precision_that_is_not_finite(tmp_path, monkeypatch):
    spoil(monkeypatch, 2, lambda model, inputs: [x * math.nan for x in inputs])
    stopped(scaled(tmp_path / 'run'), 'step 2 .*the loss is nan')


def test_names_of_pictures():
    class Sample:
        img_path = 'data/images/a.jpg'

    assert picture_names({'inputs': [], 'data_samples': [Sample(), Sample()]}) == ['a.jpg'] * 2
    assert picture_names({'inputs': []}) == picture_names([1, 2]) == []


def test_large_numbers_are_finite():
    assert not_finite({'state_dict': {'a': torch.full((100,), 3e38)}}) == ''
    assert not_finite({'state_dict': {'a': torch.tensor([1, 2])}}) == ''


@pytest.mark.slow
def test_two_processes_stop_together_if_one_sees_it(tmp_path):
    assert start(tmp_path / 'run', '--spoil', 1, processes=2) != 0
    assert saved(tmp_path / 'run') == ['epoch_1.pth']
    assert 'process 1' in (tmp_path / 'run' / 'error.txt').read_text()
