"""What the paper shows, table by table and figure by figure, and what makes it here.

:data:`PAPER` is data; :func:`draw` turns the outcomes of a part into tables and figures. Fig. 1,
Fig. A1a and Fig. A3 are drawings and are not reproduced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from matplotlib.figure import Figure

from realmnet.curation.label_schema import PSMM
from realmnet.errors import InputError
from realmnet.reporting.grid_figures import heat_map_pairs, radar_figure
from realmnet.reporting.measured import Entry, entries_by_source, entries_of, same_pictures
from realmnet.reporting.model_tables import (
    class_value_tables,
    comparison_table,
    model_name,
    published_overall,
)
from realmnet.reporting.outcome import Outcome
from realmnet.reporting.published import gains, misprints, printed
from realmnet.reporting.sweep_figures import bar_figure, line_figure
from realmnet.reporting.sweep_tables import marked, sweep_table
from realmnet.reporting.tables import Table

#: How a part is made: ``dataset`` from the label files, ``borders`` from the original pictures,
#: ``classes``, ``comparison``, ``protocol`` and ``sweep`` from the outcomes of a sweep, ``tool``
#: by another command, ``published`` not at all (the printed numbers are shown), ``drawing`` not
#: at all.
KINDS = ('dataset', 'borders', 'classes', 'comparison', 'protocol', 'sweep', 'tool', 'published',
         'drawing')  # fmt: skip
#: Lesions of the peripheral data set.
PERIPHERAL = {'P0': 'NoPL', 'P1': 'LDoCRT', 'P2': 'HoT', 'P3': 'RRD', 'P4': 'PC'}

_NOTHING: Mapping = MappingProxyType({})


@dataclass(frozen=True)
class Chart:
    """One figure of a part.

    Attributes:
        name: File stem.
        form: ``'bars'``, ``'lines'``, ``'heat maps'`` or ``'radar'``.
        options: Arguments of the function that draws it.
        where: Settings of the cells that it shows; empty for all.
    """

    name: str
    form: str
    options: Mapping[str, object] = field(default_factory=dict)
    where: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A table or a panel of a figure.

    Attributes:
        name: File stem of its table.
        title: As in the paper.
        kind: One of :data:`KINDS`.
        sweep: The sweep file that it reads, relative to ``configs``.
        target: The list on which cells are compared; the protocol's name for ``protocol``.
        charts: Its figures.
        why: Why it is not reproduced, or what makes it (``tool``).
    """

    name: str
    title: str
    kind: str
    sweep: str = ''
    target: str = ''
    charts: tuple[Chart, ...] = ()
    why: str = ''


@dataclass(frozen=True)
class Item:
    """A table or figure of the paper.

    Attributes:
        id: As ``tools/report.py`` takes it.
        title: Heading.
        parts: What it consists of.
    """

    id: str
    title: str
    parts: tuple[Part, ...]


@dataclass
class Drawn:
    """What became of a part.

    Attributes:
        tables: Its tables.
        figures: File stem to figure.
        ran: Cells with results.
        cells: All cells.
    """

    tables: list[Table]
    figures: dict[str, Figure] = field(default_factory=dict)
    ran: int = 0
    cells: int = 0


def _sweep(number: str, title: str, file: str, target: str, *charts: Chart) -> Part:
    named = tuple(replace(chart, name=chart.name or number) for chart in charts)
    return Part(number, title, 'sweep', file, target, named)


def _chart(form: str, name: str = '', where: Mapping = _NOTHING, **options: object) -> Chart:
    return Chart(name, form, options, where)


def _classes(metric: str, number: str) -> Item:
    part = Part(f'table_{number}', f'Table {number}. {metric} of each class', 'classes',
                'protocols/fig-3a_centralized.py', 'test')  # fmt: skip
    return Item(number, f'Table {number}. Class-wise {metric}', (part,))


def _dataset(number: str, title: str) -> Item:
    name = f'table_{number}'
    return Item(number, f'Table {number}. {title}', (Part(name, title, 'dataset'),))


_SEGMENTATION = 'The pictures with outlines of the device were never published.'
_ITEMS = (
    _classes('F1', '1'),
    _classes('AP', '2'),
    _classes('AUROC', '3'),
    Item('4', 'Table 4. Models', (
        Part('table_4', 'Table 4. Parameters and operations', 'tool',
             why='tools/analysis_tools/model_complexity.py configs/myopia_models/*.py'),
    )),
    _dataset('5', 'Centralized inference protocol'),
    _dataset('6', 'Main-source robustness protocol'),
    _dataset('7', 'Cyclic-source generalizability protocol'),
    _dataset('A1', 'Overview of the data set'),
    _dataset('A2', 'Imbalance'),
    Item('A3', 'Table A3. Black borders', (Part('table_A3', 'Table A3', 'borders'),)),
    Item('A4', 'Table A4. Boundary segmentation', (
        Part('table_A4', 'Table A4', 'published', why=_SEGMENTATION),
    )),
    Item('A5', 'Table A5. α of the cross-entropy', (
        _sweep('table_A5', 'Table A5. α of the cross-entropy (γ = 0)', 'ablations/a5_alpha.py',
               'val', _chart('lines', x='alpha')),
    )),
    Item('A6', 'Table A6. γ of the focal loss', (
        _sweep('table_A6', 'Table A6. γ of the focal loss, with the best α',
               'ablations/a6_gamma.py', 'val', _chart('lines', x='gamma')),
    )),
    Item('A7', 'Table A7. Two-way loss', (
        _sweep('table_A7', 'Table A7. Temperatures of the two-way loss', 'ablations/a7_two_way.py',
               'val', _chart('heat maps', rows='T_P', columns='T_N')),
    )),
    Item('fig-1', 'Fig. 1. Overview', (Part('fig_1', 'Fig. 1', 'drawing'),)),
    Item('fig-2', 'Fig. 2. The data', (
        Part('fig_2a', 'Fig. 2a. Images of each class', 'dataset'),
        Part('fig_2b', 'Fig. 2b. Staphyloma and maculopathy together', 'dataset'),
    )),
    Item('fig-3', 'Fig. 3. Three protocols', (
        _sweep('fig_3a', 'Fig. 3a. Centralized inference', 'protocols/fig-3a_centralized.py',
               'test', _chart('bars')),
        Part('fig_3a_comparison', 'RealMNet against its counterparts', 'comparison',
             'protocols/fig-3a_centralized.py', 'test'),
        Part('fig_3b', 'Fig. 3b. Main-source robustness', 'protocol',
             'protocols/fig-3b_main-source.py', 'main-source', (Chart('fig_3b', 'bars'),)),
        Part('fig_3c', 'Fig. 3c. Cyclic-source generalizability', 'protocol',
             'protocols/fig-3c_cyclic-source.py', 'cyclic-source', (Chart('fig_3c', 'bars'),)),
    )),
    Item('fig-4', 'Fig. 4. Efficiency', (
        _sweep('fig_4a', 'Fig. 4a. Label efficiency', 'ablations/fig-4a_label_efficiency.py',
               'test', _chart('lines', x='share', lines=('size',), bounds=True)),
        _sweep('fig_4b', 'Fig. 4b. Parameter efficiency: frozen stages',
               'ablations/fig-4b_freezing.py', 'test', _chart('bars')),
        _sweep('fig_4c', 'Fig. 4c. Augmentation efficiency', 'ablations/fig-4c_augmentation.py',
               'test', _chart('bars')),
    )),
    Item('fig-5', 'Fig. 5. Heat maps', (
        Part('fig_5', 'Fig. 5. Grad-CAM++ of each class', 'tool',
             why='tools/visualization/explain.py MODEL PICTURES'),
    )),
    Item('fig-6', 'Fig. 6. Peripheral lesions', (
        Part('fig_6a', 'Fig. 6a. Peripheral lesions together', 'published',
             why='The peripheral pictures and labels were never published.'),
        _sweep('fig_6b', 'Fig. 6b. Transfer to peripheral lesions',
               'peripheral/fig-6_transfer.py', 'test', _chart('radar')),
    )),
    Item('fig-A1', 'Fig. A1. The lesions', (
        Part('fig_A1a', 'Fig. A1a. Field of view', 'drawing'),
        Part('fig_A1b', 'Fig. A1b. Sample pictures', 'dataset'),
    )),
    Item('fig-A2', 'Fig. A2. Age and sex', (Part('fig_A2', 'Fig. A2', 'dataset'),)),
    Item('fig-A3', 'Fig. A3. Architecture', (Part('fig_A3', 'Fig. A3', 'drawing'),)),
    Item('fig-A4', 'Fig. A4. Cost-sensitive calibration and classifier adaptation', (
        _sweep('fig_A4a', 'Fig. A4a. Asymmetric focusing and margin',
               'ablations/fig-a4a_asymmetric.py', 'val',
               _chart('lines', x='margin', lines=('gamma_pos', 'gamma_neg'),
                      grey=('gamma_neg', 2.0))),
        _sweep('fig_A4b', 'Fig. A4b. Residual attention: λ and heads',
               'ablations/fig-a4b_residual_attention.py', 'val',
               _chart('lines', 'fig_A4b_lambda', {'heads': 8}, x='lambda'),
               _chart('lines', 'fig_A4b_heads', {'lambda': 1.2}, x='heads')),
    )),
    Item('fig-A5', 'Fig. A5. Resampling, resolution, drop path', (
        _sweep('fig_A5a', 'Fig. A5a. Resampling methods', 'ablations/fig-a5a_resampling.py', 'val',
               _chart('lines', x='ratio', lines=('method',))),
        _sweep('fig_A5b', 'Fig. A5b. Input resolution', 'ablations/fig-a5b_resolution.py', 'val',
               _chart('lines', x='size')),
        _sweep('fig_A5c', 'Fig. A5c. Drop path rate', 'ablations/fig-a5c_drop_path.py', 'val',
               _chart('lines', x='rate')),
    )),
    Item('fig-A6', 'Fig. A6. Device boundaries and pretraining', (
        Part('fig_A6a', 'Fig. A6a. Boundary segmentation', 'published', why=_SEGMENTATION),
        Part('fig_A6b', 'Fig. A6b. Training without boundaries', 'published', why=_SEGMENTATION),
        _sweep('fig_A6c', 'Fig. A6c. Pretraining', 'ablations/fig-a6c_pretraining.py', 'test',
               _chart('bars')),
    )),
)  # fmt: skip
PAPER = {item.id: item for item in _ITEMS}


def find_item(number: str) -> Item:
    """Return a table or figure by its id, however it is spelled.

    Args:
        number: ``'A5'``, ``'fig-A4'``, ``'Fig. 3'``, ``'table 1'``.

    Raises:
        InputError: If the paper has no such table or figure.

    Example:
        >>> find_item('Fig. a4').id, find_item('table 1').id
        ('fig-A4', '1')
    """
    text = number.lower().replace('table', '').replace('fig.', 'fig').strip(' .-_')
    text = text.replace('fig', 'fig-').replace(' ', '').replace('--', '-').replace('_', '')
    for name, item in PAPER.items():
        if name.lower() == text:
            return item
    raise InputError(f'{number!r} is no table or figure of the paper; there are {", ".join(PAPER)}')


def misprint_notes(number: str) -> list[str]:
    """Sentences on what is known to be wrong in the print of a table or figure.

    Args:
        number: Its id.

    Example:
        >>> misprint_notes('A2')[0]
        'Misprint: The title says PSMM; the numbers are those of its training split.'
    """
    return [f'{m.kind.capitalize()}: {m.what}' for m in misprints(number)]


def draw(
    part: Part,
    outcomes: Sequence[Outcome],
    notes: Sequence[str] = (),
    bootstrap: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> Drawn:
    """Make the tables and figures of a part from the outcomes of its sweep.

    Args:
        part: Of the kind ``sweep``, ``protocol``, ``classes`` or ``comparison``.
        outcomes: Of the file :attr:`Part.sweep`, in its order.
        notes: Sentences for the table, what the paper says of the figure for instance.
        bootstrap: Replicates.
        progress: Called with the cells measured and their number.

    Returns:
        Tables, figures, and how many cells have results.

    Raises:
        InputError: If a cell lacks the setting that a figure is drawn over.
    """
    ran = sum(bool(outcome.runs) for outcome in outcomes)
    notes = [*notes, *(f'{o.name}: {o.lacking}.' for o in outcomes if o.lacking)]
    one_run = part.kind == 'comparison' or any(chart.form == 'radar' for chart in part.charts)
    if one_run and any(len(outcome.runs) > 1 for outcome in outcomes):
        notes.append('Of several seeds, the comparison and the radar plot show the first.')
    if part.kind == 'classes':
        classes = _class_names(outcomes)
        tables = class_value_tables(outcomes, classes, part.target, bootstrap, progress)
        found = [table for table in tables if table.name == part.name]
        found[0].notes[:0] = notes
        return Drawn(found, {}, ran, len(outcomes))
    if part.kind == 'comparison':
        table = comparison_table(outcomes, part.target, bootstrap=bootstrap)
        table = replace(table, name=part.name, notes=[*notes, *table.notes])
        return Drawn([table], {}, ran, len(outcomes))
    if part.kind == 'protocol':
        entries = entries_by_source(outcomes, part.target, bootstrap, progress=progress)
        ran, cells = sum(bool(e.estimates) for e in entries[:-1]), len(entries) - 1
    else:
        outcomes = [replace(o, published=_published(part, o)) for o in outcomes]
        entries = entries_of(outcomes, part.target, bootstrap, progress=progress)
        ran, cells = sum(bool(entry.estimates) for entry in entries), len(entries)
    different = same_pictures(outcomes, part.target)
    if part.name == 'fig_3a':
        notes = [*notes, 'Published F1 of the counterparts: the mean of the printed class values.']
    notes = [*notes, *([different] if different else [])]
    tables = [sweep_table(part.name, part.title, entries, notes=notes)]
    gained = gains_table(part, entries)
    if gained:
        tables.append(gained)
    figures = {
        chart.name: _figure(chart, part.title, entries, outcomes, bootstrap)
        for chart in part.charts
    }
    return Drawn(tables, figures, ran, cells)


def gains_table(part: Part, entries: Sequence[Entry]) -> Table | None:
    """Gains that running text prints for a figure, beside ours; None where it prints none.

    Args:
        part: The figure.
        entries: Its cells.
    """
    found = gains()
    found = found[found['figure'] == part.name.replace('_', '-')]
    cells = {entry.name: entry for entry in entries}
    rows = []
    for row in found.to_dict('records'):
        ends = [cells[row[end]].estimates.get(row['metric']) if row[end] in cells else None
                for end in ('from', 'to')]  # fmt: skip
        ours = ['not run', '']
        if all(ends):
            first, last = (end.value for end in ends)
            ours = [f'{100 * (last - first):+.1f} points', f'{100 * (last / first - 1):+.1f} %']
        rows.append([f'{row["from"]} → {row["to"]}', row['metric'], *ours, row['gain']])
    if not rows:
        return None
    header = ['Gain', 'Metric', 'ours', 'ours, relative', 'published']
    notes = ['Whether the printed gains are points or relative, the paper does not say.']
    title = marked(f'{part.title}: gains', entries)
    return Table(f'{part.name}_gains', title, header, rows, notes)


def _figure(
    chart: Chart, title: str, entries: Sequence[Entry], outcomes: Sequence[Outcome], bootstrap: int
) -> Figure:
    shown = [
        entry for entry in entries
        if all(entry.settings.get(key) == value for key, value in chart.where.items())
    ]  # fmt: skip
    if chart.where:
        title += ' ({})'.format(', '.join(f'{k} {v}' for k, v in chart.where.items()))
    if chart.form == 'bars':
        return bar_figure(title, shown, **chart.options)
    if chart.form == 'lines':
        return line_figure(title, shown, **chart.options)
    if chart.form == 'heat maps':
        return heat_map_pairs(title, shown, **chart.options)
    chosen = next((o for o in outcomes if o.chosen), outcomes[0])
    run = chosen.runs[0].get('test') if chosen.runs else None
    theirs = {'': printed('peripheral', 'test')}
    theirs |= {c: printed('peripheral', 'test', of=name) for c, name in PERIPHERAL.items()}
    classes = run.classes if run else tuple(PERIPHERAL)
    mine = [entry for entry in shown if entry.name == chosen.name]
    return radar_figure(marked(f'{title}, {chosen.name}', mine), run, classes, PERIPHERAL, theirs,
                        bootstrap=bootstrap)  # fmt: skip


def _published(part: Part, outcome: Outcome) -> Mapping[str, str]:
    """Printed numbers of a cell: its own, else those of running text."""
    if outcome.published:
        return outcome.published
    if part.name == 'fig_3a':
        return published_overall(model_name(outcome))
    if part.name == 'fig_6b' and outcome.chosen:
        return printed('peripheral', 'test')
    return {}


def _class_names(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    for outcome in outcomes:
        for run in outcome.runs:
            for predictions in run.values():
                return predictions.classes
    return PSMM.classes
