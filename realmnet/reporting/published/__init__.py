"""Numbers that the paper prints or the release contains, transcribed once, as data.

Printed numbers are kept as text, so that their digits are known.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def load(name: str) -> dict[str, Any]:
    """Load one of the JSON files of this folder.

    Args:
        name: File name without suffix, for instance ``psmm_tables``.

    Example:
        >>> load('psmm_tables')['A1']['LishuiZ']
        {'patients': '91', 'images': '220'}
    """
    return json.loads((Path(__file__).parent / f'{name}.json').read_text(encoding='utf-8'))
