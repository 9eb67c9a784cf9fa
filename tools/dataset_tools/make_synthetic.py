"""Draw a synthetic PSMM: ultra-widefield pictures with labels, splits and lesion masks.

Example:
    python tools/dataset_tools/make_synthetic.py data/synthetic --patients 424 --labels even
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from realmnet.cli import run
from realmnet.curation.synthetic import (
    SyntheticArguments,
    check_output,
    draw_patients,
    make_synthetic,
)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder to make')
    parser.add_argument(
        '--patients', type=int, default=424, help='number of patients (%(default)s)'
    )
    parser.add_argument('--size', type=int, default=128, help='side in pixels (%(default)s)')
    parser.add_argument(
        '--labels',
        choices=('published', 'even'),
        default='published',
        help="joint label distribution: PSMM's, or uniform over its 8 label sets (%(default)s)",
    )
    parser.add_argument('--seed', type=int, default=42, help='seed (%(default)s)')
    parser.add_argument('--workers', type=int, default=1, help='processes (%(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    arguments = SyntheticArguments(args.patients, args.size, args.labels, args.seed)
    if check_output(args.out, arguments):
        print(f'{args.out} is already there with these arguments.')
        return
    patients = draw_patients(args.patients, args.labels, args.seed)
    total = sum(len(patient.pictures) for patient in patients)
    with tqdm(total=total, unit='picture', desc='synthetic PSMM') as bar:
        record = make_synthetic(args.out, arguments, args.workers, bar.update)
    counts = record['counts']
    shares = ', '.join(f'{counts[name]["pictures"]} {name}' for name in ('train', 'val', 'test'))
    print(f'{args.out}: {total} synthetic pictures of {args.patients} patients ({shares}).')


if __name__ == '__main__':
    run(main)
