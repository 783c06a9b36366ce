"""The embedded store: DuckDB, one file or in memory, no server.

One process owns the file, so keys are kept unique here by the one writer, and the map of weather
sources is kept in memory beside its table.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ai_hub.definitions.kinds import Missing
from ai_hub.definitions.values import Entity
from ai_hub.engines.plan import Plan
from ai_hub.stores.base import Changed, Chunk, ExportRecord, Landed, ScanRequest, Vectors
from ai_hub.stores.embedded.points import PointReader, newest_times
from ai_hub.stores.embedded.scan import scan_chunks
from ai_hub.stores.embedded.seen import assets_seen
from ai_hub.stores.embedded.session import MEMORY, Cursor, Sessions, transaction, translated
from ai_hub.stores.embedded.write import (
    OBSERVATION_TABLE,
    WEATHER_TABLE,
    KeyedTable,
    SourceMap,
    append_rows,
    assign_sources,
    load_sources,
    rehearse_write,
)

if TYPE_CHECKING:
    import pyarrow as pa

_EXPORT_COLUMNS = (
    "export_id",
    "tenant_id",
    "feature_set",
    "feature_set_version",
    "status",
    "storage_path",
    "start_time",
    "end_time",
    "asset_ids",
    "started_at",
    "completed_at",
    "row_count",
    "file_size_bytes",
    "error",
)
_INSTANTS = frozenset({"start_time", "end_time", "started_at", "completed_at"})


class EmbeddedStore:
    """A DuckDB file (or memory) behind the store contract.

    Raises StoreLocked when another process, or another store of this one, holds the file.
    """

    def __init__(self, path: str | Path = MEMORY) -> None:
        self._sessions = Sessions(str(path))
        with closing(self._sessions.cursor()) as cursor, translated():
            self._sources: SourceMap = load_sources(cursor)
            self._points = PointReader(*newest_times(cursor))

    async def append(self, observations: pa.Table) -> Landed:
        """Land one checked batch of observations, whole or not at all."""
        return await self._sessions.write(
            lambda cursor: self._append(cursor, OBSERVATION_TABLE, "series", observations)
        )

    async def append_weather(self, weather: pa.Table) -> Landed:
        """Land one checked batch of weather, whole or not at all."""
        return await self._sessions.write(
            lambda cursor: self._append(cursor, WEATHER_TABLE, "weather", weather)
        )

    async def assign_weather_source(
        self, tenant_id: str, source_id: str, asset_ids: Sequence[str]
    ) -> frozenset[Entity]:
        """Map assets to a weather source; the entities whose source changed."""
        return await self._sessions.write(
            lambda cursor: assign_sources(cursor, self._sources, tenant_id, source_id, asset_ids)
        )

    async def compute(
        self, plan: Plan, missing: Missing | None, tenant_id: str, asset_ids: Sequence[str], at: int
    ) -> Vectors:
        """The features of some assets as of one time, filled."""
        sources = [self._sources.of(tenant_id, asset_id) for asset_id in asset_ids]
        return await self._sessions.read(
            lambda cursor: self._points.compute(
                cursor, self._sessions.beside, plan, missing, tenant_id, asset_ids, sources, at
            )
        )

    def scan(self, request: ScanRequest) -> Generator[Chunk, None, None]:
        """The history for an export, in chunks by ascending asset and time (blocking)."""
        cursor = self._sessions.cursor()
        try:
            with translated():
                yield from scan_chunks(
                    cursor, request, partial(self._sources.of, request.tenant_id)
                )
        finally:
            cursor.close()

    async def seen(self, tenant_id: str, since: int) -> list[str]:
        """The assets with a usable observation at or after a time, sorted."""
        return await self._sessions.read(lambda cursor: assets_seen(cursor, tenant_id, since))

    async def watch(self, changed: Changed) -> None:
        """Nothing to tell of: no other process writes to the file."""

    async def prepare(self) -> None:
        """Have the writer's connection ready, and what DuckDB imports to read a table."""
        await self._sessions.write(rehearse_write)

    async def record_export(self, record: ExportRecord) -> None:
        """Insert an export, or replace what is known of it."""
        row = _export_row(record)
        marks = ", ".join(
            "make_timestamptz(?::BIGINT)" if column in _INSTANTS else "?"
            for column in _EXPORT_COLUMNS
        )
        insert = f"INSERT INTO feature_exports ({', '.join(_EXPORT_COLUMNS)}) VALUES ({marks})"

        def replace(cursor: Cursor) -> None:
            with transaction(cursor):
                cursor.execute(
                    "DELETE FROM feature_exports WHERE export_id = ?", [record.export_id]
                )
                cursor.execute(insert, row)

        await self._sessions.write(replace)

    async def exports(
        self, tenant_id: str | None = None, export_id: str | None = None, limit: int = 100
    ) -> list[ExportRecord]:
        """Recorded exports, the newest first."""
        where = "($1 IS NULL OR tenant_id = $1) AND ($2 IS NULL OR export_id = $2)"
        return await self._exports(where, [tenant_id, export_id], limit)

    async def interrupted_exports(self) -> list[ExportRecord]:
        """Exports still called processing: at start, this process owning the file, all of them."""
        return await self._exports("status = 'processing'", [], 1_000_000)

    async def close(self) -> None:
        """Finish what is being written, close the file and give it up."""
        await self._sessions.close()

    async def _exports(
        self, where: str, parameters: list[str | None], limit: int
    ) -> list[ExportRecord]:
        columns = ", ".join(
            f"epoch_us({column})" if column in _INSTANTS else column for column in _EXPORT_COLUMNS
        )
        query = (
            f"SELECT {columns} FROM feature_exports WHERE {where} "
            f"ORDER BY started_at DESC, export_id LIMIT {int(limit)}"
        )
        rows = await self._sessions.read(
            lambda cursor: cursor.execute(query, parameters).fetchall()
        )
        return [_export_record(row) for row in rows]

    def _append(
        self, cursor: Cursor, table: KeyedTable, kind: Literal["series", "weather"], batch: pa.Table
    ) -> Landed:
        landed = append_rows(cursor, table, batch, self._sources)
        self._points.landed(kind, batch)
        return landed


def _export_row(record: ExportRecord) -> list[object]:
    return [
        record.export_id,
        record.tenant_id,
        record.feature_set,
        record.version,
        record.status,
        record.storage_path,
        record.start_time,
        record.end_time,
        None if record.asset_ids is None else list(record.asset_ids),
        record.started_at,
        record.completed_at,
        record.row_count,
        record.file_size_bytes,
        record.error,
    ]


def _export_record(row: tuple[Any, ...]) -> ExportRecord:
    values = dict(zip(_EXPORT_COLUMNS, row, strict=True))
    values["version"] = values.pop("feature_set_version")
    assets = values.pop("asset_ids")
    return ExportRecord(**values, asset_ids=None if assets is None else tuple(assets))
