"""Find what a model says about each picture of a folder; research software, no medical device."""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.name_table import add_name_options, names_from
from realmnet.curation.pictures import MAX_PIXELS
from realmnet.progress import Progress
from realmnet.reporting.findings_table import NOTICE

EXAMPLE = """example:
  python tools/deployment/pack.py work_dirs/run/epoch_50.pth --out model.pth
  python tools/infer.py model.pth pictures --out findings

writes findings.csv and findings.json (one entry a picture), eyes.csv and patients.csv where file
names tell, problems.csv (what could not be read and why), contact sheets and report.html. Run
again, it continues where it was stopped; a picture that is another one by then is read again, and
one that is gone leaves. Nothing leaves this computer.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='file of pack.py, or of a training')
    parser.add_argument('folder', type=Path, help='JPEG, PNG, TIFF, BMP, WebP, JPEG 2000, DICOM')
    parser.add_argument('--out', type=Path, required=True, help='folder for the findings')
    parser.add_argument('--flip', action='store_true',
                        help='average each picture with its mirror image')  # fmt: skip
    parser.add_argument('--batch-size', type=int, default=8, help='pictures at a time (8)')
    parser.add_argument(
        '--device', default='auto', help='cpu, cuda, cuda:1 (a GPU if there is one)'
    )
    parser.add_argument('--report', action=argparse.BooleanOptionalAction, default=True,
                        help='make contact sheets and report.html')  # fmt: skip
    parser.add_argument('--accept-damaged', action='store_true',
                        help='take what is left of damaged pictures, and say which')  # fmt: skip
    parser.add_argument('--limit-pixels', type=int, default=MAX_PIXELS, metavar='N',
                        help='refuse larger pictures (%(default)s)')  # fmt: skip
    add_name_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Threads that wait without spinning: where other programs or our own readers need the cores,
    # spinning ones were measured five times slower. Read when torch is imported.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    # Here, so that --help and typing mistakes need not wait for torch.
    from realmnet.apis import Inferencer
    from realmnet.apis.folder import infer_folder
    from realmnet.reporting.findings_log import since_then
    from realmnet.reporting.findings_summary import graded_lines

    names = names_from(args)
    inferencer = Inferencer(
        args.checkpoint, args.device, args.batch_size, args.flip, args.limit_pixels
    )
    inferencer.accept_damaged = args.accept_damaged
    result = infer_folder(
        inferencer,
        args.folder,
        args.out,
        inferencer.trained.about(),
        args.report,
        Progress('pictures'),
        names,
        partial(print, file=sys.stderr),
    )
    summary = result.summary
    print(
        f'{result.new:,} pictures read, {result.earlier:,} were done before, '
        f'{len(result.problems):,} could not be read, {result.ignored:,} other files left alone'
    )
    for line in since_then(result.gone, result.changed, result.undated):
        print(line)
    for _, problem in result.problems[:10]:
        print(f'  {problem}')
    if len(result.problems) > 10:
        print(f'  ... and {len(result.problems) - 10:,} more in problems.csv')
    for name, note in result.notes[:10]:
        print(f'  {name}: {note}')
    if len(result.notes) > 10:
        print(f'  ... and {len(result.notes) - 10:,} more in problems.csv')
    for line in graded_lines(summary, inferencer.description, result.units):
        print(line)
    print(f'written to {args.out}: {_list(result.files)}')
    if inferencer.description.training.synthetic:
        print('The model was trained on SYNTHETIC pictures: this says nothing about patients.')
    print(NOTICE)
    if not summary.pictures:
        sys.exit(1)


def _list(files: list[str]) -> str:
    sheets = [name for name in files if name.startswith('sheet_')]
    rest = [name for name in files if name not in sheets]
    if len(sheets) > 1:
        return ', '.join([*rest, f'{sheets[0]} to {sheets[-1]}'])
    return ', '.join(rest + sheets)


if __name__ == '__main__':
    run(main)
