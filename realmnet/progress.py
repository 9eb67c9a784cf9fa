"""How far a long job is, told on stderr."""

from __future__ import annotations

import sys
import time


class Progress:
    """A line on stderr that counts, once a job has taken more than two seconds.

    Args:
        what: Counted things, for instance ``'bootstrap replicates'``.

    Example:
        >>> progress = Progress('replicates')
        >>> progress(10, 1000)
    """

    def __init__(self, what: str) -> None:
        self.what, self.start, self.shown, self.last = what, time.monotonic(), 0.0, 0

    def __call__(self, done: int, total: int) -> None:
        """Report ``done`` of ``total``."""
        now = time.monotonic()
        if done < self.last:  # the next job of the same kind
            self.start, self.shown = now, 0.0
        self.last = done
        slow = now - self.start > 2
        if slow and (now - self.shown > 1 or (done == total and self.shown)):
            self.shown = now
            left = (now - self.start) / done * (total - done)
            start, end = ('\r', '') if sys.stderr.isatty() else ('', '\n')
            text = f'{start}{self.what}: {done} of {total}, about {left:.0f} s left '
            print(text, end='\n' if done == total else end, file=sys.stderr, flush=True)
