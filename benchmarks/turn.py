"""The turn of a step: hits and times in its first half second, with warming ahead and without."""

from __future__ import annotations

import asyncio
import json
import random
import re
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.data import TENANT, asset_names
from benchmarks.measure import Check, Table, Topic, ms, percentile
from benchmarks.server import GET, HOST, Client, free_port, our_server

_ASSETS, _CONNECTIONS = 1_000, 8
_STEP, _TURNS, _FIRST = 20, 3, 0.5
_LATE, _BEFORE = 100, 1.0


def run() -> Topic:
    topic = Topic("turn")
    rows = []
    for ahead in (False, True):
        seen = _turns(ahead)
        hits = 100 * sum(hit for hit, _ in seen) / len(seen)
        took = [seconds for _, seconds in seen]
        name = "with --warm-ahead" if ahead else "without"
        rows.append(
            (name, f"{len(seen):,}", f"{hits:.1f} %", ms(percentile(took, 0.5)),
             ms(percentile(took, 0.99)), ms(max(took)))
        )  # fmt: skip
        if ahead:
            what = f"hits in the first {_FIRST:g} s of a step, warmed ahead"
            topic.checks.append(Check(what, hits, 100, "%", least=True))
    topic.tables.append(
        Table(
            f"The first {_FIRST:g} s of {_TURNS} steps, {_ASSETS:,} assets asked for as of now",
            ("server", "requests", "hits", "p50 ms", "p99 ms", "slowest ms"),
            rows,
            f"{_CONNECTIONS} connections, each with one request after the other for any of the "
            f"assets, all the time. Steps of {_STEP} s; {_BEFORE:g} s before each turn {_LATE} "
            "assets have a new reading.",
        )
    )
    return topic


def _turns(ahead: bool) -> list[tuple[bool, float]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        settings = {"AI_HUB_GRANULARITY": f"{_STEP}s", "AI_HUB_WARM_AHEAD": str(int(ahead))}
        stack.enter_context(our_server(port, folder / "turn.duckdb", folder, **settings))
        start = datetime.now(UTC) - timedelta(hours=48)
        with Client(port) as client:
            for first in range(0, _ASSETS, 250):
                _ingest(client, asset_names(_ASSETS)[first : first + 250], start, 48)
        return asyncio.run(_ask(port))


def _ingest(client: Client, assets: list[str], start: datetime, hours: int) -> None:
    rows = [
        {"timestamp": (start + timedelta(hours=h)).isoformat(), "asset_id": one, "value": float(h)}
        for one in assets for h in range(hours)
    ]  # fmt: skip
    client.post("/ai/features/ingest", {"tenant_id": TENANT, "rows": rows})


async def _ask(port: int) -> list[tuple[bool, float]]:
    """Whether it was a hit, and the seconds, of each request in the first moments of a step."""
    seen: list[tuple[bool, float]] = []
    # One whole step to ask for all, and those that count.
    first = time.time() // _STEP * _STEP + 2 * _STEP
    last = first + (_TURNS - 1) * _STEP + _FIRST

    async def one(number: int) -> None:
        rng = random.Random(number)
        reader, writer = await asyncio.open_connection(HOST, port)
        assets = asset_names(_ASSETS)
        while (now := time.time()) < last:
            body = json.dumps(
                {"tenant_id": TENANT, "asset_id": rng.choice(assets),
                 "feature_set": "forecast_advanced"}
            ).encode()  # fmt: skip
            head = f"POST {GET} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
            begin = time.perf_counter()
            writer.write(head.encode() + body)
            got = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: *(\d+)", got)
            assert found is not None, got
            answer = await reader.readexactly(int(found[1]))
            took = time.perf_counter() - begin
            if now >= first and now % _STEP < _FIRST:
                seen.append((b'"cache_hit":true' in answer, took))
            # The load of clients, not of a machine that is full.
            await asyncio.sleep(0.002)
        writer.close()

    def late() -> None:
        with Client(port) as client:
            for turn in range(_TURNS):
                time.sleep(max(0.0, first + turn * _STEP - _BEFORE - time.time()))
                now = datetime.now(UTC) - timedelta(minutes=30 + turn)
                _ingest(client, asset_names(_LATE), now, 1)

    await asyncio.gather(asyncio.to_thread(late), *map(one, range(_CONNECTIONS)))
    return seen
