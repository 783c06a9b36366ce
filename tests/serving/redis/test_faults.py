"""Whatever happens to Redis, answers are right, nobody waits for it twice, and it is used again."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator

import pytest

from ai_hub.definitions.values import Entity, iso
from ai_hub.serving.redis import drops, words
from ai_hub.serving.redis.cache import RedisCache
from redis_server import RedisServer
from serving.doubles import AT, SPEC, TENANT, HeldStore, batch
from serving.kinds import reads
from serving.proxy import Proxy
from serving.redis.faults import CLIENTS, FAULTS, Fault, Process, drive, processes
from serving.test_cache import AT as TIME
from serving.test_cache import FIELD, VALUE, put

pytestmark = pytest.mark.redis

A = Entity("t", "a")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    running = RedisServer()
    yield running
    running.stop()


async def until(state: str, *caches: RedisCache) -> None:
    async with asyncio.timeout(120):
        while any(cache.state != state for cache in caches):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def lag(process: Process, asset: str) -> float:
    ((value, _),) = await process.reader.vectors(SPEC, TENANT, [asset], AT)
    found: float = json.loads(value)["features"]["lag_1h"]
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_answers_are_right_while_it_strikes_and_heals(fault: Fault) -> None:
    seen = await drive(fault)
    assert seen.failures == []
    assert seen.wrong == []
    assert seen.opened == fault.opens
    assert seen.recovered is not None
    assert seen.kept_again
    assert seen.requests > 200
    assert seen.ingests > 20
    # Those under way when it strikes wait for the timeout, and nobody after them.
    assert seen.over_timeout <= 4 * CLIENTS + seen.requests // 20


async def test_while_it_is_open_nobody_waits(server: RedisServer) -> None:
    cache = await RedisCache.open(server.url())
    with server.paused():
        await reads(cache, "t", ["a"], TIME, FIELD)
        assert cache.state == "open"
        begin = time.perf_counter()
        for _ in range(100):
            assert (await reads(cache, "t", ["a"], TIME, FIELD))[0][0] is None
        # The first drop waits until others must have seen it too; later ones do not.
        await cache.drop([A])
        begin_drops = time.perf_counter()
        for _ in range(100):
            await cache.drop([A])
        assert time.perf_counter() - begin_drops < 3
        assert time.perf_counter() - begin < 5
    await cache.close()


async def test_every_change_is_one_line(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache = await RedisCache.open(server.url())
    server.halt()
    await until("open", cache)
    for _ in range(50):
        await reads(cache, "t", ["a"], TIME, FIELD)
    await asyncio.sleep(0.3)
    server.start()
    await until("closed", cache)
    await cache.close()
    place = f"Redis at 127.0.0.1:{server.port}/0"
    first, second, third = (r.getMessage() for r in caplog.records if place in r.getMessage())
    assert first.startswith(f"{place} is away: ")
    assert second == f"{place} answers"
    assert third.startswith(f"{place} is in use again after ")


async def test_what_one_process_could_not_drop_is_gone_before_anybody_reads_again(
    server: RedisServer,
) -> None:
    """All lose Redis and find it with what it held; one of them has written meanwhile."""
    store = HeldStore()
    async with processes(store, [server.url()] * 3) as (writer, reader, idle):
        for one in (writer, reader, idle):
            assert await lag(one, "a") == 0.0
        server.pause()
        await writer.writer.land(batch(5.0, "a"), "observations")
        server.resume()
        while any(one.cache.state != "closed" for one in (writer, reader, idle)):
            assert await lag(reader, "a") == await lag(idle, "a") == 5.0
            await asyncio.sleep(0.002)
        assert await lag(reader, "a") == await lag(idle, "a") == 5.0
        assert len(store.computations) > 3


async def test_who_finds_redis_first_waits_for_what_others_owe(server: RedisServer) -> None:
    store = HeldStore()
    async with (
        Proxy(server.port) as early,
        Proxy(server.port) as late,
        processes(store, [early.url, late.url]) as (reader, writer),
    ):
        assert await lag(reader, "a") == 0.0
        early.answer = late.answer = b"-LOADING Redis is loading the dataset in memory\r\n"
        await until("open", reader.cache, writer.cache)
        await writer.writer.land(batch(5.0, "a"), "observations")
        early.answer = None
        await until("half-open", reader.cache)
        assert writer.cache.state == "open"
        begin = time.perf_counter()
        while reader.cache.state != "closed" or writer.cache.state != "closed":
            assert await lag(reader, "a") == 5.0
            if time.perf_counter() - begin > 0.3:
                late.answer = None
            await asyncio.sleep(0.01)
        assert await lag(reader, "a") == 5.0


async def test_a_process_that_was_cut_off_alone_drops_what_it_owes_first(
    server: RedisServer,
) -> None:
    store = HeldStore()
    async with (
        Proxy(server.port) as proxy,
        processes(store, [proxy.url, server.url()]) as (cut_off, other),
    ):
        assert await lag(other, "a") == 0.0
        proxy.answer = b"-LOADING Redis is loading the dataset in memory\r\n"
        await cut_off.writer.land(batch(5.0, "a"), "observations")
        assert await lag(cut_off, "a") == 5.0
        # This is the one case in which others may give what is stale, until it is found again.
        assert await lag(other, "a") == 0.0
        proxy.answer = None
        await until("half-open", cut_off.cache)
        assert await lag(other, "a") == 5.0
        assert await lag(cut_off, "a") == 5.0


async def test_half_open_drops_go_through_and_nothing_is_read(server: RedisServer) -> None:
    cache = await RedisCache.open(server.url())
    other = await RedisCache.open(server.url())
    with server.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    await until("half-open", cache)
    await until("closed", other)
    await put(other, "a")
    with server.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    await until("half-open", cache, other)
    assert (await reads(cache, "t", ["a"], TIME, FIELD))[0][0] is None
    assert await put(cache, "a") == 0
    assert await cache.drop([A]) == 1
    await until("closed", cache, other)
    assert (await other.read("t", ["a"], TIME, FIELD))[0][0] is None
    await cache.close()
    await other.close()


async def test_without_redis_requests_share_only_a_computation_that_has_not_begun(
    server: RedisServer,
) -> None:
    """No token tells what other processes wrote: each has to read what is there now."""
    store = HeldStore(holding=True)
    async with processes(store, [server.url()]) as (one,):
        server.halt()
        await until("open", one.cache)
        first = [asyncio.create_task(lag(one, "a")) for _ in range(3)]
        begun = await store.begun(1)
        # Another process writes: whoever asks from here on has to see it.
        store.values[Entity(TENANT, "a")] = 5.0
        later = [asyncio.create_task(lag(one, "a")) for _ in range(3)]
        await asyncio.sleep(0.01)
        begun.go.set()
        assert await asyncio.gather(*first) == [0.0] * 3
        (await store.begun(2)).go.set()
        assert await asyncio.gather(*later) == [5.0] * 3
        # One that takes long keeps nobody for long.
        slow = asyncio.create_task(lag(one, "slow"))
        await store.begun(3)
        others = [asyncio.create_task(lag(one, asset)) for asset in "bcb"]
        assert (await store.begun(4)).asset_ids == ("b", "c")
        for computation in store.computations:
            computation.go.set()
        assert await asyncio.gather(slow, *others) == [0.0] * 4


async def test_who_owes_too_much_to_remember_owes_everything(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drops, "_MOST_OWED", 2)
    async with processes(HeldStore(), [server.url()] * 2) as (one, other):
        for asset in "abcd":
            await put(other.cache, asset)
        with server.paused():
            await until("open", one.cache, other.cache)
            await one.cache.drop(Entity("t", asset) for asset in "abc")
            await one.cache.drop([Entity("t", "d")])
        await until("closed", one.cache, other.cache)
        for process in (one, other):
            found = await reads(process.cache, "t", [*"abcd"], TIME, FIELD)
            assert [value for value, _ in found] == [None] * 4
        assert await put(one.cache, "a") == 1
        assert (await reads(other.cache, "t", ["a"], TIME, FIELD))[0][0] == VALUE


@pytest.mark.parametrize("most", [0, 10], ids=["everything", "some"])
async def test_a_debt_that_is_cut_off_while_it_is_paid_stays_owed(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(drops, "_MOST_OWED", most)
    async with (
        Proxy(server.port) as proxy,
        processes(HeldStore(), [proxy.url, server.url()]) as (cut_off, other),
    ):
        await put(other.cache, "a")
        proxy.answer = b"-LOADING Redis is loading the dataset in memory\r\n"
        await until("open", cut_off.cache)
        await cut_off.cache.drop([A])
        proxy.cut = words.DROP.sha.encode() if most else words.END_EPOCH
        proxy.answer = None
        async with asyncio.timeout(20):
            await proxy.was_cut.wait()
        assert (await reads(other.cache, "t", ["a"], TIME, FIELD))[0][0] == VALUE
        proxy.cut = None
        await until("closed", cut_off.cache)
        await until("closed", other.cache)
        assert (await reads(other.cache, "t", ["a"], TIME, FIELD))[0][0] is None


async def test_a_process_that_noticed_nothing_hears_that_nothing_counts(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drops, "_MOST_OWED", 0)
    async with (
        Proxy(server.port) as proxy,
        processes(HeldStore(), [proxy.url, server.url()]) as (cut_off, other),
    ):
        await put(other.cache, "a")
        proxy.answer = b"-LOADING Redis is loading the dataset in memory\r\n"
        await until("open", cut_off.cache)
        await cut_off.cache.drop([A])
        assert other.cache.state == "closed"
        proxy.answer = None
        await until("closed", cut_off.cache)
        await until("closed", other.cache)
        assert other.cache.errors["lost"] == 1
        assert (await reads(other.cache, "t", ["a"], TIME, FIELD))[0][0] is None


async def test_standing_still_itself_is_no_loss_of_redis(server: RedisServer) -> None:
    cache = await RedisCache.open(server.url())
    await put(cache, "a")
    for _ in range(3):
        reading = asyncio.create_task(reads(cache, "t", ["a"], TIME, FIELD))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(0.25)  # noqa: ASYNC251  # The loop stands still, with the answer in the socket.
        assert (await reading)[0][0] == VALUE
        assert cache.state == "closed"
    await cache.close()


async def test_an_ingest_of_a_process_far_away_is_seen_by_all(server: RedisServer) -> None:
    store = HeldStore()
    async with processes(store, [server.url()] * 2) as (one, other):
        assert await lag(one, "a") == 0.0
        await other.writer.land(batch(5.0, "a"), "observations")
        assert await lag(one, "a") == 5.0
        ((kept, _),) = await reads(other.cache, TENANT, ["a"], iso(AT), SPEC.field)
        assert kept is not None
