"""Find what an exported model says about a folder, without torch; research software only."""

import argparse
import csv
import sys
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.outputs import staged
from realmnet.curation.pictures import list_pictures
from realmnet.deployment.runtime import OnnxModel
from realmnet.progress import Progress
from realmnet.reporting.findings_table import NOTICE, columns, display_name, to_row

EXAMPLE = """example:
  python tools/deployment/predict_onnx.py model.onnx pictures --out findings.csv

needs numpy, pandas, scipy, pillow, opencv-python, tqdm and onnxruntime; for DICOM pydicom too.
tools/infer.py does the same with a checkpoint, and makes a report. Nothing leaves this computer.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', type=Path, help='file of tools/deployment/export.py, .onnx')
    parser.add_argument('folder', type=Path, help='pictures: JPEG, PNG, TIFF, BMP, DICOM')
    parser.add_argument('--out', type=Path, required=True, help='CSV file for the findings')
    parser.add_argument('--threads', type=int, help='pictures at the same time (one a core)')
    parser.add_argument('--flip', action='store_true',
                        help='average each picture with its mirror image')  # fmt: skip
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    model = OnnxModel(args.model, args.threads, args.flip)
    names = list_pictures(args.folder)
    progress, problems = Progress('pictures'), []
    with (
        staged(args.out.parent) as place,
        (place / args.out.name).open('w', newline='', encoding='utf-8') as file,
    ):
        # to_row fills every column there is; those that the classes do not tell are left out.
        writer = csv.DictWriter(
            file, columns(model.description.classes), extrasaction='ignore', lineterminator='\n'
        )
        writer.writeheader()
        results = model.stream(args.folder / name for name in names)
        for number, (name, result) in enumerate(zip(names, results, strict=True), 1):
            if result.finding is None:
                problems.append(result.problem)
            else:
                writer.writerow(to_row(display_name(name), result.finding))
            progress(number, len(names))
    for problem in problems:
        print(display_name(problem), file=sys.stderr)
    print(f'{len(names) - len(problems):,} pictures read, {len(problems):,} could not be read; '
          f'written to {args.out}')  # fmt: skip
    print(NOTICE)
    if len(problems) == len(names):
        sys.exit(1)


if __name__ == '__main__':
    run(main)
