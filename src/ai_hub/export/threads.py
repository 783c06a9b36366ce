"""The threads that exports work in, beneath those that answer requests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from ai_hub.export.cores import cores

_LOWER = 10
"""By how much an export gives way, as `nice` counts."""


_P = ParamSpec("_P")
_T = TypeVar("_T")


class Workers:
    """The threads that compute and encode, for all exports of a process: `count` at a time, by
    default one for each core that the process may use."""

    def __init__(self, count: int | None = None) -> None:
        self.count = cores() if count is None else count
        self._pool = threads("compute", self.count)

    def submit(self, work: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> Future[_T]:
        """Do some work after that of those who asked before."""
        return self._pool.submit(work, *arguments, **named)

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def threads(name: str, count: int = 1) -> ThreadPoolExecutor:
    """A pool of threads that give way to all others of the machine."""
    return ThreadPoolExecutor(count, f"ai-hub-export-{name}", initializer=_give_way)


def _give_way() -> None:
    # On Linux a thread has a priority of its own; elsewhere this would be the whole process's.
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER)
