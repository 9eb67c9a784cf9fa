"""Heat maps of a synthetic test set against its lesion masks and against baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from realmnet.curation.label_table import LabelTable, read_label_table
from realmnet.curation.pictures import read_any_picture
from realmnet.curation.synthetic.writer import MASKS, PICTURES, SPLITS, read_record
from realmnet.deployment.trained_model import TrainedModel
from realmnet.errors import InputError
from realmnet.evaluation.tables import span
from realmnet.explain.localisation import (
    centre_map,
    energy_inside,
    faithfulness,
    mean_interval,
    mean_mask_map,
    pointing_game,
    random_map,
)
from realmnet.explain.methods import Explainer

BASELINE = 'mean training mask'
_BATCH = 16


@dataclass(frozen=True)
class Localisation:
    """Values of every picture, method and class.

    Attributes:
        classes: The classes, C of them.
        patients: Patient of each picture, shape (N,).
        hits: By method, pointing game, shape (N, C); NaN where the picture has not the class.
        energy: By method, share of the heat in the lesion, shape (N, C).
        deletion: By method, area under the deletion curve, shape (N, C); empty if not asked for.
        insertion: By method, area under the insertion curve.
    """

    classes: tuple[str, ...]
    patients: np.ndarray
    hits: dict[str, np.ndarray]
    energy: dict[str, np.ndarray]
    deletion: dict[str, np.ndarray]
    insertion: dict[str, np.ndarray]

    def difference(
        self, method: str, classes: Sequence[str] = (), to: str = BASELINE
    ) -> tuple[float, float, float]:
        """Mean over the classes of the paired difference in hits, with its 95 % interval.

        Args:
            method: A key of ``hits``.
            classes: Which classes; all if empty.
            to: The key of what it is compared with.
        """
        columns = [self.classes.index(c) for c in classes or self.classes]
        both = self.hits[method][:, columns] - self.hits[to][:, columns]
        return mean_interval(both, self.patients)

    def tables(self) -> dict[str, tuple[list[str], list[list[str]]]]:
        """Title to header and rows: values of every method, and differences to the baseline."""
        result = {}
        kinds = {
            'pointing game': self.hits,
            'energy inside the lesion': self.energy,
            'area under the deletion curve (lower is better)': self.deletion,
            'area under the insertion curve (higher is better)': self.insertion,
        }
        for title, values in kinds.items():
            if values:
                result[title] = self._table(values)
        others = [name for name in self.hits if name != BASELINE]
        gain = {name: self.hits[name] - self.hits[BASELINE] for name in others}
        result[f'pointing game minus that of the {BASELINE}'] = self._table(gain)
        return result

    def _table(self, values: Mapping[str, np.ndarray]) -> tuple[list[str], list[list[str]]]:
        present = np.isfinite(next(iter(values.values()))).sum(0)
        header = ['', *(f'{c} (n={n})' for c, n in zip(self.classes, present, strict=True)), 'mean']
        rows = []
        for name, array in values.items():
            parts = [*(array[:, [i]] for i in range(array.shape[1])), array]
            rows.append([name, *(span(*mean_interval(p, self.patients), digits=2) for p in parts)])
        return header, rows


def read_masks(root: Path, name: str, filenames: Sequence[str]) -> np.ndarray:
    """Read the lesion masks of a class, ``(N, H, W)`` bool.

    Raises:
        InputError: If one is not there.
    """
    masks = []
    for filename in filenames:
        path = (root / MASKS / name / filename).with_suffix('.png')
        if not path.is_file():
            raise InputError(
                f'{path}: no lesion mask there; give a folder made by '
                'tools/dataset_tools/make_synthetic.py'
            )
        masks.append(read_any_picture(path)[..., 0] > 0)
    return np.stack(masks)


def localise(
    trained: TrainedModel,
    explainers: Mapping[str, Explainer],
    root: Path,
    train_root: Path,
    split: str = 'test',
    classes: Sequence[str] | None = None,
    tolerance: float = 0.0,
    curves: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Localisation:
    """Explain the pictures of a synthetic split and judge every map by its mask.

    A class is judged on the pictures that have it, found or not. Pictures must come out of the
    pipeline in the size of their masks.

    Args:
        trained: The model.
        explainers: What is compared, by name.
        root: The synthetic data set.
        train_root: The one whose training masks make the baseline: that of the training.
        split: ``val`` (to choose settings) or ``test``.
        classes: Classes with masks; where left out, those that mean the disease. (Tessellation of
            PSMM, which does not, has a mask too, of half the pole.)
        tolerance: Of the pointing game, in pixels.
        curves: Compute deletion and insertion too, with the score of the class.
        progress: Called with pictures done and their number, summed over the classes.

    Returns:
        The values; beside the explainers stand the baselines ``mean training mask``, ``centre``,
        ``noise`` and, for each explainer, ``<name> of another class``.

    Raises:
        InputError: If the folder is no synthetic data set, or a class has no mask or no picture.
    """
    for folder in (root, train_root):
        if read_record(folder) is None:
            raise InputError(f'{folder}: not a synthetic data set, synthetic.json is missing')
    known, classes = trained.schema.classes, tuple(classes or trained.schema.diagnosis)
    if not classes:
        raise InputError(
            f'schema {trained.schema.name!r} says of no class that it means a disease; name the '
            'classes whose lesions are judged'
        )
    without = [c for c in classes if c not in known or not (root / MASKS / c).is_dir()]
    if without:
        raise InputError(f'class {without[0]} has no lesion masks in {root}')
    train = read_label_table(train_root / SPLITS['train'], trained.schema)
    table = read_label_table(root / SPLITS[split], trained.schema)
    rows_of = {c: np.flatnonzero(table.labels[:, known.index(c)]) for c in classes}
    total, done = sum(map(len, rows_of.values())), 0
    kinds = ('hits', 'energy', 'deletion', 'insertion') if curves else ('hits', 'energy')
    values: dict[str, dict[str, np.ndarray]] = {
        kind: {} for kind in ('hits', 'energy', 'deletion', 'insertion')
    }

    def put(kind: str, method: str, rows: np.ndarray, column: int, numbers: np.ndarray) -> None:
        empty = np.full((len(table), len(classes)), np.nan)
        values[kind].setdefault(method, empty)[rows, column] = numbers

    for column, name in enumerate(classes):
        index, other = known.index(name), known.index(classes[(column + 1) % len(classes)])
        mean_mask = _mean_training_mask(train_root, name, train, index)
        for start in range(0, len(rows_of[name]), _BATCH):
            rows = rows_of[name][start : start + _BATCH]
            filenames = [str(f) for f in table.filenames[rows]]
            inputs = trained.inputs([root / PICTURES / f for f in filenames])
            masks = read_masks(root, name, filenames)
            maps = _baselines(mean_mask, masks.shape, int(rows[0]))
            for label, explainer in explainers.items():
                both = explainer.maps(inputs, [index, other])
                maps[label], maps[f'{label} of another class'] = both[:, 0], both[:, 1]
            pictures = inputs.cpu().numpy()
            for label, heat in maps.items():
                put('hits', label, rows, column, pointing_game(heat, masks, tolerance))
                put('energy', label, rows, column, energy_inside(heat, masks))
                if 'deletion' in kinds:
                    curve = faithfulness(pictures, heat, _score(trained, index))
                    put('deletion', label, rows, column, curve.deletion_area)
                    put('insertion', label, rows, column, curve.insertion_area)
            done += len(rows)
            if progress:
                progress(done, total)
    return Localisation(classes, table.patients, **values)


def _mean_training_mask(root: Path, name: str, train: LabelTable, index: int) -> np.ndarray:
    present = train.filenames[np.flatnonzero(train.labels[:, index])]
    if not len(present):
        raise InputError(f'{root}: no training picture has class {name}, so no mean mask is known')
    return read_masks(root, name, [str(f) for f in present])


def _baselines(training: np.ndarray, shape: tuple[int, int, int], seed: int) -> dict:
    return {
        BASELINE: mean_mask_map(training, shape[0]),
        'centre': centre_map(shape),
        'noise': random_map(shape, seed),
    }


def _score(trained: TrainedModel, index: int) -> Callable[[np.ndarray], np.ndarray]:
    def score(pictures: np.ndarray) -> np.ndarray:
        inputs = torch.from_numpy(np.ascontiguousarray(pictures, np.float32)).to(trained.device)
        return trained.scores(inputs)[:, index].cpu().numpy()

    return score
