"""The cache contract, its keys, and the in-process cache.

A key is `features:{tenant_id}:{asset_id}:{timestamp}`; under it a field for each feature set,
fingerprint and missing policy. A value is a vector as JSON bytes.

Freshness rests on tokens. Reading gives a token for each entity; a value is kept only if the
entity's token is still the same, and dropping an entity changes it. So a vector computed from
older data is never kept after the entity was dropped.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from ai_hub.definitions.values import Entity, key_part

Token = int | str


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache holds and how it did since it was opened."""

    kind: str
    entries: int
    bytes: int
    max_bytes: int
    ttl_seconds: int
    hits: int
    misses: int
    evicted: int

    @property
    def hit_rate(self) -> float:
        """Hits as a share of look-ups; 0 before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class Cache(Protocol):
    """Kept vectors: read, kept under a token, dropped by entity."""

    async def read(
        self, tenant_id: str, asset_ids: Sequence[str], timestamp: str, field: str
    ) -> list[tuple[bytes | None, Token]]:
        """The value (None: a miss) and the token of each asset, in the order asked for."""

    async def keep(
        self,
        tenant_id: str,
        timestamp: str,
        field: str,
        values: Iterable[tuple[str, Token, bytes]],
    ) -> int:
        """Keep (asset, token, value)s whose token is still current; how many were kept."""

    async def drop(self, entities: Iterable[Entity], prefix: str = "") -> int:
        """Change the tokens of some entities and forget their fields that begin with `prefix`.

        How many vectors were dropped.
        """

    def stats(self) -> CacheStats:
        """What it holds and how it did."""

    async def close(self) -> None:
        """Let go of everything."""


@lru_cache(maxsize=65_536)
def entity_key(tenant_id: str, asset_id: str) -> str:
    """What the keys of one entity begin with: `features:{tenant_id}:{asset_id}`."""
    return f"features:{key_part(tenant_id)}:{key_part(asset_id)}"


def cache_key(tenant_id: str, asset_id: str, timestamp: str) -> str:
    """The key of an entity's vectors at a truncated time such as `2025-10-09T14:00:00Z`."""
    return f"{entity_key(tenant_id, asset_id)}:{timestamp}"


@dataclass(slots=True)
class _Entry:
    owner: str
    expires: float
    fields: dict[str, bytes] = field(default_factory=dict)


_ENTRY_OVERHEAD = 400
_FIELD_OVERHEAD = 150
_MAX_TOKENS = 200_000


class MemoryCache:
    """The contract in this process: bounded by bytes, the oldest entries leave first.

    The time to live counts from an entry's first write, so the order of writing is the order of
    expiry. `clock` gives seconds.
    """

    def __init__(
        self,
        ttl_seconds: int = 300,
        max_bytes: int = 256 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
        max_tokens: int = _MAX_TOKENS,
    ) -> None:
        self._ttl = ttl_seconds
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._keys_of: dict[str, set[str]] = {}
        self._bytes = 0
        self._hits = self._misses = self._evicted = 0
        # An entity that was dropped has a number of its own; all others share the floor.
        self._tokens: OrderedDict[str, int] = OrderedDict()
        self._max_tokens = max_tokens
        self._floor = 0
        self._last_token = 0

    async def read(
        self, tenant_id: str, asset_ids: Sequence[str], timestamp: str, field: str
    ) -> list[tuple[bytes | None, Token]]:
        """The value (None: a miss) and the token of each asset, in the order asked for."""
        now = self._clock()
        entries, tokens, floor = self._entries, self._tokens, self._floor
        found: list[tuple[bytes | None, Token]] = []
        hits = 0
        for asset_id in asset_ids:
            owner = entity_key(tenant_id, asset_id)
            entry = entries.get(f"{owner}:{timestamp}")
            value = entry.fields.get(field) if entry and entry.expires > now else None
            hits += value is not None
            found.append((value, tokens.get(owner, floor)))
        self._hits += hits
        self._misses += len(found) - hits
        return found

    async def keep(
        self,
        tenant_id: str,
        timestamp: str,
        field: str,
        values: Iterable[tuple[str, Token, bytes]],
    ) -> int:
        """Keep (asset, token, value)s whose token is still current; how many were kept."""
        now = self._clock()
        self._expire(now)
        kept = 0
        for asset_id, token, value in values:
            owner = entity_key(tenant_id, asset_id)
            if self._tokens.get(owner, self._floor) == token:
                self._put(owner, f"{owner}:{timestamp}", field, value, now)
                kept += 1
        while self._bytes > self._max_bytes and self._entries:
            self._evicted += len(self._forget(next(iter(self._entries))).fields)
        return kept

    async def drop(self, entities: Iterable[Entity], prefix: str = "") -> int:
        """Change the tokens of some entities and forget their fields that begin with `prefix`."""
        dropped = 0
        for entity in entities:
            owner = entity_key(entity.tenant_id, entity.asset_id)
            self._last_token += 1
            self._tokens[owner] = self._last_token
            self._tokens.move_to_end(owner)
            for key in tuple(self._keys_of.get(owner, ())):
                dropped += self._forget_fields(key, prefix)
        while len(self._tokens) > self._max_tokens:
            # Raising the floor changes the token of every entity without a number: the worst
            # that comes of it is a vector not kept.
            self._tokens.popitem(last=False)
            self._last_token += 1
            self._floor = self._last_token
        return dropped

    def stats(self) -> CacheStats:
        """What it holds and how it did."""
        self._expire(self._clock())
        return CacheStats(
            "memory",
            sum(len(entry.fields) for entry in self._entries.values()),
            self._bytes,
            self._max_bytes,
            self._ttl,
            self._hits,
            self._misses,
            self._evicted,
        )

    async def close(self) -> None:
        """Let go of everything."""
        self._entries.clear()
        self._keys_of.clear()
        self._bytes = 0

    def _put(self, owner: str, key: str, field: str, value: bytes, now: float) -> None:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(owner, now + self._ttl)
            self._keys_of.setdefault(owner, set()).add(key)
            self._bytes += _ENTRY_OVERHEAD + 2 * len(key)
        before = entry.fields.get(field)
        self._bytes += len(value) + _FIELD_OVERHEAD if before is None else len(value) - len(before)
        entry.fields[field] = value

    def _expire(self, now: float) -> None:
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key].expires > now:
                return
            self._forget(key)

    def _forget_fields(self, key: str, prefix: str) -> int:
        fields = self._entries[key].fields
        gone = [name for name in fields if name.startswith(prefix)]
        if len(gone) == len(fields):
            self._forget(key)
        else:
            for name in gone:
                self._bytes -= len(fields.pop(name)) + _FIELD_OVERHEAD
        return len(gone)

    def _forget(self, key: str) -> _Entry:
        entry = self._entries.pop(key)
        keys = self._keys_of[entry.owner]
        keys.discard(key)
        if not keys:
            del self._keys_of[entry.owner]
        self._bytes -= _ENTRY_OVERHEAD + 2 * len(key)
        self._bytes -= sum(len(value) + _FIELD_OVERHEAD for value in entry.fields.values())
        return entry
