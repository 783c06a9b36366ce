"""The log of exports in DuckDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ai_hub.stores.embedded.session import Cursor, Sessions, transaction
from ai_hub.stores.export_log import (
    COLUMNS,
    INSTANTS,
    READ,
    ExportRecord,
    Heard,
    Progress,
    record_of,
    row_of,
)

_READ = ", ".join(f"epoch_us({name})" if name in INSTANTS else name for name in READ)
_MARKS = ", ".join("make_timestamptz(?::BIGINT)" if name in INSTANTS else "?" for name in COLUMNS)
_INSERT = (
    f"INSERT INTO feature_exports ({', '.join(COLUMNS)}, heartbeat_at) VALUES ({_MARKS}, now())"
)
_REPLACE = """
UPDATE feature_exports SET replaced_by = $1
WHERE storage_path = $2 AND export_id <> $1 AND replaced_by IS NULL
  AND (status = 'completed'
       OR status = 'pending' AND NOT list_contains($3::VARCHAR[], export_id)
          AND started_at <= make_timestamptz($4::BIGINT))
"""
_TAKE = """
UPDATE feature_exports SET heartbeat_at = now(),
    status = CASE WHEN status = 'processing' THEN status ELSE 'pending' END,
    cancelled_by = CASE WHEN status IN ('pending', 'processing') THEN cancelled_by END
WHERE export_id = ? AND status = ? RETURNING export_id
"""
_BEAT = """
UPDATE feature_exports
SET rows_done = ?, rows_expected = ?, rows_per_second = ?, heartbeat_at = now()
WHERE export_id = ? AND status IN ('pending', 'processing')
"""
_CANCEL = """
UPDATE feature_exports SET cancelled_by = ?
WHERE export_id = ? AND status IN ('pending', 'processing')
"""
_MOST = 1_000_000


class EmbeddedExportLog:
    """The exports of one database file, which only this process writes."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.writable = True
        # Nobody else reads it while this process lives.
        self.beat_seconds = 20.0
        self._under_way: set[str] = set()

    async def record(self, export: ExportRecord, keep: bool = True) -> None:
        """Insert an export, or replace what is known of it."""
        row = row_of(export)
        self._under_way.discard(export.export_id)
        if export.under_way and keep:
            self._under_way.add(export.export_id)
        here = [*self._under_way]

        def replace(cursor: Cursor) -> None:
            with transaction(cursor):
                cursor.execute(
                    "DELETE FROM feature_exports WHERE export_id = ?", [export.export_id]
                )
                cursor.execute(_INSERT, [row[name] for name in COLUMNS])
                if export.status == "completed":
                    path, at = export.storage_path, export.started_at
                    cursor.execute(_REPLACE, [export.export_id, path, here, at])

        await self._sessions.write(replace)

    async def find(
        self,
        tenant_ids: Collection[str] | None = None,
        export_id: str | None = None,
        limit: int = 100,
    ) -> list[ExportRecord]:
        """Recorded exports, of some tenants or all, the newest first."""
        of = "$1::VARCHAR[] IS NULL OR list_contains($1::VARCHAR[], tenant_id)"
        where = f"({of}) AND ($2 IS NULL OR export_id = $2)"
        return await self._found(
            where, [None if tenant_ids is None else [*tenant_ids], export_id], limit
        )

    async def interrupted(self) -> list[ExportRecord]:
        """Exports still called processing that are none of this process, which owns the file; and
        those whose rows an earlier one had."""
        where = "status = 'processing' OR status = 'pending' AND request IS NULL"
        return await self._not_here(where, _MOST)

    async def waiting(self, limit: int) -> list[ExportRecord]:
        """Exports that wait for a process to take them, the oldest first."""
        found = await self._not_here("status = 'pending' AND request IS NOT NULL", _MOST)
        return found[::-1][:limit]

    async def take(self, export: ExportRecord) -> bool:
        """Have a job that this process does not have yet."""
        if export.export_id in self._under_way:
            return False
        self._under_way.add(export.export_id)
        asked = [export.export_id, export.status]
        try:
            taken = await self._sessions.write(
                lambda cursor: bool(cursor.execute(_TAKE, asked).fetchall())
            )
        except BaseException:
            self._under_way.discard(export.export_id)
            raise
        if not taken:
            self._under_way.discard(export.export_id)
        return taken

    async def cancel(self, export_id: str, by: str) -> None:
        """Say that somebody ends a job under way."""
        await self._sessions.write(lambda cursor: cursor.execute(_CANCEL, [by, export_id]))

    async def beat(self, progress: Mapping[str, Progress]) -> Heard:
        """Write down how far the jobs are: this process hears of all else itself."""
        rows = [
            [one.rows, one.expected, one.per_second, export_id]
            for export_id, one in progress.items()
        ]
        await self._sessions.write(lambda cursor: cursor.executemany(_BEAT, rows))
        return Heard()

    async def _not_here(self, where: str, limit: int) -> list[ExportRecord]:
        before = set(self._under_way)
        found = await self._found(where, [], limit)
        # One may have begun, or ended, while they were read.
        return [one for one in found if one.export_id not in before | self._under_way]

    async def _found(
        self, where: str, parameters: list[str | list[str] | None], limit: int
    ) -> list[ExportRecord]:
        query = (
            f"SELECT {_READ} FROM feature_exports WHERE {where} "
            f"ORDER BY started_at DESC, export_id LIMIT {int(limit)}"
        )
        rows = await self._sessions.read(
            lambda cursor: cursor.execute(query, parameters).fetchall()
        )
        return [record_of(row) for row in rows]
