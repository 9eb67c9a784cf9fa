"""Run every experiment of a table or figure: train and test each cell of a sweep."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from mmengine.config import Config

from realmnet.cli import run
from realmnet.engine.launch import cores
from realmnet.engine.options import KeyValues
from realmnet.errors import InputError
from realmnet.experiments.plan import (
    Run,
    check_files,
    data_root,
    missing_lists,
    plan_runs,
    prepare_commands,
    same_cells,
)
from realmnet.experiments.quick import run_config
from realmnet.experiments.quick_data import QUICK_ROOT, ensure_quick_data, uses_quick_data
from realmnet.experiments.report import Results, item_of, make_section
from realmnet.experiments.runs import ROOT, Machine, Sweeper, train_command
from realmnet.experiments.sweep import Sweep, cell_config, check_seeds, read_sweep
from realmnet.reporting.paper import PAPER

EXAMPLE = """example:
  python tools/sweep.py configs/ablations/a7_two_way.py --gpus 4
  python tools/sweep.py configs/ablations/a7_two_way.py --dry-run
  python tools/sweep.py configs/ablations/a7_two_way.py --quick

Results go to work_dirs/sweeps/<sweep>/<cell>/seed-<n> (with --quick: work_dirs/quick/<sweep>/...).
The same command again skips what is done, resumes what was cut and tries again what failed.
python It ends with the table; tools/report.py shows it again.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('sweep', type=Path, help='sweep file')
    parser.add_argument('--gpus', type=int, default=torch.cuda.device_count(), metavar='N',
                        help='GPUs of this machine to use (all); 0: the CPU')  # fmt: skip
    parser.add_argument('--gpus-per-run', type=int, metavar='N', help='by default the four of the '
                        'published runs, or all where there are fewer')  # fmt: skip
    parser.add_argument('--jobs', type=int, metavar='N', help='runs at once; by default as many as '
                        'the GPUs allow, on the CPU one, with --quick one a core')  # fmt: skip
    parser.add_argument(
        '--slurm', metavar='PARTITION', help='run through SLURM, --jobs at once (8)'
    )
    parser.add_argument('--only', nargs='+', metavar='CELL', help='run these cells')
    parser.add_argument('--seeds', nargs='+', type=int, metavar='SEED',
                        help='instead of those of the sweep')  # fmt: skip
    parser.add_argument('--quick', action='store_true', help='small pictures, synthetic or a few '
                        'of your own, two epochs: shows that all works, not more')  # fmt: skip
    parser.add_argument('--dry-run', action='store_true', help='write the configs of the cells, '
                        'print a command a run, and start none')  # fmt: skip
    parser.add_argument('--work-dir', type=Path, help='folder of the results')
    parser.add_argument('--cfg-options', nargs='+', action=KeyValues, default={}, help='settings '
                        'that override the configs of all cells, key=value')  # fmt: skip
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    sweep = read_sweep(args.sweep)
    if args.seeds:
        sweep = replace(sweep, seeds=check_seeds(args.seeds, '--seeds'))
    if args.only:
        sweep = sweep.only(args.only)
    root = args.work_dir or Path('work_dirs', 'quick' if args.quick else 'sweeps', sweep.name)
    if args.quick and not args.dry_run and reads_quick_data(sweep, args.cfg_options):
        ensure_quick_data()
    runs = plan_runs(sweep, root, args.cfg_options, args.quick)
    if args.slurm:
        machine = Machine(args.gpus_per_run or 4, args.jobs or 8, partition=args.slurm)
    else:
        jobs = args.jobs or (cores() if args.quick and not args.gpus else None)
        machine = Machine.local(args.gpus, args.gpus_per_run, jobs)
    arguments = ['--cfg-options', *KeyValues.words] if KeyValues.words else []
    if args.dry_run:
        for item in runs:
            print(shlex.join(train_command(item, machine, arguments)))
        return
    available = torch.cuda.device_count()
    if not args.slurm and args.gpus > available:
        raise InputError(f'--gpus {args.gpus}: {available} GPU(s) are visible; 0 runs on the CPU')
    if args.quick:
        make_lists(sweep, runs)
        for names in same_cells(runs):
            print(f'note: in quick mode these are the same: {"; ".join(names)}', file=sys.stderr)
    check_files(sweep, runs)
    failed = Sweeper(machine, arguments).run(runs)
    done = sum(item.record.state == 'done' for item in runs)
    print(f'{done} of {len(runs)} runs done in {root}')
    show_table(sweep, root)
    if failed:
        print(f'{len(failed)} failed; the same command tries them again:', file=sys.stderr)
        for item in failed:
            print(f'  {item.name}: {item.record.problem}', file=sys.stderr)
        sys.exit(1)


def reads_quick_data(sweep: Sweep, options: Mapping) -> bool:
    """Whether a cell of a quick sweep reads the synthetic set, which is then drawn."""
    return any(
        uses_quick_data(run_config(cell_config(cell), options, quick=True)[0])
        for cell in sweep.cells
    )


def make_lists(sweep: Sweep, runs: Sequence[Run]) -> None:
    """Make the label files that the sweep needs on the synthetic set and that are missing."""
    missing = {name for _, name in missing_lists(runs)}
    root = data_root(Config(runs[0].record.config))
    if root != QUICK_ROOT:  # nothing is written into a user's own data
        return
    for command, makes in prepare_commands(sweep, root):
        if missing & set(makes):
            words = [sys.executable, str(ROOT / command[0]), *command[1:]]
            result = subprocess.run(words, capture_output=True, text=True, check=False)
            if result.returncode:
                raise InputError(f'{shlex.join(command)} failed: {result.stderr.strip()[-300:]}')


def show_table(sweep: Sweep, root: Path) -> None:
    """Print the table of what ran, averages over test sets included, and the report's command."""
    item = item_of(sweep)
    section = make_section(item, Results([root]), root / 'report')
    print(*(table.to_markdown() for table in section.tables), sep='\n')
    name = item.id if item.id in PAPER else str(sweep.path)
    command = shlex.join(['python', 'tools/report.py', name, '--work-dirs', str(root)])
    print(f'table and figures in {root / "report"}; again: {command}')


if __name__ == '__main__':
    run(main)
