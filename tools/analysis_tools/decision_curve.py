"""Draw decision curves: the net benefit of acting on a model's scores."""

import argparse
from pathlib import Path

import numpy as np

from realmnet.cli import run
from realmnet.curation.label_schema import DIAGNOSIS_RULES
from realmnet.curation.name_table import add_name_options, names_from, say_names
from realmnet.curation.outputs import write_whole
from realmnet.curation.picture_names import OWN_EYE
from realmnet.errors import InputError
from realmnet.evaluation.decision_curve import curve_rows, decision_curve
from realmnet.evaluation.diagnosis import UNITS, name_patients, pathologic_myopia
from realmnet.evaluation.prediction_options import add_prediction_options, predictions_from
from realmnet.evaluation.predictions import same_images
from realmnet.evaluation.recalibration import find_recalibration
from realmnet.evaluation.tables import lay_out, marked_rows
from realmnet.progress import Progress
from realmnet.reporting.decision_curves import decision_figure
from realmnet.reporting.style import save

EXAMPLE = """examples:
  python tools/analysis_tools/decision_curve.py test.csv --out work_dirs/run/figures
  python tools/analysis_tools/decision_curve.py ours.json swin.json --of A3 A4 --range 0.01 0.3 \\
      --prevalence 0.02 --out figures

writes decision_curve.png and decision_curve.csv. Curves need scores that mean what they say:
recalibrate.py makes them.
"""


def main() -> None:
    """Compute, draw, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('predictions', type=Path, nargs='+', help='one or more files')
    parser.add_argument('--out', type=Path, required=True, help='folder for figure and table')
    parser.add_argument('--of', nargs='+', metavar='CLASS', help='classes; default: the disease')
    parser.add_argument(
        '--unit', nargs='+', choices=UNITS, default=['image', 'patient'], help='of the disease'
    )
    parser.add_argument('--diagnosis', choices=DIAGNOSIS_RULES, help='default: as the schema says')
    parser.add_argument(
        '--range',
        nargs=2,
        type=float,
        default=(0.01, 0.99),
        metavar='PT',
        help='least and greatest threshold probability, in steps of .01',
    )
    parser.add_argument('--prevalence', type=float, help='stated; default: that of the data')
    parser.add_argument('--models', nargs='+', help='names of the models; default: the file names')
    parser.add_argument(
        '--recalibration',
        type=Path,
        nargs='+',
        help='a file of recalibrate.py '
        'for each; default: the one beside the checkpoint that a .json names',
    )
    parser.add_argument('--bootstrap', type=int, default=1000, metavar='B', help='0 for no band')
    parser.add_argument('--by', choices=('patient', 'image'), default='patient')
    add_prediction_options(parser)
    parser.add_argument('--seed', type=int, default=42)
    parser.add_argument('--format', choices=('png', 'pdf', 'svg'), default='png')
    add_name_options(parser)
    args = parser.parse_args()
    titles = args.models or [path.stem for path in args.predictions]
    if len(set(titles)) != len(args.predictions):
        parser.error('give each predictions file its own name with --models')
    files = args.recalibration or [None] * len(args.predictions)
    if len(files) != len(args.predictions):
        parser.error('give one recalibration file for each predictions file, or none')
    low, high = args.range
    if not 0 < low < high < 1:
        raise InputError(f'--range {low:g} {high:g}: expected two rising numbers within (0, 1)')
    step = min(0.01, (high - low) / 20)
    cuts = np.round(np.arange(low, high + step / 2, step), 6)
    names = names_from(args)
    sets = [
        find_recalibration(predictions_from(args, path), file)
        for path, file in zip(args.predictions, files, strict=True)
    ]
    sets = same_images(*sets, names=titles)
    if names.chosen or names.table is not None:
        sets = [name_patients(part, names) for part in sets]
    if not args.of:
        if not sets[0].schema.diagnosis:
            raise InputError('no class is said to mean a disease; say --disease or --of CLASS')
        say_names(sets[0].filenames, names, OWN_EYE)
    settings = dict(
        thresholds=cuts,
        prevalence=args.prevalence,
        bootstrap=args.bootstrap,
        by=args.by,
        seed=args.seed,
        progress=Progress('bootstrap replicates'),
    )
    curves = {}
    for title, part in zip(titles, sets, strict=True):
        subjects = [(part, name, '') for name in args.of or ()]
        if not args.of:
            reduced = [pathologic_myopia(part, u, args.diagnosis, names=names) for u in args.unit]
            subjects = [
                (r, r.classes[0], f'{part.schema.disease} by {u}')
                for r, u in zip(reduced, args.unit, strict=True)
            ]
        curves[title] = [decision_curve(p, of, title=t, **settings) for p, of, t in subjects]
    notes = [str(p.info.get('recalibration_note', 'Scores not recalibrated.')) for p in sets]
    note = (
        notes[0]
        if len(set(notes)) == 1
        else ' '.join(f'{title}: {text}' for title, text in zip(titles, notes, strict=True))
    )
    synthetic = sets[0].synthetic
    figure = decision_figure(curves, sets[0].schema, note, synthetic)
    print(save(figure, args.out / f'decision_curve.{args.format}'))
    header, rows = ['model'], []
    for title, mine in curves.items():
        columns, body = curve_rows(mine)
        header = ['model', *columns]
        rows += [[title, *row] for row in body]
    table = args.out / 'decision_curve.csv'
    write_whole(table, lay_out(*marked_rows(header, rows, synthetic), 'csv') + '\n')
    print(table)


if __name__ == '__main__':
    run(main)
