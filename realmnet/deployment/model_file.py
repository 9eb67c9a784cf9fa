"""A file for inference: weights under their own names, and the description; nothing else."""

from __future__ import annotations

import hashlib
import io
import reprlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from realmnet.curation.outputs import make_folder, not_writable
from realmnet.deployment.description import KEY, ModelDescription
from realmnet.deployment.description_hook import describe_config, describe_training
from realmnet.deployment.network import build_network, outline_network
from realmnet.deployment.training_pictures import training_check
from realmnet.engine.checkpoint_io import CheckpointError, read_checkpoint
from realmnet.engine.config import load_config
from realmnet.engine.storage import AtomicBackend
from realmnet.engine.weights import load_weights
from realmnet.errors import InputError
from realmnet.evaluation.recalibration import read_recalibration
from realmnet.evaluation.thresholds import read_thresholds

# A network may need this many times the bytes of its weights (stored as 8 bits, used as 32), and
# this many more for tables that are computed.
_PRECISION = 4
_SPARE = 2**28


@dataclass(frozen=True)
class Packed:
    """What :func:`pack` wrote.

    Attributes:
        description: As it is in the file.
        sha256: Of the file.
        parameters: Number of parameters.
        unchecked: Why the model has no input check; empty if it has one, or none was wanted.
    """

    description: ModelDescription
    sha256: str
    parameters: int
    unchecked: str = ''


def load_model(path: str | Path) -> tuple[nn.Module, ModelDescription]:
    """Read a checkpoint and build its network, whoever made the file.

    Nothing in the file is executed: it names one of the networks that
    :mod:`realmnet.deployment.network_rules` lists, with arguments from there. Memory is taken only
    after names and shapes fit, and in proportion to the weights in the file.

    Args:
        path: What ``tools/deployment/pack.py`` or a training wrote.

    Returns:
        mmpretrain's ``ImageClassifier`` with the weights, in evaluation mode on the CPU, and the
        description.

    Raises:
        InputError: If the file cannot be read, has no description, or its weights do not fit or
            are not finite.

    Example:
        >>> network, description = load_model('model.pth')   # doctest: +SKIP
    """
    checkpoint = read_checkpoint(path)
    description = read_description(checkpoint, path)
    return network_of(description, checkpoint, path), description


def read_description(checkpoint: dict[str, Any], path: str | Path) -> ModelDescription:
    """Take the description out of a checkpoint.

    Args:
        checkpoint: What :func:`realmnet.engine.read_checkpoint` returned.
        path: How messages name it.

    Raises:
        InputError: If there is none, it is not valid, or it names other classes than the
            training did.
    """
    meta = _mapping(checkpoint, 'meta', path)
    if KEY not in meta:
        raise InputError(
            f'{path}: does not say how it is to be used (classes, size, network); make a file '
            f'that does: python tools/deployment/pack.py {path} --config CONFIG --out model.pth'
        )
    description = ModelDescription.from_json(meta[KEY], str(path))
    trained_on = _trained_on(meta, path).get('classes', description.classes)
    if list(trained_on) != list(description.classes):
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
    input_check: bool = True,
    recalibration: str | Path | None = None,
) -> Packed:
    """Write a file for inference: no optimizer, no log, no paths of the training's machine.

    Its input check is found on the training pictures, where they still are. Otherwise an earlier
    one in the checkpoint stays, or the model has none.

    Args:
        checkpoint: Of a training.
        out: File to write, ``.pth``.
        config: Configuration to describe the model by, for a checkpoint without description. It
            is executed, as mmengine does: name only your own.
        thresholds: JSON of ``choose_thresholds.py``; where left out, those already inside.
        crop_border: Whether pictures are cropped first; where left out, as in the training.
        input_check: Whether the model gets an input check; without, it grades any picture.
        recalibration: JSON of ``recalibrate.py``; where left out, the one already inside.

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
        cfg = load_config(str(config))
        description = describe_by_config(cfg, config, content, checkpoint)
    chosen, fitted = description.thresholds, description.recalibration
    if thresholds is not None:
        chosen = read_thresholds(thresholds, description.classes)
        chosen = replace(chosen, source=_name(chosen.source))
    if recalibration is not None:
        fitted = read_recalibration(recalibration, description.classes)
        fitted = replace(fitted, source=_name(fitted.source))
    description = replace(description, thresholds=chosen, recalibration=fitted)
    if crop_border is not None:
        preprocessing = replace(description.preprocessing, crop_border=crop_border)
        if preprocessing != description.preprocessing:  # limits are for pictures as they were
            description = replace(description, preprocessing=preprocessing, input_check=None)
    network = network_of(description, content, checkpoint)
    unchecked = ''
    if not input_check:
        description = replace(description, input_check=None)
    else:
        text = _mapping(content, 'meta', checkpoint).get('cfg') if config is None else None
        text = text if isinstance(text, str) else None
        pictures = cfg.to_dict() if config is not None else text
        try:
            check = training_check(network, description, pictures)
            description = replace(description, input_check=check)
        except InputError as error:
            unchecked = str(error) if description.input_check is None else ''
    digest = _write(out, content['state_dict'], description)
    return Packed(description, digest, sum(p.numel() for p in network.parameters()), unchecked)


def network_of(
    description: ModelDescription, checkpoint: dict[str, Any], path: str | Path
) -> nn.Module:
    """Build the network of a description with the weights of a checkpoint.

    Memory is taken last, when names and shapes fit.

    Args:
        description: The description, which may come from a stranger.
        checkpoint: What :func:`realmnet.engine.read_checkpoint` returned.
        path: How messages name it.

    Returns:
        mmpretrain's ``ImageClassifier`` with the weights, in evaluation mode on the CPU.

    Raises:
        InputError: If the network cannot be built, or the weights do not fit, are no plain
            numbers or are not finite.
    """
    tensors = {
        name: value for name, value in checkpoint['state_dict'].items()
        if isinstance(value, torch.Tensor)
    }  # fmt: skip
    for name, value in tensors.items():
        dense = value.layout is torch.strided and value.device.type == 'cpu'
        if not dense or value.is_quantized or value.is_complex():
            raise InputError(
                f'{path}: {reprlib.repr(name)} is no plain tensor of numbers; save the weights '
                'as torch.save writes a state_dict on the CPU'
            )
    try:
        outline = outline_network(description)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # that nothing is copied is what is wanted
            load_weights(outline, checkpoint, 'exact', source=str(path), quiet=True)
        # tensors may share a storage, or repeat what little it holds
        storages = [value.untyped_storage() for value in tensors.values()]
        stored = sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
        needed = sum(t.nbytes for t in (*outline.parameters(), *outline.buffers()))
        if needed > _PRECISION * stored + _SPARE:
            raise InputError(
                f'the network needs {needed:,} bytes, far more than the weights in the file; get '
                'it from its source again'
            )
        network = build_network(description)
    except CheckpointError:  # names the file
        raise
    except InputError as error:
        raise InputError(f'{path}: {error}') from None
    load_weights(network, checkpoint, 'exact', source=str(path), quiet=True)
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(
                f'{path}: the weights {name} are not finite, as after a training that diverged; '
                'take an earlier checkpoint'
            )
    return network


def _mapping(content: Mapping[str, Any], key: str, path: str | Path) -> Mapping[str, Any]:
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(
            f'{path}: its {key} must be a mapping and is a {type(value).__name__}; get it from its '
            'source again'
        )
    return value


def _trained_on(meta: Mapping[str, Any], path: str | Path) -> Mapping[str, Any]:
    """``classes`` and ``class_names`` of the training, those that are known."""
    trained_on = {k: v for k, v in _mapping(meta, 'dataset_meta', path).items() if v is not None}
    for key in ('classes', 'class_names'):
        names = trained_on.get(key, ())
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise InputError(
                f'{path}: dataset_meta.{key} must be a list of names; get it from its source again'
            )
    return trained_on


def describe_by_config(
    cfg: Config, config: str | Path, content: dict[str, Any], checkpoint: str | Path
) -> ModelDescription:
    """Describe a checkpoint by the configuration of its training.

    Args:
        cfg: The configuration, which the user trusts.
        config: Its file.
        content: What :func:`realmnet.engine.read_checkpoint` returned.
        checkpoint: How messages name it.

    Raises:
        InputError: As for :func:`describe_config`.
    """
    meta = _mapping(content, 'meta', checkpoint)
    training = describe_training(
        cfg,
        experiment=str(meta.get('experiment_name') or Path(config).stem),
        seed=meta.get('seed'),
        epochs=meta.get('epoch'),
    )
    return describe_config(cfg, _trained_on(meta, checkpoint), training)


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
