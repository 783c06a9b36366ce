"""Memory that was let go of, back to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

_ARROW_POOL = "ARROW_DEFAULT_MEMORY_POOL"
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_LARGE = 4 * 1024 * 1024
_ARENAS = 4


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
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_ARENA_MAX, _ARENAS)


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
