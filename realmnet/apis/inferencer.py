"""From pictures to findings with a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from realmnet.curation.pictures import MAX_PIXELS
from realmnet.deployment.picture_model import PictureModel
from realmnet.deployment.trained_model import TrainedModel
from realmnet.errors import InputError
from realmnet.evaluation.findings import MARGIN


class Inferencer(PictureModel):
    """Find what a checkpoint's classes say about pictures.

    Preprocessing, thresholds and classes come from the checkpoint. Scores equal those of
    ``tools/test.py`` on prepared pictures to 1e-5. Research software, not a medical device.

    Args:
        checkpoint: File of ``tools/deployment/pack.py``, or of a training; or a model that is
            loaded already, whose weights are then laid out for this.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, or ``'auto'``: a GPU if there is one. One that
            is loaded already stays where it is.
        batch_size: Pictures that go through the network together.
        flip: Average the scores of each picture and its mirror image, as ``test.py --tta``.
        max_pixels: Larger pictures are refused.
        margin: See :func:`realmnet.evaluation.findings.findings_of`.

    Attributes:
        description: What the checkpoint says of itself.
        trained: The model.
        network: Its classifier, in evaluation mode.

    Raises:
        InputError: If the checkpoint or the device cannot be used, or the batch size is below 1.

    Example:
        >>> inferencer = Inferencer('model.pth')                 # doctest: +SKIP
        >>> inferencer.predict('a.jpg').grade                    # doctest: +SKIP
        'A2'
    """

    def __init__(
        self,
        checkpoint: str | Path | TrainedModel,
        device: str = 'auto',
        batch_size: int = 8,
        flip: bool = False,
        max_pixels: int = MAX_PIXELS,
        margin: float = MARGIN,
    ) -> None:
        if batch_size < 1:
            raise InputError(f'the batch size is {batch_size}, expected 1 or more')
        if isinstance(checkpoint, TrainedModel):
            self.trained, name = checkpoint, checkpoint.name
        else:
            self.trained, name = TrainedModel(checkpoint, device=device), str(checkpoint)
        super().__init__(name, self.trained.description, batch_size, flip, max_pixels, margin)
        self.device = self.trained.device
        self.network = self.trained.model.to(memory_format=torch.channels_last)

    def _outputs(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, features = self.trained.outputs(self.trained.prepare(pictures))
        return scores.cpu().double().numpy(), features.cpu().double().numpy()
