"""Write the lists of the paper's three protocols, and their resampled training lists.

    python tools/dataset_tools/make_protocols.py data/PSMM

Reads ImageSets/Main/{MYOPIA/MYOPIA.csv or train.csv, val.csv, test.csv} and writes, below the same
folder, MRP/{train,train_MLRUS-20,test_<Source>}.csv (train on the main source) and
CGP_wo-<Source>/{train,train_MLRUS-20,test}.csv (train on all but one). For CIP it adds the
resampled training list where none is. MRP and CGP have no development split, so no best checkpoint
can be chosen on them. On PSMM the counts of Tables 5-7 are checked first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.label_table import write_label_table
from realmnet.curation.outputs import staged
from realmnet.curation.protocols import (
    IMAGE_SETS,
    PUBLISHED_RESAMPLED,
    Counts,
    join_tables,
    protocol_sets,
    read_splits,
    resampled_counts,
    split_files,
)
from realmnet.curation.resampling import MLRUS
from realmnet.curation.schema_file import add_schema_options, schema_from
from realmnet.errors import InputError
from realmnet.reporting.dataset_tables import count_problems
from realmnet.reporting.published import load


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data_root', type=Path, help='holds ImageSets/Main')
    parser.add_argument('--out', type=Path, help='another data root to write to')
    parser.add_argument('--sources', nargs='+', metavar='NAME', help='main source first')
    parser.add_argument('--ratio', type=float, default=0.2, help='of ML-RUS (default .2)')
    parser.add_argument('--seed', type=int, default=42)
    add_schema_options(parser)
    return parser.parse_args()


def main() -> None:
    """Build, check, write and print the counts."""
    args = parse_args()
    splits = read_splits(args.data_root, schema_from(args))
    table, rows = join_tables(splits)
    sets = protocol_sets(table, rows, args.sources)
    sampler = MLRUS(args.ratio, args.seed)
    _check_counts(table, sets)
    resampled = f'train_MLRUS-{round(args.ratio * 100)}.csv'
    root = args.data_root / IMAGE_SETS
    out = (args.out or args.data_root) / IMAGE_SETS
    lines = []
    with staged(out) as place:
        for training in sets:
            kept, _ = resampled_counts(table, training.train, sampler)
            name = resampled
            if training.protocol == 'CIP':
                if split_files(args.data_root)['train'].name == 'MYOPIA.csv':
                    name = PUBLISHED_RESAMPLED.replace('20', str(round(args.ratio * 100)))
                if (root / name).is_file():
                    print(f'{root / name}: kept as it is')
                    continue
                lists = {name: kept}
            else:
                lists = {'train.csv': training.train, name: kept}
                lists |= {f'{test}.csv': rows for test, rows in training.tests.items()}
            for file, members in lists.items():
                path = Path(training.folder) / file
                write_label_table(table.take(members), place / path)
                count = Counts.of(table.patients[members])
                lines.append(f'{path}: {count.patients:,} patients, {count.images:,} images')
    print(*lines, sep='\n')


def _check_counts(table, sets) -> None:
    """Stop if this is PSMM and its counts are not those of the paper."""
    images = load('psmm_tables')['A1']['PSMM']['images']
    if f'{len(table):,}' != images:
        print(f'{len(table):,} images: not PSMM ({images}), counts are not compared')
        return
    problems = count_problems(table, sets)
    if problems:
        raise InputError('counts differ from Tables 5-7, nothing was written: '
                         + '; '.join(problems))  # fmt: skip
    print('counts agree with Tables 5-7')


if __name__ == '__main__':
    run(main)
