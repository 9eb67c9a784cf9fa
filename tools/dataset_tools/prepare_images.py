"""Crop the black border, resize to a square and store pictures; or unpack their archive.

    python tools/dataset_tools/prepare_images.py raw/ data/PSMM/JPEGImages --size 384
    python tools/dataset_tools/prepare_images.py JPEGImages.zip data/PSMM/JPEGImages \
        --unpack --data-root data/PSMM

Takes JPEG, PNG, TIFF, BMP, WebP, JPEG 2000 and DICOM below SRC and keeps the sub-folders. Run it
again after an interruption: what is there is left as it is, unless its source has changed. Pictures
that cannot be read, damaged ones among them, are listed in DST/unreadable.csv; --accept-damaged
stores what is left of damaged ones, too, and lists them all the same. No EXIF field and no DICOM
tag reaches the output;
--pseudonymise also replaces patients, dates and foreign file names, and --labels rewrites label
tables in the same way.
--unpack takes zip, split zip (.z01 .z02 ... beside the .zip) and tar.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from realmnet.cli import run
from realmnet.curation.archives import unpack
from realmnet.curation.content import told
from realmnet.curation.identifiers import check_distinct
from realmnet.curation.label_table import read_label_table, write_label_table
from realmnet.curation.listed_pictures import missing_pictures
from realmnet.curation.pictures import list_pictures
from realmnet.curation.prepare import PrepareSettings, prepare_images, prepared_name
from realmnet.curation.privacy import Pseudonyms
from realmnet.curation.protocols import read_splits
from realmnet.curation.schema_file import add_schema_options, schema_from
from realmnet.curation.sources import PSMM_SOURCES
from realmnet.errors import InputError
from realmnet.reporting.findings_table import display_name


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', type=Path, help='folder of pictures, or archive with --unpack')
    parser.add_argument('dst', type=Path, help='folder for the result')
    parser.add_argument('--size', type=int, default=384, help='side in pixels (default 384)')
    parser.add_argument('--keep-aspect', action='store_true', help='pad instead of stretching')
    parser.add_argument('--no-crop', action='store_true', help='leave the black border on')
    parser.add_argument('--png', action='store_true', help='write PNG instead of JPEG')
    parser.add_argument('--quality', type=int, default=95, help='JPEG quality (default 95)')
    parser.add_argument('--accept-damaged', action='store_true',
                        help='store what is left of damaged pictures, and list them')  # fmt: skip
    parser.add_argument('--jobs', type=int, default=0, help='processes (default: one a core)')
    parser.add_argument('--pseudonymise', type=Path, metavar='KEYFILE',
                        help='replace names; the key file undoes it, keep it apart')  # fmt: skip
    parser.add_argument('--sources', nargs='+', default=list(PSMM_SOURCES), metavar='NAME',
                        help='what may stand before the hyphen of a patient')  # fmt: skip
    parser.add_argument('--labels', type=Path, nargs='+', default=[], metavar='CSV',
                        help='with --pseudonymise: label tables to rewrite')  # fmt: skip
    parser.add_argument('--labels-out', type=Path, metavar='DIR', help='where they are written')
    add_schema_options(parser)
    parser.add_argument('--unpack', action='store_true', help='SRC is an archive')
    parser.add_argument(
        '--encoding', help='with --unpack: of names that are not UTF-8 (gbk, cp932, big5, ...)'
    )
    parser.add_argument('--data-root', type=Path, metavar='DIR',
                        help='with --unpack: compare with its label files')  # fmt: skip
    args = parser.parse_args()
    if bool(args.labels) != bool(args.labels_out) or (args.labels and not args.pseudonymise):
        parser.error('--labels needs --labels-out and --pseudonymise')
    return args


def main() -> None:
    """Prepare or unpack."""
    args = parse_args()
    if args.unpack:
        _unpack(args)
        return
    if args.src.is_file():
        raise InputError(f'{args.src}: is a file; add --unpack if it is an archive')
    settings = PrepareSettings(
        args.size,
        args.keep_aspect,
        not args.no_crop,
        '.png' if args.png else '.jpg',
        args.quality,
        args.accept_damaged,
    )
    pseudonyms = Pseudonyms(args.pseudonymise, args.sources) if args.pseudonymise else None
    tables = [read_label_table(path, schema_from(args)) for path in args.labels]
    check_distinct(patient for table in tables for patient in table.patients)
    report = prepare_images(
        args.src, args.dst, settings, args.jobs, pseudonyms,
        progress=lambda results, total: tqdm(results, total=total, unit='image'),
    )  # fmt: skip
    for path, table in zip(args.labels, tables, strict=True):
        table = pseudonyms.table(table, lambda name: prepared_name(name, settings.suffix))
        write_label_table(table, args.labels_out / path.name)
    if pseudonyms:
        pseudonyms.save()
    print(f'{report.written:,} picture(s) written to {args.dst}, {report.skipped:,} already there')
    for name, note in report.notes[:10]:
        print(f'  {name}: {note}')
    if report.again:
        print(
            f'{len(report.again):,} were there, made from other pictures or by a version that did '
            f'not note from what, and were made again: {told(map(display_name, report.again))}'
        )
    if report.gone:
        print(
            f'{len(report.gone):,} picture(s) in {args.dst} come from none in {args.src} and stay; '
            f'take them out if their source is gone: {told(map(display_name, report.gone))}'
        )
    if report.unreadable:
        print(f'{len(report.unreadable):,} could not be read, see {args.dst / "unreadable.csv"}:')
        for name, reason in report.unreadable[:10]:
            print(f'  {name}: {reason}')
        sys.exit(1)


def _unpack(args: argparse.Namespace) -> None:
    # what is wrong with the label files shows before the long work
    splits = read_splits(args.data_root, schema_from(args)) if args.data_root else {}
    number = unpack(
        args.src,
        args.dst,
        lambda members: tqdm(members, unit='file'),
        encoding=args.encoding,
        say=print,
    )
    pictures = len(list_pictures(args.dst))
    print(f'{number:,} file(s), {pictures:,} picture(s) in {args.dst}')
    if splits:
        labelled = sum(len(table) for table in splits.values())
        missing = [n for table in splits.values() for n in missing_pictures(table, args.dst)]
        print(f'{labelled:,} labelled, {len(missing):,} of them missing, '
              f'{pictures - (labelled - len(missing)):,} pictures without label')  # fmt: skip
        if missing:
            raise InputError(f'{args.dst}: {len(missing):,} picture(s) missing, {missing[0]} first')


if __name__ == '__main__':
    run(main)
