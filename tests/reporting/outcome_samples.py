"""Small outcomes with made-up scores."""

import numpy as np

from realmnet.curation.label_schema import PSMM
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting.outcome import Outcome


def predictions(seed=0, noise=1.0, n=150, classes=PSMM.classes, first=0):
    """One staphyloma and one grade a picture, three pictures a patient."""
    rng = np.random.default_rng(0)
    truth = np.zeros((n, len(classes)), np.int8)
    truth[np.arange(n), rng.integers(0, 2, n)] = 1
    truth[np.arange(n), 2 + rng.integers(0, len(classes) - 2, n)] = 1
    scores = np.random.default_rng(seed).normal(size=truth.shape) * noise + 3 * truth - 1.5
    names = np.array([f'P-{first + i}.png' for i in range(n)], dtype=object)
    who = np.array([f'P-{first + i // 3}' for i in range(n)], dtype=object)
    return Predictions(names, who, 1 / (1 + np.exp(-scores)), truth, classes)


def cell(name, settings=None, seeds=(0,), target='val', noise=1.0, **more):
    """An outcome that ran, or did not where there are no seeds."""
    runs = [{target: predictions(seed, noise)} for seed in seeds]
    more = {'state': 'done' if runs else 'not run', 'published': {}} | more
    return Outcome(name, settings or {}, runs=runs, **more)
