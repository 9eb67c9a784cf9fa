"""Which hospital a picture comes from, which eye it shows and when it was taken, from names.

PSMM writes the source before the first hyphen of ``ID`` and ``filename``. ShenzhenEye names carry
patient, eye and date (``ShenzhenEye-2415460_OD_2020-12-27_2.jpg``), LishuiR and LishuiZ patient,
date, time and eye (``LishuiR-027429_20230823@090310_R5.jpg``), Zhongshan patient and eye
(``Zhongshan-33_3_OD3.jpg``), SUSTech patient and index (``SUSTech-129_10.jpg``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Sources of PSMM, the main one first, in the order of the paper's Table A1.
PSMM_SOURCES = ('ShenzhenEye', 'SUSTech', 'LishuiR', 'Zhongshan', 'LishuiZ')


def sources_of(patients: Sequence[str] | np.ndarray) -> np.ndarray:
    """Take the source of each row from its patient identifier.

    Args:
        patients: Identifiers such as ``ShenzhenEye-2415460``, shape (N,).

    Returns:
        What stands before the first hyphen, ``''`` where there is none; shape (N,), object.

    Example:
        >>> sources_of(['SUSTech-34', '17']).tolist()
        ['SUSTech', '']
    """
    parts = [str(name).partition('-') for name in patients]
    return np.array([head if hyphen else '' for head, hyphen, _ in parts], dtype=object)


def order_sources(names: Sequence[str] | np.ndarray) -> list[str]:
    """List the distinct sources: those of PSMM in its order, then others by name.

    Args:
        names: One source a row.
    """
    present = set(names)
    return [s for s in PSMM_SOURCES if s in present] + sorted(present - set(PSMM_SOURCES))
