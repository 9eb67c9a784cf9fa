"""A sheet of the pictures on which a model is most confidently wrong."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from realmnet.curation.identifiers import picture_path
from realmnet.curation.pictures import read_any_picture, refuse_outward
from realmnet.curation.synthetic import in_synthetic
from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.thresholds import (
    Thresholds,
    cuts_of,
    threshold_caption,
    threshold_note,
)
from realmnet.reporting.curves import how_many
from realmnet.reporting.style import caption, paper_style, readable


def confident_mistakes(
    predictions: Predictions,
    number: int = 12,
    per_patient: int = 1,
    thresholds: Thresholds | float | None = None,
) -> list[tuple[int, int]]:
    """Find the decisions farthest on the wrong side of the threshold, over all classes.

    How far is measured in parts of the way from the threshold t to the end of the scale:
    (t - p) / t for a class that was missed, (p - t) / (1 - t) for one that was claimed.

    Args:
        predictions: Scores and truth.
        number: Most mistakes to return.
        per_patient: Most mistakes shown of one patient, so that one odd eye does not fill the
            sheet.
        thresholds: From :func:`thresholds.find_thresholds`, as the tables take them; .5 where
            left out.

    Returns:
        Row and class of each, worst first.

    Example:
        >>> p = Predictions(np.array(['a', 'b']), np.array(['a', 'b']),
        ...                 np.array([[0.9], [0.8]]), np.array([[0], [1]]), ('M',))
        >>> confident_mistakes(p)
        [(0, 0)]
    """
    distance = _distance(predictions, thresholds)
    order = np.argsort(-distance, axis=None, kind='stable')
    found, seen = [], {}
    for flat in order:
        row, c = divmod(int(flat), len(predictions.classes))
        if distance[row, c] < 0 or len(found) == number:
            break
        patient = predictions.patients[row]
        if seen.get(patient, 0) < per_patient:
            seen[patient] = seen.get(patient, 0) + 1
            found.append((row, c))
    return found


def _distance(predictions: Predictions, thresholds: Thresholds | float | None) -> np.ndarray:
    """How far on the wrong side each decision is, shape (N, C), in [0, 1]; -1 if it is right."""
    scores, cuts = predictions.scores, cuts_of(thresholds, predictions.classes)
    missed = (cuts - scores) / np.where(cuts > 0, cuts, 1)
    claimed = (scores - cuts) / np.where(cuts < 1, 1 - cuts, 1)
    wrong = (scores >= cuts) != (predictions.truth == 1)
    return np.where(wrong, np.where(predictions.truth == 1, missed, claimed), -1.0)


def mistakes_figure(
    predictions: Predictions,
    folder: str | os.PathLike,
    number: int = 12,
    size: int = 224,
    thresholds: Thresholds | float | None = None,
) -> Figure:
    """Draw the sheet.

    Args:
        predictions: Scores and truth.
        folder: Where the pictures lie.
        number: Most pictures.
        size: Pixels of the longer side.
        thresholds: As for :func:`confident_mistakes`.

    Returns:
        The figure: over each picture the wrong class with its score and threshold, under it its
        labels and its file; in the caption the thresholds, and how many mistakes there are.

    Raises:
        InputError: If a picture is missing or cannot be read, or there is no mistake,
            or ``number`` is below 1.
    """
    if number < 1:
        raise InputError(f'a sheet of {number} pictures cannot be drawn; ask for 1 or more')
    found = confident_mistakes(predictions, number, thresholds=thresholds)
    if not found:
        raise InputError(
            f'no decision is wrong, there is no mistake to show ({threshold_note(thresholds)})'
        )
    cuts, schema = cuts_of(thresholds, predictions.classes), predictions.schema
    wrong = int((_distance(predictions, thresholds) >= 0).sum())
    columns = min(4, len(found))
    rows = -(-len(found) // columns)
    with paper_style():
        figure = Figure(figsize=(2.0 * columns, 2.45 * rows), layout='constrained')
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, (row, c) in zip(panels, found, strict=False):
            axes.imshow(_picture(str(predictions.filenames[row]), folder, size))
            present = [
                name
                for name, label in zip(predictions.classes, predictions.truth[row], strict=True)
                if label
            ]
            word, sign = ('missed', '<') if predictions.truth[row, c] else ('claimed', '≥')
            axes.set_title(
                f'{word} {readable(predictions.classes[c], schema)}: '
                f'{predictions.scores[row, c]:.2f} {sign} {cuts[c]:.2f}',
                fontsize=7, color='#9C2A00' if word == 'missed' else '#00507A',
            )  # fmt: skip
            stem = Path(str(predictions.filenames[row])).stem
            name = '\n'.join(textwrap.wrap(stem, 38, break_on_hyphens=False))
            axes.text(0.5, -0.03, f'truth {" ".join(present) or "none"}\n{name}', fontsize=5.2,
                      ha='center', va='top', transform=axes.transAxes)  # fmt: skip
        text = (
            f'{len(found)} of {wrong:,} wrong decisions on {how_many(predictions)[:-1]}, the '
            'farthest from the threshold, at most one a patient. Above a picture: score and '
            f'threshold. {threshold_caption(thresholds, predictions.classes)}'
        )
        caption(figure, text, predictions.synthetic or in_synthetic(folder))
        return figure


def _picture(name: str, folder: str | os.PathLike, size: int) -> np.ndarray:
    path = picture_path(Path(folder), name)
    if not path.exists():
        raise InputError(f'{path}: the picture is not there; name its folder with --images')
    refuse_outward(path, folder)
    picture = Image.fromarray(read_any_picture(path, least_side=size))
    picture.thumbnail((size, size))
    return np.asarray(picture)
