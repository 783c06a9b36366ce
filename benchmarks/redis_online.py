"""Answers cached on Redis beside a bare endpoint with redis-py, and what dropping costs.

A private server is started by the harness of the tests.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import uvloop

from ai_hub import FeatureStore
from ai_hub.definitions.values import Entity, iso
from ai_hub.serving import redis_words as words
from ai_hub.serving.redis import RedisCache
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

_ASSETS, _HOURS, _BATCH = 100, 200, 100
_ROUNDS, _SECONDS = 7, 2
_UNRELATED, _DROPS = 1_000_000, 2_000
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
            "Answers cached on Redis, over HTTP, one worker, beside a bare ASGI endpoint on uvicorn "
            "with redis-py",
            ("request", "connections", "requests/s", "bare", "ratio", "p50 ms", "bare", "ratio",
             "p99 ms", "bare", "ratio"),
            lines,
            f"Load by {by} on the same machine, {_ROUNDS} interleaved rounds of {_SECONDS} s, "
            f"{_ASSETS} assets in turn. The bare endpoint decodes the body with msgspec, does one "
            "GET, or one MGET of 100 and a join, and answers the same bytes. No vector is kept in "
            "the process.",
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
