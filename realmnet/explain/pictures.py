"""Pictures explained one by one: which classes, by which methods, with the truth where known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from realmnet.curation.label_table import LabelTable
from realmnet.datasets.transforms.loading import read_picture
from realmnet.explain.loading import TrainedModel
from realmnet.explain.methods import Explainer
from realmnet.reporting.heat_maps import ExplainedPicture


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


def explain_picture(
    path: Path,
    trained: TrainedModel,
    explainers: Mapping[str, Explainer],
    classes: Sequence[str] | None = None,
    threshold: float = 0.5,
    truth: frozenset[str] | None = None,
) -> list[ExplainedPicture]:
    """Explain one picture by each method.

    Args:
        path: The picture.
        trained: The model.
        explainers: Method to what explains by it.
        classes: Classes to explain; None for those with a score of ``threshold`` or more.
        threshold: For ``classes=None``.
        truth: Classes that are present, where known.

    Returns:
        The picture with its maps, once a method.

    Raises:
        InputError: If the picture cannot be read.
    """
    known = trained.schema.classes
    inputs = trained.inputs([path])
    scores = dict(zip(known, trained.scores(inputs)[0].tolist(), strict=True))
    found = [name for name in known if scores[name] >= threshold]
    wanted = found if classes is None else [name for name in known if name in classes]
    picture = read_picture(path, str(path))[..., ::-1]
    rows = []
    for method, explainer in explainers.items():
        maps = {}
        if wanted:
            heat = explainer.maps(inputs, [known.index(name) for name in wanted])[0]
            maps = dict(zip(wanted, heat, strict=True))
        shown = method if len(explainers) > 1 else ''
        rows.append(ExplainedPicture(path.name, picture, maps, scores, truth, shown))
    return rows
