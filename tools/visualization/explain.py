"""Draw heat maps of where a model sees each class, and the sheet of the paper's figure 5."""

import argparse
import sys
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from realmnet.cli import run
from realmnet.curation.content import told, unchanged
from realmnet.curation.identifiers import clean_name
from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.label_table import read_label_table
from realmnet.curation.outputs import make_folder, not_writable
from realmnet.curation.synthetic import in_synthetic
from realmnet.curation.synthetic_marks import MARK, any_synthetic
from realmnet.deployment.trained_model import TrainedModel, split_arguments
from realmnet.errors import InputError
from realmnet.evaluation.thresholds import threshold_caption
from realmnet.explain.methods import METHODS
from realmnet.explain.pictures import (
    FoundPicture,
    classes_present,
    explain_picture,
    find_pictures,
    make_explainers,
)
from realmnet.explain.record import MapRecord
from realmnet.progress import Progress
from realmnet.reporting.findings_table import NOTICE, display_name
from realmnet.reporting.heat_maps import ExplainedPicture, explanation_sheet, overlay
from realmnet.reporting.style import save

SHEETS = ('.png', '.pdf', '.svg')
EXAMPLE = """example:
  python tools/deployment/pack.py work_dirs/quickstart/<time>/epoch_7.pth --out model.pth
  python tools/visualization/explain.py model.pth data/synthetic/JPEGImages \\
      --labels data/synthetic/ImageSets/Main/test.csv --each 1 --classes all --out work_dirs/maps

Writes one picture a heat map, named <picture>_<class>_<method>.png, where <picture> is the file
with its folders below those named, and sheet.png (sheet_2.png ...): a picture a row, a class a
column. Pictures are read as by tools/infer.py. Heat maps show what the model uses, which need not
be the lesion. A checkpoint that does not say how it is to be used comes after its config, which is
run as Python: explain.py CONFIG CHECKPOINT PICTURES.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='file of pack.py, or of a training; or CONFIG CHECKPOINT')
    parser.add_argument('pictures', nargs='+', help='pictures, or folders of pictures')
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
    parser.add_argument('--sheet-rows', type=int, default=12, help='rows of a sheet (12); further '
                        'ones go to sheet_2.png and so on')  # fmt: skip
    parser.add_argument('--device', default='cpu', help='cpu (default), cuda, cuda:1, auto')
    args = parser.parse_args()
    args.files, pictures = split_arguments([args.model, *args.pictures])
    args.pictures = [Path(word) for word in pictures]
    if not pictures:
        parser.error('the following arguments are required: pictures')
    if args.each is not None and (args.labels is None or args.each < 1):
        parser.error('--each K needs --labels, and K of 1 or more')
    if args.sheet_rows < 1:
        parser.error('--sheet-rows must be 1 or more')
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


def write_overlays(row: ExplainedPicture, method: str, out: Path, note: str) -> list[Path]:
    """Write the maps of a picture; ``note`` goes into the files, whose paths are returned."""
    text, files = PngInfo(), []
    text.add_text('Description', note)
    for name, heat in row.maps.items():
        file = out / f'{row.name}_{name}_{method}.png'
        make_folder(file.parent)
        try:
            Image.fromarray(overlay(row.picture, heat)).save(file, pnginfo=text)
        except OSError as error:
            raise not_writable(file, error) from None
        files.append(file)
    return files


class Sheets:
    """Writes the sheets, each as soon as it is full: ``sheet.png``, ``sheet_2.png`` and so on.

    Args:
        first: File of the first.
        size: Rows of a sheet.
        total: Rows to come, where nothing fails.
        schema: Of the classes, which stand in its order.
        classes: Those asked for; None for those found, which are then the columns.
        note: Below every sheet.
    """

    def __init__(
        self,
        first: Path,
        size: int,
        total: int,
        schema: LabelSchema,
        classes: list[str] | None,
        note: str,
    ) -> None:
        self.first, self.size, self.total = first, size, total
        self.schema, self.classes, self.note = schema, classes, note
        self.files: list[Path] = []
        self._rows: list[ExplainedPicture] = []
        self._done = 0

    def add(self, row: ExplainedPicture) -> None:
        """Take a row; write a sheet when it is full."""
        self._rows.append(row)
        if len(self._rows) == self.size:
            self.finish()

    def finish(self) -> None:
        """Write what is left."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        number = len(self.files) + 1
        path = self.first
        if number > 1:
            path = path.with_name(f'{path.stem}_{number}{path.suffix}')
        known = self.schema.classes
        wanted = self.classes or [c for c in known if any(c in row.maps for row in rows)]
        columns = [c for c in known if c in wanted] or list(known)
        lines = [self.note]
        if self.total > self.size:
            last = self._done + len(rows)
            lines.append(f'Sheet {number}: rows {self._done + 1} to {last} of {self.total}.')
        if absent := [c for c in known if c not in columns and self.classes is None]:
            lines.append(f'Found in no picture of this sheet: {", ".join(absent)}.')
        save(explanation_sheet(rows, columns, self.schema, '\n'.join(lines)), path, 130)
        self.files.append(path)
        self._done += len(rows)

    def said(self) -> str:
        """Name the files, and those of an earlier run that are still there."""
        number = len(self.files) + 1
        old = self.first.with_name(f'{self.first.stem}_{number}{self.first.suffix}')
        text = f'the sheet is {self.files[0]}'
        if number > 2:
            text = f'the {number - 1} sheets are {self.files[0]} to {self.files[-1].name}'
        return text + (f' ({old.name} is of an earlier run)' if old.exists() else '')


def is_synthetic(pictures: list[FoundPicture]) -> bool:
    """Tell whether any picture lies in a synthetic data set, or has a synthetic name."""
    folders = {p.path.parent for p in pictures}
    return any(map(in_synthetic, folders)) or any_synthetic(p.name for p in pictures)


def main() -> None:
    args = parse_args()
    sheet = args.sheet or args.out / 'sheet.png'
    if sheet.suffix.lower() not in SHEETS:
        raise InputError(f'--sheet {sheet}: must end in one of {", ".join(SHEETS)}')
    closed: list[tuple[Path, str]] = []
    pictures, truth = find_pictures(args.pictures, closed), {}
    trained = TrainedModel(*args.files, device=args.device)
    known, found = trained.schema.classes, pictures
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
    note = f'Heat shows what the model uses: {", ".join(args.method)}, {Path(args.files[0]).name}.'
    if is_synthetic(pictures):
        note = f'{MARK} {note}'
    stored = trained.description.thresholds if args.threshold is None else args.threshold
    note = f'{NOTICE}\n{note}\n{threshold_caption(stored, known)}'
    make_folder(args.out)
    record = MapRecord(args.out, found)
    for names, what in (
        (record.changed, 'are others now, their earlier maps were removed'),
        (record.gone, f'are not among those named, their earlier maps stay in {args.out}'),
    ):
        if names:
            print(f'{len(names)} picture(s) {what}: {told(map(display_name, names))}')
    total = len(pictures) * len(explainers)
    sheets = Sheets(sheet, args.sheet_rows, total, trained.schema, classes, note)
    progress, failed = Progress('pictures'), len(closed)
    for _, sentence in closed:
        print(f'error: {sentence}', file=sys.stderr)
    for done, picture in enumerate(pictures, start=1):
        present = truth.get(clean_name(picture.name))
        try:
            with unchanged(picture.path) as content:
                new = explain_picture(
                    picture, trained, explainers, classes, args.threshold, present
                )
            for method, row in zip(explainers, new, strict=True):
                for file in write_overlays(row, method, args.out, note):
                    record.add(file, picture.name, content)
        except InputError as error:
            failed += 1
            print(f'error: {error}', file=sys.stderr)
        else:
            for row in new:
                sheets.add(row)
        progress(done, len(pictures))
    record.write()
    sheets.finish()
    if sheets.files:
        explained = len(pictures) + len(closed) - failed
        print(f'{explained} picture(s) explained in {args.out}, {sheets.said()}')
    if trained.description.training.synthetic:
        print('The model was trained on SYNTHETIC pictures: this says nothing about patients.')
    print(NOTICE)
    if failed:
        raise InputError(
            f'{failed} of {len(pictures) + len(closed)} picture(s) could not be explained, '
            'see above'
        )


if __name__ == '__main__':
    run(main)
