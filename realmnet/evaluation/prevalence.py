"""Predictive values at a stated prevalence: what a decision is worth where patients are others.

A test set seldom has the share of patients of the clinic or the screening that a model is meant
for. Sensitivity and specificity carry over if the diseased, and the healthy, are as those of the
test set; then Bayes' theorem gives the predictive values at any prevalence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from realmnet.curation.label_schema import LabelSchema
from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import Replicates
from realmnet.evaluation.intervals import Intervals, interval
from realmnet.evaluation.metric_records import metric_of
from realmnet.evaluation.metric_types import Column

#: Key of the prevalences of the diagnosis, whose class has no name in the predictions.
DISEASE = ''
METRICS = ('PPV', 'NPV')
#: Sentence that belongs under predictive values at a stated prevalence.
NOTE = (
    'Stated prevalence: PPV and NPV follow by Bayes from sensitivity and specificity of the data, '
    'which are taken to be the same where the prevalence is the stated one.'
)


@dataclass(frozen=True)
class PredictiveValue:
    """PPV or NPV at a stated prevalence.

    Attributes:
        metric: ``'PPV'`` or ``'NPV'``.
        value: From the sensitivity and specificity of the data.
        low: Lower end of the 95 % interval; NaN without one.
        high: Upper end.
        undefined: Replicates in which it is undefined.
        units: Effective units behind it: the scarcer of those with and without the disease.
        remark: As :meth:`realmnet.evaluation.intervals.Intervals.remarks` says.
    """

    metric: str
    value: float
    low: float = np.nan
    high: float = np.nan
    undefined: int = 0
    units: float = np.nan
    remark: str = ''


def predictive_values(
    sensitivity: float | np.ndarray, specificity: float | np.ndarray, prevalence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Predictive values by Bayes' theorem.

    PPV = se π / (se π + (1 - sp)(1 - π)), NPV = sp (1 - π) / (sp (1 - π) + (1 - se) π).

    Args:
        sensitivity: One, or one for each replicate.
        specificity: Likewise.
        prevalence: Share of diseased π, within (0, 1).

    Returns:
        PPV and NPV, in the shape of the arguments; NaN where no decision of the kind is made.

    Raises:
        InputError: If the prevalence is not within (0, 1).

    Example:
        >>> ppv, npv = predictive_values(0.9, 0.8, 0.1)    # 90 of 100 ill, 180 of 900 healthy
        >>> round(float(ppv), 4), round(float(npv), 4)     # 90 / 270, 720 / 730
        (0.3333, 0.9863)
    """
    check_prevalence(prevalence)
    se, sp = np.asarray(sensitivity, dtype=float), np.asarray(specificity, dtype=float)
    ill, well = prevalence, 1 - prevalence
    with np.errstate(invalid='ignore'):
        ppv = se * ill / (se * ill + (1 - sp) * well)
        npv = sp * well / (sp * well + (1 - se) * ill)
    return ppv, npv


def check_prevalence(prevalence: float, place: str = 'the prevalence') -> None:
    """Refuse a prevalence outside (0, 1).

    Raises:
        InputError: Says what was expected; of a number from 1 to 100, that it may be a percentage.
    """
    if not 0 < prevalence < 1:  # NaN too
        hint = f', for {prevalence:g} % say {prevalence / 100:g}' if 1 <= prevalence < 100 else ''
        raise InputError(f'{place} is {prevalence:g}, expected above 0 and below 1{hint}')


def read_prevalences(texts: Sequence[str], schema: LabelSchema) -> dict[str, list[float]]:
    """Read what stands behind ``--prevalence``: ``0.05`` for the disease, ``A4=0.01`` for a class.

    Args:
        texts: The arguments.
        schema: Of the predictions.

    Returns:
        Class, or :data:`DISEASE`, to its prevalences in the order given, each once.

    Raises:
        InputError: If one is no number within (0, 1), its class is unknown, or it is for the
            disease and no class means one.

    Example:
        >>> read_prevalences(['M=0.05', 'M=0.2'], LabelSchema('s', ('N', 'M')))
        {'M': [0.05, 0.2]}
    """
    result: dict[str, list[float]] = {}
    for text in texts:
        name, _, number = text.rpartition('=')
        try:
            value = float(number)
        except ValueError:
            raise InputError(
                f'--prevalence {text}: expected a number for the disease, such as 0.05, or '
                'CLASS=NUMBER, such as A4=0.01'
            ) from None
        check_prevalence(value, f'--prevalence {text}: it')
        if name and name not in schema.classes:
            raise InputError(
                f'--prevalence {text}: no class {name!r}; the classes are {list(schema.classes)}'
            )
        if not name and not schema.diagnosis:
            raise InputError(
                f'--prevalence {text}: it is for the disease, and no class is said to mean one; '
                f'say --disease CLASS, or CLASS={number} for a class of {list(schema.classes)}'
            )
        values = result.setdefault(name, [])
        if value not in values:
            values.append(value)
    return result


def at_prevalence(
    replicates: Replicates | None,
    point: Mapping[str, float],
    of: str,
    prevalence: float,
    method: str,
    ends: Intervals | None = None,
    left_out: np.ndarray | None = None,
) -> list[PredictiveValue]:
    """Predictive values of a class, with intervals from the replicates of a bootstrap.

    Every replicate gives a sensitivity and a specificity and so a PPV and an NPV, of which
    :func:`realmnet.evaluation.intervals.interval` makes intervals as of any metric. Where a value
    is 1 or 0 because its sensitivity or specificity is, its other end follows from the end of
    that one's interval: 1,000 healthy without an alarm do not say that a rare disease's alarms are
    always right.

    Args:
        replicates: Of a plan with ``recall`` and ``specificity`` of the class; None for values
            without intervals.
        point: Metrics of the data by name.
        of: The class.
        prevalence: Within (0, 1).
        method: One of :data:`realmnet.evaluation.intervals.METHODS`.
        ends: Intervals of the replicates, by the same method.
        left_out: For ``bca``, as for :func:`realmnet.evaluation.intervals.interval`.

    Returns:
        PPV and NPV.

    Raises:
        InputError: If the prevalence is not within (0, 1).
    """
    rates = f'recall_{of}', f'specificity_{of}'
    sensitivity, specificity = (point[name] for name in rates)
    value = np.array(predictive_values(sensitivity, specificity, prevalence))
    if replicates is None:
        return [PredictiveValue(m, float(v)) for m, v in zip(METRICS, value, strict=True)]
    places = [replicates.names.index(name) for name in rates]

    def both(rows: np.ndarray) -> np.ndarray:
        return np.stack(predictive_values(*rows[:, places].T, prevalence), axis=1)

    units = np.full(2, replicates.units[places].min())
    # PPV and NPV are the precision and NPV of a population of that prevalence
    drawn = replace(
        replicates,
        columns=tuple(Column(metric_of(name), 'class', of) for name in ('precision', 'NPV')),
        classes=(of,),
        point=value,
        values=both(replicates.values),
        units=units,
    )
    found = interval(drawn, method, left_out=None if left_out is None else both(left_out))
    low, high = found.low.copy(), found.high.copy()
    if ends is not None:
        se_low, sp_low = ends.low[places]
        se_high, sp_high = ends.high[places]
        ppv_low, npv_low = (
            predictive_values(sensitivity, sp_low, prevalence)[0],
            predictive_values(se_low, specificity, prevalence)[1],
        )
        ppv_high, npv_high = (
            predictive_values(se_high, specificity, prevalence)[0],
            predictive_values(sensitivity, sp_high, prevalence)[1],
        )
        low = np.where(np.isfinite(low) & (value == 1), [ppv_low, npv_low], low)
        high = np.where(np.isfinite(high) & (value == 0), [ppv_high, npv_high], high)
    remarks = found.remarks(replicates.by)
    undefined = drawn.undefined
    result = []
    for i, metric in enumerate(METRICS):
        numbers = float(value[i]), float(low[i]), float(high[i]), int(undefined[i])
        remark = remarks[i] if np.isfinite(value[i]) else ''
        result.append(PredictiveValue(metric, *numbers, float(units[i]), remark))
    return result
