"""What a training was: kept in its folder and in each checkpoint, and compared on resuming."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import Dataset

import realmnet
from realmnet.errors import InputError

#: Where a checkpoint holds the record: ``meta[KEY]``, as JSON text.
KEY = 'run_record'
#: Name of the file in the folder of a run.
FILE = 'run.json'
_PACKAGES = ('torch', 'torchvision', 'numpy', 'mmengine', 'mmpretrain', 'opencv-python', 'pillow')
# Parts of the configuration that decide what the weights become. Everything else (folders, logs,
# checkpoints, validation, test) may change within a run.
_DECIDING = (
    'model', 'data_preprocessor', 'train_dataloader', 'optim_wrapper', 'param_scheduler',
    'train_cfg', 'sync_bn', 'activation_checkpointing', 'efficient_conv_bn_eval',
)  # fmt: skip
# Below those, what is compared by other means (total batch) or decides nothing.
_ELSEWHERE = (
    'train_dataloader.batch_size', 'train_dataloader.pin_memory',
    'train_dataloader.prefetch_factor', 'train_dataloader.persistent_workers',
    'optim_wrapper.accumulative_counts',
    'train_cfg.val_interval', 'train_cfg.val_begin', 'train_cfg.dynamic_intervals',
)  # fmt: skip
# Of the datasets: where the pictures are; what they are is compared by the digest.
_PLACES = ('.data_root', '.ann_file', '.data_prefix', '.data_prefix.img_path')
# What a run goes on with, although it then ends elsewhere than with the old value.
_HONOURED = ('train_cfg.max_epochs', 'train_cfg.max_iters', 'train_dataloader.num_workers')
_NOTHING = 'nothing'
# Settings of an optimizer that a checkpoint stores and that no schedule changes.
_OPTIMIZER = ('initial_lr', 'weight_decay', 'betas', 'eps', 'nesterov', 'amsgrad')


@dataclass
class RunRecord:
    """What a training was.

    Attributes:
        config: The complete configuration as plain data.
        data: SHA-256 of the training pictures' names, sizes and labels; empty where the dataset
            does not list them.
        code: Version of this package, and SHA-256 of its source.
        environment: Versions of python and packages, and the device.
        seed: In force.
        processes: Their number.
        batch: Pictures of one process and step.
        accumulated: Steps that make one update.
        total_batch: Pictures of one update: the product of the three.
        lr_factor: By which ``--auto-scale-lr`` multiplied the learning rate.
        epoch_length: Steps of an epoch.
        launcher: Who started the processes.
        resumed_from: The checkpoint, relative to the work folder where it lies inside.
        changes: What differed from the run before.
    """

    config: dict[str, Any]
    data: str = ''
    code: str = ''
    environment: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    processes: int = 1
    batch: int = 1
    accumulated: int = 1
    total_batch: int = 1
    lr_factor: float = 1.0
    epoch_length: int = 0
    launcher: str = 'none'
    resumed_from: str = ''
    changes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, runner: Runner) -> RunRecord:
        """Record a runner that has built its training loop."""
        cfg, loader = runner.cfg, runner.train_dataloader
        processes, batch = runner.world_size, loader.batch_size or 1
        accumulated = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        scale = cfg.get('auto_scale_lr') or {}
        factor = 1.0
        if scale.get('enable'):
            factor = processes * batch / scale['base_batch_size']
        return cls(
            config=plain(cfg), data=data_digest(loader.dataset), code=code_version(),
            environment=environment(), seed=runner.seed, processes=processes, batch=batch,
            accumulated=accumulated, total_batch=processes * batch * accumulated, lr_factor=factor,
            epoch_length=len(loader), launcher=runner.launcher,
        )  # fmt: skip

    def to_json(self) -> str:
        """Return the record as JSON text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: Any) -> RunRecord | None:
        """Read a record; None if it is none."""
        try:
            content = json.loads(text)
            return cls(**{f.name: content[f.name] for f in fields(cls) if f.name in content})
        except (TypeError, ValueError, KeyError):
            return None

    def used(self) -> dict[str, Any]:
        """What the configuration does not say of a run, for the file that records it."""
        names = ('seed', 'launcher', 'processes', 'batch', 'accumulated', 'total_batch',
                 'lr_factor', 'resumed_from', 'changes', 'data', 'code', 'environment')  # fmt: skip
        return {name: value for name, value in asdict(self).items() if name in names}


@dataclass
class Comparison:
    """How what is asked differs from what a checkpoint was trained with.

    Attributes:
        refused: Differences that a run cannot go on with, as ``key: old there, new now``.
        honoured: Differences that it can.
    """

    refused: list[str] = field(default_factory=list)
    honoured: list[str] = field(default_factory=list)


def compare(old: RunRecord, new: RunRecord) -> Comparison:
    """Compare two records of a training.

    Refused are other networks, losses, optimizers, schedules, pipelines, seeds, data, and another
    total batch. Honoured are another length, other processes or accumulated steps with the same
    total batch, another number of workers, other folders, versions and devices.
    """
    found = Comparison()
    longer = any(
        old.config.get('train_cfg', {}).get(key) != new.config.get('train_cfg', {}).get(key)
        for key in ('max_epochs', 'max_iters')
    )
    for key, before, after in differences(_deciding(old.config), _deciding(new.config)):
        if key.startswith(_ELSEWHERE):
            continue
        # A schedule with its own end may be given that of the new length.
        ends = key.startswith('param_scheduler.') and key.endswith(('.end', '.T_max')) and longer
        moved = key.startswith('train_dataloader.dataset') and key.endswith(_PLACES) and old.data
        honoured = key.startswith(_HONOURED) or ends or moved
        kind = found.honoured if honoured else found.refused
        kind.append(_said(key, before, after))
    wanted = (new.config.get('randomness') or {}).get('seed')
    if wanted is not None and wanted != old.seed:
        found.refused.append(_said('randomness.seed', old.seed, wanted))
    if old.total_batch != new.total_batch:
        found.refused.append(_said('total batch', _batch(old), _batch(new)))
    elif _batch(old) != _batch(new):
        found.honoured.append(_said('total batch', _batch(old), _batch(new)))
    if old.lr_factor != new.lr_factor:
        found.refused.append(
            _said('factor of --auto-scale-lr on the learning rate', old.lr_factor, new.lr_factor)
        )
    if old.data and new.data and old.data != new.data:
        found.refused.append(
            _said('training data (names, sizes, labels)', old.data[:12], new.data[:12])
        )
    if old.code != new.code:
        found.honoured.append(_said('code', old.code, new.code))
    for key, before, after in differences(old.environment, new.environment):
        found.honoured.append(_said(key, before, after))
    return found


def compare_unrecorded(checkpoint: Mapping[str, Any], runner: Runner) -> list[str]:
    """Compare what a checkpoint without a record still tells: optimizer, seed, steps of an epoch.

    Args:
        checkpoint: As read.
        runner: It has built its optimizer and loaded nothing.

    Returns:
        Differences that a run cannot go on with, as in :attr:`Comparison.refused`.
    """
    found, optimizer, meta = [], checkpoint['optimizer'], checkpoint['meta']
    there = optimizer.get('param_groups') if isinstance(optimizer, Mapping) else None
    now = runner.optim_wrapper.optimizer.param_groups
    if isinstance(there, list) and len(there) == len(now):
        for before, after in zip(there, now, strict=True):
            for key in _OPTIMIZER:
                if key in before and key in after and before[key] != after[key]:
                    name = f'optim_wrapper.optimizer.{key.removeprefix("initial_")}'
                    found.append(_said(name, before[key], after[key]))
    wanted = (runner.cfg.get('randomness') or {}).get('seed')
    if wanted is not None and meta.get('seed') not in (None, wanted):
        found.append(_said('randomness.seed', meta['seed'], wanted))
    length = len(runner.train_dataloader)
    if isinstance(runner.train_loop, EpochBasedTrainLoop) and meta['epoch']:
        steps, rest = divmod(meta['iter'], meta['epoch'])
        if rest == 0 and steps != length:
            found.append(_said('steps of an epoch', steps, length))
    return list(dict.fromkeys(found))


def plain(cfg: Config) -> dict[str, Any]:
    """Return a config as JSON data: tuples become lists, what JSON lacks becomes its text."""
    return json.loads(json.dumps(cfg.to_dict(), default=str))


def differences(old: Any, new: Any, key: str = '') -> Iterator[tuple[str, Any, Any]]:
    """Yield dotted key, old and new value wherever plain data differ.

    Example:
        >>> list(differences({'a': [{'b': 1}]}, {'a': [{'b': 2}]}))
        [('a.0.b', 1, 2)]
    """
    if _are_parts(old) and _are_parts(new) and len(old) == len(new):
        old, new = (dict(enumerate(value)) for value in (old, new))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            inner = f'{key}.{name}' if key else str(name)
            yield from differences(old.get(name, _NOTHING), new.get(name, _NOTHING), inner)
    elif old != new and {str(old), str(new)} != {'None', _NOTHING}:
        yield key, old, new


def first_difference(old: Any, new: Any) -> str:
    """Say where two plain configs differ first; empty where they are equal.

    Example:
        >>> first_difference({'a': {'b': 1}}, {'a': {'b': 2}})
        'a.b: 1 there, 2 now'
    """
    return next((_said(*found) for found in differences(old, new)), '')


def data_digest(dataset: Dataset) -> str:
    """SHA-256 of a dataset's pictures in their order: name, size in bytes, labels.

    Moving the folder changes nothing: of the paths, what all have in common is left out.

    Args:
        dataset: Of mmengine's kind; of another, the digest is empty.
    """
    if not hasattr(dataset, 'get_data_info'):
        return ''
    rows = [dataset.get_data_info(index) for index in range(len(dataset))]
    paths = [str(row.get('img_path', '')) for row in rows]
    parents = {path.rpartition('/')[0] for path in paths}
    root = next(iter(parents)) if len(parents) == 1 else ''
    digest = hashlib.sha256()
    for path, row in zip(paths, rows, strict=True):
        try:
            size = Path(path).stat().st_size
        except OSError:  # reading it will say so
            size = -1
        name = path.removeprefix(root) if root else '/'.join(path.split('/')[-2:])
        labels = row.get('gt_label', row.get('gt_score'))
        labels = labels.tolist() if hasattr(labels, 'tolist') else labels
        digest.update(json.dumps([name, size, labels], default=str).encode())
    return digest.hexdigest()


@functools.cache
def code_version() -> str:
    """Version of this package with the first digits of the SHA-256 of its source."""
    root, digest = Path(realmnet.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob('*.py')):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return f'{realmnet.__version__}+{digest.hexdigest()[:12]}'


def environment() -> dict[str, str]:
    """Versions that numbers may depend on, the device, and the number of threads."""
    found = {'python': platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    cuda = torch.cuda.is_available()
    found['device'] = torch.cuda.get_device_name() if cuda else f'CPU {platform.machine()}'
    found['threads'] = str(torch.get_num_threads())
    return found


def check_position(runner: Runner, epoch: int, iteration: int, source: str) -> None:
    """Refuse to resume what was already trained for longer than is asked.

    Raises:
        InputError: If the checkpoint has more epochs or steps.
    """
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    done, wanted = (epoch, runner.max_epochs) if by_epoch else (iteration, runner.max_iters)
    name = 'max_epochs' if by_epoch else 'max_iters'
    if done > wanted:
        raise InputError(
            f'{source} was already trained for {done} {name[4:]}, and train_cfg.{name} is now '
            f'{wanted}: ask for {done} or more, or test an earlier checkpoint'
        )


def _deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """Take the parts of a configuration that decide what the weights become."""
    found = {key: config[key] for key in _DECIDING if config.get(key) is not None}
    # mmengine's default; --amp names the other.
    found['optim_wrapper'] = {'type': 'OptimWrapper', **(found.get('optim_wrapper') or {})}
    hooks = [*(config.get('default_hooks') or {}).values(), *(config.get('custom_hooks') or [])]
    found['averages'] = [
        {key: value for key, value in hook.items() if key != 'priority'}
        for hook in hooks
        if isinstance(hook, Mapping) and str(hook.get('type')).endswith('EMAHook')
    ]
    return found


def _are_parts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _batch(record: RunRecord) -> str:
    return (
        f'{record.total_batch} ({record.batch} pictures x {record.processes} '
        f'process{"es" * (record.processes != 1)} x {record.accumulated} '
        f'step{"s" * (record.accumulated != 1)})'
    )


def _said(key: str, before: Any, after: Any) -> str:
    return f'{key}: {_short(before)} there, {_short(after)} now'


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
