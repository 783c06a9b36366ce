"""The threads that exports work in, beneath those that answer requests."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

_LOWER = 10
"""By how much an export gives way, as `nice` counts."""


def threads(name: str, count: int = 1) -> ThreadPoolExecutor:
    """A pool of threads that give way to all others of the machine."""
    return ThreadPoolExecutor(count, f"ai-hub-export-{name}", initializer=_give_way)


def _give_way() -> None:
    # On Linux a thread has a priority of its own; elsewhere this would be the whole process's.
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER)
