"""From raw pictures to the folder that training reads: crop, resize, store, on all cores."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TextIO

import cv2

from realmnet.curation.borders import find_field, square
from realmnet.curation.content import Content, outdated, unchanged
from realmnet.curation.csv_files import read_csv, write_csv
from realmnet.curation.outputs import make_folder, write_whole
from realmnet.curation.pictures import (
    list_pictures,
    read_with_notes,
    refuse_outward,
    walk_pictures,
    write_picture,
)
from realmnet.curation.privacy import Pseudonyms
from realmnet.errors import InputError

SETTINGS = 'prepare_images.json'
UNREADABLE = 'unreadable.csv'
#: What each prepared picture was made from: size and digest of its source.
SOURCES = 'prepared.csv'
# names of files may be bytes that are no text
_ANY_NAME = {'encoding': 'utf-8', 'errors': 'surrogateescape'}

# Name, problem, what it was made from (None with a problem), notes.
_Done = tuple[str, str, Content | None, tuple[str, ...]]


@dataclass(frozen=True)
class PrepareSettings:
    """What a prepared picture looks like.

    Attributes:
        size: Side of the square in pixels.
        keep_aspect: Pad instead of stretching.
        crop: Whether the black outer border is removed.
        suffix: ``.jpg`` or ``.png``.
        quality: JPEG quality, 1-100.
        accept_damaged: Whether what can be decoded of damaged pictures is stored as well.

    Raises:
        InputError: If one of them is out of range.
    """

    size: int = 384
    keep_aspect: bool = False
    crop: bool = True
    suffix: str = '.jpg'
    quality: int = 95
    accept_damaged: bool = False

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 8192:
            raise InputError(f'size must lie between 16 and 8192 pixels, got {self.size}')
        if self.suffix not in ('.jpg', '.png'):
            raise InputError(f"suffix must be '.jpg' or '.png', got {self.suffix!r}")
        if not 1 <= self.quality <= 100:
            raise InputError(f'quality must lie between 1 and 100, got {self.quality}')


@dataclass
class PrepareReport:
    """What became of the pictures.

    Attributes:
        written: Pictures written in this run.
        skipped: Pictures that an earlier run had written.
        unreadable: Output name and reason of each picture that could not be read, and name and
            reason of each folder that could not be listed.
        notes: Output name and what is to be said of each picture that was written all the same:
            accepted damage, a 16-bit picture that is all dark.
        again: Output names that an earlier run had written from other sources, or without noting
            from what: they were made again, or removed if their source cannot be read now.
        gone: Pictures in the target that no picture of this source becomes. They stay, because
            they may come from another folder; take them out, or they count as pictures.
    """

    written: int = 0
    skipped: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def prepare_picture(source: Path, target: Path, settings: PrepareSettings) -> tuple[str, ...]:
    """Read, crop, resize and write one picture.

    Args:
        source: Picture of any accepted format.
        target: Output, ending in ``settings.suffix``.
        settings: See :class:`PrepareSettings`.

    Returns:
        What is to be said about the file, see :class:`realmnet.curation.pictures.PictureRead`.

    Raises:
        InputError: If the picture cannot be read.
    """
    # Twice the size is more than the resize keeps, and lets libjpeg skip work.
    read = read_with_notes(source, 2 * settings.size, accept_damaged=settings.accept_damaged)
    image = read.pixels
    if settings.crop:
        left, top, right, bottom = find_field(image)
        image = image[top:bottom, left:right]
    image = square(image, settings.size, settings.keep_aspect)
    write_picture(target, image, settings.quality)
    return read.notes


def prepare_images(
    source: str | Path,
    target: str | Path,
    settings: PrepareSettings | None = None,
    jobs: int = 0,
    pseudonyms: Pseudonyms | None = None,
    progress: Callable[..., Iterable] | None = None,
) -> PrepareReport:
    """Prepare every picture below a folder, keeping its sub-folders.

    A second run continues where an interrupted one stopped: pictures already there are left
    as they are if their source still has the same content, and each file appears whole or not at
    all. ``target`` also gets ``prepare_images.json`` (the settings), ``prepared.csv`` (what each
    was made from: size and digest, a keyed one with pseudonyms) and ``unreadable.csv`` (what
    could not be read, or was read with damage accepted; its names are pseudonyms where asked
    for).

    Args:
        source: Folder of raw pictures.
        target: Folder for the prepared ones, outside ``source``.
        settings: See :class:`PrepareSettings`.
        jobs: Processes; 0 means one a core.
        pseudonyms: Replaces names; its key file must lie outside ``target``.
        progress: ``tqdm`` or the like; called with the results and ``total=``.

    Returns:
        The report.

    Raises:
        InputError: If there is no picture, the folders overlap, two pictures would get one name,
            ``target`` holds pictures made with other settings, or ``jobs`` is negative.
    """
    check_jobs(jobs)
    source, target = Path(source), Path(target)
    settings = settings or PrepareSettings()
    inside, outside = target.resolve(), source.resolve()
    if inside == outside or outside in inside.parents or inside in outside.parents:
        raise InputError(f'{target}: overlaps with {source}; name a folder beside it')
    if pseudonyms and inside in pseudonyms.keyfile.resolve().parents:
        raise InputError(
            f'{pseudonyms.keyfile}: the key file would lie among the pictures; keep it elsewhere'
        )
    closed: list[tuple[Path, str]] = []
    pictures = list_pictures(source, closed)
    names = _output_names(pictures, settings.suffix, pseudonyms)
    _check_settings(target, settings)
    if pseudonyms:
        pseudonyms.save()
    seal = pseudonyms.content if pseudonyms else lambda content: content
    sources = _read_sources(target / SOURCES)
    pairs = list(zip(pictures, names, strict=True))
    known = {p: sources[n] for p, n in pairs if n in sources and _is_there(target / n)}
    stale = outdated(source, known, seal)
    work = [(source / p, target / n, n) for p, n in pairs if p in stale or p not in known]
    report = PrepareReport(skipped=len(pictures) - len(work))
    report.notes = _earlier_notes(target / UNREADABLE, set(names) - {name for *_, name in work})
    report.again = [name for _, path, name in work if _is_there(path)]
    there = {path.as_posix() for path in walk_pictures(target, [])}
    report.gone = sorted(there.difference(names))
    for _, _, name in work:
        sources.pop(name, None)
    _write_sources(target / SOURCES, sources)
    with (target / SOURCES).open('a', newline='', **_ANY_NAME) as record:
        for name, problem, content, notes in _run(work, settings, source, jobs, progress):
            if content is None:
                with contextlib.suppress(OSError):  # made from what its source was before
                    (target / name).unlink()
                report.unreadable.append((name, problem))
            else:
                report.written += 1
                report.notes += [(name, note) for note in notes]
                sources[name] = seal(content)
                _write_row(record, name, sources[name])
    for place, problem in closed:
        name = place.as_posix()
        report.unreadable.append((pseudonyms.filename(name) if pseudonyms else name, problem))
    report.unreadable = [
        (name, 'cannot be read' if pseudonyms else problem.replace(f'{source}{os.sep}', '.../'))
        for name, problem in report.unreadable
    ]
    _write_sources(target / SOURCES, sources)
    _write_report(target / UNREADABLE, report)
    return report


def prepared_name(name: str | Path, suffix: str) -> str:
    """Name a picture as it is stored: its suffix becomes ``suffix``.

    Args:
        name: Relative to the folder of raw pictures.
        suffix: ``.jpg`` or ``.png``.

    Example:
        >>> prepared_name('a/1.TIFF', '.jpg'), prepared_name('1.2.840', '.jpg')
        ('a/1.jpg', '1.2.840.jpg')
    """
    path = PurePosixPath(name)
    # the digits after the last dot of a DICOM identifier are no suffix
    plain = path.name if path.suffix[1:].isdigit() else path.stem
    return path.with_name(plain + suffix).as_posix()


def check_jobs(jobs: int) -> None:
    """Refuse a negative number of processes.

    Raises:
        InputError: If ``jobs`` is negative.
    """
    if jobs < 0:
        raise InputError(f'jobs must be 0 (one a core) or more, got {jobs}')


def _output_names(pictures: list[Path], suffix: str, pseudonyms: Pseudonyms | None) -> list[str]:
    plain = [prepared_name(path, suffix) for path in pictures]
    names = [pseudonyms.filename(name) for name in plain] if pseudonyms else plain
    first: dict[str, Path] = {}
    for picture, name in zip(pictures, names, strict=True):
        if name.lower() in first:
            raise InputError(
                f'{picture} and {first[name.lower()]} would both become {name}; rename one'
            )
        first[name.lower()] = picture
    return names


def _check_settings(target: Path, settings: PrepareSettings) -> None:
    """Refuse to mix pictures of different settings; note the settings of a new folder."""
    record = target / SETTINGS
    if record.is_file():
        try:
            earlier = json.loads(record.read_text(encoding='utf-8'))
        except ValueError:
            raise InputError(f'{record}: is damaged; name another folder') from None
        if earlier != _recorded(settings):
            raise InputError(
                f'{target}: holds pictures prepared with other settings ({record}); name another '
                'folder or remove it'
            )
        return
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f'{target}: not empty and not made by this tool; name another folder')
    make_folder(target)
    write_whole(record, json.dumps(_recorded(settings), indent=2) + '\n')


def _recorded(settings: PrepareSettings) -> dict:
    # Accepting damage later adds pictures to a folder and changes none, so it is no difference.
    return {k: v for k, v in asdict(settings).items() if k != 'accept_damaged'}


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (of a name that is too long, Path.exists raises)


def _run(work, settings, source, jobs, progress) -> Iterable[_Done]:
    progress = progress or (lambda results, total: results)
    one = functools.partial(_one, settings=settings, folder=source)
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1 or len(work) < 2:
        yield from progress(map(one, work), total=len(work))
        return
    context = multiprocessing.get_context('spawn')
    chunk = max(1, min(16, len(work) // (4 * jobs)))
    with ProcessPoolExecutor(jobs, context, initializer=_single_thread) as pool:
        try:
            yield from progress(pool.map(one, work, chunksize=chunk), total=len(work))
        except BrokenProcessPool:
            raise InputError(
                'a process was ended by the system while it read a picture, perhaps for want of '
                'memory; run again with fewer --jobs (1 names the picture), what is done is kept'
            ) from None


def _one(item: tuple[Path, Path, str], settings: PrepareSettings, folder: Path) -> _Done:
    picture, target, name = item
    try:
        refuse_outward(picture, folder)
        with unchanged(picture) as content:
            notes = prepare_picture(picture, target, settings)
    except InputError as error:
        return name, str(error), None, ()
    return name, '', content, notes


def _earlier_notes(path: Path, written: set[str]) -> list[tuple[str, str]]:
    """What an earlier run said about pictures that are there; they are not read again."""
    if not path.is_file():
        return []
    table = read_csv(path, 'the list of what could not be read').columns
    rows = zip(table['filename'], table['reason'], strict=True)
    return [(name, note) for name, note in rows if name in written]


def _single_thread() -> None:
    cv2.setNumThreads(1)


def _read_sources(path: Path) -> dict[str, Content]:
    """Read what prepared pictures were made from; rows that are no such rows count as none."""
    found = {}
    if path.is_file():
        with path.open(newline='', **_ANY_NAME) as file:
            for row in csv.reader(line.replace('\0', '') for line in file):
                with contextlib.suppress(ValueError):
                    name, size, digest = row
                    found[name] = Content.parse(size, digest)
    return found


def _write_sources(path: Path, sources: dict[str, Content]) -> None:
    text = io.StringIO()
    text.write('filename,size,digest\n')
    for name in sorted(sources):
        _write_row(text, name, sources[name])
    write_whole(path, text.getvalue().encode(*_ANY_NAME.values()))


def _write_row(file: TextIO, name: str, content: Content) -> None:
    csv.writer(file, lineterminator='\n').writerow([name, *content])
    file.flush()


def _write_report(path: Path, report: PrepareReport) -> None:
    # Bytes of a name that are no UTF-8 become escapes, as in findings.csv.
    rows = [
        [cell.encode('utf-8', 'backslashreplace').decode() for cell in row]
        for row in sorted(report.unreadable + report.notes)
    ]
    write_csv(path, ['filename', 'reason'], rows)
