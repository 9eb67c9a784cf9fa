"""Findings and problems on the disk after each picture, and work that continues where it stopped.

A record beside the findings holds what must be equal for work to be continued.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import realmnet
from realmnet.curation.label_table import LabelSchema
from realmnet.curation.outputs import make_folder, sole_writer, write_whole
from realmnet.curation.picture_names import AUTOMATIC, PictureNames
from realmnet.errors import InputError
from realmnet.evaluation.findings import Finding
from realmnet.reporting.findings_table import (
    NOTICE,
    columns,
    display_name,
    read_findings,
    spreadsheet_safe,
    to_row,
)


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
        classes: Schema of the model, or the names of its classes.
        names: Display names that have a row, in the order of the rows.
        problems: Display name and sentence of each picture that could not be read.
        notes: The same of those that were read, as that their damage was accepted.
        reading: How file names tell patient and eye.
    """

    folder: Path
    classes: Sequence[str] | LabelSchema
    names: list[str]
    findings_file: TextIO
    problems_file: TextIO
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    reading: PictureNames = AUTOMATIC

    def add(
        self, path: Path, finding: Finding | None, problem: str = '', notes: Sequence[str] = ()
    ) -> None:
        """Write what became of a picture.

        Args:
            path: Of the picture, relative to the folder.
            finding: What was found; None if it could not be read.
            problem: Then the reason, in a sentence.
            notes: What is to be said about a picture that was read; a row among the problems.
        """
        name = display_name(path)
        if finding is None:
            problem = display_name(self._without_folder(path, problem))
            self.problems.append((name, problem))
            self._say(name, problem)
            return
        # to_row fills every column there is; those that the classes do not tell are left out.
        writer = csv.DictWriter(
            self.findings_file, columns(self.classes), extrasaction='ignore', lineterminator='\n'
        )
        writer.writerow(to_row(name, finding, self.reading))
        self.findings_file.flush()
        self.names.append(name)
        if notes:
            self.note(name, display_name('; '.join(notes)))

    def note(self, name: str, text: str) -> None:
        """Write what is to be said about a picture that has a row."""
        self.notes.append((name, text))
        self._say(name, text)

    def _say(self, name: str, text: str) -> None:
        row = [spreadsheet_safe(name), spreadsheet_safe(text), NOTICE]
        csv.writer(self.problems_file, lineterminator='\n').writerow(row)
        self.problems_file.flush()

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
    classes: Sequence[str] | LabelSchema,
    settings: Mapping[str, Any],
    reading: PictureNames = AUTOMATIC,
) -> Iterator[FindingsLog]:
    """Begin a log, or continue one of the same work; nobody else writes it meanwhile.

    Args:
        files: Where it is; the folder is made.
        folder: Folder of the pictures.
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
        names = _resume(files.findings, classes)
        notes = _earlier_notes(files.problems, names)
        with (
            files.findings.open('a', newline='', encoding='utf-8') as findings,
            files.problems.open('w', newline='', encoding='utf-8') as problems,
        ):
            csv.writer(problems, lineterminator='\n').writerow(['filename', 'problem', 'notice'])
            log = FindingsLog(folder, classes, names, findings, problems, reading=reading)
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


def _earlier_notes(path: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    """What an earlier run said about pictures that have a row; they are not read again."""
    if not path.is_file():
        return []
    read = {spreadsheet_safe(name): name for name in names}
    with path.open(newline='', encoding='utf-8', errors='replace') as file:
        rows = [row for row in csv.reader(file) if len(row) == 3]
    return [(read[name], text) for name, text, _ in rows[1:] if name in read]


def _resume(path: Path, classes: Sequence[str] | LabelSchema) -> list[str]:
    """Names that already have a row; a row that was cut off is taken away."""
    with path.open('rb+') as file:
        end = 0
        for line in file:
            if line.endswith(b'\n'):
                end += len(line)
        file.truncate(end)
    if end == 0:
        with path.open('w', newline='', encoding='utf-8') as file:
            csv.writer(file, lineterminator='\n').writerow(columns(classes))
    names = [name for name, _ in read_findings(path, classes)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f'{path}: has more than one row of {twice}; name another output')
    return names
