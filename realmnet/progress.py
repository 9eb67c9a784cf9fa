"""How far a long job is, told on stderr."""

from __future__ import annotations

from tqdm import tqdm


class Progress:
    """A progress bar for functions that call back with (done, total).

    It appears once a job has taken more than two seconds.

    Args:
        what: Counted things, for instance ``'bootstrap replicates'``.

    Example:
        >>> progress = Progress('replicates')
        >>> progress(10, 1000)
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.bar: tqdm | None = None

    def __call__(self, done: int, total: int) -> None:
        """Report ``done`` of ``total``; fewer than before begins the next job."""
        if self.bar is None or done < self.bar.n:
            self.bar = tqdm(desc=self.what, total=total, delay=2, mininterval=1)
        self.bar.update(done - self.bar.n)
        if done == total:
            self.bar.close()
