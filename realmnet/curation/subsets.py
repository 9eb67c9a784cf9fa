"""Parts of a training list: growing shares for label efficiency, and a few images a class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from realmnet.curation.identifiers import check_distinct
from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.partition import patient_strata
from realmnet.curation.seeds import generator
from realmnet.errors import InputError

#: The paper's Fig. 4a: 10 % to 100 % of the training data.
DEFAULT_SHARES = tuple(round(0.1 * i, 1) for i in range(1, 11))


def nested_subsets(
    patients: np.ndarray,
    labels: np.ndarray,
    schema: LabelSchema,
    shares: Sequence[float] = DEFAULT_SHARES,
    seed: int = 42,
) -> list[np.ndarray]:
    """Draw shares of the patients, each inside the next larger, stratified by dominant label.

    The ``i``-th of the ``n`` shuffled patients of a stratum gets the rank ``(i + u) / n`` with
    one random ``u`` a stratum; all patients are sorted by rank, and a share is the beginning of
    that order. So a share of ``p`` holds ``p * n`` patients of each stratum, give or take one
    or so, and all pictures of each of its patients.

    Args:
        patients: Patient of each row, shape (N,).
        labels: 0/1 matrix of shape (N, C).
        schema: Gives the class names.
        shares: Shares of the patients, each in (0, 1].
        seed: Seed.

    Returns:
        Row positions of each share, ascending, in the order of ``shares``.

    Raises:
        InputError: If a share is not in (0, 1] or leaves no patient.

    Example:
        >>> from realmnet.curation.label_schema import LabelSchema
        >>> labels = np.array([[1, 0]] * 4 + [[0, 1]] * 4)
        >>> half, = nested_subsets(np.arange(8), labels, LabelSchema('s', ('x', 'y')), [0.5])
        >>> labels[half].sum(0).tolist()
        [2, 2]
    """
    names, owner, strata, _ = patient_strata(patients, labels, schema)
    rng = generator(seed)
    rank = np.empty(len(names))
    for stratum in sorted(set(strata)):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        rank[members] = (np.arange(len(members)) + rng.random()) / len(members)
    order = np.argsort(rank, kind='stable')
    subsets = []
    for share in shares:
        number = round(share * len(names)) if 0 < share <= 1 else 0
        if not number:
            raise InputError(
                f'share {share} of {len(names)} patient(s) leaves none; give shares between '
                '0 and 1 (10 % is 0.1)'
            )
        chosen = np.zeros(len(names), bool)
        chosen[order[:number]] = True
        subsets.append(np.flatnonzero(chosen[owner]))
    return subsets


def k_shot(patients: np.ndarray, labels: np.ndarray, k: int, seed: int = 42) -> np.ndarray:
    """Draw images until every class has at least ``k``, rare classes first.

    An image counts for all its labels, so a frequent class may get more than ``k``. Images of
    patients not drawn yet come first, so that the shots of a class are as many eyes as can be.

    Args:
        patients: Patient of each row, shape (N,).
        labels: 0/1 matrix of shape (N, C).
        k: Images a class.
        seed: Seed.

    Returns:
        Row positions, ascending.

    Raises:
        InputError: If ``k`` is not positive or a class has fewer than ``k`` images.

    Example:
        >>> labels = np.array([[1, 0]] * 6 + [[0, 1]] * 3)
        >>> labels[k_shot(np.arange(9), labels, 2)].sum(0).tolist()
        [2, 2]
    """
    if k < 1:
        raise InputError(f'k must be 1 or more, got {k}')
    counts = labels.sum(0, dtype=np.int64)
    if (counts < k).any():
        raise InputError(
            f'{k} images of every class were asked for, the least frequent has {counts.min()}; '
            'ask for fewer'
        )
    rng = generator(seed)
    patients = np.asarray(patients, str)
    check_distinct(patients)
    chosen = np.zeros(len(labels), bool)
    used: set[str] = set()
    for label in np.argsort(counts, kind='stable'):
        bag = rng.permutation(np.flatnonzero(labels[:, label].astype(bool) & ~chosen))
        need = k - int(labels[chosen, label].sum())
        for repeat_patients in (False, True):
            for row in bag:
                if need <= 0:
                    break
                if not chosen[row] and (repeat_patients or patients[row] not in used):
                    chosen[row] = True
                    used.add(patients[row])
                    need -= 1
    return np.flatnonzero(chosen)
