r"""Measure how well heat maps find synthetic lesions, beside the mean training mask.

For every class with lesion masks, on the pictures that have it: pointing game (share of maps
whose maximum lies in the lesion) and energy (share of the heat inside), means with 95 % intervals
by patient; the paired difference to the class's mean training mask; with --curves the areas under
deletion and insertion curves. Baselines: mean training mask, centre, noise, and each method's map
of another class (the next with masks), which shows how much is the class and not any lesion.

Example:
    python tools/benchmarks/localisation.py model.pth data/synthetic --method gradcam++ attention
"""

import argparse
from pathlib import Path

from realmnet.cli import run
from realmnet.deployment.trained_model import TrainedModel, split_arguments
from realmnet.evaluation.tables import FORMATS, lay_out
from realmnet.explain.benchmark import localise
from realmnet.explain.methods import METHODS, Explainer
from realmnet.progress import Progress


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='as in explain.py: one file, or CONFIG CHECKPOINT')
    parser.add_argument('root', nargs='+', help='folder of a synthetic data set')
    parser.add_argument('--train-root', type=Path, help='the synthetic data set whose training '
                        'masks are the baseline (root)')  # fmt: skip
    parser.add_argument('--split', choices=('val', 'test'), default='test')
    parser.add_argument('--method', nargs='+', default=['gradcam++', 'attention'],
                        help=', '.join(METHODS))  # fmt: skip
    parser.add_argument('--stride', nargs='+', type=int, help='as in explain.py')
    parser.add_argument('--views', type=int, choices=(1, 8), help='as in explain.py')
    parser.add_argument('--classes', nargs='+', help='those that mean the disease')
    parser.add_argument('--tolerance', type=float, default=0.0, help='of the pointing game, pixels')
    parser.add_argument('--curves', action='store_true', help='deletion and insertion too')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--format', choices=FORMATS, default='text')
    args = parser.parse_args()
    args.files, rest = split_arguments([args.model, *args.root])
    if len(rest) != 1:
        parser.error(f'expected the folder of one synthetic data set after the model, got {rest}')
    args.root = Path(rest[0])
    return args


def main() -> None:
    args = parse_args()
    trained = TrainedModel(*args.files, device=args.device)
    names = trained.description.explain_layers
    explainers = {
        m: Explainer(trained.model, m, args.stride, args.views, names) for m in args.method
    }
    result = localise(
        trained, explainers, args.root, args.train_root or args.root, args.split, args.classes,
        tolerance=args.tolerance, curves=args.curves, progress=Progress('pictures'),
    )  # fmt: skip
    print(f'synthetic pictures of {args.root}, split {args.split}; 95 % intervals by patient')
    for title, table in result.tables().items():
        print(f'\n{title}\n{lay_out(*table, args.format)}')


if __name__ == '__main__':
    run(main)
