"""The sentences that stand under the tables of an evaluation."""

from __future__ import annotations

from collections import Counter

import numpy as np

from realmnet.evaluation.bootstrap import FEW_UNITS, PUBLISHED_DRAWS
from realmnet.evaluation.evaluation_table import Row, clinical_name, is_printed
from realmnet.evaluation.metric_records import metric_of
from realmnet.evaluation.predictions import Predictions

# Scores may be written with few digits.
_ROUNDED = 0.05


def diagnosis_note(predictions: Predictions) -> list[str]:
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


def truth_notes(predictions: Predictions) -> list[str]:
    """Say where truth or scores contradict what the schema says of a group."""
    schema, notes = predictions.schema, []
    for group in schema.groups:
        places = list(schema.positions(group))
        odd = np.flatnonzero(predictions.truth[:, places].sum(1) != 1)
        if group.exclusive and len(odd):
            notes.append(
                f'{len(odd)} picture(s) have none or several of {", ".join(group.classes)}, of '
                f'which every picture has one ({predictions.filenames[odd[0]]} is the first); '
                'correct their truth.'
            )
        sums = predictions.scores[:, places].sum(1)
        odd = np.flatnonzero(np.abs(sums - 1) > _ROUNDED)
        if group.activation == 'softmax' and len(odd):
            notes.append(
                f'The scores of {", ".join(group.classes)} do not add up to 1 in {len(odd)} '
                f'picture(s) ({predictions.filenames[odd[0]]} is the first: {sums[odd[0]]:.3g}), '
                'as those of softmax do.'
            )
    return notes


def notes_of(rows: list[Row], predictions: Predictions, settings: dict) -> list[str]:
    """Sentences about the numbers that tables print; the others bear their own remarks."""
    rows = [row for row in rows if is_printed(row)]
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
        f'{clinical_name(row)} of {row.of} ({row.group})'
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
