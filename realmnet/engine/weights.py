"""Putting weights into a model, with a word on everything that did not fit."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from .checkpoint_io import CheckpointError

_SHOWN = 20
#: Share of a backbone's tensors that a file must bring to initialise it.
LEAST_SHARE = 0.9


@dataclass
class LoadReport:
    """What happened to each tensor: loaded, missing in the file, unknown or of another shape.

    ``loaded`` leaves out the batch counters of batch norm.
    """

    loaded: int = 0
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every key and shape of the model and of the file agree."""
        return not (self.missing or self.unexpected or self.mismatched)

    def differences(self) -> str:
        """One indented paragraph for each kind of difference; empty when there is none."""
        kinds = (
            ('missing in the file', self.missing),
            ('not in the model', self.unexpected),
            ('of another shape (file -> model)', self.mismatched),
        )
        lines = []
        for title, names in kinds:
            if names:
                lines.append(f'  {len(names)} {title}:')
                lines.extend(f'    {name}' for name in names[:_SHOWN])
                if len(names) > _SHOWN:
                    lines.append(f'    ... and {len(names) - _SHOWN} more')
        return '\n'.join(lines)


def unwrap(model: nn.Module) -> nn.Module:
    """Return the network inside data-parallel and test-time-augmentation wrappers."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def load_weights(
    model: nn.Module,
    checkpoint: Mapping[str, Any],
    purpose: Literal['init', 'exact'] = 'init',
    prefix: str | None = None,
    source: str = 'the checkpoint',
    quiet: bool = False,
) -> LoadReport:
    """Copy a checkpoint's tensors into ``model``.

    Shapes are compared after the model's own loading hooks, so a backbone that resizes its
    bias tables is judged by the resized ones.

    Args:
        model: the network; wrappers are looked through.
        checkpoint: what :func:`read_checkpoint` returned.
        purpose: ``'exact'`` (test, resume) demands every key and shape; ``'init'`` loads what
            fits, logs what does not, and demands :data:`LEAST_SHARE` of the backbone's tensors:
            the head may be for other classes.
        prefix: take the keys below ``prefix.`` and drop the prefix, as when ``model`` is the
            backbone of what was saved; a file without such keys is taken as it is.
        source: how messages name the file.
        quiet: log nothing when everything fits.

    Returns:
        The account of what was loaded.

    Raises:
        CheckpointError: with the first differences, as ``purpose`` demands.
        ValueError: for an unknown ``purpose``.
    """
    if purpose not in ('init', 'exact'):
        raise ValueError(f"purpose is 'init' or 'exact', got {purpose!r}.")
    model = unwrap(model)
    state_dict = checkpoint['state_dict']
    for outer in ('module', prefix):
        if outer is not None:
            state_dict = _below(state_dict, outer)
    report = _copy_what_fits(model, state_dict)
    title = f'{source}: {report.loaded} tensors fit {type(model).__name__}'
    if purpose == 'exact' and not report.complete:
        raise CheckpointError(
            f'{title}, but test and resume demand every key and shape; check that the '
            f'configuration is the one the weights were trained with.\n{report.differences()}'
        )
    if purpose == 'init':
        check_share(model, report, state_dict, source)
    if quiet and report.complete:
        return report
    rest = f', except\n{report.differences()}' if not report.complete else ', nothing is left over'
    print_log(f'{title}{rest}', logger='current')
    return report


def check_share(
    model: nn.Module, report: LoadReport, state_dict: Mapping[str, Any], source: str
) -> None:
    """Refuse weights that would initialise only a part of a backbone.

    Args:
        model: The backbone, or a model whose ``backbone`` alone counts.
        report: What was loaded into it.
        state_dict: The file's tensors, for the hint.
        source: How messages name the file.

    Raises:
        CheckpointError: If less than :data:`LEAST_SHARE` of the tensors fit.
    """
    lacking = {*report.missing, *(text.split(' ')[0] for text in report.mismatched)}
    counted = [key for key in model.state_dict() if not key.endswith('num_batches_tracked')]
    if any(key.startswith('backbone.') for key in counted):
        counted = [key for key in counted if key.startswith('backbone.')]
    fit = len(set(counted) - lacking)
    if fit < LEAST_SHARE * len(counted):
        raise CheckpointError(
            f'{source}: {fit} of the {len(counted)} tensors of the backbone fit '
            f'{type(model).__name__}, expected nine tenths or more, so these are not weights for '
            f'this model: {_kind_of(state_dict, len(report.mismatched))}.\n{report.differences()}'
        )


def _kind_of(state_dict: Mapping[str, Any], mismatched: int) -> str:
    """Say what a file looks like, and what to do."""
    converter = 'convert them with tools/model_converters/tinyvit_to_mmpretrain.py'
    keys = [key.removeprefix('backbone.').removeprefix('model.') for key in state_dict]
    if any(key.startswith('timm_model.') for key in keys):
        return 'they are of a TimmFeatures backbone; take the configuration of that training'
    if any(re.match(r'patch_embed\.conv1\.conv\.weight|stages\.\d+\.blocks.*\.conv\.weight', key)
           for key in keys):  # fmt: skip
        return f"the names are timm's TinyViT's; {converter}"
    if any(re.match(r'patch_embed\.seq\.0\.c\.weight|layers\.\d+\.blocks', key) for key in keys):
        return f"the names are those of TinyViT's own repository; {converter}"
    if mismatched:
        return (
            f'{mismatched} tensors have another shape; take weights of the same architecture '
            '(arch), or set it'
        )
    return 'take weights with the names that this backbone has in mmpretrain'


def _below(state_dict: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    """Keys below ``prefix.`` without it, module versions included; all keys if there is none."""
    start = f'{prefix}.'
    inside = OrderedDict(
        (key[len(start) :], value) for key, value in state_dict.items() if key.startswith(start)
    )
    if not inside:
        return state_dict
    versions = getattr(state_dict, '_metadata', None)
    if versions is not None:
        inside._metadata = OrderedDict(
            (key[len(start) :], value) for key, value in versions.items() if key.startswith(start)
        )
        inside._metadata[''] = versions.get(prefix, {})
    return inside


def _copy_what_fits(model: nn.Module, state_dict: Mapping[str, Any]) -> LoadReport:
    mismatched: dict[str, str] = {}
    # A hook registered last runs after the module's own hooks and after any overridden
    # `_load_from_state_dict`: it sees exactly what would be copied.
    handles = [
        module.register_load_state_dict_pre_hook(partial(_set_mismatches_aside, mismatched))
        for module in model.modules()
    ]
    try:
        missing, unexpected = model.load_state_dict(state_dict, strict=False)
    finally:
        for handle in handles:
            handle.remove()
    # A file without versions of its modules leaves batch norm to fill in its own counters, and
    # counters fit every model: they say nothing about the weights.
    own = [key for key in model.state_dict() if not key.endswith('num_batches_tracked')]
    return LoadReport(
        loaded=len(set(own) - set(missing)),
        missing=[key for key in missing if key not in mismatched],
        unexpected=list(unexpected),
        mismatched=[f'{key} {shapes}' for key, shapes in mismatched.items()],
    )


def _set_mismatches_aside(
    mismatched: dict[str, str],
    module: nn.Module,
    state_dict: dict[str, Any],
    prefix: str,
    *_: Any,
) -> None:
    own = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
    for name, mine in own.items():
        key = prefix + name
        theirs = state_dict.get(key)
        if theirs is None:
            continue
        if not isinstance(theirs, torch.Tensor):
            shape = type(theirs).__name__
        elif theirs.shape == mine.shape or (mine.dim() == 0 and theirs.shape == (1,)):
            continue
        else:
            shape = tuple(theirs.shape)
        mismatched[key] = f'{shape} -> {tuple(mine.shape)}'
        del state_dict[key]
