"""What is kept for drift, in DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.drift_table import (
    KEPT,
    MOST_BASELINES,
    MOST_HOURS,
    Merge,
    ServedHour,
    SetOf,
    StoredBaseline,
)
from ai_hub.stores.embedded.audit_log import EmbeddedAuditLog
from ai_hub.stores.embedded.session import Cursor, Sessions, transaction

_OF = "tenant_id = ? AND feature_set = ? AND version = ? AND fingerprint = ?"
_FACTS = (
    "baseline_id, tenant_id, feature_set, version, fingerprint, of_export, epoch_us(start_time), "
    "epoch_us(end_time), epoch_us(made_at), row_count"
)
_NEWEST = f"FROM ai_hub_baselines WHERE {_OF}"
_ORDER = "ORDER BY made_at DESC, baseline_id"
_TIME = "make_timestamptz(?::BIGINT)"
_GIVEN = (
    "SELECT unnest($1::VARCHAR[]) AS tenant_id, unnest($2::VARCHAR[]) AS feature_set, "
    "unnest($3::INTEGER[]) AS version, unnest($4::VARCHAR[]) AS fingerprint, "
    "make_timestamptz(unnest($5::BIGINT[])) AS hour"
)
_KEY = "tenant_id, feature_set, version, fingerprint, hour"
_THERE = (
    f"SELECT tenant_id, feature_set, version, fingerprint, epoch_us(hour), document "
    f"FROM ai_hub_served JOIN ({_GIVEN}) AS given USING ({_KEY})"
)
_REPLACED = (
    f"DELETE FROM ai_hub_served WHERE ({_KEY}) IN (SELECT ({_KEY}) FROM ({_GIVEN}) AS given)"
)
_ADDED = (
    f"INSERT INTO ai_hub_served ({_KEY}, added_at, document) {_GIVEN}, "
    "make_timestamptz($6::BIGINT), unnest($7::BLOB[])"
)
_LAST_HOURS = (
    f"DELETE FROM ai_hub_served WHERE {_OF} AND hour < (SELECT hour FROM ai_hub_served "
    f"WHERE {_OF} ORDER BY hour DESC LIMIT 1 OFFSET {MOST_HOURS - 1})"
)


class EmbeddedDriftTable:
    """Baselines and sketches of one database file, which only this process writes."""

    def __init__(self, sessions: Sessions, audit_log: EmbeddedAuditLog) -> None:
        self._sessions = sessions
        self._audit_log = audit_log
        self.writable = True

    async def keep_baseline(
        self, baseline: StoredBaseline, audit: Sequence[AuditRecord] = ()
    ) -> None:
        """Keep a baseline with audit records, and of its version the newest ones alone."""
        one = baseline
        row = [
            one.baseline_id, *one.of, one.of_export, one.start_time, one.end_time, one.made_at,
            one.row_count, one.document,
        ]  # fmt: skip

        def keep(cursor: Cursor) -> None:
            with transaction(cursor):
                cursor.execute(
                    "INSERT INTO ai_hub_baselines VALUES "
                    f"(?, ?, ?, ?, ?, ?, {_TIME}, {_TIME}, {_TIME}, ?, ?)",
                    row,
                )
                cursor.execute(
                    f"DELETE FROM ai_hub_baselines WHERE {_OF} AND baseline_id NOT IN "
                    f"(SELECT baseline_id {_NEWEST} {_ORDER} LIMIT {MOST_BASELINES})",
                    [*one.of, *one.of],
                )
                self._audit_log.write(cursor, audit)

        await self._sessions.write(keep)

    async def baselines(self, of: SetOf) -> list[StoredBaseline]:
        """The baselines of a version, without their documents, the newest first."""
        rows = await self._rows(f"SELECT {_FACTS} {_NEWEST} {_ORDER}", [*of])
        return [StoredBaseline(*[*row, b""]) for row in rows]

    async def baseline(self, of: SetOf, baseline_id: str | None) -> StoredBaseline | None:
        """The newest baseline of a version, or the one named; None where there is none."""
        query = f"SELECT {_FACTS}, document {_NEWEST} AND (? IS NULL OR baseline_id = ?)"
        rows = await self._rows(f"{query} {_ORDER} LIMIT 1", [*of, baseline_id, baseline_id])
        return StoredBaseline(*rows[0]) if rows else None

    async def add_served(self, hours: Sequence[ServedHour], merge: Merge, at: int) -> None:
        """Add sketches to those that are there of the same hour."""

        def add(cursor: Cursor) -> None:
            keys = [(*one.of, one.hour) for one in hours]
            with transaction(cursor):
                given = [[*column] for column in zip(*keys, strict=True)] or [[]] * 5
                there = cursor.execute(_THERE, given).fetchall()
                documents = {(*key,): document for *key, document in there}
                merged = [
                    merge(documents[key], one.document) if key in documents else one.document
                    for key, one in zip(keys, hours, strict=True)
                ]
                cursor.execute(_REPLACED, given)
                cursor.execute(_ADDED, [*given, at, merged])
                for of in {one.of for one in hours}:
                    cursor.execute(_LAST_HOURS, [*of, *of])
                cursor.execute(f"DELETE FROM ai_hub_served WHERE added_at < {_TIME}", [at - KEPT])

        await self._sessions.write(add)

    async def served(self, of: SetOf, start: int, end: int) -> list[ServedHour]:
        """The sketches of hours that begin in [start, end), by hour."""
        query = (
            f"SELECT epoch_us(hour), document FROM ai_hub_served WHERE {_OF} "
            f"AND hour >= {_TIME} AND hour < {_TIME} ORDER BY hour"
        )
        return [ServedHour(of, *row) for row in await self._rows(query, [*of, start, end])]

    async def served_sets(self, start: int, end: int) -> list[SetOf]:
        """Whose sketches there are of hours that begin in [start, end)."""
        query = (
            "SELECT DISTINCT tenant_id, feature_set, version, fingerprint FROM ai_hub_served "
            f"WHERE hour >= {_TIME} AND hour < {_TIME} ORDER BY ALL"
        )
        return [SetOf(*row) for row in await self._rows(query, [start, end])]

    async def _rows(self, query: str, arguments: Sequence[object]) -> list[tuple[Any, ...]]:
        return await self._sessions.read(lambda cursor: cursor.execute(query, arguments).fetchall())
