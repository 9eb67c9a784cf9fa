"""Tables 1-3 (class-wise values of the six models) and the comparison of RealMNet with the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from realmnet.curation.label_schema import schema_of
from realmnet.evaluation.comparison import Difference, compare, holm
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.evaluation_table import Evaluation
from realmnet.evaluation.metric_records import metric_of
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.tables import span
from realmnet.reporting.measured import Entry, Estimate
from realmnet.reporting.outcome import Outcome
from realmnet.reporting.published import class_cells, statements
from realmnet.reporting.style import readable
from realmnet.reporting.sweep_tables import NOT_PRINTED, marked, missing_notes, sweep_notes
from realmnet.reporting.tables import Table

#: Rows of Tables 1-3, in the paper's order, and other names of two of them.
MODELS = ('DeiT', 'ConvNeXt', 'EfficientNet', 'Swin Transformer', 'RealMNet', 'RealMNet-Max')
ALIASES = {'RealMNet-384': 'RealMNet', 'RealMNet-512': 'RealMNet-Max'}
#: Metrics for which the paper gives P < 0.001.
COMPARED = ('F1', 'mAP', 'AUROC', 'coverage')
_NAMES = {'F1': 'F1 score', 'AP': 'AP', 'AUROC': 'AUROC'}
_NUMBERS = {'F1': '1', 'AP': '2', 'AUROC': '3'}


def model_name(outcome: Outcome) -> str:
    """Name of a model as Tables 1-3 spell it: the setting ``model``, or the cell's name.

    Example:
        >>> model_name(Outcome('384 px', {'model': 'RealMNet-384'}, {}, []))
        'RealMNet'
    """
    name = str(outcome.settings.get('model', outcome.name))
    return ALIASES.get(name, name)


def published_overall(model: str) -> dict[str, str]:
    """Overall values of the centralized protocol: metric to value as printed, or its class mean.

    The mean of the printed class values stands where running text prints no value (F1 of the
    counterparts); of the rows that are copies of Table 1 there is none.

    Args:
        model: As Tables 1-3 spell it.

    Example:
        >>> published_overall('RealMNet')['F1'], published_overall('EfficientNet')
        ('0.7903', {'F1': '0.7941'})
    """
    values = {}
    for metric in ('F1', 'AP', 'AUROC'):
        cells = class_cells(metric).get(model)
        if cells:
            mean = np.mean([float(percent) for percent, _ in cells.values()]) / 100
            values[metric_of(metric).mean] = f'{mean:.4f}'
    table = statements()
    table = table[(table['protocol'] == 'centralized') & (table['model'] == model)]
    return values | dict(zip(table['metric'], table['value'], strict=True))


def class_value_tables(
    outcomes: Sequence[Outcome],
    classes: Sequence[str],
    target: str = 'test',
    bootstrap: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> list[Table]:
    """Tables 1, 2 and 3: F1, AP and AUROC of each class and model, in percent.

    A model has the published values; ours in the published convention (± is std / sqrt(1000)
    over replicates of 1,000 images, no interval); ours with 95 % intervals by patient; and the
    difference. Of several seeds there is mean ± standard deviation instead. Rows of Tables 2 and
    3 that are copies of Table 1 are not repeated.

    Args:
        outcomes: The models; names as in :data:`MODELS`. Models that are missing are rows without
            results.
        classes: Order of the classes.
        target: Name of the list.
        bootstrap: Replicates.
        progress: Called with the models done and their number.

    Returns:
        Three tables.
    """
    cells = {model_name(outcome): outcome for outcome in outcomes}
    names = list(dict.fromkeys([*MODELS, *cells]))
    runs = {
        name: [run[target] for run in cells[name].runs if target in run] if name in cells else []
        for name in names
    }
    done = {}
    for number, (name, found) in enumerate(runs.items(), 1):
        done[name] = _evaluations(found, bootstrap)
        if progress:
            progress(number, len(runs))
    entries = [_entry(name, cells.get(name), bool(done[name])) for name in names]
    tables, schema = [], schema_of(classes)
    for metric, number in _NUMBERS.items():
        theirs = class_cells(metric)
        rows = []
        for name in names:
            rows += _model_rows(name, metric, classes, theirs.get(name), done[name])
        title = f'Table {number}. {_NAMES[metric]} of each class on {target}, in percent'
        notes = [
            'The published mean is that of the printed class values.',
            *sweep_notes(entries),
        ]
        header = ['Model', '', *(readable(c, schema) for c in classes), 'mean']
        tables.append(Table(f'table_{number}', marked(title, entries), header, rows, notes))
    return tables


def comparison_table(
    outcomes: Sequence[Outcome],
    target: str = 'test',
    reference: str = 'RealMNet',
    bootstrap: int = 1000,
) -> Table:
    """RealMNet against each counterpart that has predictions: difference, interval, p-value.

    Sound: replicates by patient, paired, Holm's correction over all rows. Beside it the p-value
    of the paper's convention, Welch's t-test between replicates, and what is printed.

    Args:
        outcomes: The models.
        target: Name of the list.
        reference: Which model is compared with the others; its first run is taken, as of theirs.
        bootstrap: Replicates.
    """
    found = {
        model_name(o): o.runs[0][target] for o in outcomes if o.runs and target in o.runs[0]
    }  # fmt: skip
    entries = [_entry(model_name(o), o, model_name(o) in found) for o in outcomes]
    others = [name for name in found if name != reference] if reference in found else []
    rows, p = [], []
    for name in others:
        pair = (found[reference], found[name])
        sound = compare(*pair, bootstrap=bootstrap, metrics=COMPARED)
        convention = compare(*pair, bootstrap=bootstrap, mode='published', metrics=COMPARED)
        for row, their_test in zip(sound, convention, strict=False):
            if row.metric not in COMPARED or row.test != 'bootstrap':
                continue
            p.append(row.p)
            rows.append([
                f'{reference} − {name}', row.metric, f'{row.first:.4f}', f'{row.second:.4f}',
                signed(row), _p(row.p), '',
                _p(their_test.p), _printed_p(reference, name, row.metric),
            ])  # fmt: skip
    for row, corrected in zip(rows, holm(p), strict=True):
        row[6] = _p(float(corrected))
    missing = missing_notes(entries)
    notes = [
        'p: paired bootstrap by patient, two-sided; Holm: corrected over all rows; t-test: the '
        "paper's way, between replicates of 1,000 images, whose p shrinks with their number.",
        *[note for note in sweep_notes(entries) if note.startswith('SYNTHETIC')],
        *missing,
    ]
    header = ['Models', 'Metric', reference, 'other', 'Difference [95 %]', 'p', 'Holm', 't-test',
              'published']  # fmt: skip
    title = f'{reference} against each counterpart on {target}'
    if not rows:
        notes.insert(0, f'Nothing to compare yet: {reference} and one other model must have run.')
    return Table('table_comparison', marked(title, entries), header, rows, notes)


def _evaluations(runs: Sequence[Predictions], bootstrap: int) -> list[Evaluation]:
    mode, replicates = ('both', bootstrap) if len(runs) == 1 else ('sound', 0)
    return [evaluate(run, replicates, mode=mode, diagnosis='') for run in runs]


def _entry(name: str, outcome: Outcome | None, measured: bool) -> Entry:
    """An entry that stands for a model in the notes."""
    if outcome is None:
        return Entry(name, {}, {})
    several = sum(bool(run) for run in outcome.runs) > 1
    number = {'F1': Estimate(0.0, of='seeds' if several else 'patients')}
    return Entry(name, {}, number if measured else {}, {}, outcome.state, False, outcome.data,
                 outcome.command)  # fmt: skip


def _model_rows(
    name: str,
    metric: str,
    classes: Sequence[str],
    theirs: Mapping[str, tuple[str, str]] | None,
    done: Sequence[Evaluation],
) -> list[list[str]]:
    wanted = [(metric, c) for c in classes] + [(metric_of(metric).mean, '')]
    rows = [[name, 'published', *_published_cells(theirs, classes)]]
    if not done:
        return [*rows, ['', 'ours', 'not run', *[''] * len(classes)]]
    values = 100 * np.array([[e.value(m, of).value for m, of in wanted] for e in done])
    if len(done) > 1:
        pairs = zip(values.mean(0), values.std(0, ddof=1), strict=True)
        rows.append(['', f'ours, {len(done)} seeds', *(f'{v:.4f}±{s:.4f}' for v, s in pairs)])
    else:
        spreads = [done[0].value(m, of, 'published') for m, of in wanted]
        sound = [done[0].value(m, of, 'sound') for m, of in wanted]
        rows += [
            ['', 'ours, same ±', *(f'{100 * r.value:.4f}±{100 * r.plus_minus:.4f}'
                                   for r in spreads[:-1]), f'{100 * spreads[-1].value:.4f}'],
            ['', 'ours, 95 %', *(span(100 * r.value, 100 * r.low, 100 * r.high, 2, r.remark)
                                 for r in sound)],
        ]  # fmt: skip
    if theirs:
        printed = [float(theirs[c][0]) for c in classes if c in theirs]
        if len(printed) == len(classes):
            differences = values.mean(0) - [*printed, np.mean(printed)]
            rows.append(['', 'difference', *(f'{d:+.2f}' for d in differences)])
    return rows


def _published_cells(
    theirs: Mapping[str, tuple[str, str]] | None, classes: Sequence[str]
) -> list[str]:
    if theirs is None:
        return [NOT_PRINTED] * (len(classes) + 1)
    cells = ['±'.join(theirs[c]) if c in theirs else NOT_PRINTED for c in classes]
    mean = np.mean([float(percent) for percent, _ in theirs.values()])
    return [*cells, f'{mean:.4f}']


def signed(row: Difference) -> str:
    """Write a difference with its interval.

    Example:
        >>> row = Difference('F1', 0.9, 0.8, 0.1, 0.02, 0.18, 0.01, 0.01, 'bootstrap')
        >>> signed(row)
        '+0.1000 [+0.0200, +0.1800]'
    """
    text = f'{row.difference:+.4f}'
    if np.isfinite(row.low + row.high):
        text += f' [{row.low:+.4f}, {row.high:+.4f}]'
    return f'{text} ({row.remark})' if row.remark else text


def _printed_p(reference: str, other: str, metric: str) -> str:
    table = statements()
    row = table[(table['model'] == reference) & (table['protocol'] == 'centralized')
                & (table['metric'] == metric)]  # fmt: skip
    if other not in MODELS[:4] or not len(row):
        return NOT_PRINTED
    return f'P {row["p"].iloc[0]}' if row['p'].iloc[0] else NOT_PRINTED


def _p(value: float) -> str:
    if np.isnan(value):
        return 'undefined'
    return '<0.001' if value < 0.001 else f'{value:.3f}'
