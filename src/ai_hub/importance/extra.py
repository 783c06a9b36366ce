"""The libraries of the extra `importance`, imported when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ai_hub.errors import InvalidInput

_INSTALL = "pip install 'ai-hub-feature-store[importance]'"


@contextmanager
def from_extra() -> Iterator[None]:
    """Around an import from the extra: raises InvalidInput where it is not installed."""
    try:
        yield
    except ImportError as error:
        expected = f"the extra importance to be installed ({error})"
        raise InvalidInput("importance", error.name, expected, _INSTALL) from None
