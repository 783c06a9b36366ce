"""A look at a PostgreSQL database, on connections of its own whose statements have little time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from ai_hub.archive.layer import KINDS
from ai_hub.config import Settings
from ai_hub.definitions.values import FIRST_INSTANT, MINUTE, SECOND, Duration
from ai_hub.process import Process, read_label
from ai_hub.stores.checkup import (
    LATE,
    MOST_EXPORTS,
    MOST_READINGS,
    MOST_SERIES,
    MOST_STATED,
    MOST_TENANTS,
    WINDOW,
    ArchiveFacts,
    AssetWeather,
    DatabaseFacts,
    DataFacts,
    ExportFacts,
    Looked,
    Refreshed,
    SampledSeries,
    SealedFacts,
)
from ai_hub.stores.export_log import READ, record_of
from ai_hub.stores.postgres.migrate import check
from ai_hub.stores.postgres.registry import load
from ai_hub.stores.postgres.session import Connection, session
from ai_hub.stores.postgres.troubles import troubles
from ai_hub.stores.registry_table import StoredRegistry

_LIMIT = Duration(5 * SECOND)
"""For one statement: who looks must be no burden."""
_STOPPED = 2 * MINUTE
_HOURS = 48
_COMPARED = 20
"""Series whose hours are compared with the aggregate's, and how many hours of each."""

_MANY, _OF_MANY = 20_000, 4_000
"""A tenant with more series is known by about so many of them, from which a sample is taken."""

_SERVER = """
SELECT current_setting('server_version') AS version,
  (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS extension,
  pg_is_in_recovery() AS standby, current_setting('max_connections')::int AS connections,
  clock_timestamp() AS now
"""
_REFRESHED = """
SELECT h.done, (SELECT count(*) FROM ai_hub_late) AS late,
  (SELECT max(last_day) FROM ai_hub_series WHERE last_day <= now()) AS newest
FROM ai_hub_hourly AS h
"""
# Rows that no trigger saw: series that are not noted as late.
_UNSEEN = f"""
WITH chosen AS (
  SELECT s.tenant_id, s.asset_id, s.feature_type,
    least(s.last_day + INTERVAL '1 day', $1) AS past
  FROM ai_hub_series AS s
  LEFT JOIN ai_hub_late AS l USING (tenant_id, asset_id, feature_type)
  WHERE l.first IS NULL AND s.first_day < $1
  ORDER BY s.last_day DESC, md5(s.asset_id || s.feature_type) LIMIT {_COMPARED}
), counted AS (
  SELECT c.*, r.bucket, r.rows FROM chosen AS c CROSS JOIN LATERAL (
    SELECT time_bucket(INTERVAL '1 hour', timestamp) AS bucket, count(*) AS rows
    FROM ai_features AS f
    WHERE f.tenant_id = c.tenant_id AND f.asset_id = c.asset_id
      AND f.feature_type = c.feature_type AND f.timestamp < c.past
      AND f.timestamp >= c.past - INTERVAL '{_HOURS} hours'
    GROUP BY 1) AS r
), compared AS (
  SELECT n.bucket, n.rows, h.hourly_count FROM counted AS n LEFT JOIN hourly_features AS h
    ON h.tenant_id = n.tenant_id AND h.asset_id = n.asset_id
    AND h.feature_type = n.feature_type AND h.bucket = n.bucket
)
SELECT (SELECT count(*) FROM chosen), (SELECT array_agg(DISTINCT bucket ORDER BY bucket)
  FROM compared WHERE hourly_count IS DISTINCT FROM rows)
"""
_TENANTS = f"""
SELECT tenant_id, count(*) AS series, count(DISTINCT asset_id) AS assets FROM ai_hub_series
WHERE $1::text IS NULL OR tenant_id = $1
GROUP BY tenant_id ORDER BY tenant_id LIMIT {MOST_TENANTS}
"""
# Of a series that lost rows of its last day it is not known which one is.
_ONES = """
SELECT c.tenant_id, c.asset_id, c.feature_type, CASE WHEN c.shrunk THEN coalesce((
    SELECT f.timestamp FROM ai_features AS f
    WHERE f.tenant_id = c.tenant_id AND f.asset_id = c.asset_id
      AND f.feature_type = c.feature_type ORDER BY f.timestamp DESC LIMIT 1), c.last_day)
  ELSE c.last_day END AS last_day
"""
# The same ones each time; of a tenant with very many, of some of the table's blocks.
_CHOSEN = f"""
{_ONES} FROM unnest($1::text[]) AS t(tenant_id) CROSS JOIN LATERAL (
  SELECT * FROM ai_hub_series AS s WHERE s.tenant_id = t.tenant_id
  ORDER BY md5(s.asset_id || s.feature_type) LIMIT $2
) AS c
"""
_OF_BLOCKS = f"""
{_ONES} FROM unnest($1::text[], $3::float4[]) AS t(tenant_id, part) CROSS JOIN LATERAL (
  SELECT * FROM ai_hub_series AS s TABLESAMPLE SYSTEM (t.part) REPEATABLE (1)
  WHERE s.tenant_id = t.tenant_id ORDER BY md5(s.asset_id || s.feature_type) LIMIT $2
) AS c
"""
_TO_COME = f"""
{_ONES} FROM (
  SELECT * FROM ai_hub_series WHERE last_day > $2 AND tenant_id = ANY($1::text[]) LIMIT 100
) AS c
"""
_OF_CHOSEN = """unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
  AS c(tenant_id, asset_id, feature_type, last_day)"""
_MINE = """f.tenant_id = c.tenant_id AND f.asset_id = c.asset_id
    AND f.feature_type = c.feature_type"""
_READINGS = f"""
SELECT c.tenant_id, c.asset_id, c.feature_type, r.times, r.read, r.late
FROM {_OF_CHOSEN} CROSS JOIN LATERAL (
  SELECT array_agg((extract(epoch FROM timestamp) * 1000000)::bigint ORDER BY timestamp) AS times,
    array_agg(value ORDER BY timestamp) AS read,
    count(*) FILTER (WHERE ingested_at > timestamp + $5 * INTERVAL '1 microsecond'
      AND ingested_at > begun + INTERVAL '1 hour') AS late
  FROM (SELECT timestamp, value, ingested_at, min(ingested_at) OVER () AS begun
    FROM (SELECT timestamp, value, ingested_at FROM ai_features AS f
    WHERE {_MINE} AND f.timestamp < c.last_day + INTERVAL '1 day'
      AND f.timestamp >= c.last_day - $6 * INTERVAL '1 microsecond'
    ORDER BY timestamp DESC LIMIT {MOST_READINGS}) AS newest) AS marked
) AS r WHERE r.times IS NOT NULL
ORDER BY 1, 2, 3
"""
_STATED = f"""
SELECT c.tenant_id, c.asset_id, c.feature_type, r.stated, r.doubtful
FROM {_OF_CHOSEN} CROSS JOIN LATERAL (
  SELECT count(*) AS stated, count(*) FILTER (WHERE quality < 1) AS doubtful
  FROM (SELECT quality FROM timeseries_data AS f
    WHERE {_MINE} AND f.timestamp >= c.last_day - INTERVAL '14 days'
    ORDER BY timestamp DESC LIMIT {MOST_STATED}) AS newest
) AS r
"""
_WEATHER = """
SELECT c.tenant_id, c.asset_id, m.source_id, w.timestamp
FROM unnest($1::text[], $2::text[]) AS c(tenant_id, asset_id)
LEFT JOIN LATERAL (SELECT source_id FROM asset_weather_source AS m
  WHERE m.tenant_id = c.tenant_id AND m.asset_id = c.asset_id AND valid_from <= $3
  ORDER BY valid_from DESC LIMIT 1) AS m ON true
LEFT JOIN LATERAL (SELECT timestamp FROM weather_features AS w
  WHERE w.tenant_id = c.tenant_id AND w.asset_id = coalesce(m.source_id, c.asset_id)
    AND w.timestamp <= $3 AND w.issued_at <= $3
  ORDER BY timestamp DESC LIMIT 1) AS w ON true
"""
# By steps over the key, since rows are many and sources few.
_STATIONS = f"""
WITH RECURSIVE source AS (
  SELECT t.tenant_id, (SELECT asset_id FROM weather_features AS w
    WHERE w.tenant_id = t.tenant_id ORDER BY asset_id LIMIT 1) AS asset_id, 1 AS place
  FROM unnest($1::text[]) AS t(tenant_id)
  UNION ALL
  SELECT s.tenant_id, (SELECT asset_id FROM weather_features AS w
    WHERE w.tenant_id = s.tenant_id AND w.asset_id > s.asset_id ORDER BY asset_id LIMIT 1),
    s.place + 1
  FROM source AS s WHERE s.asset_id IS NOT NULL AND s.place < 100
)
SELECT s.tenant_id, s.asset_id, (SELECT timestamp FROM weather_features AS w
  WHERE w.tenant_id = s.tenant_id AND w.asset_id = s.asset_id AND w.timestamp <= $2
  ORDER BY timestamp DESC LIMIT 1) AS newest
FROM source AS s WHERE s.asset_id IS NOT NULL LIMIT {MOST_SERIES}
"""
_NAMES = ", ".join(READ)
_STOPPED_EXPORTS = f"""
SELECT {_NAMES} FROM feature_exports
WHERE status = 'processing' AND heartbeat_at < now() - $1 * INTERVAL '1 microsecond'
ORDER BY started_at DESC LIMIT {MOST_EXPORTS}
"""
_UNDER_WAY = """
SELECT export_id::text FROM feature_exports WHERE status IN ('processing', 'pending') LIMIT 10000
"""
_COMPLETED = f"""
SELECT {_NAMES} FROM feature_exports WHERE status = 'completed' AND replaced_by IS NULL
ORDER BY started_at DESC LIMIT {MOST_EXPORTS}
"""
_CONNECTED = """
SELECT application_name, host(client_addr) AS place, backend_start AS since FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'ai-hub/%' ORDER BY backend_start
"""

# Those of numbers below zero are to be removed.
_SEALED = """
SELECT url, sum(row_count)::bigint, max(end_time), count(*) FILTER (WHERE state <> 'verified'),
  (array_agg(tenant_id ORDER BY number DESC) FILTER (WHERE state <> 'writing'))[1],
  (array_agg(layer_id ORDER BY number DESC) FILTER (WHERE state <> 'writing'))[1],
  (array_agg(checksum ORDER BY number DESC) FILTER (WHERE state <> 'writing'))[1]
FROM ai_hub_archive_layers WHERE number >= 0 GROUP BY url ORDER BY url
"""
_DROPPED = "SELECT kind, dropped_before FROM ai_hub_archive"


class PostgresCheckup:
    """The database of some settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def database(self) -> DatabaseFacts:
        """What it is."""
        async with self._session() as on:
            begin = time.perf_counter()
            row = await on.fetchrow(_SERVER)
            seconds, asked = time.perf_counter() - begin, time.time_ns() // 1_000
            facts = await check(on)
            return DatabaseFacts(
                f"PostgreSQL {row['version'].split()[0]}",
                None if row["extension"] is None else f"TimescaleDB {row['extension']}",
                row["standby"],
                seconds,
                row["now"],
                asked,
                facts.keep,
                row["connections"],
            )

    async def troubles(self) -> Looked:
        """What stands in it and should not, or is not there and should be."""
        async with self._session() as on:
            facts = await check(on)
            return await troubles(on, self._settings, facts.mode)

    async def refreshed(self) -> Refreshed | None:
        """How its aggregates are; None where they are views."""
        async with self._session() as on:
            if (await check(on)).mode != "timescaledb":
                return None
            row = await on.fetchrow(_REFRESHED)
            # What is not refreshed at all is -infinity.
            done = row["done"] if row["done"] > FIRST_INSTANT else None
            looked, unseen = 0, None
            if done is not None:
                looked, unseen = await on.fetchrow(_UNSEEN, done)
            return Refreshed(done, row["newest"], row["late"], looked, tuple(unseen or ()))

    async def data(self, tenant_id: str | None, now: int) -> DataFacts:
        """What it has, of one tenant or all."""
        async with self._session() as on:
            counts = await on.fetch(_TENANTS, tenant_id)
            tenants = [row["tenant_id"] for row in counts]
            share = max(1, MOST_SERIES // max(1, len(tenants)))
            chosen = await _chosen(
                on, {row["tenant_id"]: row["series"] for row in counts}, share, now
            )
            columns = [list(one) for one in zip(*chosen, strict=True)] or [[], [], [], []]
            stated = {
                tuple(row[:3]): (row["stated"], row["doubtful"])
                for row in await on.fetch(_STATED, *columns)
            }
            sample = [
                _series(row, stated[tuple(row[:3])])
                for row in await on.fetch(_READINGS, *columns, LATE, WINDOW)
            ]
            assets = sorted({(one.tenant_id, one.asset_id) for one in sample})
            pairs = [list(one) for one in zip(*assets, strict=True)] or [[], []]
            weather = [AssetWeather(*row) for row in await on.fetch(_WEATHER, *pairs, now)]
            stations: dict[str, dict[str, int]] = {}
            for tenant, source, newest in await on.fetch(_STATIONS, tenants, now):
                if newest is not None:
                    stations.setdefault(tenant, {})[source] = newest
            return DataFacts(
                {row["tenant_id"]: row["series"] for row in counts},
                {row["tenant_id"]: row["assets"] for row in counts},
                sample,
                weather,
                stations,
            )

    async def registry(self) -> StoredRegistry:
        """What was applied, and the access keys."""
        async with self._session() as on:
            return await load(on)

    async def exports(self) -> ExportFacts:
        """How its exports are."""
        async with self._session() as on:
            return ExportFacts(
                [record_of(row) for row in await on.fetch(_STOPPED_EXPORTS, _STOPPED)],
                frozenset(id_ for (id_,) in await on.fetch(_UNDER_WAY)),
                [record_of(row) for row in await on.fetch(_COMPLETED)],
            )

    async def archive(self) -> ArchiveFacts:
        """What it knows of its archive."""
        async with self._session() as on:
            sealed = [SealedFacts.of(row) for row in await on.fetch(_SEALED)]
            known = {row[0]: row[1] for row in await on.fetch(_DROPPED)}
            return ArchiveFacts(sealed, {kind: known[kind] for kind in KINDS if kind in known})

    async def processes(self) -> list[Process]:
        """Those of ours that are connected to it, this one aside."""
        async with self._session() as on:
            return _by_id(await on.fetch(_CONNECTED))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Connection]:
        async with session(self._settings, _LIMIT) as on:
            await on.execute("SET default_transaction_read_only = on")
            yield on


async def _chosen(on: Connection, counts: dict[str, int], share: int, now: int) -> list[Any]:
    """Series of each tenant, and those that have a day to come."""
    few = [tenant for tenant, count in counts.items() if count <= _MANY]
    many = [tenant for tenant in counts if tenant not in few]
    parts = [100 * min(1.0, _OF_MANY / counts[tenant]) for tenant in many]
    # Whole tables of series are read, and no index has the days.
    await on.execute("SET enable_seqscan = on")
    found = [
        *await on.fetch(_CHOSEN, few, share),
        *await on.fetch(_OF_BLOCKS, many, share, parts),
        *await on.fetch(_TO_COME, list(counts), now),
    ]
    return [*{tuple(row[:3]): tuple(row) for row in found}.values()]


def _series(row: Sequence[Any], stated: tuple[Any, ...]) -> SampledSeries:
    tenant, asset, name, times, values = row[:5]
    return SampledSeries(tenant, asset, name, times, values, row[5], *stated)


def _by_id(rows: Sequence[asyncpg.Record]) -> list[Process]:
    found: dict[str, Process] = {}
    for label, place, since in rows:
        one = read_label(label, place, since)
        if one is not None and not one.is_mine:
            found.setdefault(one.id, one)
    return [*found.values()]
