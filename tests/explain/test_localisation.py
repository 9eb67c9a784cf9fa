import numpy as np
import pytest

from realmnet.errors import InputError
from realmnet.explain.localisation import (
    centre_map,
    energy_inside,
    faithfulness,
    mean_interval,
    mean_mask_map,
    pointing_game,
    random_map,
)


def picture_of(*values):
    return np.array([values], dtype=float)


def test_pointing_game_by_hand():
    heat = picture_of([0.0, 0.2, 0.0], [0.0, 0.0, 0.9], [0.0, 0.0, 0.0])
    inside = picture_of([0, 0, 0], [0, 0, 1], [0, 0, 0])
    corner = picture_of([1, 0, 0], [0, 0, 0], [0, 0, 0])  # sqrt(5) pixels from the maximum
    assert pointing_game(heat, inside).tolist() == [1]
    assert pointing_game(heat, corner).tolist() == [0]
    assert pointing_game(heat, corner, tolerance=2.2).tolist() == [0]
    assert pointing_game(heat, corner, tolerance=2.3).tolist() == [1]


def test_ties_count_by_their_share_and_empty_masks_are_undefined():
    heat = picture_of([1, 1], [1, 0])
    assert pointing_game(heat, picture_of([1, 0], [0, 1])).tolist() == [pytest.approx(1 / 3)]
    assert np.isnan(pointing_game(heat, np.zeros((1, 2, 2)))[0])


def test_a_flat_map_hits_as_often_as_the_lesion_is_large():
    mask = np.random.default_rng(0).random((4, 9, 11)) < 0.3
    flat = np.ones(mask.shape)
    assert np.allclose(pointing_game(flat, mask), mask.mean((1, 2)))
    assert np.allclose(energy_inside(flat, mask), mask.mean((1, 2)))


def test_energy_by_hand():
    heat = picture_of([1, 2], [3, 4])
    assert energy_inside(heat, picture_of([0, 1], [0, 1])).tolist() == [0.6]
    assert np.isnan(energy_inside(0 * heat, picture_of([0, 1], [0, 1]))[0])


def test_deletion_and_insertion_by_hand():
    # The score is the first pixel, the map says the second, then the first, then the rest.
    picture = np.zeros((1, 3, 1, 4))
    picture[..., 0] = 1
    heat = np.array([[[0.5, 1.0, 0.1, 0.0]]])
    curves = faithfulness(picture, heat, lambda x: x[:, 0, 0, 0], steps=4, fill='mean')
    assert curves.deletion.tolist() == [[1, 1, 0.25, 0.25, 0.25]]
    assert curves.insertion.tolist() == [[0.25, 0.25, 1, 1, 1]]
    assert curves.deletion_area[0] == pytest.approx((1 + 0.625 + 0.25 + 0.25) / 4)
    assert curves.insertion_area[0] == pytest.approx((0.25 + 0.625 + 1 + 1) / 4)


def test_the_right_map_deletes_faster_than_its_opposite():
    rng = np.random.default_rng(0)
    pictures = rng.random((5, 3, 16, 16))
    lesion = np.zeros((5, 16, 16))
    lesion[:, 4:8, 4:8] = rng.random((5, 4, 4)) + 0.1
    pictures[:, :, 4:8, 4:8] += 1
    score = lambda x: x[:, :, 4:8, 4:8].mean((1, 2, 3))  # noqa: E731
    for fill in ('blur', 'mean'):
        right = faithfulness(pictures, lesion, score, fill=fill)
        wrong = faithfulness(pictures, lesion.max() - lesion, score, fill=fill)
        assert (right.deletion_area < wrong.deletion_area).all()
        assert (right.insertion_area > wrong.insertion_area).all()


def test_baselines():
    masks = np.array([[[0, 1, 1]], [[0, 1, 0]]])
    assert mean_mask_map(masks, 2).tolist() == [[[0, 1, 0.5]]] * 2
    centre = centre_map((2, 5, 7))
    assert centre[1].argmax() == 2 * 7 + 3 and centre.min() == pytest.approx(0)
    assert random_map((2, 3, 3), 1).std() > 0.1


def test_interval_of_a_mean_over_classes_draws_patients():
    # Two patients disagree in all their pictures: the spread is that of two patients.
    values = np.repeat([0.0, 1.0], 50)
    few = mean_interval(values, np.repeat(['a', 'b', 'c', 'd'], 25))
    many = mean_interval(values, np.arange(100).astype(str))
    assert few[0] == many[0] == 0.5
    assert few[2] - few[1] > 2 * (many[2] - many[1])
    # The mean of class means, not of all pictures.
    table = np.full((100, 2), np.nan)
    table[:90, 0], table[90:, 1] = values[:90], 1
    assert mean_interval(table, np.arange(100).astype(str))[0] == pytest.approx((40 / 90 + 1) / 2)
    assert mean_interval(np.ones(5), np.arange(5).astype(str))[0] == 1


@pytest.mark.parametrize(
    'call',
    [
        lambda: pointing_game(np.ones((1, 2, 2)), np.ones((1, 2, 3))),
        lambda: pointing_game(np.full((1, 2, 2), np.nan), np.ones((1, 2, 2))),
        lambda: energy_inside(-np.ones((1, 2, 2)), np.ones((1, 2, 2))),
        lambda: faithfulness(np.ones((1, 3, 2, 2)), np.ones((1, 3, 2)), len),
        lambda: faithfulness(np.ones((1, 3, 2, 2)), np.ones((1, 2, 2)), len, fill='white'),
        lambda: faithfulness(np.ones((1, 3, 2, 2)), np.ones((1, 2, 2)), len, steps=0),
    ],
)
def test_mistakes_are_input_errors(call):
    with pytest.raises(InputError):
        call()


@pytest.mark.parametrize('patients', ['aaaaaaaaaa', 'aaaaaaaaab'])
def test_one_patient_gives_no_interval(patients):
    mean, low, high = mean_interval(np.arange(10) % 2, np.array(list(patients)), 50)
    assert mean == 0.5
    assert np.isnan([low, high]).all()
