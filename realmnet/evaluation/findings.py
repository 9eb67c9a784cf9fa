"""From scores to findings: classes, groups, diagnosis, and what is too close to call.

Distances are differences of logits, log(p / (1 - p)), because a margin of probabilities would mean
much near a threshold of .5 and nothing near one of .02. The default margin equals a probability
of .6 against a threshold of .5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from realmnet.curation.class_groups import ClassGroup
from realmnet.curation.label_schema import PSMM, UNNAMED_DISEASE, LabelSchema, schema_of
from realmnet.curation.picture_names import AUTOMATIC, PictureNames
from realmnet.errors import InputError
from realmnet.evaluation.decoding import decide, thresholds_of
from realmnet.evaluation.diagnosis import diagnosis_score
from realmnet.evaluation.metrics import score_problem
from realmnet.evaluation.thresholds import DEFAULT, Thresholds

#: Least distance of logits at which a decision counts as certain: logit(.6).
MARGIN = math.log(0.6 / 0.4)
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


class _Decisions:
    """What pictures, eyes and patients have in common: decisions by name."""

    schema: LabelSchema
    groups: dict[str, str]
    disease: bool | None

    def present(self, group: str) -> bool | None:
        """Whether a group that says absent or present says present; None without a decision."""
        chosen = self.groups.get(group)
        classes = next((g.classes for g in self.schema.decisions if g.name == group), ())
        return None if chosen is None else chosen == classes[-1]

    @property
    def grade(self) -> str | None:
        """The class of the group ``grade``, PSMM's ``'A0'`` to ``'A4'``; None without."""
        return self.groups.get('grade')

    @property
    def staphyloma(self) -> bool | None:
        """Whether the group ``staphyloma`` says present, PSMM's S1; None without."""
        return self.present('staphyloma')

    @property
    def pathologic_myopia(self) -> bool | None:
        """The disease, where it is PSMM's or has no name; None for another."""
        return self.disease if self.schema.disease in (PSMM.disease, UNNAMED_DISEASE) else None


@dataclass(frozen=True)
class Finding(_Decisions):
    """What a model finds in one picture.

    Attributes:
        schema: What the classes mean.
        scores: Class to probability, in the order of the classes.
        found: Classes that count as found: the best of each exclusive group, others from their
            threshold on.
        diagnosis_score: Score of the disease; None where the schema names no classes of it.
        disease: Whether that score reaches the stored threshold (.5 without one).
        uncertain: Decisions that are too close to call: the name of a group (its classes with
            slashes where it has none), a class outside the exclusive groups, the disease's name.
        ungradable: Reasons out of :data:`REASONS` why the picture cannot be graded. There is
            then no decision at all: nothing is found, and the scores mean nothing.
    """

    schema: LabelSchema
    scores: dict[str, float]
    found: tuple[str, ...] = ()
    diagnosis_score: float | None = None
    disease: bool | None = None
    uncertain: tuple[str, ...] = ()
    ungradable: tuple[str, ...] = ()

    @property
    def groups(self) -> dict[str, str]:
        """Name of each exclusive group to the class that was chosen; empty if ungradable."""
        pairs = ((g.name, set(g.classes) & set(self.found)) for g in self.schema.decisions)
        return {name: chosen.pop() for name, chosen in pairs if chosen}


@dataclass(frozen=True)
class UnitFinding(_Decisions):
    """What a model finds in one eye or patient.

    Attributes:
        schema: What the classes mean.
        name: ``ShenzhenEye-1 OD 2020-12-27`` or ``ShenzhenEye-1``.
        images: Number of its pictures.
        groups: Name of each exclusive group that is ordered to the worst class of its pictures.
        diagnosis_score: The highest of them.
        disease: Whether it reaches the threshold stored for this unit.
        uncertain: Whether it is too close to that threshold.
        ungradable: Number of its pictures that cannot be graded; where none can, there is no
            decision.
    """

    schema: LabelSchema
    name: str
    images: int
    groups: dict[str, str]
    diagnosis_score: float | None
    disease: bool | None
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

    Of a group of which every picture has one class, the class with the highest score is found;
    thresholds are not asked. It is uncertain when its two highest scores are closer than the
    margin, another class and the diagnosis when their score is closer to its threshold. The
    diagnosis is also uncertain when the classes found contradict it, which happens because it
    has a threshold of its own.

    Args:
        scores: Probabilities, shape (N, C).
        classes: Their schema, which says what they mean; or bare names, of which only PSMM's
            seven mean anything (see :func:`realmnet.curation.label_schema.schema_of`).
        thresholds: Chosen on the development split; .5 everywhere where left out, and then the
            schema says how classes become the score of the disease.
        margin: Difference of logits, 0 or more.

    Returns:
        One finding a picture.

    Raises:
        InputError: If the margin is negative, a score is no probability, or there is not one
            for each class.

    Example:
        >>> finding = findings_of(np.array([[0.1, 0.9, 0, 0.2, 0.8, 0.1, 0]]), PSMM.classes)[0]
        >>> finding.groups, finding.disease, finding.uncertain
        ({'grade': 'A2', 'staphyloma': 'S1'}, True, ())
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
    groups = [group for group in schema.groups if group.exclusive]
    found = decide(scores, classes, values, consistent=schema.exclusive)
    close = np.abs(logit(scores) - logit(cut)) < margin
    diagnosis = None
    if schema.diagnosis:
        rule = thresholds.diagnosis_rule if thresholds else schema.diagnosis_rule
        diagnosis = diagnosis_score(scores, schema, rule)
    grouped = {name for group in groups for name in group.classes}
    result = []
    for row in range(len(scores)):
        mine = tuple(c for c, yes in zip(classes, found[row], strict=True) if yes)
        by_name = dict(zip(classes, map(float, scores[row]), strict=True))
        uncertain = [g.label for g in groups if _gap([by_name[c] for c in g.classes]) < margin]
        uncertain += [c for c, near in zip(classes, close[row], strict=True)
                      if near and c not in grouped]  # fmt: skip
        score = None if diagnosis is None else float(diagnosis[row])
        disease, near = decide_diagnosis(score, thresholds, 'image', margin)
        if disease is not None and set(schema.diagnosis) <= grouped:
            near |= disease != bool(set(mine) & set(schema.diagnosis))
        uncertain += [schema.disease] if near else []
        result.append(Finding(schema, by_name, mine, score, disease, tuple(uncertain)))
    return result


def refuse(finding: Finding, reasons: Sequence[str]) -> Finding:
    """Take the decisions back of a picture that cannot be graded; scores stay.

    Args:
        finding: From :func:`findings_of`.
        reasons: Out of :data:`REASONS`; without any, the finding is returned as it is.

    Example:
        >>> finding = findings_of(np.array([[0.9]]), ['M'])[0]
        >>> refused = refuse(finding, ['too dark'])
        >>> refused.found, refused.disease, refused.ungradable
        ((), None, ('too dark',))
    """
    if not reasons:
        return finding
    return replace(finding, found=(), disease=None, uncertain=(), ungradable=tuple(reasons))


def decide_diagnosis(
    score: float | None, thresholds: Thresholds | None, unit: str, margin: float = MARGIN
) -> tuple[bool | None, bool]:
    """Compare a score of the disease with the threshold stored for a unit.

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
        self._schema: LabelSchema | None = None

    def add(self, filename: str, finding: Finding) -> None:
        """Add a picture; ``filename`` is relative to the folder, with ``/``."""
        self._schema = finding.schema
        patient = self.names.read(filename).patient
        eye = self.names.eye(filename, patient)
        chosen = finding.groups
        steps = (g.classes.index(chosen[g.name]) if chosen else None for g in self._scales())
        mine = (finding.diagnosis_score, *steps)
        for unit, name in (('eye', eye), ('patient', patient)):
            if name is None:
                self.unnamed[unit] += 1
                continue
            images, refused, *worst = self._units[unit].get(name, (0, 0, *[None] * len(mine)))
            if finding.ungradable:
                refused += 1
            else:
                worst = [_highest(a, b) for a, b in zip(worst, mine, strict=True)]
            self._units[unit][name] = (images + 1, refused, *worst)

    def _scales(self) -> list[ClassGroup]:
        return [group for group in self._schema.decisions if group.ordered]

    def findings(self, unit: str) -> Iterable[UnitFinding]:
        """Yield the findings of all eyes or patients in the order of their first pictures.

        A unit has the worst class of an ordered group that any of its pictures has; of a group
        without order it has none. Pictures that cannot be graded are counted and decide nothing.

        Args:
            unit: ``'eye'`` or ``'patient'``.
        """
        for name, (images, refused, score, *steps) in self._units[unit].items():
            disease, near = decide_diagnosis(score, self.thresholds, unit, self.margin)
            pairs = zip(self._scales(), steps, strict=True)
            worst = {g.name: g.classes[step] for g, step in pairs if step is not None}
            yield UnitFinding(self._schema, name, images, worst, score, disease, near, refused)

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
