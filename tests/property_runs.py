"""Property-based tests that run longer on demand.

REALMNET_HYPOTHESIS_MINUTES=20 python -m pytest tests/integration/test_one_reader.py
"""

import os
import time
from collections.abc import Callable

MINUTES = float(os.environ.get('REALMNET_HYPOTHESIS_MINUTES', 0))


def repeat(check: Callable[[], None]) -> None:
    """Run a property once, or with fresh examples for as many minutes as were asked for."""
    end = time.monotonic() + 60 * MINUTES
    check()
    while time.monotonic() < end:
        check()
