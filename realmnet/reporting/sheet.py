"""A sheet of pictures with their truth and prediction."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from realmnet.curation.identifiers import picture_path
from realmnet.curation.pictures import read_any_picture, refuse_outward
from realmnet.curation.synthetic import in_synthetic
from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.thresholds import Thresholds, cuts_of, threshold_caption
from realmnet.reporting.curves import how_many
from realmnet.reporting.style import caption

_RIGHT, _WRONG = '#1b7837', '#c51b27'
# Least side, in pixels, to which a large JPEG is decoded: more than a cell of the sheet shows.
_SIDE = 400


def choose_pictures(truth: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Choose pictures so that every label set is shown about equally often.

    Label sets take turns, each giving a random picture that was not yet shown, until there are
    enough.

    Args:
        truth: 0/1, shape (N, C).
        number: How many pictures; fewer if there are not as many.
        seed: Seed.

    Returns:
        Row positions, sorted by label set.

    Example:
        >>> choose_pictures(np.array([[1], [1], [1], [0]]), 2, seed=0)[0]
        np.int64(3)
    """
    rng = np.random.default_rng(seed)
    label_sets = np.unique(truth, axis=0, return_inverse=True)[1].ravel()
    shuffled = rng.permutation(len(truth))
    # Rank of each picture within its label set: all firsts come before all seconds.
    turn = np.empty(len(truth), dtype=int)
    for value in np.unique(label_sets):
        members = shuffled[label_sets[shuffled] == value]
        turn[members] = np.arange(len(members))
    chosen = shuffled[np.argsort(turn[shuffled], kind='stable')][:number]
    return chosen[np.argsort(label_sets[chosen], kind='stable')]


def prediction_sheet(
    predictions: Predictions,
    folder: str | os.PathLike,
    number: int = 24,
    columns: int = 6,
    thresholds: Thresholds | float | None = None,
    seed: int = 0,
    title: str = '',
) -> Figure:
    """Draw pictures with truth and prediction; a wrong label set is red.

    Args:
        predictions: Scores and truth.
        folder: Where the pictures are.
        number: How many pictures, chosen by :func:`choose_pictures`.
        columns: Pictures in a row.
        thresholds: From :func:`thresholds.find_thresholds`, as the tables take them; .5 where
            left out.
        seed: Which pictures.
        title: Above the sheet.

    Returns:
        The figure, ready for :func:`realmnet.reporting.style.save`; its caption says which
        thresholds decided and how many of the pictures it shows.

    Raises:
        InputError: If a picture is not there or cannot be read, or ``number`` is below 1.
    """
    if number < 1:
        raise InputError(f'a sheet of {number} pictures cannot be drawn; ask for 1 or more')
    rows = choose_pictures(predictions.truth, number, seed)
    cuts = cuts_of(thresholds, predictions.classes)
    columns = min(columns, len(rows))
    height = -(-len(rows) // columns)
    figure = Figure(figsize=(2.1 * columns, 2.4 * height + 0.5), layout='constrained')
    axes = figure.subplots(height, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, row in zip(axes, rows, strict=False):
        path = picture_path(Path(folder), predictions.filenames[row])
        refuse_outward(path, folder)
        axis.imshow(read_any_picture(path, least_side=_SIDE))
        claimed = predictions.scores[row] >= cuts
        right = (claimed == (predictions.truth[row] == 1)).all()
        axis.set_title(
            f'truth {_names(predictions, predictions.truth[row] == 1)}\n'
            + '\n'.join(textwrap.wrap(f'found {_scored(predictions, row, claimed)}', 30)),
            fontsize=8,
            color=_RIGHT if right else _WRONG,
            loc='left',
        )
    if title:
        figure.suptitle(title, fontsize=10)
    text = (
        f'{len(rows):,} of {how_many(predictions)[:-1]} shown, each set of labels about equally '
        'often. Green: all classes are right; red: one is wrong. '
        f'{threshold_caption(thresholds, predictions.classes)}'
    )
    caption(figure, text, predictions.synthetic or in_synthetic(folder))
    return figure


def _names(predictions: Predictions, present: np.ndarray) -> str:
    return ' '.join(c for c, p in zip(predictions.classes, present, strict=True) if p) or 'none'


def _scored(predictions: Predictions, row: int, claimed: np.ndarray) -> str:
    found = [
        f'{c}\u00a0{s:.2f}'.replace('0.', '.')
        for c, s, p in zip(predictions.classes, predictions.scores[row], claimed, strict=True)
        if p
    ]
    return '  '.join(found) or f'none (highest {predictions.scores[row].max():.2f})'
