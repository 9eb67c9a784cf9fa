"""Draw heat maps of where a model sees each class, and the sheet of the paper's figure 5."""

import argparse
import sys
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from realmnet.cli import run
from realmnet.curation.identifiers import clean_name
from realmnet.curation.label_table import read_label_table
from realmnet.curation.outputs import make_folder, not_writable
from realmnet.curation.synthetic.writer import read_record
from realmnet.errors import InputError
from realmnet.explain.loading import TrainedModel
from realmnet.explain.methods import METHODS
from realmnet.explain.pictures import (
    FoundPicture,
    classes_present,
    explain_picture,
    find_pictures,
    make_explainers,
)
from realmnet.progress import Progress
from realmnet.reporting.findings_table import NOTICE
from realmnet.reporting.heat_maps import ExplainedPicture, explanation_sheet, overlay
from realmnet.reporting.style import save

SHEETS = ('.png', '.pdf', '.svg')
EXAMPLE = """example:
  python tools/visualization/explain.py configs/quickstart/tinyvit-5m-128_synthetic.py \\
      work_dirs/quickstart/<time>/epoch_7.pth data/synthetic/JPEGImages \\
      --labels data/synthetic/ImageSets/Main/test.csv --each 1 --classes all --out work_dirs/maps

Writes one picture a heat map, named <picture>_<class>_<method>.png, where <picture> is the file
with its folders below those named, and sheet.png: a picture a row, a class a column. Pictures are
read as by tools/infer.py. Heat maps show what the model uses, which need not be the lesion.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('pictures', nargs='+', type=Path, help='pictures, or folders of pictures')
    parser.add_argument('--labels', type=Path, help='label CSV: only its pictures, with the truth; '
                        'its file names are relative to the folders')  # fmt: skip
    parser.add_argument('--each', type=int, metavar='K', help='with --labels: the first K pictures '
                        'of each class, each picture once')  # fmt: skip
    parser.add_argument('--classes', nargs='+', default=['found'], help='class names; found: those '
                        'that tools/infer.py finds (default); all')  # fmt: skip
    parser.add_argument('--threshold', type=float, help='score from which a class counts as found '
                        '(the stored thresholds)')  # fmt: skip
    parser.add_argument('--method', nargs='+', default=['gradcam++'],
                        help=f'{", ".join(METHODS)}; several to compare')  # fmt: skip
    parser.add_argument('--stride', nargs='+', type=int, help='pixels that a cell of the maps '
                        'spans, of one layer or several (4 and the coarsest)')  # fmt: skip
    parser.add_argument('--views', type=int, choices=(1, 8), help='average over moved and mirrored '
                        'views (8 for attention, else 1)')  # fmt: skip
    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    parser.add_argument('--sheet', type=Path, help='PNG, PDF or SVG file of the sheet '
                        '(sheet.png in --out)')  # fmt: skip
    parser.add_argument('--sheet-rows', type=int, default=12, help='most rows of the sheet (12)')
    parser.add_argument('--device', default='cpu', help='cpu (default), cuda, cuda:1, auto')
    args = parser.parse_args()
    if args.each is not None and (args.labels is None or args.each < 1):
        parser.error('--each K needs --labels, and K of 1 or more')
    return args


def wanted_classes(names: list[str], known: tuple[str, ...]) -> list[str] | None:
    """Return the classes to explain; None for those found."""
    if names in (['all'], ['found']):
        return list(known) if names == ['all'] else None
    wrong = [name for name in names if name not in known]
    if wrong and wrong[0] in ('all', 'found'):
        raise InputError(f'--classes {" ".join(names)}: {wrong[0]} stands alone')
    if wrong:
        raise InputError(f'--classes {wrong[0]}: choose from {", ".join(known)}, or all, or found')
    return names


def write_overlays(row: ExplainedPicture, method: str, out: Path, note: str) -> None:
    """Write the maps of a picture; ``note`` goes into the files."""
    text = PngInfo()
    text.add_text('Description', note)
    for name, heat in row.maps.items():
        file = out / f'{row.name}_{name}_{method}.png'
        make_folder(file.parent)
        try:
            Image.fromarray(overlay(row.picture, heat)).save(file, pnginfo=text)
        except OSError as error:
            raise not_writable(file, error) from None


def is_synthetic(pictures: list[FoundPicture]) -> bool:
    """Tell whether any picture lies in a synthetic data set."""
    folders = {folder for p in pictures for folder in list(p.path.parents)[:2]}
    return any(read_record(folder) for folder in folders)


def main() -> None:
    args = parse_args()
    sheet = args.sheet or args.out / 'sheet.png'
    if sheet.suffix.lower() not in SHEETS:
        raise InputError(f'--sheet {sheet}: must end in one of {", ".join(SHEETS)}')
    pictures, truth = find_pictures(args.pictures), {}
    trained = TrainedModel(args.config, args.checkpoint, args.device)
    known = trained.schema.classes
    classes = wanted_classes(args.classes, known)
    explainers = make_explainers(trained, args.method, args.stride, args.views)
    if args.labels:
        truth = classes_present(read_label_table(args.labels, trained.schema), args.each)
        here = {clean_name(picture.name): picture for picture in pictures}
        pictures = [here[name] for name in truth if name in here]
        if not pictures:
            raise InputError(
                f'{args.labels}: none of its pictures is among those named; name the folder that '
                'its file names are relative to'
            )
    note = f'Heat shows what the model uses: {", ".join(args.method)}, {Path(args.config).name}.'
    if is_synthetic(pictures):
        note = f'Synthetic pictures: drawn by a program, of no person. {note}'
    note = f'{NOTICE}\n{note}'
    make_folder(args.out)
    progress, rows, failed = Progress('pictures'), [], 0
    for done, picture in enumerate(pictures, start=1):
        present = truth.get(clean_name(picture.name))
        try:
            new = explain_picture(picture, trained, explainers, classes, args.threshold, present)
        except InputError as error:
            failed += 1
            print(f'error: {error}', file=sys.stderr)
        else:
            for method, row in zip(explainers, new, strict=True):
                write_overlays(row, method, args.out, note)
            rows += new if len(rows) < args.sheet_rows else []
        progress(done, len(pictures))
    if rows:
        shown = [c for c in known if any(c in row.maps for row in rows)] or list(known)
        save(explanation_sheet(rows, shown, note), sheet, 130)
        explained = len(pictures) - failed
        print(f'{explained} picture(s) explained in {args.out}, the sheet is {sheet}')
    if trained.description.training.synthetic:
        print('The model was trained on SYNTHETIC pictures: this says nothing about patients.')
    print(NOTICE)
    if failed:
        raise InputError(
            f'{failed} of {len(pictures)} picture(s) could not be explained, see above'
        )


if __name__ == '__main__':
    run(main)
