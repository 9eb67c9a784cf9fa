"""From predictions to every number of a paper's table, with intervals, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain

import numpy as np

from realmnet.curation.picture_names import AUTOMATIC, PictureNames
from realmnet.curation.synthetic_marks import MARK
from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import (
    PUBLISHED_DRAWS,
    Replicates,
    jackknife,
    replicate,
)
from realmnet.evaluation.decoding import decide
from realmnet.evaluation.diagnosis import UNITS, pathologic_myopia
from realmnet.evaluation.evaluation_notes import diagnosis_note, notes_of, truth_notes
from realmnet.evaluation.evaluation_table import STATED, Evaluation, Row
from realmnet.evaluation.intervals import DEFAULT_METHOD, Intervals, interval, published
from realmnet.evaluation.metric_records import metric_of
from realmnet.evaluation.metric_types import Column
from realmnet.evaluation.metrics import make_plan
from realmnet.evaluation.plan import MetricPlan
from realmnet.evaluation.predictions import Predictions, check_patients
from realmnet.evaluation.prevalence import DISEASE, NOTE, at_prevalence, check_prevalence
from realmnet.evaluation.thresholds import DEFAULT, Thresholds, threshold_note

MODES = ('sound', 'published', 'both')
#: What is asked of consistent decoding: metrics of decisions, overall and of each class.
DECISION_METRICS = ('precision', 'recall', 'F1', 'hamming', 'subset_accuracy')
#: What is asked of a diagnosis, in the order of its table.
DIAGNOSIS_METRICS = ('recall', 'specificity', 'precision', 'NPV', 'AUROC', 'AP')
_STATED_AS = {'PPV': 'precision', 'NPV': 'NPV'}


def evaluate(
    predictions: Predictions,
    bootstrap: int = 1000,
    by: str = 'patient',
    mode: str = 'sound',
    seed: int = 42,
    method: str = DEFAULT_METHOD,
    thresholds: Thresholds | float | None = None,
    consistent: bool = False,
    groups: np.ndarray | None = None,
    diagnosis: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    names: PictureNames = AUTOMATIC,
    prevalence: Mapping[str, Sequence[float]] | None = None,
    simultaneous: bool = False,
) -> Evaluation:
    """Evaluate one model.

    Args:
        predictions: Scores and truth.
        bootstrap: Replicates; 0 for values without intervals.
        by: What is drawn in sound mode, ``'patient'`` or ``'image'``.
        mode: ``'sound'``: replicates of the full set and the interval ``method``.
            ``'published'``: the paper's convention, :func:`intervals.published`, for the labels;
            decoding and diagnosis always have sound intervals. ``'both'``.
        seed: Seed of the draws.
        method: One of :data:`intervals.METHODS`.
        thresholds: From the development split; .5 where left out, which the notes then say.
        consistent: Add decisions with exactly one class of each exclusive group.
        groups: Group of each image, shape (N,), each evaluated by itself after the whole.
        diagnosis: Rule of :func:`diagnosis.pathologic_myopia`, the schema's where left out;
            ``''`` leaves the diagnosis out.
        progress: Called with replicates done and their number, for each part.
        names: How file names tell the eye.
        prevalence: Class, or :data:`prevalence.DISEASE`, to prevalences at which PPV and NPV are
            wanted too; see :func:`prevalence.read_prevalences`.
        simultaneous: Sound intervals of the C classes of a metric hold all together: each has the
            confidence 1 - .05/C (Bonferroni). Overall values keep theirs.

    Returns:
        The evaluation.

    Raises:
        InputError: If a setting is unknown or the predictions cannot be evaluated.

    Example:
        >>> evaluation = evaluate(read_predictions('test.csv'))     # doctest: +SKIP
        >>> print(evaluation.table('markdown'))                     # doctest: +SKIP
    """
    if mode not in MODES:
        raise InputError(f'mode {mode!r} is unknown; use one of {MODES}')
    if by not in ('image', 'patient'):
        raise InputError(f"bootstrap by {by!r} is unknown; use 'image' or 'patient'")
    if by == 'patient':
        check_patients(predictions)
    prevalence = {name: list(values) for name, values in (prevalence or {}).items()}
    for value in chain.from_iterable(prevalence.values()):
        check_prevalence(value)
    if prevalence and mode == 'published':
        raise InputError(
            "the paper's convention knows no stated prevalence; take --mode sound or both"
        )
    settings = dict(bootstrap=bootstrap, by=by, mode=mode, seed=seed, method=method)
    settings |= dict(progress=progress, prevalence=prevalence, simultaneous=simultaneous)
    chosen = thresholds if isinstance(thresholds, Thresholds) else None
    cut = chosen.values if chosen else DEFAULT if thresholds is None else thresholds
    groups_of_rows = {'all': np.ones(len(predictions), bool)}
    if groups is not None:
        groups_of_rows |= {str(g): groups == g for g in sorted(set(groups), key=str)}
    rows: list[Row] = []
    schema = predictions.schema
    diagnosis = schema.diagnosis_rule if diagnosis is None else diagnosis
    if chosen and chosen.diagnosis and diagnosis and chosen.diagnosis_rule != diagnosis:
        raise InputError(
            f'the thresholds of {schema.disease} were chosen for the score '
            f'{chosen.diagnosis_rule}, not {diagnosis}; evaluate with --diagnosis '
            f'{chosen.diagnosis_rule}, or choose them with --diagnosis {diagnosis}'
        )
    notes = [MARK] if predictions.synthetic else []
    if 'recalibration_note' in predictions.info:
        notes.append(str(predictions.info['recalibration_note']))
    notes.append(threshold_note(thresholds))
    notes += diagnosis_note(predictions) if diagnosis else []
    notes += truth_notes(predictions)
    for group, inside in groups_of_rows.items():
        part = predictions.take(inside)
        plan = make_plan(part.truth, part.scores, schema, cut)
        rows += _rows(plan, part, group, 'labels', plan.columns, settings)
        if consistent:
            predicted = decide(part.scores, schema, cut, consistent=True)
            plan = make_plan(part.truth, part.scores, schema, predicted=predicted)
            columns = [c for c in plan.columns if c.metric.name in DECISION_METRICS]
            columns = [c for c in columns if c.level != 'micro']
            rows += _rows(plan, part, group, 'consistent', columns, settings)
        if diagnosis and schema.diagnosis:
            for unit in UNITS:
                reduced = pathologic_myopia(part, unit, diagnosis, names=names)
                at = chosen.diagnosis.get(unit, DEFAULT) if chosen else DEFAULT
                plan = make_plan(reduced.truth, reduced.scores, reduced.classes, at)
                title = f'{schema.disease}, by {unit}'
                columns = [
                    Column(metric_of(m), 'class', reduced.classes[0]) for m in DIAGNOSIS_METRICS
                ]
                rows += _rows(plan, reduced, group, title, columns, settings)
    rows.sort(key=lambda row: row.part == STATED)  # last, in one block
    notes += notes_of(rows, predictions, settings)
    notes += [NOTE] * bool(prevalence)
    settings.pop('progress')
    if simultaneous:
        notes.append(
            f'Simultaneous: sound intervals of the {len(predictions.classes)} classes of a metric '
            'hold all together in 95 % (Bonferroni); overall values each by itself.'
        )
    for name in ('prevalence', 'simultaneous'):
        if not settings[name]:
            settings.pop(name)
    settings |= {
        'images': len(predictions),
        'patients': len(set(predictions.patients)),
        'thresholds': asdict(chosen) if chosen else cut,
        'synthetic': predictions.synthetic,
    }
    return Evaluation(rows, notes, settings)


def _rows(
    plan: MetricPlan,
    part: Predictions,
    group: str,
    title: str,
    columns: Sequence[Column],
    settings: dict,
) -> list[Row]:
    """Some numbers of one plan."""
    wanted = [
        (plan.columns.index(c), c.metric.name if c.level == 'class' else c.name, c.of)
        for c in columns
    ]
    positives = dict(zip(plan.classes, map(int, plan.truth.sum(0)), strict=True))

    nothing = np.full(len(plan.names), np.nan)

    def collect(
        point: np.ndarray, ends: Intervals, convention: str = '',
        plus_minus: np.ndarray = nothing, undefined: np.ndarray = np.zeros(len(nothing)),  # noqa: B008
    ) -> list[Row]:  # fmt: skip
        remarks = ends.remarks(settings['by'])
        return [
            Row(group, title, metric, of, float(point[i]), float(ends.low[i]), float(ends.high[i]),
                convention, float(plus_minus[i]), positives.get(of, -1), int(undefined[i]),
                float(ends.units[i]), remarks[i] if np.isfinite(point[i]) else '')
            for i, metric, of in wanted
        ]  # fmt: skip

    replicates, seed = settings['bootstrap'], settings['seed']
    # The paper's convention is about its labels: decoding and diagnosis get sound intervals.
    mode = settings['mode'] if title == 'labels' else 'sound'
    enough = len(set(part.patients) if settings['by'] == 'patient' else part.filenames) > 1
    if not replicates or not enough:
        point = plan(np.ones((1, len(plan.scores))))[0]
        alone = f'one {settings["by"]}' if replicates else ''
        none = Intervals(nothing, nothing, '', nothing, (alone,) * len(nothing))
        return collect(point, none) + _stated(plan, group, title, settings, point)
    rows = []
    if mode in ('sound', 'both'):
        patients = part.patients if settings['by'] == 'patient' else None
        drawn = replicate(plan, replicates, patients, None, seed, settings['progress'])
        left_out = jackknife(plan, patients) if settings['method'] == 'bca' else None
        ends = interval(drawn, settings['method'], left_out=left_out)
        shown = ends
        if settings['simultaneous']:
            level = 1 - 0.05 / len(plan.classes)
            wide = interval(drawn, settings['method'], level, left_out)
            single = np.array([bool(column.of) for column in plan.columns])
            low, high = (
                np.where(single, getattr(wide, e), getattr(ends, e)) for e in ('low', 'high')
            )
            shown = replace(ends, low=low, high=high)
        rows += collect(drawn.point, shown, 'sound', undefined=drawn.undefined)
        rows += _stated(plan, group, title, settings, drawn.point, drawn, ends, left_out)
    if mode in ('published', 'both'):
        drawn = replicate(plan, replicates, None, PUBLISHED_DRAWS, seed, settings['progress'])
        ends, plus_minus = published(drawn)
        rows += collect(drawn.point, ends, 'published', plus_minus, drawn.undefined)
    return rows


def _stated(
    plan: MetricPlan,
    group: str,
    title: str,
    settings: dict,
    point: np.ndarray,
    drawn: Replicates | None = None,
    ends: Intervals | None = None,
    left_out: np.ndarray | None = None,
) -> list[Row]:
    """Predictive values of labels and diagnosis at the prevalences asked for."""
    if title == 'consistent':
        return []
    by, unit = title.partition(', by ')[1:]
    values = dict(zip(plan.names, map(float, point), strict=True))
    positives = dict(zip(plan.classes, map(int, plan.truth.sum(0)), strict=True))
    convention = 'sound' if drawn else ''
    rows = []
    for name in plan.classes:
        for value in settings['prevalence'].get(DISEASE if unit else name, ()):
            of = f'{name}{by.lstrip(",")}{unit} at {value:g}'
            found = at_prevalence(drawn, values, name, value, settings['method'], ends, left_out)
            about = {'convention': convention, 'positives': positives[name]}
            rows += [
                Row(
                    group,
                    STATED,
                    of=of,
                    **about,
                    **(vars(one) | {'metric': _STATED_AS[one.metric]}),
                )
                for one in found
            ]
    return rows
