"""Table A3 (pictures with black borders) and Table A4 (published only)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from realmnet.curation.borders import find_field
from realmnet.curation.label_table import LabelTable
from realmnet.curation.pictures import read_any_picture, refuse_outward
from realmnet.curation.sources import order_sources, sources_of
from realmnet.reporting.dataset_tables import verdict
from realmnet.reporting.published import load
from realmnet.reporting.tables import Table

#: A border counts from this share of the width or the height on; the paper gives none.
MARGIN = 0.02
_KINDS = ('w/ Black Border', 'w/o Black Border')


def has_border(image: np.ndarray, margin: float = MARGIN) -> bool:
    """Whether a picture has a black outer border.

    Args:
        image: ``uint8`` of shape (H, W, 3) or (H, W).
        margin: Share of the width, or of the height, that must be border.

    Example:
        >>> image = np.full((100, 100), 90, np.uint8)
        >>> has_border(image), has_border(np.pad(image, 20))
        (False, True)
    """
    height, width = image.shape[:2]
    box = find_field(image)
    wide = 1 - (box.right - box.left) / width
    return wide >= margin or 1 - (box.bottom - box.top) / height >= margin


def count_borders(
    table: LabelTable, folder: str | Path, progress: Callable[[int, int], None] | None = None
) -> dict[str, tuple[int, int]]:
    """Count pictures with and without a black border, by source.

    Args:
        table: Names the pictures.
        folder: Holds them as they came from the camera; prepared pictures have no border left.
        progress: Called with the pictures done and their number.

    Returns:
        Source to the two counts.

    Raises:
        InputError: If a picture cannot be read.
    """
    sources = sources_of(table.patients)
    bordered = np.zeros(len(table), bool)
    for row, name in enumerate(table.filenames):
        refuse_outward(Path(folder) / name, folder)
        bordered[row] = has_border(read_any_picture(Path(folder) / name))
        if progress:
            progress(row + 1, len(table))
    return {
        source: (int((bordered & (sources == source)).sum()),
                 int((~bordered & (sources == source)).sum()))
        for source in order_sources(set(sources))
    }  # fmt: skip


def table_a3(counts: Mapping[str, tuple[int, int]] | None) -> Table:
    """Pictures with and without a black border, of the data set and its sources.

    Args:
        counts: From :func:`count_borders`; None shows the published numbers alone.
    """
    published = load('psmm_tables')['A3']
    ours = dict(counts or {})
    if ours:
        ours = {'PSMM': tuple(np.sum(list(ours.values()), axis=0).tolist()), **ours}
    names = list(dict.fromkeys([*published, *ours]))
    rows = []
    for i, kind in enumerate(_KINDS):
        values = [f'{ours[name][i]:,}' if name in ours else 'not counted' for name in names]
        theirs = [published.get(name, {}).get(kind, '–') for name in names]
        pairs = [(ours[n][i], t) for n, t in zip(names, theirs, strict=True) if n in ours]
        rows.append([kind, *values, verdict(pairs)])
        rows.append(['published', *theirs, ''])
    notes = [
        f'Counted: the visible field leaves at least {100 * MARGIN:g} % of the width or the height '
        'free. The paper says "significant" and gives no measure.'
    ]
    if not ours:
        notes = ['The counts need the pictures as they came from the camera.']
    return Table('table_A3', 'Table A3. Black borders', ['Data set', *names, 'Agreement'], rows,
                 notes)  # fmt: skip


def table_a4() -> Table:
    """Boundary segmentation: the published numbers, which nothing here can be set against."""
    published = load('psmm_tables')['A4']
    rows = [[kind, cells['accuracy'], cells['mIoU'], 'not reproduced']
            for kind, cells in published.items()]  # fmt: skip
    header = ['Boundary segmentation', 'published accuracy', 'published mIoU', 'ours']
    notes = ['The 412 pictures with outlines of the device were never published.']
    return Table('table_A4', 'Table A4. Boundary segmentation', header, rows, notes)
