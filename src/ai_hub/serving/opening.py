"""Which cache a URL names; its driver is imported here and not before."""

from __future__ import annotations

from ai_hub.config import Settings
from ai_hub.config_values import MEMORY_CACHE
from ai_hub.serving.cache import Cache
from ai_hub.serving.memory import MemoryCache


async def open_cache(settings: Settings) -> Cache:
    """The cache that the settings name, open. Raises ConfigError if it cannot be one."""
    if settings.cache_url == MEMORY_CACHE:
        return MemoryCache(settings.cache_ttl)
    from ai_hub.serving.redis.cache import RedisCache

    timeout = settings.cache_timeout.seconds
    return await RedisCache.open(settings.cache_url, settings.cache_ttl, timeout)
