"""What was written past Redis is dropped there before anybody reads it, and once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from ai_hub.definitions.values import Entity
from ai_hub.serving.redis import words
from ai_hub.serving.redis.cache import RedisCache
from ai_hub.stores.base import Change
from redis_server import RedisServer
from serving.doubles import HeldDebts, HeldStore, batch
from serving.kinds import TIMEOUT
from serving.proxy import Proxy
from serving.redis.faults import processes
from serving.redis.test_faults import lag, until
from serving.test_cache import VALUE, look, put

pytestmark = pytest.mark.redis

A = Entity("t", "a")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    running = RedisServer()
    yield running
    running.stop()


@asynccontextmanager
async def opened(server: RedisServer, debts: HeldDebts | None = None) -> AsyncIterator[RedisCache]:
    cache = await RedisCache.open(server.url(), timeout=TIMEOUT, debts=debts)
    try:
        assert cache.state == "closed"
        yield cache
    finally:
        await cache.close()


@pytest.mark.parametrize("entities", [(A,), None], ids=["some", "any"])
async def test_who_connects_pays_what_the_store_keeps_and_nobody_pays_it_again(
    server: RedisServer, entities: tuple[Entity] | None
) -> None:
    debts = HeldDebts()
    async with opened(server) as first:
        await put(first, "a")
        await put(first, "b")
    debts.changes.append(Change("one", entities))
    async with opened(server, debts) as second:
        assert await look(second, "a") is None
        assert await look(second, "b") == (None if entities is None else VALUE)
        await put(second, "a")
    async with opened(server, debts) as third:
        assert await look(third, "a") == VALUE
        debts.changes.append(Change("two", (A,)))
        await third.changed(None)
        assert await look(third, "a") is None
        await put(third, "a")
        await third.changed(debts.changes[1:])
        assert await look(third, "a") == VALUE


async def test_debts_that_cannot_be_read_keep_redis_out_of_use(server: RedisServer) -> None:
    class Away(HeldDebts):
        async def all(self) -> list[Change]:
            raise OSError("the database is away")

    cache = await RedisCache.open(server.url(), timeout=TIMEOUT, debts=Away())
    assert cache.state == "open"
    await cache.close()


async def test_what_is_heard_while_redis_is_away_is_dropped_before_it_is_used(
    server: RedisServer,
) -> None:
    """The writer has marked it on another Redis: no store keeps it for this one."""
    async with processes(HeldStore(), [server.url()] * 2) as (one, other):
        await put(other.cache, "a")
        with server.paused():
            await until("open", one.cache, other.cache)
            await one.cache.changed([Change("1", (A,), "elsewhere")])
            assert one.cache.owes
        await until("closed", one.cache, other.cache)
        assert await look(other.cache, "a") is None
        assert not one.cache.owes


async def test_an_ingest_while_redis_is_away_outlives_its_process(server: RedisServer) -> None:
    store = HeldStore()
    async with processes(store, [server.url()]) as (reader,):
        assert await lag(reader, "a") == 0.0
        with server.paused():
            await until("open", reader.cache)
            async with processes(store, [server.url()]) as (writer,):
                await writer.writer.land(batch(5.0, "a"), "observations")
        await until("closed", reader.cache)
        assert await lag(reader, "a") == 5.0


async def test_a_loss_between_mark_and_drop_is_a_debt_before_it_is_acknowledged(
    server: RedisServer,
) -> None:
    store = HeldStore()
    async with (
        Proxy(server.port) as proxy,
        processes(store, [proxy.url, server.url()]) as (writer, reader),
    ):
        proxy.cut = b"features:nothing"
        await writer.writer.land(batch(5.0, "a"), "observations")
        assert store.debts.changes == []
        # The next one's drop is cut off, and its mark is not.
        proxy.cut = words.DROP.sha.encode()
        await writer.writer.land(batch(6.0, "a"), "observations")
        assert [change.entities for change in store.debts.changes] == [(Entity("t", "a"),)]
        assert await lag(reader, "a") == 6.0


async def test_a_full_server_drops_and_takes_no_mark(server: RedisServer) -> None:
    async with opened(server) as cache:
        await put(cache, "a")
        server.call("CONFIG", "SET", "maxmemory", 1)
        assert await cache.mark([A], "one") == ""
        server.call("CONFIG", "SET", "maxmemory", 0)
        assert await look(cache, "a") is None
        assert await put(cache, "a") == 1
