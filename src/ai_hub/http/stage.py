"""Where a connection is in the request that it reads."""

from __future__ import annotations

from enum import IntEnum


class Stage(IntEnum):
    """What is expected of the client."""

    IDLE = 0
    """A request, or nothing more."""
    HEAD = 1
    """The rest of a request's head."""
    BODY = 2
    """The rest of its body."""
    REFUSED = 3
    """Nothing: what comes is dropped."""
