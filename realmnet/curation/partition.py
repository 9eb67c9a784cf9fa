"""Splits in which no patient is on two sides.

:func:`stratified_partition` is the paper's (section 4.1.2): every patient gets one pseudo-class,
the label that is most frequent over the patient's pictures, and patients are divided stratum by
stratum.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from realmnet.curation.identifiers import check_distinct
from realmnet.curation.imbalance import irlbl, label_set_codes, label_set_name
from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.seeds import generator
from realmnet.errors import InputError

TIES = ('rarest', 'labelset')


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
    ratios = check_ratios(ratios)
    names, owner = _owners(patients, len(ratios))
    order = generator(seed).permutation(len(names))
    cuts = np.round(np.cumsum(ratios)[:-1] * len(names)).astype(int)
    splits = np.empty(len(names), dtype=int)
    for number, members in enumerate(np.split(order, cuts)):
        splits[members] = number
    return _rows(splits, owner, len(ratios))


@dataclass(frozen=True)
class Partition:
    """A division of rows by patient.

    Attributes:
        rows: Row positions of each split, ascending; every row is in exactly one.
        strata: Number of patients of each stratum, after merging.
        merged: Strata that were too small on their own, with their number of patients.
        tied: Patients whose dominant label is not unique.
        missing: Classes of each split that occur in the table but not in the split; empty if
            labels were not looked at.
    """

    rows: list[np.ndarray]
    strata: dict[str, int] = field(default_factory=dict)
    merged: dict[str, int] = field(default_factory=dict)
    tied: int = 0
    missing: list[list[str]] = field(default_factory=list)

    def lacking(self, names: Sequence[str] | None = None) -> list[str]:
        """Say which split has no picture of which classes.

        Args:
            names: What the splits are called; their numbers where left out.
        """
        names = names or [f'split {number}' for number in range(1, len(self.rows) + 1)]
        pairs = zip(names, self.missing, strict=False)
        return [f'{name} has no picture of {", ".join(lost)}' for name, lost in pairs if lost]


def patient_strata(
    patients: np.ndarray, labels: np.ndarray, schema: LabelSchema, ties: str = 'rarest'
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Give each patient the pseudo-class that stratification uses.

    Args:
        patients: Patient of each row, shape (N,).
        labels: 0/1 matrix of shape (N, C).
        schema: Gives the class names.
        ties: If several labels are equally frequent, ``rarest`` takes the one with the largest
            IRLbl in the whole table, ``labelset`` makes the set of tied labels a stratum of its
            own. The paper does not say; in PSMM 3,750 of 4,560 patients tie, since every
            picture has an S and an A label.

    Returns:
        Patient names, sorted (P,); the row's position among them (N,); the name of each
        patient's stratum (P,); the number of patients with a tie.

    Raises:
        InputError: If ``ties`` is unknown.
    """
    if ties not in TIES:
        raise InputError(f'ties must be one of {list(TIES)}, got {ties!r}')
    names, owner = _owners(patients, 1)
    counts = np.zeros((len(names), labels.shape[1]), np.int64)
    np.add.at(counts, owner, labels.astype(np.int64))
    top = (counts == counts.max(1, keepdims=True)) & (counts > 0)
    tied = int((top.sum(1) > 1).sum())
    if ties == 'rarest':
        ratios = np.where(np.isfinite(irlbl(labels)), irlbl(labels), 0.0)
        winner = np.where(top, ratios, -1.0).argmax(1)
        top &= np.arange(labels.shape[1]) == winner[:, None]
    rows, codes = label_set_codes(top)
    strata = np.array([label_set_name(row, schema) for row in rows], dtype=object)[codes]
    return names, owner, strata, tied


def stratified_partition(
    patients: np.ndarray,
    labels: np.ndarray,
    schema: LabelSchema,
    ratios: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 42,
    ties: str = 'rarest',
) -> Partition:
    """Divide patients by ratio within strata of their dominant label.

    Patients are shuffled within strata, strata follow one another, and each patient goes to the
    split that is furthest behind its ratio. So every split gets exactly ``ratio * P`` patients
    where that is a whole number, and within two of its share of each stratum. Strata with fewer
    patients than ``1 / smallest ratio`` could miss a split: they are merged into one.

    Source: the paper, section 4.1.2; how it broke ties is not stated (see
    :func:`patient_strata`).

    Args:
        patients: Patient of each row, shape (N,).
        labels: 0/1 matrix of shape (N, C).
        schema: Gives the class names.
        ratios: Share of each split in the patients; they sum to 1.
        seed: Seed of the shuffle. The order of rows is irrelevant.
        ties: See :func:`patient_strata`.

    Returns:
        The partition, one entry of ``rows`` a ratio.

    Raises:
        InputError: If the ratios do not sum to 1, one is not positive, ``ties`` is unknown, or
            there are fewer patients than splits.

    Example:
        >>> from realmnet.curation.label_schema import LabelSchema
        >>> labels = np.array([[1, 0]] * 5 + [[0, 1]] * 5)
        >>> parts = stratified_partition(np.arange(10), labels, LabelSchema('s', ('x', 'y')),
        ...                              (0.6, 0.4), seed=0)
        >>> [labels[rows].sum(0).tolist() for rows in parts.rows]
        [[3, 3], [2, 2]]
    """
    ratios = check_ratios(ratios)
    names, owner, strata, tied = patient_strata(patients, labels, schema, ties)
    if len(names) < len(ratios):
        raise InputError(
            f'{len(names)} patient(s) cannot fill {len(ratios)} splits; give more patients'
        )
    strata, merged = _merge_small(strata, int(np.ceil(1 / ratios.min() - 1e-9)))
    rng = generator(seed)
    splits = np.empty(len(names), int)
    lag = np.zeros(len(ratios))
    for stratum in sorted(set(strata)):
        for patient in rng.permutation(np.flatnonzero(strata == stratum)):
            lag += ratios
            # rounding hides float noise, so that equal lags are broken by position
            splits[patient] = np.round(lag, 9).argmax()
            lag[splits[patient]] -= 1
    sizes = {str(s): int((strata == s).sum()) for s in sorted(set(strata))}
    rows = _rows(splits, owner, len(ratios))
    return Partition(rows, sizes, merged, tied, missing_classes(rows, labels, schema.classes))


def group_k_fold(
    patients: np.ndarray,
    labels: np.ndarray,
    ratios: Sequence[float],
    seed: int = 42,
    classes: Sequence[str] | None = None,
) -> Partition:
    """Divide with scikit-learn's ``StratifiedGroupKFold`` instead, stratifying pictures.

    It balances the label sets of the *pictures* greedily and lets the numbers of patients go
    where they may. The splits are taken off one after another, each from as many folds as
    its share of what is left needs (10, then 2, for .7/.15/.15).

    Args:
        patients: Patient of each row, shape (N,).
        labels: 0/1 matrix of shape (N, C).
        ratios: Share of each split in the pictures; each share of what is left must be a
            multiple of 1/K for some K up to 20.
        seed: Seed of the shuffle.
        classes: Class names, for :attr:`Partition.missing`; their numbers where left out.

    Returns:
        The partition, one entry of ``rows`` a ratio.

    Raises:
        InputError: If the ratios are no multiples of such a fraction or there are fewer patients
            than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    ratios = check_ratios(ratios)
    generator(seed)
    names, owner = _owners(patients, len(ratios))
    _, codes = label_set_codes(labels)
    splits = np.full(len(names), len(ratios) - 1)
    rest = np.arange(len(owner))
    for number, ratio in enumerate(ratios[:-1]):
        share = ratio / ratios[number:].sum()
        folds = next((k for k in range(2, 21) if np.isclose(share * k, round(share * k))), None)
        if folds is None:
            raise InputError(
                f'ratios {ratios.tolist()} cannot be made from at most 20 equal folds; use '
                'multiples of 0.05 or the default method'
            )
        if folds > len(set(owner[rest])):
            raise InputError(
                f'{len(set(owner[rest]))} patient(s) cannot fill {folds} folds; give more patients '
                'or use the default method'
            )
        if folds > np.bincount(codes[rest]).max():
            raise InputError(
                f'no label set has the {folds} pictures that {folds} folds need; use the default '
                'method'
            )
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # rare label sets have fewer pictures than folds; that is expected here
            warnings.filterwarnings('ignore', message='The least populated class')
            held_out = [test for _, test in splitter.split(rest, codes[rest], owner[rest])]
        taken = np.concatenate(held_out[: round(share * folds)])
        splits[owner[rest[taken]]] = number
        rest = np.delete(rest, taken)
    rows = _rows(splits, owner, len(ratios))
    if classes is None:
        classes = [f'class {number}' for number in range(1, labels.shape[1] + 1)]
    return Partition(rows, missing=missing_classes(rows, labels, classes))


def missing_classes(
    rows: Sequence[np.ndarray], labels: np.ndarray, classes: Sequence[str]
) -> list[list[str]]:
    """List the classes that a split lacks though the table has them, and warn of it.

    Args:
        rows: Row positions of each split.
        labels: 0/1 matrix of shape (N, C).
        classes: The C class names.

    Returns:
        One list a split.

    Example:
        >>> labels = np.array([[1, 0, 0], [1, 1, 0]])
        >>> with warnings.catch_warnings(action='ignore'):
        ...     missing_classes([np.array([0]), np.array([1])], labels, ['x', 'y', 'z'])
        [['y'], []]
    """
    present = np.array([labels[part].any(0) for part in rows])
    lost = labels.any(0) & ~present
    missing = [[str(classes[c]) for c in np.flatnonzero(row)] for row in lost]
    if lost.any():
        sentences = Partition(list(rows), missing=missing).lacking()
        warnings.warn(f'{"; ".join(sentences)}', stacklevel=3)
    return missing


def check_ratios(ratios: Sequence[float]) -> np.ndarray:
    """Return the ratios as an array if they are positive and sum to 1.

    Raises:
        InputError: Otherwise.
    """
    ratios = np.asarray(ratios, dtype=float)
    if not len(ratios) or not (ratios > 0).all() or not np.isclose(ratios.sum(), 1):
        raise InputError(
            f'ratios {ratios.tolist()} must be positive and sum to 1; they sum to {ratios.sum():g}'
        )
    return ratios


def check_no_other_split(folder: str | Path, names: Sequence[str]) -> None:
    """Refuse a folder with splits of another partition, whose patients would be in two splits.

    Args:
        folder: Where the new splits go; it need not exist.
        names: The new splits, which replace files of their names.

    Raises:
        InputError: If another ``train``, ``val``, ``test`` or ``fold_K`` list lies there.
    """
    splits = re.compile(r'(train|val|test|fold_\d+)\.csv')
    found = sorted(path.name for path in Path(folder).glob('*.csv') if splits.fullmatch(path.name))
    if others := [name for name in found if name.removesuffix('.csv') not in names]:
        raise InputError(
            f'{folder}: holds {", ".join(others)} of another partition, whose patients would be in '
            'two splits; remove them or name another folder'
        )


def _owners(patients: np.ndarray, splits: int) -> tuple[np.ndarray, np.ndarray]:
    names, owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    check_distinct(names)
    if len(names) < splits:
        raise InputError(f'{len(names)} patient(s) cannot fill {splits} splits')
    return names, owner


def _rows(splits: np.ndarray, owner: np.ndarray, number: int) -> list[np.ndarray]:
    rows = [np.flatnonzero(splits[owner] == split) for split in range(number)]
    if empty := [i for i, part in enumerate(rows, 1) if not len(part)]:
        raise InputError(
            f'{splits.size} patient(s) leave split(s) {empty} of {number} empty; give more '
            'patients or larger ratios'
        )
    return rows


def _merge_small(strata: np.ndarray, least: int) -> tuple[np.ndarray, dict[str, int]]:
    """Join strata with fewer than ``least`` patients, with the next smallest if need be."""
    names, counts = np.unique(strata.astype(str), return_counts=True)
    order = np.argsort(counts, kind='stable')
    small = [int(i) for i in order if counts[i] < least]
    while small and counts[small].sum() < least and len(small) < len(names):
        small.append(int(order[len(small)]))
    if len(small) < 2:
        return strata, {}
    merged = {str(names[i]): int(counts[i]) for i in small}
    strata = strata.copy()
    strata[np.isin(strata.astype(str), list(merged))] = 'merged'
    return strata, merged
