"""Count how often 95 % intervals hold the true value, for every method and every class.

Test sets are drawn from a population made of the published label rows (train, val and test) with
simulated scores whose distribution, and so whose true metrics, are known. Example:

    python tools/benchmarks/coverage_study.py --by patient --out work_dirs/coverage_patient.json
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

from realmnet import cli
from realmnet.curation.label_schema import PSMM, schema_of
from realmnet.curation.label_table import read_label_table
from realmnet.errors import InputError
from realmnet.evaluation.clinical_simulation import clinical_coverage
from realmnet.evaluation.decoding import exclusive_groups
from realmnet.evaluation.simulation import Population, coverage
from realmnet.progress import Progress
from realmnet.reporting.published import class_targets

#: Stated prevalences of the clinical numbers: near that of the pictures, and far from it.
_PREVALENCES = {'S1': (0.3, 0.05), 'A3': (0.06, 0.01), 'A4': (0.018, 0.001)}
_FILES = ('test.csv', 'val.csv', 'MYOPIA/MYOPIA.csv')


def main() -> None:
    """Parse, simulate, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--labels', nargs='+', type=Path, help='label files of the population; '
                        'default: those under $REALMNET_TEST_DATA')  # fmt: skip
    parser.add_argument('--by', choices=('image', 'patient'), default='patient')
    parser.add_argument('--units', type=int, help='images (6574) or patients (684) in a set')
    parser.add_argument('--sets', type=int, default=1000)
    parser.add_argument('--bca-sets', type=int, default=200)
    parser.add_argument('--replicates', type=int, default=500)
    parser.add_argument('--shared', type=float, default=0.5, help='share of the score variance '
                        'that pictures of one patient have in common')  # fmt: skip
    parser.add_argument(
        '--clinical',
        action='store_true',
        help='kappa, predictive values, calibration and net benefit instead',
    )
    parser.add_argument('--seed', type=int, default=42)
    parser.add_argument('--out', type=Path, help='write all numbers as JSON')
    args = parser.parse_args()
    paths = args.labels
    if not paths:
        folder = os.environ.get('REALMNET_TEST_DATA')
        if not folder:
            raise InputError('name the label files with --labels, or set REALMNET_TEST_DATA')
        paths = [Path(folder, 'psmm_annotations/ImageSets/Main', name) for name in _FILES]
    tables = [read_label_table(path) for path in paths]
    truth = np.concatenate([table.labels for table in tables])
    patients = np.concatenate([table.patients for table in tables])
    classes = PSMM.classes
    groups = [[classes.index(name) for name in group] for group in exclusive_groups(classes)]
    population = Population(
        truth, patients, classes, class_targets('RealMNet', classes), groups, args.shared
    )
    units = args.units or (6574 if args.by == 'image' else 684)
    if args.clinical:
        _print_clinical(population, args, units)
        return
    names, result = coverage(
        population, args.by, units, args.sets, args.replicates, args.seed, args.bca_sets,
        Progress('simulated test sets'),
    )  # fmt: skip
    images = units if args.by == 'image' else units * len(truth) / len(np.unique(patients))
    positives = dict(zip(classes, truth.mean(0) * images, strict=True))
    methods = list(result)
    print(f'{args.sets} sets of {units} {args.by}s, {args.replicates} replicates; 95 % wanted')
    print(f'{"metric":<14}{"positives":>10}' + ''.join(f'{name:>14}' for name in methods))
    for i, name in enumerate(names):
        number = positives.get(name.rpartition('_')[2])
        cells = ''.join(f'{result[method][0, i]:>14.3f}' for method in methods)
        print(f'{name:<14}{"" if number is None else f"{number:.0f}":>10}{cells}')
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        content = {
            'settings': {k: str(v) for k, v in vars(args).items()},
            'positives': positives,
            'metrics': names,
            'rows': ['held', 'below', 'above', 'width'],
            'methods': {method: values.tolist() for method, values in result.items()},
        }
        args.out.write_text(json.dumps(content, indent=1) + '\n')


def _print_clinical(population: Population, args: argparse.Namespace, units: int) -> None:
    found = clinical_coverage(
        population,
        args.by,
        units,
        schema_of(population.classes).graded,
        _PREVALENCES,
        args.sets,
        args.replicates,
        args.seed,
        Progress('simulated test sets'),
    )
    print(f'{args.sets} sets of {units} {args.by}s, {args.replicates} replicates; 95 % wanted')
    print(f'{"number":<22}{"method":<12}{"held":>8}{"mean width":>12}{"given":>8}')
    for name, values in found.items():
        for method, (held, width, there) in values.items():
            print(f'{name:<22}{method:<12}{held:>8.3f}{width:>12.4f}{there:>8.3f}')


if __name__ == '__main__':
    cli.run(main)
