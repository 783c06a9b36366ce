"""Late rows scattered over more than a year: how maintenance goes on, and the disk it takes.

Of hourly rows, few of those that the columnstore keeps together have a late one among them; of rows
of every ten minutes most have, so that nearly all is written anew.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from ai_hub import FeatureStore
from ai_hub.administration import maintain, status
from ai_hub.config import Settings
from benchmarks.measure import Check, Table, Topic

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import servers

_ROWS, _HOURS, _LATE = 10_000_000, 10_000, 0.001
_EVERY = (60, 10)
"""How many minutes rows of a series are apart."""
_KEEP = dict.fromkeys(
    f"retention_{name}" for name in ("raw", "features", "weather", "hourly", "daily")
)
_LOAD = """
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
SELECT t, 'hourly', 'meter-' || lpad(i::text, 5, '0'),
       50 + 10 * sin(extract(epoch FROM t) / 3600 + i) + random()
FROM generate_series(date_trunc('hour', now()) - interval '{hours} hours',
                     date_trunc('hour', now()) - interval '1 hour',
                     interval '{minutes} minutes') AS t,
     generate_series(0, {assets} - 1) AS i
"""
_WRONG = """
SELECT count(*) FROM (
  SELECT * FROM {declared} WHERE bucket >= $1::timestamptz AND bucket < $2::timestamptz
) AS d FULL JOIN (
  SELECT * FROM {stored} WHERE bucket >= $1::timestamptz AND bucket < $2::timestamptz
) AS s USING (tenant_id, asset_id, feature_type, bucket)
WHERE (d.{unit}_count, d.{unit}_min, d.{unit}_max)
    IS DISTINCT FROM (s.{unit}_count, s.{unit}_min, s.{unit}_max)
  OR abs(d.{unit}_avg - s.{unit}_avg) > 1e-9 OR abs(d.{unit}_stddev - s.{unit}_stddev) > 1e-9
"""
_AGGREGATES = """
SELECT split_part(a.user_view_name, '_', 1) AS unit,
  format('%I.%I', a.direct_view_schema, a.direct_view_name) AS declared,
  format('%I.%I', h.schema_name, h.table_name) AS stored
FROM _timescaledb_catalog.continuous_agg AS a
JOIN _timescaledb_catalog.hypertable AS h ON h.id = a.mat_hypertable_id
"""


def run(rows: int = _ROWS) -> Topic:
    topic = Topic("late")
    if reason := servers.absent("timescaledb"):
        topic.tables.append(Table(f"No figures: {reason}", (), []))
        return topic
    try:
        for minutes in _EVERY:
            asyncio.run(_run(topic, minutes, max(1, rows * minutes // 60 // _HOURS)))
    finally:
        servers.stop_all()
    return topic


async def _run(topic: Topic, minutes: int, assets: int) -> None:
    server = servers.server("timescaledb")
    url = server.fresh()
    settings = Settings(database_url=url, **_KEEP)
    rows = assets * _HOURS * 60 // minutes
    load = _LOAD.format(hours=_HOURS, assets=assets, minutes=minutes)
    server.sql(load, url.rpartition("/")[2])
    first = await _maintained(settings)
    held = await _asked(url, "SELECT pg_database_size(current_database())")
    begin = time.perf_counter()
    late = await _ingest(settings, rows, assets, minutes)
    took = time.perf_counter() - begin
    second = await _maintained(settings)
    again = await _maintained(settings)
    wrong = await _wrong(url)
    looked = time.perf_counter()
    await status(settings)
    looked = time.perf_counter() - looked
    topic.tables.append(
        Table(
            f"Maintenance of {rows:,} rows of {assets:,} assets, one in {minutes} minutes, the "
            f"first and after {late:,} late rows anywhere in them",
            ("run", "seconds", "steps", "longest s", "MB before", "MB at most", "MB after"),
            [
                _row("the first", first),
                _row(f"after {late:,} late rows", second),
                _row("once more", again),
            ],
            "Longest: between two words of progress. Half of the late rows are new, half replace "
            f"others; their ingest took {took:.1f} s, and ai-hub status after all {looked:.2f} s. "
            f"Load average: {os.getloadavg()[1]:.0f}, of others too.",
        )
    )
    after, most = second["after"] / (held / 1e6), second["most"] / second["before"]
    every = f"one in {minutes} minutes: "
    topic.checks += [
        Check(every + "hours and days that are wrong", wrong, 0),
        Check(every + "disk after it all, of before the late rows", after, 1.3),
        Check(every + "disk at most, of before maintenance", most, 1.3),
        Check(every + "longest step", max(first["longest"], second["longest"]), 30, "s"),
        Check(every + "ai-hub status", looked, 2, "s"),
    ]


def _row(name: str, found: dict[str, float]) -> tuple[str, ...]:
    sizes = [f"{found[one]:,.0f}" for one in ("before", "most", "after")]
    return (
        name, f"{found['seconds']:,.1f}", f"{found['steps']:,.0f}", f"{found['longest']:.1f}",
        *sizes,
    )  # fmt: skip


async def _maintained(settings: Settings) -> dict[str, float]:
    """Seconds and steps of one run, and the megabytes of the database before, at most and after."""
    looking = await asyncpg.connect(settings.database_url)
    sizes: list[int] = []

    async def look() -> None:
        sizes.append(await looking.fetchval("SELECT pg_database_size(current_database())"))

    async def watch() -> None:
        while True:
            await look()
            await asyncio.sleep(0.5)

    def tell(step: dict[str, Any]) -> None:
        told.append(time.perf_counter())
        print(f"{told[-1] - told[0]:7.1f} s  {step['action']} {step['relation']}: {step['said']}",
              file=sys.stderr, flush=True)  # fmt: skip

    await look()
    told = [time.perf_counter()]
    watching = asyncio.create_task(watch())
    steps = await maintain(settings, tell=tell)
    seconds = time.perf_counter() - told[0]
    watching.cancel()
    await asyncio.wait([watching])
    await looking.close()
    return {
        "seconds": seconds,
        "steps": sum(step["action"] == "step" for step in steps),
        "longest": max(b - a for a, b in itertools.pairwise(told)),
        "before": sizes[0] / 1e6,
        "most": max(sizes) / 1e6,
        "after": await _asked(settings.database_url, "SELECT pg_database_size(current_database())")
        / 1e6,
    }


async def _asked(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def _ingest(settings: Settings, rows: int, assets: int, minutes: int) -> int:
    """Late rows at times that others have, and between them."""
    chance = random.Random(1)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    steps = _HOURS * 60 // minutes
    late = [
        {
            "timestamp": now + timedelta(minutes=between - minutes * chance.randrange(1, steps)),
            "asset_id": f"meter-{chance.randrange(assets):05d}",
            "value": chance.uniform(0, 99),
        }
        for between in (0, minutes // 2)
        for _ in range(int(rows * _LATE / 2))
    ]
    async with FeatureStore(settings) as store:
        await store.ingest(late, "hourly")
    return len(late)


async def _wrong(url: str) -> int:
    """Hours and days in the tables of the aggregates that are not what their rows say."""
    connection = await asyncpg.connect(url, server_settings={"work_mem": "256MB", "jit": "off"})
    wrong = 0
    try:
        for row in await connection.fetch(_AGGREGATES):
            first, last = await connection.fetchrow(
                f"SELECT min(bucket), max(bucket) FROM {row['stored']}"
            )
            while first < last:
                end = min(first + timedelta(weeks=1), last)
                wrong += await connection.fetchval(_WRONG.format(**row), first, end)
                first = end
    finally:
        await connection.close()
    return wrong
