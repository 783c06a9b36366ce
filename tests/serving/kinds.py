"""The caches under one face: opened with nothing in them, and time that passes when told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import redis_server
from ai_hub.serving.cache import Cache, Token
from ai_hub.serving.memory import MemoryCache
from ai_hub.serving.redis.cache import RedisCache

# Tests share the processor: here slow is not away.
TIMEOUT = 2.0

# Every key gets nearer to its end, as if the time had passed.
_PASS = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end
"""


class Kind(Protocol):
    """A cache that can be opened, one at a time."""

    def opened(self, ttl: int = 300) -> AsyncIterator[Cache]: ...

    def wait(self, seconds: float) -> None: ...


class MemoryKind:
    def __init__(self) -> None:
        self.now = 1_000.0

    @asynccontextmanager
    async def opened(self, ttl: int = 300) -> AsyncIterator[Cache]:
        cache = MemoryCache(ttl, clock=lambda: self.now)
        try:
            yield cache
        finally:
            await cache.close()

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def __str__(self) -> str:
        return "memory"


class RedisKind:
    def __init__(self) -> None:
        self.now = 1_000.0

    @asynccontextmanager
    async def opened(self, ttl: int = 300) -> AsyncIterator[Cache]:
        server = redis_server.server()
        server.call("FLUSHALL")
        cache = await RedisCache.open(server.url(), ttl, TIMEOUT, clock=lambda: self.now)
        try:
            assert cache.state == "closed"
            yield cache
        finally:
            await cache.close()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        redis_server.server().call("EVAL", _PASS, 0, int(seconds * 1000))

    def __str__(self) -> str:
        return "redis"


async def reads(
    cache: Cache, tenant_id: str, asset_ids: Sequence[str], timestamp: str, field: str
) -> list[tuple[bytes | None, Token | None]]:
    """What reading gives, and of what is missing what claiming gives."""
    read = await cache.read(tenant_id, asset_ids, timestamp, field)
    found = dict(zip(asset_ids, read, strict=True))
    missed = [asset_id for asset_id, (value, _) in found.items() if value is None]

    def begin(some: Iterable[tuple[str, Token | None]]) -> None:
        found.update({asset_id: (None, token) for asset_id, token in some})

    if missed:
        others = await cache.claim(tenant_id, missed, timestamp, field, begin, 1.0)
        found |= {asset_id: (value, found[asset_id][1]) for asset_id, value in others.items()}
    return [found[asset_id] for asset_id in asset_ids]
