"""What has to be done to a PostgreSQL database regularly: refresh, retention, compression.

The order matters: hours are refreshed before the rows that they are made of may be deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from ai_hub.config import Settings
from ai_hub.config_values import width_text
from ai_hub.definitions.values import Duration, iso
from ai_hub.errors import StoreError, StoreRefused
from ai_hub.stores.audit_log import noted
from ai_hub.stores.postgres.audit_log import expire, write_audit
from ai_hub.stores.postgres.columnstore import Columnstore
from ai_hub.stores.postgres.crew import Crew
from ai_hub.stores.postgres.migrate import check
from ai_hub.stores.postgres.migrations import Mode
from ai_hub.stores.postgres.pieces import Span
from ai_hub.stores.postgres.refresh import Refresh
from ai_hub.stores.postgres.retention import Retention, Step
from ai_hub.stores.postgres.series import tidy
from ai_hub.stores.postgres.session import Connection, session
from ai_hub.stores.postgres.warnings import warnings

MAINTENANCE_LOCK = 7_248_003_003
_IN_THE_RECORD = ("refresh", "rebuild", "compress")
"""What is told of in one record of the run; what is deleted or declared has its own."""
_REFRESHING = 0.8
"""The share of a limited time by which refreshing is over, so that chunks are moved too."""

_OWNER = """
SELECT current_user::text, pg_get_userbyid(relowner)::text,
  pg_has_role(current_user, relowner, 'USAGE')
FROM pg_class WHERE oid = to_regclass('ai_features')
"""


async def maintain(
    settings: Settings,
    now: int | None = None,
    at_once: bool = False,
    rebuild: Span | None = None,
    within: Duration | None = None,
    connections: int = 2,
    tell: Callable[[Step], None] | None = None,
) -> list[Step]:
    """Refresh, delete what is old, compress; what was done. Raises StoreError.

    `at_once` deletes what is old also within its notice period. `rebuild` is computed anew, as if
    all of its rows had changed. What does not end `within` a time is left for the next run. So many
    `connections` work side by side. `tell` is called with each step when it is done.
    """
    steps: list[Step] = []

    def note(step: Step) -> None:
        steps.append(step)
        if tell is not None:
            tell(step)

    began = False
    try:
        async with Crew.open(settings, connections, within) as crew:
            # First, or a role without any right would be told to ask for the one to read.
            await check_owner(crew.lead, "Maintenance")
            mode = (await check(crew.lead)).mode
            if not await crew.lead.fetchval("SELECT pg_try_advisory_lock($1)", MAINTENANCE_LOCK):
                note(Step("skip", "", "another process is maintaining this database"))
                return steps
            began = True
            when = time.time_ns() // 1_000 if now is None else now
            retention = Retention(crew.lead, settings, mode, when, at_once)
            await _maintain(crew, mode, retention, when, rebuild, note)
            if gone := await expire(crew.lead, settings.retention_audit, when):
                records = "record" if gone == 1 else "records"
                kept = width_text(settings.retention_audit)
                said = f"{gone:,} {records} older than {kept} deleted"
                note(Step("delete", "ai_hub_audit", said, gone))
            await _record(crew.lead, steps)
    except (StoreError, asyncio.CancelledError) as error:
        if began:
            await _record_failure(settings, steps, str(error) or "it was stopped")
        raise
    return steps


async def _record(on: Connection, steps: Sequence[Step], **failed: str) -> None:
    """Keep who maintained the database, where there was something to do or it failed."""
    done = [one for one in steps if one.action in _IN_THE_RECORD and one.count]
    counts = {f"{one.action} {one.relation}": one.count for one in done}
    if counts or failed:
        record = noted("maintain", None, sum(counts.values()))
        await write_audit(on, [replace(record, details={**counts, **failed})])


async def _record_failure(settings: Settings, steps: Sequence[Step], why: str) -> None:
    """Keep that a run failed, what it had done, and why; the run's connections may be gone.

    Where the database is away as well nothing can be kept.
    """
    with suppress(StoreError):
        async with session(settings) as on:
            await _record(on, steps, failed=why)


async def check_owner(on: Connection, what: str) -> None:
    """Raise StoreRefused for any user but the owner: no GRANT allows refresh, drop and compress.

    A database that has no tables yet is anybody's.
    """
    user, owner, is_owner = await on.fetchrow(_OWNER) or (None, None, True)
    if not is_owner:
        raise StoreRefused(
            f"{what} is for the owner of the tables, {owner!r}, and {user!r} is not. Name the "
            "owner in AI_HUB_DATABASE_URL."
        )


async def _maintain(
    crew: Crew,
    mode: Mode,
    retention: Retention,
    now: int,
    rebuild: Span | None,
    note: Callable[[Step], None],
) -> None:
    for warned in await warnings(crew.lead, mode):
        note(Step("warn", warned.name, str(warned)))
    async for step in retention.declare():
        note(step)
    columnstore = Columnstore(crew, note)
    refreshed = True
    if mode == "timescaledb":
        crew.begin(_REFRESHING)
        refreshed = await Refresh(crew, now, note, columnstore.tidy).run(rebuild)
    if refreshed:
        async for step in retention.delete():
            note(step)
    await tidy(crew.lead, mode != "plain", rebuild)
    if rebuild is not None:
        first, end = map(iso, rebuild)
        said = f"what follows from rows from {first} to {end}"
        note(Step("rebuild", "ai_features", said, 1))
    if mode == "timescaledb":
        crew.begin(1.0)
        if not await columnstore.tidy():
            said = (
                "time is up: chunks that are left to move or to put in order are for the next run"
            )
            note(Step("wait", "ai_features", said))
        await columnstore.sum_up()
