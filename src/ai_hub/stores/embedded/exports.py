"""The log of exports in DuckDB."""

from __future__ import annotations

from collections.abc import Collection

from ai_hub.stores.embedded.session import Cursor, Sessions, transaction
from ai_hub.stores.export_log import COLUMNS, INSTANTS, ExportRecord, record_of, row_of

_READ = ", ".join(f"epoch_us({name})" if name in INSTANTS else name for name in COLUMNS)
_MARKS = ", ".join("make_timestamptz(?::BIGINT)" if name in INSTANTS else "?" for name in COLUMNS)
_INSERT = f"INSERT INTO feature_exports ({', '.join(COLUMNS)}) VALUES ({_MARKS})"
_REPLACE = (
    "UPDATE feature_exports SET replaced_by = $1 WHERE storage_path = $2 AND export_id <> $1 "
    "AND status = 'completed' AND replaced_by IS NULL"
)
_MOST = 1_000_000


class EmbeddedExportLog:
    """The exports of one database file, which only this process writes."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.writable = True
        self._under_way: set[str] = set()

    async def record(self, export: ExportRecord) -> None:
        """Insert an export, or replace what is known of it."""
        row = row_of(export)
        self._under_way.discard(export.export_id)
        if export.status == "processing":
            self._under_way.add(export.export_id)

        def replace(cursor: Cursor) -> None:
            with transaction(cursor):
                cursor.execute(
                    "DELETE FROM feature_exports WHERE export_id = ?", [export.export_id]
                )
                cursor.execute(_INSERT, [row[name] for name in COLUMNS])
                if export.status == "completed":
                    cursor.execute(_REPLACE, [export.export_id, export.storage_path])

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
        """Exports still called processing that are none of this process, which owns the file."""
        before = set(self._under_way)
        found = await self._found("status = 'processing'", [], _MOST)
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
