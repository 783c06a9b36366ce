"""What this process read from Redis a moment ago, so that only the tokens have to come again.

A value stands beside the token that Redis gave with it. Redis is asked for the token each time, and
the value counts only if it is that one: so it is never older than what Redis itself would answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

Slot = tuple[str, str, str]
"""Tenant, timestamp and field: the values of all assets that a batch asks for lie together."""
Known = tuple[bytes, bytes]
"""An entity's token, and the vector that counts under it."""

MAX_BYTES = 64 << 20
SECONDS = 10.0
"""The most that a value is kept here after it was read, whatever becomes of it on Redis."""

_OVERHEAD = 350
"""Of a value, for its token, its place in a table and the id of its asset."""


class _Table:
    """What was read in the same while."""

    __slots__ = ("bytes", "slots")

    def __init__(self) -> None:
        self.slots: dict[Slot, dict[str, Known]] = {}
        self.bytes = 0


class FirstLevel:
    """Values by slot and asset, for `seconds` at most, while they have `max_bytes` together.

    There is a table that fills and the one before it. When half of the time or of the bytes is
    used the latter goes, as a whole: nothing is looked at one by one. `clock` gives seconds.
    """

    def __init__(
        self,
        seconds: float = SECONDS,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._half_time = seconds / 2
        self._half_bytes = max_bytes // 2
        self._clock = clock
        self._young, self._old = _Table(), _Table()
        self._turn = clock() + self._half_time

    @property
    def size(self) -> int:
        """The bytes that the values take, about."""
        return self._young.bytes + self._old.bytes

    def known(self, slot: Slot, asset_ids: Sequence[str]) -> list[Known | None]:
        """What was read of some assets, in their order; None for nothing."""
        if self._clock() >= self._turn:
            self._turn_over()
        young, old = self._young.slots.get(slot), self._old.slots.get(slot)
        if young is None:
            return [None] * len(asset_ids) if old is None else [*map(old.get, asset_ids)]
        found = [*map(young.get, asset_ids)]
        if old is not None and None in found:
            both = zip(asset_ids, found, strict=True)
            return [old.get(asset_id) if one is None else one for asset_id, one in both]
        return found

    def put(self, slot: Slot, asset_id: str, token: bytes, value: bytes) -> None:
        """Keep a value under the token that came with it."""
        self.forget(slot, (asset_id,))
        young = self._young
        young.slots.setdefault(slot, {})[asset_id] = token, value
        young.bytes += len(value) + _OVERHEAD
        if young.bytes > self._half_bytes:
            self._turn_over()

    def forget(self, slot: Slot, asset_ids: Iterable[str]) -> None:
        """Keep some values no more."""
        tables = [one for one in (self._young, self._old) if slot in one.slots]
        for asset_id in asset_ids:
            for table in tables:
                gone = table.slots[slot].pop(asset_id, None)
                if gone is not None:
                    table.bytes -= len(gone[1]) + _OVERHEAD

    def _turn_over(self) -> None:
        """Begin another table; what nobody came for in all the time goes too."""
        now = self._clock()
        if now < self._turn + self._half_time:
            # Never later than the time of what is in the older one allows.
            self._old, self._turn = self._young, min(now, self._turn) + self._half_time
        else:
            self._old, self._turn = _Table(), now + self._half_time
        self._young = _Table()
