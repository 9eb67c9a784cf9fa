"""A very small model, as a file for inference, for tests of several rooms."""

from pathlib import Path

import cv2
import numpy as np
import torch

from realmnet.curation.label_schema import PSMM
from realmnet.deployment.description import KEY, ModelDescription, Preprocessing
from realmnet.deployment.network import build_network

NETWORK = {
    'type': 'ImageClassifier',
    'backbone': {
        'type': 'RealMTinyViT',
        'arch': {'channels': [8, 8, 16, 16], 'num_heads': [1, 1, 2, 2], 'depths': [1, 1, 1, 1]},
        'img_size': 64,
        'window_size': [2, 2, 4, 2],
        'drop_path_rate': 0.0,
        'gap_before_final_norm': False,
    },
    'head': {
        'type': 'ResidualAttentionHead', 'num_classes': 7, 'in_channels': 16, 'num_heads': 2,
        'lam': 1.2,
    },
}  # fmt: skip


def small_description(classes=PSMM.classes, **fields) -> ModelDescription:
    head = {**NETWORK['head'], 'num_classes': len(classes)}
    return ModelDescription(
        **{
            'classes': tuple(classes),
            'preprocessing': Preprocessing(64, 'area'),
            'network': {**NETWORK, 'head': head},
            **fields,
        }
    )


def write_model(path: Path, description: ModelDescription | None = None, meta=None) -> Path:
    """Random weights, the same ones each time, whose scores depend on the picture."""
    description = description or small_description()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = build_network(description).train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # running statistics are plain means
        for _ in range(3):  # so that batch norm passes differences on
            patches = torch.rand(16, 3, 4, 4)
            network(torch.nn.functional.interpolate(patches, size=64), mode='tensor')
        network.eval()
    meta = {KEY: description.to_json()} if meta is None else meta
    torch.save({'meta': meta, 'state_dict': network.state_dict()}, path)
    return path


def patches(seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    """A picture of 16 coloured fields, ``uint8`` RGB."""
    fields = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return cv2.resize(fields, (width, height), interpolation=cv2.INTER_NEAREST)
