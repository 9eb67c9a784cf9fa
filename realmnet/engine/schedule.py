"""Bringing learning-rate schedules to where an uninterrupted run of another length would be."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

from mmengine.optim import OptimWrapper, _ParamScheduler
from mmengine.runner import Runner

# What counts the steps; all else is the shape of a schedule.
_PROGRESS = ('last_step', 'verbose', 'base_values')


class Start:
    """The schedules of a training at its beginning, to be kept while a checkpoint is loaded.

    Args:
        runner: A runner that has built optimizer and schedules, and loaded nothing.
    """

    def __init__(self, runner: Runner) -> None:
        self._schedulers = _schedulers(runner)
        self._states = [copy.deepcopy(s.state_dict()) for s in self._schedulers]
        self._names = {scheduler.param_name for scheduler in self._schedulers}
        self._values = [
            {name: group[name] for name in self._names if name in group}
            for group in self._groups(runner)
        ]

    def reshaped(self, runner: Runner) -> bool:
        """Whether the schedules that a checkpoint brought have another shape than these."""
        return any(
            _shape(before) != _shape(scheduler.state_dict())
            for before, scheduler in zip(self._states, self._schedulers, strict=True)
        )

    def walk(self, runner: Runner, steps: int, epoch_length: int | None) -> None:
        """Set learning rates to those after a number of steps, taking them one by one.

        mmengine computes most schedules from the value before; taking the same steps gives the
        same numbers, bit by bit, as an uninterrupted run has.

        Args:
            runner: As given to the constructor.
            steps: How many.
            epoch_length: Steps of an epoch; None if the training does not count epochs.
        """
        for group, values in zip(self._groups(runner), self._values, strict=True):
            group.update(copy.deepcopy(values))
        for scheduler, state in zip(self._schedulers, self._states, strict=True):
            scheduler.load_state_dict(copy.deepcopy(state))
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # that no optimizer takes these steps
            for step in range(1, steps + 1):
                self._step(by_epoch=False)
                if epoch_length and step % epoch_length == 0:
                    self._step(by_epoch=True)

    def _step(self, by_epoch: bool) -> None:
        for scheduler in self._schedulers:
            if scheduler.by_epoch == by_epoch:
                scheduler.step()

    @staticmethod
    def _groups(runner: Runner) -> list[dict[str, Any]]:
        if not isinstance(runner.optim_wrapper, OptimWrapper):
            return []
        return runner.optim_wrapper.param_groups


def _schedulers(runner: Runner) -> list[_ParamScheduler]:
    found = runner.param_schedulers or []
    if isinstance(found, Mapping) or not isinstance(runner.optim_wrapper, OptimWrapper):
        return []  # several optimizers: the checkpoint's schedules are taken as they are
    return [s for s in found if isinstance(s, _ParamScheduler) and not hasattr(s, 'need_val_args')]


def _shape(state: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in state.items() if not k.startswith('_') and k not in _PROGRESS}
