"""One picture at a time, for a page: findings first, heat maps of single classes when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from realmnet.apis.inferencer import Inferencer
from realmnet.curation.borders import square
from realmnet.curation.pictures import read_any_picture
from realmnet.deployment.description import Preprocessing
from realmnet.errors import InputError
from realmnet.evaluation.findings import Finding
from realmnet.explain.methods import ATTENTION, GRADIENT_METHODS, Explainer
from realmnet.models.heads import ResidualAttentionHead
from realmnet.reporting.findings_table import display_name

#: Longer side of the picture that is shown, in pixels.
SHOWN_SIDE = 640


@dataclass
class Examined:
    """A picture with what was found in it; nothing of it is on the disk.

    Attributes:
        name: The file's name, on one line in printable characters.
        shown: What the network saw of the picture, larger and not stretched: ``uint8`` RGB.
        prepared: As the network saw it, ``uint8`` RGB (size, size, 3).
        finding: Scores and decisions.
        heat: Heat maps so far by class and method, ``float32`` (size, size) in [0, 1].
    """

    name: str
    shown: np.ndarray
    prepared: np.ndarray
    finding: Finding
    heat: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)


class Examiner:
    """Find and explain what single pictures show.

    Findings equal those of :meth:`Inferencer.predict`. One call at a time: the methods hang hooks
    into one network.

    Args:
        inferencer: The model.

    Attributes:
        methods: Methods of heat maps that the model allows.

    Example:
        >>> examiner = Examiner(Inferencer('model.pth'))                    # doctest: +SKIP
        >>> picture = examiner.examine('eye.jpg')                           # doctest: +SKIP
        >>> examiner.heat(picture, 'A2', 'attention').max()                 # doctest: +SKIP
        1.0
    """

    def __init__(self, inferencer: Inferencer) -> None:
        self.inferencer = inferencer
        self.description = inferencer.description
        has_attention = isinstance(inferencer.network.head, ResidualAttentionHead)
        self.methods = (*GRADIENT_METHODS, *([ATTENTION] if has_attention else []))
        names = self.description.explain_layers
        self._explainers = {m: Explainer(inferencer.network, m, layers=names) for m in self.methods}

    def compared_methods(self) -> tuple[str, str]:
        """Return the two methods to compare where none are named."""
        return 'gradcam++', ATTENTION if ATTENTION in self.methods else 'hirescam'

    def examine(self, path: str | Path) -> Examined:
        """Read a picture and find what it shows.

        Args:
            path: JPEG, PNG, TIFF, BMP or DICOM.

        Raises:
            InputError: If it cannot be read; the sentence names the file without its folder.
        """
        path = Path(path)
        name = display_name(path.name)
        try:
            prepared = self.inferencer.read(path)
            shown = _view(path, self.description.preprocessing, self.inferencer.max_pixels)
        except InputError as error:
            raise InputError(str(error).replace(str(path), name)) from None
        except MemoryError:
            raise InputError(f'{name}: does not fit into memory; take a smaller one') from None
        return Examined(name, shown, prepared, self.inferencer.findings(prepared[None])[0])

    def heat(self, picture: Examined, name: str, method: str) -> np.ndarray:
        """Explain one class by one method; the map is kept with the picture.

        Args:
            picture: From :meth:`examine`.
            name: The class.
            method: One of :attr:`methods`.

        Returns:
            ``float32`` (size, size) in [0, 1]; all 0 if the method finds no place.

        Raises:
            InputError: If there is no such class or method.
        """
        classes = self.description.classes
        if name not in classes or method not in self.methods:
            raise InputError(
                f'no heat map of {name!r} by {method!r}; the classes are {list(classes)}, the '
                f'methods {list(self.methods)}'
            )
        if (name, method) not in picture.heat:
            inputs = self.inferencer.trained.prepare(picture.prepared[None])
            maps = self._explainers[method].maps(inputs, [classes.index(name)])
            picture.heat[name, method] = maps[0, 0]
        return picture.heat[name, method]


def _view(path: Path, preprocessing: Preprocessing, max_pixels: int) -> np.ndarray:
    """Read what the network sees of a picture, at :data:`SHOWN_SIDE` and not stretched."""
    picture = read_any_picture(path, least_side=SHOWN_SIDE, max_pixels=max_pixels)
    picture = preprocessing.visible(picture)
    view = square(picture, SHOWN_SIDE, keep_aspect=True)
    if preprocessing.keep_aspect:
        return view
    height, width = picture.shape[:2]
    scale = SHOWN_SIDE / max(height, width)
    high, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (SHOWN_SIDE - high) // 2, (SHOWN_SIDE - wide) // 2
    return view[top : top + high, left : left + wide]
