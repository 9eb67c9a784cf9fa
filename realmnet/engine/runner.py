"""mmengine's runner with strict rules for weights."""

import contextlib
import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from realmnet.errors import InputError
from realmnet.models.complexity import input_side
from realmnet.models.fit import check_fit

from .checkpoint_io import read_checkpoint
from .hooks import RunCheckpointHook
from .resume import (
    POINTER,
    about_pointer,
    check_resumable,
    newest_checkpoint,
    read_pointer,
)
from .run_lock import sole_training
from .run_record import (
    FILE,
    KEY,
    Comparison,
    RunRecord,
    check_position,
    compare,
    compare_unrecorded,
)
from .schedule import Start
from .storage import AtomicBackend
from .timm_weights import SCHEME, read_timm
from .together import on_main
from .weights import load_weights, unwrap


@RUNNERS.register_module()  # the root registry, where tools look before any scope is set
class RealMRunner(Runner):
    """Runner for ``runner_type = 'RealMRunner'``.

    * Test and resume demand every key and shape of the checkpoint.
    * A training that starts with ``load_from`` loads what fits and lists the rest; nine tenths of
      the backbone must fit.
    * A training that neither resumes nor has ``load_from`` takes its backbone from the
      configuration's top-level ``pretrained`` (a path, an http(s) address or
      ``timm://<name>.<tag>``; None: from scratch).
      This comes after all ``init_weights``, so nothing is re-drawn afterwards, and is not done,
      nor anything downloaded, when the run resumes or tests.
    * A training keeps a record of what it is (:mod:`realmnet.engine.run_record`) and is alone in
      its work folder. Resuming takes the newest valid checkpoint of the folder, refuses other
      settings that it cannot go on with, and says which it goes on with.

    Attributes:
        record: What this training is; None in a test.
        resumed_from: The checkpoint that it went on from.
    """

    _purpose = 'exact'
    record: RunRecord | None = None
    resumed_from: Path | None = None

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger; the console is spared what mmengine says of every parameter.

        The log file keeps the lines of ``paramwise_cfg`` (hundreds for a transformer) and of
        deprecations inside mmengine.
        """
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_is_for_people)
        return logger

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Build the model, and refuse a head that does not take what the backbone gives.

        Raises:
            InputError: As for :func:`realmnet.models.fit.check_fit`.
        """
        try:
            built = super().build_model(model)
        except (KeyError, ValueError, AssertionError) as error:
            if isinstance(error, InputError) or not _of_libraries(error):
                raise  # a mistake in code of one's own shows where it is
            raise InputError(
                f'model cannot be built ({type(error).__name__}: {" ".join(str(error).split())}); '
                'correct model in the config'
            ) from error
        check_fit(built, input_side(self.cfg, default=224))
        return built

    def train(self) -> Any:
        """Launch training.

        Raises:
            InputError: Among others, if another training is at work in the work folder.
        """
        self._purpose = 'init'
        with contextlib.ExitStack() as held:
            on_main(lambda: held.enter_context(sole_training(self.work_dir, self.logger)))
            return super().train()

    def load_or_resume(self) -> None:
        """Load the pretrained backbone, or what ``load_from`` and ``resume`` ask for."""
        training = self._purpose == 'init' and not self._has_loaded
        if training:
            self.record = on_main(lambda: RunRecord.of(self))
            if self._resume and not self._load_from:
                self._find_newest()
            if not self._load_from:
                self.load_pretrained(self.cfg.get('pretrained'))
        super().load_or_resume()
        if training:
            self._write_record()

    def _find_newest(self) -> None:
        """Choose the checkpoint that an automatic resume goes on from."""
        folder = Path(self.work_dir)
        found = on_main(lambda: newest_checkpoint(self.checkpoint_folders()))
        for sentence in found.passed_over:
            self.logger.warning(f'Passed over: {sentence}')
        if found.path is None:
            self.logger.info(
                f'{folder} holds no checkpoint to resume from: starting at the beginning.'
            )
            self._resume = False
            return
        self.logger.info(
            f'Resuming from {found.path}, the newest valid checkpoint of {folder} (epoch '
            f'{found.epoch}, step {found.iteration}); {about_pointer(folder, found.path)}.'
        )
        self._load_from = str(found.path)
        if is_main_process() and read_pointer(folder) != str(found.path):
            AtomicBackend().put_text(str(found.path), folder / POINTER)

    def checkpoint_folders(self) -> list[Path]:
        """Return the folders that hold the runs of this training: one, or ``out_dir``'s too."""
        hooks = [hook for hook in self.hooks if isinstance(hook, RunCheckpointHook)]
        folders = [Path(self.work_dir), *(Path(hook.root_of(self)) for hook in hooks)]
        return list(dict.fromkeys(folder for folder in folders if '://' not in str(folder)))

    def _write_record(self) -> None:
        """Write the record into the run's folder, and into the copy of the configuration there."""
        if not is_main_process():
            return
        self.cfg[KEY] = self.record.used()
        Path(self.log_dir, FILE).write_text(self.record.to_json() + '\n', encoding='utf-8')
        copy = Path(self.log_dir, 'vis_data', 'config.py')
        if copy.is_file():
            self.cfg.dump(copy)

    def save_checkpoint(self, *args: Any, meta: dict | None = None, **kwargs: Any) -> None:
        """Save a checkpoint as mmengine does, with the record of the training."""
        if self.record is not None:
            meta = {**(meta or {}), KEY: self.record.to_json()}
        super().save_checkpoint(*args, meta=meta, **kwargs)

    def load_pretrained(self, source: str | None) -> None:
        """Initialise the backbone from ``source``; do nothing if it is None.

        Args:
            source: a whole model (its ``backbone.*`` is taken), a bare backbone, or
                ``timm://<name>.<tag>``.
        """
        if source is None:
            self.logger.info('pretrained=None: the backbone starts from random weights.')
            return
        backbone = getattr(unwrap(self.model), 'backbone', None)
        if backbone is None:
            raise InputError(
                f'pretrained={source!r} needs a model with a backbone, and '
                f'{type(unwrap(self.model)).__name__} has none; use load_from instead.'
            )
        read = read_timm if source.startswith(SCHEME) else read_checkpoint
        load_weights(backbone, read(source), 'init', prefix='backbone', source=source)

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = 'cpu',
    ) -> None:
        """Continue from ``filename``; the optimizer moves its own state to the device.

        Where the length of the training or of an epoch has changed, learning rates go on as in an
        uninterrupted training of the new length.
        """
        self._purpose = 'resume'
        start = Start(self)
        super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        self.resumed_from = Path(filename)
        by_epoch = isinstance(self.train_loop, EpochBasedTrainLoop)
        epoch_length = len(self.train_dataloader) if by_epoch else None
        steps = self.epoch * epoch_length if by_epoch else self.iter
        if steps != self.iter:
            self.logger.warning(
                f'{filename} was saved after step {self.iter}; an epoch has {epoch_length} steps '
                f'now, so that epoch {self.epoch + 1} begins after step {steps}, and goes on there.'
            )
            self.train_loop._iter = steps
        elif not start.reshaped(self):
            return
        start.walk(self, steps, epoch_length)
        done = f'epoch {self.epoch}' if by_epoch else f'step {steps}'
        whole = f'{self.max_epochs} epochs' if by_epoch else f'{self.max_iters} steps'
        self.logger.warning(
            f'Up to {done} this training had the learning rates of another length; from here on '
            f'they are those of an uninterrupted training of {whole}.'
        )

    def _compare(self, checkpoint: dict[str, Any], filename: str) -> list[str]:
        """Refuse what cannot be resumed with these settings; return what is different.

        Raises:
            InputError: With the keys and both values.
        """
        check_resumable(checkpoint, filename)
        meta = checkpoint['meta']
        check_position(self, meta['epoch'], meta['iter'], filename)
        old = RunRecord.from_json(meta.get(KEY))
        if old is None:
            found = Comparison(
                refused=compare_unrecorded(checkpoint, self),
                honoured=['the checkpoint has no record: not all settings can be compared'],
            )
        else:
            found = compare(old, self.record)
        if found.refused:
            raise InputError(
                f'{filename} was trained with other settings ({"; ".join(found.refused)}): resume '
                'with those, or start a new training from its weights with --cfg-options '
                f'load_from={filename} and without --resume'
            )
        return found.honoured

    def _take_up(self, checkpoint: dict[str, Any], filename: str) -> None:
        """Compare settings in the main process, and say what is different."""
        if self.record is None:  # resumed by someone who does not train
            return
        changes = on_main(lambda: self._compare(checkpoint, filename))
        path = Path(filename).resolve()
        work_dir = Path(self.work_dir).resolve()
        inside = path.is_relative_to(work_dir)
        self.record.resumed_from = str(path.relative_to(work_dir) if inside else path)
        self.record.changes = changes
        if changes:
            self.logger.warning(
                'Resumed with other settings, so not bit by bit as a training that never stopped: '
                f'{"; ".join(changes)}.'
            )
        else:
            self.logger.info('Settings unchanged: resuming exactly.')

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = 'cpu',
        strict: bool = False,
        revise_keys: list[tuple[str, str]] | None = None,
    ) -> dict[str, Any]:
        """Load weights by the rules of the class.

        Args:
            filename: a path or an http(s) address.
            map_location: as in ``torch.load``.
            strict: demand every key and shape even when training starts.
            revise_keys: pairs of pattern and replacement for the names in the file.

        Returns:
            The checkpoint.

        Raises:
            CheckpointError: if the file cannot be read or does not fit.
        """
        checkpoint = read_checkpoint(filename, map_location)
        if self._purpose == 'resume':
            self._take_up(checkpoint, filename)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        if revise_keys:
            checkpoint['state_dict'] = OrderedDict(
                (_revised(key, revise_keys), value)
                for key, value in checkpoint['state_dict'].items()
            )
        exact = strict or self._purpose != 'init'
        load_weights(self.model, checkpoint, 'exact' if exact else 'init', source=filename)
        self._has_loaded = True
        return checkpoint


def _is_for_people(record: logging.LogRecord) -> bool:
    noise = ('paramwise_options', '"FileClient" will be', '"HardDiskBackend" is the alias')
    return not str(record.msg).startswith(noise)


def _revised(key: str, pairs: list[tuple[str, str]]) -> str:
    for pattern, replacement in pairs:
        key = re.sub(pattern, replacement, key)
    return key


def _of_libraries(error: BaseException) -> bool:
    """Whether an error was raised by code of the libraries that build networks."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = '' if trace is None else trace.tb_frame.f_globals.get('__name__', '')
    return name.partition('.')[0] in ('mmcv', 'mmengine', 'mmpretrain', 'timm')
