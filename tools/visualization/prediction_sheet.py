"""Draw a sheet of test pictures with truth and prediction."""

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.evaluation.predictions import read_predictions
from realmnet.evaluation.recalibration import find_recalibration
from realmnet.evaluation.thresholds import find_thresholds
from realmnet.reporting.sheet import prediction_sheet
from realmnet.reporting.style import save

EXAMPLE = """example:
  python tools/visualization/prediction_sheet.py work_dirs/quickstart/test.csv \\
      data/synthetic/JPEGImages --out work_dirs/quickstart/sheet.png
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('predictions', help='predictions file (.csv or .json)')
    parser.add_argument('pictures', help='folder of the pictures')
    parser.add_argument('--out', required=True, help='picture file to write, for instance .png')
    parser.add_argument('--number', type=int, default=24, help='how many pictures (24)')
    parser.add_argument('--thresholds', type=Path, help='file of choose_thresholds.py; default: '
                        'the one beside the checkpoint that a .json names, else .5')  # fmt: skip
    parser.add_argument('--threshold', type=float, help='one score from which every class counts '
                        'as found, instead')  # fmt: skip
    parser.add_argument('--seed', type=int, default=0, help='which pictures (0)')
    parser.add_argument('--title', default='', help='above the sheet')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    predictions = find_recalibration(read_predictions(args.predictions))
    thresholds = args.threshold
    if thresholds is None:
        thresholds = find_thresholds(predictions, args.thresholds)
    figure = prediction_sheet(
        predictions,
        args.pictures,
        number=args.number,
        thresholds=thresholds,
        seed=args.seed,
        title=args.title,
    )
    save(figure, args.out, 150)
    print(f'{args.out} written')


if __name__ == '__main__':
    run(main)
