"""mmengine's runner with strict rules for weights."""

import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint

from realmnet.errors import InputError

from .checkpoint_io import CheckpointError, read_checkpoint
from .timm_weights import SCHEME, read_timm
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
    """

    _purpose = 'exact'

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

    def train(self) -> Any:
        """Launch training."""
        self._purpose = 'init'
        return super().train()

    def load_or_resume(self) -> None:
        """Load the pretrained backbone, or what ``load_from`` and ``resume`` ask for."""
        if self._resume and not self._load_from and not find_latest_checkpoint(self.work_dir):
            self.logger.info(
                f'{self.work_dir} holds no checkpoint to resume from: starting at the beginning.'
            )
            self._resume = False
        starts = self._purpose == 'init' and not self._has_loaded and not self._load_from
        if starts and not self._resume:
            self.load_pretrained(self.cfg.get('pretrained'))
        super().load_or_resume()

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
        """Continue from ``filename``; the optimizer moves its own state to the device."""
        self._purpose = 'resume'
        super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)

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
            lacking = [key for key in ('meta', 'message_hub', 'optimizer') if key not in checkpoint]
            if lacking:
                raise CheckpointError(
                    f'{filename} cannot be resumed from, it has no {", ".join(lacking)}: start '
                    'a new training from it with load_from instead.'
                )
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
