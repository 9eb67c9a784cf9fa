"""Which checkpoint a training goes on from, and which files in it are the training's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from realmnet.engine.checkpoint_io import CheckpointError, peek_checkpoint, read_checkpoint
from realmnet.engine.finite import not_finite

#: The file of a work folder that names its newest checkpoint.
POINTER = 'last_checkpoint'
# What a checkpoint needs to be resumed from.
_NEEDED = ('meta', 'message_hub', 'optimizer')


@dataclass
class Found:
    """What :func:`newest_checkpoint` found.

    Attributes:
        path: The newest valid checkpoint; None if there is no checkpoint at all.
        epoch: Epochs that it was trained for.
        iteration: Its number of steps.
        passed_over: Why others were not taken, one sentence each.
    """

    path: Path | None = None
    epoch: int = 0
    iteration: int = 0
    passed_over: list[str] = field(default_factory=list)


def newest_checkpoint(folders: Iterable[Path]) -> Found:
    """Return the newest checkpoint that a training can go on from.

    The epoch and the step inside a file say which is newest, not its name, its date or what
    ``last_checkpoint`` says. Damaged files, and files with weights that are not finite, are passed
    over; the best checkpoints (without optimizer) and packed models are no candidates.

    Args:
        folders: Work folders; checkpoints lie in them or in the folders of their runs.

    Raises:
        CheckpointError: If checkpoints are there but none can be gone on from.
    """
    found, candidates = Found(), []
    unfit = []
    for path in sorted({p for folder in folders for p in _checkpoints(folder)}):
        try:
            content = peek_checkpoint(path)
        except CheckpointError as error:
            found.passed_over.append(str(error))
            continue
        if all(key in content for key in _NEEDED):
            candidates.append((*position(content, path), path.stat().st_mtime_ns, path))
        elif 'message_hub' in content:
            unfit.append(path)
    for epoch, iteration, _, path in sorted(candidates, reverse=True):
        try:
            check_resumable(read_checkpoint(path), path)
        except CheckpointError as error:
            found.passed_over.append(str(error))
        else:
            found.path, found.epoch, found.iteration = path, epoch, iteration
            return found
    if found.passed_over or unfit:
        reasons = [*found.passed_over, *(f'{p} has no optimizer state.' for p in unfit)]
        raise CheckpointError(
            f'{" and ".join(map(str, folders))}: checkpoints are there, but none can be resumed '
            f'from; delete them, or name another --work-dir, to start at the beginning: '
            f'{" ".join(reasons[:5])}'
        )
    return found


def check_resumable(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Refuse a checkpoint that a training cannot go on from.

    Raises:
        CheckpointError: If it holds weights only, its numbers are not finite, or its count of
            epochs is none.
    """
    lacking = [key for key in _NEEDED if key not in checkpoint]
    if lacking:
        raise CheckpointError(
            f'{path} cannot be resumed from, it has no {", ".join(lacking)}: start a new '
            'training from it with load_from instead.'
        )
    position(checkpoint, path)
    name = not_finite(checkpoint)
    if name:
        raise CheckpointError(
            f'{path} cannot be resumed from: {name} is not finite, as after a training that '
            'diverged; take an earlier checkpoint.'
        )


def position(checkpoint: Mapping[str, Any], path: str | Path) -> tuple[int, int]:
    """Return the epochs and steps that a checkpoint was trained for.

    Raises:
        CheckpointError: If they are no numbers.
    """
    meta = checkpoint['meta']
    values = [meta.get(key) for key in ('epoch', 'iter')] if isinstance(meta, Mapping) else []
    if len(values) != 2 or not all(type(value) is int and value >= 0 for value in values):
        raise CheckpointError(
            f'{path} cannot be resumed from: it does not say after which epoch and step it was '
            'saved; start a new training from it with load_from instead.'
        )
    return values[0], values[1]


def read_pointer(work_dir: Path) -> str | None:
    """Return what ``last_checkpoint`` says; None without the file."""
    try:
        return (work_dir / POINTER).read_text('utf-8', 'replace').strip()
    except FileNotFoundError:
        return None


def about_pointer(work_dir: Path, path: Path) -> str:
    """Say how ``last_checkpoint`` agrees with the checkpoint that was found."""
    named = read_pointer(work_dir)
    if named is None:
        return f'{POINTER} is missing'
    if not named:
        return f'{POINTER} is empty'
    if Path(named).name == path.name and _same_file(Path(named), path):
        return f'{POINTER} names it, too'
    gone = '' if _is_file(Path(named)) else ', which is not there'
    return f'{POINTER} names {named}{gone}'


def own_file(stored: Any, root: Path, pattern: str) -> Path | None:
    """Return the file of this training's folder that a checkpoint names; None for any other.

    Checkpoints name files relative to the folder. Older ones hold absolute paths; of such a path
    the last two parts count (the run's folder and the name), so that a folder that was moved or
    copied keeps its own files and lets go of those in the old place.

    Args:
        stored: What the checkpoint says.
        root: The folder of all runs of this training.
        pattern: Regular expression of the file's whole name.

    Returns:
        The path below ``root``, of a file that exists and to which no link leads.

    Example:
        >>> own_file('/etc/passwd', Path('/work_dirs/a'), r'epoch_[0-9]+[.]pth') is None
        True
    """
    if not isinstance(stored, str) or '\0' in stored:
        return None
    parts = [part for part in re.split(r'[\\/]+', stored) if part not in ('', '.')][-2:]
    if not parts or '..' in parts or not re.fullmatch(pattern, parts[-1]):
        return None
    path = root.joinpath(*parts)
    own = _is_file(path) and not path.is_symlink() and path.parent.resolve().is_relative_to(
        root.resolve()
    )  # fmt: skip
    return path if own else None


def _checkpoints(folder: Path) -> list[Path]:
    found = [*folder.glob('*.pth'), *folder.glob('*/*.pth')]
    return [path for path in found if not path.name.startswith('.') and path.is_file()]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _same_file(one: Path, other: Path) -> bool:
    return _is_file(one) and one.samefile(other)
