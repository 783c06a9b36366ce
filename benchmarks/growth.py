"""What grows with a database on TimescaleDB, by numbers of rows, chunks and assets.

A row is kept in a file as soon as it is measured, and is not measured again: a run that was stopped
goes on with the next one. `--rows`, `--chunks` and `--assets` choose some of the rows, or make one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from ai_hub import FeatureStore
from ai_hub.administration import maintain, status
from ai_hub.config import Settings
from ai_hub.definitions.builtin import FEATURE_SETS
from ai_hub.definitions.values import HOUR, MINUTE, Duration
from ai_hub.engines.plan import Plan
from ai_hub.stores.postgres.store import PostgresStore
from benchmarks.long_history import TENANT, History, filled, last_hour
from benchmarks.measure import Table, Topic, ms, percentile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import servers

SIZES = tuple(
    History(rows, chunks, assets)
    for rows, chunks in (
        (1_000_000, 10), (10_000_000, 10), (10_000_000, 500), (40_000_000, 500),
        (40_000_000, 3_000),
    )
    for assets in (1_000, 100_000)
)  # fmt: skip
_FOLDER = Path("build/growth")
_MISSES, _BATCHES, _INGESTS = 300, 30, 3
_NEW_ASSETS, _NEW_MINUTES = 1_000, 50
_EXPORTED = 1_000_000
_ADVANCED = Plan.of(next(s for s in FEATURE_SETS if s.name == "forecast_advanced"))


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table; times in seconds. `load` is how many wanted the processors."""

    rows: int
    chunks: int
    assets: int
    miss: float
    miss_p99: float
    batch: float
    ingest: float
    export_rows: int
    export: float
    first_maintain: float
    maintain: float
    status: float
    bytes_before: int
    bytes: int
    hourly_rows: int
    hourly_bytes: int
    load: float
    date: str


def run(
    rows: int | None = None,
    chunks: int | None = None,
    assets: int | None = None,
    folder: Path = _FOLDER,
) -> Topic:
    topic = Topic("growth")
    if reason := servers.absent("timescaledb"):
        topic.tables.append(Table(f"No figures: {reason}", (), []))
        return topic
    folder.mkdir(parents=True, exist_ok=True)
    for history in _chosen(rows, chunks, assets):
        kept = folder / f"{history.rows}-{history.chunks}-{history.assets}.json"
        if not kept.exists():
            _keep(kept, _measured(history))
    found = [Measured(**json.loads(one.read_text())) for one in folder.glob("*.json")]
    topic.tables.append(_table(sorted(found, key=lambda one: (one.rows, one.chunks, one.assets))))
    return topic


def _chosen(rows: int | None, chunks: int | None, assets: int | None) -> list[History]:
    if rows is not None and chunks is not None and assets is not None:
        return [History(rows, chunks, assets)]
    return [
        one
        for one in SIZES
        if rows in (None, one.rows) and chunks in (None, one.chunks)
        and assets in (None, one.assets)
    ]  # fmt: skip


def _keep(path: Path, measured: Measured) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(measured), indent=1))
    partial.rename(path)


def _say(history: History) -> Callable[[str], None]:
    named = f"{history.rows:,} rows, {history.chunks:,} chunks, {history.assets:,} assets"
    return lambda said: print(f"{named}: {said}", flush=True)


def _measured(history: History) -> Measured:
    say, end = _say(history), last_hour()
    server = servers.Server("timescaledb")
    try:
        url = filled(server, history, say, end)
        name = url.rpartition("/")[2]

        def size(relation: str) -> int:
            ((found,),) = server.sql(f"SELECT hypertable_size('{relation}')::bigint", name)
            return int(found)

        before = size("ai_features")
        settings = Settings(database_url=url, statement_timeout=Duration(2 * HOUR))
        first = _seconds(lambda: maintain(settings))
        say(f"first maintenance: {first:.0f} s")
        server.sql("VACUUM ANALYZE", name)
        stored = size("ai_features")
        ((hourly,),) = server.sql(
            "SELECT format('%I.%I', materialization_hypertable_schema, "
            "materialization_hypertable_name) FROM timescaledb_information.continuous_aggregates "
            "WHERE view_name = 'hourly_features'",
            name,
        )
        ((held, there, hours),) = server.sql(
            "SELECT (SELECT count(*) FROM ai_features), "
            "(SELECT count(*) FROM show_chunks('ai_features')), "
            f"(SELECT count(*) FROM {hourly})",
            name,
        )
        took = _seconds(lambda: status(settings))
        say(f"status: {took:.2f} s")
        online = asyncio.run(_online(settings, history, end))
        ingested = asyncio.run(_ingested(settings, end))
        exported, seconds = asyncio.run(_exported(settings, history, end))
        say(f"misses {ms(median(online[0]))} ms, export of {exported:,} rows {seconds:.1f} s")
        again = _seconds(lambda: maintain(settings))
        return Measured(
            held, there, history.assets,
            median(online[0]), percentile(online[0], 0.99), median(online[1]), ingested,
            exported, seconds, first, again, took, before, stored, hours, size(hourly),
            round(os.getloadavg()[1], 1), f"{datetime.now(UTC):%Y-%m-%d}",
        )  # fmt: skip
    finally:
        server.stop()


def _seconds(work: Callable[[], Awaitable[object]]) -> float:
    async def awaited() -> None:
        await work()

    begin = time.perf_counter()
    asyncio.run(awaited())
    return time.perf_counter() - begin


async def _online(
    settings: Settings, history: History, end: datetime
) -> tuple[list[float], list[float]]:
    """Seconds of single misses, and of batches of 100."""
    chance, now = random.Random(1), round(end.timestamp() * 1e6)
    names = [f"meter-{i:06d}" for i in range(history.assets)]
    store = await PostgresStore.open(settings)
    try:
        await store.prepare()

        async def ask(size: int) -> float:
            at = now - chance.randrange(60) * MINUTE
            begin = time.perf_counter()
            await store.compute(_ADVANCED, "mean", TENANT, chance.sample(names, size), at)
            return time.perf_counter() - begin

        misses = [await ask(1) for _ in range(_MISSES)]
        return misses, [await ask(100) for _ in range(_BATCHES)]
    finally:
        await store.close()


async def _ingested(settings: Settings, end: datetime) -> float:
    """New readings of a thousand assets a second, taken in by 50,000."""
    names = pa.array([f"meter-{i:06d}" for i in range(_NEW_ASSETS)])
    first = round(end.timestamp() * 1e6) - HOUR
    size, took = _NEW_ASSETS * _NEW_MINUTES, []
    async with FeatureStore(settings) as store:
        for turn in range(1, _INGESTS + 1):
            # Between the minutes of the turns before.
            times = first + np.arange(_NEW_MINUTES) * MINUTE + turn
            instants = pa.array(np.repeat(times, _NEW_ASSETS))
            table = pa.table({
                "timestamp": instants.cast(pa.timestamp("us", "UTC")),
                "asset_id": names.take(pa.array(np.tile(np.arange(_NEW_ASSETS), _NEW_MINUTES))),
                "value": np.random.default_rng(turn).normal(50, 9, size),
            })  # fmt: skip
            begin = time.perf_counter()
            await store.ingest(table, TENANT)
            took.append(time.perf_counter() - begin)
    return size / median(took)


async def _exported(settings: Settings, history: History, end: datetime) -> tuple[int, float]:
    """The rows of an export of the last hours, up to a million, and its seconds."""
    hours = max(1, min(history.recent_hours, _EXPORTED // history.assets))
    with tempfile.TemporaryDirectory() as folder:
        async with FeatureStore(settings) as store:
            begin = time.perf_counter()
            made = await store.export_features_to_parquet(
                TENANT, "forecast_basic", end - timedelta(hours=hours), end,
                Path(folder, "out.parquet"),
            )  # fmt: skip
            return made["row_count"], time.perf_counter() - begin


def _table(found: list[Measured]) -> Table:
    return Table(
        "One tenant on TimescaleDB, an hour after the last reading at most",
        ("rows", "chunks", "assets", "miss p50 ms", "p99 ms", "batch of 100 ms", "ingest rows/s",
         "export rows/s", "first maintain s", "maintain s", "status s", "bytes a row, as rows",
         "maintained", "hours, bytes a row", "load"),
        [
            (f"{one.rows:,}", f"{one.chunks:,}", f"{one.assets:,}", ms(one.miss), ms(one.miss_p99),
             ms(one.batch), f"{one.ingest:,.0f}", f"{one.export_rows / one.export:,.0f}",
             f"{one.first_maintain:.1f}", f"{one.maintain:.1f}", f"{one.status:.2f}",
             f"{one.bytes_before / one.rows:.0f}", f"{one.bytes / one.rows:.0f}",
             f"{one.hourly_bytes / max(1, one.hourly_rows):.0f}", f"{one.load:g}")
            for one in found
        ],
        "Misses and batches of forecast_advanced in process, of random assets in the last hour; "
        "ingest of 50,000 new readings of 1,000 assets; an export of forecast_basic over the last "
        "hours, up to a million rows; maintain: the first run on all rows, then after the ingests. "
        "Bytes with indexes. Load: processes that wanted the two processors, those of others "
        "among them.",
    )  # fmt: skip
