"""The log of exports in PostgreSQL, with a heartbeat: many processes export there."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

from ai_hub.definitions.values import MINUTE
from ai_hub.errors import StoreError
from ai_hub.stores.export_log import COLUMNS, ExportRecord, record_of, row_of
from ai_hub.stores.postgres.session import Connection, Sessions

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
    """The exports of a database, and the heartbeat of those that this process has under way."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._under_way: set[str] = set()
        self._heart: asyncio.Task[None] | None = None

    async def record(self, export: ExportRecord) -> None:
        """Insert an export, or replace what is known of it."""
        self._under_way.discard(export.export_id)
        if export.status == "processing":
            self._under_way.add(export.export_id)
            self._heart = self._heart or asyncio.create_task(self._beat())
        row = _row(export)

        async def replace(on: Connection) -> None:
            async with on.transaction():
                await on.execute(_RECORD, *row)
                if export.status == "completed":
                    await on.execute(_REPLACE, export.export_id, export.storage_path)

        await self._sessions.write(replace)

    async def find(
        self, tenant_id: str | None = None, export_id: str | None = None, limit: int = 100
    ) -> list[ExportRecord]:
        """Recorded exports, the newest first."""
        if export_id is not None and not _is_uuid(export_id):
            return []
        where = "($1::text IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR export_id = $2)"
        return await self._found(where, [tenant_id, export_id], limit)

    async def interrupted(self) -> list[ExportRecord]:
        """Exports still called processing whose heartbeat stopped a while ago.

        None for a user who may not write, and so cannot do anything about them.
        """
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
        rows = await self._sessions.fetch(
            f"SELECT {_NAMES} FROM feature_exports WHERE {where} "
            f"ORDER BY started_at DESC, export_id LIMIT {int(limit)}",
            arguments,
        )
        return [record_of(row) for row in rows]

    async def _beat(self) -> None:
        """Keep saying that the exports under way are alive."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            if self._under_way:
                # While the database is away none is sent: the export itself will say what is wrong.
                with contextlib.suppress(StoreError):
                    await self._sessions.fetch(_BEAT, [list(self._under_way)])


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
