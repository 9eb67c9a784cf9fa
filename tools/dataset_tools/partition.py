"""Divide a label table into train, val and test by patient, stratified as in the paper.

    python tools/dataset_tools/partition.py labels.csv data/mine/ImageSets/Main
    python tools/dataset_tools/partition.py labels.csv folds/ --folds 5
    python tools/dataset_tools/partition.py labels.csv data/custom --ratios .7 .3 --classes N D M

Each patient's most frequent label is the pseudo-class that is stratified; --ties says what happens
when several are equally frequent, which the paper leaves open. Several label files are joined
first. Writes train.csv, val.csv, test.csv (or fold_1.csv ...) and partition.json.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.label_table import read_label_table, write_label_table
from realmnet.curation.outputs import staged
from realmnet.curation.partition import (
    TIES,
    Partition,
    check_no_other_split,
    check_ratios,
    group_k_fold,
    missing_classes,
    split_patients,
    stratified_partition,
)
from realmnet.curation.protocols import Counts, join_tables
from realmnet.curation.schema_file import add_schema_options, schema_from
from realmnet.errors import InputError
from realmnet.reporting.dataset_tables import partition_table


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('labels', nargs='+', type=Path, help='label table(s)')
    parser.add_argument('out', type=Path, help='folder for the splits')
    parser.add_argument('--ratios', nargs='+', type=float, default=[0.7, 0.15, 0.15],
                        help='shares of train, val, test (or of train, test)')  # fmt: skip
    parser.add_argument('--folds', type=int, help='K equal parts instead of --ratios')
    parser.add_argument('--seed', type=int, default=42)
    parser.add_argument('--ties', choices=TIES, default='rarest')
    parser.add_argument('--method', choices=('stratified', 'group-k-fold', 'random'),
                        default='stratified',
                        help="stratified is the paper's; group-k-fold is scikit-learn's "
                        'StratifiedGroupKFold; random ignores labels')  # fmt: skip
    add_schema_options(parser)
    return parser.parse_args()


def main() -> None:
    """Divide, write and print the shares."""
    args = parse_args()
    if args.folds is not None:
        if args.folds < 2:
            raise InputError(f'--folds must be 2 or more, got {args.folds}')
        names = [f'fold_{i}' for i in range(1, args.folds + 1)]
        ratios = [1 / args.folds] * args.folds
    else:
        ratios = args.ratios
        if len(ratios) not in (2, 3):
            raise InputError(f'--ratios takes two or three shares, got {ratios}; see --folds')
        names = ['train', 'val', 'test'] if len(ratios) == 3 else ['train', 'test']
    check_no_other_split(args.out, names)
    schema = schema_from(args)
    tables = {str(path): read_label_table(path, schema) for path in args.labels}
    for path, part in tables.items():
        if part.ignored:
            print(f'{path}: columns left out: {", ".join(part.ignored)}')
    table, _ = join_tables(tables)
    # said below, with the names of the splits
    warnings.filterwarnings('ignore', message='.*has no picture of')
    if args.method == 'stratified':
        result = stratified_partition(
            table.patients, table.labels, schema, ratios, args.seed, args.ties
        )
    elif args.method == 'group-k-fold':
        result = group_k_fold(table.patients, table.labels, ratios, args.seed, schema.classes)
    else:
        rows = split_patients(table.patients, check_ratios(ratios), args.seed)
        result = Partition(rows, missing=missing_classes(rows, table.labels, schema.classes))
    splits = dict(zip(names, result.rows, strict=True))
    record = {
        'labels': [path.name for path in args.labels], 'schema': schema.name,
        'method': args.method, 'ratios': ratios, 'seed': args.seed,
        'ties': args.ties if args.method == 'stratified' else None,
        'strata': result.strata, 'merged': result.merged, 'tied_patients': result.tied,
        'missing_classes': {n: c for n, c in zip(names, result.missing, strict=True) if c},
        'counts': {name: vars(Counts.of(table.patients[rows])) for name, rows in splits.items()},
    }  # fmt: skip
    with staged(args.out) as place:
        for name, rows in splits.items():
            write_label_table(table.take(rows), place / f'{name}.csv')
        (place / 'partition.json').write_text(json.dumps(record, indent=2) + '\n')
    for sentence in result.lacking(names):
        print(f'note: {sentence}: too few patients have it')
    if result.merged:
        print(f'strata too small and merged (patients): {result.merged}')
    if args.method == 'stratified':
        print(f'{result.tied:,} patient(s) with a tie, resolved by {args.ties!r}')
    print(partition_table(table, splits).to_markdown(), end='')


if __name__ == '__main__':
    run(main)
