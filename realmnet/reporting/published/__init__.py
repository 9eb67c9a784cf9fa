"""Numbers that the paper prints or the release contains, transcribed once, as data.

Numbers are kept as text wherever their digits matter. What is known to be wrong in print is data
too: :func:`misprints`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from realmnet.errors import InputError

#: Columns of Tables A5-A7 and metrics of the protocols, in the paper's order.
METRICS = ('precision', 'recall', 'F1', 'mAP', 'AUROC', 'hamming', 'ranking', 'coverage')
#: Columns of Tables A5-A7 that are settings.
ABLATIONS = {'A5': ('alpha',), 'A6': ('gamma', 'alpha'), 'A7': ('T_P', 'T_N')}

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Misprint:
    """Something printed that must not be copied as it stands.

    Attributes:
        key: Name.
        where: Tables and figures, as ``tools/report.py`` calls them.
        rows: Rows that it concerns; all where empty.
        kind: ``'misprint'``, ``'contradiction'``, ``'formula'``, ``'convention'`` (right, but not
            what it looks like) or ``'suspicion'`` (not proven).
        what: What is wrong, as a sentence.
        how: How that is known.
    """

    key: str
    where: tuple[str, ...]
    rows: tuple[str, ...]
    kind: str
    what: str
    how: str


@cache
def load(name: str) -> dict[str, Any]:
    """Load one of the JSON files of this folder; numbers are text, so that their digits are known.

    Args:
        name: File name without suffix, for instance ``psmm_tables``.

    Example:
        >>> load('psmm_tables')['A1']['LishuiZ']
        {'patients': '91', 'images': '220'}
    """
    return json.loads((_FOLDER / f'{name}.json').read_text(encoding='utf-8'))


def misprints(where: str = '') -> list[Misprint]:
    """Return what is known to be wrong in print.

    Args:
        where: Table or figure, ``'2'`` or ``'fig-3'``; everything where left out.

    Example:
        >>> [m.key for m in misprints('2')]
        ['copied-baselines', 'plus-minus']
    """
    found = [
        Misprint(**(entry | {'where': tuple(entry['where']), 'rows': tuple(entry['rows'])}))
        for entry in load('misprints')['misprints']
    ]
    return [misprint for misprint in found if not where or where in misprint.where]


def class_tables() -> pd.DataFrame:
    """Tables 1-3 as printed: columns table, model, metric, class, percent, plus_minus.

    ``percent`` is the value and ``plus_minus`` what follows "±", both in percent. The baseline
    rows of tables 2 (AP) and 3 (AUROC) are copies of table 1 in the paper, so they are no AP and
    no AUROC; the rows of RealMNet are.

    Example:
        >>> table = class_tables()
        >>> len(table)
        126
    """
    return pd.read_csv(_FOLDER / 'class_tables.csv')


def class_cells(metric: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Cells of one of Tables 1-3 with their digits, without the rows that are copies of Table 1.

    Args:
        metric: ``'F1'``, ``'AP'`` or ``'AUROC'``.

    Returns:
        Model to class to percent and what follows "±", as text.

    Example:
        >>> class_cells('F1')['RealMNet']['A4']
        ('66.7895', '0.3134')
        >>> list(class_cells('AP'))
        ['RealMNet', 'RealMNet-Max']
    """
    table = pd.read_csv(_FOLDER / 'class_tables.csv', dtype=str)
    copied = {
        (number, row) for m in misprints() if m.key == 'copied-baselines'
        for number in m.where for row in m.rows
    }  # fmt: skip
    cells: dict[str, dict[str, tuple[str, str]]] = {}
    for row in table[table['metric'] == metric].itertuples(index=False):
        if (row.table, row.model) not in copied:
            # the attribute `class` cannot be spelled
            cells.setdefault(row.model, {})[row[3]] = (row.percent, row.plus_minus)
    return cells


def class_values(
    model: str, classes: tuple[str, ...], column: str = 'percent'
) -> dict[str, list[float]]:
    """Values of one model as fractions: metric (F1, AP, AUROC) to one number a class.

    Args:
        model: ``'RealMNet'`` (384 px) or ``'RealMNet-Max'`` (512 px).
        classes: Order of the classes.
        column: ``'percent'`` or ``'plus_minus'``.

    Example:
        >>> round(class_values('RealMNet', ('S0', 'S1'))['F1'][0], 4)
        0.9378
    """
    table = class_tables()
    table = table[table['model'] == model].set_index(['metric', 'class'])[column] / 100
    return {
        metric: [float(table[metric, name]) for name in classes] for metric in ('F1', 'AP', 'AUROC')
    }


def class_targets(model: str, classes: tuple[str, ...]) -> list[dict[str, float]]:
    """Point values of one model class by class, as ``calibrated_scores`` takes them."""
    values = class_values(model, classes)
    return [{metric: column[i] for metric, column in values.items()} for i in range(len(classes))]


def ablation_table(number: str) -> pd.DataFrame:
    """Table A5, A6 or A7 as printed: settings, then :data:`METRICS`; all cells are text.

    Args:
        number: ``'A5'`` (alpha), ``'A6'`` (gamma, alpha) or ``'A7'`` (T_P, T_N).

    Raises:
        InputError: If there is no such table.

    Example:
        >>> ablation_table('A5').iloc[3].tolist()[:4]
        ['.75', '0.7805', '0.8716', '0.8229']
    """
    if number not in ABLATIONS:
        raise InputError(f'table {number!r} is no ablation table; use one of {list(ABLATIONS)}')
    return pd.read_csv(_FOLDER / f'table_{number}.csv', dtype=str)


def ablation_cell(number: str, **settings: float) -> dict[str, str]:
    """Printed metrics of one row of Table A5, A6 or A7; empty where there is no such row.

    Args:
        number: As for :func:`ablation_table`.
        settings: Values of its settings, compared as numbers; those left out match every row.

    Raises:
        InputError: If a setting is unknown, or several rows match.

    Example:
        >>> ablation_cell('A7', T_P=0.5, T_N=1)['F1'], ablation_cell('A5', alpha=0.3)
        ('0.8006', {})
    """
    table = ablation_table(number)
    names = ABLATIONS[number]
    unknown = sorted(set(settings) - set(names))
    if unknown:
        raise InputError(f'table {number} has no setting {unknown}; it has {list(names)}')
    for name, value in settings.items():
        table = table[table[name].astype(float) == float(value)]
    if len(table) > 1:
        raise InputError(f'{len(table)} rows of table {number} have {settings}; name all settings')
    return {metric: table[metric].iloc[0] for metric in METRICS} if len(table) else {}


def statements() -> pd.DataFrame:
    """Every result printed in running text, as text.

    Columns: model; protocol (centralized, main-source, cyclic-source, peripheral); target (test
    list or source); of (class, empty for the mean); metric; relation (``=``, or ``>`` for "over
    70%"); value, low, high (95 % interval); p (against the counterparts); where. Empty cells are
    not printed.

    Example:
        >>> table = statements()
        >>> table[table['target'] == 'SUSTech']['value'].tolist()
        ['0.7956', '0.8927', '0.9869']
    """
    return pd.read_csv(_FOLDER / 'headline.csv', dtype=str, keep_default_na=False)


def printed(protocol: str, target: str, model: str = 'RealMNet', of: str = '') -> dict[str, str]:
    """Numbers of running text for one model and test list: metric to value as printed.

    A bound is printed with its sign, ``'>0.70'``.

    Args:
        protocol: ``'centralized'``, ``'main-source'``, ``'cyclic-source'`` or ``'peripheral'``.
        target: ``'test'`` or a source.
        model: ``'RealMNet'`` or ``'RealMNet-Max'``.
        of: Class; ``''`` for overall values.

    Example:
        >>> printed('cyclic-source', 'Zhongshan')
        {'hamming': '0.0985', 'ranking': '0.0530'}
        >>> printed('main-source', 'Zhongshan')['F1']
        '>0.70'
    """
    wanted = {'protocol': protocol, 'target': target, 'model': model, 'of': of}
    return {
        row['metric']: row['relation'].replace('=', '') + row['value']
        for row in statements().to_dict('records')
        if all(row[key] == value for key, value in wanted.items())
    }


def headline() -> pd.DataFrame:
    """Overall values of the centralized protocol: model, metric, value, low, high, where.

    Example:
        >>> headline().set_index(['model', 'metric']).loc[('RealMNet', 'F1'), 'low']
        np.float64(0.7531)
    """
    table = statements()
    table = table[(table['protocol'] == 'centralized') & (table['of'] == '')]
    columns = ['model', 'metric', 'value', 'low', 'high', 'where']
    return table[columns].astype(dict.fromkeys(('value', 'low', 'high'), float))


def gains() -> pd.DataFrame:
    """Gains printed in running text: figure, model, from, to, metric, gain, where; all text.

    ``from`` and ``to`` are the names of the cells in the sweeps of these figures. Whether a gain
    is a difference of percent or a ratio, the paper does not say.

    Example:
        >>> gains()['gain'].tolist()
        ['10%', '10%', '1%', '3.5%', '6.7%', '3.2%']
    """
    return pd.read_csv(_FOLDER / 'gains.csv', dtype=str)
