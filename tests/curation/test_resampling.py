import numpy as np
import pytest

from realmnet.curation.imbalance import irlbl, mean_ir
from realmnet.curation.resampling import MLRUS
from realmnet.errors import InputError


def test_imbalance_by_hand():
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 0, 1]])
    assert irlbl(labels).tolist() == [1.0, 2.0, 4.0]
    assert mean_ir(labels) == pytest.approx(7 / 3)


def test_draws_come_from_the_bags_of_majority_labels_only():
    # IRLbl 1, 1, 10: the third label is a minority. Two bags, int(.2 * 21) // 2 = 2 draws each.
    labels = np.zeros((21, 3), int)
    labels[:10, 0] = labels[10:20, 1] = 1
    labels[20, 2] = 1
    sampler = MLRUS(0.2, 0)
    kept = sampler.fit_resample(labels)
    assert kept.sum(0).tolist() == [8, 8, 1]
    assert (labels[sampler.sample_indices_] == kept).all()
    assert (np.diff(sampler.sample_indices_) > 0).all()


def test_the_seed_decides():
    labels = np.random.default_rng(0).integers(0, 2, (500, 4))
    first, again, other = MLRUS(0.2, 1), MLRUS(0.2, 1), MLRUS(0.2, 2)
    for sampler in (first, again, other):
        sampler.fit_resample(labels)
    assert (first.sample_indices_ == again.sample_indices_).all()
    assert first.sample_indices_.tolist() != other.sample_indices_.tolist()


@pytest.mark.parametrize('ratio', [0, 1, -0.1])
def test_bad_ratio(ratio):
    with pytest.raises(InputError, match='between 0 and 1'):
        MLRUS(ratio)
