"""One trained model for everything that asks it: read once, its weights checked once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.models import BaseClassifier
from torch import Tensor

from realmnet.curation.content import unchanged
from realmnet.curation.label_schema import LabelSchema, get_schema
from realmnet.deployment.description import KEY, ModelDescription
from realmnet.deployment.model_file import describe_by_config, network_of, read_description
from realmnet.deployment.network import scores_and_features
from realmnet.deployment.torch_inputs import choose_device, network_inputs
from realmnet.engine.checkpoint_io import read_checkpoint
from realmnet.engine.config import datasets, load_config
from realmnet.errors import InputError

#: Ends of the names of files that mmengine reads as configs.
CONFIGS = ('.py', '.json', '.yml', '.yaml')
_EXPORTED = ('.onnx', '.pt2')
_MODELS = ('.pth', '.pt', *_EXPORTED, *CONFIGS)


class TrainedModel:
    """A model ready to be asked about pictures.

    ``TrainedModel('model.pth')`` takes a file that says how it is to be used: one of
    ``tools/deployment/pack.py``, or a checkpoint of a training. Nothing of it is executed.
    ``TrainedModel('config.py', 'epoch_50.pth')`` is for checkpoints that do not; the config is run
    as Python, so take your own. Both give the same scores and heat maps.

    Args:
        model: The file, or the config where a checkpoint follows.
        checkpoint: Checkpoint that the config belongs to.
        device: Where to compute: ``'cpu'``, ``'cuda'``, ``'cuda:1'`` or ``'auto'``.
        options: Settings that override the config, where the checkpoint does not describe itself.

    Attributes:
        model: mmpretrain's ``ImageClassifier``, in evaluation mode.
        description: How pictures are prepared and what counts as found: the file's own, or else
            made from the config.
        device: Where the model is.
        name: Of the file, without its folder.
        sha256: Digest of the file that the weights are from; empty for an address.

    Raises:
        InputError: A file or the device cannot be used, the weights are not this model's or not
            finite, the model cannot be described, the config contradicts the file in classes or
            size, or options are given that nothing would read.

    Example:
        >>> trained = TrainedModel('model.pth')                              # doctest: +SKIP
        >>> trained.scores(trained.inputs(['eye.jpg'])).shape                # doctest: +SKIP
        torch.Size([1, 7])
    """

    def __init__(
        self,
        model: str | os.PathLike,
        checkpoint: str | os.PathLike | None = None,
        device: str = 'cpu',
        options: Mapping | None = None,
    ) -> None:
        config, file = (None, str(model)) if checkpoint is None else (str(model), str(checkpoint))
        _check_kinds(config, file)
        self.device = choose_device(device)
        cfg = None if config is None else load_config(config, options)
        self.name = Path(file).name
        content, self.sha256 = _read(file)
        meta = content.get('meta')
        describes_itself = isinstance(meta, Mapping) and KEY in meta
        if options and (config is None or describes_itself):
            raise InputError(
                f'{file}: describes itself, so the options {sorted(options)} would change nothing; '
                'leave them out'
            )
        if config is None or describes_itself:
            self.description = read_description(content, file)
            if config is not None:
                told = _from_config(cfg, config, {}, file)
                _check_agreement(told, config, self.description, file)
        else:
            self.description = _from_config(cfg, config, content, file)
        self.model: BaseClassifier = network_of(self.description, content, file).to(self.device)

    @property
    def schema(self) -> LabelSchema:
        """The classes in the order of the outputs."""
        return self.description.label_schema

    def about(self) -> dict[str, str]:
        """Name the file and its content, as findings and reports note it."""
        return {'name': self.name, 'sha256': self.sha256}

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
        return self.prepare(pictures).contiguous()

    def prepare(self, pictures: np.ndarray) -> Tensor:
        """Normalise pictures that were read, ``uint8`` RGB (N, size, size, 3)."""
        return network_inputs(pictures, self.description, self.device)

    def scores(self, inputs: Tensor) -> Tensor:
        """Probability of each class, ``(N, C)``, of prepared pictures."""
        return self.outputs(inputs)[0]

    @torch.inference_mode()
    def outputs(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities ``(N, C)`` of prepared pictures, and their features ``(N, D)``."""
        return scores_and_features(self.model, inputs, self.schema.softmax_groups)


def split_arguments(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell the trained model at the beginning of a command from what follows it.

    Args:
        words: A trained model, or a config and its checkpoint, and then the rest.

    Returns:
        What :class:`TrainedModel` takes, one file or two, and the rest.

    Raises:
        InputError: If a checkpoint is missing after a config, or the rest has another model.

    Example:
        >>> split_arguments(['model.pth', 'eye.jpg'])
        (['model.pth'], ['eye.jpg'])
        >>> split_arguments(['config.py', 'epoch_50.pth', 'eye.jpg'])
        (['config.py', 'epoch_50.pth'], ['eye.jpg'])
    """
    number = 2 if Path(words[0]).suffix.lower() in CONFIGS else 1
    files, rest = list(words[:number]), list(words[number:])
    if len(files) < number:
        raise InputError(f'{files[0]}: is a config; give the checkpoint of its training after it')
    more = [w for w in rest if Path(w).suffix.lower() in _MODELS and not Path(w).is_dir()]
    if more:
        raise InputError(
            f'{" ".join(files)} and then {more[0]}: one trained model is taken, or a config and '
            'then its checkpoint; leave the others out'
        )
    return files, rest


def _check_kinds(config: str | None, file: str) -> None:
    """Refuse what is no trained model by its name, with what to give instead."""
    suffix = Path(file).suffix.lower()
    if suffix in _EXPORTED:
        raise InputError(
            f'{file}: is an exported model, without layers and gradients; give the .pth file that '
            'it was exported from (for findings alone: tools/deployment/predict_onnx.py)'
        )
    if suffix in CONFIGS:
        raise InputError(
            f'{file}: is a config, not a trained model; give the file of tools/deployment/pack.py '
            'alone, or the config and then its checkpoint'
        )
    if config is not None and Path(config).suffix.lower() not in CONFIGS:
        raise InputError(
            f'{config}: is no config ({", ".join(CONFIGS)}), and {file} follows as its checkpoint; '
            'give one trained model, or a config and then its checkpoint'
        )


def _read(file: str) -> tuple[dict[str, Any], str]:
    """Read a checkpoint, and the digest of what was read."""
    if not Path(file).is_file():  # an address, or a sentence that says what is missing
        return read_checkpoint(file), ''
    with unchanged(file) as content:
        return read_checkpoint(file), content.digest


def _from_config(cfg: Config, config: str, content: dict[str, Any], file: str) -> ModelDescription:
    """Describe the model of a config, whose head must have an output for each class."""
    dataset = next(datasets(cfg, ['test']), None)
    if dataset is None:
        raise InputError(f'{config}: no test_dataloader, whose pipeline prepares the pictures')
    classes = list(get_schema(dataset.get('schema', 'PSMM')).classes)
    outputs = cfg.model.head.get('num_classes', len(classes))
    if outputs != len(classes):
        raise InputError(
            f'{config}: the head has {outputs} outputs, the label schema {len(classes)} classes '
            f'{classes}; set model.head.num_classes'
        )
    try:
        return describe_by_config(cfg, config, content, file)
    except InputError as error:
        raise InputError(f'{config}: {error}') from None


def _check_agreement(
    told: ModelDescription, config: str, stored: ModelDescription, file: str
) -> None:
    """Refuse a config that says something else than the file it is given with."""
    for what, here, there in (
        ('classes', list(told.classes), list(stored.classes)),
        ('pictures of', f'{told.preprocessing.size} px', f'{stored.preprocessing.size} px'),
    ):
        if here != there:
            raise InputError(
                f'{file}: was trained on {what} {there}, {config} has {here}; leave the config '
                'out, the file describes itself'
            )
