"""Find what an exported model says about a folder, without torch; research software only."""

import argparse
import hashlib
import sys
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.name_table import add_name_options, names_from, say_names
from realmnet.curation.pictures import MAX_PIXELS, list_pictures
from realmnet.deployment.runtime import OnnxModel
from realmnet.errors import InputError
from realmnet.evaluation.findings import Units
from realmnet.progress import Progress
from realmnet.reporting.findings_log import LogFiles, open_log, run_settings, since_then
from realmnet.reporting.findings_summary import Summary, graded_lines
from realmnet.reporting.findings_table import NOTICE, display_name, read_findings

EXAMPLE = """example:
  python tools/deployment/predict_onnx.py model.onnx pictures --out findings.csv

writes findings.csv, and beside it findings.problems.csv (what could not be read and why) and
findings.settings.json. Run again, it continues where it was stopped.

needs numpy, pandas, scipy, pillow, simplejpeg, opencv-python, tqdm and
onnxruntime; for DICOM pydicom too.
tools/infer.py does the same with a checkpoint, and makes a report. Nothing leaves this computer.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', type=Path, help='file of tools/deployment/export.py, .onnx')
    parser.add_argument('folder', type=Path, help='JPEG, PNG, TIFF, BMP, WebP, JPEG 2000, DICOM')
    parser.add_argument('--out', type=Path, required=True, help='CSV file for the findings')
    parser.add_argument('--threads', type=int, help='pictures at the same time (one a core)')
    parser.add_argument('--flip', action='store_true',
                        help='average each picture with its mirror image')  # fmt: skip
    parser.add_argument('--accept-damaged', action='store_true',
                        help='take what is left of damaged pictures, and say which')  # fmt: skip
    parser.add_argument('--limit-pixels', type=int, default=MAX_PIXELS, metavar='N',
                        help='refuse larger pictures (%(default)s)')  # fmt: skip
    add_name_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.out.is_dir():
        raise InputError(f'{args.out}: is a folder; name the CSV file to write')
    names = names_from(args)
    model = OnnxModel(args.model, args.threads, args.flip, args.limit_pixels)
    model.accept_damaged = args.accept_damaged
    unreadable: list[tuple[Path, str]] = []
    pictures = list_pictures(args.folder, unreadable)
    about = {
        'name': args.model.name, 'sha256': hashlib.sha256(args.model.read_bytes()).hexdigest()
    }  # fmt: skip
    settings = run_settings(about, args.folder, model.flip, model.margin, model.max_pixels, names)
    files, progress = LogFiles.beside(args.out), Progress('pictures')
    description = model.description
    schema = description.label_schema
    with open_log(files, args.folder, pictures, schema, settings, names) as log:
        say_names(map(display_name, pictures), names)
        earlier, todo = len(log.rows), log.todo()
        for place, problem in unreadable:
            log.add_problem(place, problem)
        results = model.stream((args.folder / path for path in todo), args.folder)
        try:
            for number, (path, found) in enumerate(zip(todo, results, strict=True), 1):
                log.add(path, found)
                progress(number, len(todo))
        except KeyboardInterrupt:
            print(f'{len(log.rows):,} of {len(pictures):,} pictures are in {args.out}; run again '
                  'to continue', file=sys.stderr)  # fmt: skip
            raise
        log.put_in_order()
    summary, units = Summary(), Units(description.thresholds, model.margin, names)
    for name, finding, _ in read_findings(args.out, schema):
        summary.add(finding)
        units.add(name, finding)
    for _, problem in log.problems:
        print(problem, file=sys.stderr)
    for name, note in log.notes:
        print(f'{name}: {note}', file=sys.stderr)
    print(f'{len(log.rows) - earlier:,} pictures read, {earlier:,} were done before, '
          f'{len(log.problems):,} could not be read; written to {args.out}')  # fmt: skip
    for line in since_then(log.gone, log.changed, log.undated):
        print(line)
    for line in graded_lines(summary, description, {u: units.counts(u) for u in units.unnamed}):
        print(line)
    if model.description.training.synthetic:
        print('The model was trained on SYNTHETIC pictures: this says nothing about patients.')
    print(NOTICE)
    if not log.rows:
        sys.exit(1)


if __name__ == '__main__':
    run(main)
