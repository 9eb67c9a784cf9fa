"""Write parts of a training list: nested shares of the patients, or a few images a class.

    python tools/dataset_tools/subset.py train.csv subsets/
    python tools/dataset_tools/subset.py train.csv subsets/ --k-shot 1 4 16

Shares (10 to 100 % unless --shares is given) are stratified by patient, and each lies inside the
next larger one: train_10.csv, train_20.csv ... K-shot lists hold at least K images of every class:
train_16-shot.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.label_table import read_label_table, write_label_table
from realmnet.curation.outputs import staged
from realmnet.curation.protocols import Counts
from realmnet.curation.schema_file import add_schema_options, schema_from
from realmnet.curation.subsets import DEFAULT_SHARES, k_shot, nested_subsets


def main() -> None:
    """Draw, write and print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('labels', type=Path, help='training list')
    parser.add_argument('out', type=Path, help='folder for the lists')
    parser.add_argument('--shares', nargs='+', type=float, default=list(DEFAULT_SHARES))
    parser.add_argument('--k-shot', nargs='+', type=int, metavar='K', help='instead of shares')
    parser.add_argument('--seed', type=int, default=42)
    add_schema_options(parser)
    args = parser.parse_args()
    table = read_label_table(args.labels, schema_from(args))
    if args.k_shot:
        parts = {
            f'{args.labels.stem}_{k}-shot.csv': k_shot(table.patients, table.labels, k, args.seed)
            for k in args.k_shot
        }
    else:
        rows = nested_subsets(table.patients, table.labels, table.schema, args.shares, args.seed)
        names = [f'{args.labels.stem}_{100 * share:g}.csv' for share in args.shares]
        parts = dict(zip(names, rows, strict=True))
    with staged(args.out) as place:
        for name, rows in parts.items():
            write_label_table(table.take(rows), place / name)
    for name, rows in parts.items():
        count = Counts.of(table.patients[rows])
        shares = ' '.join(
            f'{c} {n:,}'
            for c, n in zip(table.schema.classes, table.labels[rows].sum(0), strict=True)
        )
        print(f'{name}: {count.patients:,} patients, {count.images:,} images; {shares}')


if __name__ == '__main__':
    run(main)
