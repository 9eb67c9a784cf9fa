"""A folder of pictures in, a folder of findings out, in memory that does not grow.

``findings.csv`` gets its rows while the work goes on; everything else (JSON, eyes, patients,
sheets, report) is made from it at the end. Interrupted work continues where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from realmnet.apis.inferencer import Inferencer
from realmnet.curation.outputs import make_folder, not_writable
from realmnet.curation.picture_names import AUTOMATIC, PictureNames, Recognised
from realmnet.curation.pictures import list_pictures
from realmnet.errors import InputError
from realmnet.evaluation.findings import Units
from realmnet.reporting.contact_sheet import thumbnail_path, write_sheets, write_thumbnail
from realmnet.reporting.findings_log import FindingsLog, LogFiles, open_log, run_settings
from realmnet.reporting.findings_report import write_report
from realmnet.reporting.findings_summary import Summary
from realmnet.reporting.findings_table import (
    display_name,
    read_findings,
    write_json,
    write_units,
)

FINDINGS, PROBLEMS, SETTINGS = 'findings.csv', 'problems.csv', 'settings.json'
THUMBNAILS = 'thumbnails'


@dataclass
class FolderResult:
    """What became of a folder.

    Attributes:
        out: Where the findings are.
        summary: Counts over all findings, earlier ones included.
        units: Number of eyes and of patients, and of those that cannot be graded.
        new: Pictures read in this run.
        earlier: Pictures that an earlier run had read.
        ignored: Files that are no pictures by their names.
        problems: Display name and sentence of each picture that could not be read, and of each
            folder that could not be listed.
        notes: The same of those that were read, as that their damage was accepted.
        gone: Pictures with a finding of an earlier run that are no longer there; it left.
        changed: Pictures that an earlier run had read and that are others now; read again.
        undated: Number of findings that an earlier version made without noting of what; read
            again.
        files: What was written.
    """

    out: Path
    summary: Summary
    units: dict[str, tuple[int, int]] = field(default_factory=dict)
    new: int = 0
    earlier: int = 0
    ignored: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    undated: int = 0
    files: list[str] = field(default_factory=list)


def infer_folder(
    inferencer: Inferencer,
    folder: str | Path,
    out: str | Path,
    model: dict[str, str],
    report: bool = True,
    progress: Callable[[int, int], None] | None = None,
    names: PictureNames = AUTOMATIC,
    say: Callable[[str], None] | None = None,
) -> FolderResult:
    """Find what a model says about every picture below a folder.

    Links that lead out of the folder are not followed, files whose names are no picture's
    are left alone. A finding of an earlier run counts only while its picture has the same content:
    what is continued equals what is made anew.

    Args:
        inferencer: The model.
        folder: Pictures: JPEG, PNG, TIFF, BMP, WebP, JPEG 2000, DICOM, in sub-folders too.
        out: Folder for ``findings.csv``, ``findings.json``, ``problems.csv``, ``eyes.csv`` and
            ``patients.csv`` where names tell, contact sheets and ``report.html``; outside
            ``folder``.
        model: ``name`` and ``sha256`` of the checkpoint.
        report: Whether sheets and report are made.
        progress: Called with (done, total).
        names: How file names tell patient and eye.
        say: Called with what names tell, before anything is read or pooled.

    Returns:
        The counts.

    Raises:
        InputError: If there is no picture, the folders overlap, or ``out`` cannot be written,
            belongs to something else, holds findings of another model, folder or setting, or
            another run is at work on it.
    """
    folder, out = Path(folder), Path(out)
    _refuse_overlap(folder, out)
    unreadable: list[tuple[Path, str]] = []
    pictures = list_pictures(folder, unreadable)
    _refuse_foreign(out)
    settings = run_settings(
        model, folder, inferencer.flip, inferencer.margin, inferencer.max_pixels, names
    )
    result = FolderResult(out, Summary())
    result.ignored = sum(len(files) for _, _, files in os.walk(folder)) - len(pictures)
    files = LogFiles(out / FINDINGS, out / PROBLEMS, out / SETTINGS)
    try:
        schema = inferencer.description.label_schema
        with open_log(files, folder, pictures, schema, settings, names) as log:
            if say:
                say(Recognised.of(map(display_name, pictures), names).text())
            result.earlier, result.problems, result.notes = len(log.rows), log.problems, log.notes
            result.gone, result.changed, result.undated = log.gone, log.changed, log.undated
            for place, problem in unreadable:
                log.add_problem(place, problem)
            _run(inferencer, log, out / THUMBNAILS, report, progress)
            log.put_in_order()
            result.new = len(log.rows) - result.earlier
            _finish(inferencer, out, settings, result, report, names)
    except OSError as error:
        if error.errno is None:
            raise
        raise not_writable(out, error) from None
    return result


def _run(
    inferencer: Inferencer,
    log: FindingsLog,
    thumbnails: Path,
    report: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Read the pictures that have no row, and those that the report lacks a thumbnail of."""
    needed = {thumbnail_path(thumbnails, content) for content in log.rows.values()}
    for file in thumbnails.glob('*.jpg'):
        if file not in needed:
            file.unlink()
    todo = log.todo()
    lacking = []
    if report:
        make_folder(thumbnails)
        done = set(log.pictures).difference(todo)
        lacking = [
            path
            for path in log.pictures
            if path in done and not thumbnail_path(thumbnails, log.content(path)).is_file()
        ]
    total = len(lacking) + len(todo)
    again = inferencer.read_ahead((log.folder / path for path in lacking), log.folder)
    results = inferencer.stream((log.folder / path for path in todo), log.folder)
    pairs = zip([*lacking, *todo], chain(again, results), strict=True)
    for number, (path, found) in enumerate(pairs, 1):
        if report and found.picture is not None:
            write_thumbnail(thumbnail_path(thumbnails, found.content), found.picture)
        if number > len(lacking):
            log.add(path, found)
        if progress:
            progress(number, total)


def _finish(
    inferencer: Inferencer,
    out: Path,
    settings: dict[str, Any],
    result: FolderResult,
    report: bool,
    names: PictureNames,
) -> None:
    """Make everything else from ``findings.csv``."""
    description = inferencer.description
    schema = description.label_schema
    units = Units(description.thresholds, inferencer.margin, names)
    for name, finding, _ in read_findings(out / FINDINGS, schema):
        result.summary.add(finding)
        units.add(name, finding)
    result.units = {unit: units.counts(unit) for unit in units.unnamed}
    result.files = [FINDINGS, 'findings.json', PROBLEMS]
    # The report travels; where the pictures lie on this machine stays in settings.json.
    told = {**settings, 'folder': settings['folder'].rpartition('/')[2]}
    said = result.problems + result.notes
    about = {
        'settings': told,
        'classes': list(description.classes),
        'diagnosis': list(schema.diagnosis),
        'thresholds': asdict(description.thresholds) if description.thresholds else None,
        'recalibration': asdict(description.recalibration) if description.recalibration else None,
        'training': asdict(description.training),
        'problems': [{'filename': name, 'problem': text} for name, text in said],
        'pictures_without': units.unnamed,
    }
    write_json(out / 'findings.json', about, read_findings(out / FINDINGS, schema), names)
    for unit, file in (('eye', 'eyes.csv'), ('patient', 'patients.csv')):
        if write_units(out / file, unit, units.findings(unit)):
            result.files.append(file)
    if report and result.summary.pictures:
        title = settings['model']['name']
        title += ' (trained on SYNTHETIC pictures)' if description.training.synthetic else ''
        sheets = write_sheets(
            out, out / THUMBNAILS, read_findings(out / FINDINGS, schema),
            result.summary.pictures, title,
        )  # fmt: skip
        write_report(
            out / 'report.html',
            out / THUMBNAILS,
            lambda: read_findings(out / FINDINGS, schema),
            description,
            result.summary,
            units,
            told,
            said,
        )
        result.files += [*sheets, 'report.html']


def _refuse_overlap(folder: Path, out: Path) -> None:
    inside, outside = out.resolve(), folder.resolve()
    if inside == outside or outside in inside.parents or inside in outside.parents:
        raise InputError(f'{out}: overlaps with {folder}; name an output folder beside it')


def _refuse_foreign(out: Path) -> None:
    """Refuse an output folder that holds something else."""
    try:
        foreign = out.is_dir() and not (out / SETTINGS).is_file() and any(out.iterdir())
    except OSError as error:
        raise not_writable(out, error) from None
    if foreign:
        raise InputError(f'{out}: not empty and not made by this tool; name another output folder')
