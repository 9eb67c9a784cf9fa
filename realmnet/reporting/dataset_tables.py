"""Tables A1, A2, 5, 6 and 7 of the paper, each number beside the published one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from realmnet.curation.imbalance import Imbalance, measure_imbalance
from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.label_table import LabelTable
from realmnet.curation.protocols import (
    Counts,
    TrainingSet,
    resampled_counts,
    sampling_error,
)
from realmnet.curation.resampling import MLRUS, REMEDIAL
from realmnet.curation.statistics import overview
from realmnet.reporting.published import load
from realmnet.reporting.tables import Table

_TITLES = {
    '5': 'Table 5. Centralized inference protocol (CIP)',
    '6': 'Table 6. Main-source robustness protocol (MRP)',
    '7': 'Table 7. Cyclic-source generalizability protocol (CGP)',
}
_TABLE_OF = {'CIP': '5', 'MRP': '6', 'CGP': '7'}


def table_a1(table: LabelTable, whole: str = 'PSMM') -> Table:
    """Patients and images of the data set and its sources.

    Args:
        table: All rows.
        whole: What the data set is called.
    """
    published = load('psmm_tables')['A1'] if _is_psmm(len(table)) else {}
    rows = []
    for name, counts in overview(table, whole).items():
        theirs = published.get(name, {'patients': '–', 'images': '–'})
        rows.append([
            name, f'{counts.patients:,}', theirs['patients'], f'{counts.images:,}',
            theirs['images'], verdict([(counts.patients, theirs['patients']),
                                       (counts.images, theirs['images'])]),
        ])  # fmt: skip
    header = ['Data set', 'Patients', 'published', 'Images', 'published', 'Agreement']
    return Table('table_A1', f'Table A1. Overview of {whole} and its subsets', header, rows)


def table_a2(labels: np.ndarray, schema: LabelSchema) -> Table:
    """Imbalance of the training split, without and with REMEDIAL.

    Args:
        labels: 0/1 matrix of shape (N, C), the training split.
        schema: Gives the class names.
    """
    plain = measure_imbalance(labels, schema)
    decoupled = measure_imbalance(REMEDIAL().fit_resample(labels), schema)
    published = load('psmm_tables')['A2']
    known = published['classes'] == list(schema.class_names) and _is_psmm_train(len(labels))
    lines: list[tuple[str, Sequence[float], Sequence[str]]] = [
        ('IRLbl', plain.irlbl, published['IRLbl']),
        ('SCUMBLELbl', plain.scumble_lbl, published['SCUMBLELbl']),
        ('SCUMBLELbl w/ REMEDIAL', decoupled.scumble_lbl, published['SCUMBLELbl w/ REMEDIAL']),
        ('MeanIR', [plain.mean_ir], [published['MeanIR']]),
        ('SCUMBLE', [plain.scumble], [published['SCUMBLE']]),
        ('SCUMBLE w/ REMEDIAL', [decoupled.scumble], [published['SCUMBLE w/ REMEDIAL']]),
    ]
    rows = []
    for name, values, theirs in lines:
        pad = [''] * (len(schema.classes) - len(values))
        same = verdict(zip(values, theirs, strict=True), digits=4) if known else '–'
        rows.append([name, *(f'{value:.4f}' for value in values), *pad, same])
        if known:
            rows.append(['published', *theirs, *pad, ''])
    return Table(
        'table_A2',
        'Table A2. Imbalance of the training split',
        ['Measure', *schema.class_names, 'Agreement'],
        rows,
        [_remedial_note(decoupled, known)],
    )


def protocol_tables(
    table: LabelTable,
    sets: Sequence[TrainingSet],
    resampled: Mapping[str, Counts] | None = None,
    seeds: int = 100,
) -> list[Table]:
    """Tables 5, 6 and 7.

    Args:
        table: All rows.
        sets: From :func:`~realmnet.curation.protocols.protocol_sets`.
        resampled: Counts of released resampled lists by folder (``''`` is CIP), shown as they
            are; the others are drawn with seed 42.
        seeds: How many seeds show the sampling error.

    Returns:
        Three tables.
    """
    rows: dict[str, list[list[str]]] = {'5': [], '6': [], '7': []}
    for training in sets:
        number = _TABLE_OF[training.protocol]
        theirs = _published_counts(training) if _is_psmm(len(table)) else {}
        rows[number].append(_exact(training.name, Counts.of(table.patients[training.train]),
                                   theirs.get('train')))  # fmt: skip
        _, ours = resampled_counts(table, training.train)
        spread = sampling_error(table, training.train, seeds)
        released = (resampled or {}).get(training.folder)
        if released:
            rows[number].append(_exact('r., released list', released,
                                       theirs.get('train, resampled')))  # fmt: skip
        rows[number].append(_drawn(ours, spread, theirs.get('train, resampled')))
        for name, members in training.tests.items():
            label = name.removeprefix('test_')
            if training.protocol == 'CGP':
                label = training.folder.removeprefix('CGP_wo-')
            rows[number].append(_exact(f'→ {label}', Counts.of(table.patients[members]),
                                       theirs.get(name)))  # fmt: skip
    header = ['List', 'Patients', 'published', 'Images', 'published', 'Agreement']
    note = (
        'r.: after ML-RUS, ratio .2 (published rule). The drawn lists differ from the published '
        f'ones by chance: in brackets what is expected over all '
        f'seeds, mean ± standard deviation (images exactly, patients from {seeds} seeds); '
        'the last column gives the published counts in standard deviations from that mean '
        '(patients, images).'
    )
    return [
        Table(f'table_{number}', _TITLES[number], header, lines, [note])
        for number, lines in rows.items()
    ]


def partition_table(table: LabelTable, splits: Mapping[str, np.ndarray]) -> Table:
    """Patients, images and label shares of splits, for PSMM beside the published ones.

    Args:
        table: All rows.
        splits: Rows of each split.
    """
    classes = list(table.schema.classes)
    published = load('psmm_splits')
    same = published['classes'] == classes and set(splits) == set(published['splits'])
    rows = []
    for name, members in splits.items():
        counts = Counts.of(table.patients[members])
        shares = table.labels[members].mean(0)
        rows.append([name, f'{counts.patients:,}', f'{counts.images:,}',
                     *(f'{share:.1%}' for share in shares)])  # fmt: skip
        if same:
            theirs = published['splits'][name]
            images = theirs['images']
            rows.append(['published', f'{theirs["patients"]:,}', f'{images:,}',
                         *(f'{n / images:.1%}' for n in theirs['positives'])])  # fmt: skip
    header = ['Split', 'Patients', 'Images', *classes]
    return Table('partition', 'Splits and shares of the labels', header, rows)


def count_problems(table: LabelTable, sets: Sequence[TrainingSet]) -> list[str]:
    """List where counts differ from Tables 5-7; resampled ones beyond four standard deviations.

    Args:
        table: All rows.
        sets: The protocols.

    Returns:
        One sentence a difference; empty if all agree.
    """
    problems = []
    for training in sets:
        theirs = _published_counts(training)
        lists = {'train': training.train, **training.tests}
        for name, rows in lists.items():
            ours = Counts.of(table.patients[rows])
            wanted = theirs.get(name)
            if wanted and ours != Counts(_int(wanted['patients']), _int(wanted['images'])):
                problems.append(
                    f'{training.folder or "CIP"} {name}: {ours.patients:,} patients, '
                    f'{ours.images:,} images; published {wanted["patients"]}, {wanted["images"]}'
                )
        wanted = theirs.get('train, resampled')
        if wanted and not problems:
            mean, spread = MLRUS(0.2).expected_size(table.labels[training.train])
            if abs(_int(wanted['images']) - mean) > 4 * spread:
                problems.append(
                    f'{training.folder or "CIP"} resampled: expected {mean:,.0f} ± {spread:.0f} '
                    f'images; published {wanted["images"]}'
                )
    return problems


def verdict(pairs, digits: int = 0) -> str:
    """Say whether numbers equal the published ones in all printed digits.

    Args:
        pairs: Ours and, as text, theirs; ``–`` where nothing is published.
        digits: Decimals that are printed.

    Example:
        >>> verdict([(1.11447, '1.1145'), (1.0, '1.')], digits=4)
        'exact'
    """
    pairs = [(ours, theirs) for ours, theirs in pairs if theirs != '–']
    if not pairs:
        return '–'
    off = sum(f'{ours:.{digits}f}' != f'{float(theirs.replace(",", "")):.{digits}f}'
              for ours, theirs in pairs)  # fmt: skip
    return f'{off} of {len(pairs)} differ' if off else 'exact'


def _is_psmm(images: int) -> bool:
    """Whether a table is PSMM as a whole, so that published numbers belong beside it."""
    return images == _int(load('psmm_tables')['A1']['PSMM']['images'])


def _is_psmm_train(images: int) -> bool:
    return images == _int(load('psmm_tables')['5']['CIP']['train']['images'])


def _remedial_note(measures: Imbalance, known: bool) -> str:
    why = ', which is what the printed numbers follow from' if known else ''
    return (
        f'After REMEDIAL the split has {measures.images:,} rows, {measures.empty:,} of them '
        f'without any label; they are kept{why}.'
    )


def _published_counts(training: TrainingSet) -> dict[str, dict[str, str]]:
    table = load('psmm_tables')[_TABLE_OF[training.protocol]]
    return table.get(training.folder or 'CIP', {})


def _exact(label: str, ours: Counts, theirs: Mapping[str, str] | None) -> list[str]:
    theirs = theirs or {'patients': '–', 'images': '–'}
    same = verdict([(ours.patients, theirs['patients']), (ours.images, theirs['images'])])
    return [label, f'{ours.patients:,}', theirs['patients'], f'{ours.images:,}',
            theirs['images'], same]  # fmt: skip


def _drawn(ours: Counts, spread: Mapping, theirs: Mapping[str, str] | None) -> list[str]:
    cells, distances = [], []
    for name, value in (('patients', ours.patients), ('images', ours.images)):
        mean, deviation = spread[name]
        published = theirs[name] if theirs else '–'
        cells += [f'{value:,} ({mean:,.0f} ± {deviation:.0f})', published]
        if theirs and deviation:
            distances.append(f'{(_int(published) - mean) / deviation:+.1f}')
    return ['r., seed 42', *cells, f'{", ".join(distances)} sd' if distances else '–']


def _int(text: str) -> int:
    return int(text.replace(',', ''))
