"""From the folders that a sweep left to what tables and figures are made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from realmnet.errors import InputError
from realmnet.evaluation.predictions import Predictions, read_predictions
from realmnet.experiments.record import (
    Record,
    last_checkpoint,
    predictions_file,
    read_record,
    tested,
)
from realmnet.experiments.sweep import Cell, Sweep
from realmnet.reporting.measured import TRIAL
from realmnet.reporting.outcome import Outcome
from realmnet.reporting.published import ABLATIONS, ablation_cell


def collect(sweep: Sweep, roots: Sequence[Path]) -> list[Outcome]:
    """Gather what the cells of a sweep gave.

    Args:
        sweep: The sweep.
        roots: Folders to look in: results of the sweep, or a folder of such folders; the first
            that holds something of the sweep counts.

    Returns:
        An outcome a cell, in the order of the sweep, those that never ran included.

    Raises:
        InputError: If real, synthetic and quick results are mixed.

    Example:
        >>> outcomes = collect(read_sweep('configs/ablations/a7_two_way.py'),
        ...                    [Path('work_dirs/sweeps')])              # doctest: +SKIP
    """
    root = find_results(sweep, roots)
    found = [
        [(folder, read_record(folder)) for folder in sorted((root / cell.folder).glob('seed-*/'))]
        if root
        else []
        for cell in sweep.cells
    ]
    kinds = {_kind(record) for runs in found for _, record in runs if record is not None}
    if len(kinds) > 1:
        raise InputError(
            f'{root} mixes results of {" and ".join(k or "real data" for k in sorted(kinds))}; '
            'keep them in folders of their own'
        )
    seeds = {record.seed for runs in found for _, record in runs if record is not None}
    if len(sweep.seeds) > 1 or not seeds:
        seeds |= set(sweep.seeds)
    return [
        _outcome(sweep, cell, runs, sorted(seeds))
        for cell, runs in zip(sweep.cells, found, strict=True)
    ]


def find_results(sweep: Sweep, roots: Sequence[Path]) -> Path | None:
    """Return the folder of a sweep's results among ``roots`` and their subfolders of its name."""
    for root in roots:
        for folder in (root / sweep.name, root):
            if any((folder / cell.folder).is_dir() for cell in sweep.cells):
                return folder
    return None


def find_run(sweep: Sweep, name: str, roots: Sequence[Path]) -> tuple[Path, Record] | None:
    """Return folder and record of a finished run of a cell, the lowest seed; None without one."""
    root = find_results(sweep, roots)
    (cell,) = [cell for cell in sweep.cells if cell.name == name]
    folders = sorted((root / cell.folder).glob('seed-*/')) if root else []
    for folder in folders:
        record = read_record(folder)
        if record is not None and record.state == 'done':
            return folder, record
    return None


def _outcome(
    sweep: Sweep, cell: Cell, runs: Sequence[tuple[Path, Record | None]], seeds: Sequence[int]
) -> Outcome:
    done = [(folder, record) for folder, record in runs if record and record.state == 'done']
    others = [(folder, record) for folder, record in runs if record and record.state != 'done']
    state = 'done' if done else 'not run'
    if not done and others:
        folder, record = others[0]
        cut = record.state == 'started' or last_checkpoint(folder)[0] is not None
        state = 'failed' if record.state == 'failed' else 'cut' if cut else 'not run'
    states = {record.seed: record.state for _, record in runs if record is not None}
    lacking = [
        f'seed {seed} {"failed" if states.get(seed) == "failed" else "not finished"}'
        for seed in seeds
        if done and states.get(seed) != 'done'
    ]
    published = {}
    if sweep.id in ABLATIONS:
        published = ablation_cell(sweep.id, **cell.settings)
    return Outcome(
        name=cell.name,
        settings=dict(cell.settings),
        published=published,
        runs=[_predictions(folder, record) for folder, record in done],
        state=state,
        chosen=cell.chosen,
        data=_kind((done or others or [(None, None)])[0][1]),
        command=f'python tools/sweep.py {sweep.path} --only {cell.folder}',
        lacking=', '.join(lacking),
    )


def _predictions(folder: Path, record: Record) -> dict[str, Predictions]:
    return {
        name: read_predictions(predictions_file(folder, name))
        for name in tested(record, folder, record.tests)
    }


def _kind(record: Record | None) -> str:
    if record is None:
        return ''
    if record.quick:
        return 'quick' if record.synthetic else TRIAL
    return 'synthetic' if record.synthetic else ''
