"""A look at an embedded database: at the file where nobody has it open, else by who has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from ai_hub.definitions.values import FIRST_INSTANT
from ai_hub.errors import NoDatabase
from ai_hub.process import Process
from ai_hub.stores.checkup import (
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
from ai_hub.stores.embedded.archive import dropped_before
from ai_hub.stores.embedded.names import NameMap
from ai_hub.stores.embedded.registry import load
from ai_hub.stores.embedded.session import MEMORY, Cursor, connect, translated
from ai_hub.stores.export_log import INSTANTS, READ, record_of
from ai_hub.stores.registry_table import StoredRegistry

_T = TypeVar("_T")
Read = Callable[[Callable[[Cursor], Any]], Awaitable[Any]]
"""Does a read on the database, in a thread."""

_CHOSEN = """
SELECT unnest($tenants::VARCHAR[]) AS tenant_id, unnest($assets::VARCHAR[]) AS asset_id,
  unnest($names::VARCHAR[]) AS feature_type, unnest($lasts::BIGINT[]) AS last
"""
_NEWEST = f"""
SELECT f.*, row_number() OVER (PARTITION BY f.tenant_id, f.asset_id, f.feature_type
  ORDER BY f.timestamp DESC) AS newest
FROM {{0}} AS f JOIN ({_CHOSEN}) AS c USING (tenant_id, asset_id, feature_type)
WHERE f.timestamp >= make_timestamptz($since::BIGINT) AND epoch_us(f.timestamp) > c.last - $window
"""
_READINGS = f"""
SELECT tenant_id, asset_id, feature_type, list(epoch_us(timestamp) ORDER BY timestamp),
  list(value ORDER BY timestamp)
FROM ({_NEWEST.format("ai_features")}) WHERE newest <= {MOST_READINGS}
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_STATED = f"""
SELECT tenant_id, asset_id, feature_type, count(*), count(*) FILTER (quality < 1)
FROM ({_NEWEST.format("timeseries_data")}) WHERE newest <= {MOST_STATED}
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

# Those of numbers below zero are to be removed.
_SEALED = """
SELECT url, sum(row_count)::BIGINT, epoch_us(max(end_time)), count_if(state <> 'verified'),
  arg_max(tenant_id, number) FILTER (state <> 'writing'),
  arg_max(layer_id, number) FILTER (state <> 'writing'),
  arg_max(checksum, number) FILTER (state <> 'writing')
FROM ai_hub_archive_layers WHERE number >= 0 GROUP BY url ORDER BY url
"""


class EmbeddedCheckup:
    """A database that is read by `read`; `live`: its owner is, who writes exports meanwhile."""

    def __init__(self, read: Read, names: NameMap, live: bool) -> None:
        self._read = read
        self._names = names
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
            # What there is now of a series whose end is in doubt, the table says.
            names = self._names if self._names.is_sure(cursor) else NameMap()
            found = names.samples(cursor, tenant_id, MOST_TENANTS, MOST_SERIES, now)
            chosen = [(tenant, *one) for tenant, of in found.items() for one in of.chosen]
            tenants, assets, series, lasts = [*zip(*chosen, strict=True)] or [(), (), (), ()]
            asked = {"tenants": tenants, "assets": assets, "names": series, "lasts": lasts,
                     "since": max(FIRST_INSTANT, min(lasts, default=now) - WINDOW),
                     "window": WINDOW}  # fmt: skip
            stated = {tuple(row[:3]): row[3:] for row in cursor.execute(_STATED, asked).fetchall()}
            sample = [
                _series(row, stated.get(tuple(row[:3]), (0, 0)))
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
                {tenant: of.series for tenant, of in found.items()},
                {tenant: of.assets for tenant, of in found.items()},
                sample,
                weather,
                stations,
            )

        facts: DataFacts = await self._read(look)
        return facts

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

    async def archive(self) -> ArchiveFacts:
        """What it knows of its archive."""

        def look(cursor: Cursor) -> ArchiveFacts:
            rows = cursor.execute(_SEALED).fetchall()
            return ArchiveFacts([SealedFacts.of(row) for row in rows], dropped_before(cursor))

        found: ArchiveFacts = await self._read(look)
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
        yield EmbeddedCheckup(read, NameMap(), live=False)
    finally:
        root.close()
