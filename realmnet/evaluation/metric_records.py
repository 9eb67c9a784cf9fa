"""What a metric is: one record each, read by all that computes, bounds, prints or watches metrics.

To add a metric, add a record to :data:`METRICS`. The plan then computes it (of each class and as
their mean, or of whole label sets), the bootstrap counts the units that it rests on, intervals
stay in its range, the evaluation writes its rows, a config can watch it, tables and figures can
name it. ``tests/evaluation/test_metric_records.py`` walks the list.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from realmnet.errors import InputError
from realmnet.evaluation.metric_types import Column, Images, Metric, Place, Sums

_PLACES = ('table', 'line', 'list', 'files')


def _f1(s: Sums) -> np.ndarray:
    return np.where(s.positives > 0, 2 * s.hits / (s.positives + s.claimed), np.nan)


def _mcc(s: Sums) -> np.ndarray:
    """Correlation of truth and decision, 0 where all decisions are equal (the limit)."""
    # The root of (a b) (c d) is exact where a b = c d: all right is 1, all wrong -1.
    size = np.sqrt((s.claimed * s.rejected) * (s.positives * s.negatives))
    value = (s.weight * s.hits - s.claimed * s.positives) / np.where(size > 0, size, 1)
    return np.where((s.positives > 0) & (s.negatives > 0), value, np.nan)


def _depth(images: Images) -> list[np.ndarray]:
    lowest = np.where(images.true, images.scores, np.inf).min(1)
    return [(images.scores >= lowest[:, None]).sum(1)]


def _misordered(images: Images) -> list[np.ndarray]:
    true, scores = images.true, images.scores
    wrong = np.zeros(len(true))
    for c in range(true.shape[1]):
        wrong += true[:, c] * (~true & (scores >= scores[:, c, None])).sum(1)
    pairs = true.sum(1) * (~true).sum(1)
    return [np.where(pairs > 0, wrong / np.maximum(pairs, 1), 0.0)]


def _gaps(images: Images) -> np.ndarray:
    """Score minus truth, at the bin of the score and 0 elsewhere; shape (C x bins, N)."""
    number, classes = images.scores.shape
    inside = np.minimum((images.scores * images.bins).astype(int), images.bins - 1)
    gaps = np.zeros((classes, images.bins, number))
    index = np.ogrid[:classes, :number]
    gaps[index[0], inside.T, index[1]] = (images.scores - images.true).T
    return gaps.reshape(-1, number)


def _calibration(s: Sums) -> np.ndarray:
    classes, replicates = s.hits.shape
    return np.abs(s.own.reshape(classes, -1, replicates)).sum(1) / s.weight


def _grades(images: Images) -> list[np.ndarray]:
    """Whether an image has one grade, its squared error, the true grades, the predicted ones."""
    true, scores = images.true[:, images.graded], images.scores[:, images.graded]
    grade, guess = true.argmax(1), scores.argmax(1)
    known = true.sum(1) == 1
    steps = np.arange(len(images.graded))[:, None]
    return [
        known,
        known * (grade - guess) ** 2,
        *(known & (grade == steps)),
        *(known & (guess == steps)),
    ]


def _kappa(s: Sums) -> np.ndarray:
    """1 - observed / expected squared difference of the grades."""
    known, observed = s.own[:2]
    truth, guess = np.split(s.own[2:], 2)
    steps = np.arange(len(truth))
    distance = (steps[:, None] - steps) ** 2
    expected = np.einsum('gb,gh,hb->b', truth, distance, guess) / known
    return np.where(expected > 0, 1 - observed / expected, np.nan)


#: Every metric. The order is that of the numbers, within what is shown in one place.
METRICS = (
    Metric(
        name='precision',
        title='Precision',
        level='class',
        limits=(0, 1),
        better='greater',
        rests_on=('claimed', 'negatives'),
        needs=('claimed',),
        shown='table',
        micro=True,
        clinical='PPV',
        value=lambda s: s.hits / s.claimed,
    ),
    Metric(
        name='recall',
        title='Recall',
        level='class',
        limits=(0, 1),
        better='greater',
        rests_on=('positives',),
        needs=('positives',),
        shown='table',
        micro=True,
        clinical='sensitivity',
        value=lambda s: s.hits / s.positives,
    ),
    Metric(
        name='F1',
        title='F1',
        level='class',
        limits=(0, 1),
        better='greater',
        rests_on=('positives', 'negatives'),
        needs=('positives',),
        shown='table',
        micro=True,
        value=_f1,
    ),
    Metric(
        name='AP',
        title='AP',
        level='class',
        limits=(0, 1),
        better='greater',
        rests_on=('positives', 'negatives'),
        needs=('positives',),
        shown='table',
        micro=True,
        mean='mAP',
        value=lambda s: s.ap,
    ),
    Metric(
        name='AUROC',
        title='AUROC',
        level='class',
        limits=(0, 1),
        better='greater',
        rests_on=('positives', 'negatives'),
        needs=('positives', 'negatives'),
        shown='table',
        micro=True,
        value=lambda s: s.auroc,
    ),
    Metric(
        name='hamming',
        title='Hamming loss',
        level='set',
        limits=(0, 1),
        better='less',
        rests_on=(),
        needs=(),
        shown='line',
        value=lambda s: (s.claimed + s.positives - 2 * s.hits).sum(0) / s.weight / len(s.hits),
    ),
    Metric(
        name='coverage',
        title='Coverage',
        level='set',
        limits=(0, None),
        better='less',
        rests_on=(),
        needs=(),
        shown='line',
        gather=_depth,
        value=lambda s: s.own[0] / s.weight,
    ),
    Metric(
        name='ranking',
        title='Ranking loss',
        level='set',
        limits=(0, 1),
        better='less',
        rests_on=(),
        needs=(),
        shown='line',
        gather=_misordered,
        value=lambda s: s.own[0] / s.weight,
    ),
    Metric(
        name='subset_accuracy',
        title='Subset accuracy',
        level='set',
        limits=(0, 1),
        better='greater',
        rests_on=(),
        needs=(),
        shown='list',
        gather=lambda images: [(images.predicted == images.true).all(1)],
        value=lambda s: s.own[0] / s.weight,
    ),
    Metric(
        name='specificity',
        title='Specificity',
        level='class',
        limits=(0, 1),
        better='greater',
        rests_on=('negatives',),
        needs=('negatives',),
        shown='list',
        value=lambda s: s.true_negatives / s.negatives,
    ),
    Metric(
        name='NPV',
        title='NPV',
        level='class',
        limits=(0, 1),
        better='greater',
        rests_on=('rejected', 'positives'),
        needs=('rejected',),
        shown='list',
        value=lambda s: s.true_negatives / s.rejected,
    ),
    Metric(
        name='brier',
        title='Brier score',
        level='class',
        limits=(0, 1),
        better='less',
        rests_on=(),
        needs=(),
        shown='line',
        gather=lambda images: ((images.scores - images.true) ** 2).T,
        value=lambda s: s.own / s.weight,
    ),
    Metric(
        name='calibration',
        title='Calibration error',
        level='class',
        limits=(0, 1),
        better='less',
        rests_on=(),
        needs=(),
        shown='list',
        gather=_gaps,
        value=_calibration,
    ),
    Metric(
        name='kappa',
        title='Quadratic kappa',
        level='set',
        limits=(-1, 1),
        better='greater',
        rests_on=('graded',),
        needs=('graded',),
        shown='list',
        gather=_grades,
        value=_kappa,
    ),
    Metric(
        name='MCC',
        title='MCC',
        level='class',
        limits=(-1, 1),
        better='greater',
        rests_on=('positives', 'negatives'),
        needs=('positives', 'negatives'),
        shown='files',
        value=_mcc,
    ),
    Metric(
        name='balanced_accuracy',
        title='Balanced accuracy',
        level='class',
        limits=(0, 1),
        better='greater',
        rests_on=('positives', 'negatives'),
        needs=('positives', 'negatives'),
        shown='files',
        value=lambda s: (s.hits / s.positives + s.true_negatives / s.negatives) / 2,
    ),
)


def columns_of(
    classes: Sequence[str], metrics: Sequence[Metric] = METRICS, micro: bool = True
) -> tuple[Column, ...]:
    """Return the numbers of some metrics: overall ones by where they are shown, then by class.

    Args:
        classes: Class names.
        metrics: Their records.
        micro: With micro-averages.

    Example:
        >>> [c.name for c in columns_of(['A'], [metric_of('AP'), metric_of('hamming')])]
        ['mAP', 'hamming', 'mAP_micro', 'AP_A']
    """
    overall = [Column(m, 'macro' if m.level == 'class' else 'set') for m in metrics]
    overall += [Column(m, 'micro') for m in metrics if m.micro and micro]
    overall.sort(key=lambda column: _PLACES.index(column.shown))
    of_classes = [Column(m, 'class', c) for m in metrics if m.level == 'class' for c in classes]
    return (*overall, *of_classes)


def names_shown(place: Place) -> tuple[str, ...]:
    """Return the names of the metrics that are shown in a place, in order.

    Example:
        >>> names_shown('line')
        ('hamming', 'coverage', 'ranking', 'brier')
    """
    return tuple(metric.name for metric in METRICS if metric.shown == place)


def find_metric(name: str) -> Metric | None:
    """Return the metric of a number, or None if no metric has such a name.

    Args:
        name: Of a metric, a mean, a micro-average, or a metric of a class.

    Example:
        >>> [find_metric(n).name for n in ('mAP', 'mAP_micro', 'AP_A4', 'balanced_accuracy_A4')]
        ['AP', 'AP', 'AP', 'balanced_accuracy']
        >>> find_metric('loss')
    """
    known = {n: metric for metric in METRICS for n in (metric.name, metric.mean)}
    fitting = [n for n in known if name == n or name.startswith(f'{n}_')]
    return known[max(fitting, key=len)] if fitting else None


def metric_of(name: str) -> Metric:
    """Return the metric of a number; see :func:`find_metric`.

    Raises:
        InputError: If no metric has such a name.

    Example:
        >>> metric_of('brier_A4').better
        'less'
    """
    if (metric := find_metric(name)) is None:
        raise InputError(f'metric {name!r} is unknown; there are {[m.name for m in METRICS]}')
    return metric


def title_of(name: str) -> str:
    """Return how tables and figures write a metric, its mean over classes or its micro-average.

    Raises:
        InputError: If no metric has such a name.

    Example:
        >>> title_of('hamming'), title_of('AP'), title_of('mAP'), title_of('recall_micro')
        ('Hamming loss', 'AP', 'mAP', 'Recall, micro')
    """
    metric = metric_of(name)
    mean = metric.title if metric.mean == metric.name else metric.mean
    titles = {
        f'{metric.mean}_micro': f'{mean}, micro',
        metric.mean: mean,
        metric.name: metric.title,
    }
    return titles.get(name, f'{metric.title} of {name.removeprefix(f"{metric.name}_")}')
