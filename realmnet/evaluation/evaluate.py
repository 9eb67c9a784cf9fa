"""From predictions to every number of a paper's table, with intervals, in one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain

import numpy as np

from realmnet.curation.picture_names import AUTOMATIC, PictureNames
from realmnet.curation.synthetic_marks import MARK
from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import (
    FEW_UNITS,
    PUBLISHED_DRAWS,
    Replicates,
    jackknife,
    replicate,
)
from realmnet.evaluation.decoding import decide
from realmnet.evaluation.diagnosis import UNITS, pathologic_myopia
from realmnet.evaluation.intervals import DEFAULT_METHOD, Intervals, interval, published
from realmnet.evaluation.metric_records import metric_of
from realmnet.evaluation.metric_types import Column
from realmnet.evaluation.metrics import make_plan
from realmnet.evaluation.plan import MetricPlan
from realmnet.evaluation.predictions import Predictions, check_patients
from realmnet.evaluation.prevalence import DISEASE, NOTE, at_prevalence, check_prevalence
from realmnet.evaluation.tables import lay_out, marked_rows, records_json, span
from realmnet.evaluation.thresholds import DEFAULT, Thresholds, threshold_note

MODES = ('sound', 'published', 'both')
#: What is evaluated besides the diagnosis, whose parts are called by disease and unit.
PARTS = ('labels', 'consistent')
#: What is asked of consistent decoding: metrics of decisions, overall and of each class.
DECISION_METRICS = ('precision', 'recall', 'F1', 'hamming', 'subset_accuracy')
#: What is asked of a diagnosis, in the order of its table.
DIAGNOSIS_METRICS = ('recall', 'specificity', 'precision', 'NPV', 'AUROC', 'AP')
STATED = 'stated prevalence'
_STATED_AS = {'PPV': 'precision', 'NPV': 'NPV'}


@dataclass(frozen=True)
class Row:
    """One number of an evaluation.

    Attributes:
        group: ``'all'`` or the value of the group.
        part: ``'labels'``, ``'consistent'`` (one class of each exclusive group), ``'<disease>, by
            <unit>'``, such as ``'pathologic myopia, by eye'``, or :data:`STATED`, where ``of``
            names class (and unit) with the prevalence: ``'A4 at 0.01'``.
        metric: Name.
        of: Class, or ``''`` for overall values.
        value: On the data themselves.
        low: Lower end of the 95 % interval.
        high: Upper end.
        convention: ``'sound'``, ``'published'``, or ``''`` without intervals.
        plus_minus: With ``published``: std / sqrt(replicates).
        positives: Positive images (or units) of the class.
        undefined: Replicates in which the metric is undefined.
        units: With ``sound``: effective number of patients (or images) that the number rests on,
            :func:`bootstrap.effective_units`; of a mean, that of its scarcest class.
        remark: What its reader must know: why there is no interval (``'one patient'``, ``'no
            spread'`` where all replicates are equal, ``'one class only'``), or on how few units
            the interval rests (``'2.9 patients'``); ``''`` otherwise.
    """

    group: str
    part: str
    metric: str
    of: str
    value: float
    low: float = np.nan
    high: float = np.nan
    convention: str = ''
    plus_minus: float = np.nan
    positives: int = -1
    undefined: int = 0
    units: float = np.nan
    remark: str = ''


@dataclass(frozen=True)
class Evaluation:
    """All numbers, and how to write them.

    Attributes:
        rows: The numbers.
        notes: Sentences that belong under every table.
        settings: How the numbers were made.
    """

    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    settings: dict = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether the pictures are drawn; every table then says so."""
        return bool(self.settings.get('synthetic'))

    @property
    def note_of_thresholds(self) -> str:
        """The sentence that says which thresholds decided."""
        return next(note for note in self.notes if note.startswith('Threshold'))

    def value(self, metric: str, of: str = '', convention: str | None = None, **where: str) -> Row:
        """Return one number; ``where`` gives group and part where they are not the default.

        Example:
            >>> evaluation.value('AUROC', 'A4').low                 # doctest: +SKIP
            0.9876
        """
        where = {'group': 'all', 'part': 'labels'} | where
        for row in self.rows:
            named = (row.metric, row.of) == (metric, of)
            if named and convention in (None, row.convention) and _matches(row, where):
                return row
        raise KeyError(f'{metric} of {of or "all classes"} is not part of this evaluation')

    def table(self, form: str = 'text') -> str:
        """Lay out the evaluation; see :data:`realmnet.evaluation.tables.FORMATS`.

        ``csv`` and ``json`` hold every row in full, the others the paper's tables: one block a
        group, part and convention, and the notes.
        """
        if form == 'json':
            rows = [asdict(row) for row in self.rows]
            return records_json({'settings': self.settings, 'notes': self.notes, 'rows': rows})
        if form == 'csv':
            header = list(Row.__dataclass_fields__)
            cells = [list(asdict(row).values()) for row in self.rows]
            return lay_out(*marked_rows(header, cells, self.synthetic), 'csv')
        blocks: dict[tuple, list[Row]] = {}
        for row in self.rows:
            blocks.setdefault((row.group, row.part, row.convention), []).append(row)
        texts = [
            text
            for key, rows in blocks.items()
            for text in (_title(key, form, self.synthetic), *_block(rows, form, self.synthetic))
        ]
        notes = [f'- {n}' if form == 'markdown' else f'% {n}' if form == 'latex' else n
                 for n in self.notes]  # fmt: skip
        return '\n\n'.join([*texts, '\n'.join(notes)])


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
    notes += _diagnosis_note(predictions) if diagnosis else []
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
    notes += _notes(rows, predictions, settings)
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


def _matches(row: Row, where: dict[str, str]) -> bool:
    return all(getattr(row, key) == value for key, value in where.items())


def _diagnosis_note(predictions: Predictions) -> list[str]:
    """Say where the diagnosis comes from, unless the predictions say so themselves."""
    schema, info = predictions.schema, predictions.info
    if 'diagnosis' in info or (schema.diagnosis and 'schema' in info):
        return []
    if schema.diagnosis:
        return [
            f"The classes are {schema.name}'s seven, so its diagnosis is taken: {schema.disease} "
            f'is any of {", ".join(schema.diagnosis)}.'
        ]
    return ['No diagnosis: the predictions do not say which classes mean a disease.']


def _notes(rows: list[Row], predictions: Predictions, settings: dict) -> list[str]:
    """Sentences about the numbers that tables print; the others bear their own remarks."""
    rows = [row for row in rows if _printed(row)]
    notes = []
    if settings['bootstrap']:
        if any(row.convention == 'sound' for row in rows):
            notes.append(
                f'Sound: {settings["bootstrap"]} replicates of the full set by {settings["by"]} '
                f'(seed {settings["seed"]}), 95 % intervals by the method {settings["method"]}.'
            )
        if any(row.convention == 'published' for row in rows):
            notes.append(
                f'Published: {settings["bootstrap"]} replicates of {PUBLISHED_DRAWS} images; '
                'intervals mean +- 1.96 std; class-wise +- is std / sqrt(replicates), no interval.'
            )
        notes += _unit_notes(rows, settings['by'])
        if settings['by'] == 'patient' and (predictions.patients == predictions.filenames).all():
            notes.append('No patients are named: each picture counts as its own patient.')
    several = len(set(predictions.patients)) < len(predictions)
    if settings['by'] == 'image' and several and settings['mode'] != 'published':
        notes.append('Patients have several images: intervals by image are too short.')
    empty = sorted({f'{row.of} ({row.group})' for row in rows if row.of and not row.positives})
    if empty:
        notes.append(f'No positives, so undefined: {", ".join(empty)}.')
    lost = dict.fromkeys(
        f'{_clinical(row)} of {row.of} ({row.group})'
        for row in rows
        if np.isnan(row.value)
        and row.of
        and (row.positives or 'positives' not in metric_of(row.metric).needs)
    )
    if lost:
        notes.append(f'Undefined, left out of the means: {", ".join(lost)}.')
    undefined = max((row.undefined for row in rows if not np.isnan(row.value)), default=0)
    if undefined:
        notes.append(
            f'Some metric is undefined in up to {undefined} replicates, which are left out of it.'
        )
    return notes


def _unit_notes(rows: list[Row], by: str) -> list[str]:
    """Say which numbers have no interval, and what stands behind a doubtful one."""
    notes = []
    alone = sorted({row.group for row in rows if not row.convention})
    if alone:
        notes.append(f'No intervals where there is only one {by}: {", ".join(alone)}.')
    without = Counter(
        row.remark.rpartition(': ')[2]
        for row in rows
        if row.convention == 'sound' and np.isnan(row.low)
    )
    for remark, meaning in (
        (f'one {by}', f'what they rest on comes from one {by} (effective number, Kish)'),
        ('no spread', 'all replicates are equal'),
        ('one class only', 'no picture has another truth'),
    ):
        if without[remark]:
            notes.append(f'No interval for {without[remark]} number(s), "{remark}": {meaning}.')
    few = [row for row in rows if row.remark and np.isfinite(row.low)]
    if few:
        notes.append(
            f'{len(few)} interval(s) rest on fewer than {FEW_UNITS:g} {by}s; the effective number '
            '(Kish) stands behind them.'
        )
    return notes


def _clinical(row: Row) -> str:
    return row.metric if row.part in PARTS else metric_of(row.metric).clinical


def _printed(row: Row) -> bool:
    return metric_of(row.metric).shown != 'files'


def _title(key: tuple[str, str, str], form: str, synthetic: bool) -> str:
    group, part, convention = key
    mark = 'SYNTHETIC pictures' if synthetic else ''
    text = ', '.join(filter(None, [mark, part, '' if group == 'all' else group, convention]))
    return {'markdown': f'**{text}**', 'latex': f'% {text}'}.get(form, text)


def _block(rows: list[Row], form: str, synthetic: bool) -> list[str]:
    """Class table, with the means as its last row, and the further overall metrics."""
    # Titles and notes of the LaTeX form are comments, which are not printed.
    mark = synthetic and form == 'latex'
    classes = list(dict.fromkeys(row.of for row in rows if row.of))
    metrics = list(dict.fromkeys(row.metric for row in rows if row.of))
    if rows[0].part == 'labels':
        metrics = [m for m in metrics if metric_of(m).shown == 'table']
    cells = {(row.metric, row.of): row for row in rows}
    published_rows = rows[0].convention == 'published'

    def cell(metric: str, of: str) -> str:
        row = cells.get((metric, of)) or cells.get((metric_of(metric).mean, of))
        if row is None:
            return ''
        if published_rows and of:
            return f'{row.value:.4f} ± {row.plus_minus:.4f}' if np.isfinite(row.value) else '-'
        return span(row.value, row.low, row.high, remark=row.remark)

    positives = {row.of: row.positives for row in rows}
    body = [[c, str(positives[c]), *(cell(m, c) for m in metrics)] for c in classes]
    if any(not row.of for row in rows) and len(classes) > 1:
        body.append(['mean', '', *(cell(m, '') for m in metrics)])
    header = ['class', 'positives', *(m for m in metrics)]
    if rows[0].part not in PARTS:
        named = 'class' if rows[0].part == STATED else ''
        header = [named, 'positives', *(metric_of(m).clinical for m in metrics)]
    texts = [lay_out(*marked_rows(header, body, mark), form)]
    used = {metric_of(m).mean for m in metrics}
    others = [row for row in rows if not row.of and row.metric not in used and _printed(row)]
    if others and len(classes) > 1:
        lines = [[r.metric, span(r.value, r.low, r.high, remark=r.remark)] for r in others]
        texts.append(lay_out(*marked_rows(['overall', 'value'], lines, mark), form))
    return texts
