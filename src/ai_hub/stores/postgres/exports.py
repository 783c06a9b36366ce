"""The log of exports in PostgreSQL, with a heartbeat: many processes export there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ai_hub.config import Settings
from ai_hub.definitions.values import MINUTE
from ai_hub.errors import StoreError
from ai_hub.stores.export_log import COLUMNS, ExportRecord, record_of, row_of
from ai_hub.stores.postgres.session import Connection, Row, Sessions, session

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_BEAT_SECONDS = 20.0
_DEAD_AFTER = 2 * MINUTE
_MOST = 1_000

_NAMES = ", ".join(COLUMNS)
_MARKS = ", ".join(f"${place}" for place in range(1, len(COLUMNS) + 1))
_SETS = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
_RECORD = (
    f"INSERT INTO feature_exports ({_NAMES}, heartbeat_at) VALUES ({_MARKS}, now()) "
    f"ON CONFLICT (export_id) DO UPDATE SET {_SETS}, heartbeat_at = now()"
)
_REPLACE = (
    "UPDATE feature_exports SET replaced_by = $1 WHERE storage_path = $2 AND export_id <> $1 "
    "AND status = 'completed' AND replaced_by IS NULL"
)
_BEAT = "UPDATE feature_exports SET heartbeat_at = now() WHERE export_id = ANY($1::uuid[])"


class PostgresExportLog:
    """The exports of a database, and the heartbeat of those that this process has under way.

    While the database is a standby they are those of its primary, where one is named and answers.
    """

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._sessions = sessions
        self._primary = (
            None
            if settings.primary_url is None
            else replace(settings, database_url=settings.primary_url)
        )
        self._under_way: set[str] = set()
        self._heart: asyncio.Task[None] | None = None

    @property
    def writable(self) -> bool:
        """Whether the database takes records."""
        return not self._sessions.recovery.standby

    async def record(self, export: ExportRecord) -> None:
        """Insert an export, or replace what is known of it."""
        self._under_way.discard(export.export_id)
        if export.status == "processing":
            self._under_way.add(export.export_id)
            self._heart = self._heart or asyncio.create_task(self._beat())
        row = _row(export)

        async def put(on: Connection) -> None:
            async with on.transaction():
                await on.execute(_RECORD, *row)
                if export.status == "completed":
                    await on.execute(_REPLACE, export.export_id, export.storage_path)

        if self.writable:
            await self._sessions.write(put)
        else:
            await self._on_primary(put)

    async def find(
        self,
        tenant_ids: Collection[str] | None = None,
        export_id: str | None = None,
        limit: int = 100,
    ) -> list[ExportRecord]:
        """Recorded exports, of some tenants or all, the newest first."""
        if export_id is not None and not _is_uuid(export_id):
            return []
        where = (
            "($1::text[] IS NULL OR tenant_id = ANY ($1)) AND ($2::uuid IS NULL OR export_id = $2)"
        )
        return await self._found(
            where, [None if tenant_ids is None else [*tenant_ids], export_id], limit
        )

    async def interrupted(self) -> list[ExportRecord]:
        """Exports still called processing whose heartbeat stopped a while ago.

        None for who may not write, a standby among them, and so cannot do anything about them.
        """
        if not self.writable:
            return []
        where = (
            "status = 'processing' AND heartbeat_at < now() - $1 * interval '1 microsecond' "
            "AND has_table_privilege('feature_exports', 'UPDATE')"
        )
        before = set(self._under_way)
        found = await self._found(where, [_DEAD_AFTER], _MOST)
        # While the database was away no heartbeat reached it. One may have ended meanwhile.
        return [one for one in found if one.export_id not in before | self._under_way]

    async def close(self) -> None:
        """Stop the heartbeat."""
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.wait([self._heart])

    async def _found(self, where: str, arguments: list[Any], limit: int) -> list[ExportRecord]:
        query = (
            f"SELECT {_NAMES} FROM feature_exports WHERE {where} "
            f"ORDER BY started_at DESC, export_id LIMIT {int(limit)}"
        )
        rows: Sequence[Row] | None = None
        if not self.writable:
            rows = await self._on_primary(lambda on: on.fetch(query, *arguments))
        if rows is None:
            rows = await self._sessions.fetch(query, arguments)
        return [record_of(row) for row in rows]

    async def _on_primary(self, work: Callable[[Connection], Awaitable[_T]]) -> _T | None:
        """What the primary gives; None where none is named, or it does not do that."""
        if self._primary is None:
            return None
        try:
            async with session(self._primary, self._primary.connect_timeout) as primary:
                return await work(primary)
        except StoreError as error:
            _log.warning("primary not reached", extra={"why": str(error)})
            return None

    async def _beat(self) -> None:
        """Keep saying that the exports under way are alive."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            if self._under_way:
                await self._beat_once([*self._under_way])

    async def _beat_once(self, under_way: list[str]) -> None:
        if not self.writable:
            await self._on_primary(lambda on: on.execute(_BEAT, under_way))
            return
        # While the database is away none is sent: the export itself will say what is wrong.
        with contextlib.suppress(StoreError):
            await self._sessions.fetch(_BEAT, [under_way])


def _row(export: ExportRecord) -> list[object]:
    """The values of COLUMNS. Here versions are texts, and an export without a whole file has no
    counts."""
    row = row_of(export)
    row["feature_set_version"] = None if export.version is None else str(export.version)
    if export.status not in ("completed", "no_data") and export.checksum is None:
        row["row_count"] = row["file_size_bytes"] = None
    return [row[name] for name in COLUMNS]


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
