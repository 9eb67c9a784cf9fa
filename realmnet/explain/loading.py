"""A trained model as its config and checkpoint describe it, and pictures as it takes them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings
from mmpretrain.models import BaseClassifier
from mmpretrain.registry import MODELS
from torch import Tensor

from realmnet.curation.label_table import LabelSchema, get_schema
from realmnet.deployment.description import KEY, ModelDescription
from realmnet.deployment.description_hook import describe_config, describe_training
from realmnet.deployment.model_file import read_description
from realmnet.deployment.torch_inputs import choose_device, network_inputs
from realmnet.engine.checkpoint_io import read_checkpoint
from realmnet.engine.config import datasets, load_config
from realmnet.engine.weights import load_weights
from realmnet.errors import InputError
from realmnet.models.activation import probabilities


class TrainedModel:
    """A model ready to be asked about pictures.

    Args:
        config: Config file; it is run as Python, so take your own.
        checkpoint: Checkpoint file, which is only read.
        device: Where to compute: ``'cpu'``, ``'cuda'``, ``'cuda:1'`` or ``'auto'``.
        options: Settings that override the config.

    Attributes:
        model: The classifier, in evaluation mode.
        schema: The classes in the order of the outputs.
        description: How pictures are prepared and what counts as found: the checkpoint's own, or
            else made from the config.

    Raises:
        InputError: A file or the device cannot be used, the weights are not this model's, the
            model cannot be described, or the classes of config, head and checkpoint differ.

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
        self.device = choose_device(device)
        cfg = load_config(str(config), options)
        import_modules_from_strings(**cfg.get('custom_imports', {'imports': []}))
        init_default_scope(cfg.get('default_scope', 'mmpretrain'))
        dataset = next(datasets(cfg, ['test']), None)
        if dataset is None:
            raise InputError(f'{config}: no test_dataloader, whose pipeline prepares the pictures')
        self.schema: LabelSchema = get_schema(dataset.get('schema', 'PSMM'))
        content = read_checkpoint(checkpoint)
        self.description = _description(cfg, config, content, checkpoint)
        self.model: BaseClassifier = MODELS.build(cfg.model)
        self._check_classes(checkpoint)
        load_weights(self.model, content, 'exact', source=str(checkpoint))
        self.model.to(self.device).eval()

    def _check_classes(self, checkpoint: str | os.PathLike) -> None:
        classes = list(self.schema.classes)
        if self.model.head.num_classes != len(classes):
            raise InputError(
                f'the head has {self.model.head.num_classes} outputs, the label schema '
                f'{len(classes)} classes {classes}; set model.head.num_classes'
            )
        if list(self.description.classes) != classes:
            raise InputError(
                f'{checkpoint} was trained on classes {list(self.description.classes)}, the '
                f'config has {classes}'
            )

    def inputs(self, paths: Sequence[str | Path]) -> Tensor:
        """Read pictures and bring them to what the model takes, as ``tools/infer.py`` does.

        Args:
            paths: Picture files: JPEG, PNG, TIFF, BMP or DICOM.

        Returns:
            ``(N, 3, size, size)``, normalised, on the model's device.

        Raises:
            InputError: A picture cannot be read.
        """
        pictures = np.stack([self.description.preprocessing.read(path) for path in paths])
        return network_inputs(pictures, self.description, self.device).contiguous()

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        """Probability of each class, ``(N, C)``, of prepared pictures."""
        return probabilities(self.model(inputs), self.schema.softmax_groups)


def _description(
    cfg: Config,
    config: str | os.PathLike,
    content: Mapping[str, Any],
    checkpoint: str | os.PathLike,
) -> ModelDescription:
    meta = content.get('meta') or {}
    if KEY in meta:
        return read_description(content, checkpoint)
    try:
        return describe_config(cfg, meta.get('dataset_meta'), describe_training(cfg))
    except InputError as error:
        raise InputError(f'{config}: {error}') from None
