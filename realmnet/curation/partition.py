"""Splits in which no patient is on two sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from realmnet.errors import InputError


def split_patients(patients: np.ndarray, ratios: Sequence[float], seed: int) -> list[np.ndarray]:
    """Divide rows into splits by patient.

    Patients are shuffled and cut at the cumulative ratios, so a split holds its share of the
    *patients*; its share of the pictures varies with how many pictures each has.

    Args:
        patients: Patient of each row, shape (N,).
        ratios: Share of each split; they sum to 1.
        seed: Seed of the shuffle. Patients are sorted first, so the order of rows is irrelevant.

    Returns:
        Row positions of each split in ascending order; every row is in exactly one.

    Raises:
        InputError: If the ratios do not sum to 1, one is not positive, or there are fewer
            patients than splits.

    Example:
        >>> train, test = split_patients(np.array(['a', 'a', 'b', 'c']), (0.7, 0.3), seed=0)
        >>> sorted([*train, *test]) == [0, 1, 2, 3]
        True
    """
    ratios = np.asarray(ratios, dtype=float)
    if (ratios <= 0).any() or not np.isclose(ratios.sum(), 1):
        raise InputError(f'ratios {ratios.tolist()} must be positive and sum to 1')
    names, owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if len(names) < len(ratios):
        raise InputError(f'{len(names)} patient(s) cannot fill {len(ratios)} splits')
    order = np.random.default_rng(seed).permutation(len(names))
    cuts = np.round(np.cumsum(ratios)[:-1] * len(names)).astype(int)
    splits = np.empty(len(names), dtype=int)
    for number, members in enumerate(np.split(order, cuts)):
        splits[members] = number
    return [np.flatnonzero(splits[owner] == number) for number in range(len(ratios))]
