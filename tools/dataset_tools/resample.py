"""Resample a training list against label imbalance.

    python tools/dataset_tools/resample.py train.csv train_MLRUS-20.csv --method ml-rus --ratio .2

Methods: lp-ros, lp-rus (label sets), ml-ros, ml-rus (single labels), remedial (decoupling),
remedial-hwr (decoupling, then ml-ros). ml-rus follows the rule of the released PSMM list unless
--variant charte is given. Over-sampled lists repeat file names and REMEDIAL takes labels away:
read them with the schema 'PSMM-resampled'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.imbalance import label_set_counts
from realmnet.curation.label_table import LabelTable, read_label_table, write_label_table
from realmnet.curation.resampling import MLRUS, RESAMPLERS, REMEDIALHwR
from realmnet.curation.schema_file import add_schema_options, schema_from
from realmnet.errors import InputError
from realmnet.reporting.tables import Table


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('input', type=Path, help='training list')
    parser.add_argument('output', type=Path, help='resampled list')
    parser.add_argument('--method', choices=RESAMPLERS, default='ml-rus')
    parser.add_argument('--ratio', type=float, default=0.2, help='share of images (default .2)')
    parser.add_argument('--seed', type=int, default=42)
    parser.add_argument('--variant', choices=MLRUS.variants, help='of ml-rus')
    parser.add_argument('--with', dest='with_', choices=REMEDIALHwR.seconds,
                        help='of remedial-hwr; ml-rus is not in its article')  # fmt: skip
    add_schema_options(parser)
    args = parser.parse_args()
    if args.variant and args.method != 'ml-rus':
        parser.error('--variant belongs to --method ml-rus')
    if args.with_ and args.method != 'remedial-hwr':
        parser.error('--with belongs to --method remedial-hwr')
    return args


def main() -> None:
    """Resample, write and print what changed."""
    args = parse_args()
    if args.output.resolve() == args.input.resolve():
        raise InputError(f'{args.output}: would replace the input; name another file')
    table = read_label_table(args.input, schema_from(args))
    options = {k: v for k, v in (('variant', args.variant), ('with_', args.with_)) if v}
    sampler = RESAMPLERS[args.method](args.ratio, args.seed, **options)
    labels = sampler.fit_resample(table.labels)
    frame = table.take(sampler.sample_indices_).frame
    frame[list(table.schema.classes)] = labels
    under = args.method in ('lp-rus', 'ml-rus')
    schema = table.schema if under else table.schema.resampled()
    write_label_table(LabelTable(frame, schema, str(args.output)), args.output)

    rows = []
    before = label_set_counts(table.labels, table.schema)
    after = label_set_counts(labels, table.schema)
    for name in [*before, *(n for n in after if n not in before)]:
        old, new = before.get(name, 0), after.get(name, 0)
        rows.append([name, f'{old:,}', f'{new:,}', f'{new / old - 1:+.1%}' if old else '–'])
    rows.append(['all', f'{len(table):,}', f'{len(labels):,}',
                 f'{len(labels) / len(table) - 1:+.1%}'])  # fmt: skip
    title = f'{args.method}, ratio {args.ratio:g}, seed {args.seed}'
    print(Table('resampled', title, ['Label set', 'before', 'after', 'change'], rows).to_markdown(),
          end='')  # fmt: skip
    if not under:
        print(f'\nread {args.output} with schema {schema.name!r}')


if __name__ == '__main__':
    run(main)
