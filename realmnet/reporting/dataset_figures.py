"""Figures 2a, 2b, A1b and A2 of the paper: what a data set holds.

Every function returns a :class:`matplotlib.figure.Figure` that belongs to no window; see
:func:`~realmnet.reporting.style.save_figure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline

from realmnet.curation.label_schema import LabelSchema
from realmnet.curation.label_table import LabelTable
from realmnet.errors import InputError
from realmnet.reporting.style import class_colours, paper_style

#: Width of a full page in inches.
PAGE = 7.0


def draw_class_counts(counts: pd.DataFrame, schema: LabelSchema) -> Figure:
    """Draw the images of each class for the data set and each source (Fig. 2a).

    The axis is logarithmic, since classes differ by a factor of up to 39; every bar carries its
    number.

    Args:
        counts: From :func:`~realmnet.curation.statistics.class_counts`.
        schema: Gives names and colours.
    """
    columns = min(3, len(counts))
    lines = -(-len(counts) // columns)
    with paper_style():
        figure = Figure(figsize=(PAGE, 1.65 * lines), layout='constrained')
        axes = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
        top = 10 ** np.ceil(np.log10(max(10, counts.to_numpy().max())) + 0.4)
        for axis, (name, row) in zip(axes, counts.iterrows(), strict=False):
            places = np.arange(len(row))
            axis.barh(places, np.maximum(row, 0.5), color=class_colours(schema),
                      edgecolor='#333333', linewidth=0.4, height=0.78)  # fmt: skip
            for place, value in zip(places, row, strict=True):
                axis.annotate(f'{value:,}', (max(value, 0.5), place), (2, 0), va='center',
                              textcoords='offset points', fontsize=6)  # fmt: skip
            images = row[list(schema.exclusive[0])].sum() if schema.exclusive else None
            axis.set_title(f'{name} ({images:,} images)' if images is not None else str(name))
            axis.set_xscale('log')
            axis.set_xlim(0.5, top)
            axis.set_yticks(places, schema.class_names)
            axis.invert_yaxis()
            axis.tick_params(axis='y', length=0, pad=2)
            axis.tick_params(axis='x', which='minor', bottom=False)
        for axis in axes[max(0, len(counts) - columns) : len(counts)]:
            axis.set_xlabel('Images (log scale)')
        for axis in axes[len(counts) :]:
            axis.remove()
    return figure


def draw_flows(flows: Mapping[str, np.ndarray], schema: LabelSchema) -> Figure:
    """Draw how the classes of two groups occur together, as Sankey diagrams (Fig. 2b).

    Bands are as wide as the number of images; each side adds up to all images of the source.

    Args:
        flows: From :func:`~realmnet.curation.statistics.label_flows`.
        schema: With two exclusive groups.
    """
    columns = min(3, len(flows))
    lines = -(-len(flows) // columns)
    with paper_style():
        figure = Figure(figsize=(PAGE, 2.15 * lines), layout='constrained')
        axes = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
        for axis, (name, flow) in zip(axes, flows.items(), strict=False):
            _draw_sankey(axis, flow, schema)
            axis.set_title(f'{name} ({int(flow.sum()):,} images)')
        for axis in axes[len(flows) :]:
            axis.remove()
    return figure


def draw_samples(
    table: LabelTable,
    read: Callable[[str], np.ndarray],
    rows_per_class: int = 3,
    seed: int = 42,
) -> Figure:
    """Draw a sheet of sample pictures by class (Fig. A1b), from as many patients as can be.

    Args:
        table: Rows whose pictures exist.
        read: Gives the RGB picture of a file name.
        rows_per_class: Pictures a class.
        seed: Chooses the pictures.

    Raises:
        InputError: If no class has a picture.
    """
    schema = table.schema
    rng = np.random.default_rng(seed)
    used: set[str] = set()
    classes = len(schema.classes)
    labels, patients = table.labels, table.patients
    if not labels.any():
        raise InputError(f'{table.source}: no labelled picture to show')
    with paper_style():
        size = PAGE / classes
        figure = Figure(figsize=(PAGE, size * rows_per_class + 0.25))
        axes = figure.subplots(rows_per_class, classes, squeeze=False)
        figure.subplots_adjust(0, 0, 1, 1 - 0.25 / figure.get_figheight(), 0.03, 0.03)
        for axis in axes.ravel():
            axis.set_axis_off()
        # rare classes choose first
        for column in np.argsort(labels.sum(0), kind='stable'):
            bag = rng.permutation(np.flatnonzero(labels[:, column])).tolist()
            chosen: list[int] = []
            while bag and len(chosen) < rows_per_class:
                row = next((r for r in bag if patients[r] not in used), bag[0])
                bag.remove(row)
                chosen.append(row)
                used.add(patients[row])
            axes[0, column].set_title(schema.class_names[column], pad=3)
            for line, row in enumerate(chosen):
                axes[line, column].imshow(read(table.filenames[row]), aspect='equal')
    return figure


def draw_people(people: pd.DataFrame, title: str = '') -> Figure:
    """Draw age and sex of patients: numbers by ten years, and the spread of ages (Fig. A2).

    Args:
        people: From :func:`~realmnet.curation.statistics.read_people`.
        title: Above the figure.
    """
    colours = {'F': '#d95f8c', 'M': '#3a78b5'}
    names = {'F': 'Female', 'M': 'Male'}
    with paper_style():
        figure = Figure(figsize=(PAGE, 2.6), layout='constrained')
        left, right = figure.subplots(1, 2, width_ratios=[4, 1])
        top = int(people['age'].max() // 10 + 1) * 10
        edges = np.arange(0, top + 1, 10)
        for offset, sex in ((-2.1, 'F'), (2.1, 'M')):
            ages = people.loc[people['sex'] == sex, 'age']
            number, _ = np.histogram(ages, [*edges[:-1], top + 1e-9])
            bars = left.bar(edges[:-1] + 5 + offset, number, 4.2, color=colours[sex],
                            label=f'{names[sex]} ({len(ages):,})')  # fmt: skip
            left.bar_label(bars, [f'{n:,}' if n else '' for n in number], fontsize=5.2, padding=1)
        left.set_xticks(edges[:-1] + 5, [f'{a}–{a + 9}' for a in edges[:-1]])
        left.set_xlabel('Age (years)')
        left.set_ylabel('Patients')
        left.legend(frameon=False)
        groups = [people.loc[people['sex'] == sex, 'age'] for sex in 'FM']
        boxes = right.boxplot(
            groups, widths=0.55, patch_artist=True, tick_labels=['Female', 'Male'],
            medianprops={'color': 'black', 'linewidth': 1}, boxprops={'linewidth': 0.6},
            whiskerprops={'linewidth': 0.6}, capprops={'linewidth': 0.6},
            flierprops={'markersize': 1.5, 'markeredgewidth': 0.4},
        )  # fmt: skip
        for box, sex in zip(boxes['boxes'], 'FM', strict=True):
            box.set_facecolor(colours[sex])
        right.set_ylabel('Age (years)')
        if title:
            figure.suptitle(title, fontsize=8)
    return figure


def _draw_sankey(axis, flow: np.ndarray, schema: LabelSchema) -> None:
    """Draw the bands of one source on an empty axis."""
    groups = schema.exclusive
    place = {name: i for i, name in enumerate(schema.classes)}
    colours = class_colours(schema)
    total, gap, width = flow.sum(), 0.035, 0.045
    sides = [flow.sum(1) / total, flow.sum(0) / total]
    starts = []
    for share in sides:
        # the side with fewer nodes is spread to the same height
        space = gap * (max(map(len, sides)) - 1) / max(len(share) - 1, 1)
        starts.append(np.concatenate([[0], np.cumsum(share + space)[:-1]]))
    left_at, right_at = starts[0].copy(), starts[1].copy()
    for i, j in np.ndindex(flow.shape):
        height = flow[i, j] / total
        if not height:
            continue
        a, b = left_at[i], right_at[j]
        left_at[i] += height
        right_at[j] += height
        colour = colours[place[groups[1][j]]]
        axis.add_patch(PathPatch(_band(width, 1 - width, a, b, height), facecolor=colour,
                                 alpha=0.55, linewidth=0.2, edgecolor=colour))  # fmt: skip
    bottom = max(s[-1] + h[-1] for s, h in zip(starts, sides, strict=True))
    for side, (x, begins, share, group, align, text_x) in enumerate(
        (
            (0, starts[0], sides[0], groups[0], 'right', -0.03),
            (1 - width, starts[1], sides[1], groups[1], 'left', 1.03),
        )
    ):
        centres = begins + share / 2
        middles = _spread(centres, 0.075 * bottom, bottom * 0.985)
        for k, name in enumerate(group):
            colour = colours[place[name]]
            axis.add_patch(Rectangle((x, begins[k]), width, share[k], facecolor=colour,
                                     edgecolor='#333333', linewidth=0.4))  # fmt: skip
            number = round(share[k] * total)
            text = f'{schema.class_names[place[name]]} {number:,}'
            moved = abs(middles[k] - centres[k]) > 0.012
            axis.text(text_x + (0.05 if moved and side else 0), middles[k], text, ha=align,
                      va='center', fontsize=6)  # fmt: skip
            if moved and number:
                axis.plot([1.005, text_x + 0.04], [centres[k], middles[k]], color='#777777',
                          linewidth=0.4, clip_on=False)  # fmt: skip
    axis.set_xlim(-0.42, 1.5)
    axis.set_ylim(bottom * 1.02, -0.02 * bottom)
    axis.set_axis_off()


def _band(x0: float, x1: float, a: float, b: float, height: float) -> Outline:
    middle = (x0 + x1) / 2
    points = [
        (x0, a), (middle, a), (middle, b), (x1, b),
        (x1, b + height), (middle, b + height), (middle, a + height), (x0, a + height), (x0, a),
    ]  # fmt: skip
    curve = [Outline.CURVE4] * 3
    return Outline(points, [Outline.MOVETO, *curve, Outline.LINETO, *curve, Outline.CLOSEPOLY])


def _spread(places: np.ndarray, least: float, last: float) -> np.ndarray:
    """Move ascending text positions apart to at least ``least``, none beyond ``last``."""
    places = places.astype(float).copy()
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + least)
    limit = last
    for i in range(len(places) - 1, -1, -1):
        places[i] = min(places[i], limit)
        limit = places[i] - least
    return places
