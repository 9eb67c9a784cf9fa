"""Measuring how many pictures a second several programs take, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median


def images_per_second(
    programs: Mapping[str, Callable[[], object]], images: int, rounds: int = 5
) -> dict[str, float]:
    """Time programs in turns, so that a busy moment of the machine meets all of them.

    Args:
        programs: Name to a program that takes ``images`` pictures; each runs once more, before.
        images: Pictures of one run.
        rounds: Measured runs of each.

    Returns:
        Name to ``images`` divided by the median time.

    Example:
        >>> sorted(images_per_second({'a': lambda: None, 'b': lambda: None}, images=4, rounds=1))
        ['a', 'b']
    """
    for program in programs.values():
        program()
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            start = time.perf_counter()
            program()
            seconds[name].append(time.perf_counter() - start)
    return {name: images / median(times) for name, times in seconds.items()}
