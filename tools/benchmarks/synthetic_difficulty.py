"""Measure how much of a synthetic data set's labels colour alone gives away.

A logistic regression on colour histograms, trained on the train split and scored on the test
split. A network has to be well above it to have learned anatomy.

Example:
    python tools/benchmarks/synthetic_difficulty.py data/synthetic
"""

import argparse
import sys
from pathlib import Path

from realmnet.curation.synthetic.difficulty import histogram_baseline
from realmnet.errors import InputError


def main(argv: list[str] | None = None) -> int:
    """Print the baseline class by class; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='folder of a synthetic data set')
    args = parser.parse_args(argv)
    try:
        baseline = histogram_baseline(args.root)
    except InputError as error:
        print(f'synthetic_difficulty: {error}', file=sys.stderr)
        return 1
    print('class   AUROC  positives in the test split')
    for name, row in baseline.iterrows():
        print(f'{name:<6} {row.auroc:6.3f}  {int(row.positives)}')
    print(f'macro  {baseline.auroc.mean(skipna=False):6.3f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
