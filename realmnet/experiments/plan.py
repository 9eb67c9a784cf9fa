"""Everything that is checked before the first run of a sweep starts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from realmnet.curation.synthetic import is_synthetic
from realmnet.engine.config import datasets
from realmnet.errors import InputError
from realmnet.experiments.quick import run_config
from realmnet.experiments.record import (
    Record,
    first_difference,
    last_checkpoint,
    plain,
    read_record,
    tested,
)
from realmnet.experiments.sweep import Cell, Sweep, cell_config, write_cell
from realmnet.models.complexity import build_without_memory


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
    def done(self) -> bool:
        """Whether it is trained and every list is tested."""
        finished = len(tested(self.record, self.folder, self.tests)) == len(self.tests)
        return self.record.state == 'done' and finished

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
    if 'randomness.seed' in (options or {}):
        raise InputError('randomness.seed would be that of all runs; use --seeds')
    for cell in sweep.cells:
        for seed in sweep.seeds:
            cfg = cell_config(cell)
            cfg.randomness.seed = seed
            cfg, _ = run_config(cfg, options or {}, quick)
            folder = root / cell.folder / f'seed-{seed}'
            record = _record(sweep, cell, seed, cfg, folder)
            path = folder.with_suffix('.py')
            tests = cell.tests or {sweep.split: _own_list(sweep, cell, cfg)}
            runs.append(Run(cell, seed, path, folder, tests, cfg.train_cfg.max_epochs, record))
        _check_model(cell, cfg)
    for run in runs:
        write_cell(sweep, run.cell, run.seed, run.config)
    return runs


def same_cells(runs: Sequence[Run]) -> list[list[str]]:
    """Return the names of cells whose configs do not differ, as quick mode makes some."""
    groups: dict[str, list[str]] = {}
    for run in runs:
        content = json.dumps([run.seed, run.record.config, dict(run.tests)], sort_keys=True)
        groups.setdefault(content, []).append(run.cell.name)
    return [names for names in groups.values() if len(names) > 1]


def missing_lists(runs: Sequence[Run]) -> list[tuple[Run, str]]:
    """Return the label files that runs need and that do not exist, each with its first run."""
    missing: dict[Path, tuple[Run, str]] = {}
    for run in runs:
        cfg = Config(run.record.config)
        files = [dataset.ann_file for dataset in datasets(cfg, ('train', 'val'))]
        for name in [*files, *run.tests.values()]:
            path = Path(data_root(cfg), name)
            if not path.is_file():
                missing.setdefault(path, (run, name))
    return list(missing.values())


def check_files(sweep: Sweep, runs: Sequence[Run]) -> None:
    """Check that the label files and the weights of all runs are there.

    Raises:
        InputError: Naming the first one that is missing and what makes it.
    """
    for run in runs:
        for key in ('pretrained', 'load_from'):
            source = run.record.config.get(key)
            if source and '://' not in source and not Path(source).is_file():
                raise InputError(
                    f'cell {run.cell.name!r}: {key}={source!r} does not exist; put the '
                    f'checkpoint there, or see the comment in {run.cell.base}'
                )
    for run, name in missing_lists(runs):
        root = data_root(Config(run.record.config))
        commands = [words for words, makes in prepare_commands(sweep, root) if name in makes]
        remedy = 'see data/README.md'
        if not Path(root).is_dir():
            remedy = f'{root} is not there; see data/README.md, or pass --cfg-options data_root=DIR'
        elif commands:
            remedy = f'make it with: {shlex.join(["python", *commands[0]])}'
        raise InputError(f'cell {run.cell.name!r}: {Path(root, name)} does not exist; {remedy}')


def data_root(cfg: Config) -> str:
    """Return the folder that the training pictures and lists are in."""
    return next(iter(datasets(cfg, ['train']))).get('data_root') or cfg.get('data_root', '')


def prepare_commands(sweep: Sweep, root: str) -> list[tuple[list[str], list[str]]]:
    """Return the commands of ``prepare``, the data root filled in, with what each makes."""
    return [
        ([word.replace('{data_root}', root) for word in step['command']], list(step['makes']))
        for step in sweep.prepare
    ]


def _own_list(sweep: Sweep, cell: Cell, cfg: Config) -> str:
    for dataset in datasets(cfg, [sweep.split]):
        return dataset.ann_file
    raise InputError(
        f'cell {cell.name!r}: {cell.base} has no {sweep.split} split, on which {sweep.path} '
        "compares; name another `split`, or the cell's `tests`"
    )


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
    synthetic = is_synthetic(data_root(cfg))
    return Record(sweep.name, cell.name, seed, config, quick=cfg.get('quick') is True,
                  synthetic=synthetic)  # fmt: skip


def _check_model(cell: Cell, cfg: Config) -> None:
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    try:
        build_without_memory(deepcopy(cfg.model))
    except Exception as error:
        # Whatever a constructor objects to, it is the cell that has to change.
        raise InputError(f'cell {cell.name!r}: its model cannot be built ({error})') from error
