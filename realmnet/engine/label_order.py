"""Labels of the data, outputs of the model and labels of the weights must be the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from realmnet.engine.weights import unwrap
from realmnet.errors import InputError


@HOOKS.register_module()
class LabelOrderHook(Hook):
    """Compare the data's classes with the head, and with those that a checkpoint was trained on.

    The second comparison concerns test and resume; weights that only initialise a new training
    may come from other classes.
    """

    def __init__(self) -> None:
        self.trained_on: Sequence[str] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: Mapping) -> None:
        """Remember the classes that a checkpoint names, with their order."""
        meta = checkpoint.get('meta') or {}
        self.trained_on = (meta.get('dataset_meta') or {}).get('classes')

    def before_train(self, runner: Runner) -> None:
        """Check the head, the other split, and the checkpoint if the run was resumed from it."""
        self._check(runner, runner.train_dataloader, resumed=runner.epoch > 0)
        if runner.val_loop is not None:
            self._compare(runner.train_dataloader, runner.val_loop.dataloader)

    def before_val(self, runner: Runner) -> None:
        """Check the head."""
        self._check(runner, runner.val_dataloader, resumed=False)

    def before_test(self, runner: Runner) -> None:
        """Check the head and the checkpoint."""
        self._check(runner, runner.test_dataloader, resumed=True)

    def _compare(self, train, val) -> None:
        here, there = (list(loader.dataset.metainfo['classes']) for loader in (train, val))
        if here != there:
            raise InputError(
                f'train_dataloader has the classes {here}, val_dataloader {there}; give all splits '
                'one label schema, the order counts'
            )

    def _check(self, runner: Runner, dataloader, resumed: bool) -> None:
        classes = list(dataloader.dataset.metainfo['classes'])
        head = getattr(unwrap(runner.model), 'head', None)
        outputs = getattr(head, 'num_classes', len(classes))
        if outputs != len(classes):
            raise InputError(
                f'model.head.num_classes is {outputs}, but the label schema has {len(classes)} '
                f'classes {classes}; set model.head.num_classes and '
                f'model.data_preprocessor.num_classes to {len(classes)}'
            )
        prepared = getattr(unwrap(runner.model), 'data_preprocessor', None)
        outputs = getattr(prepared, 'num_classes', None)
        if outputs not in (None, len(classes)):
            raise InputError(
                f'model.data_preprocessor.num_classes is {outputs}, but the label schema has '
                f'{len(classes)} classes {classes}; set it to {len(classes)}'
            )
        if resumed and self.trained_on and list(self.trained_on) != classes:
            raise InputError(
                f'the checkpoint was trained on classes {list(self.trained_on)}, the data have '
                f'{classes}; use the label schema of the training, or load_from to fine-tune'
            )
