"""How command-line tools end when what they were given cannot be used."""

from __future__ import annotations

import sys
from collections.abc import Callable

from realmnet.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Call ``main``; print an :class:`InputError` as one line and exit with 1.

    Args:
        main: The tool, without arguments. Any other exception keeps its traceback, for it is a
            defect of the program and not of what the user handed in.

    Example:
        >>> run(lambda: None)
    """
    try:
        main()
    except InputError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(1)
