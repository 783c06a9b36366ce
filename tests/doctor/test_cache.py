"""Lines about a cache on Redis, provoked one by one and mended by what they advise."""

from __future__ import annotations

import asyncio

import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from cli.conftest import start, stop, wait_for
from doctor.conftest import NOW, Practice, hourly
from redis_server import RedisServer

pytestmark = pytest.mark.redis
CACHE = ("cache", "keys", "ttl", "memory", "hit_rate", "clock")


def _ask(**settings: object) -> None:
    """Have a vector of the asset a cached."""

    async def ask() -> None:
        async with FeatureStore(Settings.load(**settings)) as store:
            await store.get(
                tenant_id="acme", asset_id="a", timestamp=NOW, feature_set="forecast_basic"
            )

    asyncio.run(ask())


@pytest.fixture
def cached(practice: Practice, redis: RedisServer) -> RedisServer:
    practice.ingest(hourly())
    return redis


def test_all_is_well_at_first(practice: Practice, cached: RedisServer) -> None:
    _ask()
    practice.fine(*CACHE)
    found = practice.look()
    assert found["keys"][0]["figure"] == 1
    assert found["ttl"][0]["figure"] == 300


def test_redis_is_away(practice: Practice, cached: RedisServer) -> None:
    cached.halt()
    mends = practice.wrong("cache", "fault", "nothing is cached")
    cached.start()
    practice.mend(mends)
    practice.fine("cache")


def test_keys_of_another_program(practice: Practice, cached: RedisServer) -> None:
    cached.call("SETEX", "features:acme:a:2025-10-09T14:00:00+00:00", 300, "{}")
    practice.mend(practice.wrong("keys", "fault", "another program", "(string)"))
    practice.fine("keys")


def test_keys_of_another_granularity(practice: Practice, cached: RedisServer) -> None:
    _ask(granularity="1s")
    if NOW.second == 0:  # a whole minute is one of either
        cached.call("HSET", "features:acme:a:2025-10-09T14:00:01Z", "f", "{}")
        cached.call("EXPIRE", "features:acme:a:2025-10-09T14:00:01Z", 300)
    practice.mend(practice.wrong("keys", "warning", "AI_HUB_GRANULARITY"))
    practice.fine("keys")


def test_keys_that_never_end(practice: Practice, cached: RedisServer) -> None:
    _ask()
    (name,) = cached.call("KEYS", "features:*")
    cached.call("PERSIST", name)
    practice.mend(practice.wrong("ttl", "fault", "1 key never ends"))
    practice.fine("ttl", "keys")


def test_keys_that_live_too_long(practice: Practice, cached: RedisServer) -> None:
    _ask(cache_ttl=900)
    practice.mend(practice.wrong("ttl", "warning", "longer than 300 s"))
    practice.fine("ttl")


def test_memory_that_evicts_nothing(practice: Practice, cached: RedisServer) -> None:
    cached.call("CONFIG", "SET", "maxmemory", "100mb")
    practice.mend(practice.wrong("memory", "warning", "noeviction"))
    practice.fine("memory")
    cached.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    cached.call("CONFIG", "SET", "maxmemory", "1000000")
    practice.mend(practice.wrong("memory", "fault", "nothing is cached any more"))
    practice.fine("memory")


def test_a_hit_rate_that_is_low(practice: Practice, cached: RedisServer) -> None:
    server = start("serve")
    try:
        wait_for(f"http://127.0.0.1:{Settings.load().port}", server)
        with cached.client() as client:
            asked = client.pipeline(transaction=False)
            for n in range(1_100):
                asked.get(f"nothing:{n}")
            asked.execute()
        mends = practice.wrong("hit_rate", "warning", "% of 1,1")
        assert mends.startswith("ai-hub warm --tenant acme && redis-cli ")
        practice.mend(mends)
        practice.fine("hit_rate")
        assert cached.call("KEYS", "features:acme:a:*")  # what requests find from here on
    finally:
        stop(server)
