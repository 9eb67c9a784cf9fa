"""Bringing pictures to a network in torch: the device, and what the network takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from realmnet.deployment.description import ModelDescription
from realmnet.errors import InputError


def choose_device(name: str) -> torch.device:
    """Return a device that works.

    Args:
        name: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, or ``'auto'``: a GPU if there is one.

    Raises:
        InputError: If it cannot be used.

    Example:
        >>> choose_device('cpu')
        device(type='cpu')
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} cannot be used ({reason}); use 'cpu'") from None
    return device


def network_inputs(
    pictures: np.ndarray, description: ModelDescription, device: torch.device
) -> Tensor:
    """Normalise preprocessed pictures.

    Args:
        pictures: ``uint8`` RGB of shape (N, size, size, 3).
        description: Holds mean, standard deviation and the order of the channels.
        device: Where the network is.

    Returns:
        ``float32`` of shape (N, 3, size, size), in the layout ``channels_last``.
    """
    mean, std = mean_and_std(description, device)
    inputs = torch.from_numpy(pictures).to(device)
    return normalised(inputs, mean, std, description.channel_order)


def mean_and_std(description: ModelDescription, device: torch.device | str = 'cpu') -> list[Tensor]:
    """Mean and standard deviation of red, green and blue, each of shape (1, 3, 1, 1)."""
    return [
        torch.tensor(values, device=device).view(1, 3, 1, 1)
        for values in (description.mean, description.std)
    ]


def normalised(pictures: Tensor, mean: Tensor, std: Tensor, channel_order: str = 'RGB') -> Tensor:
    """Bring ``uint8`` pictures (N, H, W, 3) to ``float32`` (N, 3, H, W), less mean, by std.

    Args:
        pictures: Red, green, blue.
        mean: Of red, green, blue.
        std: Of red, green, blue.
        channel_order: ``'BGR'`` for a network that takes blue first.

    Example:
        >>> picture = torch.tensor([[[[255, 155, 55]]]], dtype=torch.uint8)
        >>> normalised(picture, torch.tensor(55.0), torch.tensor(100.0), 'BGR').flatten().tolist()
        [0.0, 1.0, 2.0]
    """
    # (N, H, W, C) in memory is what channels_last means: nothing is copied here.
    inputs = (pictures.permute(0, 3, 1, 2).float() - mean) / std
    return inputs.flip(1) if channel_order == 'BGR' else inputs
