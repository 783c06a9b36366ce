"""What a process keeps of what it read from Redis: within its bounds, and never stale."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

import redis_server
from ai_hub.definitions.values import Entity
from ai_hub.serving.cache import Token
from ai_hub.serving.redis import words
from ai_hub.serving.redis.cache import RedisCache
from ai_hub.serving.redis.first_level import FirstLevel
from redis_server import RedisServer
from serving.kinds import TIMEOUT, reads
from serving.proxy import Proxy
from serving.test_cache import AT, FIELD, LATER, OTHER, look, put, vector

SLOT = "t", AT, FIELD
TOKEN = b"token"
A = Entity("t", "a")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


# In the process


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 12)), max_size=30))
def test_nothing_is_known_for_longer_than_it_may_be(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    level = FirstLevel(seconds=10, clock=clock)
    put_at: dict[str, float] = {}
    for asset, seconds in steps:
        clock.now += seconds
        for one, found in zip("abc", level.known(SLOT, "abc"), strict=True):
            age = clock.now - put_at.get(one, -100)
            assert found == (TOKEN, one.encode()) or (found is None and age > 4.999)
            assert found is None or age < 10.001
        level.put(SLOT, asset, TOKEN, asset.encode())
        put_at[asset] = clock.now


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3_000)), max_size=60))
def test_all_together_have_a_bound(values: list[tuple[int, int]]) -> None:
    level = FirstLevel(max_bytes=20_000, clock=Clock())
    for number, size in values:
        level.put((f"t{number % 3}", AT, FIELD), str(number), TOKEN, b"x" * size)
        assert 0 <= level.size <= 20_000 + 3_500
    for number in range(31):
        level.forget((f"t{number % 3}", AT, FIELD), [str(number)])
    assert level.size == 0


def test_what_was_read_last_is_known_and_what_was_forgotten_is_not() -> None:
    clock = Clock()
    level = FirstLevel(seconds=10, clock=clock)
    level.put(SLOT, "a", TOKEN, b"1")
    level.put(SLOT, "b", TOKEN, b"1")
    clock.now += 6
    assert level.known(SLOT, ["a", "c", "b"]) == [(TOKEN, b"1"), None, (TOKEN, b"1")]
    level.put(SLOT, "a", b"another", b"2")
    assert level.known(SLOT, ["a", "b"]) == [(b"another", b"2"), (TOKEN, b"1")]
    level.forget(SLOT, ["a", "b", "c"])
    assert level.known(SLOT, ["a", "b"]) == [None, None]
    assert level.known(("u", AT, FIELD), ["a"]) == [None]


# Over a server

over_redis = pytest.mark.redis


@pytest.fixture
def server() -> RedisServer:
    found = redis_server.server()
    found.call("FLUSHALL")
    return found


@asynccontextmanager
async def processes(
    number: int, clock: Clock | None = None, url: str = "", patience: float = TIMEOUT
) -> AsyncIterator[list[RedisCache]]:
    """Caches as several processes have them, which look at one clock."""
    async with AsyncExitStack() as stack:
        caches = []
        for _ in range(number):
            url = url or redis_server.server().url()
            cache = await RedisCache.open(url, 300, patience, clock=clock or Clock())
            stack.push_async_callback(cache.close)
            caches.append(cache)
        yield caches


def calls(server: RedisServer) -> dict[str, int]:
    """How often each command ran since this was asked last."""
    with server.client() as client:
        told = client.info("commandstats")
    server.call("CONFIG", "RESETSTAT")
    return {name.removeprefix("cmdstat_"): one["calls"] for name, one in told.items()}


@over_redis
async def test_a_batch_that_was_read_before_is_one_command(server: RedisServer) -> None:
    assets = [f"asset-{n}" for n in range(100)]
    async with processes(2) as (one, other):
        for n, asset in enumerate(assets):
            await put(one, asset, vector(n))
        for process in one, other:
            for first in True, False:
                calls(server)
                found = await reads(process, "t", assets, AT, FIELD)
                assert [value for value, _ in found] == [vector(n) for n in range(100)]
                used = calls(server)
                assert (used["mget"], used.get("hget", 0)) == (1, 100 if first else 0)
            assert process.near_hits == 100
            assert process.near_bytes > 100 * 300
        # What is new to a process alone is read.
        await reads(one, "t", ["asset-0", "asset-1"], LATER, FIELD)
        await put(other, "asset-1", vector(101))
        calls(server)
        found = await reads(one, "t", assets, AT, FIELD)
        assert calls(server).get("hget", 0) == 0


@over_redis
async def test_a_drop_anywhere_counts_at_once(server: RedisServer) -> None:
    async with processes(3) as (one, other, third):
        for process in one, other, third:
            await put(process, "a", vector(1))
            assert await look(process, "a") == await look(process, "a") == vector(1)
        await third.drop([A])
        # What another one computed since is read; nobody need compute it again.
        await put(one, "a", vector(2))
        calls(server)
        assert await look(other, "a") == vector(2)
        assert calls(server).get("evalsha", 0) == 0
        await other.mark([A], "one")
        assert await look(one, "a") is await look(other, "a") is None
        await other.drop([A], mark="one")
        assert await look(one, "a") is None


@over_redis
async def test_what_redis_has_no_more_is_known_for_ten_seconds(server: RedisServer) -> None:
    clock = Clock()
    async with processes(1, clock) as (cache,):
        await put(cache, "a", vector(1))
        await look(cache, "a")
        server.call("DEL", f"features:t:a:{AT}")
        assert await look(cache, "a") == vector(1)
        clock.now += 10
        assert await look(cache, "a") is None


@over_redis
async def test_a_field_that_is_read_while_it_is_forgotten_counts_no_more(
    server: RedisServer,
) -> None:
    async with (
        Proxy(server.port) as proxy,
        processes(1) as (cache,),
        processes(1, url=proxy.url) as (writer,),
    ):
        await put(cache, "a", vector(1))
        await put(cache, "a", vector(1), field=OTHER)
        seen = []

        async def between(data: bytes) -> None:
            if words.FORGET.sha.encode() in data:
                seen.append(await look(cache, "a"))

        proxy.met = between
        assert await writer.drop([A], "forecast_basic@1:") == 1
        assert seen == [vector(1)]
        assert await look(cache, "a") is None
        assert await look(cache, "a", field=OTHER) == vector(1)


@over_redis
async def test_nothing_is_known_of_a_server_that_came_back_older() -> None:
    server = RedisServer()
    try:
        async with processes(1, url=server.url(), patience=0.3) as (cache,):
            await put(cache, "a", vector(1))
            assert await look(cache, "a") == await look(cache, "a") == vector(1)
            server.call("SAVE")
            await cache.drop([A])
            server.restart()
            # With the token, the value and the epoch of before.
            assert server.call("EXISTS", "ai-hub:generation:t:a") == 1
            async with asyncio.timeout(30):
                while cache.state == "closed":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                while cache.state != "closed":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert await look(cache, "a") is None
    finally:
        server.stop()


@over_redis
async def test_a_closed_cache_holds_nothing(server: RedisServer) -> None:
    async with processes(1) as (cache,):
        await put(cache, "a", vector(1))
        await look(cache, "a")
        assert cache._first.size > 0
        await cache.close()
        assert cache._first.size == 0


# Whatever several processes do

ASSETS = "abc"
FIELDS = (FIELD, OTHER)


class World:
    """Processes on one Redis, and what their answers must show.

    A vector is the number of its entity's last ingest and one of its own, which grows. Ingests of
    an entity are one after the other, as a database has it.
    """

    def __init__(self, caches: list[RedisCache], clock: Clock) -> None:
        self.caches = caches
        self.clock = clock
        self.stored: dict[str, int] = defaultdict(int)
        self.acknowledged: dict[str, int] = defaultdict(int)
        self.shown: dict[str, int] = defaultdict(int)
        self.invalid_until: dict[tuple[str, str], int] = defaultdict(int)
        self.begun: list[tuple[int, str, str, Token, bytes]] = []
        self._numbers = count(1)
        self._writing = {asset: asyncio.Lock() for asset in ASSETS}

    async def ingest(self, process: int, asset: str, turns: int) -> None:
        async with self._writing[asset]:
            cache, mark = self.caches[process], f"mark-{next(self._numbers)}"
            where = await cache.mark([Entity("t", asset)], mark)
            assert where
            await self._wait(turns)
            self.stored[asset] += 1
            number = self.stored[asset]
            await self._wait(turns)
            await cache.drop([Entity("t", asset)], mark=mark)
            self.acknowledged[asset] = number

    async def ask(self, process: int, assets: list[str], field: str, late: bool) -> None:
        """Ask as a reader does; `late` begins a computation whose value is kept in another step."""
        cache = self.caches[process]
        least = [max(self.acknowledged[one], self.shown[one]) for one in assets]
        invalid = [self.invalid_until[one, field] for one in assets]
        found = await reads(cache, "t", assets, AT, field)
        for asset, (value, token), at_least, not_before in zip(
            assets, found, least, invalid, strict=True
        ):
            if value is None:
                value = b'{"features":{"ingest":%d,"number":%d}}' % (
                    self.stored[asset], next(self._numbers),
                )  # fmt: skip
                if token is not None and late:
                    self.begun.append((process, asset, field, token, value))
                elif token is not None:
                    await cache.keep("t", AT, field, [(asset, token, value)])
            ingest, number = (int(part.strip(b"}").split(b":")[-1]) for part in value.split(b","))
            assert ingest >= at_least, f"{asset}: {ingest} after {at_least}"
            assert number > not_before, f"{asset}: {number} after it was invalidated"
            self.shown[asset] = max(self.shown[asset], ingest)

    async def keep(self) -> None:
        """Keep what was computed, however late."""
        begun, self.begun = self.begun, []
        for process, asset, field, token, value in begun:
            await self.caches[process].keep("t", AT, field, [(asset, token, value)])

    async def invalidate(self, process: int, asset: str, field: str) -> None:
        before = next(self._numbers)
        await self.caches[process].drop([Entity("t", asset)], field.partition(":")[0] + ":")
        self.invalid_until[asset, field] = before

    async def evict(self, name: str, asset: str) -> None:
        redis_server.server().call("DEL", name.format(asset))

    async def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    async def _wait(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)


_EVICTED = (f"features:t:{{}}:{AT}", "ai-hub:generation:t:{}")
_process, _asset, _field = st.integers(0, 2), st.sampled_from(ASSETS), st.sampled_from(FIELDS)
_assets = st.lists(_asset, min_size=1, max_size=3, unique=True)
_ask = st.tuples(st.just("ask"), _process, _assets, _field, st.booleans())
_step = st.one_of(
    _ask,
    _ask,
    st.tuples(st.just("ingest"), _process, _asset, st.integers(0, 6)),
    st.tuples(st.just("keep")),
    st.tuples(st.just("invalidate"), _process, _asset, _field),
    st.tuples(st.just("evict"), st.sampled_from(_EVICTED), _asset),
    st.tuples(st.just("wait"), st.sampled_from((1.0, 4.0, 11.0))),
)
_steps = st.lists(st.lists(_step, min_size=1, max_size=4), min_size=1, max_size=8)


@over_redis
@given(_steps)
async def test_no_answer_is_stale_or_goes_back_whatever_processes_do(
    steps: list[list[tuple[object, ...]]],
) -> None:
    redis_server.server().call("FLUSHALL")
    clock = Clock()
    async with processes(3, clock) as caches:
        world = World(caches, clock)
        for together in steps:
            await asyncio.gather(*(getattr(world, name)(*given) for name, *given in together))
        await world.keep()
        for process in range(3):
            for field in FIELDS:
                await world.ask(process, list(ASSETS), field, False)
