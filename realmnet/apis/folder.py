"""A folder of pictures in, a folder of findings out, in memory that does not grow.

``findings.csv`` gets its rows while the work goes on; everything else (JSON, eyes, patients,
sheets, report) is made from it at the end. Interrupted work continues where it stopped.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import realmnet
from realmnet.apis.inferencer import Inferencer, PictureResult
from realmnet.curation.outputs import make_folder, not_writable
from realmnet.curation.pictures import list_pictures
from realmnet.errors import InputError
from realmnet.evaluation.findings import Units
from realmnet.reporting.contact_sheet import write_sheets, write_thumbnail
from realmnet.reporting.findings_report import Summary, write_report
from realmnet.reporting.findings_table import (
    NOTICE,
    columns,
    display_name,
    read_findings,
    spreadsheet_safe,
    to_row,
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
        new: Pictures read in this run.
        earlier: Pictures that an earlier run had read.
        ignored: Files that are no pictures by their names.
        problems: Display name and sentence of each picture that could not be read.
        files: What was written.
    """

    out: Path
    summary: Summary
    new: int = 0
    earlier: int = 0
    ignored: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def infer_folder(
    inferencer: Inferencer,
    folder: str | Path,
    out: str | Path,
    model: dict[str, str],
    report: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> FolderResult:
    """Find what a model says about every picture below a folder.

    Links that lead out of the folder are not followed, files whose names are no picture's
    are left alone.

    Args:
        inferencer: The model.
        folder: Pictures: JPEG, PNG, TIFF, BMP, DICOM, in sub-folders too.
        out: Folder for ``findings.csv``, ``findings.json``, ``problems.csv``, ``eyes.csv`` and
            ``patients.csv`` where names tell, contact sheets and ``report.html``; outside
            ``folder``.
        model: ``name`` and ``sha256`` of the checkpoint.
        report: Whether sheets and report are made.
        progress: Called with (done, total).

    Returns:
        The counts.

    Raises:
        InputError: If there is no picture, the folders overlap, or ``out`` cannot be written,
            belongs to something else, or holds findings of another model, folder or setting.
    """
    folder, out = Path(folder), Path(out)
    _refuse_overlap(folder, out)
    pictures = list_pictures(folder)
    settings = _settings(inferencer, folder, model)
    _open_folder(out, settings)
    classes = inferencer.description.classes
    done = _resume(out / FINDINGS, classes)
    todo = [path for path in pictures if display_name(path) not in done]
    result = FolderResult(out, Summary(), earlier=len(done))
    result.ignored = sum(len(files) for _, _, files in os.walk(folder)) - len(pictures)
    try:
        _run(inferencer, folder, out, todo, result, report, progress)
        _finish(inferencer, out, settings, result, report)
    except OSError as error:
        if error.errno is None:
            raise
        raise not_writable(out, error) from None
    return result


def _run(
    inferencer: Inferencer,
    folder: Path,
    out: Path,
    todo: list[Path],
    result: FolderResult,
    report: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Read the pictures and append their rows, a batch at a time."""
    classes = inferencer.description.classes
    thumbnails = out / THUMBNAILS
    if report:
        make_folder(thumbnails)
    with (
        (out / FINDINGS).open('a', newline='', encoding='utf-8') as findings_file,
        (out / PROBLEMS).open('w', newline='', encoding='utf-8') as problems_file,
    ):
        # cells that the classes do not tell are empty and have no column
        findings = csv.DictWriter(
            findings_file, columns(classes), extrasaction='ignore', lineterminator='\n'
        )
        problems = csv.writer(problems_file, lineterminator='\n')
        problems.writerow(['filename', 'problem'])
        for number, (path, picture) in enumerate(_results(inferencer, folder, todo), 1):
            name = display_name(path)
            if picture.finding is None:
                problem = display_name(picture.problem.replace(f'{folder}{os.sep}', ''))
                result.problems.append((name, problem))
                problems.writerow([spreadsheet_safe(name), spreadsheet_safe(problem)])
                problems_file.flush()
            else:
                if report:
                    row = result.earlier + result.new
                    write_thumbnail(thumbnails / f'{row:07d}.jpg', picture.picture)
                findings.writerow(to_row(name, picture.finding))
                findings_file.flush()
                result.new += 1
            if progress:
                progress(number, len(todo))


def _results(
    inferencer: Inferencer, folder: Path, todo: list[Path]
) -> Iterator[tuple[Path, PictureResult]]:
    """Yield results in order; links out of the folder become problems without being opened."""
    inside = folder.resolve()
    outward = {
        path for path in todo
        if (folder / path).is_symlink() and inside not in (folder / path).resolve().parents
    }  # fmt: skip
    results = inferencer.stream(folder / path for path in todo if path not in outward)
    for path in todo:
        if path in outward:
            problem = f'{path}: is a link out of the folder, which is not followed; copy the file'
            yield path, PictureResult(folder / path, None, problem)
        else:
            yield path, next(results)


def _finish(
    inferencer: Inferencer, out: Path, settings: dict[str, Any], result: FolderResult, report: bool
) -> None:
    """Make everything else from ``findings.csv``."""
    description = inferencer.description
    units = Units(description.thresholds, inferencer.margin)
    for name, finding in read_findings(out / FINDINGS, description.classes):
        result.summary.add(finding)
        units.add(name, finding)
    result.files = [FINDINGS, 'findings.json', PROBLEMS]
    about = {
        'settings': settings,
        'classes': list(description.classes),
        'thresholds': asdict(description.thresholds) if description.thresholds else None,
        'training': asdict(description.training),
        'problems': [{'filename': name, 'problem': text} for name, text in result.problems],
        'pictures_without': units.unnamed,
    }
    write_json(out / 'findings.json', about, read_findings(out / FINDINGS, description.classes))
    for unit, file in (('eye', 'eyes.csv'), ('patient', 'patients.csv')):
        if write_units(out / file, unit, units.findings(unit)):
            result.files.append(file)
    if report and result.summary.pictures:
        title = settings['model']['name']
        title += ' (trained on SYNTHETIC pictures)' if description.training.synthetic else ''
        sheets = write_sheets(
            out, out / THUMBNAILS, read_findings(out / FINDINGS, description.classes),
            result.summary.pictures, title,
        )  # fmt: skip
        write_report(
            out / 'report.html',
            out / THUMBNAILS,
            lambda: read_findings(out / FINDINGS, description.classes),
            description,
            result.summary,
            units,
            settings,
            result.problems,
        )
        result.files += [*sheets, 'report.html']


def _settings(inferencer: Inferencer, folder: Path, model: dict[str, str]) -> dict[str, Any]:
    """What must be equal for work to be continued."""
    return {
        'notice': NOTICE,
        'realmnet': realmnet.__version__,
        'model': model,
        'folder': display_name(folder.resolve()),
        'flip': inferencer.flip,
        'margin': inferencer.margin,
        'max_pixels': inferencer.max_pixels,
    }


def _refuse_overlap(folder: Path, out: Path) -> None:
    inside, outside = out.resolve(), folder.resolve()
    if inside == outside or outside in inside.parents or inside in outside.parents:
        raise InputError(f'{out}: overlaps with {folder}; name an output folder beside it')


def _open_folder(out: Path, settings: dict[str, Any]) -> None:
    """Make the output folder, or check that it is of the same work."""
    record = out / SETTINGS
    if record.is_file():
        try:
            earlier = json.loads(record.read_text(encoding='utf-8'))
        except ValueError:
            earlier = None
        if not isinstance(earlier, dict):
            raise InputError(f'{record}: is damaged; name another output folder')
        differing = [key for key in settings if earlier.get(key) != settings[key]]
        if differing:
            key = differing[0]
            raise InputError(
                f'{out}: holds findings made with another {key} ({earlier.get(key)}, now '
                f'{settings[key]}); name another output folder, or remove this one'
            )
        return
    make_folder(out)
    try:
        if any(out.iterdir()):
            raise InputError(
                f'{out}: not empty and not made by this tool; name another output folder'
            )
        temporary = out / f'.{SETTINGS}.tmp'
        temporary.write_text(json.dumps(settings, indent=1) + '\n', encoding='utf-8')
        temporary.replace(record)
    except OSError as error:
        raise not_writable(out, error) from None


def _resume(path: Path, classes: tuple[str, ...]) -> set[str]:
    """Names that already have a row; a row that was cut off is taken away."""
    if not path.is_file():
        with path.open('w', newline='', encoding='utf-8') as file:
            csv.writer(file, lineterminator='\n').writerow(columns(classes))
        return set()
    with path.open('rb+') as file:
        end = 0
        for line in file:
            if line.endswith(b'\n'):
                end += len(line)
        file.truncate(end)
    if end == 0:
        path.unlink()
        return _resume(path, classes)
    return {name for name, _ in read_findings(path, classes)}
