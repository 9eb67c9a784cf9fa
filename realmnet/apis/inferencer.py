"""From pictures to findings with a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from realmnet.curation.pictures import MAX_PIXELS
from realmnet.deployment.model_file import load_model
from realmnet.deployment.network import features_and_logits
from realmnet.deployment.picture_model import PictureModel
from realmnet.deployment.torch_inputs import choose_device, network_inputs
from realmnet.errors import InputError
from realmnet.evaluation.findings import MARGIN
from realmnet.models.activation import probabilities


class Inferencer(PictureModel):
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
        network: The classifier, in evaluation mode.

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
        self.device = choose_device(device)
        network, description = load_model(checkpoint)
        super().__init__(str(checkpoint), description, batch_size, flip, max_pixels, margin)
        self.network = network.to(self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def _outputs(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = network_inputs(pictures, self.description, self.device)
        features, logits = features_and_logits(self.network, inputs)
        scores = probabilities(logits, self.description.label_schema.softmax_groups)
        return scores.cpu().double().numpy(), features.cpu().double().numpy()
