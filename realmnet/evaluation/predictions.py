"""The predictions file: the waist between the model and everything that follows it.

A CSV with one row an image: ``filename, ID, <class>_score ..., <class> ...`` (the truth), classes
in the order of the label schema. The JSON form holds the same plus classes, config, checkpoint
and seed. mmengine's dumped results (``.pkl``) are read too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from realmnet.curation.class_names import SCORE
from realmnet.curation.label_table import PSMM
from realmnet.curation.outputs import write_whole
from realmnet.errors import InputError
from realmnet.evaluation.dumped import read_dump
from realmnet.evaluation.metrics import score_problem


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

    def take(self, rows: np.ndarray, columns: Sequence[int] | None = None) -> Predictions:
        """Return some rows (positions or a mask), and optionally some classes, in this order."""
        columns = list(range(len(self.classes)) if columns is None else columns)
        return Predictions(
            self.filenames[rows],
            self.patients[rows],
            self.scores[rows][:, columns],
            self.truth[rows][:, columns],
            tuple(self.classes[c] for c in columns),
            self.info,
        )

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
    write_whole(path, text)


def read_predictions(path: str | os.PathLike, classes: Sequence[str] | None = None) -> Predictions:
    """Read what :func:`write_predictions` wrote, anyone's CSV of the same columns, or a dump.

    Args:
        path: A ``.csv``, ``.json`` or ``.pkl`` file. ``ID`` may be absent; each picture is then
            its own patient. A ``.pkl`` is what ``tools/test.py --out x.pkl`` or mmengine's
            ``DumpResults`` wrote; see :func:`realmnet.evaluation.dumped.read_dump`.
        classes: Class names in the order wanted: columns are taken by name. A dump has no class
            names: there they are the names of its scores, PSMM's seven where left out, and then
            every picture must have one S and one A.

    Returns:
        The predictions; ``info`` holds the further keys of a JSON file.

    Raises:
        InputError: If the file is missing or cannot be parsed, a score has no truth column or
            the columns hold other classes, a picture occurs twice, a score is not a finite
            number between 0 and 1 (logits are recognised), or a truth is not 0 or 1.

    Example:
        >>> read_predictions('work_dirs/run/test.csv').classes    # doctest: +SKIP
        ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'{path}: no such predictions file; tools/test.py --out writes one')
    info: dict = {}
    try:
        if path.suffix in ('.pkl', '.pickle'):
            frame = _dump_frame(read_dump(path), classes, path)
        elif path.suffix == '.json':
            info = _json_object(path)
            frame = pd.DataFrame(info.pop('predictions'))
        else:
            frame = pd.read_csv(path, dtype={'filename': str, 'ID': str}, encoding='utf-8-sig')
    except InputError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError, pd.errors.ParserError) as error:
        # Its own words, but not the bytes that a UnicodeDecodeError carries.
        said = error.reason if isinstance(error, UnicodeDecodeError) else str(error).strip()
        raise InputError(
            f'{path}: not a predictions file ({type(error).__name__}: {said})'
        ) from None
    found = [str(c).removesuffix(SCORE) for c in frame.columns if str(c).endswith(SCORE)]
    stated = info.pop('classes', None) or found
    if classes is None and set(stated) == set(PSMM.classes):
        classes = PSMM.classes  # columns are found by name, whatever their order in the file
    classes = tuple(classes or stated)
    needed = ['filename', *(c + SCORE for c in classes), *classes]
    missing = [name for name in needed if name not in frame]
    if missing or not classes:
        raise InputError(
            f'{path}: column(s) {missing or ["<class>_score"]} missing; needed are filename, and '
            '<class>_score and <class> for every class'
        )
    if set(stated) != set(classes):
        raise InputError(f'{path}: holds the classes {list(stated)}, expected {list(classes)}')
    if not len(frame):
        raise InputError(f'{path}: the file has no prediction')
    return _checked(frame, classes, info, path)


def _checked(frame: pd.DataFrame, classes: tuple[str, ...], info: dict, path: Path) -> Predictions:
    scores = _numbers(frame, [c + SCORE for c in classes], path)
    truth = _numbers(frame, list(classes), path)
    if problem := score_problem(scores):
        row = int(np.flatnonzero(~((scores >= 0) & (scores <= 1)).all(1))[0])
        raise InputError(f'{path} ({frame["filename"].iloc[row]}): {problem}')
    _refuse(path, frame, ~np.isin(truth, (0, 1)).all(1), truth,
            'a truth is not 0 or 1', 'correct the file')  # fmt: skip
    patients = frame['ID'] if 'ID' in frame else frame['filename']
    for name, column in (('filename', frame['filename']), ('ID', patients)):
        if column.isna().any():
            row = int(np.flatnonzero(column.isna())[0])
            raise InputError(f'{path}, row {row + 1}: {name} is empty; fill it in')
    twice = frame['filename'].duplicated().to_numpy()
    _refuse(path, frame, twice, frame['filename'].to_numpy(object)[:, None],
            'the picture occurs twice', 'keep one row a picture')  # fmt: skip
    return Predictions(
        frame['filename'].astype(str).to_numpy(object),
        patients.astype(str).to_numpy(object),
        scores,
        truth.astype(np.int8),
        classes,
        info,
    )


def same_images(*sets: Predictions, names: Sequence[str] | None = None) -> list[Predictions]:
    """Bring several models' predictions into the order of the first, checked to be comparable.

    Args:
        *sets: Predictions on the same pictures, in any order of rows and columns.
        names: What the sets are called in messages; "file 1" and so on where left out.

    Returns:
        The sets with the rows and classes of the first.

    Raises:
        InputError: If classes differ, a picture is in one set only, or truth or patient of a
            picture differ.

    Example:
        >>> one = Predictions(np.array(['a', 'b']), np.array(['a', 'b']),
        ...                   np.array([[0.1], [0.9]]), np.array([[0], [1]]), ('M',))
        >>> other = one.take(np.array([1, 0]))
        >>> same_images(one, other)[1].filenames.tolist()
        ['a', 'b']
    """
    first, names = sets[0], names or [f'file {i + 1}' for i in range(len(sets))]
    result = [first]
    for other, name in zip(sets[1:], names[1:], strict=True):
        if set(other.classes) != set(first.classes):
            raise InputError(
                f'{name} has the classes {list(other.classes)}, {names[0]} '
                f'{list(first.classes)}; compare models of the same classes'
            )
        rows = {picture: i for i, picture in enumerate(other.filenames)}
        absent = [picture for picture in first.filenames if picture not in rows]
        extra = len(rows) - (len(first) - len(absent))
        if absent or extra:
            example = absent[0] if absent else (set(rows) - set(first.filenames)).pop()
            raise InputError(
                f'{names[0]} and {name} are not on the same pictures: {len(absent)} of '
                f'{names[0]} missing in {name} and {extra} the other way, for instance '
                f'{example}; evaluate both models on one test set'
            )
        columns = [other.classes.index(c) for c in first.classes]
        order = np.array([rows[picture] for picture in first.filenames])
        other = other.take(order, columns)
        for what, differs in (
            ('truth', (other.truth != first.truth).any(1)),
            ('patient', other.patients != first.patients),
        ):
            if differs.any():
                raise InputError(
                    f'{names[0]} and {name} disagree on the {what} of {int(differs.sum())} '
                    f'picture(s), for instance {first.filenames[differs][0]}; use one label file'
                )
        result.append(other)
    return result


def _dump_frame(samples: object, classes: Sequence[str] | None, path: Path) -> pd.DataFrame:
    """Lay out a list of mmpretrain's data samples as the predictions table."""
    if not (isinstance(samples, list) and samples and all(isinstance(s, dict) for s in samples)):
        raise InputError(f'{path}: not a list of predictions, which mmengine dumps')
    names, rows = tuple(classes or PSMM.classes), []
    for number, sample in enumerate(samples, 1):
        absent = [key for key in ('pred_score', 'gt_score') if key not in sample]
        picture = sample.get('filename') or Path(str(sample.get('img_path', ''))).name
        if absent or not picture:
            raise InputError(
                f'{path}, prediction {number}: {absent or ["filename"]} missing; dump a '
                "multi-label model's test run with filename among PackInputs' meta_keys"
            )
        score, truth = np.ravel(sample['pred_score']), np.ravel(sample['gt_score'])
        if len(score) != len(names) or len(truth) != len(names):
            raise InputError(
                f'{path}, prediction {number}: {len(score)} scores and {len(truth)} labels for '
                f'{len(names)} classes {list(names)}; give the class names in their order'
            )
        patient = sample.get('patient', sample.get('ID', picture))
        row = {'filename': picture, 'ID': patient}
        row |= {c + SCORE: float(v) for c, v in zip(names, score, strict=True)}
        rows.append(row | {c: float(v) for c, v in zip(names, truth, strict=True)})
    frame = pd.DataFrame(rows)
    for group in () if classes else PSMM.exclusive:
        odd = np.flatnonzero(frame[list(group)].sum(axis=1) != 1)
        if len(odd):
            raise InputError(
                f'{path}, prediction {odd[0] + 1}: a dump has no class names, and its labels are '
                f"not PSMM's, which have exactly one of {list(group)}; give the class names in "
                'their order (--classes)'
            )
    return frame


def _json_object(path: Path) -> dict:
    """Read the JSON form; what is not of its shape raises TypeError."""
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        raise TypeError('expected an object with the key predictions')
    if not isinstance(content.get('classes', []), list):
        raise TypeError('classes are no list')
    if not isinstance(content.get('checkpoint', ''), str | None):
        raise TypeError('checkpoint is no text')
    return content


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
