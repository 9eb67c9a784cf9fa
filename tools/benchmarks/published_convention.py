"""Reproduce the paper's interval convention on synthetic predictions of its point values.

Scores are calibrated class by class to the point values of Tables 1-3, never to the widths; then
the widths that the published convention gives are set beside the printed ones.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from realmnet.cli import run
from realmnet.curation.label_schema import PSMM
from realmnet.curation.label_table import read_label_table
from realmnet.errors import InputError
from realmnet.evaluation.bootstrap import PUBLISHED_DRAWS, replicate
from realmnet.evaluation.decoding import exclusive_groups
from realmnet.evaluation.intervals import published
from realmnet.evaluation.metric_records import metric_of
from realmnet.evaluation.metrics import make_plan
from realmnet.evaluation.synthetic import calibrated_scores
from realmnet.evaluation.tables import lay_out
from realmnet.reporting.published import class_targets, class_values, headline

EXAMPLE = """example:
  REALMNET_TEST_DATA=../shared/data python tools/benchmarks/published_convention.py
"""


def main() -> None:
    """Calibrate, draw, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--labels', type=Path, help='default: test.csv of $REALMNET_TEST_DATA')
    parser.add_argument('--model', choices=('RealMNet', 'RealMNet-Max'), default='RealMNet')
    parser.add_argument('--seeds', type=int, nargs='+', default=[42], help='of scores and draws')
    args = parser.parse_args()
    folder = os.environ.get('REALMNET_TEST_DATA')
    if not (args.labels or folder):
        raise InputError('name the label file with --labels, or set REALMNET_TEST_DATA')
    table = read_label_table(
        args.labels or Path(folder, 'psmm_annotations/ImageSets/Main/test.csv')
    )
    classes = PSMM.classes
    groups = [[classes.index(c) for c in group] for group in exclusive_groups(classes)]
    printed = class_values(args.model, classes, 'plus_minus')
    wide = headline().set_index(['model', 'metric'])
    for seed in args.seeds:
        scores = calibrated_scores(table.labels, class_targets(args.model, classes), seed, groups)
        plan = make_plan(table.labels, scores, classes, essential=True)
        drawn = replicate(plan, 1000, draws=PUBLISHED_DRAWS, seed=seed)
        ends, plus_minus = published(drawn)
        rows, macro = [], []
        for metric in ('F1', 'AP', 'AUROC'):
            for i, c in enumerate(classes):
                place = drawn.names.index(f'{metric}_{c}')
                ours, paper = 100 * plus_minus[place], 100 * printed[metric][i]
                rows.append([f'{metric}_{c}', 100 * drawn.point[place], ours, paper, ours / paper])
            name = metric_of(metric).mean
            place = drawn.names.index(name)
            half = (ends.high[place] - ends.low[place]) / 2
            paper = float('nan')
            if (args.model, name) in wide.index:
                row = wide.loc[(args.model, name)]
                paper = (row['high'] - row['low']) / 2
            # The printed class-wise spreads, combined as if classes erred independently.
            alone = 1.96 * np.sqrt(1000 * (np.array(printed[metric]) ** 2).sum()) / len(classes)
            macro.append([name, half, paper, half / paper, alone])
        print(f'{args.model}, seed {seed}: "+-" of each class in percent\n')
        print(lay_out(['metric', 'value', 'ours +-', 'paper +-', 'ratio'], rows, 'text'))
        print('\nhalf-width of the macro interval\n')
        header = ['metric', 'ours', 'paper', 'ratio', "paper's classes, if independent"]
        print(lay_out(header, macro, 'text'), end='\n\n')


if __name__ == '__main__':
    run(main)
