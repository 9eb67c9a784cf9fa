"""Launching, checkpoints and exact resuming; importing it registers the classes."""

from .checkpoint_io import CheckpointError, read_checkpoint
from .finite import DivergenceError, FiniteHook
from .hooks import EpochSeedHook, RunCheckpointHook, seed_worker
from .label_order import LabelOrderHook
from .launch import finish_launch, prepare_launch
from .metric import MultiLabelReport
from .monitor import RunEarlyStoppingHook
from .runner import RealMRunner
from .storage import AtomicBackend
from .weights import LoadReport, load_weights

__all__ = [
    'AtomicBackend',
    'CheckpointError',
    'DivergenceError',
    'EpochSeedHook',
    'FiniteHook',
    'LabelOrderHook',
    'LoadReport',
    'MultiLabelReport',
    'RealMRunner',
    'RunCheckpointHook',
    'RunEarlyStoppingHook',
    'finish_launch',
    'load_weights',
    'prepare_launch',
    'read_checkpoint',
    'seed_worker',
]
