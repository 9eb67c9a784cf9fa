"""Every metric of a predictions file, with intervals."""

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.name_table import add_name_options, names_from, say_names
from realmnet.curation.picture_names import OWN_EYE
from realmnet.evaluation.diagnosis import name_patients
from realmnet.evaluation.evaluate import MODES, evaluate
from realmnet.evaluation.groups import group_of
from realmnet.evaluation.intervals import DEFAULT_METHOD, METHODS
from realmnet.evaluation.prediction_options import add_prediction_options, predictions_from
from realmnet.evaluation.prevalence import read_prevalences
from realmnet.evaluation.recalibration import find_recalibration
from realmnet.evaluation.tables import FORMATS, write_tables
from realmnet.evaluation.thresholds import find_thresholds
from realmnet.progress import Progress

EXAMPLE = """examples:
  python tools/analysis_tools/evaluate.py work_dirs/run/test.csv
  python tools/analysis_tools/evaluate.py test.csv --mode both --by patient --group source \\
      --out work_dirs/run/evaluation
  python tools/analysis_tools/evaluate.py test.csv --prevalence 0.02 0.1 A4=0.005

A predictions file is what tools/test.py --out writes (.csv, .json or .pkl), or any CSV with the
columns filename, <class>_score and <class> for every class, and ID (the patient) where known.
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('predictions', type=Path, help='.csv, .json or .pkl')
    parser.add_argument('--bootstrap', type=int, default=1000, metavar='B',
                        help='replicates; 0 for values without intervals')  # fmt: skip
    parser.add_argument('--by', choices=('patient', 'image'), default='patient',
                        help='what is drawn; images of a patient are not independent')  # fmt: skip
    parser.add_argument('--mode', choices=MODES, default='sound',
                        help="sound intervals, or the paper's convention")  # fmt: skip
    parser.add_argument('--method', choices=METHODS, default=DEFAULT_METHOD,
                        help='form of the sound intervals')  # fmt: skip
    parser.add_argument('--group', help='source, device, sex, age or any other column of '
                        '--group-table: evaluate each group by itself as well')  # fmt: skip
    parser.add_argument('--group-table', type=Path, help='CSV with that column and filename or ID; '
                        'default: the predictions file')  # fmt: skip
    parser.add_argument('--thresholds', type=Path, help='file of choose_thresholds.py; default: '
                        'the one beside the checkpoint that a .json names, else .5')  # fmt: skip
    parser.add_argument('--consistent', action='store_true',
                        help='also decide for one class of each exclusive group')  # fmt: skip
    parser.add_argument('--diagnosis', choices=('max', 'noisy-or', 'none'),
                        help='how classes become one score of the disease; default: as the '
                        'schema says, else max')  # fmt: skip
    parser.add_argument(
        '--prevalence',
        nargs='+',
        default=[],
        metavar='P',
        help='PPV and NPV at these prevalences as well: 0.05 of the disease, A4=0.01 of a class',
    )
    parser.add_argument(
        '--recalibration',
        type=Path,
        help='file of recalibrate.py; default: the one beside the checkpoint that a .json names',
    )
    parser.add_argument(
        '--simultaneous',
        action='store_true',
        help='intervals of the classes of a metric that hold all together (Bonferroni)',
    )
    add_prediction_options(parser)
    add_name_options(parser)
    parser.add_argument('--seed', type=int, default=42)
    parser.add_argument('--format', choices=FORMATS, default='text', help='of what is printed')
    parser.add_argument('--out', type=Path, help='folder for the table in every format')
    return parser.parse_args()


def main() -> None:
    """Evaluate and print."""
    args = parse_args()
    names = names_from(args)
    predictions = predictions_from(args, args.predictions)
    if names.chosen or names.table is not None:
        predictions = name_patients(predictions, names)
    groups = None
    if args.group:
        groups = group_of(predictions, args.group, args.group_table or args.predictions)
    predictions = find_recalibration(predictions, args.recalibration)
    thresholds = find_thresholds(predictions, args.thresholds)
    if args.diagnosis != 'none' and predictions.schema.diagnosis:
        say_names(predictions.filenames, names, OWN_EYE)
    evaluation = evaluate(
        predictions,
        bootstrap=args.bootstrap,
        by=args.by,
        mode=args.mode,
        seed=args.seed,
        method=args.method,
        thresholds=thresholds,
        consistent=args.consistent,
        groups=groups,
        diagnosis='' if args.diagnosis == 'none' else args.diagnosis,
        progress=Progress('bootstrap replicates'),
        names=names,
        simultaneous=args.simultaneous,
        prevalence=read_prevalences(args.prevalence, predictions.schema),
    )
    print(evaluation.table(args.format))
    if args.out:
        write_tables(args.out, f'{args.predictions.stem}.evaluation', evaluation.table)


if __name__ == '__main__':
    run(main)
