"""The six resamplers against cases worked by hand and their definitions on random tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmnet.curation.imbalance import irlbl, mean_ir
from realmnet.curation.resampling import (
    LPROS,
    LPRUS,
    MLROS,
    MLRUS,
    REMEDIAL,
    RESAMPLERS,
    REMEDIALHwR,
    share_equally,
)
from realmnet.errors import InputError

tables = st.integers(2, 5).flatmap(
    lambda c: (
        st.lists(st.lists(st.integers(0, 1), min_size=c, max_size=c), min_size=5, max_size=60)
        .map(lambda rows: np.array(rows, np.int8))
        .filter(lambda rows: rows.any())
    )
)
ratios = st.sampled_from([0.1, 0.2, 0.35, 0.5])


def bags(labels):
    out = {}
    for i, row in enumerate(map(tuple, labels.tolist())):
        out.setdefault(row, []).append(i)
    return out


@pytest.mark.parametrize('name', RESAMPLERS)
class TestCommonInterface:
    @settings(max_examples=25, deadline=None)
    @given(labels=tables, ratio=ratios, seed=st.integers(0, 5))
    def test_same_seed_same_rows_and_input_untouched(self, name, labels, ratio, seed):
        before = labels.copy()
        first, second = RESAMPLERS[name](ratio, seed), RESAMPLERS[name](ratio, seed)
        result = first.fit_resample(labels)
        assert (second.fit_resample(labels) == result).all()
        assert (first.sample_indices_ == second.sample_indices_).all()
        assert (labels == before).all()
        assert len(result) == len(first.sample_indices_)
        assert result.shape[1] == labels.shape[1]
        if 'remedial' in name:
            # editing only takes labels away
            assert (result <= labels[first.sample_indices_]).all()
        else:
            assert (result == labels[first.sample_indices_]).all()

    def test_bad_input(self, name):
        for ratio in (0, 1, -0.2, 20):
            with pytest.raises(InputError, match='between 0 and 1'):
                RESAMPLERS[name](ratio)
        for labels in (np.zeros((0, 3)), np.zeros((4, 3)), np.ones(4)):
            with pytest.raises(InputError, match='cannot be resampled'):
                RESAMPLERS[name]().fit_resample(labels)


def test_share_equally_by_hand():
    # 10 over three bags: 3 each; the first has room for 1, so the others share 9 as 4 and 5
    assert share_equally(10, [1, 4, 9]) == [1, 4, 5]
    assert share_equally(100, [1, 4, 9]) == [1, 4, 9]
    assert share_equally(5, []) == []


def test_lp_ros_by_hand():
    # sizes 12, 4, 2, mean 6; int(.5 * 18) = 9 clones. Largest minority set first: 9 // 2 = 4 but
    # room for 2; the other takes the remaining 7, room for 4.
    labels = np.array([[1, 0]] * 12 + [[0, 1]] * 4 + [[1, 1]] * 2)
    sampler = LPROS(0.5, 0)
    result = sampler.fit_resample(labels)
    assert {k: len(v) for k, v in bags(result).items()} == {(1, 0): 12, (0, 1): 6, (1, 1): 6}
    assert sampler.sample_indices_[:18].tolist() == list(range(18))


def test_lp_rus_by_hand():
    # sizes 20, 7, 3, mean 10: only the first may shrink, by int(.5 * 30) = 15 but to 10 at least
    labels = np.array([[1, 0]] * 20 + [[0, 1]] * 7 + [[1, 1]] * 3)
    result = LPRUS(0.5, 0).fit_resample(labels)
    assert {k: len(v) for k, v in bags(result).items()} == {(1, 0): 10, (0, 1): 7, (1, 1): 3}


@settings(max_examples=60, deadline=None)
@given(tables, ratios)
def test_lp_methods_stay_between_old_size_and_mean(labels, ratio):
    old = bags(labels)
    mean = len(labels) / len(old)
    more = bags(LPROS(ratio, 1).fit_resample(labels))
    less = bags(LPRUS(ratio, 1).fit_resample(labels))
    assert set(more) == set(less) == set(old)
    for row, members in old.items():
        size = len(members)
        assert size <= len(more[row]) <= max(size, mean)
        assert min(size, mean) <= len(less[row]) <= size
    wanted = int(ratio * len(labels))
    room = sum(int(mean) - len(m) for m in old.values() if len(m) < mean)
    assert sum(map(len, more.values())) - len(labels) == min(wanted, room)
    room = sum(int(len(m) - mean) for m in old.values() if len(m) > mean)
    assert len(labels) - sum(map(len, less.values())) == min(wanted, room)


def test_ml_ros_by_hand():
    # counts 8 and 2: IRLbl 1 and 4, MeanIR 2.5. Two clones of the second label's images; after
    # the first its ratio is 8/3 > 2.5, after the second 2 and it would leave.
    labels = np.array([[1, 0]] * 8 + [[0, 1]] * 2)
    sampler = MLROS(0.5, 3)
    assert sampler.fit_resample(labels).sum(0).tolist() == [8, 4]
    assert set(sampler.sample_indices_[10:]) <= {8, 9}


@settings(max_examples=60, deadline=None)
@given(tables, ratios, st.integers(0, 3))
def test_ml_ros_clones_minority_images_until_balanced_or_done(labels, ratio, seed):
    sampler = MLROS(ratio, seed)
    result = sampler.fit_resample(labels)
    clones = sampler.sample_indices_[len(labels) :]
    ratio_of, threshold = irlbl(labels), mean_ir(labels)
    minority = np.isfinite(ratio_of) & (ratio_of > threshold)
    assert labels[clones][:, minority].any(1).all()
    wanted = int(ratio * len(labels))
    assert len(clones) <= wanted
    # replay: every minority label that still stood above the threshold in the end kept cloning
    if len(clones) < wanted:
        counts = labels.sum(0).astype(int)
        reached = np.zeros(len(counts), bool)
        for image in clones:
            counts += labels[image]
            with np.errstate(divide='ignore'):
                reached |= counts.max() <= threshold * counts
        assert reached[minority].all()
    assert (result[: len(labels)] == labels).all()


@settings(max_examples=60, deadline=None)
@given(tables, ratios, st.integers(0, 3))
def test_ml_rus_charte_spares_minority_images(labels, ratio, seed):
    sampler = MLRUS(ratio, seed, variant='charte')
    sampler.fit_resample(labels)
    ratio_of = irlbl(labels)
    minority = np.isfinite(ratio_of) & (ratio_of > mean_ir(labels))
    spared = set(np.flatnonzero(labels[:, minority].any(1)))
    kept = set(sampler.sample_indices_)
    assert spared <= kept
    assert len(labels) - len(kept) == min(int(ratio * len(labels)), len(labels) - len(spared))


@settings(max_examples=60, deadline=None)
@given(tables, ratios, st.integers(0, 3))
def test_ml_rus_published_deletes_from_majority_bags_only(labels, ratio, seed):
    sampler = MLRUS(ratio, seed)
    sampler.fit_resample(labels)
    deleted = np.setdiff1d(np.arange(len(labels)), sampler.sample_indices_)
    majority = irlbl(labels) < mean_ir(labels)
    assert labels[deleted][:, majority].any(1).all()
    assert len(deleted) <= int(ratio * len(labels))


def test_ml_rus_expected_size_equals_simulation():
    rng = np.random.default_rng(0)
    labels = (rng.random((400, 4)) < [0.7, 0.5, 0.2, 0.05]).astype(np.int8)
    mean, deviation = MLRUS(0.2).expected_size(labels)
    sizes = [len(MLRUS(0.2, seed).fit_resample(labels)) for seed in range(2000)]
    assert mean == pytest.approx(np.mean(sizes), abs=5 * deviation / np.sqrt(2000))
    assert deviation == pytest.approx(np.std(sizes), rel=0.1)


def test_ml_rus_expected_size_by_enumeration():
    # two labels with IRLbl 1 and one rare: bags {0,1,2} and {1,2,3}; share int(.4*5)//2 = 1 each.
    # All nine pairs of draws: the union has 1 image in 2 of them, 2 images in 7.
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]])
    mean, deviation = MLRUS(0.4).expected_size(labels)
    assert mean == pytest.approx(5 - (2 * 1 + 7 * 2) / 9)
    assert deviation == pytest.approx(np.sqrt(2 / 9 * 7 / 9))
    with pytest.raises(InputError, match='published'):
        MLRUS(variant='charte').expected_size(labels)


def slow_remedial(labels):
    """Algorithm of the article, image by image."""
    counts = labels.sum(0)
    ratios = [counts.max() / n if n else np.inf for n in counts]
    threshold = np.mean([r for r in ratios if np.isfinite(r)])
    scores = []
    for row in labels:
        present = [r for r, on in zip(ratios, row, strict=True) if on]
        if len(present) < 2:
            scores.append(0.0)
        else:
            scores.append(1 - np.exp(np.mean(np.log(present))) / np.mean(present))
    originals, clones = [], []
    for row, score in zip(labels, scores, strict=True):
        rare = np.array([r > threshold for r in ratios])
        if score > np.mean(scores) + 1e-12:
            originals.append(np.where(rare, 0, row))
            clones.append(np.where(rare, row, 0))
        else:
            originals.append(row)
    return np.array(originals + clones)


@settings(max_examples=60, deadline=None)
@given(tables)
def test_remedial_is_its_definition(labels):
    sampler = REMEDIAL()
    result = sampler.fit_resample(labels)
    assert result.tolist() == slow_remedial(labels).tolist()
    assert (result.sum(0) == labels.sum(0)).all()


@settings(max_examples=40, deadline=None)
@given(tables, st.sampled_from(['ml-ros', 'ml-rus']))
def test_remedial_hwr_is_the_two_steps_in_turn(labels, second):
    sampler = REMEDIALHwR(0.2, 7, with_=second)
    result = sampler.fit_resample(labels)
    first = REMEDIAL()
    decoupled = first.fit_resample(labels)
    other = {'ml-ros': MLROS, 'ml-rus': MLRUS}[second](0.2, 7)
    assert (other.fit_resample(decoupled) == result).all()
    assert (first.sample_indices_[other.sample_indices_] == sampler.sample_indices_).all()


def test_unknown_names():
    with pytest.raises(InputError, match='variant'):
        MLRUS(variant='textbook')
    with pytest.raises(InputError, match='not with'):
        REMEDIALHwR(with_='lp-ros')
