"""Pictures explained one by one: which ones, which classes, by which methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from realmnet.curation.borders import square
from realmnet.curation.label_table import LabelTable
from realmnet.curation.pictures import list_pictures, read_any_picture, refuse_outward
from realmnet.deployment.description import Preprocessing
from realmnet.deployment.trained_model import TrainedModel
from realmnet.errors import InputError
from realmnet.evaluation.findings import findings_of
from realmnet.explain.feature_maps import layers_at
from realmnet.explain.methods import ATTENTION, Explainer
from realmnet.reporting.heat_maps import ExplainedPicture


@dataclass(frozen=True)
class FoundPicture:
    """A picture that was named, or lies in a folder that was named.

    Attributes:
        name: Relative to that folder; of a picture that was named, its file name.
        path: The file.
        folder: The folder; None of a picture that was named.
    """

    name: str
    path: Path
    folder: Path | None = None


def find_pictures(
    places: Iterable[Path], unreadable: list[tuple[Path, str]] | None = None
) -> list[FoundPicture]:
    """List the pictures named and those in the folders named, each once, in order.

    Args:
        places: Files and folders.
        unreadable: As for :func:`realmnet.curation.pictures.list_pictures`.

    Raises:
        InputError: If a place does not exist, a folder has no picture, or two pictures have
            one name, so that results could not be told apart.
    """
    found: dict[str, FoundPicture] = {}
    for place in places:
        if place.is_dir():
            inside = list_pictures(place, unreadable)
            new = [FoundPicture(p.as_posix(), place / p, place) for p in inside]
        elif place.is_file():
            new = [FoundPicture(place.name, place)]
        else:
            raise InputError(f'{place}: no such file or folder; name a picture or a folder')
        for picture in new:
            earlier = found.setdefault(picture.name, picture)
            if not earlier.path.samefile(picture.path):
                raise InputError(
                    f'{earlier.path} and {picture.path} are both called {picture.name}; name the '
                    'folder above them, or explain them in two runs'
                )
    return list(found.values())


def classes_present(table: LabelTable, each: int | None = None) -> dict[str, frozenset[str]]:
    """Map file name to the classes present.

    Args:
        table: The labels.
        each: The first so many pictures of each class only, each picture once; None for all.
    """
    classes = table.schema.classes
    chosen = range(len(table))
    if each is not None:
        firsts: dict[int, None] = {}
        for column in table.labels.T:
            fresh = [int(i) for i in column.nonzero()[0] if int(i) not in firsts]
            firsts.update(dict.fromkeys(fresh[:each]))
        chosen = list(firsts)
    return {
        str(table.filenames[i]): frozenset(
            c for c, label in zip(classes, table.labels[i], strict=True) if label
        )
        for i in chosen
    }


def make_explainers(
    trained: TrainedModel,
    methods: Sequence[str],
    strides: Sequence[int] | None = None,
    views: int | None = None,
) -> dict[str, Explainer]:
    """Make an explainer for each method, and find out whether the model has the strides.

    Args:
        trained: The model.
        methods: As for :class:`Explainer`, like the other two.
        strides: See there.
        views: See there.

    Raises:
        InputError: As for :class:`Explainer`; or if the model has no map of a stride.
    """
    names = trained.description.explain_layers
    explainers = {
        method: Explainer(trained.model, method, strides, views, names) for method in methods
    }
    if set(methods) != {ATTENTION}:
        size = trained.description.preprocessing.size
        picture = torch.zeros(1, 3, size, size, device=trained.device)
        layers_at(trained.model, picture, strides, names)
    return explainers


def explain_picture(
    picture: Path | FoundPicture,
    trained: TrainedModel,
    explainers: Mapping[str, Explainer],
    classes: Sequence[str] | None = None,
    threshold: float | None = None,
    truth: frozenset[str] | None = None,
) -> list[ExplainedPicture]:
    """Explain one picture by each method.

    Args:
        picture: The picture.
        trained: The model.
        explainers: Method to what explains by it.
        classes: Classes to explain; None for those found.
        threshold: Score from which a class counts as found; None for what ``tools/infer.py``
            finds, by the thresholds stored with the model.
        truth: Classes that are present, where known.

    Returns:
        The picture with its maps, once a method.

    Raises:
        InputError: If the picture cannot be read, or is a link out of its folder.
    """
    if isinstance(picture, Path):
        picture = FoundPicture(picture.name, picture)
    if picture.folder is not None:
        refuse_outward(picture.path, picture.folder)
    about, schema = trained.description, trained.schema
    known = schema.classes
    try:
        inputs = trained.inputs([picture.path])
        shown = _as_seen(read_any_picture(picture.path), about.preprocessing)
    except MemoryError:
        raise InputError(f'{picture.path}: does not fit into memory; take it out') from None
    scores = about.recalibrated(trained.scores(inputs).cpu().numpy())
    (finding,) = findings_of(scores, schema, about.thresholds)
    found = finding.found
    if threshold is not None:
        found = [name for name in known if finding.scores[name] >= threshold]
    wanted = [name for name in known if name in (found if classes is None else classes)]
    rows = []
    for method, explainer in explainers.items():
        maps = {}
        if wanted:
            heat = explainer.maps(inputs, [known.index(name) for name in wanted])[0]
            maps = dict(zip(wanted, heat, strict=True))
        label = method if len(explainers) > 1 else ''
        rows.append(
            ExplainedPicture(
                picture.name, shown, maps, finding.scores, frozenset(found), truth, label
            )
        )
    return rows


def _as_seen(picture: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Crop and pad as the preprocessing does, and leave the resolution."""
    picture = preprocessing.visible(picture)
    if preprocessing.keep_aspect:
        picture = square(picture, max(picture.shape[:2]), keep_aspect=True)
    return picture
