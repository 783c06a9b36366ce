"""Many things, in as many as one script takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

_MOST_KEYS = 200
"""Entities of one script: about a millisecond of Redis's time."""


def parts(items: Iterable[T], size: int = _MOST_KEYS) -> Iterator[list[T]]:
    """In pieces that one script takes."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some
