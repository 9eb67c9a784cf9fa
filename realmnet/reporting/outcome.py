"""What became of one cell of an experiment: what the tables and figures are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from realmnet.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Outcome:
    """One cell of a sweep: its settings, the published numbers and the predictions, if it ran.

    Attributes:
        name: What the cell is called, ``'T_P 0.5, T_N 1'``.
        settings: Short name to value, ``{'T_P': 0.5, 'T_N': 1}``.
        published: Metric (precision, recall, F1, mAP, AUROC, hamming, ranking, coverage) to the
            number as printed; empty where the paper prints none.
        runs: One a seed: name of the list (``'val'``, ``'test'``, ``'test_SUSTech'``) to the
            predictions on it; empty where nothing ran.
        state: ``'done'``, ``'not run'``, ``'cut'`` or ``'failed'``.
        chosen: Whether the paper chose this cell (its red star).
        data: ``'synthetic'`` marks synthetic results, ``'quick'`` those of quick mode,
            ``'trial of own pictures'`` those of quick mode on real ones; ``''`` is real data.
        command: How to run it.
        lacking: Seeds that are not among the runs, in words; empty where all are.

    Example:
        >>> cell = Outcome('T_P 0.5, T_N 1', {'T_P': 0.5, 'T_N': 1}, {'F1': '0.8006'}, [])
        >>> cell.state
        'not run'
    """

    name: str
    settings: Mapping[str, object]
    published: Mapping[str, str]
    runs: Sequence[Mapping[str, Predictions]]
    state: str = 'not run'
    chosen: bool = False
    data: str = ''
    command: str = ''
    lacking: str = ''
