"""Building the network that a description names, if it may name it."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from realmnet.deployment.description import ModelDescription
from realmnet.deployment.network_classes import SmallMaps, check_classes, few_modules, try_on_shapes
from realmnet.errors import InputError
from realmnet.models.activation import Groups, probabilities
from realmnet.models.complexity import build_without_memory
from realmnet.models.fit import check_fit


def build_network(description: ModelDescription) -> nn.Module:
    """Build the classifier of a description, with random weights, in evaluation mode.

    It takes the memory that the description asks for: of a file from a stranger, build
    :func:`outline_network` first.

    Args:
        description: The description; its ``network`` is checked again here.

    Returns:
        mmpretrain's ``ImageClassifier``. It takes normalised RGB pictures ``(N, 3, S, S)``: the
        description holds the normalisation.

    Raises:
        InputError: If a class or an argument is not allowed, or the parts cannot be built.
    """
    _check(description)
    parts = copy.deepcopy({k: v for k, v in description.network.items() if k != 'type'})
    with _one_sentence('built'), few_modules():
        return ImageClassifier(**parts).eval()


def outline_network(description: ModelDescription) -> nn.Module:
    """Build the same network of names and shapes only (on the ``meta`` device), and try it.

    Args:
        description: As for :func:`build_network`.

    Raises:
        InputError: As for :func:`build_network`, or if a picture of the description's size does
            not become one score a class.
    """
    _check(description)
    parts = copy.deepcopy(description.network)
    with _one_sentence('built'), few_modules(), SmallMaps():
        network = build_without_memory({**parts, 'type': 'mmpretrain.ImageClassifier'}).eval()
    size, classes = description.preprocessing.size, len(description.classes)
    check_fit(network, size, 'network')
    with _one_sentence(f'used on pictures of {size} px'):
        found = try_on_shapes(network, size)
        if found != (1, classes):
            raise ValueError(f'a picture gives {found}, expected (1, {classes})')
    return network


def features_and_logits(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Run a classifier once and give what its head gets, averaged over places, and its outputs.

    Args:
        network: mmpretrain's ``ImageClassifier``.
        inputs: Normalised pictures, (N, 3, S, S).

    Returns:
        Features (N, D) and logits (N, C); the logits are those of ``mode='tensor'``.
    """
    maps = network.extract_feat(inputs)
    last = maps
    while isinstance(last, tuple | list):
        last = last[-1]
    return (last.flatten(2).mean(2) if last.dim() > 2 else last), network.head(maps)


def scores_and_features(
    network: nn.Module, inputs: Tensor, softmax_groups: Groups
) -> tuple[Tensor, Tensor]:
    """Run a classifier once and give the probabilities (N, C) and the features (N, D).

    Args:
        network: mmpretrain's ``ImageClassifier``.
        inputs: Normalised pictures, (N, 3, S, S).
        softmax_groups: As the label schema says; the loss that says so too is left behind.
    """
    features, logits = features_and_logits(network, inputs)
    return probabilities(logits, softmax_groups), features


def _check(description: ModelDescription) -> None:
    try:
        check_classes(description.network)
    except InputError as error:
        raise InputError(
            f'its description cannot be used: {error}; make the file again with '
            'tools/deployment/pack.py'
        ) from None


@contextlib.contextmanager
def _one_sentence(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # constructors raise whatever a wrong number makes them raise
        reason = ' '.join(str(error).split())[:200]
        raise InputError(
            f'the network of the description cannot be {what} ({type(error).__name__}: {reason}); '
            'make the file again with tools/deployment/pack.py'
        ) from None
