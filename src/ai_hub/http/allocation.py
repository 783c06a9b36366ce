"""Memory that was let go of, back to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Give back what the C library keeps for later: after much memory was taken, beside the loop.

    glibc keeps it for each thread that took it, until a process is as large as the largest requests
    of all threads together.
    """
    # No other C library has it, or needs it.
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
