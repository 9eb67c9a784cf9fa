"""Stopping a training that diverged, before anything of it is saved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor

from realmnet.engine.together import fail_together
from realmnet.engine.weights import unwrap
from realmnet.errors import InputError

#: In mixed precision, this many steps in a row may be skipped because gradients overflowed.
MAX_SKIPPED = 20
#: How many picture names the message lists.
_NAMES = 32


class DivergenceError(InputError):
    """Numbers of a training are not finite; the message says which, at which step."""


@HOOKS.register_module()
class FiniteHook(Hook):
    """Stop a training whose loss, gradient norm, weights or buffers are not finite.

    Each step is checked before anything of it is saved, and what happens in one process stops all.
    In mixed precision, a step whose gradients overflow is skipped by the gradient scaler, which is
    no divergence: such steps are counted and logged, and more than :data:`MAX_SKIPPED` in a row, or
    a loss scale below 1, stop the training. Metrics of a validation may be undefined.

    mmengine brings the loss and the gradient norm to the CPU at every step. What is added is
    the norm of the weights and one number that the processes exchange.
    """

    priority = 'HIGH'  # after the loss is known, before checkpoints and averages

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._in_a_row = 0
        self._steps_taken = 0
        self._scale = math.inf

    def before_train(self, runner: Runner) -> None:
        """Choose what to watch; refuse weights that are not finite from the start.

        Raises:
            DivergenceError: If a parameter is not finite.
        """
        model = unwrap(runner.model)
        for name, value in model.named_parameters():
            if not _is_finite(value):
                raise DivergenceError(
                    f'the weights {name} are not finite before the first step; start from '
                    'another checkpoint'
                )
        # A buffer may be infinite by intent, as a mask of attention.
        self._tensors = [
            value for value in (*model.parameters(), *model.buffers())
            if value.is_floating_point() and value.numel() and _is_finite(value)
        ]  # fmt: skip
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        if scaler is not None:
            self._scale = scaler.get_scale()
            runner.optim_wrapper.optimizer.register_step_post_hook(self._count_step)

    def _count_step(self, *_: Any) -> None:
        self._steps_taken += 1

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Check the step.

        Raises:
            DivergenceError: In the main process, if something is not finite in any; the others end.
        """
        severity, problem = self._problem(runner)
        flag = torch.tensor(float(severity))
        all_reduce(flag, op='max')
        if flag.item() == 0:
            return
        found = all_gather_object((severity, problem, picture_names(data_batch)))
        ranks = [rank for rank, (number, *_) in enumerate(found) if number == flag.item()]
        text = found[ranks[0]][1]
        names = [name for rank in ranks for name in found[rank][2]]
        where = ''
        if len(found) > 1:
            where = f' in process{"es" * (len(ranks) > 1)} {", ".join(map(str, ranks))}'
        batch = f'; pictures of the step: {_listed(names)}' if names else ''
        error = DivergenceError(
            f'the training diverged at step {runner.iter + 1} (epoch {runner.epoch + 1}): {text}'
            f'{where}{batch}. Nothing of this step is saved. Lower the learning rate, or look at '
            'these pictures and labels; start again, or with load_from from an earlier checkpoint'
        )
        fail_together(error)

    def _problem(self, runner: Runner) -> tuple[int, str]:
        """How near to its source a problem of this process is (0: there is none), and its text.

        A loss of one process makes the gradients of all infinite: it is the one to name.
        """
        scaled = hasattr(runner.optim_wrapper, 'loss_scaler')  # looks at gradients itself
        names = (
            {'loss': 'loss'} if scaled else {'loss': 'loss', 'grad_norm': 'norm of the gradient'}
        )
        for severity, (key, name) in zip((3, 2), names.items(), strict=False):
            buffer = runner.message_hub.log_scalars.get(f'train/{key}')
            if buffer is not None and not math.isfinite(buffer.current()):
                return severity, f'the {name} is {buffer.current()}'
        if not _are_finite(self._tensors):
            model = unwrap(runner.model)
            named = (*model.named_parameters(), *model.named_buffers())
            ours = {id(value) for value in self._tensors}
            name = next(n for n, v in named if id(v) in ours and not _is_finite(v))
            return 1, f'the weights {name} are not finite'
        text = self._skipped_too_often(runner)
        return int(bool(text)), text

    def _skipped_too_often(self, runner: Runner) -> str:
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        if scaler is None or not runner.optim_wrapper.should_update():
            return ''
        scale, taken = scaler.get_scale(), self._steps_taken
        # A fused optimizer skips inside its step: there, only the scale tells.
        skipped = taken == 0 or scale < self._scale
        self._scale, self._steps_taken = scale, 0
        if not skipped:
            self._in_a_row = 0
            return ''
        self._in_a_row += 1
        total = runner.message_hub.runtime_info.get('skipped_steps', 0) + 1
        runner.message_hub.update_info('skipped_steps', total)
        runner.logger.info(
            f'Step {runner.iter + 1} was skipped, because its gradients overflowed in mixed '
            f'precision (loss scale now {scale:g}; {total} skipped in all).'
        )
        if self._in_a_row > MAX_SKIPPED or scale < 1:
            return (
                f'{self._in_a_row} steps in a row were skipped, because their gradients '
                f'overflowed in mixed precision (loss scale {scale:g}; at most {MAX_SKIPPED} in a '
                'row and a scale of at least 1 are accepted)'
            )
        return ''


def check_state(runner: Runner) -> None:
    """Refuse to save weights, averages or optimizer state that are not finite.

    Raises:
        DivergenceError: In the main process, if something is not finite in any; the others end.
    """
    state = {
        'state_dict': unwrap(runner.model).state_dict(),
        'optimizer': runner.optim_wrapper.state_dict(),
        'ema_state_dict': [
            hook.ema_model.state_dict()
            for hook in runner.hooks
            if getattr(hook, 'ema_model', None) is not None
        ],
    }
    name = not_finite(state)
    flag = torch.tensor(float(bool(name)))
    all_reduce(flag, op='max')
    if flag.item():
        error = DivergenceError(
            f'the training diverged by step {runner.iter}: {name or "a tensor of another process"} '
            'is not finite. No checkpoint is saved; the one before stays the newest. Lower the '
            'learning rate and start again'
        )
        fail_together(error)


def not_finite(checkpoint: Mapping[str, Any]) -> str:
    """Return the name of the first weight or optimizer state that is not finite, or ''.

    Example:
        >>> not_finite({'state_dict': {'a': torch.ones(2), 'b': torch.tensor([0.0, torch.nan])}})
        'state_dict.b'
    """
    parts = {
        key: checkpoint[key]
        for key in ('state_dict', 'ema_state_dict', 'optimizer')
        if key in checkpoint
    }
    named = [(name, value) for name, value in _tensors(parts) if _counts(name, value)]
    if _are_finite([value for _, value in named]):
        return ''
    return next((name for name, value in named if not _is_finite(value)), '')


def picture_names(data_batch: Any) -> list[str]:
    """Return the names of the pictures of a batch, as far as it tells."""
    samples = data_batch.get('data_samples') if isinstance(data_batch, Mapping) else None
    paths = [getattr(sample, 'img_path', None) for sample in samples or ()]
    return [str(path).replace('\\', '/').rpartition('/')[2] for path in paths if path]


def _listed(names: Sequence[str]) -> str:
    more = f' and {len(names) - _NAMES} more' if len(names) > _NAMES else ''
    return ', '.join(names[:_NAMES]) + more


def _tensors(content: Any, name: str = '') -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _tensors(value, f'{name}.{key}' if name else str(key))
    elif isinstance(content, list | tuple):
        for key, value in enumerate(content):
            yield from _tensors(value, f'{name}.{key}')


def _counts(name: str, value: Tensor) -> bool:
    """Whether a tensor must be finite; masks of attention may hold infinities."""
    return value.is_floating_point() and value.numel() > 0 and not name.endswith('mask')


def _are_finite(tensors: Iterable[Tensor]) -> bool:
    tensors = [value.detach() for value in tensors]
    if not tensors:
        return True
    # A norm is ten times as fast as looking at each number, but may overflow where they do not.
    norm = torch.nn.utils.get_total_norm(tensors)
    return bool(torch.isfinite(norm)) or all(_is_finite(value) for value in tensors)


def _is_finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())
