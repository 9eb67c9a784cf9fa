"""Random numbers from the seed that a user names."""

from __future__ import annotations

import numpy as np

from realmnet.errors import InputError


def generator(seed: int) -> np.random.Generator:
    """Return NumPy's generator for a seed.

    Args:
        seed: 0 to 2**32 - 1, the range that scikit-learn accepts too.

    Raises:
        InputError: If the seed is out of range.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f'the seed must lie between 0 and {2**32 - 1}, got {seed}')
    return np.random.default_rng(seed)
