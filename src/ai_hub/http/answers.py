"""Large answers on their way: how much of them the server holds for clients that read slowly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_MOST_TOGETHER = 64 * 1024 * 1024
MOST_ON_DISK = 4 * 1024 * 1024 * 1024
"""Bytes of answers that are files."""


class Reader(Protocol):
    """A client that reads an answer."""

    @property
    def stalled(self) -> int:
        """How many ticks ago it last took something."""

    def abort(self) -> None:
        """Leave at once."""


class Answers:
    """The large answers that clients are reading.

    Together they have a budget. Where it is exceeded, whoever read nothing for longest is left; of
    several, who came first.
    """

    def __init__(self, most: int = _MOST_TOGETHER) -> None:
        self._most = most
        self._held: dict[object, tuple[Reader, int]] = {}
        self.total = 0
        """Bytes of all of them."""

    @contextmanager
    def held(self, reader: Reader, size: int) -> Iterator[None]:
        """An answer of so many bytes, until it was taken."""
        self._make_room(self._most - size)
        key = object()
        self._held[key] = (reader, size)
        self.total += size
        try:
            yield
        finally:
            self._let_go(key)

    def _make_room(self, most: int) -> None:
        while self.total > most and self._held:
            slowest = max(self._held, key=lambda key: self._held[key][0].stalled)
            self._held[slowest][0].abort()
            self._let_go(slowest)

    def _let_go(self, key: object) -> None:
        _, size = self._held.pop(key, (None, 0))
        self.total -= size
