"""The audit log of a database file forgets what is past its retention, once a day, and says so."""

from __future__ import annotations

import time
from pathlib import Path

from ai_hub.definitions.values import DAY, Duration
from ai_hub.stores.audit_log import AuditQuery, AuditRecord
from ai_hub.stores.embedded.audit_log import EmbeddedAuditLog
from ai_hub.stores.embedded.session import Cursor, Sessions, transaction


async def test_old_records_go_and_that_is_told_of(tmp_path: Path) -> None:
    sessions = Sessions(str(tmp_path / "f.duckdb"))
    now = time.time_ns() // 1_000

    def wrote(log: EmbeddedAuditLog, age: int) -> None:
        def write(cursor: Cursor) -> None:
            with transaction(cursor):
                log.write(cursor, [AuditRecord("ingest", "t", 1, done_at=now - age)])

        write(sessions.cursor())

    kept = EmbeddedAuditLog(sessions, None)
    for age in (40 * DAY, 31 * DAY, 29 * DAY):
        wrote(kept, age)
    log = EmbeddedAuditLog(sessions, Duration(30 * DAY))
    wrote(log, 35 * DAY)
    found = await log.find(AuditQuery())
    # Of its own record nothing is known before it is written: it goes the next day.
    assert [(one.what, one.count, now - one.done_at) for one in found[1:]] == [
        ("ingest", 1, 29 * DAY), ("ingest", 1, 35 * DAY),
    ]  # fmt: skip
    assert (found[0].what, found[0].count, found[0].details) == (
        "retention", 2, {"relation": "ai_hub_audit"},
    )  # fmt: skip
    assert len({one.id for one in found}) == 3
    wrote(log, 0)
    assert len(await log.find(AuditQuery())) == 4
    await sessions.close()
