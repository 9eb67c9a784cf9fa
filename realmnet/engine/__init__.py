"""Launching, checkpoints and exact resuming; importing it registers the classes."""

from .checkpoint_io import CheckpointError, read_checkpoint
from .hooks import EpochSeedHook, RunCheckpointHook, seed_worker
from .launch import prepare_launch
from .runner import RealMRunner
from .storage import AtomicBackend
from .weights import LoadReport, load_weights

__all__ = [
    'AtomicBackend',
    'CheckpointError',
    'EpochSeedHook',
    'LoadReport',
    'RealMRunner',
    'RunCheckpointHook',
    'load_weights',
    'prepare_launch',
    'read_checkpoint',
    'seed_worker',
]
