"""What a PostgreSQL database is like: server, sizes, chunks, policies, data, refreshes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ai_hub.config import Settings
from ai_hub.definitions.values import HOUR, SECOND, Duration
from ai_hub.stores.postgres.declared import declared, shown_time
from ai_hub.stores.postgres.migrate import check
from ai_hub.stores.postgres.migrations import Mode
from ai_hub.stores.postgres.refreshers import refreshers
from ai_hub.stores.postgres.session import Connection, session
from ai_hub.stores.postgres.warnings import warnings

Section = list[dict[str, Any]]
_TABLES = ("timeseries_data", "ai_features", "weather_features", "feature_exports")

_SIZES = """
SELECT relation, pg_total_relation_size(relation::regclass) AS bytes,
       nullif(c.reltuples, -1)::bigint AS estimated_rows
FROM unnest($1::text[]) AS relation JOIN pg_class c ON c.oid = relation::regclass
"""
# Chunks are counted before they are matched, as there may be thousands.
_HYPERTABLES = """
SELECT h.relation, {size}(h.of) AS bytes, approximate_row_count(h.of) AS estimated_rows,
       coalesce(c.chunks, 0) AS chunks, coalesce(c.compressed, 0) AS compressed
FROM unnest($1::text[], $2::regclass[]) AS h(relation, of)
LEFT JOIN (
  SELECT format('%I.%I', hypertable_schema, hypertable_name)::regclass AS of, chunks, compressed
  FROM (
    SELECT hypertable_schema, hypertable_name, count(*) AS chunks,
      count(*) FILTER (WHERE is_compressed) AS compressed
    FROM timescaledb_information.chunks GROUP BY hypertable_schema, hypertable_name
  ) AS counted
) AS c USING (of) ORDER BY h.relation
"""
_AGGREGATES = """
SELECT view_name, format('%I.%I', materialization_hypertable_schema,
       materialization_hypertable_name)::regclass::text AS stored
FROM timescaledb_information.continuous_aggregates
WHERE view_name IN ('hourly_features', 'daily_features') ORDER BY view_name
"""
_POLICIES = """
SELECT coalesce(a.view_name, j.hypertable_name) AS relation, j.proc_name AS policy,
       j.schedule_interval::text AS every, j.scheduled, j.config::text AS config
FROM timescaledb_information.jobs j
LEFT JOIN timescaledb_information.continuous_aggregates a
  ON a.materialization_hypertable_name = j.hypertable_name
WHERE coalesce(a.view_name, j.hypertable_name) = ANY($1::text[]) ORDER BY 1, 2
"""
_RETENTION = """
SELECT relation, keep::text AS keep, set_at, told_at, deleted_before
FROM ai_hub_retention ORDER BY relation
"""
_COUNTING = Duration(6 * HOUR)
"""Counting every row may take long on a large database."""
_SERIES = """
SELECT tenant_id, feature_type, count(*) AS assets,
       to_char(min(first_day), 'YYYY-MM-DD') AS first_day,
       to_char(max(last_day), 'YYYY-MM-DD') AS last_day
FROM ai_hub_series GROUP BY tenant_id, feature_type ORDER BY tenant_id, feature_type LIMIT 1000
"""
_EXACT_SERIES = """
SELECT tenant_id, feature_type, count(DISTINCT asset_id) AS assets, count(*) AS rows,
       min(timestamp) AS oldest, max(timestamp) AS newest
FROM ai_features GROUP BY tenant_id, feature_type ORDER BY tenant_id, feature_type LIMIT 1000
"""
_USE = """
SELECT c.relname AS relation, coalesce(sum(s.seq_scan), 0)::bigint AS table_scans,
       coalesce(sum(s.idx_scan), 0)::bigint AS index_scans
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
WHERE c.relname = ANY($1::text[]) GROUP BY c.relname ORDER BY 1
"""
_CHUNK_USE = """
SELECT h.hypertable_name AS relation, coalesce(sum(s.seq_scan), 0)::bigint AS table_scans,
       coalesce(sum(s.idx_scan), 0)::bigint AS index_scans
FROM timescaledb_information.chunks h JOIN pg_stat_user_tables s
  ON s.relid = format('%I.%I', h.chunk_schema, h.chunk_name)::regclass
WHERE h.hypertable_name = ANY($1::text[]) GROUP BY h.hypertable_name ORDER BY 1
"""


async def status(settings: Settings, exact: bool = False) -> dict[str, Any]:
    """What is known of the database, as the members of a JSON document. Raises StoreError.

    `exact` counts rows and reads the times of each series, of all chunks.
    """
    async with session(settings, _COUNTING if exact else None) as connection:
        return await _status(connection, settings, exact)


async def _status(on: Connection, settings: Settings, exact: bool) -> dict[str, Any]:
    facts = await check(on)
    tables = list(_TABLES)
    with_chunks = facts.mode != "plain"
    server = await on.fetchrow(
        "SELECT current_setting('server_version') AS postgresql, "
        "(SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb, "
        "pg_database_size(current_database()) AS bytes, pg_is_in_recovery() AS standby"
    )
    found: dict[str, Any] = {
        "database": settings.database_name,
        "mode": facts.mode,
        "postgresql": server["postgresql"],
        "timescaledb": server["timescaledb"],
        "standby": server["standby"],
        "bytes": server["bytes"],
        "warnings": await _warnings(on, settings, facts.mode),
        "relations": _plain(await on.fetch(_SIZES, tables)),
        "retention": _plain(await on.fetch(_RETENTION)),
        "policies": [],
        "series": _plain(await on.fetch(_EXACT_SERIES if exact else _SERIES)),
        "index_use": _plain(await on.fetch(_CHUNK_USE if with_chunks else _USE, tables)),
    }
    if with_chunks:
        pairs = [(name, name) for name in tables[:3]]
        aggregates = await on.fetch(_AGGREGATES) if facts.mode == "timescaledb" else []
        pairs += [(row["view_name"], row["stored"]) for row in aggregates]
        size = "hypertable_size" if exact else "hypertable_approximate_size"
        text = _HYPERTABLES.format(size=size)
        hypertables = await on.fetch(text, *map(list, zip(*pairs, strict=True)))
        exports = [one for one in found["relations"] if one["relation"] == "feature_exports"]
        found["relations"] = [*_plain(hypertables), *exports]
    if facts.mode == "timescaledb":
        names = [*tables, "hourly_features", "daily_features"]
        found["policies"] = _plain(await on.fetch(_POLICIES, names))
        found["aggregates"] = await _aggregates(on)
    return found


async def _warnings(on: Connection, settings: Settings, mode: Mode) -> list[str]:
    """What stands in the database, or in the settings, and should not."""
    ignored = (one.ignored(settings) for one in await declared(on))
    return [*map(str, await warnings(on, mode)), *filter(None, ignored)]


async def _aggregates(on: Connection) -> dict[str, Any]:
    """Up to when hours are refreshed, how many series have late rows before that, and by whom."""
    row = await on.fetchrow(
        "SELECT done, (extract(epoch FROM now() - nullif(done, '-infinity')) * 1000000)::bigint "
        "AS lag, (SELECT count(*) FROM ai_hub_late) AS late FROM ai_hub_hourly"
    )
    return {
        "refreshed_to": shown_time(row["done"]),
        "lag_seconds": None if row["lag"] is None else row["lag"] // SECOND,
        "late_series": row["late"],
        "refreshed_by": {
            one.relation: {"who": one.who, "why": one.why} for one in await refreshers(on)
        },
    }


_TIMES = frozenset({"oldest", "newest", "set_at", "told_at", "deleted_before"})


def _plain(rows: Sequence[Any]) -> Section:
    return [
        {name: shown_time(value) if name in _TIMES else value for name, value in row.items()}
        for row in rows
    ]
