"""What the cache leaves on a Redis server, and what it makes of what others left there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

import redis_server
from ai_hub.definitions.values import Entity
from ai_hub.errors import InvalidInput
from ai_hub.serving.redis.cache import RedisCache
from redis_server import RedisServer
from serving.kinds import TIMEOUT, reads
from serving.test_cache import AT, FIELD, LATER, OTHER, VALUE, look, put, vector

pytestmark = pytest.mark.redis

KEY = f"features:t:a:{AT}"
A = Entity("t", "a")


@pytest.fixture
def server() -> RedisServer:
    """The server that tests share, with nothing in it."""
    found = redis_server.server()
    found.call("FLUSHALL")
    return found


@asynccontextmanager
async def processes(url: str, count: int, ttl: int = 300) -> AsyncIterator[list[RedisCache]]:
    """Caches as several processes have them."""
    async with AsyncExitStack() as stack:
        caches = []
        for _ in range(count):
            cache = await RedisCache.open(url, ttl, TIMEOUT)
            stack.push_async_callback(cache.close)
            caches.append(cache)
        yield caches


async def test_a_person_can_read_what_is_kept(server: RedisServer) -> None:
    async with processes(server.url(), 1) as (cache,):
        await put(cache, "a", b'{"features":{"lag_1h":1.5},"missing":[]}')
        await put(cache, "a", vector(2), field=OTHER)
    with server.client() as client:
        kept = client.hgetall(KEY)
        assert set(kept) == {FIELD, OTHER}
        shown = json.loads(kept[FIELD])
        assert shown.pop("generation") == client.get("ai-hub:generation:t:a")
        assert shown == {"features": {"lag_1h": 1.5}, "missing": []}


async def test_every_key_expires_and_helpers_have_a_prefix_of_their_own(
    server: RedisServer,
) -> None:
    async with processes(server.url(), 1) as (cache,):
        await put(cache, "a")
        await reads(cache, "t", ["b"], AT, FIELD)
    with server.client() as client:
        left = {key: client.pttl(key) for key in client.keys("*")}
    helpers = {"ai-hub:epoch", "ai-hub:live:t:a"}
    helpers |= {"ai-hub:generation:t:a", "ai-hub:generation:t:b"}
    assert set(left) == helpers | {KEY, f"ai-hub:lease:t:b:{AT}:{FIELD}"}
    assert 0 < left[KEY] <= 300_000
    assert 0 < left["ai-hub:live:t:a"] <= 300_000
    # Longer than the value: without its token it would be lost.
    assert 500_000 < left["ai-hub:generation:t:a"] <= 600_000
    assert 500_000 < left["ai-hub:epoch"] <= 600_000
    assert 0 < left[f"ai-hub:lease:t:b:{AT}:{FIELD}"] <= 3_000


async def test_a_later_write_does_not_extend_the_time_to_live(server: RedisServer) -> None:
    async with processes(server.url(), 2) as (one, other):
        await put(one, "a")
        first = server.call("PEXPIRETIME", KEY)
        await asyncio.sleep(0.02)
        await put(other, "a", vector(2))
        await put(other, "a", vector(3), field=OTHER)
        assert server.call("PEXPIRETIME", KEY) == first


async def test_expired_hashes_leave_the_list_of_live_ones(server: RedisServer) -> None:
    async with processes(server.url(), 1, ttl=3) as (cache,):
        await put(cache, "a")
        await asyncio.sleep(1.8)
        await put(cache, "a", at=LATER)
        await asyncio.sleep(1.5)
        await put(cache, "a", at="2025-10-09T14:32:00Z")
        live = server.call("ZRANGE", "ai-hub:live:t:a", 0, -1)
        assert live == [f"features:t:a:{LATER}", "features:t:a:2025-10-09T14:32:00Z"]
        assert await cache.drop([A]) == 2
        assert server.call("EXISTS", "ai-hub:live:t:a") == 0


async def test_processes_share_values_and_drops(server: RedisServer) -> None:
    async with processes(server.url(), 3) as (one, other, third):
        await put(one, "a", vector(1))
        assert await look(other, "a") == vector(1)
        assert await third.drop([A]) == 1
        assert server.call("EXISTS", KEY) == 0
        assert await look(one, "a") is None
        assert await look(other, "a") is None


async def test_a_vector_computed_before_a_drop_elsewhere_leaves_no_trace(
    server: RedisServer,
) -> None:
    async with processes(server.url(), 2) as (reader, writer):
        ((_, token),) = await reads(reader, "t", ["a"], AT, FIELD)
        # The reader has read the store, and computes; the writer lands a batch.
        assert await writer.drop([A]) == 0
        assert await reader.keep("t", AT, FIELD, [("a", token, vector(1))]) == 0
        assert server.call("EXISTS", KEY) == 0
        # The same with another reader that has kept the newer one meanwhile.
        ((_, token),) = await reads(reader, "t", ["a"], AT, FIELD)
        await writer.drop([A])
        await put(writer, "a", vector(2))
        assert await reader.keep("t", AT, FIELD, [("a", token, vector(1))]) == 0
        assert await look(reader, "a") == vector(2)


async def test_a_token_is_never_given_twice(server: RedisServer) -> None:
    async with processes(server.url(), 2) as (one, other):
        ((_, token),) = await reads(one, "t", ["a"], AT, FIELD)
        for forgetting in (("DEL", "ai-hub:generation:t:a"), ("FLUSHALL",), ("FLUSHALL",)):
            server.call(*forgetting)
            assert await one.keep("t", AT, FIELD, [("a", token, vector(1))]) == 0
            await look(other, "a")
            assert await one.keep("t", AT, FIELD, [("a", token, vector(1))]) == 0
            assert server.call("EXISTS", KEY) == 0


async def test_a_drop_needs_none_of_the_helpers(server: RedisServer) -> None:
    """A server that evicts keys may evict these."""
    async with processes(server.url(), 2) as (one, other):
        await put(one, "a", vector(1))
        server.call("DEL", "ai-hub:live:t:a")
        await other.drop([A])
        assert await look(one, "a") is None
        await put(one, "a", vector(2))
        server.call("DEL", "ai-hub:generation:t:a")
        assert await look(one, "a") is None


async def test_older_data_of_a_server_that_crashed_does_not_count() -> None:
    server = RedisServer()
    try:
        async with processes(server.url(), 1) as (cache,):
            await put(cache, "a", vector(1))
            ((_, token),) = await reads(cache, "t", ["a"], LATER, FIELD)
            server.call("SAVE")
            await cache.drop([A])
            server.restart()
            assert server.call("EXISTS", KEY) == 1
            async with processes(server.url(), 1) as (later,):
                assert await look(later, "a") is None
                assert await later.keep("t", LATER, FIELD, [("a", token, vector(1))]) == 0
                await put(later, "a", vector(2))
                assert await look(later, "a") == vector(2)
    finally:
        server.stop()


async def test_nothing_is_scanned(server: RedisServer) -> None:
    async with processes(server.url(), 2) as (one, other):
        server.call("CONFIG", "RESETSTAT")
        for asset in ("a", "*", "a:b"):
            await put(one, asset)
            await put(one, asset, field=OTHER)
        await other.drop([A], "forecast_basic@1:")
        await other.drop([A, Entity("t", "*")])
        await one.stats()
        with server.client() as client:
            used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    assert {"evalsha", "mget", "hget", "hset"} <= used
    assert not used & {"keys", "scan", "hscan", "sscan", "zscan", "randomkey", "sort"}


async def test_a_large_drop_goes_in_parts(server: RedisServer) -> None:
    async with processes(server.url(), 1) as (cache,):
        server.call("CONFIG", "RESETSTAT")
        await cache.drop(Entity("t", f"asset-{i}") for i in range(1_050))
        with server.client() as client:
            calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert calls == 6


async def test_the_reads_of_one_turn_leave_in_one_write(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes(server.url(), 1) as (cache,):
        for n in range(16):
            await put(cache, f"asset-{n}", vector(n))
        assert cache._link is not None
        written: list[bytes] = []
        transport = cache._link._transport

        class Counting:
            def write(self, data: bytes) -> None:
                written.append(data)
                transport.write(data)

            def abort(self) -> None:
                transport.abort()

        monkeypatch.setattr(cache._link, "_transport", Counting())
        found = await asyncio.gather(
            *(reads(cache, "t", [f"asset-{n}"], AT, FIELD) for n in range(16))
        )
        assert [value for ((value, _),) in found] == [vector(n) for n in range(16)]
    assert len([data for data in written if b"HGET" in data]) == 1


async def test_a_caller_that_gives_up_disturbs_nobody(server: RedisServer) -> None:
    async with processes(server.url(), 1) as (cache,):
        await put(cache, "a", vector(1))
        await put(cache, "b", vector(2))
        first = asyncio.create_task(reads(cache, "t", ["a"], AT, FIELD))
        second = asyncio.create_task(reads(cache, "t", ["b"], AT, FIELD))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second)[0][0] == vector(2)
        assert await look(cache, "a") == vector(1)


async def test_scripts_that_were_flushed_are_sent_again(server: RedisServer) -> None:
    async with processes(server.url(), 1) as (cache,):
        server.call("SCRIPT", "FLUSH")
        assert await put(cache, "a") == 1
        assert await cache.drop([A]) == 1
        assert cache.state == "closed"


@pytest.mark.parametrize("value", ["a string", '{"features":{},"generation":"..."}'])
async def test_a_key_of_someone_else_is_left_alone(server: RedisServer, value: str) -> None:
    """Such as the guide's own sample writes under the same name."""
    async with processes(server.url(), 1) as (cache,):
        server.call("SETEX", KEY, 300, value)
        assert await look(cache, "a") is None
        assert await put(cache, "a") == 0
        await put(cache, "b", vector(2))
        found = await reads(cache, "t", ["a", "b"], AT, FIELD)
        assert [found_value for found_value, _ in found] == [None, vector(2)]
        await cache.drop([A])
        assert server.call("GET", KEY) == value
        assert cache.state == "closed"


async def test_a_field_of_someone_else_is_a_miss(server: RedisServer) -> None:
    async with processes(server.url(), 1) as (cache,):
        for value in ("", "{}", "x" * 1_000, '{"generation":"0123456789ab-0123456789abcdef"}'):
            server.call("HSET", KEY, FIELD, value)
            assert await look(cache, "a") is None
        assert await put(cache, "a", vector(1)) == 1
        assert await look(cache, "a") == vector(1)


async def test_with_no_memory_left_hits_and_drops_go_on() -> None:
    server = RedisServer()
    try:
        async with processes(server.url(), 2) as (cache, other):
            await put(cache, "a", vector(1))
            await put(cache, "a", vector(1), field=OTHER)
            await put(cache, "b", vector(2))
            server.call("CONFIG", "SET", "maxmemory", 1)
            assert await look(cache, "a") == vector(1)
            assert await put(cache, "a", vector(3)) == 0
            assert await put(cache, "c", vector(3)) == 0
            assert await look(other, "b") == vector(2)
            assert await cache.drop([Entity("t", "b")]) == 1
            assert await look(other, "b") is None
            # By prefix nothing can be written: everything of the asset goes.
            assert await cache.drop([A], "forecast_basic@1:") == 2
            assert await look(other, "a", field=OTHER) is None
            assert cache.state == "closed"
            assert cache.errors["OOM"] > 0
            server.call("CONFIG", "SET", "maxmemory", 0)
            assert await put(cache, "a", vector(4)) == 1
            assert await look(other, "a") == vector(4)
    finally:
        server.stop()


@pytest.mark.parametrize("bad", ["", "x" * 257, "a\nb", "\ud800", None, 1])
async def test_an_illegal_id_is_refused_by_name(server: RedisServer, bad: Any) -> None:
    async with processes(server.url(), 1) as (cache,):
        with pytest.raises(InvalidInput, match="asset_id"):
            await reads(cache, "t", ["a", bad], AT, FIELD)
        assert cache.state == "closed"


async def test_what_the_server_tells_is_in_the_statistics(server: RedisServer) -> None:
    async with processes(server.url(), 1) as (cache,):
        await put(cache, "a", VALUE)
        stats = await cache.stats()
        assert (stats.kind, stats.entries, stats.max_bytes, stats.evicted) == (
            "redis",
            None,
            None,
            0,
        )
        assert stats.bytes is not None
        assert stats.bytes > 100_000
