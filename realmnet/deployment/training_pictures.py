"""The input check of a model, found on the pictures that it was trained on, where they are at hand.

A training's checkpoint holds its configuration as text. It is read as data here: only literals
and ``dict(...)`` count, nothing of it is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from realmnet.datasets.label_table_dataset import LabelTableDataset, PSMMDataset
from realmnet.deployment.description import ModelDescription
from realmnet.deployment.input_check import InputCheck
from realmnet.deployment.network import features_and_logits
from realmnet.deployment.torch_inputs import network_inputs
from realmnet.engine.config import datasets
from realmnet.errors import InputError

#: Most training pictures that are looked at, spread evenly over the label files.
MOST_PICTURES = 2000
_DATASETS = {kind.__name__: kind for kind in (LabelTableDataset, PSMMDataset)}
_BATCH = 16


def training_check(
    network: nn.Module, description: ModelDescription, config: Mapping[str, Any] | str | None
) -> InputCheck:
    """Find the limits of a model's input check on its training pictures.

    Args:
        network: The model, in evaluation mode on the CPU.
        description: Its description.
        config: Configuration of the training, or its text as checkpoints hold it.

    Returns:
        The check.

    Raises:
        InputError: If the configuration does not tell the pictures, they are not at hand, fewer
            than nine tenths of those looked at can be read, or they are too few.
    """
    if isinstance(config, str):
        config = read_literals(config)
    files = training_files(config or {})
    chosen = np.unique(np.linspace(0, len(files) - 1, MOST_PICTURES).round().astype(int))
    pictures, problem = [], ''
    for place in chosen:
        try:
            pictures.append(description.preprocessing.read(files[place]))
        except InputError as error:
            problem = problem or str(error)
    if len(pictures) < 0.9 * len(chosen):
        raise InputError(
            f'{len(chosen) - len(pictures)} of {len(chosen)} training pictures cannot be read, '
            f'the first: {problem}'
        )
    return InputCheck.fit(pictures, _features(network, description, pictures))


def training_files(config: Mapping[str, Any]) -> list[Path]:
    """List the training pictures of a configuration, each once, sorted.

    Raises:
        InputError: If it has no training set of this project, or a label file is missing.
    """
    found: set[Path] = set()
    for options in datasets(config, ['train']):
        name = options.get('type')
        kind = _DATASETS.get(name if isinstance(name, str) else getattr(name, '__name__', ''))
        if kind is None:
            raise InputError(f'its training set is a {name}, which this tool cannot list')
        known = ('ann_file', 'data_root', 'data_prefix', 'schema')
        dataset = kind(**{k: options[k] for k in known if k in options}, lazy_init=True)
        if not Path(dataset.ann_file).is_file():
            raise InputError(f'{dataset.ann_file}: no such label file')
        found |= {Path(dataset.img_prefix, name) for name in dataset.read_table().filenames}
    if not found:
        raise InputError('the checkpoint does not tell the pictures of its training')
    return sorted(found)


def read_literals(text: str) -> dict[str, Any]:
    r"""Read assignments of literals out of the text of a configuration; others are passed by.

    Args:
        text: Python, as mmengine's ``Config.pretty_text``; it is not executed.

    Raises:
        InputError: If it is no Python.

    Example:
        >>> read_literals("a = dict(b=[1, -2.5], c='x')\nd = open('file')\n")
        {'a': {'b': [1, -2.5], 'c': 'x'}}
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f'the configuration in the checkpoint is no Python ({error})') from None
    found = {}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = _literal(node.value)
            except (ValueError, RecursionError):
                continue
    return found


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or node.args:
            raise ValueError('only dict(name=value) is read')
        return {item.arg: _literal(item.value) for item in node.keywords}
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {ast.literal_eval(key): _literal(value) for key, value in pairs}
    return ast.literal_eval(node)


@torch.inference_mode()
def _features(
    network: nn.Module, description: ModelDescription, pictures: list[np.ndarray]
) -> np.ndarray:
    rows = []
    for first in range(0, len(pictures), _BATCH):
        batch = np.stack(pictures[first : first + _BATCH])
        inputs = network_inputs(batch, description, torch.device('cpu'))
        rows.append(features_and_logits(network, inputs)[0].double().numpy())
    return np.concatenate(rows)
