"""What can be known to be wrong with a run's surroundings before it begins."""

from __future__ import annotations

import netrc
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from mmengine.config import Config

from realmnet.errors import InputError

SHARED_MEMORY = Path('/dev/shm')  # noqa: S108 (looked at, not written to)
#: What to do when workers have no room for their batches.
REMEDY = (
    'set train_dataloader.num_workers=0 (and val_, test_dataloader) with --cfg-options, take a '
    'smaller batch_size, or give the container more, docker run --shm-size=8g'
)
_SIZE = 384  # of pictures whose size the config does not say


def check_shared_memory(cfg: Config, loaders: Sequence[str], processes: int = 1) -> None:
    """Check that the batches of dataloader workers fit into ``/dev/shm``.

    Each worker prepares ``prefetch_factor`` batches (2) of ``uint8`` RGB pictures, which it hands
    over through shared memory: batch size x 3 x side^2 bytes each. Docker gives 64 MB.

    Args:
        cfg: The configuration.
        loaders: Which of ``train``, ``val``, ``test`` the run uses.
        processes: Processes on this machine.

    Raises:
        InputError: If the free space is less than that.
    """
    if not SHARED_MEMORY.is_dir():
        return
    free = shutil.disk_usage(SHARED_MEMORY).free
    size = (cfg.model.get('backbone') or {}).get('img_size') or _SIZE
    width, height = (size, size) if isinstance(size, int) else size
    for name in loaders:
        loader = cfg.get(f'{name}_dataloader') or {}
        workers = loader.get('num_workers') or 0
        batches = workers * (loader.get('prefetch_factor') or 2) * processes
        batch = (loader.get('batch_size') or 1) * 3 * width * height
        if batches * batch > free:
            raise InputError(
                f'{SHARED_MEMORY} has {free / 1e6:.1f} MB free, but the {workers} workers of '
                f'{name}_dataloader hand over batches through it, {batches} x {batch / 1e6:.1f} '
                f'MB: {REMEDY}'
            )


def check_curves(cfg: Config) -> None:
    """Check that what ``--with tensorboard`` and ``--with wandb`` need is there; ask nobody.

    Raises:
        InputError: If a package is not installed, or nobody has logged in to Weights & Biases.
    """
    for backend in _backends(cfg):
        kind = str(backend.get('type')).rpartition('.')[2]
        if kind == 'TensorboardVisBackend':
            if not any(map(find_spec, ('tensorboard', 'tensorboardX'))):
                raise InputError('--with tensorboard needs tensorboard: pip install tensorboard')
        elif kind == 'WandbVisBackend':
            if find_spec('wandb') is None:
                raise InputError('--with wandb needs wandb: pip install wandb')
            mode = (backend.get('init_kwargs') or {}).get('mode') or os.environ.get('WANDB_MODE')
            if str(mode).lower() not in ('offline', 'disabled', 'dryrun') and not _logged_in():
                raise InputError(
                    '--with wandb sends curves to Weights & Biases, and nobody is logged in: run '
                    '`wandb login` or set WANDB_API_KEY, or keep them here with WANDB_MODE=offline'
                )


def _backends(cfg: Config) -> Iterator[Mapping]:
    yield from (cfg.get('visualizer') or {}).get('vis_backends') or []


def _logged_in() -> bool:
    """Whether wandb would find a key, by its own order: environment, then the netrc file."""
    if os.environ.get('WANDB_API_KEY') or os.environ.get('WANDB_IDENTITY_TOKEN_FILE'):
        return True
    host = urlsplit(os.environ.get('WANDB_BASE_URL') or 'https://api.wandb.ai').hostname
    named = os.environ.get('NETRC')
    files = [Path(named)] if named else [Path.home() / '.netrc', Path.home() / '_netrc']
    for file in files:
        try:
            if netrc.netrc(file.expanduser()).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False
