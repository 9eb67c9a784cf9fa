"""Pathologic myopia, the diagnosis behind the labels, for an image, an eye or a patient.

By the META-PM definition (Ohno-Matsui et al., Am J Ophthalmol 2015) an eye has pathologic myopia
when it has a posterior staphyloma or maculopathy of grade 2 (diffuse atrophy) or worse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

import numpy as np

from realmnet.curation.sources import PSMM_SOURCES
from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions, check_patients

#: Classes of PSMM that mean pathologic myopia: staphyloma, and grades 2 to 4.
PM_CLASSES = ('S1', 'A2', 'A3', 'A4')
PM = 'PM'
UNITS = ('image', 'eye', 'patient')
DIAGNOSIS_RULES = ('max', 'noisy-or')

# ShenzhenEye-1_OD_2020-12-27_2, LishuiR-1_20230707@093423_R6, Zhongshan-1_4_OD4,
# Zhongshan-66_23_11_1_OD1 (the folder of the picture, no date), 0_left; OU shows both eyes.
_EYE = re.compile(r'_(?:PRE-)?(OD|OS|R|L|right|left)(?=\d*(?:_|$))', re.IGNORECASE)
_DATE = re.compile(r'_(\d{4})-?(\d{2})-?(\d{2})(?=[@_]|$)')
_PSMM_PATIENT = re.compile(r'([A-Za-z]+)-\d+(?=_|$)')
_SIDES = {'od': 'OD', 'r': 'OD', 'right': 'OD', 'os': 'OS', 'l': 'OS', 'left': 'OS'}


def pathologic_myopia(
    predictions: Predictions,
    unit: str = 'image',
    rule: str = 'max',
    classes: Sequence[str] | None = None,
) -> Predictions:
    """Reduce the classes to one score of pathologic myopia.

    Score of an image: the maximum over the classes that mean it (``max``), or 1 - prod(1 - p)
    (``noisy-or``). Eye and patient take the maximum of their images, in score and in truth.

    Args:
        predictions: Scores of all classes.
        unit: ``'image'``, ``'eye'`` (see :func:`eyes`) or ``'patient'``.
        rule: ``'max'`` or ``'noisy-or'``.
        classes: Classes that mean the disease; :data:`PM_CLASSES` where left out, or ``M``, the
            pathologic myopia of ODIR-5K, if the predictions have that instead.

    Returns:
        Predictions of one class ``PM``; ``filenames`` name the units, ``patients`` the patients.

    Raises:
        InputError: If a class is missing, or rule or unit are unknown.

    Example:
        >>> p = Predictions(np.array(['a_OD_2020-01-01_1.jpg', 'a_OD_2020-01-01_2.jpg']),
        ...                 np.array(['a', 'a']), np.array([[0.1], [0.8]]), np.array([[0], [1]]),
        ...                 ('M',))
        >>> pathologic_myopia(p, 'eye').scores.tolist()
        [[0.8]]
    """
    columns = _columns(predictions.classes, classes)
    score = diagnosis_score(predictions.scores, predictions.classes, rule, classes)
    truth = predictions.truth[:, columns].max(1)
    if unit not in UNITS:
        raise InputError(f'unit {unit!r} is unknown; use one of {UNITS}')
    if unit == 'image':
        names = np.asarray(predictions.filenames, dtype=str)
    else:
        check_patients(predictions)
        names = eyes(predictions) if unit == 'eye' else np.asarray(predictions.patients, dtype=str)
    unique, first, index = np.unique(names, return_index=True, return_inverse=True)
    unit_score, unit_truth = np.zeros(len(unique)), np.zeros(len(unique), np.int8)
    np.maximum.at(unit_score, index, score)
    np.maximum.at(unit_truth, index, truth)
    order = np.argsort(first)  # units in the order in which they first occur
    return Predictions(
        unique[order].astype(object),
        np.asarray(predictions.patients, dtype=object)[first[order]],
        unit_score[order, None],
        unit_truth[order, None],
        (PM,),
        predictions.info | {'unit': unit, 'rule': rule},
    )


def diagnosis_score(
    scores: np.ndarray,
    available: Sequence[str],
    rule: str = 'max',
    classes: Sequence[str] | None = None,
) -> np.ndarray:
    """Reduce scores to one of pathologic myopia an image, as :func:`pathologic_myopia` does.

    Args:
        scores: Probabilities, shape (N, C).
        available: The C class names.
        rule: ``'max'`` or ``'noisy-or'``.
        classes: As for :func:`pathologic_myopia`.

    Returns:
        Shape (N,).

    Raises:
        InputError: As for :func:`pathologic_myopia`.

    Example:
        >>> diagnosis_score(np.array([[0.2, 0.7]]), ['N', 'M']).tolist()
        [0.7]
    """
    used = scores[:, _columns(available, classes)]
    if rule == 'max':
        return used.max(1)
    if rule == 'noisy-or':
        return 1 - np.prod(1 - used, axis=1)
    raise InputError(f"rule {rule!r} is unknown; use 'max' or 'noisy-or'")


def _columns(available: Sequence[str], classes: Sequence[str] | None) -> list[int]:
    available = list(available)
    if classes is None:
        classes = PM_CLASSES
        if not set(classes) & set(available) and 'M' in available:
            classes = ('M',)
    missing = [name for name in classes if name not in available]
    if missing:
        raise InputError(
            f'pathologic myopia needs the classes {list(classes)}, and {missing} are not among '
            f'{available}; name the classes that mean the disease'
        )
    return [available.index(name) for name in classes]


def has_diagnosis(classes: Sequence[str]) -> bool:
    """Tell whether :func:`pathologic_myopia` finds its classes without being told them."""
    return set(PM_CLASSES) <= set(classes) or (
        'M' in classes and not set(PM_CLASSES) & set(classes)
    )


def eyes(predictions: Predictions) -> np.ndarray:
    """Name the eye and examination of each picture, shape (N,).

    Names of ShenzhenEye, Lishui and Zhongshan and those of ODIR-5K tell the side, the first three
    mostly the date: ``ShenzhenEye-1 OD 2020-12-27``. A picture whose name does not tell its side
    (SUSTech), or that shows both eyes (OU), stands for an eye of its own, named by its file.

    Example:
        >>> p = Predictions(np.array(['P-1_20230707@093423_R6.jpg']), np.array(['P-1']),
        ...                 np.zeros((1, 1)), np.zeros((1, 1)), ('M',))
        >>> eyes(p).tolist()
        ['P-1 OD 2023-07-07']
    """
    pairs = zip(predictions.filenames, predictions.patients, strict=True)
    return np.array([eye_of(str(name), str(who)) or str(name) for name, who in pairs], dtype=str)


def eye_of(filename: str, patient: str) -> str | None:
    """Name the eye and examination of one picture; None if its name does not tell the side.

    Example:
        >>> eye_of('0_left.jpg', '0'), eye_of('SUSTech-129_10.jpg', 'SUSTech-129')
        ('0 OS', None)
    """
    stem = filename.rpartition('/')[2].rsplit('.', 1)[0]
    side = _EYE.search(stem)
    if side is None:
        return None
    parts = [patient, _SIDES[side[1].lower()]]
    if (day := _DATE.search(stem)) and (known := _day(*day.groups())):
        parts.append(known)
    return ' '.join(parts)


def patient_of(filename: str) -> str | None:
    """Name the patient of a picture, where its name tells; None where it does not.

    PSMM's names begin with source and number (``SUSTech-129_10.jpg``). Otherwise a name that
    tells the side of the eye names the patient before it, in its folder: two folders may
    count their patients alike.

    Args:
        filename: Relative to the folder of pictures, with ``/``.

    Example:
        >>> patient_of('SUSTech-129_10.jpg'), patient_of('day 1/0_left.jpg'), patient_of('x.jpg')
        ('SUSTech-129', 'day 1/0', None)
    """
    folder, _, name = filename.rpartition('/')
    stem = name.rsplit('.', 1)[0]
    if (known := _PSMM_PATIENT.match(stem)) and known[1] in PSMM_SOURCES:
        return known[0]
    side = _EYE.search(stem)
    if side is None:
        return None
    day = _DATE.search(stem)
    patient = stem[: min(side.start(), day.start()) if day else side.start()]
    if not patient:
        return None
    return f'{folder}/{patient}' if folder else patient


def sources(predictions: Predictions) -> np.ndarray:
    """Source of each picture, shape (N,): what stands before the first ``-`` of its patient."""
    return np.array([str(p).partition('-')[0] for p in predictions.patients], dtype=object)


def _day(year: str, month: str, day: str) -> str:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return ''
