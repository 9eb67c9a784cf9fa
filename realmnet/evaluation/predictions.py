"""The predictions file: the waist between the model and everything that follows it.

A CSV with one row an image: ``filename, ID, <class>_score ..., <class> ...`` (the truth), classes
in the order of the label schema. The JSON form holds the same plus classes, config, checkpoint
and seed. mmengine's dumped results (``.pkl``) are read too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from realmnet.curation.class_names import SCORE
from realmnet.curation.csv_files import column_hint, write_csv
from realmnet.curation.identifiers import (
    check_distinct,
    clean,
    clean_name,
    name_spelling,
    near_match,
)
from realmnet.curation.label_schema import EARLIER_DISEASE, PSMM, LabelSchema, get_schema, schema_of
from realmnet.curation.outputs import write_whole
from realmnet.curation.synthetic_marks import MARK, any_synthetic
from realmnet.errors import InputError
from realmnet.evaluation.prediction_forms import dump_table, json_table, text_table


@dataclass(frozen=True)
class Predictions:
    """Scores and truth of N images and C classes.

    Attributes:
        filenames: Pictures, shape (N,).
        patients: Patient of each picture, shape (N,).
        scores: Probabilities, ``float`` of shape (N, C).
        truth: Labels, 0 or 1, ``int8`` of shape (N, C).
        classes: Column names in the order of the schema.
        info: What is known of the origin: config, checkpoint, seed, what the classes mean
            (:meth:`realmnet.curation.label_schema.LabelSchema.to_info`); a notice where the
            pictures are synthetic.

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

    @property
    def schema(self) -> LabelSchema:
        """What the classes mean, from ``info`` or, without it, from PSMM's seven names."""
        if fields := self.info.get('label_schema'):
            return get_schema(fields)
        diagnosis = self.info.get('diagnosis')
        if diagnosis is not None and not set(diagnosis) <= set(self.classes):
            diagnosis = ()  # of classes that were taken away
        return schema_of(self.classes, self.info.get('schema'), diagnosis, EARLIER_DISEASE)

    @property
    def synthetic(self) -> bool:
        """Whether the pictures say that they are drawn, by their names or in the file."""
        return self.info.get('notice') == MARK or any_synthetic(self.patients, self.filenames)

    def with_schema(self, schema: LabelSchema) -> Predictions:
        """Return the predictions with what their classes mean.

        Args:
            schema: Of the same classes, in any order.

        Raises:
            InputError: If its classes are others.
        """
        return replace(self, info=self.info | _fitting(schema, self.classes).to_info())

    def with_diagnosis(self, classes: Sequence[str], disease: str = '') -> Predictions:
        """Return the predictions with the classes that mean the disease.

        Args:
            classes: Those classes.
            disease: What it is called; what it was called before where left out.

        Raises:
            InputError: If one is not among the classes.
        """
        _check_diagnosis(classes, self.classes)
        schema = self.schema
        disease = disease or schema.disease
        return self.with_schema(replace(schema, diagnosis=tuple(classes), disease=disease))

    def take(self, rows: np.ndarray, columns: Sequence[int] | None = None) -> Predictions:
        """Return some rows (positions or a mask), and optionally some classes, in this order."""
        columns = list(range(len(self.classes)) if columns is None else columns)
        classes = tuple(self.classes[c] for c in columns)
        known = 'label_schema' in self.info and classes != self.classes
        return Predictions(
            self.filenames[rows],
            self.patients[rows],
            self.scores[rows][:, columns],
            self.truth[rows][:, columns],
            classes,
            self.info | self.schema.subset(classes).to_info() if known else self.info,
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
        columns = (frame[name].tolist() for name in frame)
        write_csv(path, list(frame), zip(*columns, strict=True))
    elif path.suffix == '.json':
        content = {
            'classes': list(predictions.classes),
            **predictions.info,
            **({'notice': MARK} if predictions.synthetic else {}),
            'predictions': frame.to_dict('records'),
        }
        write_whole(path, json.dumps(content, indent=1) + '\n')
    else:
        raise InputError(f'{path}: predictions are written as .csv or .json')


def read_predictions(
    path: str | os.PathLike, classes: Sequence[str] | LabelSchema | None = None
) -> Predictions:
    """Read what :func:`write_predictions` wrote, anyone's CSV of the same columns, or a dump.

    File names and patients are text and written as :mod:`realmnet.curation.identifiers` says.

    Args:
        path: A ``.csv``, ``.json`` or ``.pkl`` file. ``ID`` may be absent; each picture is then
            its own patient, and a warning says so. A ``.pkl`` is what ``tools/test.py --out x.pkl``
            or mmengine's ``DumpResults`` wrote; see
            :func:`realmnet.evaluation.dumped.read_dump`.
        classes: Class names in the order wanted: columns are taken by name; or their schema,
            which then says what they mean, whatever the file says. A dump has no class
            names: there they are the names of its scores, PSMM's seven where left out, and then
            every picture must have one S and one A.

    Returns:
        The predictions; ``info`` holds the further keys of a JSON file.

    Raises:
        InputError: If the file is missing or cannot be parsed, a score has no truth column or
            the columns hold other classes, a picture occurs twice, a name is empty or a number, a
            score is not a finite number between 0 and 1 (logits are recognised), or a truth is not
            0 or 1.

    Example:
        >>> read_predictions('work_dirs/run/test.csv').classes    # doctest: +SKIP
        ('S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4')
    """
    if isinstance(classes, LabelSchema):
        return read_predictions(path, classes.classes).with_schema(classes)
    path = Path(path)
    absent = 'no such predictions file; tools/test.py --out writes one'
    suffix = path.suffix.lower()
    if suffix in ('.pkl', '.pickle', '.json') and not path.is_file():
        raise InputError(f'{path}: {absent}')
    if suffix in ('.pkl', '.pickle'):
        table, info = dump_table(path, classes), {}
    elif suffix == '.json':
        table, info = json_table(path)
    else:
        table, info = text_table(path, absent), {}
    found = [c.removesuffix(SCORE) for c in table.columns if c.endswith(SCORE)]
    stated = info.pop('classes', None) or found
    if classes is None and set(stated) == set(PSMM.classes):
        classes = PSMM.classes  # columns are found by name, whatever their order in the file
    classes = tuple(classes or stated)
    needed = ['filename', *(c + SCORE for c in classes), *classes]
    missing = [name for name in needed if name not in table.columns]
    if missing or not classes:
        if not classes:
            missing = [c[: -len(SCORE)] + SCORE for c in table.columns if c.lower().endswith(SCORE)]
        raise InputError(
            f'{path}: column(s) {missing or ["<class>_score"]} missing; needed are filename, and '
            f'<class>_score and <class> for every class{column_hint(missing, table.columns)}'
        )
    if set(stated) != set(classes):
        raise InputError(f'{path}: holds the classes {list(stated)}, expected {list(classes)}')
    if not len(table):
        raise InputError(f'{path}: the file has no prediction')
    return Predictions(*table.checked(classes), classes, info | _meaning(info, classes, path))


def _meaning(info: dict, classes: tuple[str, ...], path: Path) -> dict:
    """Check what a file says of its classes, and bring it into their order."""
    place = f'{path}: '
    fields, diagnosis = info.get('label_schema'), info.get('diagnosis')
    _check_diagnosis(diagnosis or (), classes, place)
    if fields is None:
        return {}
    try:
        schema = _fitting(get_schema(fields), classes)
    except InputError as error:
        raise InputError(f'{place}label_schema: {error}') from None
    if diagnosis is not None and set(diagnosis) != set(schema.diagnosis):
        raise InputError(
            f'{place}diagnosis names {diagnosis}, label_schema {list(schema.diagnosis)}; make '
            'both the same, or take one out'
        )
    return schema.to_info()


def _check_diagnosis(named: Sequence[str], classes: Sequence[str], place: str = '') -> None:
    if unknown := [name for name in named if name not in classes]:
        raise InputError(
            f'{place}the diagnosis names {unknown}, and the classes are {list(classes)}; name '
            'those of them that mean the disease'
        )


def _fitting(schema: LabelSchema, classes: Sequence[str]) -> LabelSchema:
    if set(schema.classes) != set(classes):
        raise InputError(
            f'the schema {schema.name!r} has the classes {list(schema.classes)}, the predictions '
            f'{list(classes)}; name the schema of these classes'
        )
    return schema.subset(classes)


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
        rows = {clean_name(str(picture)): i for i, picture in enumerate(other.filenames)}
        wanted = [clean_name(str(picture)) for picture in first.filenames]
        for title, part, number in ((names[0], first, len(set(wanted))), (name, other, len(rows))):
            if number < len(part):
                raise InputError(f'{title} has a picture twice; keep one row a picture')
        absent = [picture for picture in wanted if picture not in rows]
        extra = len(rows) - (len(first) - len(absent))
        if absent or extra:
            example = absent[0] if absent else min(set(rows) - set(wanted))
            if near := near_match(example, wanted if not absent else rows, name_spelling):
                example += f' (the other has {near!r})'
            raise InputError(
                f'{names[0]} and {name} are not on the same pictures: {len(absent)} of '
                f'{names[0]} missing in {name} and {extra} the other way, for instance '
                f'{example}; evaluate both models on one test set'
            )
        columns = [other.classes.index(c) for c in first.classes]
        order = np.array([rows[picture] for picture in wanted])
        other = other.take(order, columns)
        for what, differs in (
            ('truth', (other.truth != first.truth).any(1)),
            ('patient', _cleaned(other.patients) != _cleaned(first.patients)),
        ):
            if differs.any():
                row = int(np.flatnonzero(differs)[0])
                values = [part.patients[row] for part in (first, other)]
                shown = f' ({values[0]!r} and {values[1]!r})' if what == 'patient' else ''
                raise InputError(
                    f'{names[0]} and {name} disagree on the {what} of {int(differs.sum())} '
                    f'picture(s), for instance {first.filenames[row]}{shown}; use one label file'
                )
        result.append(other)
    return result


def check_patients(predictions: Predictions) -> None:
    """Refuse patients that look alike, before their pictures are pooled.

    Raises:
        InputError: Names them (:func:`realmnet.curation.identifiers.check_distinct`).
    """
    # Without patients each picture stands for its own, and two files may look alike.
    if (predictions.patients != predictions.filenames).any():
        check_distinct(predictions.patients)


def _cleaned(patients: np.ndarray) -> np.ndarray:
    return np.array([clean(str(patient)) for patient in patients], dtype=object)
