"""Findings and problems on the disk after each picture, and work that continues where it stopped.

A record beside the findings holds what must be equal for work to be continued.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import realmnet
from realmnet.curation.content import Content, outdated, told
from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.outputs import make_folder, sole_writer, write_whole
from realmnet.curation.picture_names import AUTOMATIC, PictureNames
from realmnet.curation.pictures import leads_out
from realmnet.deployment.picture_result import PictureResult
from realmnet.errors import InputError
from realmnet.reporting.findings_table import (
    ENCODING,
    NOTICE,
    columns,
    display_name,
    read_findings,
    spreadsheet_safe,
    to_row,
)


def since_then(gone: Sequence[str], changed: Sequence[str], undated: int) -> list[str]:
    """Say which earlier findings left and why, a line each; nothing if none did.

    Args:
        gone: As :attr:`FindingsLog.gone`.
        changed: See there.
        undated: See there.

    Example:
        >>> since_then(['a.jpg'], [], 0)
        ['1 picture is gone since then, its finding left: a.jpg']
    """
    lines = []
    if gone:
        what = 'picture is gone' if len(gone) == 1 else 'pictures are gone'
        lines.append(f'{len(gone):,} {what} since then, its finding left: {told(gone)}')
    if changed:
        what = 'picture is another one' if len(changed) == 1 else 'pictures are others'
        lines.append(f'{len(changed):,} {what} now, read again: {told(changed)}')
    if undated:
        lines.append(
            f'{undated:,} findings of an earlier version, which did not note the content of the '
            'pictures: read again'
        )
    return lines


@dataclass(frozen=True)
class LogFiles:
    """Where a log is.

    Attributes:
        findings: CSV with a row for each picture that could be read.
        problems: CSV with a row for each that could not.
        record: JSON with the settings.
    """

    findings: Path
    problems: Path
    record: Path

    @classmethod
    def beside(cls, findings: Path) -> LogFiles:
        """Name the other two after the findings.

        Example:
            >>> LogFiles.beside(Path('out/a.csv')).problems.as_posix()
            'out/a.problems.csv'
        """
        return cls(
            findings,
            findings.with_name(f'{findings.stem}.problems.csv'),
            findings.with_name(f'{findings.stem}.settings.json'),
        )


@dataclass
class FindingsLog:
    """An open log; see :func:`open_log`.

    Attributes:
        folder: Folder of the pictures.
        pictures: All of them, relative to the folder, in the order of a finished log.
        classes: Schema of the model, or the names of its classes.
        rows: Display name of each picture that has a row, in the order of the rows, and its
            content.
        problems: Display name and sentence of each picture that could not be read.
        notes: The same of those that were read, as that their damage was accepted.
        reading: How file names tell patient and eye.
        gone: Names whose row left, because there is no such picture any more.
        changed: Names whose row left, because the picture is another one now.
        undated: Number of rows that left, because an earlier version did not note what they
            were made from.
    """

    folder: Path
    pictures: list[Path]
    classes: Sequence[str] | LabelSchema
    rows: dict[str, Content]
    findings_file: TextIO
    problems_file: TextIO
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    reading: PictureNames = AUTOMATIC
    gone: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    undated: int = 0

    def todo(self) -> list[Path]:
        """Return the pictures that have no row."""
        return [path for path in self.pictures if display_name(path) not in self.rows]

    def content(self, path: Path) -> Content:
        """Return what the row of a picture was made from."""
        return self.rows[display_name(path)]

    def add(self, path: Path, result: PictureResult) -> None:
        """Write what became of a picture; ``path`` is relative to the folder."""
        if result.finding is None:
            self.add_problem(path, result.problem)
            return
        name = display_name(path)
        # to_row fills every column there is; those that the classes do not tell are left out.
        writer = csv.DictWriter(
            self.findings_file, columns(self.classes), extrasaction='ignore', lineterminator='\n'
        )
        writer.writerow(to_row(name, result.finding, result.content, self.reading))
        self.findings_file.flush()
        self.rows[name] = result.content
        if result.notes:
            self.note(name, display_name('; '.join(result.notes)))

    def add_problem(self, path: Path, problem: str) -> None:
        """Write why there is nothing about a picture, or a folder of pictures."""
        name = display_name(path)
        problem = display_name(self._without_folder(path, problem))
        self.problems.append((name, problem))
        self._say(name, problem)

    def note(self, name: str, text: str) -> None:
        """Write what is to be said about a picture that has a row; a row among the problems."""
        self.notes.append((name, text))
        self._say(name, text)

    def _say(self, name: str, text: str) -> None:
        row = [spreadsheet_safe(name), spreadsheet_safe(text), NOTICE]
        csv.writer(self.problems_file, lineterminator='\n').writerow(row)
        self.problems_file.flush()

    def put_in_order(self) -> None:
        """Bring the rows into the order of the pictures, as if all had been read in one run."""
        wanted = [name for name in map(display_name, self.pictures) if name in self.rows]
        if wanted != list(self.rows):
            _keep(Path(self.findings_file.name), self.classes, list(self.rows), wanted)
            self.rows = {name: self.rows[name] for name in wanted}

    def _without_folder(self, path: Path, problem: str) -> str:
        problem = problem.replace(str(self.folder / path), str(path))
        # a decoder's own message may spell the file in another way
        within = f'{self.folder}{os.sep}' if self.folder.is_absolute() else ''
        return problem.replace(within, '') if within else problem


def run_settings(
    model: Mapping[str, str],
    folder: Path,
    flip: bool,
    margin: float,
    max_pixels: int,
    names: PictureNames = AUTOMATIC,
) -> dict[str, Any]:
    """What must be equal for work to be continued.

    Args:
        model: ``name`` and ``sha256`` of the model's file.
        folder: Folder of the pictures.
        flip: As in :class:`realmnet.deployment.picture_model.PictureModel`, with the other two.
        margin: See there.
        max_pixels: See there.
        names: How file names tell patient and eye.
    """
    return {
        'notice': NOTICE,
        'realmnet': realmnet.__version__,
        'model': dict(model),
        'folder': display_name(folder.resolve()),
        'flip': flip,
        'margin': margin,
        'max_pixels': max_pixels,
        'names': names.settings,
    }


@contextmanager
def open_log(
    files: LogFiles,
    folder: Path,
    pictures: Sequence[Path],
    classes: Sequence[str] | LabelSchema,
    settings: Mapping[str, Any],
    reading: PictureNames = AUTOMATIC,
) -> Iterator[FindingsLog]:
    """Begin a log, or continue one of the same work; nobody else writes it meanwhile.

    A row of earlier work counts only if its picture is still there with the size and the digest
    that the row has; any other leaves, so that a continued log equals a new one.

    Args:
        files: Where it is; the folder is made.
        folder: Folder of the pictures.
        pictures: From :func:`realmnet.curation.pictures.list_pictures`.
        classes: Schema of the model, or the names of its classes.
        settings: From :func:`run_settings`.
        reading: How file names tell patient and eye.

    Raises:
        InputError: If another process is at work on it, it belongs to other work or is damaged,
            or cannot be written.
    """
    make_folder(files.findings.parent)
    _claim(files, settings)
    busy = f'{files.findings}: another run is at work on it; wait for it, or name another output'
    with sole_writer(files.findings, busy):
        pictures = list(pictures)
        rows, gone, changed, undated = _resume(files.findings, classes, folder, pictures)
        notes = _earlier_notes(files.problems, rows)
        with (
            files.findings.open('a', newline='', encoding='utf-8') as findings,
            files.problems.open('w', newline='', encoding=ENCODING) as problems,
        ):
            csv.writer(problems, lineterminator='\n').writerow(['filename', 'problem', 'notice'])
            log = FindingsLog(
                folder, pictures, classes, rows, findings, problems, reading=reading,
                gone=gone, changed=changed, undated=undated,
            )  # fmt: skip
            for name, text in notes:
                log.note(name, text)
            yield log


def _claim(files: LogFiles, settings: Mapping[str, Any]) -> None:
    """Write the record, or check that it is of the same work."""
    if not files.record.is_file():
        if files.findings.exists():
            raise InputError(
                f'{files.findings}: exists and is not of this tool ({files.record.name} is not '
                'beside it); name another output'
            )
        write_whole(files.record, json.dumps(settings, indent=1) + '\n')
        return
    try:
        earlier = json.loads(files.record.read_text(encoding='utf-8'))
    except ValueError:
        earlier = None
    if not isinstance(earlier, dict):
        raise InputError(f'{files.record}: is damaged; name another output')
    for key, value in settings.items():
        if earlier.get(key) != value:
            raise InputError(
                f'{files.findings}: was made with another {key} ({earlier.get(key)}, now {value}); '
                'name another output'
            )


def _earlier_notes(path: Path, names: Iterable[str]) -> list[tuple[str, str]]:
    """What an earlier run said about pictures that have a row; they are not read again."""
    if not path.is_file():
        return []
    read = {spreadsheet_safe(name): name for name in names}
    with path.open(newline='', encoding=ENCODING, errors='replace') as file:
        rows = [row for row in csv.reader(file) if len(row) == 3]
    return [(read[name], text) for name, text, _ in rows[1:] if name in read]


def _resume(
    path: Path, classes: Sequence[str] | LabelSchema, folder: Path, pictures: list[Path]
) -> tuple[dict[str, Content], list[str], list[str], int]:
    """Take away a row that was cut off, and those that hold no longer.

    Returns:
        Name and content of the rows that stay, names that are gone, names whose picture changed,
        number of rows without content.
    """
    with path.open('rb+') as file:
        end = 0
        for line in file:
            if line.endswith(b'\n'):
                end += len(line)
        file.truncate(end)
    if end == 0:
        path.write_bytes(_heading(classes))
    stored = [(name, content) for name, _, content in read_findings(path, classes)]
    names = [name for name, _ in stored]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f'{path}: has more than one row of {twice}; name another output')
    here = {display_name(picture): picture for picture in pictures}
    gone = [name for name in names if name not in here]
    undated = [name for name, content in stored if name in here and content is None]
    known = {here[name]: content for name, content in stored if name in here and content}
    stale = outdated(folder, known) | {p for p in known if leads_out(folder / p, folder)}
    changed = [display_name(picture) for picture in known if picture in stale]
    rows = {display_name(p): content for p, content in known.items() if p not in stale}
    if len(rows) < len(names) or undated:
        _keep(path, classes, names, list(rows))
    elif not names:  # perhaps the heading of an earlier version
        path.write_bytes(_heading(classes))
    return rows, gone, changed, len(undated)


def _keep(path: Path, classes: tuple[str, ...], names: list[str], kept: list[str]) -> None:
    """Rewrite a table in place, because its lock is on the file: these rows, in this order."""
    with path.open('rb+') as file:
        row_of = dict(zip(names, file.readlines()[1:], strict=True))
        file.seek(0)
        file.write(_heading(classes))
        file.writelines(row_of[name] for name in kept)
        file.truncate()


def _heading(classes: tuple[str, ...]) -> bytes:
    return (','.join(columns(classes)) + '\n').encode(ENCODING)
