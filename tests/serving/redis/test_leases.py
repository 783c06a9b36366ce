"""A cold key that many processes ask for at once is computed by one of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

import pytest

import redis_server
from ai_hub.definitions.values import Entity
from ai_hub.errors import StoreUnavailable
from ai_hub.serving.reader import Reader
from ai_hub.serving.redis.cache import RedisCache
from ai_hub.serving.writer import Writer
from serving.doubles import AT, SPEC, TENANT, HeldStore, batch
from serving.kinds import TIMEOUT, reads

pytestmark = pytest.mark.redis


class Process:
    """One of several that share a store and a Redis server."""

    def __init__(self, store: HeldStore, cache: RedisCache, patience: float) -> None:
        self.cache = cache
        self.reader = Reader(store, cache, lambda: AT, patience)
        self.writer = Writer(store, cache)

    async def lags(self, *asset_ids: str) -> list[float]:
        found = await self.reader.vectors(SPEC, TENANT, asset_ids, AT)
        vectors = [json.loads(value) for value, _ in found]
        return [vector["features"].get("lag_1h", -1.0) for vector in vectors]


@asynccontextmanager
async def processes(
    store: HeldStore, count: int, patience: float = 5.0
) -> AsyncIterator[list[Process]]:
    server = redis_server.server()
    server.call("FLUSHALL")
    async with AsyncExitStack() as stack:
        those = []
        for _ in range(count):
            cache = await RedisCache.open(server.url(), timeout=TIMEOUT)
            stack.push_async_callback(cache.close)
            those.append(Process(store, cache, patience))
        yield those


async def computed(store: HeldStore, assets: int) -> None:
    """Let every computation go on, until so many assets were asked for."""
    async with asyncio.timeout(20):
        while len(asked(store)) < assets:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for computation in store.computations:
        computation.go.set()


def asked(store: HeldStore) -> list[str]:
    """The assets of all computations."""
    return sorted(asset for one in store.computations for asset in one.asset_ids)


async def test_a_herd_on_a_cold_key_costs_one_computation() -> None:
    store = HeldStore(holding=True)
    async with processes(store, 4) as those:
        herd = [asyncio.create_task(one.lags("a")) for one in those for _ in range(8)]
        computation = await store.begun(1)
        await asyncio.sleep(0.1)
        computation.go.set()
        assert await asyncio.gather(*herd) == [[0.0]] * 32
        assert len(store.computations) == 1
        hits = [(await one.cache.stats()).hits for one in those]
        assert sorted(hits) == [0, 8, 8, 8]


async def test_a_herd_on_a_cold_batch_computes_each_vector_once() -> None:
    store = HeldStore(holding=True)
    assets = [f"asset-{n}" for n in range(300)]
    async with processes(store, 3) as those:
        herd = [asyncio.create_task(one.lags(*assets)) for one in those for _ in range(3)]
        await computed(store, 300)
        assert await asyncio.gather(*herd) == [[0.0] * 300] * 9
        assert asked(store) == sorted(assets)


async def test_batches_that_overlap_do_not_wait_for_each_other() -> None:
    store = HeldStore(holding=True)
    async with processes(store, 2) as (one, other):
        first = asyncio.create_task(one.lags("a", "b"))
        await store.begun(1)
        second = asyncio.create_task(other.lags("b", "c"))
        # It computes what nobody does, and waits for the rest.
        assert (await store.begun(2)).asset_ids == ("c",)
        await computed(store, 3)
        assert await asyncio.gather(first, second) == [[0.0] * 2] * 2
        assert asked(store) == ["a", "b", "c"]


@pytest.mark.parametrize(("clients", "assets"), [(16, 500), (64, 100)])
async def test_a_herd_of_batches_computes_hardly_a_vector_twice(clients: int, assets: int) -> None:
    """Each asks for another part of 500 assets, by way of one of four processes."""
    store = HeldStore()
    herd = Random(clients)
    everything = [f"asset-{n:03d}" for n in range(500)]
    async with processes(store, 4) as those:
        batches = [herd.sample(everything, assets) for _ in range(clients)]
        asking = (those[n % 4].lags(*some) for n, some in enumerate(batches))
        assert await asyncio.gather(*asking) == [[0.0] * assets] * clients
        assert {one.cache.state for one in those} == {"closed"}
        distinct = {asset for some in batches for asset in some}
        assert len(asked(store)) <= 1.05 * len(distinct)


async def test_others_take_over_at_once_from_one_that_fails() -> None:
    store = HeldStore(holding=True)
    async with processes(store, 2) as (one, other):
        first = asyncio.create_task(one.lags("a"))
        computation = await store.begun(1)
        second = asyncio.create_task(other.lags("a"))
        await asyncio.sleep(0.05)
        computation.error = StoreUnavailable("away")
        computation.go.set()
        begin = time.perf_counter()
        assert await first == [-1.0]
        (await store.begun(2)).go.set()
        assert await second == [0.0]
        assert time.perf_counter() - begin < 5


async def test_others_compute_when_one_is_gone_with_its_lease() -> None:
    store = HeldStore()
    async with processes(store, 2, patience=1.0) as (one, other):
        await reads(one.cache, TENANT, ["a"], "2025-10-09T14:30:00Z", SPEC.field)
        begin = time.perf_counter()
        assert await other.lags("a") == [0.0]
        assert 0.5 < time.perf_counter() - begin < 30
        assert len(store.computations) == 1


async def test_nobody_waits_for_a_computation_that_is_stale_already() -> None:
    store = HeldStore(holding=True)
    async with processes(store, 2) as (one, other):
        first = asyncio.create_task(one.lags("a"))
        computation = await store.begun(1)
        await other.writer.land(batch(5.0, "a"), "observations")
        second = asyncio.create_task(other.lags("a"))
        (await store.begun(2)).go.set()
        assert await second == [5.0]
        computation.go.set()
        assert await first == [0.0]
        # The older one, which ended last, has not replaced what was kept.
        assert await one.lags("a") == [5.0]
        assert len(store.computations) == 2


async def test_a_drop_while_others_wait_lets_them_compute_anew() -> None:
    store = HeldStore(holding=True)
    async with processes(store, 3) as (one, other, writer):
        first = asyncio.create_task(one.lags("a"))
        computation = await store.begun(1)
        second = asyncio.create_task(other.lags("a"))
        await asyncio.sleep(0.05)
        await writer.writer.land(batch(5.0, "a"), "observations")
        (await store.begun(2)).go.set()
        assert await second == [5.0]
        computation.go.set()
        assert await first == [0.0]
        await writer.cache.drop([Entity(TENANT, "a")])
