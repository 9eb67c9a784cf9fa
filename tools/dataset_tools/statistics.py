"""Write the paper's tables and figures about the data, each number beside the published one.

    python tools/dataset_tools/statistics.py data/PSMM --out work_dirs/statistics
    python tools/dataset_tools/statistics.py data/PSMM --out work_dirs/statistics \
        --patients ages.csv --source ShenzhenEye

Tables A1, A2, 5, 6 and 7 as Markdown (all together in README.md), CSV and LaTeX; Fig. 2a (images of
each class), 2b (staphyloma and maculopathy together, by source), A1b (samples, where
DATA_ROOT/JPEGImages holds pictures) and A2 (age and sex, from a CSV with ID, age, sex) as PDF and
PNG.
"""

from __future__ import annotations

import sys

if __name__ == 'statistics':
    # This file's folder stands first on sys.path when a tool of the folder runs, so that
    # "import statistics" anywhere finds this file: hand over to the standard library's module.
    import importlib.util
    import sysconfig
    from pathlib import Path

    _standard = Path(sysconfig.get_path('stdlib')) / 'statistics.py'
    _spec = importlib.util.spec_from_file_location('statistics', _standard)
    sys.modules['statistics'] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules['statistics'])


def main() -> None:
    """Compute, draw and write."""
    from realmnet.curation.schema_file import schema_from
    from realmnet.reporting.dataset_report import write_report

    args = _parse_args()
    files = write_report(
        args.data_root, args.out, args.pictures, args.patients, args.source, schema_from(args)
    )
    print((args.out / 'README.md').read_text(encoding='utf-8'), end='')
    print(f'\n{len(files)} files in {args.out}')


def _parse_args():
    import argparse
    from pathlib import Path

    from realmnet.curation.schema_file import add_schema_options

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data_root', type=Path, help='holds ImageSets/Main')
    parser.add_argument('--out', type=Path, required=True, help='folder for the results')
    parser.add_argument('--pictures', type=Path, help='default: DATA_ROOT/JPEGImages')
    parser.add_argument('--patients', type=Path, metavar='CSV', help='ID, age, sex')
    parser.add_argument('--source', help='show age and sex of this source only')
    add_schema_options(parser)
    return parser.parse_args()


if __name__ == '__main__':
    from realmnet.cli import run

    run(main)
