"""A trained model as its config and checkpoint describe it, and pictures as it takes them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings
from mmpretrain.models import BaseClassifier
from mmpretrain.registry import MODELS, TRANSFORMS
from torch import Tensor

from realmnet.curation.label_table import LabelSchema, get_schema
from realmnet.engine.checkpoint_io import read_checkpoint
from realmnet.engine.config import datasets, load_config
from realmnet.engine.weights import load_weights
from realmnet.errors import InputError


class TrainedModel:
    """A model ready to be asked about pictures.

    Args:
        config: Config file; it is run as Python, so take your own.
        checkpoint: Checkpoint file, which is only read.
        device: Where to compute.
        options: Settings that override the config.

    Attributes:
        model: The classifier, in evaluation mode.
        schema: The classes in the order of the outputs.

    Raises:
        InputError: A file cannot be used, the weights are not this model's, or the classes of
            config, head and checkpoint differ.

    Example:
        >>> trained = TrainedModel('config.py', 'epoch_50.pth')              # doctest: +SKIP
        >>> trained.scores(trained.inputs(['eye.jpg'])).shape                # doctest: +SKIP
        torch.Size([1, 7])
    """

    def __init__(
        self,
        config: str | os.PathLike,
        checkpoint: str | os.PathLike,
        device: str = 'cpu',
        options: Mapping | None = None,
    ) -> None:
        cfg = load_config(str(config), options)
        import_modules_from_strings(**cfg.get('custom_imports', {'imports': []}))
        init_default_scope(cfg.get('default_scope', 'mmpretrain'))
        dataset = next(datasets(cfg, ['test']), None)
        if dataset is None:
            raise InputError(f'{config}: no test_dataloader, whose pipeline prepares the pictures')
        self.schema: LabelSchema = get_schema(dataset.get('schema', 'PSMM'))
        self.pipeline = Compose([TRANSFORMS.build(step) for step in dataset.pipeline])
        self.device = device
        content = read_checkpoint(checkpoint)
        self.model: BaseClassifier = MODELS.build(cfg.model)
        load_weights(self.model, content, 'exact', source=str(checkpoint))
        self.model.to(device).eval()
        self._check_classes(content, checkpoint)

    def _check_classes(self, content: Mapping, checkpoint: str | os.PathLike) -> None:
        classes = list(self.schema.classes)
        trained_on = ((content.get('meta') or {}).get('dataset_meta') or {}).get('classes')
        if self.model.head.num_classes != len(classes):
            raise InputError(
                f'the head has {self.model.head.num_classes} outputs, the label schema '
                f'{len(classes)} classes {classes}; set model.head.num_classes'
            )
        if trained_on and list(trained_on) != classes:
            raise InputError(
                f'{checkpoint} was trained on classes {list(trained_on)}, the config has {classes}'
            )

    def inputs(self, paths: Sequence[str | Path]) -> Tensor:
        """Read pictures and bring them to what the model takes, through the test pipeline.

        Args:
            paths: Picture files, all of one size after the pipeline.

        Returns:
            ``(N, 3, H, W)``, normalised, on the model's device.

        Raises:
            InputError: A picture cannot be read.
        """
        items = [self.pipeline(dict(img_path=str(path)))['inputs'] for path in paths]
        return self.model.data_preprocessor(dict(inputs=torch.stack(items)))['inputs']

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        """Probability of each class, ``(N, C)``, of prepared pictures."""
        return self.model(inputs).sigmoid()
