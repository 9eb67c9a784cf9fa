"""Show a table or figure of the paper: ours with interval, the published number, the difference."""

import argparse
from pathlib import Path

from tqdm import tqdm

from realmnet.cli import run
from realmnet.errors import InputError
from realmnet.experiments.report import Results, make_section, sweep_item
from realmnet.experiments.sweep import read_sweep
from realmnet.reporting.page import write_page
from realmnet.reporting.paper import PAPER, find_item

EXAMPLE = """example:
  python tools/report.py A7
  python tools/report.py fig-3 --work-dirs /results/sweeps
  python tools/report.py configs/ablations/mine.py --work-dirs work_dirs/quick
  python tools/report.py all --data-root data/PSMM

Tables are printed as Markdown and written as .md, .csv and .tex, figures as .pdf and .png, and
all together as report.html and report.md. Results are what tools/sweep.py left; what has not run
is named with its command. Numbers on synthetic pictures are marked as such.
"""


WORK_DIRS = [Path('work_dirs/sweeps')]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('ids', nargs='+', metavar='ID', help=f'{", ".join(PAPER)}; all; or a '
                        'sweep file')  # fmt: skip
    parser.add_argument('--work-dirs', nargs='+', type=Path, default=WORK_DIRS,
                        metavar='DIR', help='folders of results (work_dirs/sweeps)')  # fmt: skip
    parser.add_argument('--data-root', type=Path, default=Path('data/PSMM'),
                        help='label files and pictures (data/PSMM)')  # fmt: skip
    parser.add_argument('--people', type=Path, metavar='CSV', help='ID, age, sex, for fig-A2')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/report'), help='folder to '
                        'write to (work_dirs/report)')  # fmt: skip
    parser.add_argument('--bootstrap', type=int, default=1000, metavar='B',
                        help='replicates of the intervals (1000)')  # fmt: skip
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    absent = [folder for folder in args.work_dirs if not folder.is_dir()]
    if absent and args.work_dirs != WORK_DIRS:
        raise InputError(f'--work-dirs {absent[0]}: no such folder')
    results = Results(args.work_dirs, args.data_root, args.people, args.bootstrap)
    items = []
    for name in args.ids:
        if name == 'all':
            items += PAPER.values()
        elif name.endswith('.py'):
            items.append(sweep_item(read_sweep(Path(name))))
        else:
            items.append(find_item(name))
    bar = tqdm(items, 'tables and figures', disable=len(items) == 1)
    sections = [make_section(item, results, args.out) for item in bar]
    if len(sections) > 1:
        lead = ['The tables and figures of the paper, from the results that exist.']
    else:
        lead = [sections[0].title]
    pages = write_page(args.out, 'RealMNet: ours beside the published results', lead, sections)
    if args.ids == ['all']:
        for section in sections:
            mark = 'SYNTHETIC: ' if section.synthetic else ''
            print(f'{section.id:<8}{mark}{section.state}')
    else:
        for section in sections:
            print(*(f'{note}\n' for note in section.notes), sep='\n', end='')
            print(*(table.to_markdown() for table in section.tables), sep='\n', end='')
            print(f'\n{section.title}: {section.state}')
    print(f'written: {pages[0]}, {pages[1]}, and every table and figure in {args.out}')


if __name__ == '__main__':
    run(main)
