"""What all models that are asked about pictures share: reading, deciding, going through many."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from realmnet.curation.content import unchanged
from realmnet.curation.pictures import MAX_PIXELS, refuse_outward
from realmnet.deployment.description import ModelDescription
from realmnet.deployment.picture_result import PictureResult
from realmnet.errors import InputError
from realmnet.evaluation.findings import MARGIN, Finding, findings_of, refuse


class PictureModel(ABC):
    """A model that finds what its classes say about pictures; how it computes is the subclass's.

    Args:
        name: What messages call the model: its file.
        description: What the model says of itself.
        batch_size: Pictures of a stream that are scored together.
        flip: Average the scores of each picture and its mirror image.
        max_pixels: Larger pictures are refused.
        margin: See :func:`realmnet.evaluation.findings.findings_of`.

    Attributes:
        accept_damaged: Whether what can be decoded of damaged pictures is taken; set it to True
            before reading.
    """

    accept_damaged = False

    def __init__(
        self,
        name: str,
        description: ModelDescription,
        batch_size: int,
        flip: bool = False,
        max_pixels: int = MAX_PIXELS,
        margin: float = MARGIN,
    ) -> None:
        self.name, self.description, self.batch_size = name, description, batch_size
        self.flip, self.max_pixels, self.margin = flip, max_pixels, margin

    @abstractmethod
    def _outputs(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Compute scores (N, C) and features (N, D) of the pictures as they are, not mirrored.

        Scores are the network's, not recalibrated.

        Features are None where the model does not give them.
        """

    def scores(self, pictures: np.ndarray) -> np.ndarray:
        """Compute the probabilities of preprocessed pictures, recalibrated where the model is.

        Args:
            pictures: ``uint8`` RGB of shape (N, size, size, 3).

        Returns:
            ``float64`` of shape (N, C).
        """
        return self._scores_and_features(pictures)[0]

    def _scores_and_features(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        scores, features = self._outputs(pictures)
        if self.flip:
            mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
            scores = (scores + self._outputs(mirrored)[0]) / 2
        return self.description.recalibrated(scores), features

    def read(self, path: str | Path) -> np.ndarray:
        """Read a file and preprocess it; see :meth:`Preprocessing.read`."""
        return self.read_with_notes(path)[0]

    def read_with_notes(self, path: str | Path) -> tuple[np.ndarray, tuple[str, ...]]:
        """Read as :meth:`read`, with what is to be said about the file."""
        notes: list[str] = []
        picture = self.description.preprocessing.read(
            path, self.max_pixels, self.accept_damaged, notes
        )
        return picture, tuple(notes)

    def predict(self, picture: str | Path | np.ndarray) -> Finding:
        """Find what one picture shows.

        Args:
            picture: A file, or pixels: ``uint8`` RGB of shape (H, W, 3), any size.

        Raises:
            InputError: If it cannot be read.
        """
        is_file = isinstance(picture, str | os.PathLike)
        ready = self.read(picture) if is_file else self.description.preprocessing.apply(picture)
        return self.findings(ready[None])[0]

    def stream(
        self, paths: Iterable[str | Path], inside: Path | None = None
    ) -> Iterator[PictureResult]:
        """Yield the result of each picture, in order.

        Pictures are read ahead in threads, as many as a few batches hold, so memory does not
        depend on how many there are. One that cannot be read gives a problem and the rest goes on.

        Args:
            paths: Files; a generator will do.
            inside: A folder; links out of it are not followed but become problems.
        """
        with closing(self.read_ahead(paths, inside)) as reading:
            while batch := list(islice(reading, self.batch_size)):
                yield from self._results(batch)

    def read_ahead(
        self, paths: Iterable[str | Path], inside: Path | None = None
    ) -> Iterator[PictureResult]:
        """Yield each path with its preprocessed picture, or with why there is none; no findings.

        Args:
            paths: As for :meth:`stream`.
            inside: As for :meth:`stream`.
        """
        workers = min(4, os.cpu_count() or 1)
        waiting = iter(paths)
        ahead: deque[Future] = deque()
        pool = ThreadPoolExecutor(workers, thread_name_prefix='read')
        try:
            while True:
                missing = 2 * self.batch_size + workers - len(ahead)
                for path in map(Path, islice(waiting, missing)):
                    ahead.append(pool.submit(self._read_or_say, path, inside))
                if not ahead:
                    return
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _read_or_say(self, path: Path, inside: Path | None) -> PictureResult:
        try:
            if inside is not None:
                refuse_outward(path, inside)
            with unchanged(path) as content:
                picture, notes = self.read_with_notes(path)
            return PictureResult(path, None, '', picture, content, notes)
        except InputError as error:
            return PictureResult(path, None, str(error))
        except MemoryError:
            return PictureResult(path, None, f'{path}: does not fit into memory; take it out')

    def _results(self, batch: list[PictureResult]) -> Iterator[PictureResult]:
        pictures = [read.picture for read in batch if not read.problem]
        findings = iter(self.findings(np.stack(pictures)) if pictures else ())
        for read in batch:
            yield read if read.problem else replace(read, finding=next(findings))

    def findings(self, pictures: np.ndarray) -> list[Finding]:
        """Decide on preprocessed pictures; those that cannot be graded get their reasons.

        Args:
            pictures: ``uint8`` RGB of shape (N, size, size, 3).
        """
        about, check = self.description, self.description.input_check
        scores, features = self._scores_and_features(pictures)
        try:
            found = findings_of(scores, about.label_schema, about.thresholds, self.margin)
        except InputError as error:
            raise InputError(f'{self.name}: {error}') from None
        if check is None:
            return found
        rows = [None] * len(pictures) if features is None else features
        return [
            refuse(finding, check.reasons(picture, row))
            for finding, picture, row in zip(found, pictures, rows, strict=True)
        ]
