"""Outcomes turned into numbers: what one bar, one point or one row of a table shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from realmnet.curation.sources import PSMM_SOURCES
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.evaluation_table import Evaluation
from realmnet.evaluation.metric_records import metric_of, title_of
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting.outcome import Outcome
from realmnet.reporting.published import METRICS, printed

AVERAGE = 'average'
#: Test sources of the main-source and the cyclic-source protocol, in the paper's order.
SOURCES = PSMM_SOURCES[1:]
#: The marks of :attr:`Outcome.data` that stand for made-up pictures.
SYNTHETIC = ('synthetic', 'quick')
#: The mark of quick mode on a few of a user's own pictures.
TRIAL = 'trial of own pictures'


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Attributes:
        value: On the data, or the mean over seeds.
        low: Lower end; NaN where there is none.
        high: Upper end.
        of: What the ends are: ``'patients'`` (95 % interval by patient), ``'seeds'`` (mean minus
            and plus one standard deviation over seeds), ``'targets'`` (95 % interval of a mean
            over test sets that share no patient) or ``''``.
        runs: Number of seeds.
        undefined: Classes for which the metric does not exist, left out of the mean.
        remark: Why there is no interval, or on how few patients it rests:
            :attr:`realmnet.evaluation.evaluation_table.Row.remark`.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    of: str = ''
    runs: int = 1
    undefined: tuple[str, ...] = ()
    remark: str = ''


@dataclass(frozen=True)
class Entry:
    """One bar, point or row.

    Attributes:
        name: What it is called.
        settings: As in the outcome.
        estimates: Metric to number; empty where nothing ran.
        published: Metric to the number as printed.
        state: As in the outcome.
        chosen: Whether the paper chose it.
        data: As in the outcome.
        command: How to run it.
    """

    name: str
    settings: Mapping[str, object]
    estimates: Mapping[str, Estimate]
    published: Mapping[str, str] = field(default_factory=dict)
    state: str = 'not run'
    chosen: bool = False
    data: str = ''
    command: str = ''


def heading(metric: str) -> str:
    """Name of a metric in heads and panels; an arrow marks those of which less is better.

    Example:
        >>> heading('mAP'), heading('hamming')
        ('mAP', 'Hamming loss ↓')
    """
    return title_of(metric) + (' ↓' if metric_of(metric).better == 'less' else '')


def measure(
    runs: Sequence[Predictions], metrics: Sequence[str] = METRICS, bootstrap: int = 1000
) -> dict[str, Estimate]:
    """Measure one cell.

    One run: the value with its 95 % interval, drawn by patient
    (:func:`realmnet.evaluation.evaluate.evaluate`). Several: mean and standard deviation over
    them, which says how much training varies and not how much patients do.

    Args:
        runs: Predictions on the same list, one a seed.
        metrics: Overall metrics.
        bootstrap: Replicates.

    Returns:
        Metric to number; empty without runs.
    """
    if not runs:
        return {}
    several = len(runs) > 1
    done = [evaluate(run, 0 if several else bootstrap, diagnosis='') for run in runs]
    estimates = {}
    for metric in metrics:
        rows = [evaluation.value(metric) for evaluation in done]
        lost = tuple(
            dict.fromkeys(c for evaluation in done for c in _undefined(evaluation, metric))
        )
        if several:
            values = np.array([row.value for row in rows])
            mean, deviation = float(values.mean()), float(values.std(ddof=1))
            ends = (mean - deviation, mean + deviation)
            estimates[metric] = Estimate(mean, *ends, 'seeds', len(values), lost)
        else:
            (row,) = rows
            estimates[metric] = Estimate(
                row.value, row.low, row.high, 'patients', 1, lost, row.remark
            )
    return estimates


def average(parts: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    """Mean over test sets that share no patient, as the paper averages its auxiliary sources.

    The ends are mean -+ sqrt(sum_k d_k^2) / K, d_k being the distance of set k to its own end,
    since the errors of sets without a common patient are independent (given the models).

    Args:
        parts: Estimates of each set; a metric that is missing or undefined in one of them, or
            measured over seeds, has no ends.

    Returns:
        Metric to its mean; empty if any part is empty.

    Example:
        >>> mean = average([{'F1': Estimate(0.5, 0.2, 0.9)}, {'F1': Estimate(0.7, 0.3, 1.0)}])
        >>> round(mean['F1'].value, 6), round(mean['F1'].low, 6), round(mean['F1'].high, 6)
        (0.6, 0.35, 0.85)
    """
    if not parts or not all(parts):
        return {}
    result = {}
    for metric in parts[0]:
        found = [part[metric] for part in parts]
        mean = float(np.mean([e.value for e in found]))
        low = math.hypot(*(e.value - e.low for e in found)) / len(found)
        high = math.hypot(*(e.high - e.value for e in found)) / len(found)
        lost = tuple(dict.fromkeys(c for e in found for c in e.undefined))
        if any(e.of == 'seeds' for e in found):
            runs = max(e.runs for e in found)
            result[metric] = Estimate(mean, runs=runs, undefined=lost)
        else:
            remarks = dict.fromkeys(e.remark for e in found if e.remark)
            result[metric] = Estimate(mean, mean - low, mean + high, 'targets', 1, lost,
                                      ', '.join(remarks))  # fmt: skip
    return result


def entries_of(
    outcomes: Sequence[Outcome],
    target: str,
    bootstrap: int = 1000,
    metrics: Sequence[str] = METRICS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Entry]:
    """Measure every cell of a sweep on one list.

    Args:
        outcomes: The cells.
        target: Name of the list, ``'val'``.
        bootstrap: Replicates.
        metrics: Overall metrics.
        progress: Called with the cells done and their number.

    Returns:
        One entry a cell, in order. A cell that ran, but not on this list, says so.
    """
    entries = []
    for number, outcome in enumerate(outcomes, 1):
        entries.append(_entry(outcome, target, outcome.name, outcome.published, bootstrap, metrics))
        if progress:
            progress(number, len(outcomes))
    return entries


def entries_by_source(
    outcomes: Sequence[Outcome],
    protocol: str,
    bootstrap: int = 1000,
    metrics: Sequence[str] = METRICS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Entry]:
    """Measure a protocol: its test sources, and last their average.

    Main-source: one cell with predictions on every source. Cyclic-source: one cell a source,
    ``'w/o SUSTech'``, with predictions on that source.

    Args:
        outcomes: The cells; their lists are named by source.
        protocol: ``'main-source'`` or ``'cyclic-source'``; gives the published numbers.
        bootstrap: Replicates.
        metrics: Overall metrics.
        progress: Called with the sources done and their number.

    Returns:
        One entry a source of :data:`SOURCES`, then the average, which is empty while a source is
        missing.
    """
    cells = {outcome.name.removeprefix('w/o '): outcome for outcome in outcomes}
    entries = []
    for number, source in enumerate(SOURCES, 1):
        cell = cells.get(source, outcomes[0])
        theirs = printed(protocol, source)
        entries.append(_entry(cell, source, source, theirs, bootstrap, metrics))
        if progress:
            progress(number, len(SOURCES))
    missing = not all(entry.estimates for entry in entries)
    mean = average([entry.estimates for entry in entries])
    data = next((entry.data for entry in entries if entry.estimates), '')
    state = 'needs all sources' if missing else 'done'
    return [*entries, Entry(AVERAGE, {}, mean, {}, state, data=data)]


def synthetic_mark(entries: Sequence[Entry]) -> str:
    """What a title must say: ``'SYNTHETIC'``, ``'SYNTHETIC, QUICK'``, ``'QUICK'`` or nothing.

    Example:
        >>> synthetic_mark([Entry('a', {}, {'F1': Estimate(0.5)}, data='quick')])
        'SYNTHETIC, QUICK'
    """
    marks = ' '.join(entry.data for entry in entries if entry.estimates)
    if 'quick' in marks:
        return 'SYNTHETIC, QUICK'
    return 'SYNTHETIC' if 'synthetic' in marks else 'QUICK' if TRIAL in marks else ''


def is_synthetic(entry: Entry) -> bool:
    """Whether the numbers of an entry come from made-up pictures."""
    return bool(entry.estimates) and any(mark in entry.data for mark in SYNTHETIC)


def same_pictures(outcomes: Sequence[Outcome], target: str) -> str:
    """Say which cells were evaluated on other pictures than the rest; empty if all agree.

    Args:
        outcomes: The cells.
        target: Name of the list.
    """
    groups: dict[frozenset, list[str]] = {}
    for outcome in outcomes:
        for run in outcome.runs:
            if target in run:
                groups.setdefault(frozenset(run[target].filenames), []).append(outcome.name)
    if len(groups) < 2:
        return ''
    most = max(groups.values(), key=len)
    others = dict.fromkeys(name for names in groups.values() if names is not most for name in names)
    return (
        f'Not evaluated on the same pictures as the others, so not to be compared with them: '
        f'{", ".join(others)}.'
    )


def _entry(
    outcome: Outcome, target: str, name: str, published: Mapping[str, str], bootstrap: int,
    metrics: Sequence[str],
) -> Entry:  # fmt: skip
    runs = [run[target] for run in outcome.runs if target in run]
    state = outcome.state
    if not runs and (outcome.runs or state == 'done'):
        state = f'no predictions on {target}'
    return Entry(name, outcome.settings, measure(runs, metrics, bootstrap), published, state,
                 outcome.chosen, outcome.data, outcome.command)  # fmt: skip


def _undefined(evaluation: Evaluation, metric: str) -> list[str]:
    """Classes without the metric: no positive picture, or none predicted (precision)."""
    name = metric_of(metric).name
    return [
        row.of
        for row in evaluation.rows
        if row.of and row.metric == name and row.part == 'labels' and math.isnan(row.value)
    ]
