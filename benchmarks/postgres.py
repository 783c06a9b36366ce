"""The store on PostgreSQL, with TimescaleDB and without: misses, callers at once, ingest.

Private servers are started by the harness of the tests, one after the other.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from ai_hub import FeatureStore
from ai_hub.administration import maintain
from ai_hub.config import Settings
from ai_hub.definitions.builtin import FEATURE_SETS
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Rolling
from ai_hub.definitions.values import DAY, HOUR, MINUTE, iso
from ai_hub.engines.plan import Plan
from ai_hub.engines.sql_rows import Point
from ai_hub.intake.checks import check_observations
from ai_hub.stores.postgres.store import PostgresStore
from ai_hub.stores.postgres.write import copy_observations
from benchmarks.measure import Check, Table, Topic, median_ratio, ms, percentile
from benchmarks.server import GET, HOST, Client, console, free_port, running

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import servers

_ASSETS, _DAYS = 1000, 90
_DENSE, _DENSE_DAYS = 50, 30
_MISSES, _BATCHES, _SECONDS, _ROUNDS = 600, 60, 2.0, 3
_ADVANCED = Plan.of(next(s for s in FEATURE_SETS if s.name == "forecast_advanced"))
_WEEK = Plan.of(
    FeatureSet("week", 1, (Rolling("mean", "mean", "168h"), Rolling("std", "std", "168h")))
)
_NAMES = {"timescaledb": "TimescaleDB", "plain": "PostgreSQL"}

# Rows as time brings them: every instant of all assets, then the next one.
_HOURLY = f"""
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
SELECT t, 'hourly', 'meter-' || lpad(i::text, 4, '0'),
       50 + 10 * sin(extract(epoch FROM t) / 3600 + i) + random()
FROM generate_series(date_trunc('hour', now()) - interval '{_DAYS * 24 - 1} hours',
                     date_trunc('hour', now()), interval '1 hour') AS t,
     generate_series(0, {_ASSETS - 1}) AS i
"""
_MINUTES = f"""
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
SELECT t, 'minutes', 'meter-' || lpad(i::text, 4, '0'),
       50 + 10 * sin(extract(epoch FROM t) / 3600 + i) + random()
FROM generate_series(date_trunc('hour', now()) - interval '{_DENSE_DAYS} days',
                     date_trunc('hour', now()), interval '1 minute') AS t,
     generate_series(0, {_DENSE - 1}) AS i
"""
_WEATHER = f"""
INSERT INTO weather_features (timestamp, issued_at, tenant_id, asset_id, temperature, humidity)
SELECT t, t, 'hourly', 'station-' || i, 10 + random(), 60 + random()
FROM generate_series(date_trunc('hour', now()) - interval '{_DAYS} days',
                     date_trunc('hour', now()), interval '1 hour') AS t,
     generate_series(0, 99) AS i
"""
_STATIONS = f"""
INSERT INTO asset_weather_source
SELECT 'hourly', 'meter-' || lpad(i::text, 4, '0'), 'station-' || i % 100
FROM generate_series(0, {_ASSETS - 1}) AS i
"""


def run() -> Topic:
    topic = Topic("postgres")
    figures: dict[str, list[tuple[str, ...]]] = {"online": [], "callers": [], "ingest": []}
    for kind in ("timescaledb", "plain"):
        if reason := servers.absent(kind):
            topic.tables.append(Table(f"No figures of {_NAMES[kind]}: {reason}", (), []))
            continue
        try:
            _on(kind, topic, figures)
        finally:
            servers.stop_all()
    topic.tables += [
        Table(
            f"Misses of forecast_advanced on {_ASSETS * _DAYS * 24:,} hourly readings, and of a "
            f"week's mean and deviation on {_DENSE * _DENSE_DAYS * 1440:,} of every minute",
            ("server", "what", "p50 ms", "p99 ms", "of the bare statement"),
            figures["online"],
            "Bare: the same prepared statement on an open connection, its parameters ready.",
        ),
        Table(
            "Callers at once, each for one asset at a time",
            ("server", "callers", "one statement each /s", "gathered /s", "times", "p99 ms"),
            figures["callers"],
        ),
        Table(
            "Ingest of 100,000 readings, new to both tables",
            ("server", "ours, rows/s", "bare COPY and upserts, rows/s", "share"),
            figures["ingest"],
            "Bare: the checked rows as binary COPY into a temporary table, and the upserts from "
            "there into both tables, with nothing checked, counted or told.",
        ),
    ]
    return topic


def _on(kind: servers.Kind, topic: Topic, figures: dict[str, list[tuple[str, ...]]]) -> None:
    server = servers.server(kind)
    url = server.fresh()
    name = url.rpartition("/")[2]
    for text in (_HOURLY, _MINUTES, _WEATHER, _STATIONS):
        server.sql(text, name)
    settings = Settings(database_url=url)
    asyncio.run(maintain(settings))
    server.sql("VACUUM ANALYZE", name)
    asyncio.run(_online(kind, settings, topic, figures["online"]))
    _over_http(kind, settings, topic, figures["online"])
    asyncio.run(_callers(kind, settings, topic, figures["callers"]))
    server.discard(url)
    fresh = Settings(database_url=server.fresh())
    asyncio.run(_ingest(kind, fresh, topic, figures["ingest"]))


def _now() -> int:
    return time.time_ns() // 1_000 // HOUR * HOUR


def _points(seed: int, tenant: str, assets: int) -> Callable[[], Point]:
    """Assets and times of the last three days, none of them with anything missing."""
    chance = random.Random(seed)
    now = _now()
    return lambda: (
        tenant,
        f"meter-{chance.randrange(assets):04d}",
        now - chance.randrange(3 * DAY // MINUTE) * MINUTE,
    )


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(settings)
    try:
        await store.prepare()
        yield store
    finally:
        await store.close()


async def _timed(work: Coroutine[Any, Any, Any]) -> float:
    begin = time.perf_counter()
    await work
    return time.perf_counter() - begin


async def _online(
    kind: str, settings: Settings, topic: Topic, lines: list[tuple[str, ...]]
) -> None:
    async with _opened(settings) as store:
        chosen = store._points.lane(_ADVANCED, None)._statement("one", frozenset(), "features")
        draw = _points(1, "hourly", _ASSETS)
        took: dict[str, list[float]] = {"bare": [], "ours": [], "filled": []}
        async with store._sessions.connection() as connection:
            bare = await connection.prepare(chosen.text)
            for _ in range(_MISSES):
                arguments = chosen.arguments([draw()])
                took["bare"].append(await _timed(bare.fetch(*arguments)))
                for name, ahead in (("ours", 0), ("filled", 4 * DAY)):
                    tenant, asset, t = draw()
                    asked = store.compute(_ADVANCED, None, tenant, [asset], t + ahead)
                    took[name].append(await _timed(asked))
        assets = [f"meter-{i:04d}" for i in range(100)]
        batches = [
            await _timed(store.compute(_ADVANCED, None, "hourly", assets, _now() - i * MINUTE))
            for i in range(_BATCHES)
        ]
        draw = _points(2, "minutes", _DENSE)
        weeks = []
        for _ in range(_MISSES):
            tenant, asset, t = draw()
            weeks.append(await _timed(store.compute(_WEEK, None, tenant, [asset], t)))
    name = _NAMES[kind]
    ratio = median(took["ours"]) / median(took["bare"])
    fill = median(took["filled"]) / median(took["bare"])
    for what, seconds, of in (
        ("bare statement", took["bare"], "1"),
        ("miss, in process", took["ours"], f"{ratio:.2f}"),
        ("miss that is filled", took["filled"], f"{fill:.2f}"),
        ("batch of 100", batches, ""),
        ("week of minutes", weeks, ""),
    ):
        lines.append((name, what, ms(median(seconds)), ms(percentile(seconds, 0.99)), of))
    if kind == "timescaledb":
        topic.checks += [
            Check(f"{name}: miss against the bare statement", ratio, 1.5),
            Check(f"{name}: filled miss against the one not filled", fill / ratio, 2),
        ]
    else:
        topic.checks.append(Check(f"{name}: miss, p50", median(took["ours"]) * 1e3, 0.6, "ms"))
    most = {"timescaledb": 4, "plain": 9}[kind]
    topic.checks += [
        Check(f"{name}: batch of 100 assets, p50", median(batches) * 1e3, 12, "ms"),
        Check(f"{name}: week of minutes, p50", median(weeks) * 1e3, most, "ms"),
    ]


def _over_http(kind: str, settings: Settings, topic: Topic, lines: list[tuple[str, ...]]) -> None:
    port, draw = free_port(), _points(3, "hourly", _ASSETS)
    command = console("serve", "--host", HOST, "--port", str(port))
    with tempfile.TemporaryDirectory() as folder:
        environment = {"AI_HUB_DATABASE_URL": settings.database_url, "AI_HUB_EXPORT_ROOT": folder}
        with running(command, port, **environment), Client(port) as client:
            # A server goes on importing for a while after it answers: that is not a miss.
            time.sleep(3)
            took = []
            for i in range(_MISSES + 50):
                tenant, asset, t = draw()
                asked = {"tenant_id": tenant, "asset_id": asset, "timestamp": iso(t),
                         "feature_set": "forecast_advanced"}  # fmt: skip
                begin = time.perf_counter()
                client.post(GET, asked)
                if i >= 50:
                    took.append(time.perf_counter() - begin)
    p50, p99 = median(took), percentile(took, 0.99)
    lines.append((_NAMES[kind], "miss, over HTTP", ms(p50), ms(p99), ""))
    topic.checks.append(Check(f"{_NAMES[kind]}: miss over HTTP, p99", p99 * 1e3, 5, "ms"))


async def _callers(
    kind: str, settings: Settings, topic: Topic, lines: list[tuple[str, ...]]
) -> None:
    async with _opened(settings) as store:
        lane = store._points.lane(_ADVANCED, None)

        async def load(callers: int, ask: Callable[[Point], Coroutine[Any, Any, Any]]) -> Any:
            draw, now, took = _points(callers, "hourly", _ASSETS), _now(), []
            until = time.perf_counter() + _SECONDS

            async def call() -> None:
                while time.perf_counter() < until:
                    tenant, asset, _ = draw()
                    took.append(await _timed(ask((tenant, asset, now))))

            await asyncio.gather(*(call() for _ in range(callers)))
            return len(took) / _SECONDS, percentile(took, 0.99)

        for callers in (8, 64):
            alone, gathered, slowest = [], [], []
            for _ in range(_ROUNDS):
                alone.append((await load(callers, lambda point: lane.read([point])))[0])
                rate, p99 = await load(callers, lane.ask)
                gathered.append(rate)
                slowest.append(p99)
            times = median_ratio(gathered, alone)
            rates = [f"{median(alone):,.0f}", f"{median(gathered):,.0f}", f"{times:.1f}"]
            lines.append((_NAMES[kind], str(callers), *rates, ms(median(slowest))))
    least = {"timescaledb": 3, "plain": 1.8}[kind]
    what = f"{_NAMES[kind]}: 64 callers gathered against one statement each"
    topic.checks.append(Check(what, times, least, least=True))


_BARE_RAW = """
INSERT INTO timeseries_data AS t (timestamp, tenant_id, asset_id, feature_type, value, quality)
SELECT timestamp, tenant_id, asset_id, feature_type, value, quality FROM ai_hub_observations_in
ON CONFLICT (tenant_id, asset_id, feature_type, timestamp) DO UPDATE
SET value = excluded.value, quality = excluded.quality, ingested_at = now()
WHERE t.value IS DISTINCT FROM excluded.value OR t.quality IS DISTINCT FROM excluded.quality
"""
_BARE_USABLE = """
INSERT INTO ai_features AS t (timestamp, tenant_id, asset_id, feature_type, value)
SELECT timestamp, tenant_id, asset_id, feature_type, value FROM ai_hub_observations_in
WHERE quality >= 1
ON CONFLICT (tenant_id, asset_id, feature_type, timestamp) DO UPDATE
SET value = excluded.value, ingested_at = now() WHERE t.value IS DISTINCT FROM excluded.value
"""


def _readings(turn: int) -> pa.Table:
    """100 hours of 1,000 assets, at a minute of their own in each turn."""
    hours = _now() - np.arange(100)[::-1] * HOUR + turn * MINUTE
    names = pa.array([f"meter-{i:06d}" for i in range(1000)])
    return pa.table(
        {
            "timestamp": pa.array(np.tile(hours, 1000)).cast(pa.timestamp("us", "UTC")),
            "asset_id": names.take(pa.array(np.repeat(np.arange(1000), 100))),
            "value": np.random.default_rng(turn).normal(50, 9, 100_000),
        }
    )


async def _ingest(
    kind: str, settings: Settings, topic: Topic, lines: list[tuple[str, ...]]
) -> None:
    ours, bare = [], []
    async with FeatureStore(settings) as store:
        inner = store._open.store
        assert isinstance(inner, PostgresStore)

        async def floor(batch: pa.Table) -> None:
            async with inner._sessions.connection() as connection, connection.transaction():
                await copy_observations(connection, batch)
                await connection.execute(_BARE_RAW)
                await connection.execute(_BARE_USABLE)

        for turn in range(0, 20, 2):
            ours.append(await _timed(store.ingest(_readings(turn), "t")))
            batch = check_observations(_readings(turn + 1), "t").table
            bare.append(await _timed(floor(batch)))
    share = 1 / median_ratio(ours[1:], bare[1:])
    lines.append((_NAMES[kind], f"{1e5 / median(ours):,.0f}", f"{1e5 / median(bare):,.0f}",
                  f"{share:.2f}"))  # fmt: skip
    what = f"{_NAMES[kind]}: ingest against a bare COPY and upserts"
    topic.checks.append(Check(what, share, 0.8, least=True))
