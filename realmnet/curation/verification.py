"""One report of everything that is wrong with a data set."""

from __future__ import annotations

import functools
import hashlib
import itertools
import multiprocessing
import os
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from realmnet.curation.identifiers import (
    SPELLINGS,
    alike_sentence,
    look_alikes,
    name_spelling,
    picture_path,
    spelling,
    written_note,
)
from realmnet.curation.label_schema import FILENAME, PATIENT, LabelSchema, get_schema
from realmnet.curation.label_table import LabelTable, read_label_table
from realmnet.curation.leakage import shared_identifiers
from realmnet.curation.listed_pictures import near_picture
from realmnet.curation.near_duplicates import alike_pairs, same_photograph, small_view
from realmnet.curation.pictures import read_with_notes, refuse_outward, walk_pictures
from realmnet.curation.prepare import check_jobs
from realmnet.curation.protocols import IMAGE_SETS, PUBLISHED_RESAMPLED, split_files
from realmnet.curation.quality import Quality, measure_quality
from realmnet.curation.sources import PSMM_SOURCES, sources_of
from realmnet.errors import InputError, InputWarning


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        check: Which check found it, for instance ``leakage``.
        fatal: Whether training must not start.
        message: One sentence.
        items: The pictures or patients concerned.
    """

    check: str
    fatal: bool
    message: str
    items: tuple[str, ...] = ()


@dataclass
class Verification:
    """What the checks found.

    Attributes:
        findings: Errors and warnings, in the order of the checks.
        tables: Splits that could be read.
        counts: Rows of each split.
        quality: Measures of each picture that could be read.
    """

    findings: list[Finding] = field(default_factory=list)
    tables: dict[str, LabelTable] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    quality: dict[str, Quality] = field(default_factory=dict)

    @property
    def may_train(self) -> bool:
        """Whether nothing fatal was found."""
        return not any(finding.fatal for finding in self.findings)

    def add(self, check: str, fatal: bool, message: str, items: Iterable[str] = ()) -> None:
        """Add a finding."""
        self.findings.append(Finding(check, fatal, message, tuple(items)))


class Seen(NamedTuple):
    """What was learnt from one picture file; ``problem`` is empty if it could be read.

    ``form`` and ``notes`` are those of :class:`realmnet.curation.pictures.PictureRead`, ``view`` is
    that of :func:`realmnet.curation.near_duplicates.small_view`.
    """

    name: str
    problem: str = ''
    shape: tuple[int, ...] = ()
    digest: str = ''
    quality: Quality | None = None
    form: str = ''
    notes: tuple[str, ...] = ()
    view: np.ndarray | None = None


def verify_labels(
    data_root: str | Path, schema: str | Mapping | LabelSchema = 'PSMM'
) -> Verification:
    """Check the label files of a data set: rules, leakage, resampled list, sources.

    Args:
        data_root: Holds ``ImageSets/Main``.
        schema: Of the label tables.

    Returns:
        The findings; a file that cannot be read is one of them.

    Raises:
        InputError: If a label file is absent, since then there is nothing to verify.
    """
    schema = get_schema(schema)
    result = Verification()
    files = split_files(data_root)
    for split, path in files.items():
        _read(result, split, path, schema)
    for (first, a), (second, b) in itertools.combinations(result.tables.items(), 2):
        for column, what in ((PATIENT, 'patient'), (FILENAME, 'picture')):
            both, alike = shared_identifiers(a, b, column)
            if both:
                message = (
                    f'{len(both)} {what}(s) of {first} are in {second} too; results on '
                    f'{second} would be too good'
                )
                written = {**a.written, **b.written}
                names = [name + written_note(name, written) for name in both]
                result.add('leakage', True, message, names)
            if alike:
                message = (
                    f'{len(alike)} {what}(s) of {first} and of {second} differ only by '
                    f'{SPELLINGS}; write one {what} in one way and keep it in one split, or rename'
                )
                result.add('leakage', True, message, (' and '.join(pair) for pair in alike))
    _check_resampled(result, Path(data_root) / IMAGE_SETS / PUBLISHED_RESAMPLED, schema)
    _check_names(result, schema)
    return result


def verify_pictures(
    result: Verification,
    folder: str | Path,
    size: int = 0,
    jobs: int = 0,
    progress: Callable[..., Iterable] | None = None,
    accept_damaged: bool = False,
) -> None:
    """Check every picture: present, whole, stored alike, of one size, once, and how good it is.

    A photograph that is in two splits under two names, encoded again, resized or slightly cropped,
    is named as well; docs/curation.md says how surely.

    Args:
        result: What :func:`verify_labels` returned; findings and quality are added.
        folder: The picture folder, ``JPEGImages`` in PSMM.
        size: Side that every picture must have; 0 accepts any.
        jobs: Processes; 0 means one a core.
        progress: ``tqdm`` or the like; called with the results and ``total=``.
        accept_damaged: Whether damage is a warning, as for a training that accepts it.

    Raises:
        InputError: If there is no such folder, or ``jobs`` is negative.
    """
    check_jobs(jobs)
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f'{folder}: no such folder; give the pictures with --pictures')
    split_of = {n: split for split, t in result.tables.items() for n in t.filenames}
    closed: list[tuple[Path, str]] = []
    found = walk_pictures(folder, closed)
    present = {unicodedata.normalize('NFC', path.as_posix()) for path in found}
    for path, sentence in closed:
        result.add('unreadable', True, sentence, [path.as_posix()])
    missing = sorted(set(split_of) - present)
    if missing:
        near = near_picture(missing[0], folder)
        message = f'{len(missing)} labelled picture(s) are missing{near}'
        result.add('missing', True, message, missing)
        without = _patients_without_pictures(result, present)
        if without:
            message = f'{len(without)} patient(s) have labels but not one picture'
            result.add('missing', True, message, without)
    extra = sorted(present - set(split_of))
    if extra:
        result.add('extra', False, f'{len(extra)} picture(s) have no label', extra)
    names = sorted(present & set(split_of))
    look = functools.partial(_look, folder=folder, accept_damaged=accept_damaged)
    seen = list(_in_processes(look, names, jobs, progress))
    broken = [s for s in seen if s.problem]
    if broken:
        message = f'{len(broken)} picture(s) cannot be read: {broken[0].problem}'
        result.add('unreadable', True, message, (s.name for s in broken))
    good = [s for s in seen if not s.problem]
    result.quality = {s.name: s.quality for s in good}
    _check_forms(result, good)
    _check_notes(result, good)
    _check_sizes(result, good, size)
    _check_duplicates(result, good, split_of)
    _check_near_duplicates(result, folder, good, split_of, jobs)


def agreement(first: LabelTable, second: LabelTable) -> dict[str, float]:
    """Cohen's kappa between two readers' tables of the same pictures.

    Unweighted per class, and for each exclusive group of the schema on the chosen label; an
    ordered group of more than two labels is weighted quadratically.

    Args:
        first: One reader.
        second: Another one; only pictures in both tables count.

    Returns:
        ``images`` compared and ``identical`` rows, then kappa by class and by group (``S0-S1``,
        ``A0-A4``); NaN where both readers used a single label only.

    Raises:
        InputError: If the schemas differ or no picture is in both tables.

    Source: Cohen, "A coefficient of agreement for nominal scales", 1960; computed by
    scikit-learn.
    """
    from sklearn.metrics import cohen_kappa_score

    if first.schema.classes != second.schema.classes:
        raise InputError(f'{first.source} and {second.source} have different classes')
    _, alike = shared_identifiers(first, second, FILENAME)
    if alike:
        raise InputError(
            f'{first.source} has {alike[0][0]!r} and {second.source} {alike[0][1]!r}, which differ '
            f'only by case, spaces, dashes or Unicode form ({len(alike)} such pair(s)); write each '
            'picture in one way'
        )
    place = {name: row for row, name in enumerate(second.filenames)}
    rows = [(i, place[n]) for i, n in enumerate(first.filenames) if n in place]
    if not rows:
        raise InputError(f'{first.source} and {second.source} have no picture in common')
    left, right = np.array(rows).T
    a, b = first.labels[left], second.labels[right]
    same = float((a == b).all(1).sum())
    result = {'images': float(len(rows)), 'identical': same}

    def kappa(x, y, weights=None) -> float:
        if len(set(x) | set(y)) < 2:
            return float('nan')
        return float(cohen_kappa_score(x, y, weights=weights))

    for column, name in enumerate(first.schema.classes):
        result[name] = kappa(a[:, column], b[:, column])
    for group in first.schema.groups:
        if not group.exclusive:
            continue
        columns = list(first.schema.positions(group))
        weights = 'quadratic' if group.ordered and len(columns) > 2 else None
        result[f'{group.classes[0]}-{group.classes[-1]}'] = kappa(
            a[:, columns].argmax(1), b[:, columns].argmax(1), weights
        )
    return result


def _read(result: Verification, split: str, path: Path, schema: LabelSchema) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', InputWarning)  # look-alikes are a finding here
            table = read_label_table(path, schema)
    except InputError as error:
        result.add('labels', True, str(error))
        return
    result.tables[split], result.counts[split] = table, len(table)
    for names, spelled, what in ((table.patients, spelling, 'patient'),
                                 (table.filenames, name_spelling, 'picture')):  # fmt: skip
        if groups := look_alikes(names, spelled):
            message = f'{path}: {alike_sentence(groups, what)}'
            result.add('identifiers', False, message, (' and '.join(group) for group in groups))


def _check_resampled(result: Verification, path: Path, schema: LabelSchema) -> None:
    """The resampled list must be a part of the training list, with the same labels."""
    if not path.is_file() or 'train' not in result.tables:
        return
    try:
        table = read_label_table(path, schema)
    except InputError as error:
        result.add('labels', True, str(error))
        return
    result.counts['train, resampled'] = len(table)
    train = set(result.tables['train'].frame.itertuples(index=False, name=None))
    rows = table.frame.itertuples(index=False, name=None)
    strange = [row[-2] for row in rows if row not in train]
    if strange:
        message = f'{len(strange)} row(s) of {path} are not in the training list as they stand'
        result.add('resampled', True, message, strange)


def _check_names(result: Verification, schema: LabelSchema) -> None:
    for split, table in result.tables.items():
        if schema.name != 'PSMM':
            continue
        odd = [f for f, p in zip(table.filenames, table.patients, strict=True)
               if not f.rpartition('/')[2].startswith(f'{p}_')]  # fmt: skip
        if odd:
            message = f'{split}: {len(odd)} file name(s) do not begin with their ID'
            result.add('names', False, message, odd)
        strange = sorted(set(sources_of(table.patients)) - set(PSMM_SOURCES))
        if strange:
            message = f"{split}: sources {strange} are not PSMM's {list(PSMM_SOURCES)}"
            result.add('sources', False, message)


def _patients_without_pictures(result: Verification, present: set[str]) -> list[str]:
    labelled, shown = set(), set()
    for table in result.tables.values():
        for name, patient in zip(table.filenames, table.patients, strict=True):
            labelled.add(patient)
            if name in present:
                shown.add(patient)
    return sorted(labelled - shown)


def _in_processes(one: Callable, items: list, jobs: int, progress=None) -> list:
    progress = progress or (lambda results, total: results)
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1 or len(items) < 64:
        return list(progress(map(one, items), total=len(items)))
    with ProcessPoolExecutor(jobs, multiprocessing.get_context('spawn')) as pool:
        try:
            return list(progress(pool.map(one, items, chunksize=16), total=len(items)))
        except BrokenProcessPool:
            raise InputError('a process was ended while it read a picture; use --jobs 1') from None


def _look(name: str, folder: Path, accept_damaged: bool) -> Seen:
    try:
        path = picture_path(folder, name)
        refuse_outward(path, folder)
        image, form, notes = read_with_notes(path, accept_damaged=accept_damaged)
    except InputError as error:
        return Seen(name, str(error))
    digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
    quality, view = measure_quality(image), small_view(image)
    return Seen(name, '', image.shape, digest, quality, form, notes, view)


def _check_forms(result: Verification, seen: list[Seen]) -> None:
    """One set is mostly stored in one way; other ways are read by rules, which deserve a look."""
    odd = [s for s in seen if not s.form.endswith(' RGB')]
    if odd:
        forms = ', '.join(f'{form}: {n}' for form, n in Counter(s.form for s in odd).most_common())
        message = (
            f'{len(odd)} picture(s) are not stored as 8-bit RGB ({forms}) and are read by the '
            'rules in docs/curation.md'
        )
        result.add('forms', False, message, (s.name for s in odd))


def _check_notes(result: Verification, seen: list[Seen]) -> None:
    for check, what in (('damaged', 'are damaged, which is accepted'), ('dark', 'are all dark')):
        found = [(s, note) for s in seen for note in s.notes if note.startswith(check)]
        if found:
            message = f'{len(found)} picture(s) {what}: {found[0][1]}'
            result.add(check, False, message, (s.name for s, _ in found))


def _check_sizes(result: Verification, seen: list[Seen], size: int) -> None:
    shapes = Counter(s.shape[:2] for s in seen)
    if size:
        wrong = [s.name for s in seen if s.shape[:2] != (size, size)]
        if wrong:
            message = f'{len(wrong)} picture(s) are not {size} x {size}'
            result.add('sizes', True, message, wrong)
    elif len(shapes) > 1:
        common = ', '.join(f'{w} x {h}: {n}' for (h, w), n in shapes.most_common(3))
        result.add('sizes', False, f'pictures have {len(shapes)} sizes ({common})')


def _check_duplicates(result: Verification, seen: list[Seen], split_of: Mapping[str, str]) -> None:
    labels = {
        name: (row.tobytes(), patient)
        for table in result.tables.values()
        for name, row, patient in zip(table.filenames, table.labels, table.patients, strict=True)
    }
    groups = defaultdict(list)
    for item in seen:
        groups[item.digest].append(item.name)
    leaking, contradicting, plain = [], [], []
    for names in groups.values():
        if len(names) < 2:
            continue
        if len({split_of[name] for name in names}) > 1:
            leaking += names
        elif len({labels[name][0] for name in names}) > 1:
            contradicting += names
        else:
            plain += names
    for names, fatal, what in (
        (leaking, True, 'show the same pixels in different splits'),
        (contradicting, True, 'show the same pixels with different labels'),
        (plain, False, 'show the same pixels as another one'),
    ):
        if names:
            result.add('duplicates', fatal, f'{len(names)} picture(s) {what}', names)


def _check_near_duplicates(
    result: Verification, folder: Path, seen: list[Seen], split_of: Mapping[str, str], jobs: int
) -> None:
    """Name photographs that are in two splits with other pixels."""
    if len({split_of[s.name] for s in seen}) < 2:
        return
    views, splits = np.stack([s.view for s in seen]), np.array([split_of[s.name] for s in seen])
    pairs = [
        (seen[i].name, seen[j].name)
        for i, j in alike_pairs(views, splits)
        if seen[i].digest != seen[j].digest
    ]
    same = _in_processes(functools.partial(same_photograph, folder=folder), pairs, jobs)
    found = [f'{a} = {b}' for (a, b), yes in zip(pairs, same, strict=True) if yes]
    if found:
        message = (
            f'{len(found)} pair(s) in different splits seem to be one photograph or one eye, '
            'encoded again, resized, cropped or taken twice; look at them'
        )
        result.add('near duplicates', False, message, found)
