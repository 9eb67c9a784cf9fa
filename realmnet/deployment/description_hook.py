"""Every checkpoint says what it needs to go from a picture to findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from realmnet.curation.label_schema import get_schema
from realmnet.curation.synthetic import is_synthetic
from realmnet.datasets.label_table_dataset import LabelTableDataset
from realmnet.deployment.describe import describe, how_prepared
from realmnet.deployment.description import KEY, ClassNameError, ModelDescription, Training
from realmnet.engine.config import datasets
from realmnet.errors import InputError


def describe_config(
    cfg: Config, classes: Mapping | None = None, training: Training | None = None
) -> ModelDescription:
    """Describe the model of a configuration that the user trusts.

    Args:
        cfg: The configuration, already read.
        classes: ``classes`` and ``class_names`` of the checkpoint, where known.
        training: Where the weights come from.

    Returns:
        The description, without thresholds.

    Raises:
        InputError: If the configuration has no dataset of this project, is for other classes
            than the checkpoint, or cannot be described.
    """
    data = next(datasets(cfg), None)
    if data is None:
        raise InputError('the configuration has no dataset, so its classes are unknown')
    schema = get_schema(data.get('schema', 'PSMM'))
    trained_on = list((classes or {}).get('classes') or schema.classes)
    if trained_on != list(schema.classes):
        raise InputError(
            f'the checkpoint was trained on classes {trained_on}, the configuration has '
            f'{list(schema.classes)}; name the configuration of the training'
        )
    pictures = next(datasets(cfg, ('test', 'val')), None)
    if pictures is None:
        raise InputError('the configuration has no test or val dataset, whose pipeline is needed')
    # A resampled training list says less of its classes than what is tested on.
    tested = get_schema(pictures.get('schema', 'PSMM'))
    schema = tested if tested.classes == schema.classes else schema
    root = Path(data.get('data_root', ''))
    prefix = data.get('data_prefix', '')
    prefix = prefix.get('img_path', '') if isinstance(prefix, Mapping) else prefix
    return describe(
        cfg.model,
        pictures.pipeline,
        replace(
            schema,
            name=schema.name.removesuffix('-resampled'),
            allow_empty=False,
            allow_repeats=False,
        ),
        training=training,
        explain_layers=(cfg.get('explain') or {}).get('layers') or (),
        **how_prepared(root / prefix, root / 'JPEGImages', root),
    )


def describe_training(cfg: Config, **known: Any) -> Training:
    """Tell where weights come from, naming no local folder.

    Args:
        cfg: The configuration.
        **known: Fields of :class:`Training` that the run knows.
    """
    data = next(datasets(cfg, ['train']), {})
    root = Path(data.get('data_root', ''))
    return Training(
        data=f'{data.get("type", "")} {Path(data.get("ann_file", "")).name}'.strip(),
        synthetic=is_synthetic(root) if root.is_dir() else None,
        **known,
    )


def check_size(model: Mapping, dataset: Any, place: str) -> None:
    """Check that a pipeline gives pictures of the backbone's ``img_size``.

    The first picture stands for all. A backbone that says no size takes any.

    Args:
        model: The configuration's ``model``.
        dataset: Whose items hold ``inputs`` of shape (C, H, W); others are passed by.
        place: How the message names the dataset.

    Raises:
        InputError: If the sizes differ.
    """
    size = (model.get('backbone') or {}).get('img_size')
    if size is None or not isinstance(dataset, LabelTableDataset):
        return
    inputs = dataset[0].get('inputs')
    height, width = getattr(inputs, 'shape', (0, 0, 0))[-2:]
    expected = (size, size) if isinstance(size, int) else tuple(size)
    if height and (height, width) != expected:
        raise InputError(
            f'{place}: its pipeline gives pictures of {width} x {height} pixels, but '
            f'model.backbone.img_size is {size}; store the pictures in that size '
            '(tools/dataset_tools/prepare_images.py --size), add a Resize to the pipeline, or set '
            'img_size and the windows that follow from it'
        )


@HOOKS.register_module()
class DescriptionHook(Hook):
    """Write the model's description into each checkpoint, as JSON text ``meta['realmnet']``.

    ``tools/infer.py`` and the export read it. A model that cannot be described, because its test
    pipeline has further transforms or its network is none that a description may hold, is
    trained all the same; the log says why. A model that contradicts its own pictures is not: what
    it would be after the training, no other tool would take.
    """

    def __init__(self) -> None:
        self._described = True

    def before_train(self, runner: Runner) -> None:
        """Say at the start, once, if checkpoints will have no description.

        Raises:
            InputError: If the size of the pictures is not the backbone's, or the names of the
                classes could not stand in findings.
        """
        for name in ('train', 'val'):
            loader = getattr(runner, f'{name}_loop', None)
            if loader is not None:
                check_size(runner.cfg.model, loader.dataloader.dataset, f'{name}_dataloader')
        try:
            describe_config(runner.cfg)
        except ClassNameError:
            raise
        except InputError as error:
            self._described = False
            runner.logger.warning(
                f'Checkpoints will not say how to be used outside the training: {error}.'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the description."""
        if not self._described:
            return
        training = describe_training(
            runner.cfg,
            experiment=runner.experiment_name,
            seed=runner.seed,
            images=len(runner.train_dataloader.dataset),
            epochs=checkpoint['meta'].get('epoch'),
        )
        checkpoint['meta'][KEY] = describe_config(runner.cfg, training=training).to_json()
