"""Print how unequal the classes of a label table are, without and with REMEDIAL.

    python tools/dataset_tools/imbalance.py data/PSMM/ImageSets/Main/MYOPIA/MYOPIA.csv

IRLbl, MeanIR, SCUMBLE and SCUMBLELbl (the paper's Table A2; for PSMM's training split the published
numbers stand below) and the images of each label set.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.imbalance import label_set_counts
from realmnet.curation.label_table import read_label_table
from realmnet.curation.schema_file import add_schema_options, schema_from
from realmnet.reporting.dataset_tables import table_a2
from realmnet.reporting.tables import Table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('labels', type=Path, help='label table')
    add_schema_options(parser)
    args = parser.parse_args()
    table = read_label_table(args.labels, schema_from(args))
    print(table_a2(table.labels, table.schema).to_markdown())
    counts = label_set_counts(table.labels, table.schema)
    rows = [[name, f'{n:,}', f'{n / len(table):.2%}'] for name, n in counts.items()]
    title = f'Label sets of {len(table):,} images'
    print(Table('label_sets', title, ['Label set', 'Images', 'Share'], rows).to_markdown(), end='')


if __name__ == '__main__':
    run(main)
