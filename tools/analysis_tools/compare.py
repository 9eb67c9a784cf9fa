"""Compare models on the same images: differences with intervals and p-values."""

import argparse
from functools import partial
from pathlib import Path

from realmnet.cli import run
from realmnet.curation.synthetic_marks import MARK
from realmnet.evaluation.comparison import compare
from realmnet.evaluation.prediction_options import add_prediction_options, predictions_from
from realmnet.evaluation.recalibration import find_recalibration
from realmnet.evaluation.tables import FORMATS, lay_out, marked_rows, write_tables
from realmnet.evaluation.thresholds import DEFAULT, find_thresholds, threshold_note
from realmnet.progress import Progress

EXAMPLE = """example:
  python tools/analysis_tools/compare.py realmnet.csv swin.csv convnext.csv --by patient

The first file is compared with each of the others. p is from the paired bootstrap, and for
class-wise AUROC also from DeLong's test (Obuchowski's where patients have several images); rows
"decisions" are McNemar's test on right and wrong decisions. p_holm (and p_bh) is corrected over all
metrics and classes of the same kind of test.
"""
HEADER = ('metric', 'first', 'second', 'difference', 'low', 'high', 'p', 'p_holm', 'test', 'remark')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('predictions', type=Path, nargs='+', help='two or more files')
    parser.add_argument('--bootstrap', type=int, default=1000, metavar='B', help='replicates')
    parser.add_argument('--by', choices=('patient', 'image'), default='patient')
    parser.add_argument('--mode', choices=('sound', 'published', 'both'), default='sound',
                        help="published: the paper's t-test between replicates")  # fmt: skip
    parser.add_argument('--metrics', nargs='+', help='such as F1 AUROC_A4; default: F1, mAP, '
                        'AUROC, coverage, ranking, hamming; F1, AP, AUROC by class')  # fmt: skip
    parser.add_argument(
        '--simultaneous',
        action='store_true',
        help='bootstrap intervals that hold all together (max-t), not each by itself',
    )
    parser.add_argument(
        '--bh', action='store_true', help="a column of Benjamini and Hochberg's correction, too"
    )
    parser.add_argument('--thresholds', type=Path, nargs='+',
                        help='a file of choose_thresholds.py for each predictions file; default: '
                        'the one beside the checkpoint that a .json names, else .5')  # fmt: skip
    add_prediction_options(parser)
    parser.add_argument('--seed', type=int, default=42)
    parser.add_argument('--format', choices=FORMATS, default='text', help='of what is printed')
    parser.add_argument('--out', type=Path, help='folder for the tables in every format')
    args = parser.parse_args()
    if len(args.predictions) < 2:
        parser.error('name two predictions files or more')
    if args.thresholds and len(args.thresholds) != len(args.predictions):
        parser.error('give one thresholds file for each predictions file, or none')
    return args


def main() -> None:
    """Compare and print."""
    args = parse_args()
    sets = [find_recalibration(predictions_from(args, path)) for path in args.predictions]
    files = args.thresholds or [None] * len(sets)
    chosen = [find_thresholds(p, path) for p, path in zip(sets, files, strict=True)]
    cuts = [c.values if c else DEFAULT for c in chosen]
    modes = ('sound', 'published') if args.mode == 'both' else (args.mode,)
    place = HEADER.index('p_holm') + 1
    columns = (*HEADER[:place], 'p_bh', *HEADER[place:]) if args.bh else HEADER
    written = set()
    for number in range(1, len(sets)):
        names = (str(args.predictions[0]), str(args.predictions[number]))
        rows = [
            [getattr(row, name) for name in columns]
            for mode in modes
            for row in compare(
                sets[0],
                sets[number],
                args.bootstrap,
                args.by,
                mode,
                args.metrics,
                (cuts[0], cuts[number]),
                args.seed,
                names,
                Progress('bootstrap replicates'),
                args.simultaneous,
            )
        ]
        header = list(columns)
        if not any(row[-1] for row in rows):
            header, rows = header[:-1], [row[:-1] for row in rows]
        synthetic = sets[0].synthetic or sets[number].synthetic
        header, rows = marked_rows(header, rows, synthetic)
        if args.format in ('text', 'markdown'):
            if synthetic:
                print(f'{MARK}\n')
            print(f'{names[0]} (first) and {names[1]} (second), {len(sets[0])} images\n')
        print(lay_out(header, rows, args.format))
        if args.format in ('text', 'markdown'):
            for name, thresholds in zip(names, (chosen[0], chosen[number]), strict=True):
                if thresholds:
                    print(f'\n{name}: {threshold_note(thresholds)}')
            if args.simultaneous and args.mode != 'published':
                print('\nIntervals of the bootstrap rows hold all together (95 %, max-t).')
            if args.bh:
                print('\np_holm, p_bh: family of all metrics and classes of a kind of test.')
        if args.out:
            stem = f'{args.predictions[0].stem}_vs_{args.predictions[number].stem}'
            stem += f'_{number}' if stem in written else ''  # run_1/test.csv, run_2/test.csv
            written.add(stem)
            write_tables(args.out, stem, partial(lay_out, header, rows))


if __name__ == '__main__':
    run(main)
