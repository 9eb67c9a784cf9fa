"""Hooks for checkpoints in the run's folder and for resuming exactly."""

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MessageHub
from mmengine.registry import FUNCTIONS
from mmpretrain.registry import HOOKS

from realmnet.errors import InputError

from .checkpoint_io import read_checkpoint
from .finite import check_state
from .monitor import check_monitored, defined, rule_of
from .resume import own_file
from .storage import AtomicBackend, remove_leftovers


@HOOKS.register_module()
class RunCheckpointHook(CheckpointHook):
    """Save checkpoints atomically, beside the logs of the run that made them.

    Checkpoints go to ``work_dir/<time>/epoch_N.pth`` (with ``out_dir``: to
    ``out_dir/<config>/<time>``), and ``work_dir/last_checkpoint`` names the newest. A resumed run
    writes into its own folder and goes on counting the checkpoints that ``max_keep_ckpts`` allows
    over all folders of this training. An old checkpoint is deleted only after the new one is
    complete and named, so that a kill at any moment leaves one to resume from.

    Checkpoints name other files relative to the folder of all runs, and nothing outside it is
    ever deleted: see :func:`realmnet.engine.resume.own_file`. Weights that are not finite are not
    saved.

    Args:
        backend_args: mmengine file backend; for local folders the atomic one by default.
        **kwargs: as for mmengine's ``CheckpointHook``, without ``published_keys``.

    Raises:
        InputError: if ``published_keys`` or ``file_client_args`` is given: both would write
            around the file backend.
    """

    def __init__(self, *args: Any, backend_args: dict | None = None, **kwargs: Any) -> None:
        for key in ('published_keys', 'file_client_args'):
            if kwargs.get(key) is not None:
                raise InputError(
                    f'RunCheckpointHook does not take {key}, which would write without the file '
                    'backend; publish a checkpoint afterwards with a tool.'
                )
        if backend_args is None and '://' not in str(kwargs.get('out_dir')):
            backend_args = {'backend': 'atomic'}
        if kwargs.get('save_best') not in (None, 'auto'):
            kwargs['rule'] = _rules(kwargs['save_best'], kwargs.get('rule'))
        super().__init__(*args, backend_args=backend_args, **kwargs)
        self._root = Path()
        self._kept: list[str] = []
        self._first_is_read_back = False

    def root_of(self, runner: Any) -> str:
        """Return the folder that holds the folders of all runs of a training."""
        if self.out_dir is None:
            return runner.work_dir
        return f'{str(self.out_dir).rstrip("/")}/{Path(runner.work_dir).name}'

    def before_train(self, runner: Any) -> None:
        """Choose the folder, take over what earlier runs kept, delete what they left half done."""
        if self.save_best:
            check_monitored(runner, self.key_indicators, 'save_best')
        in_run_folder = self.out_dir is None
        self._root = Path(self.root_of(runner))
        self._take_over(runner)
        super().before_train(runner)
        self.out_dir = (
            runner.log_dir
            if in_run_folder
            else self.file_backend.join_path(self.out_dir, runner.timestamp)
        )
        runner.logger.info(
            f'In this run that is {self.out_dir}; {runner.work_dir}/last_checkpoint names the '
            'newest checkpoint.'
        )
        if is_main_process():
            for folder in {runner.work_dir, str(Path(self.out_dir).parent)}:
                for path in remove_leftovers(folder):
                    runner.logger.info(f'Removed {path}, which a killed run left unfinished.')

    def _take_over(self, runner: Any) -> None:
        """Keep what a resumed checkpoint says of this training's files, and forget the rest.

        A checkpoint that lies in another folder says nothing of this one, whatever it says.
        """
        info, source = runner.message_hub.runtime_info, getattr(runner, 'resumed_from', None)
        here = source is not None and source.resolve().is_relative_to(self._root.resolve())
        saved = re.escape(self.filename_tmpl).replace(r'\{\}', '[0-9]+')
        foreign = []

        def own(stored: Any, pattern: str) -> str | None:
            path = own_file(stored, self._root, pattern) if here else None
            if path is None and stored is not None:
                foreign.append(str(stored)[:200])
            return None if path is None else str(path)

        kept = info.get('kept_checkpoints')
        kept = [own(stored, saved) for stored in kept] if isinstance(kept, list) else []
        self._kept = list(dict.fromkeys(path for path in kept if path is not None))
        for key in [key for key in info if re.fullmatch('best_ckpt(_.*)?', key)]:
            path = own(info[key], r'best_.+[.]pth')
            if path is None:
                # Without its file, the best score of elsewhere would keep a best one from being
                # saved here.
                _forget(runner.message_hub, key, key.replace('best_ckpt', 'best_score', 1))
            else:
                info[key] = path
        # Written anew by the first checkpoint; mmengine would delete by its own list.
        _forget(runner.message_hub, 'kept_checkpoints', 'keep_ckpt_ids', 'last_ckpt')
        if foreign:
            runner.logger.warning(
                f'The checkpoint names files that are not of {self._root}; they are left alone: '
                f'{", ".join(foreign[:10])}.'
            )

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Name files relative to the folder of all runs, so that it can be moved."""
        info = dict(checkpoint['message_hub']['runtime_info'])
        for key, value in info.items():
            if re.fullmatch('last_ckpt|best_ckpt(_.*)?', key):
                info[key] = self._relative(value)
            elif key == 'kept_checkpoints':
                info[key] = [self._relative(path) for path in value]
        hub = checkpoint['message_hub']
        hub['runtime_info'] = info
        known = {*info, *hub['log_scalars']}
        # mmengine warns of keys that it finds no value for, such as those of _forget.
        hub['resumed_keys'] = {k: v for k, v in hub['resumed_keys'].items() if k in known}

    def _relative(self, path: Any) -> Any:
        if not isinstance(path, str) or not Path(path).is_relative_to(self._root):
            return path
        return Path(path).relative_to(self._root).as_posix()

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        check_state(runner)
        name = self.filename_tmpl.format(step)
        path = self.file_backend.join_path(self.out_dir, name)
        self.last_ckpt = path
        # The list goes into the file before anything is deleted: a run killed in between still
        # knows, once resumed, what is too many.
        self._kept = [kept for kept in self._kept if kept != path] + [path]
        runner.message_hub.update_info('last_ckpt', path)
        runner.message_hub.update_info('kept_checkpoints', list(self._kept))
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        excess = self._kept[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        self._kept = self._kept[len(excess) :]
        if not is_main_process():
            return
        if not self._first_is_read_back:
            # Learn now, not after fifty epochs, that something in it would be refused.
            if '://' not in path:
                read_checkpoint(path)
            self._first_is_read_back = True
        AtomicBackend().put_text(path, Path(runner.work_dir) / 'last_checkpoint')
        for old in excess:
            if self.file_backend.isfile(old):
                self.file_backend.remove(old)

    def _save_best_checkpoint(self, runner: Any, metrics: dict) -> None:
        """Delete the previous best only once the new best is on the disk."""
        if not self.save_best:
            return
        metrics = defined(runner, metrics, self.key_indicators)
        check_state(runner)
        single = len(self.key_indicators) == 1
        before = {'': self.best_ckpt_path} if single else dict(self.best_ckpt_path_dict)
        if single:
            self.best_ckpt_path = None
        else:
            self.best_ckpt_path_dict = dict.fromkeys(before)
        super()._save_best_checkpoint(runner, metrics)
        after = {'': self.best_ckpt_path} if single else self.best_ckpt_path_dict
        for key, old in before.items():
            if after.get(key) is None:
                after[key] = old
            elif old and old != after[key] and is_main_process() and self.file_backend.isfile(old):
                self.file_backend.remove(old)
        if single:
            self.best_ckpt_path = after['']


def _rules(save_best: str | list[str], rule: str | list[str | None] | None) -> list[str]:
    """Return for each metric to save the best of whether more or less is better."""
    names = [save_best] if isinstance(save_best, str) else list(save_best)
    rules = list(rule) if isinstance(rule, list | tuple) else [rule]
    rules = rules * len(names) if len(rules) == 1 else rules
    if len(rules) != len(names):
        raise InputError(f'save_best names {len(names)} metrics, rule {len(rules)}; leave it out')
    return [rule_of(name, wish) for name, wish in zip(names, rules, strict=True)]


def _forget(hub: MessageHub, *keys: str) -> None:
    for key in keys:
        hub.pop_info(key)


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed python, numpy and torch from (seed, epoch, rank) before each training epoch.

    The random numbers of an epoch then do not depend on the epochs before it, and a run resumed
    after epoch k goes on as if it had never stopped. Needs ``persistent_workers=False`` and
    ``worker_init_fn=dict(type='seed_worker')`` in the training dataloader.
    """

    priority = 'LOWEST'  # nothing may draw between this and the first batch

    def before_train(self, runner: Any) -> None:
        """Refuse what cannot be resumed exactly, or say so.

        Raises:
            InputError: if ``persistent_workers`` is set.
        """
        if runner.train_dataloader.persistent_workers:
            raise InputError(
                'EpochSeedHook needs persistent_workers=False in train_dataloader: workers that '
                'live on keep random states that a resumed run cannot restore.'
            )
        counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        batches = len(runner.train_dataloader)
        if batches % counts:
            runner.logger.warning(
                f'accumulative_counts={counts} does not divide the {batches} batches of an epoch: '
                'gradients left over at its end are not in the checkpoint, so a resumed run will '
                'differ slightly from one that never stopped.'
            )

    def before_train_epoch(self, runner: Any) -> None:
        """Seed all generators of this process."""
        seed_all(runner.seed, runner.epoch, runner.rank)


def seed_all(*entropy: int) -> None:
    """Seed python, numpy and torch (all devices) from non-negative integers."""
    python, numpy, low, high = np.random.SeedSequence(entropy).generate_state(4).tolist()
    random.seed(python)
    np.random.seed(numpy)  # noqa: NPY002 (the transforms of OpenMMLab draw from it)
    torch.manual_seed(low | high << 32 & (2**63 - 1))


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed numpy and python in a dataloader worker from the seed that torch gave it.

    That seed is drawn anew each epoch; mmengine's default ignores it and repeats the same
    numbers every epoch when workers do not persist.

    Args:
        worker_id: given by the dataloader; already part of torch's seed.
    """
    seed = torch.initial_seed()
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
