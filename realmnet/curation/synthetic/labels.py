"""Who is photographed: synthetic patients, eyes, examinations and their labels.

Everything here is a table; no picture is drawn. The label sets follow the published histogram of
PSMM (or a uniform one), the file names follow PSMM's, and all numbers and dates are invented; the
numbers begin with :data:`~realmnet.curation.synthetic_marks.NUMBER_PREFIX`, as no patient's does.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import NormalDist

import numpy as np

from realmnet.curation.synthetic_marks import NUMBER_PREFIX

#: Pictures per label set in PSMM (train + validation + test), from mild to severe.
PUBLISHED_COUNTS = {
    'S0A0': 2070,
    'S0A1': 26487,
    'S0A2': 52,
    'S1A1': 5214,
    'S1A2': 6064,
    'S0A3': 118,
    'S1A3': 2581,
    'S1A4': 785,
}
#: The only combinations of staphyloma (S) and atrophy (A) that PSMM holds, from mild to severe.
LABEL_SETS = tuple(PUBLISHED_COUNTS)
#: Patients per source in PSMM.
SOURCE_PATIENTS = {
    'ShenzhenEye': 4003,
    'SUSTech': 226,
    'LishuiR': 155,
    'Zhongshan': 85,
    'LishuiZ': 91,
}
#: Number of patients from which on every source is present, with a patient in each of three splits
#: only by luck.
ALL_SOURCES_FROM = 40
MAX_PICTURES = 8
EYE_CORRELATION = 0.7

_LABEL_STREAM, _SCHEDULE_STREAM = 1, 2


@dataclass(frozen=True)
class Picture:
    """One picture of one eye on one day.

    Attributes:
        filename: Name in the form that PSMM uses.
        eye: ``OD`` (right) or ``OS`` (left).
        examination: 0 for the first visit, 1 for the second.
        number: Running number within the patient, from 1.
    """

    filename: str
    eye: str
    examination: int
    number: int


@dataclass(frozen=True)
class Patient:
    """A synthetic patient.

    Attributes:
        index: Position in the list of patients; it seeds the anatomy.
        source: Name of the source (hospital and device).
        patient_id: Source and invented number, PSMM's column ``ID``.
        label_sets: Label set of each eye, such as ``{'OD': 'S1A2', 'OS': 'S0A1'}``.
        pictures: The pictures taken, 1 to 8.
    """

    index: int
    source: str
    patient_id: str
    label_sets: dict[str, str]
    pictures: tuple[Picture, ...] = field(default=())


def label_probabilities(labels: str) -> np.ndarray:
    """Give the probability of each label set.

    Args:
        labels: ``published`` (PSMM's joint distribution) or ``even`` (1/8 each).

    Returns:
        Array of shape (8,) in the order of ``LABEL_SETS``, summing to 1.

    Raises:
        ValueError: If ``labels`` is neither of the two.

    Example:
        >>> label_probabilities('published').round(2).tolist()
        [0.05, 0.61, 0.0, 0.12, 0.14, 0.0, 0.06, 0.02]
    """
    if labels == 'even':
        return np.full(len(LABEL_SETS), 1 / len(LABEL_SETS))
    if labels == 'published':
        counts = np.array(list(PUBLISHED_COUNTS.values()), float)
        return counts / counts.sum()
    raise ValueError(f"labels must be 'published' or 'even', got {labels!r}")


def draw_sources(num_patients: int) -> list[str]:
    """Share the patients among the five sources, roughly as PSMM does.

    Every source gets its published share, and at least two patients once there are
    ``ALL_SOURCES_FROM`` of them (one before); the main source takes the rest.

    Args:
        num_patients: Number of patients, 1 or more.

    Returns:
        One source name a patient, grouped by source.

    Example:
        >>> sources = draw_sources(100)
        >>> sources.count('ShenzhenEye'), sources.count('SUSTech'), sources.count('LishuiZ')
        (88, 5, 2)
    """
    total = sum(SOURCE_PATIENTS.values())
    main, *others = SOURCE_PATIENTS
    least = 2 if num_patients >= ALL_SOURCES_FROM else 1
    sources = []
    for name in others:
        sources += [name] * max(least, round(num_patients * SOURCE_PATIENTS[name] / total))
    sources = sources[: max(num_patients - 1, 0)]
    return [main] * (num_patients - len(sources)) + sources


def draw_eye_labels(num_patients: int, labels: str, seed: int) -> list[tuple[str, str]]:
    """Draw the label sets of the right and left eye of each patient.

    A Gaussian copula over the ordered label sets: each eye keeps the asked distribution exactly,
    and the eyes of a patient resemble each other. Eyes are stratified, so that a small data set
    stays close to the distribution.

    Args:
        num_patients: Number of patients.
        labels: ``published`` or ``even``.
        seed: Seed of the data set.

    Returns:
        One pair (right, left) of label sets a patient.

    Example:
        >>> pairs = draw_eye_labels(1000, 'even', 0)
        >>> bool(0.2 < np.mean([right == left for right, left in pairs]) < 0.5)
        True
    """
    rng = np.random.default_rng([seed, _LABEL_STREAM])
    normal = NormalDist()
    strata = (rng.permutation(num_patients) + rng.random(num_patients)) / num_patients
    severity = np.array([normal.inv_cdf(p) for p in np.clip(strata, 1e-12, 1 - 1e-12)])
    own = rng.standard_normal((num_patients, 2))
    latent = np.sqrt(EYE_CORRELATION) * severity[:, None] + np.sqrt(1 - EYE_CORRELATION) * own
    # ranks instead of the normal distribution function: the marginal is then exact
    ranks = latent.ravel().argsort(kind='stable').argsort(kind='stable')
    quantiles = (ranks + rng.random(2 * num_patients)) / (2 * num_patients)
    edges = label_probabilities(labels).cumsum()
    chosen = np.searchsorted(edges, quantiles, side='right').clip(max=len(LABEL_SETS) - 1)
    return [(LABEL_SETS[right], LABEL_SETS[left]) for right, left in chosen.reshape(-1, 2)]


def draw_patients(num_patients: int, labels: str = 'published', seed: int = 42) -> list[Patient]:
    """Draw patients with their eyes, examinations and pictures.

    Args:
        num_patients: Number of patients, 1 or more.
        labels: ``published`` or ``even``, see `label_probabilities`.
        seed: Seed of the data set; equal arguments give equal patients.

    Returns:
        The patients; a patient has 1 to 8 pictures, from both eyes when there are two or more.

    Raises:
        ValueError: If there is no patient, or ``labels`` is unknown.

    Example:
        >>> patient = draw_patients(50)[0]
        >>> patient.pictures[0].filename.startswith(patient.patient_id)
        True
    """
    if num_patients < 1:
        raise ValueError(f'at least one patient is needed, got {num_patients}')
    rng = np.random.default_rng([seed, _SCHEDULE_STREAM])
    eye_labels = draw_eye_labels(num_patients, labels, seed)
    sources = draw_sources(num_patients)
    order = rng.permutation(num_patients)
    sources = [sources[i] for i in order]
    numbers = {
        name: iter(_invented_numbers(rng, name, sources.count(name))) for name in SOURCE_PATIENTS
    }
    patients = []
    for index, (source, (right, left)) in enumerate(zip(sources, eye_labels, strict=True)):
        patient_id = f'{source}-{next(numbers[source])}'
        pictures = _draw_pictures(rng, source, patient_id)
        patients.append(Patient(index, source, patient_id, {'OD': right, 'OS': left}, pictures))
    return patients


def _invented_numbers(rng: np.random.Generator, source: str, count: int) -> list[str]:
    """Draw distinct patient numbers in the source's style, behind the prefix of invented ones."""
    if source == 'ShenzhenEye':
        low, high, form = 2_000_000, 3_000_000, '{}'
    elif source.startswith('Lishui'):
        low, high, form = 1, 10_000 + 2 * count, '{:06d}'
    else:
        low, high, form = 1, 100 + 2 * count, '{}'
    drawn = rng.choice(np.arange(low, high), size=count, replace=False)
    return [NUMBER_PREFIX + form.format(n) for n in drawn]


def _draw_pictures(rng: np.random.Generator, source: str, patient_id: str) -> tuple[Picture, ...]:
    """Draw examinations, eyes and file names of one patient."""
    num_pictures = 1 + rng.binomial(MAX_PICTURES - 1, 0.43)
    num_visits = min(1 + int(rng.random() < 0.3), num_pictures)
    first = date(2018, 1, 1) + timedelta(days=int(rng.integers(0, 1900)))
    visits = [first, first + timedelta(days=int(rng.integers(90, 700)))]
    # the two eyes take turns, so that two pictures already show both
    eyes = ['OD', 'OS'] if rng.random() < 0.5 else ['OS', 'OD']
    pictures = []
    for i in range(num_pictures):
        eye = eyes[i % 2]
        visit = i * num_visits // num_pictures
        if source == 'ShenzhenEye':
            filename = f'{patient_id}_{eye}_{visits[visit].isoformat()}_{i + 1}.jpg'
        else:
            filename = f'{patient_id}_{i + 1}.jpg'
        pictures.append(Picture(filename, eye, visit, i + 1))
    return tuple(pictures)
