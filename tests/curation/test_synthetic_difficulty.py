"""The synthetic data set must not give its labels away by colour."""

import numpy as np
import pytest

from realmnet.curation.synthetic import SyntheticArguments, make_synthetic
from realmnet.curation.synthetic.difficulty import (
    colour_histogram,
    fit_and_score,
    histogram_baseline,
)

QUICKSTART = SyntheticArguments(patients=424, size=128, labels='even', seed=42)


def test_histogram_counts_by_hand():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = (255, 16, 15)
    histogram = colour_histogram(image).reshape(3, 16)
    assert histogram[:, 0].tolist() == [0.75, 0.75, 1.0]
    assert histogram[0, 15] == histogram[1, 1] == 0.25
    assert histogram.sum() == 3


def test_baseline_finds_what_colour_tells_and_nothing_else():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (200, 2))
    labels = np.column_stack([labels, np.zeros(200, int)])
    features = rng.standard_normal((200, 48))
    features[:, 3] += 3 * labels[:, 0]
    told, untold, absent = fit_and_score(features[:120], labels[:120], features[120:], labels[120:])
    assert told > 0.95
    assert 0.3 < untold < 0.7
    assert np.isnan(absent)


@pytest.mark.slow
def test_colour_does_not_tell_the_class_of_the_quickstart(tmp_path):
    make_synthetic(tmp_path / 'psmm', QUICKSTART, workers=2)
    baseline = histogram_baseline(tmp_path / 'psmm')
    assert baseline.positives.min() >= 30
    assert 0.5 < baseline.auroc.mean() < 0.8
