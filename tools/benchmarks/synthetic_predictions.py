"""Write synthetic predictions: real or made label rows, scores with the paper's point values.

The scores are drawn, not predicted: class by class they have the F1, AP and AUROC of Tables 1-3.
For trying out the evaluation tools without a model.
"""

import argparse
from pathlib import Path

import numpy as np

from realmnet.cli import run
from realmnet.curation.label_schema import PSMM
from realmnet.curation.label_table import read_label_table
from realmnet.evaluation.decoding import exclusive_groups
from realmnet.evaluation.predictions import Predictions, write_predictions
from realmnet.evaluation.synthetic import calibrated_scores
from realmnet.reporting.published import class_targets

EXAMPLE = """example:
  python tools/benchmarks/synthetic_predictions.py ImageSets/Main/test.csv \\
      --out work_dirs/synthetic/realmnet.csv
"""


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('labels', type=Path, help='a PSMM label file')
    parser.add_argument('--model', choices=('RealMNet', 'RealMNet-Max'), default='RealMNet',
                        help='row of Tables 1-3')  # fmt: skip
    parser.add_argument('--seed', type=int, default=42)
    parser.add_argument('--out', type=Path, required=True, help='.csv or .json')
    args = parser.parse_args()
    table = read_label_table(args.labels)
    groups = [[PSMM.classes.index(c) for c in group] for group in exclusive_groups(PSMM.classes)]
    scores = calibrated_scores(
        table.labels, class_targets(args.model, PSMM.classes), args.seed, groups
    )
    info = {'synthetic': True, 'model': args.model, 'seed': args.seed}
    write_predictions(
        Predictions(table.filenames, table.patients, np.round(scores, 6), table.labels,
                    PSMM.classes, info),
        args.out,
    )  # fmt: skip
    print(f'{len(table)} synthetic predictions written to {args.out}')


if __name__ == '__main__':
    run(main)
