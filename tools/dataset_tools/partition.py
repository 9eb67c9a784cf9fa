"""Divide a label file into splits that share no patient."""

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.label_table import (
    LabelSchema,
    get_schema,
    read_label_table,
    write_label_table,
)
from realmnet.curation.partition import split_patients
from realmnet.errors import InputError

EXAMPLE = """example:
  python tools/dataset_tools/partition.py labels.csv data/custom --ratios .7 .15 .15 --seed 42
  python tools/dataset_tools/partition.py labels.csv data/custom --ratios .7 .3 --classes N D M

Writes train.csv, val.csv and test.csv into OUT; with two ratios train.csv and test.csv.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('labels', help='label file: 0/1 columns, filename, ID (the patient)')
    parser.add_argument('out', help='folder to write into')
    parser.add_argument('--ratios', nargs='+', type=float, default=[0.7, 0.15, 0.15],
                        help='share of patients of each split (.7 .15 .15)')  # fmt: skip
    parser.add_argument('--seed', type=int, default=42, help='seed of the shuffle (42)')
    parser.add_argument('--classes', nargs='+', help='class columns to keep; by default the seven '
                        'of PSMM')  # fmt: skip
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if len(args.ratios) not in (2, 3):
        raise InputError(f'--ratios {args.ratios}: give two (train, test) or three shares')
    schema = get_schema('PSMM')
    if args.classes:
        schema = LabelSchema('custom', tuple(args.classes), allow_empty=True)
    table = read_label_table(args.labels, schema)
    if table.ignored:
        print(f'columns left out: {", ".join(table.ignored)}')
    names = ('train', 'test') if len(args.ratios) == 2 else ('train', 'val', 'test')
    parts = split_patients(table.patients, args.ratios, args.seed)
    for name, rows in zip(names, parts, strict=True):
        part = table.take(rows)
        path = Path(args.out, f'{name}.csv')
        write_label_table(part, path)
        counts = ', '.join(
            f'{c} {n}' for c, n in zip(schema.classes, part.labels.sum(0, dtype=int), strict=True)
        )
        print(f'{path}: {len(part)} pictures of {len(set(part.patients))} patients ({counts})')


if __name__ == '__main__':
    run(main)
