"""The caches that a deployment may have, each as the settings of one with nothing in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis_server
from ai_hub import FeatureStore


@dataclass(frozen=True)
class CacheKind:
    """A cache by its settings: `Settings(database_url=..., **REDIS_CACHE.settings())`.

    They are asked for when a store is opened. A test with one that `needs` a marker has it.
    """

    name: str
    settings: Callable[[], dict[str, Any]]
    needs: str | None = None

    def __str__(self) -> str:
        return self.name


def _empty_redis() -> dict[str, Any]:
    server = redis_server.server()
    server.call("FLUSHALL")
    # Tests share the processor: here slow is not away.
    return {"cache_url": server.url(), "cache_timeout": "2s"}


MEMORY_CACHE = CacheKind("memory-cache", lambda: {"cache_url": "memory://"})
REDIS_CACHE = CacheKind("redis-cache", _empty_redis, "redis")


async def entries(store: FeatureStore) -> int:
    """How many vectors a store's cache holds; on Redis by looking at every key."""
    stats = await store.cache_stats()
    if stats.entries is not None:
        return stats.entries
    with redis_server.server().client() as client:
        return sum(client.hlen(key) for key in client.scan_iter("features:*"))
