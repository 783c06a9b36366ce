"""The audit log in DuckDB. Once a day the writer deletes what is past its retention."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ai_hub.definitions.values import DAY, FIRST_INSTANT, Duration
from ai_hub.stores.audit_log import AUDIT, AuditQuery, AuditRecord, noted, record_of, row_of
from ai_hub.stores.embedded.session import Cursor, Sessions

_COLUMNS = ", ".join(AUDIT)
_WRITE = (
    f"INSERT INTO ai_hub_audit (id, {_COLUMNS}) "
    "VALUES (?, make_timestamptz(?::BIGINT), ?, ?, ?, ?, ?, ?)"
)
_READ = ", ".join("epoch_us(done_at)" if name == "done_at" else name for name in AUDIT)
_FIND = f"""
SELECT id, {_READ} FROM ai_hub_audit
WHERE ($tenants IS NULL OR list_contains($tenants::VARCHAR[], tenant_id))
  AND ($what IS NULL OR what = $what)
  AND ($who IS NULL OR who = $who OR who_id = $who)
  AND ($start IS NULL OR done_at >= make_timestamptz($start::BIGINT))
  AND ($end IS NULL OR done_at < make_timestamptz($end::BIGINT))
  AND ($before IS NULL OR (done_at, id) < (
      SELECT (done_at, id) FROM ai_hub_audit WHERE id = $before))
ORDER BY done_at DESC, id DESC LIMIT $limit
"""
_EXPIRE = "DELETE FROM ai_hub_audit WHERE done_at < make_timestamptz(?::BIGINT)"


class EmbeddedAuditLog:
    """The audit log of one database file, which only this process writes; records are kept for
    `keep` (None: for ever)."""

    def __init__(self, sessions: Sessions, keep: Duration | None) -> None:
        self._sessions = sessions
        self._keep = keep
        self._last: int | None = None
        self._look_at = 0

    async def find(self, wanted: AuditQuery) -> list[AuditRecord]:
        """Some records, the newest first."""
        asked = {
            "tenants": None if wanted.tenants is None else list(wanted.tenants),
            "what": wanted.what, "who": wanted.who, "start": wanted.start, "end": wanted.end,
            "before": wanted.before, "limit": wanted.limit,
        }  # fmt: skip
        return await self._sessions.read(
            lambda cursor: [record_of(row) for row in cursor.execute(_FIND, asked).fetchall()]
        )

    def write(self, cursor: Cursor, records: Sequence[AuditRecord]) -> None:
        """Keep some records, in the transaction that is under way."""
        if not records:
            return
        now = time.time_ns() // 1_000
        if now >= self._look_at:
            self._look_at = now + DAY
            self._expire(cursor, now)
        for record in records:
            cursor.execute(_WRITE, [self._next(cursor), *row_of(record)])

    def _expire(self, cursor: Cursor, now: int) -> None:
        if self._keep is None:
            return
        before = max(FIRST_INSTANT, now - self._keep.micros)
        ((gone,),) = cursor.execute(_EXPIRE, [before]).fetchall()
        if gone:
            record = noted("retention", None, gone, relation="ai_hub_audit")
            cursor.execute(_WRITE, [self._next(cursor), *row_of(record)])

    def _next(self, cursor: Cursor) -> int:
        if self._last is None:
            ((last,),) = cursor.execute("SELECT max(id) FROM ai_hub_audit").fetchall()
            self._last = last or 0
        self._last += 1
        return self._last
