"""Measure how much of a synthetic data set's labels colour alone gives away.

A logistic regression on colour histograms, trained on the train split and scored on the test
split. A network has to be well above it to have learned anatomy.

Example:
    python tools/benchmarks/synthetic_difficulty.py data/synthetic
"""

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.synthetic.difficulty import histogram_baseline


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='folder of a synthetic data set')
    baseline = histogram_baseline(parser.parse_args().root)
    print('class   AUROC  positives in the test split')
    for name, row in baseline.iterrows():
        print(f'{name:<6} {row.auroc:6.3f}  {int(row.positives)}')
    print(f'macro  {baseline.auroc.mean(skipna=False):6.3f}')


if __name__ == '__main__':
    run(main)
