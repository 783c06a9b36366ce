"""Which cache a URL names; its driver is imported here and not before."""

from __future__ import annotations

from ai_hub.config import Settings
from ai_hub.config_values import MEMORY_CACHE
from ai_hub.process import Process
from ai_hub.serving.cache import Cache
from ai_hub.serving.checkup import CacheAway, CacheFacts
from ai_hub.serving.memory import MemoryCache
from ai_hub.stores.base import Debts


async def open_cache(settings: Settings, debts: Debts) -> Cache:
    """The cache that the settings name, open; one that is shared pays the debts of the store.

    Raises ConfigError if it cannot be one.
    """
    ttl = settings.cache_ttl
    if settings.cache_url == MEMORY_CACHE:
        return MemoryCache(ttl)
    from ai_hub.serving.redis.cache import RedisCache

    timeout = settings.cache_timeout.seconds
    name = Process.of(settings).label
    return await RedisCache.open(settings.cache_url, ttl, timeout, debts, name=name)


async def look_at_cache(settings: Settings) -> CacheFacts | CacheAway | None:
    """How the cache of the settings is, asked on a connection of its own; None for one in the
    process."""
    if not settings.cache_shared:
        return None
    from ai_hub.serving.redis.checkup import look

    return await look(settings)
