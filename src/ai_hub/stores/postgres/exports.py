"""The log of exports in PostgreSQL, with a heartbeat: many processes export there."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ai_hub.config import Settings
from ai_hub.definitions.values import MINUTE
from ai_hub.errors import ExportTaken, StoreError
from ai_hub.stores.export_log import (
    COLUMNS,
    READ,
    ExportRecord,
    Heard,
    Progress,
    record_of,
    row_of,
)
from ai_hub.stores.postgres.session import Connection, Row, Sessions, session

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_BEAT_SECONDS = 2.0
_DEAD_AFTER = 2 * MINUTE
_MOST = 1_000
_NEWEST = "started_at DESC, export_id"

_NAMES = ", ".join(READ)
_WRITTEN = ", ".join(COLUMNS)
_MARKS = ", ".join(f"${place}" for place in range(1, len(COLUMNS) + 1))
_SETS = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:-1])
# Whoever ends it says so there while another process has it; too late for one that came to its end.
_ENDED = (
    "cancelled_by = CASE WHEN excluded.status NOT IN ('completed', 'no_data') "
    "THEN coalesce(excluded.cancelled_by, feature_exports.cancelled_by) END"
)
_WORKER, _BEFORE = f"${len(COLUMNS) + 1}::text", f"${len(COLUMNS) + 2}::text"
_RECORD = (
    f"INSERT INTO feature_exports ({_WRITTEN}, worker, heartbeat_at) "
    f"VALUES ({_MARKS}, {_WORKER}, now()) "
    f"ON CONFLICT (export_id) DO UPDATE SET {_SETS}, {_ENDED}, worker = excluded.worker, "
    f"heartbeat_at = now() WHERE feature_exports.worker = {_BEFORE} RETURNING 1"
)
_REPLACE = (
    "UPDATE feature_exports SET replaced_by = $1 WHERE storage_path = $2 AND export_id <> $1 "
    "AND status = 'completed' AND replaced_by IS NULL"
)
_REPLACE_WAITING = (
    "UPDATE feature_exports SET replaced_by = $1 WHERE storage_path = $2 AND export_id <> $1 "
    "AND status = 'pending' AND worker IS NULL AND started_at <= $3 AND replaced_by IS NULL"
)
_MAY = "has_table_privilege('feature_exports', 'UPDATE')"
_DEAD = "heartbeat_at < now() - $1 * interval '1 microsecond'"
_TAKE = f"""
UPDATE feature_exports SET worker = $2, heartbeat_at = now(),
  status = CASE WHEN status = 'processing' THEN status ELSE 'pending' END,
  cancelled_by = CASE WHEN status IN ('pending', 'processing') THEN cancelled_by END
WHERE export_id = $3 AND status = $4 AND coalesce(deaths, 0) = $5
  AND (worker IS NULL AND status = 'pending' OR status IN ('failed', 'cancelled') OR {_DEAD})
RETURNING 1
"""
_CANCEL = (
    "UPDATE feature_exports SET cancelled_by = $2 "
    "WHERE export_id = $1 AND status IN ('pending', 'processing')"
)
_BEAT = """
WITH told AS (
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::float8[])
    AS told (export_id, rows_done, rows_expected, rows_per_second)
)
UPDATE feature_exports f SET heartbeat_at = now(), rows_done = told.rows_done,
  rows_expected = told.rows_expected, rows_per_second = told.rows_per_second
FROM told WHERE f.export_id = told.export_id AND f.worker = $5
  AND f.status IN ('pending', 'processing')
RETURNING f.export_id::text, f.cancelled_by
"""


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
        self._worker = uuid.uuid4().hex
        self._under_way: set[str] = set()

    @property
    def writable(self) -> bool:
        """Whether the database takes records."""
        return not self._sessions.recovery.standby

    @property
    def beat_seconds(self) -> float:
        """How often `beat` is to be called: so soon it is heard that somebody ends a job."""
        return _BEAT_SECONDS

    async def record(self, export: ExportRecord, keep: bool = True) -> None:
        """Insert an export, or replace what is known of one that this process has."""
        begins = export.export_id not in self._under_way
        self._under_way.discard(export.export_id)
        if export.under_way and keep:
            self._under_way.add(export.export_id)
        row = [*_row(export), self._worker if keep else None, self._worker]

        async def put(on: Connection) -> None:
            async with on.transaction():
                if not await on.fetch(_RECORD, *row):
                    raise ExportTaken(export.export_id)
                if export.status == "completed":
                    place = export.export_id, export.storage_path
                    await on.execute(_REPLACE, *place)
                    await on.execute(_REPLACE_WAITING, *place, export.started_at)

        try:
            if self.writable:
                await self._sessions.write(put)
            else:
                await self._on_primary(put)
        except BaseException:
            if begins:
                # Its row may be there, the answer lost: a sweep finds one that nobody has.
                self._under_way.discard(export.export_id)
            raise

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
        """Exports of a process whose heartbeat stopped a while ago.

        None for who may not write, a standby among them, and so cannot do anything about them.
        """
        where = (
            f"status IN ('pending', 'processing') AND {_DEAD} "
            "AND (status = 'processing' OR worker IS NOT NULL) "
            f"AND {_MAY}"
        )
        # While the database was away no heartbeat reached it. One may have ended meanwhile.
        return await self._not_here(where, [_DEAD_AFTER], _MOST)

    async def waiting(self, limit: int) -> list[ExportRecord]:
        """Exports that wait for a process to take them, the oldest first."""
        where = f"status = 'pending' AND worker IS NULL AND {_MAY}"
        return await self._not_here(where, [], limit, "started_at, export_id")

    async def take(self, export: ExportRecord) -> bool:
        """Have a job that no living process has; False if it is not any more as it was read."""
        if not self.writable or export.export_id in self._under_way:
            return False
        arguments = [_DEAD_AFTER, self._worker, export.export_id, export.status, export.deaths]
        taken = bool(await self._sessions.fetch(_TAKE, arguments))
        if taken:
            self._under_way.add(export.export_id)
        return taken

    async def cancel(self, export_id: str, by: str) -> None:
        """Say that somebody ends a job under way; whoever has it hears of it."""
        if self.writable:
            await self._sessions.fetch(_CANCEL, [export_id, by])

    async def beat(self, progress: Mapping[str, Progress]) -> Heard:
        """Say that the jobs of this process are alive, and how far they are."""
        told = [*progress.values()]
        arguments: list[Any] = [
            [*progress],
            [one.rows for one in told],
            [one.expected for one in told],
            [one.per_second for one in told],
            self._worker,
        ]
        if not self.writable:
            await self._on_primary(lambda on: on.execute(_BEAT, *arguments))
            return Heard()
        rows = await self._sessions.fetch(_BEAT, arguments)
        found: dict[str, str | None] = {row[0]: row[1] for row in rows}
        ended = {export_id: by for export_id, by in found.items() if by is not None}
        return Heard(ended, [export_id for export_id in progress if export_id not in found])

    async def _not_here(
        self, where: str, arguments: list[Any], limit: int, order: str = _NEWEST
    ) -> list[ExportRecord]:
        if not self.writable:
            return []
        before = set(self._under_way)
        found = await self._found(where, arguments, limit, order)
        return [one for one in found if one.export_id not in before | self._under_way]

    async def _found(
        self, where: str, arguments: list[Any], limit: int, order: str = _NEWEST
    ) -> list[ExportRecord]:
        query = (
            f"SELECT {_NAMES} FROM feature_exports WHERE {where} ORDER BY {order} "
            f"LIMIT {int(limit)}"
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
