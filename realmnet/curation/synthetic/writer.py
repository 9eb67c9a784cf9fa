"""Write a synthetic data set in the layout in which PSMM was published."""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from realmnet.curation.label_schema import FILENAME, PATIENT, PSMM
from realmnet.curation.label_table import LabelTable, write_label_table
from realmnet.curation.partition import split_patients
from realmnet.curation.resampling import MLRUS
from realmnet.curation.synthetic.acquisition import Shot, take_picture
from realmnet.curation.synthetic.anatomy import grow_eye
from realmnet.curation.synthetic.fundus import paint_fundus
from realmnet.curation.synthetic.labels import Patient, draw_patients
from realmnet.curation.synthetic.lesions import draw_lesions
from realmnet.errors import InputError

PICTURES = 'JPEGImages'
MASKS = 'LesionMasks'
RECORD = 'synthetic.json'
SPLITS = {
    'train': 'ImageSets/Main/MYOPIA/MYOPIA.csv',
    'train_mlrus20': 'ImageSets/Main/MYOPIA_MLRUS-20/MYOPIA_MLRUS-20.csv',
    'val': 'ImageSets/Main/val.csv',
    'test': 'ImageSets/Main/test.csv',
}
RATIOS = (0.7, 0.15, 0.15)
MIN_PATIENTS = 8
MIN_SIZE = 32
NOTICE = (
    'These pictures are synthetic: drawn by a program, of no person. They serve to try and test '
    'software and say nothing about the accuracy of any model on patients.'
)

_ANATOMY_STREAM, _FUNDUS_STREAM, _PICTURE_STREAM = 11, 12, 13


@dataclass(frozen=True)
class SyntheticArguments:
    """What determines a synthetic data set.

    Attributes:
        patients: Number of patients.
        size: Side of the pictures in pixels.
        labels: ``published`` or ``even``.
        seed: Seed.
    """

    patients: int
    size: int
    labels: str = 'published'
    seed: int = 42

    def __post_init__(self) -> None:
        if self.patients < MIN_PATIENTS:
            raise InputError(
                f'{self.patients} patient(s) cannot fill three splits: take {MIN_PATIENTS} or more'
            )
        if self.size < MIN_SIZE:
            raise InputError(f'pictures of {self.size} px show nothing: ask for {MIN_SIZE} or more')
        if self.labels not in ('published', 'even'):
            raise InputError(f"labels must be 'published' or 'even', got {self.labels!r}")
        if self.seed < 0:
            raise InputError(f'seed must not be negative, got {self.seed}')


def render_patient(patient: Patient, size: int, seed: int) -> dict[str, Shot]:
    """Draw all pictures of a patient.

    The eye is grown once; at each examination its fundus is painted once, and the pictures of
    that day differ in gaze, exposure, lids and noise.

    Args:
        patient: The patient.
        size: Side in pixels.
        seed: Seed of the data set.

    Returns:
        File name to picture.

    Example:
        >>> patient = draw_patients(8)[0]
        >>> shots = render_patient(patient, 48, seed=42)
        >>> shots[patient.pictures[0].filename].image.shape
        (48, 48, 3)
    """
    shots, fundi = {}, {}
    for picture in patient.pictures:
        side = ('OD', 'OS').index(picture.eye)
        if picture.eye not in fundi:
            rng = np.random.default_rng([seed, _ANATOMY_STREAM, patient.index, side])
            eye = grow_eye(rng, picture.eye)
            fundi[picture.eye] = eye, draw_lesions(rng, eye, patient.label_sets[picture.eye])
        key = picture.eye, picture.examination
        if key not in fundi:
            # nothing random differs between examinations but the grain of the picture
            rng = np.random.default_rng([seed, _FUNDUS_STREAM, patient.index, side])
            fundi[key] = paint_fundus(*fundi[picture.eye], size, rng)
        rng = np.random.default_rng([seed, _PICTURE_STREAM, patient.index, picture.number])
        shots[picture.filename] = take_picture(fundi[key], patient.source, size, rng)
    return shots


def label_frame(patients: list[Patient]) -> pd.DataFrame:
    """Tabulate the labels of all pictures.

    Args:
        patients: The patients.

    Returns:
        Columns S0 ... A4, filename, ID; one row a picture.

    Example:
        >>> label_frame(draw_patients(8)).columns.tolist()
        ['S0', 'S1', 'A0', 'A1', 'A2', 'A3', 'A4', 'filename', 'ID']
    """
    rows = []
    for patient in patients:
        for picture in patient.pictures:
            chosen = patient.label_sets[picture.eye]
            row = {name: int(name in (chosen[:2], chosen[2:])) for name in PSMM.classes}
            rows.append({**row, FILENAME: picture.filename, PATIENT: patient.patient_id})
    return pd.DataFrame(rows, columns=PSMM.columns)


def _write_patient(patient: Patient, root: str, size: int, seed: int) -> int:
    """Draw and write a patient; give the number of pictures."""
    cv2.setNumThreads(1)
    shots = render_patient(patient, size, seed)
    for filename, shot in shots.items():
        quality = [cv2.IMWRITE_JPEG_QUALITY, shot.quality]
        _write(Path(root, PICTURES, filename), cv2.cvtColor(shot.image, cv2.COLOR_RGB2BGR), quality)
        for name, mask in shot.masks.items():
            _write(Path(root, MASKS, name, filename).with_suffix('.png'), mask, [])
    return len(shots)


def _write(path: Path, image: np.ndarray, options: list[int]) -> None:
    """Write a picture through Python, which takes any path and reports every failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(path.suffix, image, options)
    path.write_bytes(data.tobytes())


def _write_tables(root: Path, patients: list[Patient], arguments: SyntheticArguments) -> dict:
    """Write the label tables and give their counts."""
    table = LabelTable(label_frame(patients), PSMM, 'synthetic')
    train, val, test = split_patients(table.patients, RATIOS, seed=arguments.seed)
    sampler = MLRUS(ratio=0.2, random_state=arguments.seed)
    sampler.fit_resample(table.labels[train])
    rows = {
        'train': train,
        'train_mlrus20': train[sampler.sample_indices_],
        'val': val,
        'test': test,
    }
    counts = {}
    for name, path in SPLITS.items():
        part = table.take(rows[name])
        write_label_table(part, root / path)
        per_class = dict(zip(PSMM.classes, part.labels.sum(0).tolist(), strict=True))
        counts[name] = {'pictures': len(part), 'patients': len(set(part.patients)), **per_class}
    return counts


def is_synthetic(root: str | os.PathLike) -> bool:
    """Whether a data root says that its pictures are drawn.

    The file alone decides, whatever is in it: real pictures taken for synthetic do no harm.

    Example:
        >>> is_synthetic('data/PSMM')
        False
    """
    return Path(root, RECORD).is_file()


def in_synthetic(path: str | os.PathLike) -> bool:
    """Whether a picture, or a folder of pictures, lies in a synthetic data set.

    Looks in the folder itself and the two above, as deep as the layout puts pictures.

    Example:
        >>> in_synthetic('data/PSMM/JPEGImages')
        False
    """
    path = Path(path).absolute()
    return any(is_synthetic(folder) for folder in (path, *path.parents[:2]))


def read_record(out: Path) -> dict | None:
    """Read ``synthetic.json`` of a folder; None if there is none or it is not ours.

    Args:
        out: The folder.

    Returns:
        Its contents, with ``arguments``, ``counts`` and ``notice``.
    """
    try:
        record = json.loads((out / RECORD).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and 'arguments' in record else None


def check_output(out: Path, arguments: SyntheticArguments) -> bool:
    """Say whether a folder already holds what is asked for.

    Args:
        out: The output folder.
        arguments: What is asked for.

    Returns:
        True if the complete data set is there, False if it can be written.

    Raises:
        InputError: If the folder holds anything else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    record = read_record(out) if out.is_dir() else None
    if record is None:
        raise InputError(f'{out} is not empty and not a synthetic data set: give another folder')
    if record['arguments'] != asdict(arguments):
        raise InputError(
            f'{out} holds synthetic data with other arguments ({record["arguments"]}; asked for '
            f'{asdict(arguments)}): give another folder or delete this one'
        )
    return True


def make_synthetic(
    out: str | os.PathLike,
    arguments: SyntheticArguments,
    workers: int = 1,
    progress: Callable[[int], object] | None = None,
) -> dict:
    """Write a synthetic data set.

    It is written into a hidden folder beside ``out`` and renamed at the end, so ``out`` is either
    complete or not there; what an interrupted run left behind is thrown away by the next. The
    files depend on the arguments alone, not on the number of workers.

    Args:
        out: Folder to make; its parent is made too. If it holds the same data set, nothing is done.
        arguments: What to write.
        workers: Number of processes.
        progress: Called with the number of pictures of each finished patient.

    Returns:
        The record in ``synthetic.json``: notice, arguments, counts.

    Raises:
        InputError: If ``out`` holds anything else, or ``workers`` is not positive.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     record = make_synthetic(folder + '/psmm', SyntheticArguments(8, 32))
        >>> record['counts']['test']['patients']
        1
    """
    out = Path(out)
    if workers < 1:
        raise InputError(f'at least one worker is needed, got {workers}')
    if check_output(out, arguments):
        return read_record(out)
    partial_out = out.with_name(f'.{out.name}.partial')
    if partial_out.exists():
        if read_record(partial_out) is None:
            raise InputError(f'{partial_out} is in the way and was not left by this tool: move it')
        shutil.rmtree(partial_out)
    partial_out.mkdir(parents=True)
    # marks the folder as ours; the arguments come last, when it is complete
    (partial_out / RECORD).write_text('{"arguments": null}\n', encoding='utf-8')
    patients = draw_patients(arguments.patients, arguments.labels, arguments.seed)
    counts = _write_tables(partial_out, patients, arguments)
    job = partial(_write_patient, root=str(partial_out), size=arguments.size, seed=arguments.seed)
    if workers == 1:
        _count(map(job, patients), progress)
    else:
        # spawned, because a forked copy of a process that runs threads can lock up
        with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
            _count(pool.map(job, patients, chunksize=4), progress)
    record = {'notice': NOTICE, 'arguments': asdict(arguments), 'counts': counts}
    text = json.dumps(record, indent=2) + '\n'
    (partial_out / RECORD).write_text(text, encoding='utf-8')
    if out.exists():
        out.rmdir()
    partial_out.rename(out)
    return record


def _count(finished, progress) -> None:
    """Consume results and report them."""
    for number in finished:
        if progress is not None:
            progress(number)
