"""All numbers of an evaluation, and their tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from realmnet.evaluation.metric_records import metric_of
from realmnet.evaluation.tables import lay_out, marked_rows, records_json, span

#: What is evaluated besides the diagnosis, whose parts are called by disease and unit.
PARTS = ('labels', 'consistent')
#: The part that holds predictive values at prevalences that the user states.
STATED = 'stated prevalence'


@dataclass(frozen=True)
class Row:
    """One number of an evaluation.

    Attributes:
        group: ``'all'`` or the value of the group.
        part: ``'labels'``, ``'consistent'`` (one class of each exclusive group), ``'<disease>, by
            <unit>'``, such as ``'pathologic myopia, by eye'``, or :data:`STATED`, where ``of``
            names class (and unit) with the prevalence: ``'A4 at 0.01'``.
        metric: Name.
        of: Class, or ``''`` for overall values.
        value: On the data themselves.
        low: Lower end of the 95 % interval.
        high: Upper end.
        convention: ``'sound'``, ``'published'``, or ``''`` without intervals.
        plus_minus: With ``published``: std / sqrt(replicates).
        positives: Positive images (or units) of the class.
        undefined: Replicates in which the metric is undefined.
        units: With ``sound``: effective number of patients (or images) that the number rests on,
            :func:`bootstrap.effective_units`; of a mean, that of its scarcest class.
        remark: What its reader must know: why there is no interval (``'one patient'``, ``'no
            spread'`` where all replicates are equal, ``'one class only'``), or on how few units
            the interval rests (``'2.9 patients'``); ``''`` otherwise.
    """

    group: str
    part: str
    metric: str
    of: str
    value: float
    low: float = np.nan
    high: float = np.nan
    convention: str = ''
    plus_minus: float = np.nan
    positives: int = -1
    undefined: int = 0
    units: float = np.nan
    remark: str = ''


@dataclass(frozen=True)
class Evaluation:
    """All numbers, and how to write them.

    Attributes:
        rows: The numbers.
        notes: Sentences that belong under every table.
        settings: How the numbers were made.
    """

    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    settings: dict = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether the pictures are drawn; every table then says so."""
        return bool(self.settings.get('synthetic'))

    @property
    def note_of_thresholds(self) -> str:
        """The sentence that says which thresholds decided."""
        return next(note for note in self.notes if note.startswith('Threshold'))

    def value(self, metric: str, of: str = '', convention: str | None = None, **where: str) -> Row:
        """Return one number; ``where`` gives group and part where they are not the default.

        Example:
            >>> evaluation.value('AUROC', 'A4').low                 # doctest: +SKIP
            0.9876
        """
        where = {'group': 'all', 'part': 'labels'} | where
        for row in self.rows:
            named = (row.metric, row.of) == (metric, of)
            if named and convention in (None, row.convention) and _matches(row, where):
                return row
        raise KeyError(f'{metric} of {of or "all classes"} is not part of this evaluation')

    def table(self, form: str = 'text') -> str:
        """Lay out the evaluation; see :data:`realmnet.evaluation.tables.FORMATS`.

        ``csv`` and ``json`` hold every row in full, the others the paper's tables: one block a
        group, part and convention, and the notes.
        """
        if form == 'json':
            rows = [asdict(row) for row in self.rows]
            return records_json({'settings': self.settings, 'notes': self.notes, 'rows': rows})
        if form == 'csv':
            header = list(Row.__dataclass_fields__)
            cells = [list(asdict(row).values()) for row in self.rows]
            return lay_out(*marked_rows(header, cells, self.synthetic), 'csv')
        blocks: dict[tuple, list[Row]] = {}
        for row in self.rows:
            blocks.setdefault((row.group, row.part, row.convention), []).append(row)
        texts = [
            text
            for key, rows in blocks.items()
            for text in (_title(key, form, self.synthetic), *_block(rows, form, self.synthetic))
        ]
        notes = [f'- {n}' if form == 'markdown' else f'% {n}' if form == 'latex' else n
                 for n in self.notes]  # fmt: skip
        return '\n\n'.join([*texts, '\n'.join(notes)])


def clinical_name(row: Row) -> str:
    """Return the name of a metric as clinicians say it, where the number is of the disease."""
    return row.metric if row.part in PARTS else metric_of(row.metric).clinical


def is_printed(row: Row) -> bool:
    """Whether tables for reading show the number; CSV and JSON hold all."""
    return metric_of(row.metric).shown != 'files'


def _title(key: tuple[str, str, str], form: str, synthetic: bool) -> str:
    group, part, convention = key
    mark = 'SYNTHETIC pictures' if synthetic else ''
    text = ', '.join(filter(None, [mark, part, '' if group == 'all' else group, convention]))
    return {'markdown': f'**{text}**', 'latex': f'% {text}'}.get(form, text)


def _block(rows: list[Row], form: str, synthetic: bool) -> list[str]:
    """Class table, with the means as its last row, and the further overall metrics."""
    # Titles and notes of the LaTeX form are comments, which are not printed.
    mark = synthetic and form == 'latex'
    classes = list(dict.fromkeys(row.of for row in rows if row.of))
    metrics = list(dict.fromkeys(row.metric for row in rows if row.of))
    if rows[0].part == 'labels':
        metrics = [m for m in metrics if metric_of(m).shown == 'table']
    cells = {(row.metric, row.of): row for row in rows}
    published_rows = rows[0].convention == 'published'

    def cell(metric: str, of: str) -> str:
        row = cells.get((metric, of)) or cells.get((metric_of(metric).mean, of))
        if row is None:
            return ''
        if published_rows and of:
            return f'{row.value:.4f} ± {row.plus_minus:.4f}' if np.isfinite(row.value) else '-'
        return span(row.value, row.low, row.high, remark=row.remark)

    positives = {row.of: row.positives for row in rows}
    body = [[c, str(positives[c]), *(cell(m, c) for m in metrics)] for c in classes]
    if any(not row.of for row in rows) and len(classes) > 1:
        body.append(['mean', '', *(cell(m, '') for m in metrics)])
    header = ['class', 'positives', *(m for m in metrics)]
    if rows[0].part not in PARTS:
        named = 'class' if rows[0].part == STATED else ''
        header = [named, 'positives', *(metric_of(m).clinical for m in metrics)]
    texts = [lay_out(*marked_rows(header, body, mark), form)]
    used = {metric_of(m).mean for m in metrics}
    others = [row for row in rows if not row.of and row.metric not in used and is_printed(row)]
    if others and len(classes) > 1:
        lines = [[r.metric, span(r.value, r.low, r.high, remark=r.remark)] for r in others]
        texts.append(lay_out(*marked_rows(['overall', 'value'], lines, mark), form))
    return texts


def _matches(row: Row, where: dict[str, str]) -> bool:
    return all(getattr(row, key) == value for key, value in where.items())
