"""Members of a batch's answer, put together once for vectors that are asked for again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from ai_hub.serving.reader import Found, short

_quoted = msgspec.json.Encoder().encode
_HIT = b',"cache_hit":true'
_MISS = b',"cache_hit":false'
_OVERHEAD = 300
_Slot = tuple[str, str, int]
"""Tenant, field and time of some vectors."""


def entry_of(asset_id: str, found: Found) -> bytes:
    """An asset's member of a batch's results."""
    value, hit = found
    return b"%b:{%b%b}" % (_quoted(asset_id), short(value), _HIT if hit else _MISS)


class _Table:
    """Each asset's vector and the member made of it, from some time on."""

    __slots__ = ("bytes", "members", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.bytes = 0
        self.members: dict[str, tuple[bytes, bytes]] = {}


class Entries:
    """Members made of vectors that a cache has.

    One is kept from when its vector came out of the cache until another takes its place, for as
    many seconds as a vector is, and while all together have `max_bytes` at most.
    """

    def __init__(
        self, max_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._clock = clock
        self._tables: dict[_Slot, _Table] = {}

    def of(
        self, tenant_id: str, field: str, at: int, asset_ids: Sequence[str], found: Sequence[Found]
    ) -> list[bytes]:
        """The members of some assets."""
        table = self._tables.get((tenant_id, field, at))
        if table is None:
            table = self._begun((tenant_id, field, at))
        known = table.members.get
        members = []
        for asset_id, one in zip(asset_ids, found, strict=True):
            pair = known(asset_id)
            if pair is not None and one[1] and pair[0] == one[0]:
                members.append(pair[1])
            else:
                members.append(self._made(table, asset_id, one))
        if self.bytes > self._max_bytes:
            self._shrink()
        return members

    def _made(self, table: _Table, asset_id: str, found: Found) -> bytes:
        member = entry_of(asset_id, found)
        # A vector that was computed for this answer may never be asked for again.
        if found[1]:
            before = table.members.get(asset_id)
            more = len(found[0]) + len(member) + _OVERHEAD
            if before is not None:
                more -= len(before[0]) + len(before[1]) + _OVERHEAD
            table.members[asset_id] = found[0], member
            table.bytes += more
            self.bytes += more
        return member

    def _begun(self, slot: _Slot) -> _Table:
        now = self._clock()
        while self._tables and next(iter(self._tables.values())).since <= now - self._seconds:
            self._forget_oldest()
        table = self._tables[slot] = _Table(now)
        self.bytes += _OVERHEAD
        return table

    def _shrink(self) -> None:
        while self._tables and self.bytes > self._max_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        table = self._tables.pop(next(iter(self._tables)))
        self.bytes -= table.bytes + _OVERHEAD
