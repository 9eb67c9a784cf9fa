"""What a run leaves beside its checkpoints: a record of what it was and how far it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mmengine.config import Config

from realmnet.curation.outputs import write_whole
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


def plain(cfg: Config) -> dict[str, Any]:
    """Return a config as JSON data: tuples become lists, what JSON lacks becomes its text."""
    return json.loads(json.dumps(cfg.to_dict(), default=str))


def first_difference(old: Any, new: Any, key: str = '') -> str:
    """Say where two plain configs differ first; empty where they are equal.

    Example:
        >>> first_difference({'a': {'b': 1}}, {'a': {'b': 2}})
        'a.b: 1 there, 2 now'
    """
    return next(_differences(old, new, key), '')


def _differences(old: Any, new: Any, key: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            inner = f'{key}.{name}' if key else name
            yield from _differences(old.get(name, 'nothing'), new.get(name, 'nothing'), inner)
    elif old != new:
        yield f'{key}: {_short(old)} there, {_short(new)} now'


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def last_checkpoint(folder: Path) -> tuple[Path | None, int]:
    """Return the newest checkpoint below a run's folder and its epoch (None, 0 without one).

    ``last_checkpoint`` holds a path that moving the folder makes stale: only its name counts.
    """
    pointer = folder / 'last_checkpoint'
    if not pointer.is_file():
        return None, 0
    name = Path(pointer.read_text(encoding='utf-8').strip()).name
    found = sorted(folder.glob(f'*/{name}'))
    epoch = re.fullmatch(r'epoch_(\d+)\.pth', name)
    return (found[-1], int(epoch[1])) if found and epoch else (None, 0)
