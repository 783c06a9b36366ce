"""What is kept for drift, in PostgreSQL: sketches of many processes, merged as they are written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

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
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.session import Connection, Sessions

_OF = "tenant_id = $1 AND feature_set = $2 AND version = $3 AND fingerprint = $4"
_FACTS = (
    "baseline_id, tenant_id, feature_set, version, fingerprint, of_export, start_time, end_time, "
    "made_at, row_count"
)
_ORDER = "ORDER BY made_at DESC, baseline_id"
_KEEP = """
INSERT INTO ai_hub_baselines (baseline_id, tenant_id, feature_set, version, fingerprint, of_export,
  start_time, end_time, made_at, row_count, document)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_TIDY = f"""
DELETE FROM ai_hub_baselines WHERE {_OF} AND baseline_id NOT IN
  (SELECT baseline_id FROM ai_hub_baselines WHERE {_OF} {_ORDER} LIMIT {MOST_BASELINES})
"""
_BASELINES = f"SELECT {_FACTS} FROM ai_hub_baselines WHERE {_OF} {_ORDER}"
_BASELINE = f"""
SELECT {_FACTS}, document FROM ai_hub_baselines WHERE {_OF}
AND ($5::text IS NULL OR baseline_id = $5) {_ORDER} LIMIT 1
"""
# A row that is there already is locked by it, until the end of the transaction.
_CLAIM = """
INSERT INTO ai_hub_served AS s (tenant_id, feature_set, version, fingerprint, hour, added_at,
  document)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant_id, feature_set, version, fingerprint, hour)
DO UPDATE SET added_at = excluded.added_at
RETURNING xmax <> 0 AS there, document
"""
_MERGED = f"UPDATE ai_hub_served SET document = $6 WHERE {_OF} AND hour = $5"
_SERVED = f"""
SELECT hour, document FROM ai_hub_served WHERE {_OF} AND hour >= $5 AND hour < $6 ORDER BY hour
"""
_SETS = """
SELECT DISTINCT tenant_id, feature_set, version, fingerprint FROM ai_hub_served
WHERE hour >= $1 AND hour < $2 ORDER BY 1, 2, 3, 4
"""
_LAST_HOURS = f"""
DELETE FROM ai_hub_served WHERE {_OF} AND hour < (
  SELECT hour FROM ai_hub_served WHERE {_OF} ORDER BY hour DESC LIMIT 1 OFFSET {MOST_HOURS - 1})
"""
_FORGET = "DELETE FROM ai_hub_served WHERE added_at < $1"


class PostgresDriftTable:
    """Baselines and sketches of a database, for all processes on it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @property
    def writable(self) -> bool:
        """Whether the database takes anything."""
        return not self._sessions.recovery.standby

    async def keep_baseline(
        self, baseline: StoredBaseline, audit: Sequence[AuditRecord] = ()
    ) -> None:
        """Keep a baseline with audit records, and of its version the newest ones alone."""
        one = baseline
        times = one.start_time, one.end_time, one.made_at
        row = (one.baseline_id, *one.of, one.of_export, *times, one.row_count, one.document)

        async def keep(on: Connection) -> None:
            async with on.transaction():
                await on.execute(_KEEP, *row)
                await on.execute(_TIDY, *one.of)
                await write_audit(on, audit)

        await self._sessions.write(keep)

    async def baselines(self, of: SetOf) -> list[StoredBaseline]:
        """The baselines of a version, without their documents, the newest first."""
        rows = await self._sessions.fetch(_BASELINES, of)
        return [StoredBaseline(*[*row, b""]) for row in rows]

    async def baseline(self, of: SetOf, baseline_id: str | None) -> StoredBaseline | None:
        """The newest baseline of a version, or the one named; None where there is none."""
        rows = await self._sessions.fetch(_BASELINE, [*of, baseline_id])
        return StoredBaseline(*rows[0]) if rows else None

    async def add_served(self, hours: Sequence[ServedHour], merge: Merge, at: int) -> None:
        """Add sketches to those that are there of the same hour."""

        async def add(on: Connection) -> None:
            async with on.transaction():
                # In one order for all processes, none of which waits for another one in a circle.
                for of, hour, document in sorted(hours, key=lambda one: one[:2]):
                    key = (*of, hour)
                    there, found = await on.fetchrow(_CLAIM, *key, at, document)
                    if there:
                        merged = await asyncio.to_thread(merge, found, document)
                        await on.execute(_MERGED, *key, merged)
                for of in sorted({one.of for one in hours}):
                    await on.execute(_LAST_HOURS, *of)
                await on.execute(_FORGET, at - KEPT)

        await self._sessions.write(add)

    async def served(self, of: SetOf, start: int, end: int) -> list[ServedHour]:
        """The sketches of hours that begin in [start, end), by hour."""
        rows = await self._sessions.fetch(_SERVED, [*of, start, end])
        return [ServedHour(of, hour, document) for hour, document in rows]

    async def served_sets(self, start: int, end: int) -> list[SetOf]:
        """Whose sketches there are of hours that begin in [start, end)."""
        rows = await self._sessions.fetch(_SETS, [start, end])
        return [SetOf(*row) for row in rows]
