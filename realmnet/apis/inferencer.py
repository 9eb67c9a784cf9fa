"""From pictures to findings with a checkpoint."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from realmnet.curation.pictures import MAX_PIXELS
from realmnet.deployment.model_file import load_model
from realmnet.errors import InputError
from realmnet.evaluation.findings import MARGIN, Finding, findings_of


@dataclass(frozen=True)
class PictureResult:
    """What became of one picture of a stream: a finding, or a problem in one sentence.

    Attributes:
        path: As it was given.
        finding: None if the picture could not be read.
        problem: Empty if it could.
        picture: As the network saw it, ``uint8`` RGB (size, size, 3); None with a problem.
    """

    path: Path
    finding: Finding | None
    problem: str = ''
    picture: np.ndarray | None = None


class Inferencer:
    """Find what a checkpoint's classes say about pictures.

    Preprocessing, thresholds and classes come from the checkpoint. Scores equal those of
    ``tools/test.py`` on prepared pictures to 1e-5. Research software, not a medical device.

    Args:
        checkpoint: File of ``tools/deployment/pack.py``, or of a training.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, or ``'auto'``: a GPU if there is one.
        batch_size: Pictures that go through the network together.
        flip: Average the scores of each picture and its mirror image, as ``test.py --tta``.
        max_pixels: Larger pictures are refused.
        margin: See :func:`realmnet.evaluation.findings.findings_of`.

    Attributes:
        description: What the checkpoint says of itself.

    Raises:
        InputError: If the checkpoint or the device cannot be used, or the batch size is below 1.

    Example:
        >>> inferencer = Inferencer('model.pth')                 # doctest: +SKIP
        >>> inferencer.predict('a.jpg').grade                    # doctest: +SKIP
        'A2'
    """

    def __init__(
        self,
        checkpoint: str | Path,
        device: str = 'auto',
        batch_size: int = 8,
        flip: bool = False,
        max_pixels: int = MAX_PIXELS,
        margin: float = MARGIN,
    ) -> None:
        if batch_size < 1:
            raise InputError(f'the batch size is {batch_size}, expected 1 or more')
        self.device = _device(device)
        network, self.description = load_model(checkpoint)
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self.batch_size, self.flip, self.max_pixels = batch_size, flip, max_pixels
        self.margin = margin
        self._mean = torch.tensor(self.description.mean, device=self.device).view(1, 3, 1, 1)
        self._std = torch.tensor(self.description.std, device=self.device).view(1, 3, 1, 1)

    def read(self, path: str | Path) -> np.ndarray:
        """Read a file and preprocess it; see :meth:`Preprocessing.read`."""
        return self.description.preprocessing.read(path, self.max_pixels)

    @torch.inference_mode()
    def scores(self, pictures: np.ndarray) -> np.ndarray:
        """Compute the probabilities of preprocessed pictures.

        Args:
            pictures: ``uint8`` RGB of shape (N, size, size, 3).

        Returns:
            ``float64`` of shape (N, C).
        """
        # (N, H, W, C) in memory is what channels_last means: nothing is copied here.
        inputs = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float()
        inputs = (inputs - self._mean) / self._std
        probability = self._probability(inputs)
        if self.flip:
            probability = (probability + self._probability(inputs.flip(3))) / 2
        return probability.cpu().double().numpy()

    def predict(self, picture: str | Path | np.ndarray) -> Finding:
        """Find what one picture shows.

        Args:
            picture: A file, or pixels: ``uint8`` RGB of shape (H, W, 3), any size.

        Raises:
            InputError: If it cannot be read.
        """
        is_file = isinstance(picture, str | os.PathLike)
        ready = self.read(picture) if is_file else self.description.preprocessing.apply(picture)
        return self._findings(ready[None])[0]

    def stream(self, paths: Iterable[str | Path]) -> Iterator[PictureResult]:
        """Yield the result of each picture, in order.

        Pictures are read ahead in threads, as many as a few batches hold, so memory does not
        depend on how many there are. One that cannot be read gives a problem and the rest goes on.

        Args:
            paths: Files; a generator will do.
        """
        workers = min(4, os.cpu_count() or 1)
        waiting = iter(paths)
        ahead: deque[tuple[Path, Future]] = deque()
        pool = ThreadPoolExecutor(workers, thread_name_prefix='read')
        try:
            while True:
                missing = 2 * self.batch_size + workers - len(ahead)
                for path in islice(waiting, missing):
                    ahead.append((Path(path), pool.submit(self._read_or_say, path)))
                if not ahead:
                    return
                batch = [ahead.popleft() for _ in range(min(self.batch_size, len(ahead)))]
                yield from self._results([(path, future.result()) for path, future in batch])
        finally:
            pool.shutdown(cancel_futures=True)

    def _read_or_say(self, path: str | Path) -> np.ndarray | str:
        try:
            return self.read(path)
        except InputError as error:
            return str(error)
        except MemoryError:
            return f'{path}: does not fit into memory; take it out'

    def _results(self, batch: list[tuple[Path, np.ndarray | str]]) -> Iterator[PictureResult]:
        pictures = [content for _, content in batch if not isinstance(content, str)]
        findings = iter(self._findings(np.stack(pictures)) if pictures else ())
        for path, content in batch:
            if isinstance(content, str):
                yield PictureResult(path, None, content)
            else:
                yield PictureResult(path, next(findings), '', content)

    def _findings(self, pictures: np.ndarray) -> list[Finding]:
        about = self.description
        return findings_of(self.scores(pictures), about.classes, about.thresholds, self.margin)

    def _probability(self, inputs: Tensor) -> Tensor:
        return torch.sigmoid(self.network(inputs, mode='tensor'))


def _device(name: str) -> torch.device:
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} cannot be used ({reason}); use 'cpu'") from None
    return device
