"""From scores to findings: labels, grade, staphyloma, diagnosis, and what is too close to call.

Distances are differences of logits, log(p / (1 - p)), because a margin of probabilities would mean
much near a threshold of .5 and nothing near one of .02. The default margin equals a probability
of .6 against a threshold of .5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from realmnet.curation.label_table import PSMM, LabelSchema, schema_of
from realmnet.curation.picture_names import AUTOMATIC, PictureNames
from realmnet.errors import InputError
from realmnet.evaluation.decoding import decide, exclusive_groups, thresholds_of
from realmnet.evaluation.diagnosis import diagnosis_score, has_diagnosis
from realmnet.evaluation.metrics import score_problem
from realmnet.evaluation.thresholds import DEFAULT, Thresholds

#: Least distance of logits at which a decision counts as certain: logit(.6).
MARGIN = math.log(0.6 / 0.4)
STAPHYLOMA, GRADE, DIAGNOSIS = 'staphyloma', 'grade', 'pathologic myopia'
#: Why a picture cannot be graded: the only words that any check of this project uses.
REASONS = (
    'no field',
    'too dark',
    'too bright',
    'blurred',
    'noise',
    'no colour',
    'odd colour',
    'unlike the training pictures',
)
_GROUP_NAMES = dict(zip(PSMM.exclusive, (STAPHYLOMA, GRADE), strict=True))


@dataclass(frozen=True)
class Finding:
    """What a model finds in one picture.

    Attributes:
        scores: Class to probability, in the order of the classes.
        found: Classes that count as found: the best of each exclusive group, others from their
            threshold on.
        grade: ``'A0'`` to ``'A4'``; None but for PSMM.
        staphyloma: Whether S1 beats S0; None but for PSMM.
        diagnosis_score: Score of pathologic myopia; None where the schema names no classes of it.
        pathologic_myopia: Whether that score reaches the stored threshold (.5 without one).
        uncertain: Decisions that are too close to call: ``'staphyloma'``, ``'grade'``,
            ``'pathologic myopia'``, or a class outside the groups.
        ungradable: Reasons out of :data:`REASONS` why the picture cannot be graded. There is
            then no decision at all: nothing is found, and the scores mean nothing.
    """

    scores: dict[str, float]
    found: tuple[str, ...]
    grade: str | None
    staphyloma: bool | None
    diagnosis_score: float | None
    pathologic_myopia: bool | None
    uncertain: tuple[str, ...]
    ungradable: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnitFinding:
    """What a model finds in one eye or patient.

    Attributes:
        name: ``ShenzhenEye-1 OD 2020-12-27`` or ``ShenzhenEye-1``.
        images: Number of its pictures.
        grade: The worst of them.
        staphyloma: Whether any has one.
        diagnosis_score: The highest of them.
        pathologic_myopia: Whether it reaches the threshold stored for this unit.
        uncertain: Whether it is too close to that threshold.
        ungradable: Number of its pictures that cannot be graded; where none can, there is no
            decision.
    """

    name: str
    images: int
    grade: str | None
    staphyloma: bool | None
    diagnosis_score: float | None
    pathologic_myopia: bool | None
    uncertain: bool
    ungradable: int = 0

    @property
    def gradable(self) -> bool:
        """Whether any picture could be graded."""
        return self.ungradable < self.images


def findings_of(
    scores: np.ndarray,
    classes: Sequence[str] | LabelSchema,
    thresholds: Thresholds | None = None,
    margin: float = MARGIN,
) -> list[Finding]:
    """Decide on pictures.

    A group of which every picture has one class (S0, S1; A0 to A4) is uncertain when its two
    highest scores are closer than the margin, another class and the diagnosis when their score
    is closer to its threshold. The diagnosis is also uncertain when staphyloma and grade
    contradict it, which happens because it has a threshold of its own.

    Args:
        scores: Probabilities, shape (N, C).
        classes: Their schema, which says what they mean; or bare names, of which only PSMM's
            seven mean anything (see :func:`realmnet.curation.label_table.schema_of`).
        thresholds: Chosen on the development split; .5 everywhere where left out.
        margin: Difference of logits, 0 or more.

    Returns:
        One finding a picture.

    Raises:
        InputError: If the margin is negative, a score is no probability, or there is not one
            for each class.

    Example:
        >>> finding = findings_of(np.array([[0.1, 0.9, 0, 0.2, 0.8, 0.1, 0]]), PSMM.classes)[0]
        >>> finding.grade, finding.staphyloma, finding.pathologic_myopia, finding.uncertain
        ('A2', True, True, ())
    """
    schema = schema_of(classes)
    scores, classes = np.asarray(scores, dtype=float), schema.classes
    if scores.ndim != 2 or scores.shape[1] != len(classes):
        raise InputError(f'scores have shape {scores.shape}, expected (N, {len(classes)})')
    if problem := score_problem(scores):
        raise InputError(problem)
    if not margin >= 0:
        raise InputError(f'the margin is {margin}, expected 0 or more')
    values = thresholds.values if thresholds else {}
    cut = thresholds_of(values, classes)
    groups = exclusive_groups(schema)
    found = decide(scores, classes, values, consistent=groups)
    close = np.abs(logit(scores) - logit(cut)) < margin
    diagnosis = None
    if has_diagnosis(schema):
        rule = thresholds.diagnosis_rule if thresholds else 'max'
        diagnosis = diagnosis_score(scores, schema, rule)
    grouped = {name for group in groups for name in group}
    result = []
    for row in range(len(scores)):
        mine = tuple(c for c, yes in zip(classes, found[row], strict=True) if yes)
        by_name = dict(zip(classes, map(float, scores[row]), strict=True))
        uncertain = [
            _GROUP_NAMES.get(g, '/'.join(g))
            for g in groups
            if _gap([by_name[c] for c in g]) < margin
        ]
        uncertain += [c for c, near in zip(classes, close[row], strict=True)
                      if near and c not in grouped]  # fmt: skip
        score = None if diagnosis is None else float(diagnosis[row])
        disease, near = decide_diagnosis(score, thresholds, 'image', margin)
        if disease is not None and set(schema.diagnosis) <= grouped:
            near |= disease != bool(set(mine) & set(schema.diagnosis))
        uncertain += [DIAGNOSIS] if near else []
        result.append(
            Finding(
                by_name,
                mine,
                next((c for c in mine if c in PSMM.exclusive[1] and c in grouped), None),
                'S1' in mine if PSMM.exclusive[0] in groups else None,
                score,
                disease,
                tuple(uncertain),
            )
        )
    return result


def refuse(finding: Finding, reasons: Sequence[str]) -> Finding:
    """Take the decisions back of a picture that cannot be graded; scores stay.

    Args:
        finding: From :func:`findings_of`.
        reasons: Out of :data:`REASONS`; without any, the finding is returned as it is.

    Example:
        >>> finding = findings_of(np.array([[0.9]]), ['M'])[0]
        >>> refused = refuse(finding, ['too dark'])
        >>> refused.found, refused.pathologic_myopia, refused.ungradable
        ((), None, ('too dark',))
    """
    if not reasons:
        return finding
    return Finding(
        finding.scores, (), None, None, finding.diagnosis_score, None, (), tuple(reasons)
    )


def decide_diagnosis(
    score: float | None, thresholds: Thresholds | None, unit: str, margin: float = MARGIN
) -> tuple[bool | None, bool]:
    """Compare a score of pathologic myopia with the threshold stored for a unit.

    Args:
        score: The score, or None where the classes do not tell.
        thresholds: As stored; .5 where they have none for this unit.
        unit: ``'image'``, ``'eye'`` or ``'patient'``.
        margin: Difference of logits below which the decision is uncertain.

    Returns:
        The decision, and whether it is uncertain.
    """
    if score is None:
        return None, False
    cut = thresholds.diagnosis.get(unit, DEFAULT) if thresholds else DEFAULT
    return score >= cut, bool(abs(logit(score) - logit(cut)) < margin)


def logit(probability: float | np.ndarray) -> np.ndarray:
    """Log odds; 0 and 1 count as 1e-9 and 1 - 1e-9.

    Example:
        >>> round(float(logit(0.6)), 3)
        0.405
    """
    clipped = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(clipped) - np.log1p(-clipped)


class Units:
    """Eyes and patients, gathered one picture at a time.

    Pictures whose name does not tell are counted and left out. Memory: some hundred bytes an eye
    or patient.

    Args:
        thresholds: Chosen on the development split.
        margin: As for :func:`findings_of`.
        names: How file names tell patient and eye.

    Attributes:
        unnamed: For ``'eye'`` and ``'patient'``, pictures whose name does not tell it.

    Example:
        >>> units = Units()
        >>> for name in ('0_left.jpg', '0_right.jpg'):
        ...     units.add(name, findings_of(np.array([[0.9]]), ['M'])[0])
        >>> [unit.name for unit in units.findings('eye')], len(list(units.findings('patient')))
        (['0 OS', '0 OD'], 1)
    """

    def __init__(
        self,
        thresholds: Thresholds | None = None,
        margin: float = MARGIN,
        names: PictureNames = AUTOMATIC,
    ) -> None:
        self.thresholds, self.margin, self.names = thresholds, margin, names
        self.unnamed = {'eye': 0, 'patient': 0}
        self._units: dict[str, dict[str, tuple]] = {'eye': {}, 'patient': {}}

    def add(self, filename: str, finding: Finding) -> None:
        """Add a picture; ``filename`` is relative to the folder, with ``/``."""
        patient = self.names.read(filename).patient
        eye = self.names.eye(filename, patient)
        mine = (finding.grade, finding.staphyloma, finding.diagnosis_score)
        for unit, name in (('eye', eye), ('patient', patient)):
            if name is None:
                self.unnamed[unit] += 1
                continue
            images, refused, *worst = self._units[unit].get(name, (0, 0, None, None, None))
            if finding.ungradable:
                refused += 1
            else:
                worst = [_highest(a, b) for a, b in zip(worst, mine, strict=True)]
            self._units[unit][name] = (images + 1, refused, *worst)

    def findings(self, unit: str) -> Iterable[UnitFinding]:
        """Yield the findings of all eyes or patients in the order of their first pictures.

        Pictures that cannot be graded are counted and decide nothing.

        Args:
            unit: ``'eye'`` or ``'patient'``.
        """
        for name, (images, refused, grade, staphyloma, score) in self._units[unit].items():
            disease, near = decide_diagnosis(score, self.thresholds, unit, self.margin)
            yield UnitFinding(name, images, grade, staphyloma, score, disease, near, refused)

    def counts(self, unit: str) -> tuple[int, int]:
        """Count the eyes or patients, and those of which no picture can be graded."""
        units = self._units[unit].values()
        return len(units), sum(refused == images for images, refused, *_ in units)


def _gap(scores: Sequence[float]) -> float:
    """Distance of the two highest scores, in logits."""
    second, first = np.sort(logit(np.asarray(scores)))[-2:]
    return float(first - second)


def _highest(a, b):
    return b if a is None else a if b is None else max(a, b)
