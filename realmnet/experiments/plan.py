"""Everything that is checked before the first run of a sweep starts."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from realmnet.engine.config import apply_options, datasets, load_config
from realmnet.errors import InputError
from realmnet.experiments.quick import make_quick
from realmnet.experiments.record import (
    Record,
    first_difference,
    last_checkpoint,
    plain,
    read_record,
)
from realmnet.experiments.sweep import Cell, Sweep, cell_config, write_cell
from realmnet.models.complexity import build_without_memory

SYNTHETIC = 'synthetic.json'


@dataclass
class Run:
    """One cell with one seed.

    Attributes:
        cell: Of the sweep.
        seed: Of the run.
        config: The cell's config file.
        folder: Where results go.
        tests: Name of each test list to the label file.
        epochs: Of the training.
        record: What is known of it.
    """

    cell: Cell
    seed: int
    config: Path
    folder: Path
    tests: Mapping[str, str]
    epochs: int
    record: Record

    @property
    def name(self) -> str:
        """Cell and seed."""
        return f'{self.cell.name}, seed {self.seed}'

    @property
    def epoch(self) -> int:
        """Epochs that are trained."""
        return last_checkpoint(self.folder)[1]


def plan_runs(
    sweep: Sweep,
    root: Path,
    options: Mapping | None = None,
    quick: bool = False,
) -> list[Run]:
    """Write the configs of all runs below ``root`` and check that all of them can start.

    Args:
        sweep: What to run.
        root: Folder of the results; each run gets ``<cell>/seed-<n>`` and ``<cell>/seed-<n>.py``.
        options: ``--cfg-options`` of all runs.
        quick: Shrink every config, see :mod:`realmnet.experiments.quick`.

    Returns:
        The runs, finished ones included.

    Raises:
        InputError: With the cell and the remedy, if a config cannot be made or built, a label
            file is missing, or a folder holds results of another config.
    """
    runs = []
    for cell in sweep.cells:
        cell_config(cell)  # checks keys and types
        for seed in sweep.seeds:
            folder = root / cell.folder / f'seed-{seed}'
            path = folder.with_suffix('.py')
            write_cell(sweep, cell, seed, path)
            cfg = load_config(str(path))
            if quick:
                cfg = make_quick(cfg)
            apply_options(cfg, options or {})
            record = _record(sweep, cell, seed, cfg, folder)
            tests = cell.tests or {sweep.split: _own_list(sweep, cell, cfg)}
            runs.append(Run(cell, seed, path, folder, tests, cfg.train_cfg.max_epochs, record))
        _check_model(cell, cfg)
    return runs


def missing_list(runs: Sequence[Run]) -> tuple[Run, str] | None:
    """Return the first label file that a run needs and that does not exist."""
    for run in runs:
        cfg = Config(run.record.config)
        files = [dataset.ann_file for dataset in datasets(cfg, ('train', 'val'))]
        for name in [*files, *run.tests.values()]:
            if not Path(data_root(cfg), name).is_file():
                return run, name
    return None


def check_lists(sweep: Sweep, runs: Sequence[Run]) -> None:
    """Check that the label files of all runs are there.

    Raises:
        InputError: Naming the first one that is missing and the command that makes it.
    """
    missing = missing_list(runs)
    if missing:
        run, name = missing
        root = data_root(Config(run.record.config))
        command = _command_for(sweep, name, root)
        raise InputError(
            f'cell {run.cell.name!r}: {Path(root, name)} does not exist; '
            + (f'make it with: {command}' if command else 'see data/README.md')
        )


def data_root(cfg: Config) -> str:
    """Return the folder that the training pictures and lists are in."""
    return next(iter(datasets(cfg, ['train']))).get('data_root') or cfg.get('data_root', '')


def prepare_commands(sweep: Sweep, root: str) -> list[list[str]]:
    """Return the commands of ``prepare`` with the data root filled in."""
    return [[part.replace('{data_root}', root) for part in command] for command in sweep.prepare]


def _own_list(sweep: Sweep, cell: Cell, cfg: Config) -> str:
    for dataset in datasets(cfg, [sweep.split]):
        return dataset.ann_file
    raise InputError(
        f'cell {cell.name!r}: {cell.base} has no {sweep.split} split, on which {sweep.path} '
        "compares; name another `split`, or the cell's `tests`"
    )


def _command_for(sweep: Sweep, name: str, root: str) -> str:
    """Find the command of ``prepare`` whose words are nearest to a missing file."""
    commands = [shlex.join(['python', *words]) for words in prepare_commands(sweep, root)]
    exact = [command for command in commands if name in command]
    return (exact or difflib.get_close_matches(name, commands, 1, 0) or [''])[0]


def _record(sweep: Sweep, cell: Cell, seed: int, cfg: Config, folder: Path) -> Record:
    config = plain(cfg)
    old = read_record(folder)
    if old is not None:
        difference = first_difference(old.config, config)
        if difference:
            raise InputError(
                f'{folder} holds results of another config ({difference}); delete the folder, or '
                'name another --work-dir'
            )
        return old
    if last_checkpoint(folder)[0] is not None:
        raise InputError(
            f'{folder} holds checkpoints of something else (no record.json); delete it, or name '
            'another --work-dir'
        )
    synthetic = Path(data_root(cfg), SYNTHETIC).is_file()
    return Record(sweep.name, cell.name, seed, config, quick=bool(cfg.get('quick')),
                  synthetic=synthetic)  # fmt: skip


def _check_model(cell: Cell, cfg: Config) -> None:
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    try:
        build_without_memory(deepcopy(cfg.model))
    except Exception as error:
        # Whatever a constructor objects to, it is the cell that has to change.
        raise InputError(f'cell {cell.name!r}: its model cannot be built ({error})') from error
