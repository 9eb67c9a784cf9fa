"""Confusion matrices: which class of an exclusive group is taken for which."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from realmnet.curation.class_groups import ClassGroup
from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions
from realmnet.reporting.curves import how_many
from realmnet.reporting.style import INK, caption, paper_style, readable

_CELL = 0.52  # inches
_CHARACTER = 0.058  # inches
_LINE, _LONGEST_LINE = 10, 16  # characters of a class name, after which it is broken


def confused_groups(predictions: Predictions) -> list[ClassGroup]:
    """Return the groups that have a confusion matrix, those of most classes first.

    They are the exclusive ones of which every picture truly has one class.
    """
    groups = [group for group in predictions.schema.groups if group.exclusive]
    groups = [g for g in groups if (_columns(predictions, g)[0].sum(1) == 1).all()]
    return sorted(groups, key=lambda group: -len(group.classes))


def confusion(predictions: Predictions, group: ClassGroup) -> np.ndarray:
    """Count the pictures by true and predicted class of a group.

    The predicted class is that of the highest score in the group.

    Args:
        predictions: Scores and truth.
        group: An exclusive group of their classes, K in number.

    Returns:
        Counts of shape (K, K), a row a true class.

    Raises:
        InputError: If a picture has none or several of the classes.

    Example:
        >>> names, stage = np.array(['a', 'b']), ClassGroup('stage', ('N', 'P'), ordered=True)
        >>> confusion(Predictions(names, names, np.array([[0.4, 0.3], [0.9, 0.2]]),
        ...                       np.array([[1, 0], [0, 1]]), ('N', 'P')), stage).tolist()
        [[1, 0], [1, 0]]
    """
    labels = range(len(group.classes))
    return confusion_matrix(*_decisions(predictions, group), labels=labels)


def confusion_figure(predictions: Predictions) -> Figure:
    """Draw the confusion of each exclusive group: share of the true class, and number of pictures.

    Above a panel stands Cohen's kappa, with quadratic weights on a scale of three classes or more.

    Args:
        predictions: Scores and truth.

    Returns:
        The figure, a panel a group.

    Raises:
        InputError: If there is no group that excludes, or none of which every picture has one
            class.
    """
    groups = confused_groups(predictions)
    if not groups:
        for group in predictions.schema.groups:
            if group.exclusive:
                _decisions(predictions, group)  # says which picture is in the way
        raise InputError(
            f'the schema {predictions.schema.name!r} has no exclusive group of which every picture '
            'has one class, so nothing can be confused; name the groups in the label schema'
        )
    sizes = [len(group.classes) for group in groups]
    lines = [line for g in groups for name in _names(predictions, g) for line in name.split('\n')]
    longest = max(map(len, lines))
    cell = max(_CELL, _CHARACTER * longest)
    with paper_style():
        wide = sum(cell * size + cell + 0.35 for size in sizes) + 0.5
        figure = Figure(figsize=(wide, cell * max(sizes) + 0.7), layout='constrained')
        panels = figure.subplots(1, len(groups), squeeze=False, width_ratios=sizes)[0]
        for axes, group in zip(panels, groups, strict=True):
            picture = _panel(axes, predictions, group)
        bar = figure.colorbar(picture, ax=list(panels), shrink=0.85, pad=0.02)
        bar.set_label('share of the true class')
        bar.outline.set_visible(False)
        text = 'The predicted class has the highest score of its group; no threshold is used.'
        caption(figure, f'{how_many(predictions)} {text}', predictions.synthetic)
        return figure


def _panel(axes: Axes, predictions: Predictions, group: ClassGroup):
    counts = confusion(predictions, group)
    weights = 'quadratic' if group.ordered and len(group.classes) > 2 else None
    kappa = cohen_kappa_score(*_decisions(predictions, group), weights=weights)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    picture = axes.imshow(share, cmap='Blues', vmin=0, vmax=1)
    for (row, column), number in np.ndenumerate(counts):
        ink = 'white' if share[row, column] > 0.55 else INK
        look = dict(ha='center', va='center', color=ink)
        axes.text(column, row - 0.12, f'{100 * share[row, column]:.1f} %', fontsize=7.5, **look)
        axes.text(column, row + 0.22, f'{number:,}', fontsize=6, **look)
    names = _names(predictions, group)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    word = f'{weights}-weighted kappa' if weights else 'kappa'
    axes.set(xlabel=f'predicted {group.label}', ylabel=f'true {group.label}',
             title=f'{word} {kappa:.3f}')  # fmt: skip
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_anchor('N')  # titles of panels of different sizes stand in one line
    return picture


def _names(predictions: Predictions, group: ClassGroup) -> list[str]:
    """Readable names in short lines, words whole where they are not very long."""
    names = [readable(name, predictions.schema) for name in group.classes]
    word = max(len(part) for name in names for part in name.split())
    return [textwrap.fill(name, min(max(_LINE, word), _LONGEST_LINE)) for name in names]


def _columns(predictions: Predictions, group: ClassGroup) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores of the classes of a group, (N, K) each."""
    places = [predictions.classes.index(name) for name in group.classes]
    return predictions.truth[:, places], predictions.scores[:, places]


def _decisions(predictions: Predictions, group: ClassGroup) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted class of each picture, as positions in the group."""
    truth, scores = _columns(predictions, group)
    odd = np.flatnonzero(truth.sum(1) != 1)
    if len(odd):
        raise InputError(
            f'{predictions.filenames[odd[0]]}: a picture has none or several of '
            f'{list(group.classes)} ({len(odd)} such picture(s)), and its confusion needs exactly '
            'one; correct the truth'
        )
    return truth.argmax(1), scores.argmax(1)
