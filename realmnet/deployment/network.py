"""Building the network that a description names, from registered classes only."""

from __future__ import annotations

import copy
from typing import Any

import mmpretrain.models  # noqa: F401 (registers its classes)
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from torch import nn

import realmnet.models  # noqa: F401 (registers its classes)
from realmnet.deployment.description import ModelDescription, check_network
from realmnet.errors import InputError

# Where a class that a description names may be defined. What is left out of mmpretrain reads
# files, asks the network or wraps other models.
_MODULES = (
    'mmcv.cnn.',
    'mmpretrain.models.backbones.',
    'mmpretrain.models.heads.',
    'mmpretrain.models.losses.',
    'mmpretrain.models.necks.',
    'mmpretrain.models.utils.norm',
    'realmnet.models.',
    'torch.nn.modules.',
)
_NOT_THESE = ('mmpretrain.models.backbones.timm_backbone',)


def build_network(description: ModelDescription) -> nn.Module:
    """Build the classifier of a description, with random weights, in evaluation mode.

    Args:
        description: The description; its ``network`` is checked again here.

    Returns:
        mmpretrain's ``ImageClassifier``. It takes normalised RGB pictures ``(N, 3, S, S)``: the
        description holds the normalisation.

    Raises:
        InputError: If a class is not registered or not allowed, or an argument is wrong.
    """
    check_network(description.network)
    _check_types(description.network)
    parts = copy.deepcopy({k: v for k, v in description.network.items() if k != 'type'})
    try:
        return ImageClassifier(**parts).eval()
    except (TypeError, ValueError, KeyError, AssertionError, RuntimeError, IndexError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise InputError(
            f'the network of the description cannot be built ({type(error).__name__}: {reason}); '
            'make the file again with tools/deployment/pack.py'
        ) from None


def _check_types(value: Any, place: str = 'network') -> None:
    if isinstance(value, list):
        for item in value:
            _check_types(item, place)
    if not isinstance(value, dict):
        return
    if place != 'network' and 'type' in value:
        found = _registered(value['type'])
        module = f'{getattr(found, "__module__", "")}'
        if found is None or not module.startswith(_MODULES) or module.startswith(_NOT_THESE):
            raise InputError(
                f'{place}.type names {value["type"]!r}, which is not among the registered '
                'classes that a description may name'
            )
    for key, item in value.items():
        _check_types(item, f'{place}.{key}')


def _registered(name: str) -> type | None:
    """Look a name up among registered classes; the registry's own way would import a path."""
    registry = MODELS
    while registry is not None:
        if name in registry.module_dict:
            return registry.module_dict[name]
        registry = registry.parent
    return None
