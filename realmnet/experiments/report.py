"""Tables and figures of the paper from whatever results exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

from matplotlib.figure import Figure
from mmengine.config import Config

from realmnet.curation.label_table import read_label_table
from realmnet.curation.listed_pictures import missing_pictures
from realmnet.curation.outputs import make_folder
from realmnet.curation.protocols import join_tables, read_splits
from realmnet.curation.synthetic import is_synthetic
from realmnet.curation.synthetic_marks import MARK
from realmnet.deployment.trained_model import TrainedModel
from realmnet.engine.config import datasets, load_config
from realmnet.errors import InputError
from realmnet.experiments.collect import collect, find_run
from realmnet.experiments.sweep import Sweep, read_sweep
from realmnet.explain.methods import Explainer
from realmnet.explain.pictures import classes_present, explain_picture
from realmnet.models.complexity import complexity
from realmnet.progress import Progress
from realmnet.reporting.border_tables import count_borders, table_a3, table_a4
from realmnet.reporting.dataset_report import dataset_contents
from realmnet.reporting.findings_table import NOTICE
from realmnet.reporting.heat_maps import explanation_sheet
from realmnet.reporting.measured import SYNTHETIC
from realmnet.reporting.model_table import TABLE_4_CONFIGS, model_table
from realmnet.reporting.outcome import Outcome
from realmnet.reporting.page import Section
from realmnet.reporting.paper import PAPER, Chart, Drawn, Item, Part, draw, misprint_notes
from realmnet.reporting.style import save_figure
from realmnet.reporting.tables import Table, mark_table, write_table


@dataclass
class Results:
    """Where results are, and what was read of them already.

    Attributes:
        roots: Folders of sweeps.
        data_root: Label files and pictures.
        people: CSV with age and sex of the patients.
        bootstrap: Replicates of the intervals.
        configs: Folder of the configs.
    """

    roots: Sequence[Path]
    data_root: Path = Path('data/PSMM')
    people: Path | None = None
    bootstrap: int = 1000
    configs: Path = Path('configs')
    _outcomes: dict[Path, tuple[Sweep, list[Outcome]]] = field(default_factory=dict)

    def outcomes(self, path: Path) -> tuple[Sweep, list[Outcome]]:
        """Read a sweep and what its cells gave, once."""
        if path not in self._outcomes:
            sweep = read_sweep(path)
            self._outcomes[path] = sweep, collect(sweep, self.roots)
        return self._outcomes[path]

    @cached_property
    def dataset(self) -> tuple[dict[str, Table], dict[str, Figure]]:
        """Tables and figures of the label files by name.

        Raises:
            InputError: If there are none.
        """
        tables, figures = dataset_contents(self.data_root, people=self.people)
        return {table.name: table for table in tables}, figures

    @property
    def synthetic(self) -> bool:
        """Whether the data root is a synthetic PSMM."""
        return is_synthetic(self.data_root)


def item_of(sweep: Sweep) -> Item:
    """The parts of the paper that read a sweep; a table and a chart where none does."""
    for item in PAPER.values():
        parts = [part for part in item.parts if _same_file(part.sweep, sweep.path)]
        if item.id == sweep.id and parts:
            return replace(item, parts=tuple(parts))
    return sweep_item(sweep)


def _same_file(part: str, path: Path) -> bool:
    return bool(part) and path.resolve() == Path('configs', part).resolve()


def sweep_item(sweep: Sweep) -> Item:
    """Make a table and charts of a sweep that is not of the paper."""
    keys = list(dict.fromkeys(key for cell in sweep.cells for key in cell.settings))
    numbers = [
        key for key in keys
        if all(type(cell.settings.get(key)) in (int, float) for cell in sweep.cells)
    ]  # fmt: skip
    form = Chart(sweep.name, 'bars')
    if numbers:
        x = numbers[-1]
        lines = tuple(key for key in keys if key != x)
        form = Chart(sweep.name, 'lines', dict(x=x, lines=lines))
    title = f'{sweep.id}: {sweep.title}'
    part = Part(sweep.name, title, 'sweep', str(sweep.path.resolve()), sweep.split, (form,))
    return Item(sweep.id, title, (part,))


def make_section(item: Item, results: Results, out: Path) -> Section:
    """Draw all parts of a table or figure, write its files, and describe it for the page.

    Args:
        item: From :data:`realmnet.reporting.paper.PAPER`, or of :func:`sweep_item`.
        results: Where to look.
        out: Folder for ``.md``, ``.csv``, ``.tex``, ``.pdf`` and ``.png`` files.

    Returns:
        The section, with what ran and what did not.

    Raises:
        InputError: If results cannot be read.
    """
    make_folder(out)
    tables: list[Table] = []
    figures: dict[str, Path] = {}
    notes = misprint_notes(item.id)
    states, synthetic = [], False
    for part in item.parts:
        drawn, state, made_up = _draw(part, results)
        synthetic |= made_up
        states.append(state if len(item.parts) == 1 else f'{part.name}: {state}')
        tables += drawn.tables
        for name, figure in drawn.figures.items():
            figures[name] = save_figure(figure, out, name)[1]
    for table in tables:
        write_table(table, out)
    return Section(item.id, item.title, '; '.join(states), tables, figures, notes, synthetic)


def _draw(part: Part, results: Results) -> tuple[Drawn, str, bool]:
    """Tables and figures of a part, its state in a few words, and whether it is synthetic."""
    if part.kind == 'drawing':
        return Drawn([]), 'a drawing, not reproduced', False
    if part.kind == 'published':
        tables = [table_a4()] if part.name == 'table_A4' else []
        return Drawn(tables), f'not reproduced: {part.why.rstrip(".")}', False
    if part.kind == 'dataset':
        return _from_labels(part, results)
    if part.kind == 'borders':
        return _borders(results)
    if part.name == 'table_4':
        counted = {
            model: asdict(complexity(load_config(path))) for model, path in TABLE_4_CONFIGS.items()
        }
        return Drawn([model_table(counted)]), 'counted', False
    if part.name == 'fig_5':
        return _heat_maps(part, results)
    sweep, outcomes = results.outcomes(results.configs / part.sweep)
    notes = [f'The paper: {sweep.says}'] if sweep.says else []
    if sweep.grid == 'ours' and sweep.id in PAPER:
        notes.append('The paper does not print the grid; this one is ours.')
    drawn = draw(part, outcomes, notes, results.bootstrap, Progress(f'cells of {part.name}'))
    state = f'{drawn.ran} of {drawn.cells} cells have results'
    return drawn, state, any(outcome.data in SYNTHETIC for outcome in outcomes if outcome.runs)


def _heat_maps(part: Part, results: Results) -> tuple[Drawn, str, bool]:
    """Explain the first test picture of each class with the RealMNet of Fig. 3a."""
    sweep = read_sweep(results.configs / 'protocols' / 'fig-3a_centralized.py')
    found = find_run(sweep, 'RealMNet', results.roots)
    if found is None:
        return Drawn([]), f'not made: RealMNet of Fig. 3a has not run; or: {part.why}', False
    folder, record = found
    checkpoint = folder / record.checkpoint
    trained = TrainedModel(checkpoint.parent / 'vis_data' / 'config.py', checkpoint)
    cfg = Config(record.config)
    (dataset,) = datasets(cfg, ['test'])
    root = Path(dataset.data_root)
    pictures = root / dataset.get('data_prefix', 'JPEGImages')
    truth = classes_present(read_label_table(root / dataset.ann_file, trained.schema), each=1)
    explainers = {'gradcam++': Explainer(trained.model, 'gradcam++')}
    rows = [
        row
        for name, present in truth.items()
        for row in explain_picture(
            pictures / name, trained, explainers, trained.schema.classes, truth=present
        )
    ]
    footer = f'Grad-CAM++ of RealMNet: heat shows what the model uses. {NOTICE}'
    if record.synthetic:
        footer = f'{MARK} {footer}'
    figure = explanation_sheet(rows, trained.schema.classes, trained.schema, footer)
    return Drawn([], {'fig_5': figure}), f'of {checkpoint}', record.synthetic


def _from_labels(part: Part, results: Results) -> tuple[Drawn, str, bool]:
    try:
        tables, figures = results.dataset
    except InputError as error:
        return Drawn([]), f'not made: {error}', False
    drawn = Drawn(_named(tables, part.name), _figures(figures, part.name))
    if drawn.tables or drawn.figures:
        return drawn, f'from {results.data_root}', results.synthetic
    lacking = {
        'fig_A1b': 'needs pictures in JPEGImages',
        'fig_A2': 'needs --people CSV with ID, age and sex',
    }
    return drawn, f'not made: {lacking.get(part.name, "needs pictures of two sources")}', False


def _named(tables: Mapping[str, Table], name: str) -> list[Table]:
    return [tables[name]] if name in tables else []


def _figures(figures: Mapping[str, Figure], name: str) -> dict[str, Figure]:
    return {name: figures[name]} if name in figures else {}


def _borders(results: Results) -> tuple[Drawn, str, bool]:
    try:
        table, _ = join_tables(read_splits(results.data_root))
    except InputError as error:
        return Drawn([table_a3(None)]), f'not counted: {error}', False
    folder = results.data_root / 'JPEGImages'
    if not folder.is_dir() or missing_pictures(table, folder):
        return Drawn([table_a3(None)]), f'not counted: {folder} lacks pictures', False
    counted = table_a3(count_borders(table, folder, Progress('pictures')))
    counted = mark_table(counted) if results.synthetic else counted
    return Drawn([counted]), f'counted in {folder}', results.synthetic
