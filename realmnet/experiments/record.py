"""What a run leaves beside its checkpoints: a record of what it was and how far it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from realmnet.curation.outputs import write_whole
from realmnet.engine.run_record import first_difference as first_difference
from realmnet.engine.run_record import plain as plain
from realmnet.errors import InputError

State = Literal['started', 'failed', 'done']
FILE = 'record.json'


@dataclass
class Record:
    """One run of one cell.

    Attributes:
        sweep: Name of the sweep.
        cell: Name of the cell.
        seed: Of the run.
        config: The complete config as plain data.
        state: ``started`` is also what a run that was cut leaves.
        quick: Small pictures, two epochs.
        synthetic: The data root held a synthetic PSMM.
        tests: Name of each list that was tested to its label file; the predictions are in
            ``<name>.csv``.
        checkpoint: What was tested, relative to the folder.
        seconds: From the start to the end of the last session.
        problem: Why it failed.
    """

    sweep: str
    cell: str
    seed: int
    config: dict[str, Any]
    state: State = 'started'
    quick: bool = False
    synthetic: bool = False
    tests: dict[str, str] = field(default_factory=dict)
    checkpoint: str = ''
    seconds: float = 0.0
    problem: str = ''

    def write(self, folder: Path) -> None:
        """Write the record whole."""
        write_whole(folder / FILE, json.dumps(asdict(self), indent=1) + '\n')


def tested(record: Record, folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Return the lists of ``wanted`` (name to label file) that have their predictions."""
    return [
        name
        for name, labels in wanted.items()
        if record.tests.get(name) == labels and predictions_file(folder, name).is_file()
    ]


def predictions_file(folder: Path, name: str) -> Path:
    """Where the predictions of a list are."""
    return folder / f'{name}.csv'


def read_record(folder: Path) -> Record | None:
    """Read the record of a folder; None where there is none.

    Raises:
        InputError: If the file is no record.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Record(**json.loads(path.read_text(encoding='utf-8')))
    except (ValueError, TypeError) as error:
        raise InputError(f'{path}: not a record of tools/sweep.py ({error}); delete it') from None


def last_checkpoint(folder: Path) -> tuple[Path | None, int]:
    """Return the newest checkpoint below a run's folder and its epoch (None, 0 without one).

    Names are looked at, not contents: this is asked every second. Which file a training goes on
    from is chosen by :func:`realmnet.engine.resume.newest_checkpoint`.
    """
    found = [
        (int(match[1]), path)
        for path in folder.glob('*/epoch_*.pth')
        if (match := re.fullmatch(r'epoch_([0-9]+)[.]pth', path.name))
    ]
    epoch, path = max(found, default=(0, None))
    return path, epoch
