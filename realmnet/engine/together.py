"""Processes of one training that fail together, so that none waits for another."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from mmengine.dist import broadcast_object_list, is_main_process

from realmnet.errors import InputError

# Seconds that the main process has for its sentence; a launcher stops all once one has ended.
_HEAD_START = 2
_T = TypeVar('_T')


def on_main(work: Callable[[], _T]) -> _T:
    """Do something in the main process and give every process the result.

    Raises:
        InputError: In the main process, if it fails there; the others end without a word.
    """
    answer: list[Any] = [None, False]
    if is_main_process():
        try:
            answer[0] = work()
        except InputError:
            answer[1] = True
            broadcast_object_list(answer)
            raise
    broadcast_object_list(answer)
    if answer[1]:
        end_quietly()
    return answer[0]


def fail_together(error: InputError) -> NoReturn:
    """Raise in the main process and end the others, where all know of the error."""
    if is_main_process():
        raise error
    end_quietly()


def end_quietly() -> NoReturn:
    """End a process of which the main one says why."""
    time.sleep(_HEAD_START)
    sys.exit(1)
