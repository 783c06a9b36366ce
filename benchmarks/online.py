"""Answers online: misses on two million stored rows, and cached ones beside a bare endpoint."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc

from ai_hub import FeatureStore
from ai_hub.definitions.builtin import FEATURE_SETS
from ai_hub.definitions.values import iso
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

_ASSETS, _HOURS = 1000, 2110
_BATCH = 100
_ROUNDS, _SECONDS = 5, 2
_SETS = tuple(feature_set.name or "" for feature_set in FEATURE_SETS)
Asked = tuple[list[str], int]


def run() -> Topic:
    topic = Topic("online")
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "features.duckdb"
        rows = asyncio.run(_fill(database))
        lines = asyncio.run(_misses_in_process(database, topic))
        with our_server(port := free_port(), database, Path(folder)), Client(port) as client:
            lines += _misses_over_http(client, topic)
        topic.tables.append(
            Table(
                f"Misses on {rows:,} stored readings of {_ASSETS} assets, and as many weather rows",
                ("request", "by", "history p50 ms", "p99", "live, first p50 ms", "p99",
                 "live, again p50 ms", "p99"),
                lines,
                "Every request asks for a time that nobody asked for before. History: more than "
                "a week behind the newest reading, always read from the database. Live: of the "
                "last days; first for assets that nobody asked for since the store was opened, "
                "again for others.",
            )
        )  # fmt: skip
        _cached(database, Path(folder), topic)
    return topic


async def _fill(database: Path) -> int:
    """A database as time fills it: every batch holds some days of all assets."""
    table, known = observations(_ASSETS, _HOURS), weather(_ASSETS, _HOURS)
    async with FeatureStore.open(f"duckdb:///{database}") as store:
        for some in _by_days(table, 4):
            await store.ingest(some, TENANT)
        for some in _by_days(known, 4):
            await store.ingest_weather(some, TENANT)
    return int(table.num_rows)


def _by_days(table: pa.Table, days: int) -> Iterator[pa.Table]:
    period = pc.divide(pc.subtract(table["timestamp"].cast(pa.int64()), START), days * 24 * HOUR)
    for one in range(pc.max(period).as_py() + 1):
        yield table.filter(pc.equal(period, one))


def _minutes(first_day: int, last_day: int, seed: int) -> Iterator[int]:
    """Minutes of some days before the newest reading, in an order without repetition."""
    end = START + (_HOURS - 1) * HOUR
    minutes = list(range(first_day * 1440, last_day * 1440))
    random.Random(seed).shuffle(minutes)
    return (end - minute * HOUR // 60 for minute in minutes)


def _questions(size: int, place: int) -> dict[str, list[Asked]]:
    """What to ask for one set, `size` assets at a time: history, then live ones, then those again.

    Sets share what is remembered of an asset, so each has a third of the assets for itself.
    """
    own = asset_names(_ASSETS)[place::3]
    random.Random(place).shuffle(own)
    groups = [own[i : i + size] for i in range(0, len(own) - size + 1, size)]
    past, live = _minutes(8, 50, place), _minutes(0, 6, 7 * size + place)
    many = 2 * len(groups) if size == 1 else 10 * len(groups)
    return {
        "history": [(groups[i % len(groups)], next(past)) for i in range(many)],
        "first": [(group, next(live)) for group in groups],
        "again": [(groups[i % len(groups)], next(live)) for i in range(many)],
    }


def _line(
    topic: Topic, name: str, size: int, by: str, took: dict[str, list[float]]
) -> tuple[str, ...]:
    kind = "single" if size == 1 else f"batch of {size}"
    cells = []
    for when, seconds in took.items():
        p50, p99 = median(seconds) * 1e3, percentile(seconds, 0.99) * 1e3
        cells += [f"{p50:.2f}", f"{p99:.2f}"]
        what = f"miss, {name}, {kind}, {by}, {when}"
        topic.checks.append(Check(f"{what}, p50", p50, 4 if size == 1 else 15, "ms"))
        if size == 1:
            topic.checks.append(Check(f"{what}, p99", p99, 15, "ms"))
    return (f"{name}, {kind}", by, *cells)


async def _misses_in_process(database: Path, topic: Topic) -> list[tuple[str, ...]]:
    lines = []
    for place, name in enumerate(_SETS):
        for size in (1, _BATCH):
            # Opened anew, so that nothing is remembered of any asset.
            async with FeatureStore.open(f"duckdb:///{database}") as store:
                spec = store.specs.of(name)
                await store.found(spec, TENANT, ["nobody"], START)
                took: dict[str, list[float]] = {}
                for when, asked in _questions(size, place).items():
                    seconds = took[when] = []
                    for assets, at in asked:
                        begin = time.perf_counter()
                        found = await store.found(spec, TENANT, assets, at)
                        seconds.append(time.perf_counter() - begin)
                        assert not any(hit for _, hit in found)
            lines.append(_line(topic, name, size, "FeatureStore", took))
    return lines


def _misses_over_http(client: Client, topic: Topic) -> list[tuple[str, ...]]:
    lines = []
    for size in (1, _BATCH):
        for place, name in enumerate(_SETS):
            took: dict[str, list[float]] = {}
            for when, asked in _questions(size, place).items():
                if size > 1 and when == "first":  # The singles were first.
                    continue
                seconds = took[when] = []
                for assets, at in asked:
                    body = _get(name, assets[0], at) if size == 1 else _batch(name, assets, at)
                    begin = time.perf_counter()
                    answer = client.post(GET if size == 1 else BATCH, body)
                    seconds.append(time.perf_counter() - begin)
                    assert b'"cache_hit":false' in answer
            cells = _line(topic, name, size, "HTTP", took)
            lines.append(cells if size == 1 else (*cells[:4], "-", "-", *cells[4:]))
    return lines


def _get(name: str, asset_id: str, at: int) -> dict[str, object]:
    return {
        "tenant_id": TENANT, "asset_id": asset_id, "feature_set": name, "timestamp": iso(at)
    }  # fmt: skip


def _batch(name: str, asset_ids: list[str], at: int) -> dict[str, object]:
    return {
        "tenant_id": TENANT, "asset_ids": asset_ids, "feature_set": name, "timestamp": iso(at)
    }  # fmt: skip


def _cached(database: Path, folder: Path, topic: Topic) -> None:
    at = START + (_HOURS - 1) * HOUR
    assets = asset_names(_BATCH)
    one = _get("forecast_advanced", assets[0], at)
    many = _batch("forecast_advanced", assets, at)
    ours, bare = free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(our_server(ours, database, folder))
        with Client(ours) as client:
            answers = folder / "answers.json"
            answers.write_text(json.dumps(_answers(client, one, many)))
        command = [sys.executable, "-m", "benchmarks.bare", str(bare), str(answers)]
        stack.enter_context(running(command, bare))
        with Client(ours) as a, Client(bare) as b:
            for path, body in ((GET, one), (BATCH, many)):
                assert a.post(path, body) == b.post(path, body), f"{path}: answers differ"
        load = wrk if has_wrk() else python_load
        lines = []
        for path, body, connections in ((GET, one, 1), (GET, one, 16), (BATCH, many, 1),
                                        (BATCH, many, 16)):  # fmt: skip
            lines.append(_beside(load, path, body, connections, ours, bare, topic))
    by = "wrk" if has_wrk() else "a Python client on one connection (there is no wrk here)"
    topic.tables.append(
        Table(
            "Cached answers over HTTP, one worker, beside a bare ASGI endpoint on uvicorn",
            ("request", "connections", "requests/s", "bare", "ratio", "p50 ms", "bare", "ratio"),
            lines,
            f"Load by {by} on the same machine, {_ROUNDS} interleaved rounds of {_SECONDS} s. The "
            "bare endpoint decodes the body with msgspec and answers the same bytes from a "
            "dictionary: for a batch 100 look-ups and a join.",
        )
    )


def _answers(client: Client, one: object, many: object) -> dict[str, object]:
    """What a warm server answers, for the bare endpoint to answer too."""
    for _ in range(2):
        got, batch = client.post(GET, one).decode(), client.post(BATCH, many).decode()
    head, results = batch.split('"results":{', 1)
    parts = json.loads(batch)["results"]
    # The parts exactly as they are sent: from one asset's name to the next one's.
    starts = [results.index(f'"{asset_id}":') for asset_id in parts]
    ends = [start - 1 for start in starts[1:]] + [len(results) - 2]
    return {
        "asset_id": json.loads(got)["asset_id"],
        "get": got,
        "head": head + '"results":{',
        "tail": "}}",
        "parts": {a: results[i:j] for a, i, j in zip(parts, starts, ends, strict=True)},
    }


def _beside(
    load: Callable[[int, str, object, int, float], Load],
    path: str,
    body: object,
    connections: int,
    ours: int,
    bare: int,
    topic: Topic,
) -> tuple[str, ...]:
    mine, theirs = [], []
    for _ in range(_ROUNDS):
        mine.append(load(ours, path, body, connections, _SECONDS))
        theirs.append(load(bare, path, body, connections, _SECONDS))
    rate = median(a.throughput / b.throughput for a, b in zip(mine, theirs, strict=True))
    p50 = median(a.p50 / b.p50 for a, b in zip(mine, theirs, strict=True))
    kind = "get" if path == GET else "batch of 100"
    what = f"cached {kind}, {connections} connections"
    least = 0.6 if path == GET else 0.5
    topic.checks.append(Check(f"{what}, throughput / bare", rate, least, least=True))
    if path == GET:
        topic.checks.append(Check(f"{what}, p50 / bare", p50, 1.7))
    return (
        kind,
        str(connections),
        f"{median(a.throughput for a in mine):,.0f}",
        f"{median(b.throughput for b in theirs):,.0f}",
        f"{rate:.2f}",
        ms(median(a.p50 for a in mine)),
        ms(median(b.p50 for b in theirs)),
        f"{p50:.2f}",
    )
