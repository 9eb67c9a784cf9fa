"""Recalibrate a model's scores on the development split and keep it beside the checkpoint."""

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.errors import InputError
from realmnet.evaluation.calibration import LEAST, calibration_of, fit_recalibration
from realmnet.evaluation.development import check_apart, check_development
from realmnet.evaluation.diagnosis import pathologic_myopia
from realmnet.evaluation.prediction_options import add_prediction_options, predictions_from
from realmnet.evaluation.predictions import Predictions
from realmnet.evaluation.recalibration import (
    METHODS,
    Recalibration,
    recalibrated,
    recalibration_path,
    write_recalibration,
)
from realmnet.evaluation.tables import FORMATS, lay_out, marked_rows, span

_NEEDED = ', '.join(f'{method} {least}' for method, least in LEAST.items())
EXAMPLE = f"""examples:
  python tools/analysis_tools/recalibrate.py work_dirs/run/val.json --test work_dirs/run/test.json
  python tools/analysis_tools/recalibrate.py val.csv --method isotonic --leave A0 A4 \\
      --checkpoint work_dirs/run/epoch_50.pth

writes <checkpoint stem>.recalibration.json, which evaluate.py and choose_thresholds.py then find
and pack.py takes with --recalibration. Thresholds come after it: choose them anew. The second file
is reported and changes nothing. Patients needed with and without each class: {_NEEDED}.
"""
HEADER = ('class', 'scores', 'positives', 'slope', 'intercept', 'in the large', 'ECE', 'Brier')


def measures(predictions: Predictions, recalibration: Recalibration, by: str) -> list[list]:
    """Rows of each class, and of the disease by image, before and after."""
    after = recalibrated(predictions, recalibration)
    parts = [(name, i, predictions, after) for i, name in enumerate(predictions.classes)]
    if predictions.schema.diagnosis:
        disease = [pathologic_myopia(p) for p in (predictions, after)]
        parts.append((disease[0].classes[0], 0, *disease))
    rows = []
    for name, column, *sets in parts:
        for scores, part in zip(('before', 'after'), sets, strict=True):
            truth = part.truth[:, column]
            patients = part.patients if by == 'patient' else None
            found = calibration_of(truth, part.scores[:, column], patients)
            slope = span(found.slope, found.slope_low, found.slope_high, 2)
            ends = found.in_the_large_low, found.in_the_large_high
            level = span(found.in_the_large, *ends, 2)
            rest = [found.intercept, level, found.error, found.brier]
            rows.append([name, scores, int(truth.sum()), slope, *rest])
    return rows


def main() -> None:
    """Fit, write, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('predictions', type=Path, help='predictions on the development split')
    parser.add_argument('--test', type=Path, help='predictions on other patients, to report')
    parser.add_argument('--method', choices=METHODS, default='temperature')
    parser.add_argument('--shared', action='store_true', help='one temperature for all classes')
    parser.add_argument('--leave', nargs='+', default=[], metavar='CLASS', help='stay as they are')
    parser.add_argument(
        '--by', choices=('patient', 'image'), default='patient', help='what is independent'
    )
    parser.add_argument('--checkpoint', type=Path, help='default: the one that a .json names')
    parser.add_argument('--out', type=Path, help='file to write instead')
    add_prediction_options(parser)
    parser.add_argument('--format', choices=FORMATS, default='text', help='of what is printed')
    args = parser.parse_args()
    predictions = predictions_from(args, args.predictions)
    check_development(predictions, str(args.predictions), 'recalibrations')
    sets = {f'{args.predictions}, fitted on it': predictions}
    if args.test:
        test = predictions_from(args, args.test)
        check_apart(predictions, test, (str(args.predictions), str(args.test)))
        sets[f'{args.test}, reported only'] = test
    checkpoint = args.checkpoint or predictions.info.get('checkpoint')
    if not (args.out or checkpoint):
        raise InputError(
            f'{args.predictions} does not name its checkpoint; say --checkpoint FILE.pth or --out'
        )
    target = args.out or recalibration_path(checkpoint)
    source = f'{args.predictions}{" (SYNTHETIC pictures)" * predictions.synthetic}'
    fitted = fit_recalibration(predictions, args.method, args.leave, args.shared, args.by, source)
    write_recalibration(fitted, target)
    for title, part in sets.items():
        table = lay_out(
            *marked_rows(HEADER, measures(part, fitted, args.by), part.synthetic), args.format
        )
        print(f'{title}\n\n{table}\n' if args.format in ('text', 'markdown') else table)
    if args.format in ('text', 'markdown'):
        if args.method == 'temperature':
            pairs = [f'{name} {1 / curve[0]:.3f}' for name, curve in fitted.curves.items()]
            print(f'temperature: {", ".join(pairs)}')
        print('ideal: slope 1, intercept and in the large 0; intervals 95 % by ' + args.by)
        print(f'written to {target}; choose thresholds on the recalibrated scores')


if __name__ == '__main__':
    run(main)
