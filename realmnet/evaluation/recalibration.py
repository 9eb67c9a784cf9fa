"""Recalibration: scores made to mean what they say, chosen on development data.

What is fitted (:mod:`realmnet.evaluation.calibration`) is kept beside the checkpoint, travels in
a packed model, and is applied to the probabilities before any threshold.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from realmnet.curation.outputs import write_whole
from realmnet.errors import InputError
from realmnet.evaluation.findings import logit
from realmnet.evaluation.predictions import Predictions

METHODS = ('temperature', 'logistic', 'isotonic')
#: Steps that an isotonic curve may have.
MOST_KNOTS = 1000
#: Range of the slopes, and so of 1 / temperature; and of the intercepts.
SLOPES, INTERCEPTS = (0.02, 50.0), (-50.0, 50.0)

_SMALLEST = 1e-12  # of a probability, before its logarithm


@dataclass(frozen=True)
class Recalibration:
    """One rising curve for each class, from a score to a probability, and where it comes from.

    ``temperature``: logit(q) = logit(p) / T (Guo et al. 2017). ``logistic``: logit(q) = a logit(p)
    + b (Platt 1999; Cox 1958). ``isotonic``: a rising curve through knots, straight between them
    (Zadrozny and Elkan 2002). In a group whose scores add up to 1, temperature acts on all of
    them, q_c = p_c^(1/T) / sum_k p_k^(1/T), and isotonic curves are divided by their sum.

    Attributes:
        method: One of :data:`METHODS`.
        schema: Classes of the predictions.
        curves: Class to ``[slope, intercept]``, the slope being 1 / T; isotonic: to its knots
            ``[[score, probability], ...]``. A class that is not named stays as it is.
        groups: Classes of each group whose scores add up to 1.
        source: File of predictions that it was fitted on.
        images: Number of its images.
        positives: Class to the number of its positives there.
    """

    method: str
    schema: list[str]
    curves: dict[str, list]
    groups: list[list[str]] = field(default_factory=list)
    source: str = ''
    images: int = 0
    positives: dict[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What tells one recalibration from another: a digest of all that changes a score."""
        content = json.dumps([self.method, self.curves, sorted(self.groups)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def note(self) -> str:
        """Say what was done to the scores, in one sentence.

        Example:
            >>> Recalibration('isotonic', ['M'], {}, source='val.csv', images=40).note
            'Scores recalibrated by isotonic curves fitted on val.csv (40 images).'
        """
        how = {'temperature': 'temperature', 'logistic': 'logistic curves'}.get(self.method)
        kept = [name for name in self.schema if name not in self.curves] if self.curves else []
        text = (
            f'Scores recalibrated by {how or "isotonic curves"} fitted on '
            f'{self.source or "a development split"} ({self.images} images)'
        )
        return f'{text}; left as they were: {", ".join(kept)}.' if kept else f'{text}.'

    def apply(self, scores: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """Recalibrate scores.

        Args:
            scores: Probabilities, shape (N, C).
            classes: Their classes, those of :attr:`schema` in any order.

        Returns:
            Probabilities of the same shape; NaN stays NaN.

        Raises:
            InputError: If the classes are others.

        Example:
            >>> half = Recalibration('temperature', ['M'], {'M': [0.5, 0.0]})    # T = 2
            >>> half.apply(np.array([[0.9], [0.5]]), ['M']).round(3).tolist()    # sqrt(9) : 1
            [[0.75], [0.5]]
        """
        classes = list(classes)
        if set(classes) != set(self.schema):
            raise InputError(
                f'the recalibration is for {self.schema}, the scores are of {classes}; take the '
                'file of this model'
            )
        result = np.array(scores, dtype=float)
        grouped = {name for group in self.groups for name in group}
        for name, curve in self.curves.items():
            column = classes.index(name)
            score = result[:, column]
            if self.method == 'isotonic':
                result[:, column] = np.interp(score, *np.transpose(curve))
            else:
                slope, intercept = curve
                log = _log(score) if name in grouped else logit(score)
                moved = slope * log + intercept
                result[:, column] = np.exp(moved) if name in grouped else expit(moved)
        for group in self.groups:
            if group[0] in self.curves:
                columns = [classes.index(name) for name in group]
                result[:, columns] /= result[:, columns].sum(1, keepdims=True)
        return result


def recalibrated(predictions: Predictions, recalibration: Recalibration) -> Predictions:
    """Return predictions with recalibrated scores, which say so.

    Raises:
        InputError: If they are recalibrated already, or of other classes.
    """
    refuse_recalibrated(predictions)
    scores = recalibration.apply(predictions.scores, predictions.classes)
    said = {'recalibration': recalibration.digest, 'recalibration_note': recalibration.note}
    return replace(predictions, scores=scores, info=predictions.info | said)


def refuse_recalibrated(predictions: Predictions) -> None:
    """Refuse predictions whose scores say to be recalibrated.

    Raises:
        InputError: Names the remedy.
    """
    if predictions.info.get('recalibration'):
        raise InputError(
            'the scores are recalibrated already; take the predictions that tools/test.py wrote'
        )


def recalibration_path(checkpoint: str | os.PathLike) -> Path:
    """Name the recalibration file of a checkpoint: beside it, same stem.

    Example:
        >>> recalibration_path('work_dirs/run/epoch_50.pth').name
        'epoch_50.recalibration.json'
    """
    checkpoint = Path(checkpoint)
    return checkpoint.with_name(f'{checkpoint.stem}.recalibration.json')


def find_recalibration(
    predictions: Predictions, path: str | os.PathLike | None = None
) -> Predictions:
    """Recalibrate by a file, or by the one beside the checkpoint of the predictions.

    Args:
        predictions: Scores of the model; ``info['checkpoint']`` names the checkpoint.
        path: The file; None looks for :func:`recalibration_path` of the checkpoint.

    Returns:
        The predictions, recalibrated if a file is named or there.

    Raises:
        InputError: As for :func:`read_recalibration` and :func:`recalibrated`.
    """
    if path is None and predictions.info.get('checkpoint'):
        beside = recalibration_path(predictions.info['checkpoint'])
        told = predictions.info.get('recalibration')
        path = beside if beside.is_file() and not told else None
    if path is None:
        return predictions
    return recalibrated(predictions, read_recalibration(path, predictions.classes))


def write_recalibration(recalibration: Recalibration, path: str | os.PathLike) -> None:
    """Write a recalibration as JSON; the file appears whole or not at all."""
    write_whole(path, json.dumps(asdict(recalibration), indent=1) + '\n')


def read_recalibration(
    path: str | os.PathLike, classes: Sequence[str] | None = None
) -> Recalibration:
    """Read what :func:`write_recalibration` wrote.

    Args:
        path: The file.
        classes: Classes that it must be for, in any order.

    Raises:
        InputError: If the file is missing, or :func:`parse_recalibration` refuses it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f'{path}: no such recalibration file; tools/analysis_tools/recalibrate.py makes one'
        )
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise InputError(f'{path}: not a recalibration file ({error})') from None
    return parse_recalibration(content, str(path), classes)


def parse_recalibration(
    content: Any, place: str, classes: Sequence[str] | None = None
) -> Recalibration:
    """Check a recalibration that stood in a file.

    Args:
        content: The fields of :class:`Recalibration`.
        place: How messages name the file.
        classes: Classes that it must be for, in any order.

    Raises:
        InputError: If a field is missing, of a wrong type or unknown; a class is none of its
            own or of ``classes``; a number is not finite or out of range; a curve does not rise
            or has more than :data:`MOST_KNOTS` knots; or a group is not treated as one.
    """
    names = {f.name for f in fields(Recalibration)}
    if not isinstance(content, Mapping) or set(content) != names:
        found = sorted(map(str, content)) if isinstance(content, Mapping) else type(content)
        raise InputError(
            f'{place}: not a recalibration: it must hold {sorted(names)}, found '
            f'{reprlib.repr(found)}'
        )
    try:
        result = Recalibration(**content)
        if problem := _problem(result):
            raise InputError(f'{place}: not a recalibration: {problem}')
    except (TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f'{place}: not a recalibration ({error})') from None
    if classes is not None and set(classes) != set(result.schema):
        raise InputError(
            f'{place}: the recalibration is for {result.schema}, needed is one of {list(classes)}'
        )
    return result


def _problem(one: Recalibration) -> str:
    """Say what is wrong with the fields; empty if nothing is."""
    if one.method not in METHODS:
        return f'method is {reprlib.repr(one.method)}, expected one of {METHODS}'
    if not _are_names(one.schema) or not one.schema:
        return f'schema must be a list of names, each once, got {reprlib.repr(one.schema)}'
    if not isinstance(one.source, str) or type(one.images) is not int or one.images < 0:
        return 'source must be text and images a number of images'
    for name in ('curves', 'positives'):
        value = getattr(one, name)
        if not isinstance(value, dict) or not set(value) <= set(one.schema):
            return f'{name} must be of the classes {one.schema}, got {reprlib.repr(value)}'
    if not all(type(n) is int and n >= 0 for n in one.positives.values()):
        return f'positives must be numbers of images, got {reprlib.repr(one.positives)}'
    for name, curve in one.curves.items():
        wrong = _knots_problem(curve) if one.method == 'isotonic' else _line_problem(curve)
        if wrong:
            return f'the curve of {name!r} {wrong}'
        if one.method == 'temperature' and curve[1] != 0:
            return f'the curve of {name!r} has an intercept, which a temperature has not'
    return _groups_problem(one)


def _groups_problem(one: Recalibration) -> str:
    groups = one.groups
    if not isinstance(groups, list) or not all(map(_are_names, groups)):
        return f'groups must be lists of classes, got {reprlib.repr(groups)}'
    members = [name for group in groups for name in group]
    if len(set(members)) < len(members) or not set(members) <= set(one.schema):
        return f'groups must hold classes of {one.schema}, each once, got {reprlib.repr(groups)}'
    for group in groups:
        curves = [one.curves.get(name) for name in group]
        if one.method == 'logistic' or (None in curves and any(c is not None for c in curves)):
            return f'the group {group} must be treated as one, by temperature or isotonic curves'
        if one.method == 'temperature' and any(curve != curves[0] for curve in curves):
            return f'the group {group} must have one temperature'
    return ''


def _line_problem(curve: Any) -> str:
    if not isinstance(curve, list) or len(curve) != 2 or not all(map(_is_number, curve)):
        return f'must be [slope, intercept], got {reprlib.repr(curve)}'
    for value, (low, high) in zip(curve, (SLOPES, INTERCEPTS), strict=True):
        if not low <= value <= high:
            return f'holds {value:g}, expected {low:g} to {high:g}'
    return ''


def _knots_problem(curve: Any) -> str:
    if not isinstance(curve, list) or not 1 <= len(curve) <= MOST_KNOTS:
        return f'must have 1 to {MOST_KNOTS} knots, got {reprlib.repr(curve)}'
    for knot in curve:
        if not isinstance(knot, list) or len(knot) != 2 or not all(map(_is_number, knot)):
            return f'has the knot {reprlib.repr(knot)}, expected [score, probability]'
        if not all(0 <= value <= 1 for value in knot):
            return f'has the knot {knot}, expected numbers within [0, 1]'
    for (x, y), (next_x, next_y) in pairwise(curve):
        if not (x < next_x and y <= next_y):
            return f'does not rise from {[x, y]} to {[next_x, next_y]}'
    return ''


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(name, str) for name in value)
        and len(set(value)) == len(value)
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _log(score: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(score, _SMALLEST))
