"""Memory that was let go of, back to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


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
