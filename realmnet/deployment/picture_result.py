"""What became of one picture of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realmnet.curation.content import Content
from realmnet.evaluation.findings import Finding


@dataclass(frozen=True)
class PictureResult:
    """A finding, or a problem in one sentence.

    Attributes:
        path: As it was given.
        finding: None if the picture could not be read.
        problem: Empty if it could.
        picture: As the network saw it, ``uint8`` RGB (size, size, 3); None with a problem.
        content: Of the file; None with a problem.
        notes: What is to be said about a picture that was read, as that its damage was accepted.
    """

    path: Path
    finding: Finding | None
    problem: str = ''
    picture: np.ndarray | None = None
    content: Content | None = None
    notes: tuple[str, ...] = ()
