"""The cache in this process: bounded by bytes, and gone with it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

from ai_hub.definitions.values import Entity
from ai_hub.fairness import others_first
from ai_hub.serving.breaker import BreakerState
from ai_hub.serving.cache import (
    BRIEF,
    SLACK,
    Begin,
    CacheStats,
    Place,
    Token,
    cache_key,
    place_of,
    tenants_of,
)
from ai_hub.stores.base import Change

_Slot = tuple[str, str, str]
"""Tenant, timestamp and field: the values of all assets that a batch asks for lie together."""


_Entry = tuple[str, str, str, float, tuple[str, ...]]
"""Tenant, asset, timestamp, when it expires, and its fields. Like all that there is many of here
it is of a kind that Python's collector, having seen it once, does not look at again: it would stop
every request for as long as it takes to look at the whole cache."""

MAX_BYTES = 224 << 20
"""Of vectors; with those that are put together for batches it is 256 MiB."""
MEMBERS_BYTES = 32 << 20

_ENTRY_OVERHEAD = 500
_FIELD_OVERHEAD = 200
_MAX_TOKENS = 200_000
_AT_ONCE = 100


class MemoryCache:
    """The contract in this process: bounded by bytes, the oldest entries leave first.

    The time to live counts from an entry's first write, so the order of writing is the order of
    expiry. `clock` gives seconds.
    """

    name = "The cache of this process"
    shared = False

    def __init__(
        self,
        ttl_seconds: int = 300,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
        max_tokens: int = _MAX_TOKENS,
    ) -> None:
        self.state: BreakerState = "closed"
        self.owes = False
        self.follows = False
        self.near_hits = self.near_bytes = 0
        self.errors: Mapping[str, int] = {}
        self._ttl: float = ttl_seconds
        self._usual_ttl = ttl_seconds
        self._max_bytes = max_bytes
        self._clock = clock
        self._values: dict[_Slot, dict[str, bytes]] = {}
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._keys_of: dict[tuple[str, str], dict[str, None]] = {}
        self._bytes = 0
        # No entry[3] before.
        self._none_before = 0.0
        self._hits = self._misses = self._evicted = 0
        # An entity that was dropped has a number of its own; all others share the floor.
        self._tokens: dict[str, dict[str, int]] = {}
        self._max_tokens = max_tokens
        self._numbered = 0
        self._floor = 0
        self._last_token = 0
        # Who is writing an entity, or a whole tenant, and until when that counts.
        self._marks: dict[Place, dict[str, float]] = {}

    async def read(
        self, tenant_id: str, asset_ids: Sequence[str], timestamp: str, field: str
    ) -> list[tuple[bytes | None, Token | None]]:
        """The value (None: a miss) and the token of each asset, in the order asked for."""
        now = self._clock()
        overdue = self._expire(now)
        value_of = self._values.get((tenant_id, timestamp, field), {}).get
        token_of = self._tokens.get(tenant_id, {}).get
        values = [value_of(asset_id) for asset_id in asset_ids]
        if overdue:
            for place, asset_id in enumerate(asset_ids):
                entry = self._entries.get(cache_key(tenant_id, asset_id, timestamp))
                if entry is None or entry[3] <= now:
                    values[place] = None
        misses = values.count(None)
        self._hits += len(values) - misses
        self._misses += misses
        tokens: Iterable[int | None] = map(token_of, asset_ids, repeat(self._floor))
        if self._marks:
            tokens = self._unless_marked(tenant_id, asset_ids, tokens)
        return list(zip(values, tokens, strict=True))

    async def claim(
        self,
        tenant_id: str,
        asset_ids: Sequence[str],
        timestamp: str,
        field: str,
        begin: Begin,
        patience: float,
    ) -> dict[str, bytes]:
        """No other process computes for this one: all of them are for the caller."""
        token_of = self._tokens.get(tenant_id, {}).get
        tokens = map(token_of, asset_ids, repeat(self._floor))
        begin(zip(asset_ids, self._unless_marked(tenant_id, asset_ids, tokens), strict=True))
        return {}

    async def keep(
        self,
        tenant_id: str,
        timestamp: str,
        field: str,
        values: Iterable[tuple[str, Token, bytes | None]],
    ) -> int:
        """Keep (asset, token, value)s whose token is still current; how many were kept."""
        now = self._clock()
        self._expire(now)
        token_of = self._tokens.get(tenant_id, {}).get
        kept = 0
        for place, (asset_id, token, value) in enumerate(values, 1):
            if place % _AT_ONCE == 0:
                await others_first()
                # Whatever was dropped meanwhile may be the first of its tenant.
                token_of = self._tokens.get(tenant_id, {}).get
            if value is not None and token_of(asset_id, self._floor) == token:
                self._put(tenant_id, asset_id, timestamp, field, value, now)
                kept += 1
        while self._bytes > self._max_bytes and self._entries:
            self._evicted += self._forget(next(iter(self._entries)))
        return kept

    async def mark(self, entities: Collection[Entity], mark: str) -> str:
        """Drop some entities before a write is committed, and keep nothing of theirs until then."""
        until = self._clock() + self._ttl + SLACK
        for number, place in enumerate(tenants_of(entities) or map(place_of, entities), 1):
            self._marks.setdefault(place, {})[mark] = until
            if number % _AT_ONCE == 0:
                await others_first()
        await self.drop(entities)
        return ""

    async def drop(self, entities: Iterable[Entity], prefix: str = "", mark: str = "") -> int:
        """Change the tokens of some entities and forget their fields that begin with `prefix`."""
        if isinstance(entities, Collection) and (tenants := tenants_of(entities)):
            return await self._drop_tenants(tenants, prefix, mark)
        dropped = work = 0
        for entity in entities:
            self._renumber(entity)
            keys = tuple(self._keys_of.get((entity.tenant_id, entity.asset_id), ()))
            for key in keys:
                dropped += self._forget(key, prefix)
            if mark:
                self._unmark(place_of(entity), mark)
                self._unmark((entity.tenant_id, ""), mark)
            work += 1 + len(keys)
            if work >= _AT_ONCE:
                work = 0
                # Others have their turn between those of very many.
                await others_first()
        return dropped

    async def _drop_tenants(self, tenants: Sequence[Place], prefix: str, mark: str) -> int:
        """Of very many entities few are kept: look at what is, and drop all of their tenants."""
        self._raise_floor()
        wanted = {tenant for tenant, _ in tenants}
        dropped = 0
        for number, one in enumerate(list(self._keys_of), 1):
            if one[0] in wanted:
                for key in tuple(self._keys_of.get(one, ())):
                    dropped += self._forget(key, prefix)
            if number % _AT_ONCE == 0:
                await others_first()
        for one in tenants:
            self._unmark(one, mark)
        return dropped

    async def changed(self, changes: Sequence[Change] | None) -> None:
        """Other processes wrote something that vectors are computed from (None: they may have)."""
        for change in (Change("", None),) if changes is None else changes:
            if change.entities is None:
                self._raise_floor()
                await self._emptied()
            else:
                await self.drop(change.entities)

    async def follow(self, standby: bool) -> None:
        """Keep what a standby gave for a moment only."""
        self.follows = standby
        self._ttl = min(BRIEF, self._usual_ttl) if standby else self._usual_ttl
        self._none_before = 0.0
        # What is computed now is of the other server.
        self._raise_floor()
        await self._emptied()

    async def stats(self) -> CacheStats:
        """What it holds and how it did."""
        while self._expire(self._clock()):  # It is work, and no waiting.
            await others_first()
        return CacheStats(
            "memory",
            sum(len(fields) for *_, fields in self._entries.values()),
            self._bytes,
            self._max_bytes,
            self._usual_ttl,
            self._hits,
            self._misses,
            self._evicted,
        )

    async def close(self) -> None:
        """Let go of everything."""
        await self._emptied()

    async def _emptied(self) -> None:
        """Forget everything at once; others have their turn while the memory is given back."""
        values, self._values = self._values, {}
        tables: list[dict[Any, Any]] = [self._entries, self._keys_of, *values.values()]
        self._entries, self._keys_of, self._bytes = OrderedDict(), {}, 0
        del values
        for table in tables:
            while table:
                for _ in range(min(len(table), _AT_ONCE)):
                    table.popitem()
                await others_first()

    def _unless_marked(
        self, tenant_id: str, asset_ids: Sequence[str], tokens: Iterable[int | None]
    ) -> Iterator[int | None]:
        """The tokens; assets that are marked have none."""
        whole = self._is_marked((tenant_id, ""))
        for one, token in zip(asset_ids, tokens, strict=True):
            yield None if whole or self._is_marked((tenant_id, one)) else token

    def _is_marked(self, one: Place) -> bool:
        marks = self._marks.get(one)
        if marks is None:
            return False
        now = self._clock()
        for mark in [mark for mark, until in marks.items() if until <= now]:
            self._unmark(one, mark)
        return one in self._marks

    def _unmark(self, one: Place, mark: str) -> None:
        marks = self._marks.get(one, {})
        if marks.pop(mark, None) is not None and not marks:
            del self._marks[one]

    def _renumber(self, entity: Entity) -> None:
        new = entity.asset_id not in self._tokens.get(entity.tenant_id, {})
        if new and self._numbered >= self._max_tokens:
            # The worst that comes of it is a vector not kept.
            self._raise_floor()
        self._numbered += new
        self._last_token += 1
        self._tokens.setdefault(entity.tenant_id, {})[entity.asset_id] = self._last_token

    def _raise_floor(self) -> None:
        """Change the token of every entity."""
        self._tokens.clear()
        self._numbered = 0
        self._last_token += 1
        self._floor = self._last_token

    def _put(
        self, tenant_id: str, asset_id: str, timestamp: str, field: str, value: bytes, now: float
    ) -> None:
        key = cache_key(tenant_id, asset_id, timestamp)
        entry = self._entries.get(key)
        if entry is not None and entry[3] <= now:
            self._forget(key)
            entry = None
        if entry is None:
            self._entries[key] = (tenant_id, asset_id, timestamp, now + self._ttl, (field,))
            self._keys_of.setdefault((tenant_id, asset_id), {})[key] = None
            self._bytes += _ENTRY_OVERHEAD + len(key)
        elif field not in entry[-1]:
            self._entries[key] = (*entry[:-1], (*entry[-1], field))
        values = self._values.setdefault((tenant_id, timestamp, field), {})
        before = values.get(asset_id)
        self._bytes += len(value) + _FIELD_OVERHEAD if before is None else len(value) - len(before)
        values[asset_id] = value

    def _expire(self, now: float) -> bool:
        """Forget some of the entries whose time is over; whether there are more of them."""
        if now < self._none_before:
            return False
        for _ in range(_AT_ONCE):
            key, entry = next(iter(self._entries.items()), (None, None))
            if key is None or entry is None:
                self._none_before = now + self._ttl
                return False
            if entry[3] > now:
                self._none_before = entry[3]
                return False
            self._forget(key)
        return True

    def _forget(self, key: str, prefix: str = "") -> int:
        """Drop the fields of an entry that begin with `prefix`, and the entry with its last one."""
        tenant_id, asset_id, timestamp, expires, fields = self._entries[key]
        gone = [name for name in fields if name.startswith(prefix)]
        for name in gone:
            slot = (tenant_id, timestamp, name)
            values = self._values[slot]
            self._bytes -= len(values.pop(asset_id)) + _FIELD_OVERHEAD
            if not values:
                del self._values[slot]
        if len(gone) < len(fields):
            kept = tuple(name for name in fields if name not in gone)
            self._entries[key] = (tenant_id, asset_id, timestamp, expires, kept)
            return len(gone)
        del self._entries[key]
        self._bytes -= _ENTRY_OVERHEAD + len(key)
        keys = self._keys_of[tenant_id, asset_id]
        del keys[key]
        if not keys:
            del self._keys_of[tenant_id, asset_id]
        return len(gone)
