"""Decision thresholds: chosen on the development split, kept beside the checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from realmnet.curation.label_schema import DIAGNOSIS_RULES
from realmnet.curation.outputs import write_whole
from realmnet.curation.picture_names import AUTOMATIC, PictureNames
from realmnet.errors import InputError
from realmnet.evaluation.decoding import thresholds_of
from realmnet.evaluation.diagnosis import UNITS, pathologic_myopia
from realmnet.evaluation.predictions import Predictions

RULES = ('F1', 'youden', 'sensitivity')
DEFAULT = 0.5


@dataclass(frozen=True)
class Thresholds:
    """One threshold a class and how they came about.

    Attributes:
        values: Class to threshold; a class predicted when its score is at least this.
        rule: One of :data:`RULES`.
        required: The sensitivity asked for, with the rule ``sensitivity``.
        schema: Classes in the order of the predictions.
        source: File of predictions that they were chosen on.
        images: Number of its images.
        undefined: Classes without positives or without negatives there, left at .5.
        diagnosis: Unit (image, eye, patient) to the threshold of the disease, if it can be told
            from the classes.
        diagnosis_rule: How classes become the score that it is for, ``'max'`` or ``'noisy-or'``.
        recalibration: Digest of the recalibration of the scores; ``''`` for scores as the network
            gives them.
    """

    values: dict[str, float]
    rule: str
    schema: list[str]
    source: str = ''
    images: int = 0
    required: float | None = None
    undefined: list[str] = field(default_factory=list)
    diagnosis: dict[str, float] = field(default_factory=dict)
    diagnosis_rule: str = 'max'
    recalibration: str = ''


def choose_thresholds(
    predictions: Predictions,
    rule: str = 'F1',
    sensitivity: float = 0.95,
    source: str = '',
    diagnosis: str | None = None,
    names: PictureNames = AUTOMATIC,
) -> Thresholds:
    """Choose a threshold for each class.

    ``F1``: highest F1. ``youden``: highest sensitivity + specificity - 1. ``sensitivity``: the
    highest threshold whose sensitivity is at least the one required, which keeps the most
    specificity. Candidates are 0 and midway between neighbouring scores, so that
    a small change of a score at the threshold does not change the decision; of equal candidates
    the lower is taken, which misses fewer.

    Of an exclusive group the class with the highest score is found, whatever its threshold
    (:func:`realmnet.evaluation.findings.findings_of`); its thresholds serve the metrics.

    Args:
        predictions: Of the development split, never of the test split.
        rule: One of :data:`RULES`.
        sensitivity: Required by the rule of that name, in (0, 1].
        source: What the predictions are called in the file.
        diagnosis: Rule of :func:`diagnosis.pathologic_myopia`; the schema's where left out.
        names: How file names tell the eye.

    Returns:
        The thresholds.

    Raises:
        InputError: If the rule is unknown or the sensitivity is not in (0, 1].

    Example:
        >>> p = Predictions(np.array(['a', 'b', 'c']), np.array(['a', 'b', 'c']),
        ...                 np.array([[0.2], [0.4], [0.8]]), np.array([[0], [1], [1]]), ('M',))
        >>> round(choose_thresholds(p).values['M'], 3)
        0.3
    """
    if rule not in RULES:
        raise InputError(f'rule {rule!r} is unknown; use one of {RULES}')
    if not 0 < sensitivity <= 1:
        raise InputError(f'required sensitivity is {sensitivity}, expected above 0 and at most 1')
    values, undefined = {}, []
    for i, name in enumerate(predictions.classes):
        truth = predictions.truth[:, i]
        if truth.min() == truth.max():
            values[name] = DEFAULT
            undefined.append(name)
        else:
            values[name] = _choose(truth, predictions.scores[:, i], rule, sensitivity)
    cuts, schema = {}, predictions.schema
    diagnosis = diagnosis or schema.diagnosis_rule
    if schema.diagnosis:
        for unit in UNITS:
            reduced = pathologic_myopia(predictions, unit, diagnosis, names=names)
            if 0 < reduced.truth.mean() < 1:
                cuts[unit] = _choose(reduced.truth[:, 0], reduced.scores[:, 0], rule, sensitivity)
    return Thresholds(
        values, rule, list(predictions.classes), source, len(predictions),
        sensitivity if rule == 'sensitivity' else None, undefined, cuts,
        diagnosis, predictions.info.get('recalibration', ''),
    )  # fmt: skip


def _choose(truth: np.ndarray, scores: np.ndarray, rule: str, sensitivity: float) -> float:
    distinct, group = np.unique(scores, return_inverse=True)
    positives = np.bincount(group, weights=truth)[::-1].cumsum()[::-1]  # at or above
    claimed = np.bincount(group)[::-1].cumsum()[::-1]
    cut = np.r_[0.0, (distinct[1:] + distinct[:-1]) / 2]
    cut = np.where(np.r_[-1.0, distinct[:-1]] < cut, cut, distinct)  # neighbours one bit apart
    recall = positives / positives[0]
    if rule == 'sensitivity':
        return float(cut[np.flatnonzero(recall >= sensitivity - 1e-12)[-1]])
    if rule == 'F1':
        quality = 2 * positives / (claimed + positives[0])
    else:
        quality = recall - (claimed - positives) / (len(truth) - positives[0])
    return float(cut[np.flatnonzero(quality >= quality.max() - 1e-12)[0]])


def thresholds_path(checkpoint: str | os.PathLike) -> Path:
    """Name the thresholds file of a checkpoint (or predictions file): beside it, same stem.

    Example:
        >>> thresholds_path('work_dirs/run/epoch_50.pth').name
        'epoch_50.thresholds.json'
    """
    checkpoint = Path(checkpoint)
    return checkpoint.with_name(f'{checkpoint.stem}.thresholds.json')


def write_thresholds(thresholds: Thresholds, path: str | os.PathLike) -> None:
    """Write thresholds as JSON; the file appears whole or not at all."""
    write_whole(path, json.dumps(asdict(thresholds), indent=1) + '\n')


def read_thresholds(path: str | os.PathLike, classes: Sequence[str] | None = None) -> Thresholds:
    """Read what :func:`write_thresholds` wrote.

    Args:
        path: The file.
        classes: Classes that they must be for, in any order.

    Raises:
        InputError: If the file is missing, is not such a file, holds a value outside [0, 1], or
            is for other classes.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f'{path}: no such thresholds file; tools/analysis_tools/choose_thresholds.py makes one'
        )
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f'{path}: not a thresholds file ({error})') from None
    return parse_thresholds(content, str(path), classes)


def parse_thresholds(content: Any, place: str, classes: Sequence[str] | None = None) -> Thresholds:
    """Check thresholds that stood in a file.

    Args:
        content: The fields of :class:`Thresholds`.
        place: How messages name the file.
        classes: As for :func:`read_thresholds`.

    Raises:
        InputError: As for :func:`read_thresholds`.
    """
    try:
        thresholds = Thresholds(**content)
        values, diagnosis = (
            {name: float(value) for name, value in cuts.items()}
            for cuts in (thresholds.values, thresholds.diagnosis)
        )
        schema = set(thresholds.schema)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f'{place}: not a thresholds file ({error})') from None
    if thresholds.diagnosis_rule not in DIAGNOSIS_RULES:
        raise InputError(
            f'{place}: diagnosis_rule is {thresholds.diagnosis_rule!r}, expected one of '
            f'{DIAGNOSIS_RULES}'
        )
    bad = [value for value in (*values.values(), *diagnosis.values()) if not 0 <= value <= 1]
    if bad or set(values) != schema or not set(diagnosis) <= set(UNITS):
        raise InputError(
            f'{place}: thresholds must be within [0, 1], one for each of {thresholds.schema}, and '
            f'are {values | diagnosis}'
        )
    if classes is not None and set(classes) != set(values):
        raise InputError(
            f'{place}: thresholds are for {thresholds.schema}, needed are those of {list(classes)}'
        )
    return replace(thresholds, values=values, diagnosis=diagnosis)


def find_thresholds(
    predictions: Predictions, path: str | os.PathLike | None = None
) -> Thresholds | None:
    """Return the thresholds of a file, or those beside the checkpoint of the predictions.

    Args:
        predictions: What they will be applied to; ``info['checkpoint']`` names the checkpoint.
        path: The file; None looks for :func:`thresholds_path` of the checkpoint.

    Returns:
        The thresholds, or None if no file is named and none is there.

    Raises:
        InputError: As for :func:`read_thresholds` and :func:`check_same_scores`.
    """
    if path is None and predictions.info.get('checkpoint'):
        beside = thresholds_path(predictions.info['checkpoint'])
        path = beside if beside.is_file() else None
    if path is None:
        return None
    thresholds = read_thresholds(path, predictions.classes)
    check_same_scores(thresholds, predictions.info.get('recalibration', ''), str(path))
    return thresholds


def check_same_scores(thresholds: Thresholds, recalibration: str, place: str) -> None:
    """Refuse thresholds for scores that were chosen on scores recalibrated otherwise.

    They cannot be carried over: isotonic curves map many scores to one, and classes that are
    recalibrated each by itself change places in the diagnosis and in exclusive groups.

    Args:
        thresholds: The thresholds.
        recalibration: Digest of the recalibration of the scores; ``''`` without one.
        place: How messages name the thresholds.

    Raises:
        InputError: Names the remedy.
    """
    if thresholds.recalibration != recalibration:
        chosen, applied = (
            f'with the recalibration {digest}' if digest else 'without recalibration'
            for digest in (thresholds.recalibration, recalibration)
        )
        raise InputError(
            f'{place}: the thresholds were chosen on scores {chosen}, and are to decide on scores '
            f'{applied}; choose them anew on these (choose_thresholds.py --recalibration FILE)'
        )


def threshold_note(thresholds: Thresholds | float | None) -> str:
    """Say which thresholds decided, in one sentence for the notes of a table.

    Example:
        >>> threshold_note(None)
        'Threshold 0.5 for every class; none was chosen on a development split.'
    """
    if isinstance(thresholds, Thresholds):
        return (
            f'Thresholds by the rule {thresholds.rule} on '
            f'{thresholds.source or "a development split"} ({thresholds.images} images).'
        )
    cut = DEFAULT if thresholds is None else thresholds
    return f'Threshold {cut} for every class; none was chosen on a development split.'


def threshold_caption(thresholds: Thresholds | float | None, classes: Sequence[str]) -> str:
    """Say which thresholds decided, with their values, for the caption of a figure.

    Example:
        >>> chosen = Thresholds({'N': 0.25, 'M': 0.5}, 'F1', ['N', 'M'], 'val.csv', 40)
        >>> threshold_caption(chosen, ['M', 'N'])
        'Thresholds by the rule F1 on val.csv (40 images): M .500, N .250.'
    """
    note = threshold_note(thresholds)
    if not isinstance(thresholds, Thresholds):
        return note
    values = (f'{c} {thresholds.values[c]:.3f}'.replace(' 0.', ' .') for c in classes)
    return f'{note[:-1]}: {", ".join(values)}.'


def cuts_of(thresholds: Thresholds | float | None, classes: Sequence[str]) -> np.ndarray:
    """Return the threshold of each class, shape (C,).

    Example:
        >>> cuts_of(0.3, ['N', 'M']).tolist(), cuts_of(None, ['N']).tolist()
        ([0.3, 0.3], [0.5])
    """
    values = thresholds.values if isinstance(thresholds, Thresholds) else thresholds
    return thresholds_of(DEFAULT if values is None else values, classes)
