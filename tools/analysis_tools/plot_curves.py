"""Draw ROC, precision-recall, calibration, confusion matrices, intervals and worst mistakes."""

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.evaluation.evaluate import evaluate
from realmnet.evaluation.prediction_options import add_prediction_options, predictions_from
from realmnet.evaluation.predictions import same_images
from realmnet.evaluation.recalibration import find_recalibration
from realmnet.evaluation.thresholds import find_thresholds
from realmnet.progress import Progress
from realmnet.reporting.confusion import confused_groups, confusion_figure
from realmnet.reporting.curves import calibration_curves, ranking_curves
from realmnet.reporting.mistakes import mistakes_figure
from realmnet.reporting.style import save
from realmnet.reporting.summary import forest_figure

KINDS = ('roc', 'pr', 'calibration', 'confusion', 'forest', 'mistakes')
EXAMPLE = """examples:
  python tools/analysis_tools/plot_curves.py test.csv --out work_dirs/run/figures
  python tools/analysis_tools/plot_curves.py ours.csv swin.csv --names RealMNet Swin --out fig \\
      --kinds roc pr forest
  python tools/analysis_tools/plot_curves.py test.csv --kinds mistakes --images data/JPEGImages \\
      --out figures

Figures of patients' pictures stay where the pictures may be.
"""


def main() -> None:
    """Draw and say where."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('predictions', type=Path, nargs='+', help='one or more files')
    parser.add_argument('--out', type=Path, required=True, help='folder for the figures')
    parser.add_argument('--kinds', nargs='+', choices=KINDS,
                        help='default: all that the files allow')  # fmt: skip
    parser.add_argument('--names', nargs='+', help='of the models; default: the file names')
    parser.add_argument('--images', type=Path, help='picture folder, for mistakes')
    parser.add_argument('--number', type=int, default=12, help='pictures on the sheet of mistakes')
    parser.add_argument('--bootstrap', type=int, default=1000, help='replicates of the forest plot')
    parser.add_argument('--by', choices=('patient', 'image'), default='patient')
    parser.add_argument('--thresholds', type=Path, nargs='+',
                        help='a file of choose_thresholds.py for each predictions file; default: '
                        'the one beside the checkpoint that a .json names, else .5')  # fmt: skip
    add_prediction_options(parser)
    parser.add_argument('--format', choices=('png', 'pdf', 'svg'), default='png')
    args = parser.parse_args()
    names = args.names or [path.stem for path in args.predictions]
    if len(set(names)) != len(args.predictions):
        parser.error('give each predictions file its own name with --names')
    if args.thresholds and len(args.thresholds) != len(args.predictions):
        parser.error('give one thresholds file for each predictions file, or none')
    sets = [find_recalibration(predictions_from(args, path)) for path in args.predictions]
    sets = dict(zip(names, same_images(*sets, names=names), strict=True))
    first = next(iter(sets.values()))
    files = args.thresholds or [None] * len(sets)
    chosen = {
        name: find_thresholds(p, path) for (name, p), path in zip(sets.items(), files, strict=True)
    }
    kinds = args.kinds or [
        kind
        for kind in KINDS
        if (kind != 'confusion' or confused_groups(first)) and (kind != 'mistakes' or args.images)
    ]
    for kind in kinds:
        if kind in ('roc', 'pr'):
            figures = {kind: ranking_curves(sets, kind, chosen)}
        elif kind == 'calibration':
            figures = {kind: calibration_curves(sets)}
        elif kind == 'forest':
            progress = Progress('bootstrap replicates')
            figures = {
                kind: forest_figure(
                    {
                        name: evaluate(
                            p,
                            args.bootstrap,
                            args.by,
                            thresholds=chosen[name],
                            diagnosis='',
                            progress=progress,
                        )
                        for name, p in sets.items()
                    },
                    first.schema,
                )
            }
        elif kind == 'confusion':
            figures = {f'{kind}_{name}': confusion_figure(p) for name, p in sets.items()}
        else:
            figures = {
                f'{kind}_{name}': mistakes_figure(
                    p, args.images or Path(), args.number, thresholds=chosen[name]
                )
                for name, p in sets.items()
            }
        for name, figure in figures.items():
            print(save(figure, args.out / f'{name.replace("/", "_")}.{args.format}'))


if __name__ == '__main__':
    run(main)
