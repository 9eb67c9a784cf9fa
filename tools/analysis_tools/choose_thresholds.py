"""Choose decision thresholds on the development split and keep them beside the checkpoint."""

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.name_table import add_name_options, names_from, say_names
from realmnet.curation.picture_names import OWN_EYE
from realmnet.errors import InputError
from realmnet.evaluation.development import check_development
from realmnet.evaluation.diagnosis import name_patients
from realmnet.evaluation.prediction_options import add_prediction_options, predictions_from
from realmnet.evaluation.recalibration import find_recalibration
from realmnet.evaluation.tables import lay_out
from realmnet.evaluation.thresholds import (
    RULES,
    choose_thresholds,
    thresholds_path,
    write_thresholds,
)

EXAMPLE = """examples:
  python tools/analysis_tools/choose_thresholds.py work_dirs/run/val.json
  python tools/analysis_tools/choose_thresholds.py val.csv --rule sensitivity --sensitivity 0.95 \\
      --checkpoint work_dirs/run/epoch_50.pth

writes <checkpoint stem>.thresholds.json, which evaluate.py then finds. Never choose on the test
split: its numbers would flatter the model.
"""


def main() -> None:
    """Choose, write, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('predictions', type=Path, help='predictions on the development split')
    parser.add_argument('--rule', choices=RULES, default='F1')
    parser.add_argument('--sensitivity', type=float, default=0.95,
                        help='required by the rule sensitivity')  # fmt: skip
    parser.add_argument('--diagnosis', choices=('max', 'noisy-or'),
                        help='how classes become one score of the disease; default: as the '
                        'schema says, else max')  # fmt: skip
    parser.add_argument(
        '--recalibration',
        type=Path,
        help='file of recalibrate.py; default: the one beside the checkpoint that a .json names',
    )
    add_prediction_options(parser)
    add_name_options(parser)
    parser.add_argument('--checkpoint', type=Path, help='default: the one that a .json names')
    parser.add_argument('--out', type=Path, help='file to write instead')
    args = parser.parse_args()
    names = names_from(args)
    predictions = predictions_from(args, args.predictions)
    check_development(predictions, str(args.predictions), 'thresholds')
    predictions = find_recalibration(predictions, args.recalibration)
    if names.chosen or names.table is not None:
        predictions = name_patients(predictions, names)
    if predictions.schema.diagnosis:
        say_names(predictions.filenames, names, OWN_EYE)
    checkpoint = args.checkpoint or predictions.info.get('checkpoint')
    if not (args.out or checkpoint):
        raise InputError(
            f'{args.predictions} does not name its checkpoint; say --checkpoint FILE.pth or --out'
        )
    target = args.out or thresholds_path(checkpoint)
    source = f'{args.predictions}{" (SYNTHETIC pictures)" * predictions.synthetic}'
    chosen = choose_thresholds(
        predictions, args.rule, args.sensitivity, source, args.diagnosis, names
    )
    write_thresholds(chosen, target)
    rows = [[name, value] for name, value in chosen.values.items()]
    disease = predictions.schema.disease
    rows += [[f'{disease}, by {unit}', value] for unit, value in chosen.diagnosis.items()]
    print(lay_out(['class', 'threshold'], rows, 'text'))
    if chosen.undefined:
        print(f'no positives or no negatives, left at .5: {", ".join(chosen.undefined)}')
    every = [
        name
        for name, lowest in zip(predictions.classes, predictions.scores.min(0), strict=True)
        if chosen.values[name] <= lowest and name not in chosen.undefined
    ]
    if every:
        print(f'so low that every picture here counts as positive: {", ".join(every)}')
    if 'recalibration_note' in predictions.info:
        print(predictions.info['recalibration_note'])
    print(f'written to {target}')


if __name__ == '__main__':
    run(main)
