"""The predictions file: the waist between the model and everything that follows it.

A CSV with one row an image: ``filename, ID, <class>_score ..., <class> ...`` (the truth), classes
in the order of the label schema. The JSON form holds the same plus classes, config, checkpoint
and seed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from realmnet.errors import InputError

SCORE = '_score'


@dataclass(frozen=True)
class Predictions:
    """Scores and truth of N images and C classes.

    Attributes:
        filenames: Pictures, shape (N,).
        patients: Patient of each picture, shape (N,).
        scores: Probabilities, ``float`` of shape (N, C).
        truth: Labels, 0 or 1, ``int8`` of shape (N, C).
        classes: Column names in the order of the schema.
        info: What is known of the origin: config, checkpoint, seed.

    Raises:
        InputError: If the shapes do not agree.
    """

    filenames: np.ndarray
    patients: np.ndarray
    scores: np.ndarray
    truth: np.ndarray
    classes: tuple[str, ...]
    info: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = (len(self.filenames), len(self.classes))
        for name in ('scores', 'truth'):
            if getattr(self, name).shape != expected:
                raise InputError(
                    f'{name} have shape {getattr(self, name).shape}, expected {expected} '
                    '(images, classes)'
                )

    def __len__(self) -> int:
        return len(self.filenames)

    def frame(self) -> pd.DataFrame:
        """Return the table that :func:`write_predictions` writes."""
        table = {'filename': self.filenames, 'ID': self.patients}
        table |= {c + SCORE: self.scores[:, i] for i, c in enumerate(self.classes)}
        table |= {c: self.truth[:, i].astype(int) for i, c in enumerate(self.classes)}
        return pd.DataFrame(table)


def write_predictions(predictions: Predictions, path: str | os.PathLike) -> None:
    """Write predictions as ``.csv`` or ``.json``; the file appears whole or not at all.

    Scores are written with enough digits to be read back bit by bit.

    Args:
        predictions: What to write.
        path: Target; its suffix chooses the form.

    Raises:
        InputError: If the suffix is neither.
    """
    path = Path(path)
    frame = predictions.frame()
    if path.suffix == '.csv':
        text = frame.to_csv(index=False, lineterminator='\n')
    elif path.suffix == '.json':
        content = {
            'classes': list(predictions.classes),
            **predictions.info,
            'predictions': frame.to_dict('records'),
        }
        text = json.dumps(content, indent=1) + '\n'
    else:
        raise InputError(f'{path}: predictions are written as .csv or .json')
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    temporary.write_text(text)
    temporary.replace(path)


def read_predictions(path: str | os.PathLike) -> Predictions:
    """Read what :func:`write_predictions` wrote, or anyone's CSV of the same columns.

    Args:
        path: A ``.csv`` or ``.json`` file. ``ID`` may be absent; each picture is then its own
            patient.

    Returns:
        The predictions; ``info`` holds the further keys of a JSON file.

    Raises:
        InputError: If the file is missing or cannot be parsed, a score has no truth column, or
            a score is not a finite number between 0 and 1, or a truth is not 0 or 1.

    Example:
        >>> read_predictions('work_dirs/run/test.csv').classes    # doctest: +SKIP
        ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'{path}: no such predictions file; tools/test.py --out writes one')
    info: dict = {}
    try:
        if path.suffix == '.json':
            info = json.loads(path.read_text())
            frame = pd.DataFrame(info.pop('predictions'))
        else:
            frame = pd.read_csv(path, dtype={'filename': str, 'ID': str})
    except (ValueError, KeyError, AttributeError, pd.errors.ParserError) as error:
        raise InputError(f'{path}: not a predictions file ({error!r})') from None
    found = [name.removesuffix(SCORE) for name in frame.columns if name.endswith(SCORE)]
    classes = tuple(info.pop('classes', found))
    needed = ['filename', *(c + SCORE for c in classes), *classes]
    missing = [name for name in needed if name not in frame]
    if missing or not classes:
        raise InputError(
            f'{path}: column(s) {missing or ["<class>_score"]} missing; needed are filename, and '
            '<class>_score and <class> for every class'
        )
    scores = _numbers(frame, [c + SCORE for c in classes], path)
    truth = _numbers(frame, list(classes), path)
    _refuse(path, frame, ~((scores >= 0) & (scores <= 1)).all(1), scores,
            'a score is not a probability in [0, 1]',
            'apply the sigmoid to logits and remove NaN')  # fmt: skip
    _refuse(path, frame, ~np.isin(truth, (0, 1)).all(1), truth,
            'a truth is not 0 or 1', 'correct the file')  # fmt: skip
    patients = frame['ID'] if 'ID' in frame else frame['filename']
    return Predictions(
        frame['filename'].to_numpy(object),
        patients.to_numpy(object),
        scores,
        truth.astype(np.int8),
        classes,
        info,
    )


def _numbers(frame: pd.DataFrame, columns: list[str], path: Path) -> np.ndarray:
    try:
        return frame[columns].to_numpy(float)
    except ValueError as error:
        raise InputError(f'{path}: columns {columns} must hold numbers ({error})') from None


def _refuse(
    path: Path, frame: pd.DataFrame, bad: np.ndarray, values: np.ndarray, problem: str, remedy: str
) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise InputError(
            f'{path}, row {rows[0] + 1} ({frame["filename"].iloc[rows[0]]}): {problem} '
            f'({values[rows[0]].tolist()}; {len(rows)} such row(s)); {remedy}'
        )
