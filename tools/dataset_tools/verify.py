"""Report everything that is wrong with a data set; exit with 0 if training may start.

    python tools/dataset_tools/verify.py data/PSMM --size 384 --out report/
    python tools/dataset_tools/verify.py data/PSMM --labels-only
    python tools/dataset_tools/verify.py data/PSMM --labels-only --agreement reader1.csv reader2.csv

Checks label rules, patients in two splits, the resampled list, sources, and every picture: missing,
extra, unreadable, damaged, stored in another way, of another size, the same pixels twice, or one
photograph in two splits, encoded again, resized or slightly cropped. --out writes
report.json and quality.csv: sharpness, exposure and visible share of each picture, the most
conspicuous first, for looking through by eye. --agreement gives Cohen's kappa between two readers'
tables.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from realmnet.cli import run
from realmnet.curation.csv_files import write_csv
from realmnet.curation.label_table import examples, read_label_table
from realmnet.curation.outputs import staged
from realmnet.curation.quality import Quality, worst_first
from realmnet.curation.schema_file import add_schema_options, schema_from
from realmnet.curation.verification import (
    Verification,
    agreement,
    verify_labels,
    verify_pictures,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data_root', type=Path, help='holds ImageSets/Main and the pictures')
    parser.add_argument('--pictures', type=Path, help='default: DATA_ROOT/JPEGImages')
    parser.add_argument('--labels-only', action='store_true', help='do not open pictures')
    parser.add_argument('--size', type=int, default=0, help='side that every picture must have')
    parser.add_argument('--accept-damaged', action='store_true',
                        help='name damaged pictures in a warning')  # fmt: skip
    parser.add_argument('--out', type=Path, help='folder for report.json and quality.csv')
    parser.add_argument('--agreement', nargs=2, type=Path, metavar='CSV')
    parser.add_argument('--jobs', type=int, default=0, help='processes (default: one a core)')
    add_schema_options(parser)
    return parser.parse_args()


def main() -> None:
    """Check, print and write the report."""
    args = parse_args()
    schema = schema_from(args)
    result = verify_labels(args.data_root, schema)
    if not args.labels_only:
        folder = args.pictures or args.data_root / 'JPEGImages'
        verify_pictures(
            result, folder, args.size, args.jobs,
            progress=lambda results, total: tqdm(results, total=total, unit='image'),
            accept_damaged=args.accept_damaged,
        )  # fmt: skip
    kappa = {}
    if args.agreement:
        kappa = agreement(*(read_label_table(path, schema) for path in args.agreement))
    for split, number in result.counts.items():
        print(f'{split}: {number:,} images')
    for finding in result.findings:
        kind = 'ERROR' if finding.fatal else 'warning'
        items = f' ({examples(finding.items)})' if finding.items else ''
        print(f'{kind} [{finding.check}] {finding.message}{items}')
    for name, value in kappa.items():
        print(f'agreement {name}: {value:,.0f}' if name in ('images', 'identical')
              else f'kappa {name}: {value:.4f}')  # fmt: skip
    print('training may start' if result.may_train else 'training must not start')
    if args.out:
        _write(args.out, result, kappa)
    if not result.may_train:
        sys.exit(1)


def _write(out: Path, result: Verification, kappa: dict[str, float]) -> None:
    report = {
        'may_train': result.may_train,
        'images': result.counts,
        'findings': [finding._asdict() for finding in result.findings],
        'agreement': {k: None if np.isnan(v) else v for k, v in kappa.items()},
    }
    with staged(out) as place:
        (place / 'report.json').write_text(
            json.dumps(report, indent=1, ensure_ascii=False) + '\n', encoding='utf-8'
        )
        if result.quality:
            names = list(result.quality)
            measures = list(result.quality.values())
            rows = [
                [names[i], *(f'{value:.4f}' for value in measures[i])]
                for i in worst_first(measures)
            ]
            write_csv(place / 'quality.csv', ['filename', *Quality._fields], rows)


if __name__ == '__main__':
    run(main)
