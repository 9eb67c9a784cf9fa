"""The diagnosis behind the labels, for an image, an eye or a patient.

The schema says which classes mean the disease, and what it is called. PSMM's is pathologic myopia:
by the META-PM definition (Ohno-Matsui et al., Am J Ophthalmol 2015) an eye has it when it has a
posterior staphyloma or maculopathy of grade 2 (diffuse atrophy) or worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from realmnet.curation.label_schema import DIAGNOSIS_RULES, UNNAMED_DISEASE, LabelSchema, schema_of
from realmnet.curation.picture_names import AUTOMATIC, PictureNames
from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions, check_patients

UNITS = ('image', 'eye', 'patient')


def pathologic_myopia(
    predictions: Predictions,
    unit: str = 'image',
    rule: str | None = None,
    classes: Sequence[str] | None = None,
    names: PictureNames = AUTOMATIC,
) -> Predictions:
    """Reduce the classes to one score of the disease, PSMM's pathologic myopia or another.

    Score of an image: the maximum over the classes that mean it (``max``), or 1 - prod(1 - p)
    (``noisy-or``). Eye and patient take the maximum of their images, in score and in truth.

    Args:
        predictions: Scores of all classes.
        unit: ``'image'``, ``'eye'`` (see :func:`eyes`) or ``'patient'``.
        rule: ``'max'`` or ``'noisy-or'``; the schema's where left out.
        classes: Classes that mean the disease; those of the predictions' schema where left out.
        names: How file names tell the eye.

    Returns:
        Predictions of one class, the schema's ``disease_code`` (``PM``); ``filenames`` name the
        units, ``patients`` the patients.

    Raises:
        InputError: If no class is named, one is missing, or rule or unit are unknown.

    Example:
        >>> p = Predictions(np.array(['7_right.jpg', 'x/7_right.jpg']), np.array(['7', '7']),
        ...                 np.array([[0.1], [0.8]]), np.array([[0], [1]]),
        ...                 ('M',), {'diagnosis': ['M']})
        >>> pathologic_myopia(p, 'eye').scores.tolist()
        [[0.8]]
    """
    schema = predictions.schema
    rule = rule or schema.diagnosis_rule
    columns = _columns(schema, classes)
    score = diagnosis_score(predictions.scores, schema, rule, classes)
    code = schema.disease_code or UNNAMED_DISEASE
    meaning = LabelSchema(code, (code,), diagnosis=(code,), disease=schema.disease)
    truth = predictions.truth[:, columns].max(1)
    if unit not in UNITS:
        raise InputError(f'unit {unit!r} is unknown; use one of {UNITS}')
    if unit == 'image':
        named = np.asarray(predictions.filenames, dtype=str)
    else:
        check_patients(predictions)
        named = eyes(predictions, names) if unit == 'eye' else predictions.patients.astype(str)
    unique, first, index = np.unique(named, return_index=True, return_inverse=True)
    unit_score, unit_truth = np.zeros(len(unique)), np.zeros(len(unique), np.int8)
    np.maximum.at(unit_score, index, score)
    np.maximum.at(unit_truth, index, truth)
    order = np.argsort(first)  # units in the order in which they first occur
    return Predictions(
        unique[order].astype(object),
        np.asarray(predictions.patients, dtype=object)[first[order]],
        unit_score[order, None],
        unit_truth[order, None],
        (code,),
        predictions.info | {'unit': unit, 'rule': rule} | meaning.to_info(),
    )


def diagnosis_score(
    scores: np.ndarray,
    available: Sequence[str] | LabelSchema,
    rule: str | None = None,
    classes: Sequence[str] | None = None,
) -> np.ndarray:
    """Reduce scores to one of the disease an image, as :func:`pathologic_myopia` does.

    Args:
        scores: Probabilities, shape (N, C).
        available: The C class names, or their schema.
        rule: ``'max'`` or ``'noisy-or'``; the schema's where left out.
        classes: As for :func:`pathologic_myopia`.

    Returns:
        Shape (N,).

    Raises:
        InputError: As for :func:`pathologic_myopia`.

    Example:
        >>> diagnosis_score(np.array([[0.2, 0.7]]), ['N', 'M'], classes=['M']).tolist()
        [0.7]
    """
    schema = schema_of(available)
    rule = rule or schema.diagnosis_rule
    used = scores[:, _columns(schema, classes)]
    if rule == 'max':
        return used.max(1)
    if rule == 'noisy-or':
        return 1 - np.prod(1 - used, axis=1)
    raise InputError(f'rule {rule!r} is unknown; use one of {DIAGNOSIS_RULES}')


def _columns(schema: LabelSchema, classes: Sequence[str] | None = None) -> list[int]:
    wanted = schema.diagnosis if classes is None else tuple(classes)
    missing = [name for name in wanted if name not in schema.classes]
    if missing or not wanted:
        named = f'{missing} are not among' if missing else 'none is named among'
        raise InputError(
            f'the diagnosis needs the classes that mean the disease, and {named} '
            f'{list(schema.classes)}; name them (--disease CLASS, or diagnosis=[...] in the schema)'
        )
    return [schema.classes.index(name) for name in wanted]


def has_diagnosis(classes: Sequence[str] | LabelSchema) -> bool:
    """Tell whether :func:`pathologic_myopia` knows its classes without being told them.

    A class called ``M`` means nothing by itself: the schema says what means the disease.

    Args:
        classes: Class names, or their schema.

    Example:
        >>> has_diagnosis(['N', 'M', 'S']), has_diagnosis('S0 S1 A0 A1 A2 A3 A4'.split())
        (False, True)
    """
    return bool(schema_of(classes).diagnosis)


def eyes(predictions: Predictions, names: PictureNames = AUTOMATIC) -> np.ndarray:
    """Name the eye and examination of each picture, shape (N,).

    Names of ShenzhenEye, Lishui and Zhongshan and those of ODIR-5K tell the side, the first three
    mostly the date: ``ShenzhenEye-1 OD 2020-12-27``. A picture whose name does not tell its side
    (SUSTech), or that shows both eyes (OU), stands for an eye of its own, named by its file.

    Args:
        predictions: Pictures with their patients.
        names: How file names tell the side and the day.

    Example:
        >>> p = Predictions(np.array(['LishuiR-1_20230707@093423_R6.jpg']), np.array(['P-1']),
        ...                 np.zeros((1, 1)), np.zeros((1, 1)), ('M',))
        >>> eyes(p).tolist()
        ['P-1 OD 2023-07-07']
    """
    pairs = zip(predictions.filenames, predictions.patients, strict=True)
    return np.array([names.eye(str(n), str(who)) or str(n) for n, who in pairs], dtype=str)


def eye_of(filename: str, patient: str | None) -> str | None:
    """Name the eye and examination of one picture; None if its name does not tell the side.

    Names are read as :data:`realmnet.curation.picture_names.AUTOMATIC` does.

    Example:
        >>> eye_of('0_left.jpg', '0'), eye_of('SUSTech-129_10.jpg', 'SUSTech-129')
        ('0 OS', None)
    """
    return AUTOMATIC.eye(filename, patient)


def patient_of(filename: str) -> str | None:
    """Name the patient of a picture, where its name tells; None where it does not.

    PSMM's names begin with source and number (``SUSTech-129_10.jpg``). Other patients are named
    with their folder: two folders may count their patients alike.

    Args:
        filename: Relative to the folder of pictures, with ``/``.

    Example:
        >>> patient_of('SUSTech-129_10.jpg'), patient_of('day 1/0_left.jpg'), patient_of('x.jpg')
        ('SUSTech-129', 'day 1/0', None)
    """
    return AUTOMATIC.read(filename).patient


def name_patients(predictions: Predictions, names: PictureNames) -> Predictions:
    """Take patients from file names where the predictions name none: each picture is its own.

    Args:
        predictions: Those with a column ``ID`` are returned as they are.
        names: A pattern or table that the user chose.

    Example:
        >>> p = Predictions(np.array(['7_OD.jpg', '7_OS.jpg']), np.array(['7_OD.jpg', '7_OS.jpg']),
        ...                 np.zeros((2, 1)), np.zeros((2, 1)), ('M',))
        >>> name_patients(p, PictureNames(['patient-eye'])).patients.tolist()
        ['7', '7']
    """
    if (predictions.patients != predictions.filenames).any():
        return predictions
    patients = [names.read(str(name)).patient or name for name in predictions.filenames]
    return replace(predictions, patients=np.array(patients, dtype=object))


def sources(predictions: Predictions) -> np.ndarray:
    """Source of each picture, shape (N,): what stands before the first ``-`` of its patient."""
    return np.array([str(p).partition('-')[0] for p in predictions.patients], dtype=object)
