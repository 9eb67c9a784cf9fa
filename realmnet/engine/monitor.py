"""Watching a metric of the validation: for the best checkpoint, and to stop early.

What is undefined (NaN) is neither better nor worse than anything: it is passed by, and the log
says so. What can never be defined, because no metric has the name or the development split has no
picture of the class, is refused before the first epoch.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from mmengine.hooks import EarlyStoppingHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from realmnet.datasets.label_table_dataset import LabelTableDataset
from realmnet.engine.metric import MultiLabelReport
from realmnet.errors import InputError
from realmnet.evaluation.metric_records import METRICS, find_metric
from realmnet.evaluation.metrics import all_metrics

Rule = Literal['greater', 'less']


def rule_of(name: str, rule: str | None = None) -> Rule:
    """Tell whether more or less of a metric is better.

    Args:
        name: A metric as the validation reports it, such as ``multi-label/brier`` or
            ``multi-label/AUROC_A4``.
        rule: What a config says; None leaves it to the metric.

    Raises:
        InputError: If ``rule`` is no rule, or the opposite of what the metric means.

    Example:
        >>> rule_of('multi-label/brier'), rule_of('multi-label/F1_A4'), rule_of('loss')
        ('less', 'greater', 'less')
    """
    short = name.rpartition('/')[2]
    metric = find_metric(short)
    less = short == 'undefined' or 'loss' in short.lower()  # losses, and metrics of other projects
    meant: Rule = metric.better if metric else 'less' if less else 'greater'
    if rule not in (None, 'greater', 'less'):
        raise InputError(f'rule of {name} must be greater, less or None, got {rule!r}')
    if rule not in (None, meant) and name.startswith(MultiLabelReport.default_prefix):
        raise InputError(
            f'rule={rule!r} for {name}, of which {"less" if meant == "less" else "more"} is '
            'better; leave the rule out'
        )
    return rule or meant


def check_monitored(runner: Runner, names: Sequence[str], purpose: str) -> None:
    """Refuse to watch what the validation will never report.

    Args:
        runner: About to train.
        names: Metrics to watch.
        purpose: Whose setting it is, for the message.

    Raises:
        InputError: If there is no validation, no metric of the name, or the development split lacks
            what the metric needs.
    """
    if runner.val_loop is None:
        raise InputError(
            f'{purpose} watches {", ".join(names)}, but the run has no validation; leave '
            '--no-validate out, or the option that watches'
        )
    values = possible_metrics(runner)
    for name in names:
        if values is None or name == 'auto':
            continue
        if name not in values:
            raise InputError(f'{purpose} watches {name!r}, {no_such_metric(name, values)}')
        if math.isnan(values[name]):
            raise InputError(
                f'{purpose} watches {name}, which is undefined on the development split whatever '
                f'is predicted: {_reason(name, runner)}; watch another metric, such as '
                f'{MultiLabelReport.default_prefix}/mAP, or take other pictures into the split'
            )


def no_such_metric(name: str, known: Mapping[str, float]) -> str:
    """Say that a metric is not among those known, and which it may be."""
    short = {key: key.rpartition('/')[2] for key in known}
    near = [key for key, end in short.items() if end.lower() == name.rpartition('/')[2].lower()]
    near = near or difflib.get_close_matches(name, known, 3, 0.5)
    means = {metric.mean for metric in METRICS}
    overall = [key for key, end in short.items() if '_' not in end or end in means]
    hint = f'did you mean {" or ".join(near)}? ' if near else ''
    return f'but the validation has no such metric; {hint}There are {", ".join(overall)}'


def possible_metrics(runner: Runner) -> dict[str, float] | None:
    """Return all metrics of the development split, NaN where no prediction could define one.

    Returns:
        Name to a value, or None if the dataset or the metric is of another project.
    """
    metrics = runner.val_evaluator.metrics
    dataset = runner.val_dataloader.dataset
    if not isinstance(dataset, LabelTableDataset):
        return None
    if len(metrics) != 1 or not isinstance(metrics[0], MultiLabelReport):
        return None
    truth = np.stack([dataset.get_data_info(i)['gt_score'] for i in range(len(dataset))])
    classes = dataset.metainfo['classes']
    best = all_metrics(truth, truth, classes, metrics[0].threshold)
    worst = all_metrics(truth, 1 - truth, classes, metrics[0].threshold)
    prefix = metrics[0].prefix
    return {
        f'{prefix}/{name}': worst[name] if math.isnan(value) else value
        for name, value in best.items()
    }


def _reason(name: str, runner: Runner) -> str:
    dataset = runner.val_dataloader.dataset
    truth = np.stack([dataset.get_data_info(i)['gt_score'] for i in range(len(dataset))])
    for label, number in zip(dataset.metainfo['classes'], truth.sum(0), strict=True):
        if name.endswith(f'_{label}'):
            return f'{int(number)} of its {len(truth)} pictures have {label}'
    return f'its {len(truth)} pictures do not have what it needs'


def defined(runner: Runner, metrics: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return metrics with None for those that are watched and undefined, and say which.

    Raises:
        InputError: If a watched metric is missing.
    """
    result = dict(metrics)
    for name in names:
        if name == 'auto':
            continue
        if name not in metrics:
            raise InputError(f'{name!r} is watched, {no_such_metric(name, dict(metrics))}')
        if not math.isfinite(metrics[name]):
            runner.logger.warning(
                f'{name} is {metrics[name]} after epoch {runner.epoch}: undefined, so it is '
                'neither an improvement nor the lack of one'
            )
            result[name] = None
    return result


@HOOKS.register_module()
class RunEarlyStoppingHook(EarlyStoppingHook):
    """Stop when a metric of the validation no longer improves; what is undefined does not count.

    Args:
        monitor: The metric, such as ``multi-label/mAP``.
        rule: ``'greater'`` or ``'less'``; by default what the metric means.
        min_delta: By how much it must improve.
        patience: After how many validations without improvement training ends.
        stopping_threshold: Value from which on training ends at once.

    Raises:
        InputError: If the rule is the opposite of what the metric means.

    Example:
        >>> hook = RunEarlyStoppingHook('multi-label/brier', patience=2)
        >>> hook.rule
        'less'
    """

    def __init__(
        self,
        monitor: str,
        rule: str | None = None,
        min_delta: float = 0.001,
        patience: int = 10,
        stopping_threshold: float | None = None,
    ) -> None:
        super().__init__(
            monitor,
            rule_of(monitor, rule),
            min_delta,
            patience=patience,
            stopping_threshold=stopping_threshold,
        )

    def before_train(self, runner: Runner) -> None:
        """Refuse a metric that will never be reported."""
        check_monitored(runner, [self.monitor], 'early stopping')

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Decide whether to stop."""
        values = defined(runner, metrics or {}, [self.monitor])
        if values[self.monitor] is not None:
            super().after_val_epoch(runner, values)
