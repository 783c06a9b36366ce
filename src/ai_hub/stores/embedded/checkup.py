"""A look at an embedded database: at the file where nobody has it open, else by who has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from ai_hub.errors import NoDatabase
from ai_hub.process import Process
from ai_hub.stores.checkup import (
    MOST_EXPORTS,
    MOST_READINGS,
    MOST_SERIES,
    MOST_STATED,
    MOST_TENANTS,
    WINDOW,
    AssetWeather,
    DatabaseFacts,
    DataFacts,
    ExportFacts,
    Looked,
    Refreshed,
    SampledSeries,
)
from ai_hub.stores.embedded.registry import load
from ai_hub.stores.embedded.session import MEMORY, Cursor, connect, translated
from ai_hub.stores.export_log import INSTANTS, READ, record_of
from ai_hub.stores.registry_table import StoredRegistry

_T = TypeVar("_T")
Read = Callable[[Callable[[Cursor], Any]], Awaitable[Any]]
"""Does a read on the database, in a thread."""

_TENANTS = f"""
SELECT tenant_id, count(DISTINCT (asset_id, feature_type)), count(DISTINCT asset_id)
FROM ai_features WHERE $tenant IS NULL OR tenant_id = $tenant
GROUP BY tenant_id ORDER BY tenant_id LIMIT {MOST_TENANTS}
"""
# Those with a time to come first: there are none where all is well.
_CHOSEN = """
SELECT tenant_id, asset_id, feature_type, last FROM (
  SELECT *, row_number() OVER (PARTITION BY tenant_id
    ORDER BY last > make_timestamptz($now::BIGINT) DESC, md5(asset_id || feature_type)) AS place
  FROM (SELECT tenant_id, asset_id, feature_type, max(timestamp) AS last FROM ai_features
    WHERE tenant_id IN (SELECT unnest($tenants::VARCHAR[]))
    GROUP BY tenant_id, asset_id, feature_type)
) WHERE place <= $share
"""
_READINGS = f"""
WITH chosen AS ({_CHOSEN})
SELECT tenant_id, asset_id, feature_type, list(epoch_us(timestamp) ORDER BY timestamp),
  list(value ORDER BY timestamp)
FROM (
  SELECT f.*, row_number() OVER (PARTITION BY f.tenant_id, f.asset_id, f.feature_type
    ORDER BY f.timestamp DESC) AS newest
  FROM ai_features AS f JOIN chosen AS c USING (tenant_id, asset_id, feature_type)
  WHERE epoch_us(f.timestamp) > epoch_us(c.last) - $window
) WHERE newest <= {MOST_READINGS}
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_STATED = f"""
WITH chosen AS ({_CHOSEN})
SELECT tenant_id, asset_id, feature_type, count(*), count(*) FILTER (quality < 1)
FROM (
  SELECT f.*, row_number() OVER (PARTITION BY f.tenant_id, f.asset_id, f.feature_type
    ORDER BY f.timestamp DESC) AS newest
  FROM timeseries_data AS f JOIN chosen AS c USING (tenant_id, asset_id, feature_type)
  WHERE epoch_us(f.timestamp) > epoch_us(c.last) - $window
) WHERE newest <= {MOST_STATED}
GROUP BY 1, 2, 3
"""
_STATIONS = """
SELECT tenant_id, asset_id, epoch_us(max(timestamp)) FROM weather_features
WHERE timestamp <= make_timestamptz($now::BIGINT) AND issued_at <= make_timestamptz($now::BIGINT)
  AND ($tenant IS NULL OR tenant_id = $tenant)
GROUP BY 1, 2 ORDER BY 1, 2
"""
_SOURCES = """
SELECT tenant_id, asset_id, last(source_id ORDER BY valid_from NULLS FIRST)
FROM asset_weather_source
WHERE valid_from IS NULL OR valid_from <= make_timestamptz($now::BIGINT) GROUP BY 1, 2
"""
_COLUMNS = ", ".join(f"epoch_us({name})" if name in INSTANTS else name for name in READ)
_EXPORTS = f"""
SELECT {_COLUMNS} FROM feature_exports WHERE status = ? AND replaced_by IS NULL
ORDER BY started_at DESC LIMIT {MOST_EXPORTS}
"""


class EmbeddedCheckup:
    """A database that is read by `read`; `live`: its owner is, who writes exports meanwhile."""

    def __init__(self, read: Read, live: bool) -> None:
        self._read = read
        self._live = live

    async def database(self) -> DatabaseFacts:
        """What it is."""
        begin = time.perf_counter()
        await self._read(lambda cursor: cursor.execute("SELECT 1").fetchall())
        seconds = time.perf_counter() - begin
        return DatabaseFacts(
            f"DuckDB {duckdb.__version__}", None, False, seconds, None, time.time_ns() // 1_000
        )

    async def troubles(self) -> Looked:
        """Nothing that somebody else could do to it."""
        return Looked()

    async def refreshed(self) -> Refreshed | None:
        """Aggregates are views."""
        return None

    async def data(self, tenant_id: str | None, now: int) -> DataFacts:
        """What it has, of one tenant or all."""

        def look(cursor: Cursor) -> DataFacts:
            counts = cursor.execute(_TENANTS, {"tenant": tenant_id}).fetchall()
            tenants = [tenant for tenant, _, _ in counts]
            share = max(1, MOST_SERIES // max(1, len(tenants)))
            asked = {"tenants": tenants, "now": now, "share": share, "window": WINDOW}
            stated = {tuple(row[:3]): row[3:] for row in cursor.execute(_STATED, asked).fetchall()}
            sample = [
                _series(row, stated[tuple(row[:3])])
                for row in cursor.execute(_READINGS, asked).fetchall()
            ]
            at = {"now": now, "tenant": tenant_id}
            stations: dict[str, dict[str, int]] = {}
            for tenant, source, newest in cursor.execute(_STATIONS, at).fetchall():
                stations.setdefault(tenant, {})[source] = newest
            sources = {
                (tenant, asset): source
                for tenant, asset, source in cursor.execute(_SOURCES, {"now": now}).fetchall()
            }
            weather = []
            for tenant, asset in sorted({(one.tenant_id, one.asset_id) for one in sample}):
                station = sources.get((tenant, asset))
                newest = stations.get(tenant, {}).get(station or asset)
                weather.append(AssetWeather(tenant, asset, station, newest))
            return DataFacts(
                {tenant: series for tenant, series, _ in counts},
                {tenant: assets for tenant, _, assets in counts},
                sample,
                weather,
                stations,
            )

        found: DataFacts = await self._read(look)
        return found

    async def registry(self) -> StoredRegistry:
        """What was applied, and the access keys."""
        found: StoredRegistry = await self._read(load)
        return found

    async def exports(self) -> ExportFacts:
        """How its exports are."""

        def look(cursor: Cursor) -> ExportFacts:
            waiting, begun, whole = (
                [record_of(row) for row in cursor.execute(_EXPORTS, [status]).fetchall()]
                for status in ("pending", "processing", "completed")
            )
            wait = frozenset(one.export_id for one in waiting)
            if self._live:
                # Those of a process before it were ended when it opened the file.
                return ExportFacts((), wait.union(one.export_id for one in begun), whole)
            return ExportFacts(begun, wait, whole)

        found: ExportFacts = await self._read(look)
        return found

    async def processes(self) -> list[Process]:
        """One process has the file."""
        return []


def _series(row: tuple[Any, ...], stated: tuple[Any, ...]) -> SampledSeries:
    tenant, asset, name, times, values = row[:5]
    return SampledSeries(tenant, asset, name, times, values, None, *stated)


@asynccontextmanager
async def file_checkup(path: Path | None) -> AsyncIterator[EmbeddedCheckup]:
    """A look at a file that nobody has open. Raises StoreLocked, NoDatabase and StoreError."""
    if path is None or not await asyncio.to_thread(path.exists):
        raise NoDatabase.at(str(path or MEMORY))
    root = await asyncio.to_thread(connect, str(path), read_only=True)

    async def read(work: Callable[[Cursor], _T]) -> _T:
        def run() -> _T:
            with translated():
                return work(root)

        return await asyncio.to_thread(run)

    try:
        yield EmbeddedCheckup(read, live=False)
    finally:
        root.close()
