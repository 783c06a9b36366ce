"""A herd on cold keys: how many vectors are computed, and what becomes of the breaker.

Clients begin in the same instant, each with one batch, over HTTP: of a server with its database in
a file, and of several workers on PostgreSQL, all with a cache on Redis. Beside them nothing runs,
or so many processes that only compute that sixteen want the processors.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from benchmarks.data import TENANT, asset_names
from benchmarks.measure import Check, Table, Topic, ms, percentile
from benchmarks.server import BATCH, HOST, Client, console, free_port, our_server, running

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import redis_server
import servers

_KEYS = 500
_HERDS = ((16, 500), (64, 100))
_LOAD = 16
_HOURS = 48
_AT = datetime(2025, 3, 3, tzinfo=UTC)
_MOST = 1.05
_WORKERS = 4


class _Seen(NamedTuple):
    keys: int
    computed: int
    lost: int
    degraded: int
    p50: float
    slowest: float


def run() -> Topic:
    topic = Topic("herd")
    rows: list[tuple[str, ...]] = []
    redis = redis_server.RedisServer()
    try:
        with tempfile.TemporaryDirectory() as folder:
            with _one_process(redis, Path(folder)) as port:
                _measure("1, a database file", port, topic, rows)
            if servers.absent("plain"):
                topic.tables.append(Table("No figures of PostgreSQL, which is not here", (), []))
            else:
                with _several(redis, Path(folder)) as port:
                    _measure(f"{_WORKERS}, PostgreSQL", port, topic, rows)
    finally:
        redis.stop()
        servers.stop_all()
    topic.tables.append(
        Table(
            f"Clients that ask in the same instant for batches of the same {_KEYS} cold keys",
            ("processes", "load", "clients", "batch", "keys", "computed", "times",
             "Redis lost", "degraded", "p50 ms", "slowest ms"),
            rows,
            "Every client asks for another part of the keys, on a connection of its own. "
            "Load: how many others want a processor at that moment. Computed: by all processes "
            "together, ai_hub_computed_vectors_total.",
        )
    )  # fmt: skip
    return topic


@contextmanager
def _one_process(redis: redis_server.RedisServer, folder: Path) -> Iterator[int]:
    port = free_port()
    with our_server(port, folder / "herd.duckdb", folder, AI_HUB_CACHE_URL=redis.url()):
        yield port


@contextmanager
def _several(redis: redis_server.RedisServer, folder: Path) -> Iterator[int]:
    port = free_port()
    settings = {
        "AI_HUB_DATABASE_URL": servers.server("plain").fresh(),
        "AI_HUB_EXPORT_ROOT": str(folder),
        "AI_HUB_CACHE_URL": redis.url(),
        "AI_HUB_WORKERS": str(_WORKERS),
    }
    with running(console("serve", "--host", HOST, "--port", str(port)), port, **settings):
        _until_all_serve(port)
        yield port


def _until_all_serve(port: int) -> None:
    until = time.monotonic() + 60
    while _metrics(port)["ai_hub_workers"] < _WORKERS and time.monotonic() < until:
        time.sleep(0.5)


def _measure(what: str, port: int, topic: Topic, rows: list[tuple[str, ...]]) -> None:
    _fill(port)
    minute = 0
    for load in (0, _LOAD):
        with ExitStack() as stack:
            for _ in range(max(0, load - _runnable())):
                stack.enter_context(_burning())
            for clients, size in _HERDS:
                minute += 1
                runnable = _runnable()
                seen = _herd(port, clients, size, minute)
                times = seen.computed / seen.keys
                beside = f"a load of {load}" if load else "no load of ours"
                case = f"{clients} x batch of {size}, {what}, beside {beside}"
                topic.checks.append(Check(f"herd, {case}: computed / keys", times, _MOST))
                topic.checks.append(Check(f"herd, {case}: Redis lost", seen.lost, 0))
                rows.append(
                    (what, str(runnable), str(clients), str(size), f"{seen.keys:,}",
                     f"{seen.computed:,}", f"{times:.2f}", str(seen.lost), str(seen.degraded),
                     ms(seen.p50), ms(seen.slowest))
                )  # fmt: skip


def _runnable() -> int:
    """How many threads of this machine want a processor now, this one left out."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1


@contextmanager
def _burning() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _fill(port: int) -> None:
    start = _AT - timedelta(hours=_HOURS)
    with Client(port) as client:
        for hour in range(0, _HOURS, 12):
            rows = [
                {"timestamp": (start + timedelta(hours=hour + h)).isoformat(), "asset_id": asset,
                 "value": float(h)}
                for asset in asset_names(_KEYS) for h in range(12)
            ]  # fmt: skip
            client.post("/ai/features/ingest", {"tenant_id": TENANT, "rows": rows})


def _herd(port: int, clients: int, size: int, minute: int) -> _Seen:
    keys = asset_names(_KEYS)
    rng = random.Random(clients)
    batches = [rng.sample(keys, size) for _ in range(clients)]
    at = (_AT + timedelta(minutes=minute)).isoformat()
    before = _metrics(port)
    took = asyncio.run(_ask(port, batches, at))
    time.sleep(1.5)  # Workers tell each other their counts every second.
    after = _metrics(port)

    def more(name: str) -> int:
        return int(after.get(name, 0) - before.get(name, 0))

    return _Seen(
        len({one for some in batches for one in some}),
        more("ai_hub_computed_vectors_total"),
        more('ai_hub_cache_errors_total{error="lost"}'),
        more("ai_hub_degraded_answers_total"),
        percentile(took, 0.5),
        max(took),
    )


async def _ask(port: int, batches: list[list[str]], at: str) -> list[float]:
    """The seconds that each batch took: all are sent at once, on open connections."""
    opened = [await asyncio.open_connection(HOST, port, limit=1 << 24) for _ in batches]

    async def one(number: int) -> float:
        reader, writer = opened[number]
        asked = {"tenant_id": TENANT, "asset_ids": batches[number],
                 "feature_set": "forecast_advanced", "timestamp": at}  # fmt: skip
        body = json.dumps(asked).encode()
        head = f"POST {BATCH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
        begin = time.perf_counter()
        writer.write(head.encode() + body)
        got = await reader.readuntil(b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 200"), got
        found = re.search(rb"(?i)content-length: *(\d+)", got)
        assert found is not None
        answer = json.loads(await reader.readexactly(int(found[1])))
        assert len(answer["results"]) == len(batches[number])
        return time.perf_counter() - begin

    took = await asyncio.gather(*map(one, range(len(batches))))
    for _, writer in opened:
        writer.close()
    return list(took)


def _metrics(port: int) -> dict[str, float]:
    with Client(port) as client:
        lines = client.call("GET", "/metrics")[1].decode().splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }
