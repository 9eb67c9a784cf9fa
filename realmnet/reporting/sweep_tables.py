"""Tables of sweeps and protocols: ours, the published number, the difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

from realmnet.evaluation.tables import span
from realmnet.evaluation.thresholds import DEFAULT
from realmnet.reporting.measured import (
    TRIAL,
    Entry,
    Estimate,
    heading,
    is_synthetic,
    synthetic_mark,
)
from realmnet.reporting.published import METRICS
from realmnet.reporting.tables import Table

NOT_PRINTED = 'not printed'
#: What stands before the names of cells in the command of an outcome.
ONLY = ' --only '
_ENDS = {
    'patients': '95 % intervals by patient',
    'seeds': 'mean ± standard deviation over seeds',
    'targets': '95 % intervals of the mean over test sets',
}


def sweep_table(
    name: str,
    title: str,
    entries: Sequence[Entry],
    metrics: Sequence[str] = METRICS,
    notes: Sequence[str] = (),
) -> Table:
    """Lay out cells: ours with its interval, the published number, the difference.

    Where the paper prints numbers, each cell has three lines; where it prints none, one, and a
    column that says so.

    Args:
        name: File stem.
        title: What the table shows.
        entries: From :func:`realmnet.reporting.measured.entries_of`.
        metrics: Columns.
        notes: Further sentences, which come first.

    Returns:
        The table; its notes name what has not run, with the commands.
    """
    published = any(entry.published for entry in entries)
    header = ['Cell', '' if published else 'Published', *map(heading, metrics)]
    mixed = len({is_synthetic(entry) for entry in entries if entry.estimates}) > 1
    rows = []
    for entry in entries:
        label = entry.name + (' ★' if entry.chosen else '')
        if mixed and is_synthetic(entry):
            label += ' (synthetic)'
        ours = _ours(entry, metrics)
        if not published:
            rows.append([label, NOT_PRINTED, *ours])
            continue
        rows.append([label, 'ours', *ours])
        rows.append(['', 'published', *(entry.published.get(m, NOT_PRINTED) for m in metrics)])
        if entry.estimates and entry.published:
            rows.append(['', 'difference', *(difference(entry, m) for m in metrics)])
    return Table(name, marked(title, entries), header, rows, [*notes, *sweep_notes(entries)])


def marked(title: str, entries: Sequence[Entry]) -> str:
    """Title with ``[SYNTHETIC]`` before it where any result is.

    Example:
        >>> marked('Table A5', [Entry('a', {}, {'F1': Estimate(0.5)}, data='synthetic')])
        '[SYNTHETIC] Table A5'
    """
    mark = synthetic_mark(entries)
    return f'[{mark}] {title}' if mark else title


def difference(entry: Entry, metric: str) -> str:
    """Ours minus published, with the digits that are compared; empty where one is missing.

    Against a bound (``'>0.70'``) it says whether ours keeps it.

    Example:
        >>> difference(Entry('a', {}, {'F1': Estimate(0.8)}, {'F1': '0.8229'}), 'F1')
        '-0.0229'
        >>> difference(Entry('a', {}, {'F1': Estimate(0.8)}, {'F1': '>0.70'}), 'F1')
        'above'
    """
    theirs = entry.published.get(metric, '')
    if metric not in entry.estimates or not theirs or math.isnan(entry.estimates[metric].value):
        return ''
    ours = entry.estimates[metric].value
    if theirs.startswith('>'):
        return 'above' if ours > float(theirs[1:]) else 'not above'
    return f'{ours - float(theirs):+.4f}'.replace('-0.0000', '+0.0000')


def shown(estimate: Estimate) -> str:
    """Write a number with its ends.

    Example:
        >>> shown(Estimate(0.81234, 0.79, 0.83, 'patients'))
        '0.8123 [0.7900, 0.8300]'
        >>> shown(Estimate(0.81234, 0.80234, 0.82234, 'seeds', 3)), shown(Estimate(float('nan')))
        ('0.8123 ± 0.0100 (3 seeds)', 'undefined')
        >>> shown(Estimate(0.9, of='patients', remark='one patient'))
        '0.9000 (one patient)'
    """
    if math.isnan(estimate.value):
        return 'undefined'
    if estimate.of == 'seeds':
        return (
            f'{estimate.value:.4f} ± {estimate.high - estimate.value:.4f} ({estimate.runs} seeds)'
        )
    return span(estimate.value, estimate.low, estimate.high, remark=estimate.remark)


def sweep_notes(entries: Sequence[Entry]) -> list[str]:
    """Sentences below a sweep: what is synthetic, what the ends are, what is missing.

    Args:
        entries: The cells.
    """
    notes = []
    made_up = [entry.name for entry in entries if is_synthetic(entry)]
    if made_up:
        measured = [entry for entry in entries if entry.estimates]
        which = 'all results' if len(made_up) == len(measured) else '; '.join(made_up)
        quick = any('quick' in entry.data for entry in entries)
        size = ', trained for a few epochs at a small size (quick mode)' if quick else ''
        notes.append(
            f'SYNTHETIC: {which} come from synthetic pictures{size}; differences to the paper '
            'mean nothing.'
        )
    if any(entry.data == TRIAL for entry in entries if entry.estimates):
        notes.append(
            'QUICK: trained for a few epochs at a small size on a few pictures; differences to the '
            'paper mean nothing.'
        )
    kinds = dict.fromkeys(e.of for entry in entries for e in entry.estimates.values() if e.of)
    if kinds:
        notes.append(f'Ours: {"; ".join(_ENDS[kind] for kind in kinds)}; threshold {DEFAULT}.')
    if any(entry.chosen for entry in entries):
        notes.append("★ the paper's choice.")
    lost = {
        entry.name: list(dict.fromkeys(c for e in entry.estimates.values() for c in e.undefined))
        for entry in entries
    }
    lost = {name: classes for name, classes in lost.items() if classes}
    if lost:
        text = '; '.join(f'{name}: {", ".join(classes)}' for name, classes in lost.items())
        notes.append(
            f'Classes without a value in some metric (no positive picture, or none predicted), '
            f'left out of its mean: {text}.'
        )
    return notes + missing_notes(entries)


def missing_notes(entries: Sequence[Entry]) -> list[str]:
    """Say which cells have no result, why, and what runs them.

    Args:
        entries: The cells.

    Example:
        >>> done = Entry('a', {}, {'F1': Estimate(0.5)})
        >>> others = [Entry(n, {}, {}, command=f'tools/sweep.py x --only {n}') for n in 'bc']
        >>> missing_notes([done, *others])
        ['Not run: b; c (`tools/sweep.py x --only b c`).']
    """
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for entry in entries:
        if not entry.estimates:
            command, _, cell = entry.command.partition(ONLY)
            groups.setdefault((entry.state, command), []).append((entry.name, cell))
    notes = []
    for (state, command), cells in groups.items():
        names = '; '.join(name for name, _ in cells)
        only = [cell for _, cell in cells if cell]
        if only and len(cells) < len(entries):
            command += ONLY + ' '.join(dict.fromkeys(only))
        notes.append(f'{state.capitalize()}: {names}' + (f' (`{command}`).' if command else '.'))
    return notes


def _ours(entry: Entry, metrics: Sequence[str]) -> list[str]:
    if not entry.estimates:
        return [entry.state, *[''] * (len(metrics) - 1)]
    return [shown(entry.estimates[m]) if m in entry.estimates else '' for m in metrics]
