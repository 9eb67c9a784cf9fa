"""Numbers that the paper prints or the release contains, transcribed once, as data."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

_FOLDER = Path(__file__).parent


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


def headline() -> pd.DataFrame:
    """Overall values with their printed intervals: model, metric, value, low, high, where."""
    return pd.read_csv(_FOLDER / 'headline.csv')
