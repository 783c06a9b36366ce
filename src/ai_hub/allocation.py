"""Memory that was let go of: kept for what comes next, or back to the system."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

_ARROW_POOL = "ARROW_DEFAULT_MEMORY_POOL"
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE, _TRIMMED = 4 * 1024 * 1024, 128 * 1024
_LARGEST, _MOST_KEPT = 32 * 1024 * 1024, 64 * 1024 * 1024
"""What the C library itself comes to where arrays of any size are let go of."""
_ARENAS = 4
_lock = threading.Lock()
_keepers = 0
_little = False


def keep_little() -> None:
    """Have the C library keep little of what is let go of: before anything is allocated.

    By itself it has an arena for each of many threads, and keeps in each the holes that arrays of
    up to 32 MiB leave behind. What is large has pages of its own here, which go back at once. So
    has what Arrow allocates, whose own pools keep more; where it was imported before, some of its
    own stay with those. Whoever set the environment's variables for it (MALLOC_ARENA_MAX,
    ARROW_DEFAULT_MEMORY_POOL) has what they say.
    """
    if _ARROW_POOL not in os.environ:
        os.environ[_ARROW_POOL] = "system"
        if "pyarrow" in sys.modules:
            arrow = sys.modules["pyarrow"]
            arrow.set_memory_pool(arrow.system_memory_pool())
    global _little
    _little = True
    _have({_MMAP_THRESHOLD: _LARGE, _ARENA_MAX: _ARENAS})


@contextmanager
def keeping() -> Iterator[None]:
    """Have the C library keep what is let go of while this lasts: for work that allocates the same
    again and again, as an export does for each chunk. New pages each time would take longer than
    much of what is computed in them.

    It keeps no more than 64 MiB behind what is in use, an arena. Where it was to keep little, it
    does so again once nobody is at such work, and what it kept goes back.
    """
    global _keepers
    with _lock:
        _keepers += 1
        if _keepers == 1:
            _have({_MMAP_THRESHOLD: _LARGEST, _TRIM_THRESHOLD: _MOST_KEPT})
    try:
        yield
    finally:
        with _lock:
            _keepers -= 1
            over = _little and not _keepers
            if over:
                _have({_MMAP_THRESHOLD: _LARGE, _TRIM_THRESHOLD: _TRIMMED})
        if over:
            give_back()


def _have(wanted: Mapping[int, int]) -> None:
    """Tell the C library, unless somebody did by the environment; others have no such thing."""
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        for parameter, value in wanted.items():
            library.mallopt(parameter, value)


def give_back() -> None:
    """Give back what Arrow and the C library keep for later: after much memory was taken, beside
    the loop.

    Both keep it for each thread that took it, until a process is as large as the largest requests
    of all threads together.
    """
    # Where it was never imported it has nothing.
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    # No other C library has it, or needs it.
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
