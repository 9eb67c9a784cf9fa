"""Draw heat maps of where a model sees each class, and the sheet of the paper's figure 5."""

import argparse
import sys
from pathlib import Path

from PIL import Image

from realmnet.cli import run
from realmnet.curation.label_table import read_label_table
from realmnet.curation.outputs import make_folder
from realmnet.curation.pictures import list_pictures
from realmnet.curation.synthetic.writer import read_record
from realmnet.errors import InputError
from realmnet.explain.loading import TrainedModel
from realmnet.explain.methods import METHODS, Explainer
from realmnet.explain.pictures import classes_present, explain_picture
from realmnet.progress import Progress
from realmnet.reporting.heat_maps import explanation_sheet, overlay
from realmnet.reporting.style import save

EXAMPLE = """example:
  python tools/visualization/explain.py configs/quickstart/tinyvit-5m-128_synthetic.py \\
      work_dirs/quickstart/<time>/epoch_7.pth data/synthetic/JPEGImages \\
      --labels data/synthetic/ImageSets/Main/test.csv --each 1 --classes all --out work_dirs/maps

Writes one picture a heat map, named <picture>_<class>_<method>.png, and sheet.png: a picture a
row, a class a column. Heat maps show what the model uses, which need not be the lesion.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('pictures', nargs='+', type=Path, help='pictures, or folders of pictures')
    parser.add_argument('--labels', type=Path, help='label CSV: only its pictures, with the truth')
    parser.add_argument('--each', type=int, metavar='K', help='with --labels: the first K pictures '
                        'of each class, each picture once')  # fmt: skip
    parser.add_argument('--classes', nargs='+', default=['found'], help='class names; found: those '
                        'scored at the threshold or above (default); all')  # fmt: skip
    parser.add_argument('--threshold', type=float, default=0.5, help='score from which a class '
                        'counts as found (0.5)')  # fmt: skip
    parser.add_argument('--method', nargs='+', default=['gradcam++'],
                        help=f'{", ".join(METHODS)}; several to compare')  # fmt: skip
    parser.add_argument('--stride', nargs='+', type=int, help='pixels that a cell of the maps '
                        'spans, of one layer or several (4 and the coarsest)')  # fmt: skip
    parser.add_argument('--views', type=int, choices=(1, 8), help='average over moved and mirrored '
                        'views (8 for attention, else 1)')  # fmt: skip
    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    parser.add_argument('--sheet', type=Path, help='file of the sheet (sheet.png in --out)')
    parser.add_argument('--sheet-rows', type=int, default=12, help='most rows of the sheet (12)')
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda')
    args = parser.parse_args()
    if args.each is not None and (args.labels is None or args.each < 1):
        parser.error('--each K needs --labels, and K of 1 or more')
    return args


def find_pictures(places: list[Path]) -> list[Path]:
    """List the files named and those in the folders named, each once, in order."""
    paths = []
    for place in places:
        paths += [place / p for p in list_pictures(place)] if place.is_dir() else [place]
    return list(dict.fromkeys(paths))


def main() -> None:
    args = parse_args()
    trained = TrainedModel(args.config, args.checkpoint, args.device)
    known = trained.schema.classes
    wrong = [c for c in args.classes if c not in known]
    if wrong and args.classes not in (['all'], ['found']):
        raise InputError(f'--classes {wrong[0]}: choose from {", ".join(known)}, or all, or found')
    explainers = {m: Explainer(trained.model, m, args.stride, args.views) for m in args.method}
    paths = find_pictures(args.pictures)
    truth = {}
    if args.labels:
        truth = classes_present(read_label_table(args.labels, trained.schema), args.each)
        here = {path.name: path for path in paths}
        paths = [here[name] for name in truth if name in here]
        if not paths:
            raise InputError(f'{args.labels}: none of its pictures is among those named')
    classes = {'all': known, 'found': None}.get(args.classes[0], args.classes)
    make_folder(args.out)
    progress, rows, failed = Progress('pictures'), [], 0
    for done, path in enumerate(paths, start=1):
        try:
            new = explain_picture(
                path, trained, explainers, classes, args.threshold, truth.get(path.name)
            )
            for method, row in zip(explainers, new, strict=True):
                for name, heat in row.maps.items():
                    file = args.out / f'{path.stem}_{name}_{method}.png'
                    Image.fromarray(overlay(row.picture, heat)).save(file)
            rows += new if len(rows) < args.sheet_rows else []
        except InputError as error:
            failed += 1
            print(f'error: {error}', file=sys.stderr)
        progress(done, len(paths))
    if rows:
        synthetic = any(read_record(folder) for p in paths for folder in list(p.parents)[:2])
        footer = (
            f'Heat shows what the model uses: {", ".join(args.method)}, {Path(args.config).name}.'
        )
        if synthetic:
            footer = f'Synthetic pictures: drawn by a program, of no person. {footer}'
        shown = [c for c in known if any(c in row.maps for row in rows)] or list(known)
        sheet = save(
            explanation_sheet(rows, shown, footer), args.sheet or args.out / 'sheet.png', 130
        )
        print(f'{len(paths) - failed} picture(s) explained in {args.out}, the sheet is {sheet}')
    if failed:
        raise InputError(f'{failed} of {len(paths)} picture(s) could not be explained, see above')


if __name__ == '__main__':
    run(main)
