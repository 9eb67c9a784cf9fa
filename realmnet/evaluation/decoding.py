"""From scores to decisions: thresholds, the k best, or one class of each exclusive group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from realmnet.curation.label_schema import LabelSchema, schema_of
from realmnet.errors import InputError


def decide(
    scores: np.ndarray,
    classes: Sequence[str] | LabelSchema,
    threshold: float | Sequence[float] | Mapping[str, float] = 0.5,
    top_k: int | None = None,
    consistent: bool | Sequence[Sequence[str]] = False,
) -> np.ndarray:
    """Decide which classes count as predicted.

    Args:
        scores: Probabilities, shape (N, C).
        classes: Class names, or their schema.
        threshold: Score from which a class is predicted (``>=``): one for all, one for each
            class in order, or by name (missing classes take .5).
        top_k: Predict the ``top_k`` highest scores of each image instead; equal scores in the
            order of the classes.
        consistent: Predict exactly one class of each exclusive group, the highest, whatever its
            threshold, and apply the threshold to classes outside the groups. True takes the
            groups of the schema; or give the groups.

    Returns:
        bool of shape (N, C).

    Raises:
        InputError: If a threshold is not a number, their number is not C, ``top_k`` is not
            within 1..C, or the schema has no exclusive group to ask for.

    Example:
        >>> palm = LabelSchema('PALM', ('N', 'H', 'P'),
        ...                    groups=(dict(name='stage', classes=('N', 'H', 'P')),))
        >>> decide(np.array([[0.2, 0.45, 0.35]]), palm, consistent=True).tolist()
        [[False, True, False]]
    """
    schema = schema_of(classes)
    scores, classes, num_classes = (
        np.asarray(scores, dtype=float),
        schema.classes,
        len(schema.classes),
    )
    if top_k is not None:
        if not 1 <= top_k <= num_classes:
            raise InputError(f'top_k is {top_k}, expected 1 to {num_classes}, the classes')
        rank = np.argsort(np.argsort(-scores, axis=1, kind='stable'), axis=1)
        return rank < top_k
    predicted = scores >= thresholds_of(threshold, classes)
    groups = schema.exclusive if consistent is True else consistent or ()
    if consistent is True and not groups:
        raise InputError(
            f'consistent decoding needs exclusive groups, and the schema of {list(classes)} has '
            'none; name them in the schema (--schema FILE.json)'
        )
    for group in groups:
        unknown = [name for name in group if name not in classes]
        if unknown:
            raise InputError(
                f'group {list(group)} names {unknown}; the classes are {list(classes)}'
            )
        columns = [list(classes).index(name) for name in group]
        best = np.asarray(columns)[scores[:, columns].argmax(1)]
        predicted[:, columns] = False
        predicted[np.arange(len(scores)), best] = True
    return predicted


def thresholds_of(
    threshold: float | Sequence[float] | Mapping[str, float], classes: Sequence[str]
) -> np.ndarray:
    """Return one threshold a class, shape (C,), from the forms that :func:`decide` takes."""
    if isinstance(threshold, Mapping):
        unknown = [name for name in threshold if name not in classes]
        if unknown:
            raise InputError(f'thresholds name {unknown}; the classes are {list(classes)}')
        threshold = [threshold.get(name, 0.5) for name in classes]
    try:
        values = np.asarray(threshold, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f'threshold {threshold!r} is not a number or a list of them') from None
    if values.ndim and values.shape != (len(classes),):
        raise InputError(
            f'{values.size} thresholds for {len(classes)} classes; give one for all or one each'
        )
    if np.isnan(values).any():
        raise InputError('a threshold is NaN; give numbers')
    return np.broadcast_to(values, (len(classes),))


def exclusive_groups(classes: Sequence[str] | LabelSchema) -> tuple[tuple[str, ...], ...]:
    """Return the groups of which each image has exactly one, as the schema of the classes says.

    Args:
        classes: Class names, or their schema; see
            :func:`realmnet.curation.label_schema.schema_of`.

    Example:
        >>> exclusive_groups(['S0', 'S1', 'G'])
        ()
    """
    return schema_of(classes).exclusive
