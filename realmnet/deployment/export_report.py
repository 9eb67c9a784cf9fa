"""Exporting a model in all wanted forms, and a table of what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.label_table import LabelTable, read_label_table
from realmnet.curation.outputs import staged
from realmnet.curation.pictures import list_pictures, refuse_outward
from realmnet.deployment.description import ModelDescription
from realmnet.deployment.export import (
    Parity,
    compare,
    export_model,
    exported_scores,
    reference_scores,
)
from realmnet.deployment.quantization import write_int8
from realmnet.deployment.runtime import OnnxModel
from realmnet.deployment.speed import images_per_second
from realmnet.evaluation.metrics import all_metrics

#: Pictures compared where no label table says which.
MOST_PICTURES = 200
_BENCHMARKED = 8


@dataclass
class Exported:
    """One row of the table.

    Attributes:
        name: File name; ``network`` for the model that was exported.
        megabytes: Size of the file.
        parity: Comparison with the network; None for the network itself.
        mean_ap: mAP on the labelled pictures, if there are any.
        speed: Images per second, if measured.
    """

    name: str
    megabytes: float | None = None
    parity: Parity | None = None
    mean_ap: float | None = None
    speed: float | None = None


def export_all(
    network: nn.Module,
    description: ModelDescription,
    files: Sequence[Path],
    int8: bool = False,
    folder: Path | None = None,
    labels: Path | None = None,
    benchmark: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Exported]:
    """Export to each file, compare each with the network, and measure.

    Args:
        network: The model.
        description: Its description.
        files: ``.onnx`` and ``.pt2``.
        int8: Whether ``<name>_int8.onnx`` is written beside each ``.onnx``.
        folder: Pictures to compare on besides noise, the first :data:`MOST_PICTURES`.
        labels: Label table of ``folder``: then all its rows count, and mAP is computed.
        benchmark: Whether speed is measured.
        progress: Called with (done, total).

    Returns:
        A row for the network and one for each file.

    Raises:
        InputError: As for :func:`export_model`; or if the table has other classes than the model.
    """
    table = None if labels is None else _read_table(labels, description)
    pictures = _read_pictures(folder, table, description)
    rows = [Exported('network')]
    written: list[Path] = []
    for number, path in enumerate(files):
        parity = export_model(network, description, path, pictures)
        rows.append(Exported(path.name, path.stat().st_size / 1e6, parity))
        written.append(path)
        if int8 and path.suffix == '.onnx':
            small = path.with_name(f'{path.stem}_int8.onnx')
            with staged(small.parent) as place:
                write_int8(path, place / small.name)
                parity = compare(place / small.name, network, description, pictures)
            rows.append(Exported(small.name, small.stat().st_size / 1e6, parity))
            written.append(small)
        if progress:
            progress(number + 1, len(files))
    programs = {'network': lambda batch: reference_scores(network, description, batch)}
    programs |= {
        path.name: OnnxModel(path).scores if path.suffix == '.onnx' else exported_scores(path)
        for path in written
    }
    if table is not None:
        for row in rows:
            scores = np.concatenate([programs[row.name](p) for p in _chunks(pictures)])
            row.mean_ap = all_metrics(table.labels, scores, description.classes)['mAP']
    if benchmark:
        size = description.preprocessing.size
        batch = np.random.default_rng(1).integers(0, 256, (_BENCHMARKED, size, size, 3), np.uint8)
        speeds = images_per_second(
            {name: lambda f=program: f(batch) for name, program in programs.items()}, _BENCHMARKED
        )
        for row in rows:
            row.speed = speeds[row.name]
    return rows


def report(rows: Sequence[Exported]) -> str:
    """Write the rows as a table of plain text; columns that nothing was measured for are left out.

    Example:
        >>> print(report([Exported('network', speed=2.0),
        ...               Exported('a.onnx', 84.2, Parity(206, 2e-7, 0), speed=6.1)]))
        file           size   pictures   difference   findings changed   images/s
        network           -          -            -                  -        2.0
        a.onnx      84.2 MB        206      2.0e-07                  0        6.1
    """
    lines = [['file', 'size', 'pictures', 'difference', 'findings changed', 'mAP', 'images/s']]
    for row in rows:
        p = row.parity
        lines.append([
            row.name,
            '-' if row.megabytes is None else f'{row.megabytes:.1f} MB',
            *(['-'] * 3 if p is None else [f'{p.pictures}', f'{p.difference:.1e}', f'{p.changed}']),
            '' if row.mean_ap is None else f'{row.mean_ap:.4f}',
            '' if row.speed is None else f'{row.speed:.1f}',
        ])  # fmt: skip
    shown = [column for column in zip(*lines, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in shown]
    return '\n'.join(
        '   '.join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in zip(*shown, strict=True)
    )


def _read_table(labels: Path, description: ModelDescription) -> LabelTable:
    schema = LabelSchema(description.schema, description.classes, allow_empty=True)
    return read_label_table(labels, schema)


def _read_pictures(
    folder: Path | None, table: LabelTable | None, description: ModelDescription
) -> np.ndarray:
    size = description.preprocessing.size
    if folder is None:
        return np.zeros((0, size, size, 3), np.uint8)
    names = list_pictures(folder)[:MOST_PICTURES] if table is None else list(table.filenames)
    for name in names:
        refuse_outward(folder / name, folder)
    return np.stack([description.preprocessing.read(folder / name) for name in names])


def _chunks(pictures: np.ndarray) -> list[np.ndarray]:
    return [pictures[first : first + 32] for first in range(0, len(pictures), 32)]
