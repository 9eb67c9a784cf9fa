"""Confusion matrices of any exclusive group, against counts by hand and scikit-learn's kappa."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from realmnet.curation.label_schema import PSMM
from realmnet.errors import InputError
from realmnet.evaluation.metrics import all_metrics
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting.confusion import confused_groups, confusion, confusion_figure

STAPHYLOMA, GRADE = PSMM.groups


def example(n=120):
    rng = np.random.default_rng(0)
    truth = np.zeros((n, 7), np.int8)
    truth[np.arange(n), rng.integers(0, 2, n)] = 1
    truth[np.arange(n), 2 + rng.integers(0, 5, n)] = 1
    scores = 1 / (1 + np.exp(-(3 * truth - 1.5 + rng.normal(size=(n, 7)))))
    names = np.array([f'P-{i}.png' for i in range(n)], dtype=object)
    return Predictions(names, names, scores, truth, PSMM.classes)


def test_counts_are_those_of_the_highest_score_in_the_group():
    model = example()
    for group, places in ((STAPHYLOMA, [0, 1]), (GRADE, [2, 3, 4, 5, 6])):
        counts = confusion(model, group)
        assert counts.sum(1).tolist() == model.truth[:, places].sum(0).tolist()
        predicted = model.scores[:, places].argmax(1)
        for place, column in enumerate(places):
            truly = model.truth[:, column] == 1
            assert (
                counts[place].tolist()
                == np.bincount(predicted[truly], minlength=len(places)).tolist()
            )


def test_every_exclusive_group_has_its_panel():
    model = example()
    grade, staphyloma = confusion_figure(model).axes[:2]
    kappa = all_metrics(model.truth, model.scores, model.classes)['kappa']
    assert grade.get_title() == f'quadratic-weighted kappa {kappa:.3f}'
    plain = cohen_kappa_score(model.truth[:, :2].argmax(1), model.scores[:, :2].argmax(1))
    assert staphyloma.get_title() == f'kappa {plain:.3f}'
    assert grade.get_xlabel() == 'predicted grade'
    assert staphyloma.get_ylabel() == 'true staphyloma'
    assert [text.get_text() for text in grade.get_xticklabels()][4] == 'A4 MA'
    shown = [text.get_text() for text in grade.texts]
    counts = confusion(model, GRADE)
    share = counts / counts.sum(1, keepdims=True)
    assert shown[1::2] == [f'{number:,}' for number in counts.ravel()]
    assert shown[::2] == [f'{100 * value:.1f} %' for value in share.ravel()]


def test_a_group_without_one_true_class_has_none():
    model = example()
    truth = model.truth.copy()
    truth[3, 2:] = 0
    broken = Predictions(model.filenames, model.patients, model.scores, truth, PSMM.classes)
    assert confused_groups(broken) == [STAPHYLOMA]
    with pytest.raises(InputError, match=r'none or several of.*correct the truth'):
        confusion(broken, GRADE)
    truth[5, :2] = 1
    both = Predictions(model.filenames, model.patients, model.scores, truth, PSMM.classes)
    with pytest.raises(InputError, match=r'P-5\.png: a picture has none or several .*1 such'):
        confusion_figure(both)
    free = Predictions(model.filenames, model.patients, model.scores, truth, tuple('abcdefg'))
    with pytest.raises(InputError, match="schema 'unnamed' has no exclusive group"):
        confusion_figure(free)
