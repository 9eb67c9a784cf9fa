"""A file for inference: weights under their own names, and the description; nothing else."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from realmnet.curation.outputs import make_folder, not_writable
from realmnet.deployment.description import KEY, ModelDescription
from realmnet.deployment.network import build_network
from realmnet.engine.checkpoint_io import CheckpointError, read_checkpoint
from realmnet.engine.config import load_config
from realmnet.engine.description_hook import describe_config, describe_training
from realmnet.engine.storage import AtomicBackend
from realmnet.engine.weights import load_weights
from realmnet.errors import InputError
from realmnet.evaluation.thresholds import read_thresholds


@dataclass(frozen=True)
class Packed:
    """What :func:`pack` wrote.

    Attributes:
        description: As it is in the file.
        sha256: Of the file.
        parameters: Number of parameters.
    """

    description: ModelDescription
    sha256: str
    parameters: int


def load_model(path: str | Path) -> tuple[nn.Module, ModelDescription]:
    """Read a checkpoint and build its network; nothing in the file is executed.

    Args:
        path: What ``tools/deployment/pack.py`` or a training wrote.

    Returns:
        mmpretrain's ``ImageClassifier`` with the weights, in evaluation mode on the CPU, and the
        description.

    Raises:
        InputError: If the file cannot be read, has no description, or its weights do not fit.

    Example:
        >>> network, description = load_model('model.pth')   # doctest: +SKIP
    """
    checkpoint = read_checkpoint(path)
    description = read_description(checkpoint, path)
    try:
        network = build_network(description)
    except InputError as error:
        raise InputError(f'{path}: {error}') from None
    load_weights(network, checkpoint, 'exact', source=str(path), quiet=True)
    return network, description


def read_description(checkpoint: dict[str, Any], path: str | Path) -> ModelDescription:
    """Take the description out of a checkpoint.

    Args:
        checkpoint: What :func:`realmnet.engine.read_checkpoint` returned.
        path: How messages name it.

    Raises:
        InputError: If there is none, it is not valid, or it names other classes than the
            training did.
    """
    meta = checkpoint.get('meta') or {}
    if KEY not in meta:
        raise InputError(
            f'{path}: does not say how it is to be used (classes, size, network); make a file '
            f'that does: python tools/deployment/pack.py {path} --config CONFIG --out model.pth'
        )
    description = ModelDescription.from_json(meta[KEY], str(path))
    trained_on = (meta.get('dataset_meta') or {}).get('classes')
    if trained_on is not None and list(trained_on) != list(description.classes):
        raise InputError(
            f'{path}: its description names the classes {list(description.classes)}, its '
            f'training had {list(trained_on)}; pack it anew from the training checkpoint'
        )
    return description


def pack(
    checkpoint: str | Path,
    out: str | Path,
    config: str | Path | None = None,
    thresholds: str | Path | None = None,
    crop_border: bool | None = None,
) -> Packed:
    """Write a file for inference: no optimizer, no log, no paths of the training's machine.

    Args:
        checkpoint: Of a training.
        out: File to write, ``.pth``.
        config: Configuration to describe the model by, for a checkpoint without description. It
            is executed, as mmengine does: name only your own.
        thresholds: JSON of ``choose_thresholds.py``; where left out, those already inside.
        crop_border: Whether pictures are cropped first; where left out, as in the training.

    Returns:
        What was written.

    Raises:
        InputError: If something cannot be read, does not fit together, or cannot be written.
    """
    out = Path(out)
    if out.suffix != '.pth':
        raise InputError(f'{out}: the file must end in .pth')
    if out.exists() and out.samefile(checkpoint):
        raise InputError(f'{out}: is the checkpoint itself; name another file')
    content = read_checkpoint(checkpoint)
    if config is None:
        description = read_description(content, checkpoint)
    else:
        description = _from_config(content, config)
    if thresholds is not None:
        chosen = read_thresholds(thresholds, description.classes)
        description = replace(description, thresholds=replace(chosen, source=_name(chosen.source)))
    if crop_border is not None:
        preprocessing = replace(description.preprocessing, crop_border=crop_border)
        description = replace(description, preprocessing=preprocessing)
    try:
        network = build_network(description)
        load_weights(network, content, 'exact', source=str(checkpoint), quiet=True)
    except CheckpointError as error:
        raise InputError(str(error)) from None
    digest = _write(out, content['state_dict'], description)
    return Packed(description, digest, sum(p.numel() for p in network.parameters()))


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _from_config(content: dict[str, Any], config: str | Path) -> ModelDescription:
    cfg = load_config(str(config))
    meta = content.get('meta') or {}
    training = describe_training(
        cfg,
        experiment=str(meta.get('experiment_name') or Path(config).stem),
        seed=meta.get('seed'),
        epochs=meta.get('epoch'),
    )
    return describe_config(cfg, meta.get('dataset_meta'), training)


def _write(out: Path, weights: dict[str, Any], description: ModelDescription) -> str:
    buffer = io.BytesIO()
    meta = {
        KEY: description.to_json(),
        'dataset_meta': {
            'classes': description.classes, 'class_names': description.class_names
        },
    }  # fmt: skip
    torch.save({'meta': meta, 'state_dict': weights}, buffer)
    make_folder(out.parent)
    try:
        AtomicBackend().put(buffer.getvalue(), out)
    except OSError as error:
        raise not_writable(out, error) from None
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _name(path: str) -> str:
    """The last part of a path: folders of the training's machine stay there."""
    return path.replace('\\', '/').rpartition('/')[2]
