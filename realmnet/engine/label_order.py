"""Labels of the data, outputs of the model and labels of the weights must be the same.

So must be what scores are: the schema says which classes share a softmax, and so does the loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import nn

from realmnet.curation.label_schema import get_schema
from realmnet.engine.weights import unwrap
from realmnet.errors import InputError
from realmnet.models.activation import GroupActivation, softmax_groups_of


@HOOKS.register_module()
class LabelOrderHook(Hook):
    """Compare the data's classes with the head, its loss, and those of a checkpoint.

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
        # A resampled training list says less of its classes than what is validated on.
        of = runner.train_dataloader if runner.val_loop is None else runner.val_loop.dataloader
        check_activation(getattr(unwrap(runner.model), 'head', None), of.dataset.metainfo)

    def before_val(self, runner: Runner) -> None:
        """Check the head."""
        self._check(runner, runner.val_dataloader, resumed=False)

    def before_test(self, runner: Runner) -> None:
        """Check the head and the checkpoint."""
        self._check(runner, runner.test_dataloader, resumed=True)
        metainfo = runner.test_dataloader.dataset.metainfo
        check_activation(getattr(unwrap(runner.model), 'head', None), metainfo)

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


def check_activation(head: nn.Module | None, metainfo: Mapping) -> None:
    """Check that the loss was made for what the schema says that scores are.

    Args:
        head: The model's; one without a loss is not checked.
        metainfo: The data set's, whose ``meaning`` holds the label schema.

    Raises:
        InputError: If the schema has softmax where loss or head have sigmoids, or the other way.
    """
    loss, fields = getattr(head, 'loss_module', None), metainfo.get('meaning', {})
    if loss is None or 'label_schema' not in fields:
        return
    schema = get_schema(fields['label_schema'])
    said = {frozenset(group) for group in schema.softmax_groups}
    trained = {frozenset(group) for group in softmax_groups_of(loss, schema.num_classes)}
    name, kind = type(loss).__name__, type(head).__name__
    if said - trained:
        group = sorted(min(said - trained, key=min))
        names = [schema.classes[i] for i in group]
        raise InputError(
            f'the label schema {schema.name!r} has softmax for the group {names}, but '
            f'model.head.loss is {name}, which does not train just these together: set '
            "model.head.loss=dict(type='GroupCrossEntropyLoss', "
            f"groups={[list(g) for g in schema.softmax_groups]}), or activation='sigmoid' in the "
            'group'
        )
    if trained - said:
        names = [schema.classes[i] for i in sorted(min(trained - said, key=min))]
        raise InputError(
            f'model.head.loss is {name}, which makes the classes {names} exclude each other, but '
            f'the label schema {schema.name!r} says sigmoid of them: give it the group '
            f"dict(name=..., classes={names}, activation='softmax'), or take another loss"
        )
    if said and not isinstance(head, GroupActivation):
        raise InputError(
            f'the label schema {schema.name!r} has softmax, but model.head.type is {kind}, which '
            'does not give it; use GroupLinearHead or ResidualAttentionHead'
        )
