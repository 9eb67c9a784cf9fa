"""All tables and figures about a data set in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from realmnet.curation.identifiers import SPELLINGS, picture_path, shared, spelling
from realmnet.curation.label_schema import PSMM, LabelSchema
from realmnet.curation.label_table import LabelTable, read_label_table
from realmnet.curation.listed_pictures import missing_pictures
from realmnet.curation.outputs import staged
from realmnet.curation.pictures import read_any_picture, refuse_outward
from realmnet.curation.protocols import (
    IMAGE_SETS,
    PUBLISHED_RESAMPLED,
    Counts,
    join_tables,
    protocol_sets,
    read_splits,
)
from realmnet.curation.sources import sources_of
from realmnet.curation.statistics import class_counts, label_flows, read_people
from realmnet.curation.synthetic import is_synthetic
from realmnet.curation.synthetic_marks import any_synthetic
from realmnet.errors import InputError
from realmnet.reporting.dataset_figures import (
    draw_class_counts,
    draw_flows,
    draw_people,
    draw_samples,
)
from realmnet.reporting.dataset_tables import protocol_tables, table_a1, table_a2
from realmnet.reporting.style import mark_synthetic, save_figure
from realmnet.reporting.tables import Table, mark_table, write_table


def write_report(
    data_root: str | Path,
    out: str | Path,
    pictures: str | Path | None = None,
    people: str | Path | None = None,
    source: str | None = None,
    schema: str | Mapping | LabelSchema = PSMM,
) -> list[Path]:
    """Write Tables A1, A2, 5, 6, 7 and Figures 2a, 2b, A1b, A2.

    All of them say so where the pictures are synthetic. What cannot be made is left out: the
    protocols where there are fewer than two sources or IDs name none, Fig. 2b where the schema has
    not two exclusive groups, A1b without pictures, A2 without ages.

    Args:
        data_root: Holds ``ImageSets/Main``.
        out: Folder for the results, which appear all or not at all.
        pictures: Picture folder; ``DATA_ROOT/JPEGImages`` by default.
        people: CSV with ``ID``, ``age``, ``sex``.
        source: Restricts Fig. A2 to patients of this source.
        schema: Of the label tables, see
            :func:`~realmnet.curation.label_schema.get_schema`.

    Returns:
        The files, relative to ``out``.

    Raises:
        InputError: If a label file or the table of people cannot be used.
    """
    tables, figures = dataset_contents(data_root, pictures, people, source, schema)
    with staged(out) as place:
        for item in tables:
            write_table(item, place)
        text = '\n'.join(item.to_markdown() for item in tables)
        (place / 'README.md').write_text(text, encoding='utf-8')
        for name, figure in figures.items():
            save_figure(figure, place, name)
        return sorted(path.relative_to(place) for path in place.iterdir())


def dataset_contents(
    data_root: str | Path,
    pictures: str | Path | None = None,
    people: str | Path | None = None,
    source: str | None = None,
    schema: str | Mapping | LabelSchema = PSMM,
) -> tuple[list[Table], dict[str, Figure]]:
    """Make the tables and figures of :func:`write_report`, which has the same arguments.

    Returns:
        Tables, and figures by file stem.
    """
    splits = read_splits(data_root, schema)
    table, rows = join_tables(splits)
    synthetic = is_synthetic(data_root) or any_synthetic(table.patients, table.filenames)
    whole = f'{"synthetic " * synthetic}{table.schema.name}'
    tables = [table_a1(table, whole), table_a2(splits['train'].labels, table.schema)]
    sources = set(sources_of(table.patients))
    if len(sources) > 1 and '' not in sources:
        sets = protocol_sets(table, rows)
        tables += protocol_tables(table, sets, _released(data_root, table.schema))
    ages = _people(people, table.patients, source)
    figures = {'fig_2a': draw_class_counts(class_counts(table, whole), table.schema)}
    if len(table.schema.exclusive) == 2:
        figures['fig_2b'] = draw_flows(label_flows(table, whole), table.schema)
    samples = _samples(table, Path(pictures or Path(data_root) / 'JPEGImages'))
    if samples is not None:
        figures['fig_A1b'] = samples
    if ages is not None:
        figures['fig_A2'] = draw_people(ages, source or whole)
    if synthetic:
        tables = [mark_table(item) for item in tables]
        for figure in figures.values():
            mark_synthetic(figure)
    return tables, figures


def _released(data_root: str | Path, schema) -> dict[str, Counts]:
    path = Path(data_root) / IMAGE_SETS / PUBLISHED_RESAMPLED
    if not path.is_file():
        return {}
    return {'': Counts.of(read_label_table(path, schema).patients)}


def _people(path: str | Path | None, patients, source: str | None):
    if path is None:
        return None
    people = read_people(path)
    known = set(patients)
    _, alike = shared(known, people['ID'], spelling)
    if alike := [pair for pair in alike if pair[1] not in known]:
        raise InputError(
            f'{path}: ID {alike[0][1]!r} is not in the label files, but {alike[0][0]!r} is; they '
            f'differ only by {SPELLINGS} ({len(alike)} such ID(s)); write ID as there'
        )
    chosen = people['ID'].isin(known)
    if source:
        chosen &= sources_of(people['ID']) == source
    if not chosen.any():
        raise InputError(
            f'{path}: none of its {len(people)} patient(s) is in the label files'
            + (f' and of source {source!r}' if source else '')
            + '; ID must be written as there'
        )
    return people[chosen]


def _samples(table: LabelTable, folder: Path) -> Figure | None:
    if not folder.is_dir():
        return None
    missing = set(missing_pictures(table, folder))
    present = [row for row, name in enumerate(table.filenames) if name not in missing]
    if not present:
        return None

    def read(name: str) -> np.ndarray:
        path = picture_path(folder, name)
        refuse_outward(path, folder)
        return read_any_picture(path)

    return draw_samples(table.take(present), read)
