"""The store on PostgreSQL, with TimescaleDB where it is there: many processes, one truth."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ai_hub.config import Settings
from ai_hub.definitions.kinds import Missing
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import MINUTE, Entity
from ai_hub.engines import columnar
from ai_hub.engines.columnar import Points
from ai_hub.engines.fill import fill
from ai_hub.engines.plan import FILL_WINDOW, Plan, Source
from ai_hub.engines.ranges import Floats, Ints
from ai_hub.engines.sql import Point
from ai_hub.errors import StoreError
from ai_hub.stores.base import Changed, Chunk, ExportRecord, Landed, ScanRequest, Vectors
from ai_hub.stores.postgres.changes import Changes
from ai_hub.stores.postgres.points import PointReader
from ai_hub.stores.postgres.scan import scan_chunks
from ai_hub.stores.postgres.seen import assets_seen
from ai_hub.stores.postgres.session import Connection, Sessions
from ai_hub.stores.postgres.write import (
    Retention,
    append_observations,
    append_weather,
    assign_sources,
)

if TYPE_CHECKING:
    import pyarrow as pa

_T = TypeVar("_T")
_BEAT_SECONDS = 20.0
_DEAD_AFTER = 2 * MINUTE
_EXPORT_COLUMNS = (
    "export_id", "tenant_id", "feature_set", "feature_set_version", "status", "storage_path",
    "start_time", "end_time", "asset_ids", "started_at", "completed_at", "row_count",
    "file_size_bytes", "error",
)  # fmt: skip


class PostgresStore:
    """PostgreSQL behind the store contract. `opened` makes one."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions
        self._points = PointReader(sessions, self._from_rows)
        keep = sessions.facts.keep
        self._observations_kept = Retention(keep.get("timeseries_data"), keep.get("ai_features"))
        self._weather_kept = Retention(None, keep.get("weather_features"))
        self._exporting: set[str] = set()
        self._heart: asyncio.Task[None] | None = None
        self._changes = Changes(settings)

    @classmethod
    async def open(cls, settings: Settings) -> PostgresStore:
        """Connect and look at the database. Raises StoreError in one clear sentence."""
        store = cls(settings, await Sessions.open(settings))
        for feature_set in Registry().sets():
            store._points.lane(Plan.of(feature_set), None).learn()
        return store

    async def append(self, observations: pa.Table) -> Landed:
        """Land one checked batch of observations, whole or not at all."""
        partials = self._sessions.facts.mode == "timescaledb"
        return await self._land(
            lambda on: append_observations(on, observations, self._observations_kept, partials)
        )

    async def append_weather(self, weather: pa.Table) -> Landed:
        """Land one checked batch of weather, whole or not at all."""
        return await self._land(lambda on: append_weather(on, weather, self._weather_kept))

    async def assign_weather_source(
        self, tenant_id: str, source_id: str, asset_ids: Sequence[str]
    ) -> frozenset[Entity]:
        """Map assets to a weather source; the entities whose source changed."""

        async def assign(on: Connection) -> frozenset[Entity]:
            touched = await assign_sources(on, tenant_id, source_id, asset_ids)
            await self._changes.tell(on, touched)
            return touched

        return await self._sessions.write(assign)

    async def compute(
        self, plan: Plan, missing: Missing | None, tenant_id: str, asset_ids: Sequence[str], at: int
    ) -> Vectors:
        """The features of some assets as of one time, filled."""
        self._sessions.check_open()
        return await self._points.compute(plan, missing, tenant_id, asset_ids, at)

    def scan(self, request: ScanRequest) -> Generator[Chunk, None, None]:
        """The history for an export, in chunks by ascending asset and time (blocking)."""
        self._sessions.check_open()
        return scan_chunks(self._settings, request)

    async def seen(self, tenant_id: str, since: int) -> list[str]:
        """The assets with a usable observation at or after a time, sorted."""
        return await assets_seen(self._sessions, tenant_id, since)

    async def watch(self, changed: Changed) -> None:
        """Tell of what other processes write, from now on."""
        await self._changes.watch(changed)

    async def prepare(self) -> None:
        """Have every connection of the pool open and warm."""
        await self._sessions.grow()

    async def record_export(self, record: ExportRecord) -> None:
        """Insert an export, or replace what is known of it."""
        self._exporting.discard(record.export_id)
        if record.status == "processing":
            self._exporting.add(record.export_id)
            self._heart = self._heart or asyncio.create_task(self._beat())
        names = ", ".join(_EXPORT_COLUMNS)
        marks = ", ".join(f"${place}" for place in range(1, len(_EXPORT_COLUMNS) + 1))
        sets = ", ".join(f"{name} = excluded.{name}" for name in _EXPORT_COLUMNS[1:])
        text = (
            f"INSERT INTO feature_exports ({names}, heartbeat_at) VALUES ({marks}, now()) "
            f"ON CONFLICT (export_id) DO UPDATE SET {sets}, heartbeat_at = now()"
        )
        await self._sessions.write(lambda on: on.execute(text, *_export_row(record)))

    async def exports(
        self, tenant_id: str | None = None, export_id: str | None = None, limit: int = 100
    ) -> list[ExportRecord]:
        """Recorded exports, the newest first."""
        if export_id is not None and not _is_uuid(export_id):
            return []
        where = "($1::text IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR export_id = $2)"
        return await self._exports(where, [tenant_id, export_id], limit)

    async def interrupted_exports(self) -> list[ExportRecord]:
        """Exports still called processing whose process has not been heard of for a while.

        None for a user who may not write: there is nothing that such a one could do about them.
        """
        where = (
            "status = 'processing' AND heartbeat_at < now() - $1 * interval '1 microsecond' "
            "AND has_table_privilege('feature_exports', 'UPDATE')"
        )
        return await self._exports(where, [_DEAD_AFTER], 1_000)

    async def close(self) -> None:
        """Let go of everything; nothing may be asked afterwards."""
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.wait([self._heart])
        await self._changes.close()
        await self._sessions.close()

    async def _exports(self, where: str, arguments: list[Any], limit: int) -> list[ExportRecord]:
        rows = await self._sessions.fetch(
            f"SELECT {', '.join(_EXPORT_COLUMNS)} FROM feature_exports WHERE {where} "
            f"ORDER BY started_at DESC, export_id LIMIT {int(limit)}",
            arguments,
        )
        return [_export_record(row) for row in rows]

    async def _beat(self) -> None:
        """Say of the exports under way that this process lives."""
        text = "UPDATE feature_exports SET heartbeat_at = now() WHERE export_id = ANY($1::uuid[])"
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            if self._exporting:
                # Missed while the database is away: the export itself will say what is wrong.
                with contextlib.suppress(StoreError):
                    await self._sessions.fetch(text, [list(self._exporting)])

    async def _land(self, work: Callable[[Connection], Awaitable[Landed]]) -> Landed:
        async def land(on: Connection) -> Landed:
            landed = await work(on)
            # After the commit: who hears of it sooner would read what was there before.
            await self._changes.tell(on, landed.touched)
            return landed

        return await self._sessions.write(land)

    def _from_rows(self, plan: Plan, missing: Missing | None, points: Sequence[Point]) -> Vectors:
        """Features computed here from the rows, for values that PostgreSQL cannot add up."""
        parts = [self._of_one(plan, missing, point) for point in points]
        names = plan.feature_set.feature_names
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in names}
        nowhere = np.zeros(1, bool)
        masks = {
            name: np.concatenate([part.masks.get(name, nowhere) for part in parts])
            for name in names
            if any(name in part.masks for part in parts)
        }
        return Vectors(columns, masks)

    def _of_one(self, plan: Plan, missing: Missing | None, point: Point) -> Vectors:
        tenant, asset, t = point
        request = ScanRequest(
            tenant, (asset,), t, t, plan.series, plan.weather,
            max(plan.lookback, FILL_WINDOW), max(plan.weather_lookback, FILL_WINDOW),
        )  # fmt: skip
        (chunk,) = scan_chunks(self._settings, request)
        at = Points(np.zeros(1, np.int64), np.array([t], np.int64))

        def mean_of(source: Source, rows: Ints) -> Floats:
            return columnar.means(source, at, chunk.history)

        return Vectors(*fill(plan, missing, columnar.compute(plan, at, chunk.history), mean_of))


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _export_row(record: ExportRecord) -> list[object]:
    ended = record.status in ("completed", "no_data")
    return [
        record.export_id,
        record.tenant_id,
        record.feature_set,
        None if record.version is None else str(record.version),
        record.status,
        record.storage_path,
        record.start_time,
        record.end_time,
        None if record.asset_ids is None else list(record.asset_ids),
        record.started_at,
        record.completed_at,
        record.row_count if ended else None,
        record.file_size_bytes if ended else None,
        record.error,
    ]


def _export_record(row: Sequence[Any]) -> ExportRecord:
    values = dict(zip(_EXPORT_COLUMNS, row, strict=True))
    version, assets = values.pop("feature_set_version"), values.pop("asset_ids")
    values["export_id"] = str(values["export_id"])
    values["row_count"] = values["row_count"] or 0
    values["file_size_bytes"] = values["file_size_bytes"] or 0
    return ExportRecord(
        **values,
        version=None if version is None else int(version),
        asset_ids=None if assets is None else tuple(assets),
    )
