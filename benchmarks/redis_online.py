"""Answers cached on Redis beside a bare endpoint with redis-py, and what dropping costs.

A private server is started by the harness of the tests.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

import redis.asyncio as aioredis
import uvloop

from ai_hub import FeatureStore
from ai_hub.definitions.values import Entity, iso
from ai_hub.serving.redis import words as words
from ai_hub.serving.redis.cache import RedisCache
from benchmarks.data import HOUR, START, TENANT, asset_names, observations, weather
from benchmarks.measure import Check, Table, Topic, ms, percentile
from benchmarks.server import (
    BATCH,
    GET,
    Client,
    Load,
    free_port,
    has_wrk,
    our_server,
    python_load,
    running,
    wrk,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import redis_server
from serving.kinds import reads

_ASSETS, _HOURS, _BATCH = 100, 200, 100
_ROUNDS, _SECONDS = 7, 2
_UNRELATED, _DROPS = 1_000_000, 1_000
_FIELD = "forecast_advanced@1:f9b7c270545e059f:mean"
_VALUE = json.dumps({"features": {f"feature_{i:02d}": i / 7 for i in range(13)}}).encode()
_AT = START + (_HOURS - 1) * HOUR


def run() -> Topic:
    topic = Topic("redis_online")
    redis = redis_server.RedisServer()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _cached(redis, Path(folder), topic)
        redis.call("FLUSHALL")
        _ways_of_reading(redis, topic)
        _drops(redis, topic)
    finally:
        redis.stop()
    return topic


async def _fill(database: Path) -> None:
    async with FeatureStore.open(f"duckdb:///{database}", cache_url="memory://") as store:
        await store.ingest(observations(_ASSETS, _HOURS), TENANT)
        await store.ingest_weather(weather(_ASSETS, _HOURS), TENANT)


def _get(asset_id: str) -> dict[str, object]:
    return {
        "tenant_id": TENANT, "asset_id": asset_id, "feature_set": "forecast_advanced",
        "timestamp": iso(_AT),
    }  # fmt: skip


def _cached(redis: redis_server.RedisServer, folder: Path, topic: Topic) -> None:
    database = folder / "features.duckdb"
    asyncio.run(_fill(database))
    assets = asset_names(_BATCH)
    ones = [_get(asset_id) for asset_id in assets]
    many = {
        "tenant_id": TENANT, "asset_ids": assets, "feature_set": "forecast_advanced",
        "timestamp": iso(_AT),
    }  # fmt: skip
    ours, bare = free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(our_server(ours, database, folder, AI_HUB_CACHE_URL=redis.url()))
        with Client(ours) as client:
            _copy(redis, client, ones, many)
        command = [sys.executable, "-m", "benchmarks.bare_redis", str(bare), redis.url()]
        stack.enter_context(running(command, bare))
        with Client(ours) as a, Client(bare) as b:
            for path, body in ((GET, ones[7]), (BATCH, many)):
                assert a.post(path, body) == b.post(path, body), f"{path}: answers differ"
        lines = [
            _beside(path, body, connections, ours, bare, topic)
            for path, body, connections in (
                (GET, ones, 1), (GET, ones, 16), (BATCH, many, 1), (BATCH, many, 16)
            )
        ]  # fmt: skip
    by = "wrk" if has_wrk() else "a Python client on one connection (there is no wrk here)"
    topic.tables.append(
        Table(
            "Answers cached on Redis over HTTP, one worker, beside a bare ASGI endpoint on uvicorn "
            "with redis-py",
            ("request", "connections", "requests/s", "bare", "ratio", "p50 ms", "bare", "ratio",
             "p99 ms", "bare", "ratio"),
            lines,
            f"Load by {by} on the same machine, {_ROUNDS} interleaved rounds of {_SECONDS} s, "
            f"{_ASSETS} assets in turn. The bare endpoint decodes the body with msgspec, does one "
            "GET, or one MGET of 100 and a join, and answers the same bytes. Ours asks Redis for "
            "the tokens and has the vectors in its first level.",
        )
    )  # fmt: skip


def _copy(
    redis: redis_server.RedisServer, client: Client, ones: list[dict[str, object]], many: object
) -> None:
    """Put what a warm server answers where the bare endpoint finds it."""
    for _ in range(2):
        answers = [client.post(GET, one).decode() for one in ones]
        batch = client.post(BATCH, many).decode()
    head, results = batch.split('"results":{', 1)
    assets = [str(one["asset_id"]) for one in ones]
    # The parts exactly as they are sent: from one asset's name to the next one's.
    starts = [results.index(f'"{asset_id}":') for asset_id in assets]
    ends = [start - 1 for start in starts[1:]] + [len(results) - 2]
    with redis.client() as values:
        values.mset({f"bare:{a}": answer for a, answer in zip(assets, answers, strict=True)})
        parts = zip(assets, starts, ends, strict=True)
        values.mset({f"bare:part:{a}": results[i:j] for a, i, j in parts})
        values.mset({"bare:head": head + '"results":{', "bare:tail": "}}"})


def _beside(
    path: str, body: object, connections: int, ours: int, bare: int, topic: Topic
) -> tuple[str, ...]:
    load = wrk if has_wrk() else python_load
    mine: list[Load] = []
    theirs: list[Load] = []
    for _ in range(_ROUNDS):
        mine.append(load(ours, path, body, connections, _SECONDS))
        theirs.append(load(bare, path, body, connections, _SECONDS))
    rate, p50, p99 = (
        median(getattr(a, name) / getattr(b, name) for a, b in zip(mine, theirs, strict=True))
        for name in Load._fields
    )
    what = f"{'get' if path == GET else 'batch of 100'} cached on Redis, {connections} connections"
    if path == GET:
        least = 0.8 if connections == 1 else 1.0
        topic.checks.append(Check(f"{what}, throughput / bare", rate, least, least=True))
        topic.checks.append(Check(f"{what}, p99 / bare", p99, 1.5))
    elif connections == 1:
        topic.checks.append(Check(f"{what}, p50 / bare", p50, 1.5))
    return (
        "get" if path == GET else "batch of 100",
        str(connections),
        f"{median(a.throughput for a in mine):,.0f}",
        f"{median(b.throughput for b in theirs):,.0f}",
        f"{rate:.2f}",
        ms(median(a.p50 for a in mine)),
        ms(median(b.p50 for b in theirs)),
        f"{p50:.2f}",
        ms(median(a.p99 for a in mine)),
        ms(median(b.p99 for b in theirs)),
        f"{p99:.2f}",
    )


_SCRIPT = words._script(
    """
local half = #KEYS / 2
local replies = redis.call('MGET', unpack(KEYS, 1, half))
for i = 1, half do
  replies[half + i] = redis.call('HGET', KEYS[half + i], ARGV[1])
end
return replies
"""
)


def _ways_of_reading(redis: redis_server.RedisServer, topic: Topic) -> None:
    """Tokens and values of some assets in one round trip: as commands, and as one script."""
    lines = uvloop.run(_ways(redis))
    topic.tables.append(
        Table(
            "Token and value of each asset in one round trip, in the process",
            ("assets", "MGET and HGETs p50 us", "CPU us", "one script", "CPU us",
             "RedisCache.read", "CPU us", "redis-py MGET of values", "CPU us"),
            lines,
            f"{_ROUNDS} interleaved rounds. The first two send what is packed already and parse "
            "the replies. RedisCache.read has read them before, and asks for the tokens alone. "
            "redis-py reads plain values, without a token. CPU is that of the client.",
        )
    )  # fmt: skip


async def _ways(redis: redis_server.RedisServer) -> list[tuple[str, ...]]:
    cache = await RedisCache.open(redis.url(), timeout=5)
    link = cache._link
    assert link is not None
    plain = aioredis.Redis.from_url(redis.url())
    lines = []
    at = iso(_AT)
    for count in (1, 10, _BATCH):
        assets = asset_names(count)
        found = await reads(cache, TENANT, assets, at, _FIELD)
        kept = [(a, token, _VALUE) for a, (_, token) in zip(assets, found, strict=True)]
        await cache.keep(TENANT, at, _FIELD, kept)
        await plain.mset({f"bare:{asset_id}": _VALUE for asset_id in assets})
        commands = words.reading(TENANT, assets, assets, at, _FIELD)
        keys = [words.generation_key(TENANT, a) for a in assets]
        keys += [words.features_key(TENANT, a, at) for a in assets]
        await link.ask(_SCRIPT.send(keys, _FIELD), 1)
        script = _SCRIPT.call(keys, _FIELD)
        names = [f"bare:{asset_id}" for asset_id in assets]
        ways: list[Callable[[], Awaitable[object]]] = [
            partial(link.ask, commands, count + 1),
            partial(link.ask, script, 1),
            partial(cache.read, TENANT, assets, at, _FIELD),
            partial(plain.mget, names),
        ]
        figures: list[list[tuple[float, float]]] = [[] for _ in ways]
        for _ in range(_ROUNDS):
            for way, took in zip(ways, figures, strict=True):
                took.append(await _timed(way, 300))
        cells = [
            f"{1e6 * median(column):.0f}" for took in figures for column in zip(*took, strict=True)
        ]
        lines.append((str(count), *cells))
    await plain.aclose()
    await cache.close()
    return lines


async def _timed(work: Callable[[], Awaitable[object]], times: int) -> tuple[float, float]:
    """The median of the seconds that some calls took, and the CPU seconds of one."""
    took = []
    begin = time.process_time()
    for _ in range(times):
        start = time.perf_counter()
        await work()
        took.append(time.perf_counter() - start)
    return median(took), (time.process_time() - begin) / times


def _drops(redis: redis_server.RedisServer, topic: Topic) -> None:
    """What it costs to drop an asset among many keys of others."""
    lines = []
    for unrelated in (0, _UNRELATED):
        for first in range(0, unrelated, _FILLED):
            redis.call("EVAL", _FILL, 0, first, first + _FILLED - 1)
        for live in (1, 5):
            took = uvloop.run(_drop_one_by_one(redis, live))
            p50, p99 = median(took), percentile(took, 0.99)
            lines.append((f"{unrelated:,}", str(live), ms(p50), ms(p99), ms(max(took))))
            what = f"invalidate, {live} live keys, {unrelated:,} others in Redis, p99"
            topic.checks.append(Check(what, p99 * 1e3, 5, "ms"))
    topic.tables.append(
        Table(
            "Dropping the vectors of one asset",
            ("other keys in Redis", "live keys of the asset", "p50 ms", "p99", "slowest"),
            lines,
            f"{_DROPS:,} assets one after the other, in the process.",
        )
    )


_FILLED = 20_000
_FILL = """
for i = ARGV[1], ARGV[2] do
  redis.call('HSET', string.format('features:other:meter-%07d:2025-10-09T14:30:00Z', i), 'f', i)
end
"""


async def _drop_one_by_one(redis: redis_server.RedisServer, live: int) -> list[float]:
    cache = await RedisCache.open(redis.url(), timeout=5)
    assets = asset_names(_DROPS)
    for first in range(0, _DROPS, 500):
        some = assets[first : first + 500]
        for minute in range(live):
            at = iso(_AT + minute * HOUR // 60)
            found = await reads(cache, TENANT, some, at, _FIELD)
            kept = [(a, token, _VALUE) for a, (_, token) in zip(some, found, strict=True)]
            await cache.keep(TENANT, at, _FIELD, kept)
    took = []
    for asset_id in assets:
        begin = time.perf_counter()
        dropped = await cache.drop([Entity(TENANT, asset_id)])
        took.append(time.perf_counter() - begin)
        assert dropped == live
    await cache.close()
    return took
