"""Imbalance measures against definitions written out sample by sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmnet.curation.imbalance import (
    irlbl,
    label_set_codes,
    label_set_counts,
    label_set_name,
    mean_ir,
    measure_imbalance,
    scumble,
    scumble_lbl,
    scumble_per_image,
)
from realmnet.curation.label_schema import PSMM, LabelSchema


def tables(max_rows=30, max_classes=6):
    """Random 0/1 tables."""
    return st.integers(1, max_classes).flatmap(
        lambda c: st.lists(
            st.lists(st.integers(0, 1), min_size=c, max_size=c), min_size=1, max_size=max_rows
        ).map(lambda rows: np.array(rows, np.int8))
    )


def slow_scumble(labels):
    counts = [sum(row[c] for row in labels) for c in range(len(labels[0]))]
    ratios = [max(counts) / n if n else None for n in counts]
    scores = []
    for row in labels:
        present = [ratios[c] for c in range(len(row)) if row[c]]
        if not present:
            scores.append(0.0)
            continue
        product = 1.0
        for value in present:
            product *= value
        mean = sum(present) / len(present)
        scores.append(1 - product ** (1 / len(present)) / mean)
    return scores


def test_a_case_worked_by_hand():
    # counts 4 and 1: IRLbl 1 and 4, MeanIR 2.5; the last image has both: 1 - sqrt(4) / 2.5 = .2
    labels = np.array([[1, 0], [1, 0], [1, 0], [1, 1]])
    assert irlbl(labels).tolist() == [1, 4]
    assert mean_ir(labels) == 2.5
    assert scumble_per_image(labels) == pytest.approx([0, 0, 0, 0.2])
    assert scumble(labels) == pytest.approx(0.05)
    assert scumble_lbl(labels) == pytest.approx([0.05, 0.2])


@settings(max_examples=80, deadline=None)
@given(tables())
def test_scumble_is_its_definition(labels):
    expected = slow_scumble(labels.tolist())
    assert scumble_per_image(labels) == pytest.approx(expected, abs=1e-12)
    assert scumble(labels) == pytest.approx(np.mean(expected), abs=1e-12)
    for column, value in enumerate(scumble_lbl(labels)):
        members = [s for s, row in zip(expected, labels, strict=True) if row[column]]
        if members:
            assert value == pytest.approx(np.mean(members), abs=1e-12)
        else:
            assert np.isnan(value)


@settings(max_examples=60, deadline=None)
@given(tables())
def test_label_set_codes_name_equal_rows_equally(labels):
    rows, codes = label_set_codes(labels)
    assert (rows[codes] == labels).all()
    assert len(rows) == len({tuple(row) for row in labels.tolist()})


def test_more_than_eight_classes():
    labels = np.eye(11, dtype=np.int8)[[0, 10, 10, 8]]
    rows, codes = label_set_codes(labels)
    assert (rows[codes] == labels).all()
    assert len(rows) == 3


def test_label_that_never_occurs():
    labels = np.array([[1, 0], [1, 0]])
    assert irlbl(labels).tolist() == [1, np.inf]
    assert mean_ir(labels) == 1
    assert np.isnan(scumble_lbl(labels)[1])
    assert np.isinf(irlbl(np.zeros((2, 2), int))).all()
    assert np.isnan(mean_ir(np.zeros((2, 2), int)))


def test_names_of_label_sets():
    assert label_set_name(np.array([1, 0, 0, 1, 0, 0, 0]), PSMM) == 'S0A1'
    free = LabelSchema('free', ('x', 'y'), allow_empty=True)
    assert label_set_name(np.array([1, 1]), free) == 'x+y'
    assert label_set_counts(np.array([[0, 0], [1, 1], [1, 1]]), free) == {'x+y': 2, '(none)': 1}


def test_all_measures_at_once():
    labels = np.array([[1, 0], [1, 1], [0, 0]])
    result = measure_imbalance(labels, LabelSchema('free', ('x', 'y'), allow_empty=True))
    assert (result.images, result.empty, result.counts.tolist()) == (3, 1, [2, 1])
