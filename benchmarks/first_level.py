"""What Redis has to do for cached answers: where the process keeps what it read, and where not."""

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
from typing import NamedTuple

import uvloop

from ai_hub.definitions.values import iso
from ai_hub.serving.redis.cache import RedisCache
from ai_hub.serving.redis.first_level import FirstLevel
from benchmarks.data import HOUR, START, TENANT, asset_names
from benchmarks.measure import Check, Table, Topic, median_ratio
from benchmarks.no_first_level import Nothing
from benchmarks.server import (
    BATCH,
    GET,
    HOST,
    Client,
    console,
    free_port,
    has_wrk,
    python_load,
    running,
    wrk,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import redis_server
import servers
from serving.kinds import reads

_ROUNDS, _REQUESTS, _SECONDS = 9, 400, 2.0
_SIZES = (1, 100, 1_000)
_WORKERS = (1, 2)
_AT = START + 48 * HOUR
_FIELD = "forecast_advanced@1:f9b7c270545e059f:mean"
_VALUE = json.dumps({"features": {f"feature_{i:02d}": i / 7 for i in range(13)}}).encode()
_READS = 2.0
"""Millions of vectors a second that one Redis gives in batches of 100: 20,000 batches."""


class Without(RedisCache):
    """The cache on Redis without a first level."""

    def _nothing_read(self) -> FirstLevel:
        return Nothing()


class _Cost(NamedTuple):
    """Seconds of a request: what passed, and those of the processors of Redis and the process."""

    took: float
    redis: float
    ours: float


def run() -> Topic:
    topic = Topic("first_level")
    redis = redis_server.RedisServer()
    try:
        uvloop.run(_in_process(redis, topic))
        redis.call("FLUSHALL")
        if servers.absent("plain"):
            topic.tables.append(Table("No figures of PostgreSQL, which is not here", (), []))
        else:
            with tempfile.TemporaryDirectory() as folder:
                _over_http(redis, Path(folder), topic)
    finally:
        redis.stop()
        servers.stop_all()
    return topic


async def _in_process(redis: redis_server.RedisServer, topic: Topic) -> None:
    rows = []
    caches = [await kind.open(redis.url(), timeout=5) for kind in (RedisCache, Without)]
    for size in _SIZES:
        assets = asset_names(size)
        found = await reads(caches[0], TENANT, assets, iso(_AT), _FIELD)
        kept = [(a, token, _VALUE) for a, (_, token) in zip(assets, found, strict=True)]
        assert await caches[0].keep(TENANT, iso(_AT), _FIELD, kept) == size
        costs: tuple[list[_Cost], list[_Cost]] = ([], [])
        for _ in range(_ROUNDS):
            for cache, seen in zip(caches, costs, strict=True):
                read = partial(cache.read, TENANT, assets, iso(_AT), _FIELD)
                await read()
                seen.append(await _cost(redis, read, max(40, _REQUESTS // size * 10)))
        with_it, without = costs
        cells = [f"{size:,}"]
        for name in ("redis", "ours"):
            mine, theirs = ([getattr(one, name) for one in some] for some in costs)
            cells += [f"{1e6 * median(mine):.1f}", f"{1e6 * median(theirs):.1f}"]
            cells.append(f"{median_ratio(mine, theirs):.2f}")
        most = [size / median(one.redis for one in some) / 1e6 for some in (with_it, without)]
        rows.append((*cells, *(f"{one:.1f}" for one in most)))
        if size == 100:
            what = "batch of 100 cached, vectors a second that one Redis gives"
            topic.checks.append(Check(what, most[0], _READS, "M", least=True))
    for cache in caches:
        await cache.close()
    topic.tables.append(
        Table(
            "Processor time of a request whose vectors are cached, in the process",
            ("vectors", "Redis us", "without", "ratio", "process us", "without", "ratio",
             "one Redis gives M vectors/s", "without"),
            rows,
            f"{_ROUNDS} interleaved rounds, 16 requests at a time. Without: as it is where a "
            "process keeps nothing of what it read, and each vector is an HGET.",
        )
    )  # fmt: skip


async def _cost(
    redis: redis_server.RedisServer, read: Callable[[], Awaitable[object]], times: int
) -> _Cost:
    before = await asyncio.to_thread(_spent, redis)
    begin, start = time.process_time(), time.perf_counter()
    left = iter(range(times))

    async def one_after_the_other() -> None:
        for _ in left:
            await read()

    await asyncio.gather(*(one_after_the_other() for _ in range(16)))
    took, ours = time.perf_counter() - start, time.process_time() - begin
    after = await asyncio.to_thread(_spent, redis)
    return _Cost(took / times, (after - before) / times, ours / times)


def _spent(redis: redis_server.RedisServer) -> float:
    """Seconds that the thread of Redis had of a processor."""
    with redis.client() as client:
        told = client.info("cpu")
    return float(told["used_cpu_user_main_thread"]) + float(told["used_cpu_sys_main_thread"])


def _over_http(redis: redis_server.RedisServer, folder: Path, topic: Topic) -> None:
    database = servers.server("plain").fresh()
    assets = asset_names(100)
    rows: list[tuple[str, ...]] = []
    ours = console("serve")
    without = [sys.executable, "-m", "benchmarks.no_first_level", "serve"]
    for workers in _WORKERS:
        settings = {
            "AI_HUB_DATABASE_URL": database, "AI_HUB_CACHE_URL": redis.url(),
            "AI_HUB_EXPORT_ROOT": str(folder), "AI_HUB_CACHE_TTL": "3600",
            "AI_HUB_WORKERS": str(workers),
        }  # fmt: skip
        with ExitStack() as stack:
            ports = []
            for command in ours, without:
                ports.append(free_port())
                told = [*command, "--host", HOST, "--port", str(ports[-1])]
                stack.enter_context(running(told, ports[-1], **settings))
            _fill(ports[0], assets)
            for what, path, body in _bodies(assets):
                rows.append((str(workers), what, *_beside(redis, ports, path, body)))
    by = "wrk on 16 connections" if has_wrk() else "a Python client on one connection"
    topic.tables.append(
        Table(
            "Cached answers over HTTP, PostgreSQL and Redis",
            ("workers", "request", "requests/s", "without", "ratio", "Redis us a request",
             "without", "ratio"),
            rows,
            f"Load by {by} on the same machine, {_ROUNDS} interleaved rounds of {_SECONDS:g} s.",
        )
    )  # fmt: skip


def _fill(port: int, assets: list[str]) -> None:
    sent = [
        {"timestamp": iso(_AT - hour * HOUR), "asset_id": asset, "value": float(hour)}
        for asset in assets for hour in range(48)
    ]  # fmt: skip
    with Client(port) as client:
        client.post("/ai/features/ingest", {"tenant_id": TENANT, "rows": sent})


def _bodies(assets: list[str]) -> list[tuple[str, str, object]]:
    asked = {"tenant_id": TENANT, "feature_set": "forecast_advanced", "timestamp": iso(_AT)}
    ones: object = [asked | {"asset_id": asset} for asset in assets]
    return [("get", GET, ones), ("batch of 100", BATCH, asked | {"asset_ids": assets})]


def _beside(
    redis: redis_server.RedisServer, ports: list[int], path: str, body: object
) -> tuple[str, ...]:
    load = wrk if has_wrk() else python_load
    rates: tuple[list[float], list[float]] = ([], [])
    spent: tuple[list[float], list[float]] = ([], [])
    for number in range(_ROUNDS + 1):
        for port, rate, cost in zip(ports, rates, spent, strict=True):
            before = _spent(redis)
            seen = load(port, path, body, 16, _SECONDS).throughput
            if number:  # The first round computes, and has every worker read.
                rate.append(seen)
                cost.append((_spent(redis) - before) / (seen * _SECONDS))
    return (
        *(f"{median(some):,.0f}" for some in rates),
        f"{median_ratio(*rates):.2f}",
        *(f"{1e6 * median(some):.1f}" for some in spent),
        f"{median_ratio(*spent):.2f}",
    )
