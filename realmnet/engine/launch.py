"""One command for CPU and GPU, one process and many."""

import os
import subprocess
import warnings
from datetime import timedelta
from typing import Literal

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import distributed

from realmnet.errors import InputError

Launcher = Literal['none', 'pytorch', 'slurm', 'mpi']

_AMP = 'AmpOptimWrapper'

# The variables in which each launcher tells a process its place: rank, number of processes,
# rank on this machine, processes on this machine (the last may be missing).
_PLACE = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID', 'SLURM_NTASKS_PER_NODE'),
    'mpi': (
        'OMPI_COMM_WORLD_RANK',
        'OMPI_COMM_WORLD_SIZE',
        'OMPI_COMM_WORLD_LOCAL_RANK',
        'OMPI_COMM_WORLD_LOCAL_SIZE',
    ),
}


def prepare_launch(cfg: Config, launcher: Launcher = 'none', threads: int | None = None) -> None:
    """Make ``cfg`` and this process ready for ``Runner.from_cfg``.

    On GPUs the runner opens the process group itself (NCCL). On machines without one, or with
    ``CUDA_VISIBLE_DEVICES=-1``, the group is opened here with gloo, because mmengine would ask
    for a GPU, and the model is wrapped without device numbers.

    Args:
        cfg: the configuration; ``launcher`` and, on CPU, ``model_wrapper_cfg`` and the backend
            are set in place.
        launcher: who started the processes: ``'pytorch'`` is torchrun.
        threads: threads of each process. By default ``OMP_NUM_THREADS`` decides, and without
            it the cores are divided by the processes of this machine.

    Returns:
        The rank of this process, 0 for the main one.

    Raises:
        InputError: if the launcher is unknown or did not start this process, or if there are
            more processes than GPUs.
    """
    if launcher != 'none' and launcher not in _PLACE:
        raise InputError(f"launcher is 'none', {', '.join(map(repr, _PLACE))}, got {launcher!r}.")
    cfg.launcher = launcher
    if cfg.get('randomness', {}).get('deterministic'):
        # cuBLAS reads this when the first kernel starts and is not deterministic without it.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    rank, world_size, local_rank, local_size = _place(launcher)
    if launcher == 'slurm' and 'OMP_NUM_THREADS' not in os.environ:
        # slurm shows each task its own cores only
        threads = threads or int(os.environ.get('SLURM_CPUS_PER_TASK', 0)) or None
    set_threads(threads, local_size)
    # Depth-wise weights of shape (C, 1, k, k) have two equal layouts; torch warns that the gradient
    # came in the other one, which costs a copy of a few kilobytes.
    warnings.filterwarnings('ignore', message='Grad strides do not match bucket view strides')
    if launcher == 'none':
        return
    os.environ.setdefault('LOCAL_RANK', str(local_rank))  # Runner.wrap_model reads it
    if torch.cuda.is_available():
        gpus = torch.cuda.device_count()
        if max(local_size, local_rank + 1) > gpus:
            raise InputError(
                f'{max(local_size, local_rank + 1)} processes were started on this machine, but '
                f'it shows {gpus} GPU{"s" * (gpus > 1)}: start at most {gpus}, or set '
                'CUDA_VISIBLE_DEVICES=-1 to run on the CPU.'
            )
        return
    _open_gloo_group(launcher, rank, world_size, cfg.get('env_cfg', {}).get('dist_cfg', {}))
    cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
    wrapper = {
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
        **(cfg.get('model_wrapper_cfg') or {'type': 'MMDistributedDataParallel'}),
    }
    cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}  # Runner.wrap_model would add a GPU


def check_mixed_precision(cfg: Config) -> None:
    """Refuse mixed precision where there is no GPU, in training, validation and test alike.

    Raises:
        InputError: If the config asks for it and no GPU is visible.
    """
    if torch.cuda.is_available():
        return
    asked = [
        key
        for key, is_asked in (
            ('optim_wrapper.type', (cfg.get('optim_wrapper') or {}).get('type') == _AMP),
            ('val_cfg.fp16', (cfg.get('val_cfg') or {}).get('fp16')),
            ('test_cfg.fp16', (cfg.get('test_cfg') or {}).get('fp16')),
        )
        if is_asked
    ]
    if asked:
        raise InputError(
            f'--amp ({", ".join(asked)}) computes in mixed precision on a GPU, and none is '
            'visible; leave it out'
        )


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a configuration that :func:`prepare_launch` made ready.

    Raises:
        InputError: If a class is given an argument that it does not take.
    """
    try:
        return RUNNERS.build(cfg)
    except TypeError as error:
        if 'unexpected keyword argument' not in str(error):
            raise
        raise InputError(f'the config cannot be built: {error}') from error


def finish_launch() -> None:
    """Leave the process group together, once the work is done.

    A process that ends while gloo's threads still run is aborted now and then, and torchrun then
    reports a failure although everything was written.
    """
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def rank_of(launcher: Launcher) -> int:
    """Rank of this process, 0 for the main one, before any process group is open.

    What only one process does, and may fail at, is best done then: the others still wait for it
    and are stopped without a word.

    Raises:
        ValueError: if the launcher is unknown or did not start this process.
    """
    return _place(launcher)[0]


def local_processes(launcher: Launcher) -> int:
    """Number of processes of this run on this machine, as far as the launcher says."""
    return _place(launcher)[3]


def _place(launcher: str) -> tuple[int, int, int, int]:
    """Rank, number of processes, and the same two on this machine."""
    if launcher == 'none':
        return 0, 1, 0, 1
    if launcher not in _PLACE:
        raise ValueError(f"launcher is 'none', {', '.join(map(repr, _PLACE))}, got {launcher!r}.")
    *needed, local_size = _PLACE[launcher]
    missing = [name for name in needed if name not in os.environ]
    if missing:
        raise InputError(
            f'launcher={launcher!r} needs {", ".join(missing)} in the environment, which '
            f'{"torchrun" if launcher == "pytorch" else launcher} sets for the processes it '
            "starts: use tools/dist_*.sh or tools/slurm_*.sh, or launcher='none'."
        )
    rank, world_size, local_rank = (int(os.environ[name]) for name in needed)
    return rank, world_size, local_rank, int(os.environ.get(local_size, local_rank + 1))


def cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(threads: int | None, processes: int) -> int:
    """Fix the number of threads of this process and of what it starts.

    Args:
        threads: the wish; None leaves it to ``OMP_NUM_THREADS``, and without that to the cores.
        processes: how many processes share this machine.

    Returns:
        The number in force.
    """
    if threads is None:
        default = max(1, cores() // processes)
        threads = int(os.environ.get('OMP_NUM_THREADS') or default)
    if threads < 1:
        raise InputError(f'threads must be at least 1, got {threads}.')
    # mmengine, too, writes these when they are missing, and writes 1.
    os.environ['OMP_NUM_THREADS'] = str(threads)
    os.environ.setdefault('MKL_NUM_THREADS', str(threads))
    torch.set_num_threads(threads)
    return threads


def _open_gloo_group(launcher: str, rank: int, world_size: int, dist_cfg: dict) -> None:
    if distributed.is_initialized():
        return
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ:
        hosts = subprocess.run(
            ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']],
            check=True,
            capture_output=True,
            text=True,
        )
        os.environ['MASTER_ADDR'] = hosts.stdout.split()[0]
    if launcher == 'mpi' and 'MASTER_ADDR' not in os.environ:
        raise InputError("launcher='mpi' needs MASTER_ADDR, the address of the first machine.")
    os.environ.setdefault('MASTER_PORT', '29500')
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world_size))
    distributed.init_process_group(
        'gloo', timeout=timedelta(seconds=dist_cfg.get('timeout') or 1800)
    )
