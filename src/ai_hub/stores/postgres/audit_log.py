"""The audit log in PostgreSQL: one statement more in the transaction of each change."""

from __future__ import annotations

from collections.abc import Sequence

from ai_hub.definitions.values import FIRST_INSTANT, Duration
from ai_hub.stores.audit_log import (
    AUDIT,
    AuditQuery,
    AuditRecord,
    counting,
    noted,
    record_of,
    row_of,
)
from ai_hub.stores.postgres.session import Connection, Sessions

_COLUMNS = ", ".join(AUDIT)
_WRITE = f"""
INSERT INTO ai_hub_audit ({_COLUMNS})
SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[],
                     $6::bigint[], $7::text[])
"""
_FIND = f"""
SELECT id, {_COLUMNS} FROM ai_hub_audit
WHERE ($1::text[] IS NULL OR tenant_id = ANY($1))
  AND ($2::text IS NULL OR what = $2)
  AND ($3::text IS NULL OR who = $3 OR who_id = $3)
  AND ($4::timestamptz IS NULL OR done_at >= $4) AND ($5::timestamptz IS NULL OR done_at < $5)
  AND ($6::bigint IS NULL OR (done_at, id) < (SELECT done_at, id FROM ai_hub_audit WHERE id = $6))
ORDER BY done_at DESC, id DESC LIMIT $7
"""
_AT_ONCE = 20_000
# What is deleted leaves its own record, in the same statement.
_EXPIRE = f"""
WITH gone AS (
    DELETE FROM ai_hub_audit WHERE id IN (
        SELECT id FROM ai_hub_audit WHERE done_at < $1 ORDER BY done_at, id LIMIT {_AT_ONCE}
    ) RETURNING id
), counted AS (SELECT count(*) AS n FROM gone)
INSERT INTO ai_hub_audit ({_COLUMNS})
SELECT $2, $3, $4, $5, $6, n, $7 FROM counted WHERE n > 0
RETURNING count
"""


class PostgresAuditLog:
    """The audit log of a database."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def find(self, wanted: AuditQuery) -> list[AuditRecord]:
        """Some records, the newest first."""
        tenants = None if wanted.tenants is None else list(wanted.tenants)
        arguments = [
            tenants, wanted.what, wanted.who, wanted.start, wanted.end, wanted.before, wanted.limit
        ]  # fmt: skip
        return [record_of(row) for row in await self._sessions.fetch(_FIND, arguments)]


async def write_audit(on: Connection, records: Sequence[AuditRecord]) -> None:
    """Keep some records, in the transaction that is under way."""
    if records:
        await on.execute(_WRITE, *map(list, zip(*map(row_of, records), strict=True)))


async def counted(on: Connection, statement: str, record: AuditRecord, *arguments: object) -> int:
    """Run a statement that deletes rows and keep the record of how many, together."""
    async with on.transaction():
        count = int((await on.execute(statement, *arguments)).split()[-1])
        await write_audit(on, counting([record], count))
    return count


async def expire(on: Connection, keep: Duration | None, now: int) -> int:
    """Delete the records that are older than that, step by step; how many."""
    if keep is None:
        return 0
    before, gone = max(FIRST_INSTANT, now - keep.micros), 0
    while True:
        at, who, who_id, what, tenant_id, _, details = row_of(
            noted("retention", None, 0, relation="ai_hub_audit")
        )
        count = await on.fetchval(_EXPIRE, before, at, who, who_id, what, tenant_id, details)
        gone += count or 0
        if not count or count < _AT_ONCE:
            return gone
