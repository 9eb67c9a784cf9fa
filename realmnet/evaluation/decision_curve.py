"""Decision curves: whether acting on a score does more good than harm.

A threshold probability pt says how many needless referrals one found patient is worth: at .1,
nine. The net benefit counts found patients less needless referrals at that rate (Vickers and
Elkin, Med Decis Making 2006). It compares the model with referring everyone and no one, and needs
scores that mean what they say (:mod:`realmnet.evaluation.recalibration`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import ONE_UNIT, draw_weights, kish, unit_of
from realmnet.evaluation.predictions import Predictions, check_patients
from realmnet.evaluation.prevalence import check_prevalence

#: Threshold probabilities of a curve where none are given.
THRESHOLDS = tuple(np.round(np.arange(1, 100) / 100, 2).tolist())


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit of a class over K threshold probabilities.

    Attributes:
        of: The class, or the disease with its unit.
        thresholds: Threshold probabilities, shape (K,).
        model: Net benefit of referring from the threshold on, shape (K,).
        low: Lower end of its 95 % band, shape (K,); NaN without one.
        high: Upper end.
        everyone: Net benefit of referring everyone, shape (K,); that of no one is 0.
        better_low: Lower end of the band of the model less the better of everyone and no one.
        better_high: Upper end.
        prevalence: Of the data, or the one stated.
        stated: Whether it was stated.
        images: Number of pictures (eyes, patients).
        positives: Number of them with the class.
        units: Effective number of patients (or images) behind the band.
        by: ``'image'`` or ``'patient'``.
    """

    of: str
    thresholds: np.ndarray
    model: np.ndarray
    low: np.ndarray
    high: np.ndarray
    everyone: np.ndarray
    better_low: np.ndarray
    better_high: np.ndarray
    prevalence: float
    stated: bool
    images: int
    positives: int
    units: float
    by: str

    @property
    def better(self) -> np.ndarray:
        """Net benefit of the model less the better of everyone and no one, shape (K,)."""
        return self.model - np.maximum(self.everyone, 0)


def net_benefit(
    true_positives: float | np.ndarray,
    false_positives: float | np.ndarray,
    threshold: float | np.ndarray,
) -> np.ndarray:
    """Net benefit, TP/N - FP/N pt / (1 - pt).

    Args:
        true_positives: Share TP/N of all that are referred and ill.
        false_positives: Share FP/N that are referred and healthy.
        threshold: pt, within (0, 1).

    Returns:
        In the shape of the arguments; at most the prevalence.

    Example:
        >>> float(net_benefit(0.08, 0.18, 0.1).round(4))    # 80 found, 180 / 9 = 20 lost, of 1000
        0.06
    """
    odds = np.asarray(threshold) / (1 - np.asarray(threshold))
    return np.asarray(true_positives) - np.asarray(false_positives) * odds


def decision_curve(
    predictions: Predictions,
    of: str,
    thresholds: Sequence[float] = THRESHOLDS,
    prevalence: float | None = None,
    bootstrap: int = 1000,
    by: str = 'patient',
    seed: int = 42,
    title: str = '',
    progress: Callable[[int, int], None] | None = None,
) -> DecisionCurve:
    """Compute the net benefit of a class over threshold probabilities.

    At a stated prevalence, TP/N is sensitivity x prevalence and FP/N (1 - specificity) x
    (1 - prevalence), and the scores, which mean what they say at the prevalence of the data, are
    moved by the difference of the log odds of the two (Saerens et al. 2002).

    Args:
        predictions: Of the classes, or of the disease
            (:func:`realmnet.evaluation.diagnosis.pathologic_myopia`).
        of: The class.
        thresholds: Threshold probabilities within (0, 1), rising.
        prevalence: Stated; that of the data where left out.
        bootstrap: Replicates of the band, the 2.5 to 97.5 % range at each threshold; 0 for none.
        by: What is drawn, ``'patient'`` or ``'image'``.
        seed: Seed of the draws.
        title: What the class is called; its name where left out.
        progress: Called with the replicates done and their number.

    Returns:
        The curve. Its band is NaN where one patient (effective number) stands behind the
        positives or the negatives.

    Raises:
        InputError: If the class or the thresholds cannot be used, or all or none have the class.
    """
    if of not in predictions.classes:
        raise InputError(f'no class {of!r}; the classes are {list(predictions.classes)}')
    cuts = np.asarray(thresholds, dtype=float)
    if cuts.ndim != 1 or not len(cuts) or not ((cuts > 0) & (cuts < 1)).all():
        raise InputError('threshold probabilities must be numbers above 0 and below 1')
    if (np.diff(cuts) <= 0).any():
        raise InputError('threshold probabilities must rise')
    if prevalence is not None:
        check_prevalence(prevalence)
    if by == 'patient':
        check_patients(predictions)
    column = predictions.classes.index(of)
    truth = predictions.truth[:, column] == 1
    if truth.all() or not truth.any():
        raise InputError(
            f'{"every" if truth.all() else "no"} picture has {title or of}: there is nothing to '
            'decide; take a set with and without it'
        )
    at = cuts
    if prevalence is not None:
        at = expit(logit(cuts) + logit(truth.mean()) - logit(prevalence))
    referred = predictions.scores[:, column, None] >= at
    sums = np.concatenate(
        [truth[:, None], ~truth[:, None], referred & truth[:, None], referred & ~truth[:, None]],
        axis=1,
    ).astype(float)

    def curves(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = weights @ sums
        ill, well = total[:, :1], total[:, 1:2]
        found, needless = np.split(total[:, 2:], 2, axis=1)
        share = ill / (ill + well) if prevalence is None else prevalence
        with np.errstate(invalid='ignore'):
            model = net_benefit(found / ill * share, needless / well * (1 - share), cuts)
        return model, net_benefit(share, 1 - share, cuts) * np.ones_like(model)

    model, everyone = (part[0] for part in curves(np.ones((1, len(truth)))))
    low, high, better_low, better_high = np.full((4, len(cuts)), np.nan)
    units = np.nan
    if bootstrap:
        unit, number = unit_of(predictions.patients if by == 'patient' else None, len(truth))
        units = float(min(kish(truth, unit), kish(~truth, unit)))
        drawn: list[tuple[np.ndarray, np.ndarray]] = []
        rng = np.random.default_rng(seed)
        for done, weights in draw_weights(unit, number, bootstrap, number, rng):
            drawn.append(curves(weights))
            if progress:
                progress(done, bootstrap)
        if units >= ONE_UNIT:
            models, all_of_them = map(np.concatenate, zip(*drawn, strict=True))
            low, high = np.nanquantile(models, [0.025, 0.975], axis=0)
            better = models - np.maximum(all_of_them, 0)
            better_low, better_high = np.nanquantile(better, [0.025, 0.975], axis=0)
    return DecisionCurve(
        title or of,
        cuts,
        model,
        low,
        high,
        everyone,
        better_low,
        better_high,
        float(truth.mean()) if prevalence is None else prevalence,
        prevalence is not None,
        len(truth),
        int(truth.sum()),
        units,
        by,
    )


def curve_rows(curves: Sequence[DecisionCurve]) -> tuple[list[str], list[list[object]]]:
    """Header and rows of a table: one row a curve and threshold."""
    header = ['of', 'prevalence', 'threshold', 'net_benefit', 'low', 'high', 'everyone', 'no_one']
    header += ['better', 'better_low', 'better_high']
    rows = []
    for c in curves:
        none = np.zeros_like(c.model)
        parts = (c.thresholds, c.model, c.low, c.high, c.everyone, none)
        columns = np.stack([*parts, c.better, c.better_low, c.better_high])
        rows += [[c.of, c.prevalence, *row] for row in columns.T.tolist()]
    return header, rows
