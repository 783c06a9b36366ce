"""The page: what a server takes to make each of its pages, with many assets and readings, and what
others notice of people who click through it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import duckdb

from ai_hub import FeatureStore
from ai_hub.access.grant import EVERYTHING
from ai_hub.definitions.values import to_micros
from ai_hub.page.asked import Asked
from ai_hub.page.pages import PAGES, Page, page
from benchmarks.long_history import TENANT, History, filled, last_hour, servers
from benchmarks.measure import Check, Table, Topic, ms, percentile
from benchmarks.server import GET, Client, free_port, our_server

_ASSETS, _ROWS = 20_000, 20_000_000
_CHUNKS = 10
_ROUNDS = 20
_PEOPLE, _PAUSE = 10, 1.0
_TURNS, _SECONDS = 6, 5.0
_PARTS = 10

# By time, as readings come in: what one asks of an asset lies everywhere.
_PART = """
INSERT INTO timeseries_data
SELECT make_timestamptz({end} - (({hours} - 1 - h) * 3600000000)::BIGINT), '{tenant}',
    printf('meter-%06d', a), 'value', round(50 + 10 * sin(h / 12 * pi()) + random(), 3), 1
FROM range({first}, {last}) AS hours(h), range({assets}) AS assets(a) ORDER BY h, a
"""


def run(rows: int = _ROWS, assets: int = _ASSETS) -> Topic:
    topic = Topic("looked_at")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "features.duckdb")
        url = f"duckdb:///{file}"
        asyncio.run(_made(file, url, rows, assets))
        asyncio.run(_measured(topic, "the embedded store", url, rows, assets))
        _clicked(topic, file, rows, assets)
    if reason := servers.absent("timescaledb"):
        topic.tables.append(Table(f"No figures of TimescaleDB: {reason}", (), []))
        return topic
    server = servers.Server("timescaledb")
    try:
        url = filled(server, History(rows, _CHUNKS, assets), print, last_hour())
        server.sql("VACUUM ANALYZE", url.rpartition("/")[2])
        asyncio.run(_measured(topic, "TimescaleDB", url, rows, assets))
    finally:
        server.stop()
    return topic


async def _made(file: Path, url: str, rows: int, assets: int) -> None:
    async with FeatureStore.open(url):
        pass
    hours, end = rows // assets, to_micros(last_hour())
    with duckdb.connect(str(file)) as database:
        database.execute("SET TimeZone = 'UTC'; SET threads = 1")
        for part in range(_PARTS):
            first, last = hours * part // _PARTS, hours * (part + 1) // _PARTS
            database.execute(
                _PART.format(
                    end=end, hours=hours, tenant=TENANT, first=first, last=last, assets=assets
                )
            )


async def _measured(topic: Topic, name: str, url: str, rows: int, assets: int) -> None:
    async with FeatureStore.open(url) as store:
        await store.prepare()
        lines, worst = [], 0.0
        for one, words in _views(assets):
            asked = Asked(store, EVERYTHING, words, "http://localhost", _counted(store))
            begin = time.perf_counter()
            content = await page(one, asked)
            before = time.perf_counter() - begin
            taken, used = [], []
            for _ in range(_ROUNDS if before < 1 else 3):
                begin, spent = time.perf_counter(), time.process_time()
                await page(one, asked)
                taken.append(time.perf_counter() - begin)
                used.append(time.process_time() - spent)
            if one.name in ("catalog", "assets"):
                worst = max(worst, median(taken))
            lines.append(
                (
                    one.title,
                    ", ".join(f"{name}={word}" for name, word in words.items()),
                    ms(before),
                    ms(median(taken)),
                    ms(percentile(taken, 0.99)),
                    ms(median(used)),
                    f"{len(content) / 1_000:.0f} kB",
                )
            )
    topic.checks.append(Check(f"the first pages on {name}, median", worst, 0.1, "s"))
    topic.tables.append(
        Table(
            f"Pages of {assets:,} assets and {rows:,} readings on {name}",
            ("page", "asked", "first ms", "median ms", "p99 ms", "CPU ms", "HTML"),
            lines,
            "CPU: of the process that makes the page, not of a database server. "
            f"{os.getloadavg()[1]:.0f} processes wanted the processors.",
        )
    )


def _views(assets: int) -> Iterator[tuple[Page, dict[str, str]]]:
    middle = f"meter-{assets // 2:06d}"
    for one in PAGES:
        match one.name:
            case "asset":
                yield one, {"asset_id": middle}
            case "assets":
                yield from ((one, {}), (one, {"search": middle[-4:]}), (one, {"after": middle}))
            case _:
                yield one, {}


def _counted(store: FeatureStore):  # type: ignore[no-untyped-def]
    async def counted():  # type: ignore[no-untyped-def]
        return store.measured()

    return counted


def _clicked(topic: Topic, file: Path, rows: int, assets: int) -> None:
    """Cached answers by turns without anybody, and while people click through the page."""
    port = free_port()
    body = {"tenant_id": TENANT, "asset_id": "meter-000007", "feature_set": "forecast_basic",
            "timestamp": last_hour().isoformat()}  # fmt: skip
    seen: dict[bool, list[list[float]]] = {False: [], True: []}
    with our_server(port, file, file.parent), Client(port) as client:
        client.post(GET, body)
        for turn in range(2 * _TURNS):
            with _people(port, assets if turn % 2 else None) as clicks:
                took: list[float] = []
                until = time.perf_counter() + _SECONDS
                while (begin := time.perf_counter()) < until:
                    client.post(GET, body)
                    took.append(time.perf_counter() - begin)
            seen[bool(turn % 2)].append(took)
    alone, beside = (median(percentile(one, 0.99) for one in seen[which]) for which in seen)
    topic.checks.append(
        Check("p99 of a cached get while ten people click, to that without", beside / alone, 1.2)
    )
    lines = [
        (name, f"{sum(map(len, found)):,}", ms(median(median(one) for one in found)),
         ms(median(percentile(one, 0.99) for one in found)), ms(max(map(max, found))))
        for name, found in (("nobody", seen[False]), (f"{_PEOPLE} people", seen[True]))
    ]  # fmt: skip
    topic.tables.append(
        Table(
            f"A cached get while people click, {assets:,} assets and {rows:,} readings embedded",
            ("who clicks", "answers", "p50 ms", "p99 ms", "slowest ms"),
            lines,
            f"Each asks for a page {_PAUSE:g} s after the last one came ({clicks.value:,} pages in "
            f"the last turn). {_TURNS} turns of {_SECONDS:g} s each, one after the other; medians "
            f"of the turns. {os.getloadavg()[1]:.0f} processes wanted the processors.",
        )
    )


@contextmanager
def _people(port: int, assets: int | None) -> Iterator[Any]:
    """People of a process of their own who click; None: nobody."""
    spawning = multiprocessing.get_context("spawn")
    clicks = spawning.Value("i", 0)
    if assets is None:
        yield clicks
        return
    people = spawning.Process(target=_click, args=(port, assets, clicks), daemon=True)
    people.start()
    time.sleep(3 * _PAUSE)
    try:
        yield clicks
    finally:
        people.terminate()
        people.join()


def _click(port: int, assets: int, clicks: Any) -> None:
    paths = [f"{one.path}?{urlencode(words)}" for one, words in _views(assets)]
    paths = [one for one in paths if not one.startswith("/page/doctor")]

    def person(number: int) -> None:
        with Client(port) as client:
            for path in cycle(paths[number % len(paths) :] + paths[: number % len(paths)]):
                client.call("GET", path)
                with clicks.get_lock():
                    clicks.value += 1
                time.sleep(_PAUSE)

    for number in range(_PEOPLE):
        threading.Thread(target=person, args=(number,)).start()
