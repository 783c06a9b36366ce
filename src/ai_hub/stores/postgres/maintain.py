"""What has to be done to a PostgreSQL database regularly: refresh, retention, compression.

The order matters: hours are refreshed before the rows that they are made of may be deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import asyncpg

from ai_hub.config import Settings
from ai_hub.definitions.values import DAY, FIRST_INSTANT, HOUR, Duration, iso
from ai_hub.errors import StoreRefused
from ai_hub.stores.postgres.migrate import check
from ai_hub.stores.postgres.migrations import Mode
from ai_hub.stores.postgres.retention import Retention, Step
from ai_hub.stores.postgres.series import tidy
from ai_hub.stores.postgres.session import Connection, session
from ai_hub.stores.postgres.warnings import warnings
from ai_hub.stores.postgres.write import EXPORTS_LOCK, WRITERS_LOCK

MAINTENANCE_LOCK = 7_248_003_003
_LONGEST = Duration(6 * HOUR)
"""The limit of one statement: a refresh of years takes long."""
_END_OFFSET = HOUR
"""How far behind now refreshing stops: readings still arrive for the last hour."""
_LOOK_BACK = 14 * DAY
"""Refreshed each time where something changed, for rows that other programs wrote."""
_APART = DAY
"""Spans that lie closer together than this are refreshed as one."""
_PIECE = 28 * DAY
"""The most that one refresh computes anew: what is done stays done if the next one fails."""
_WRITERS_WAIT = "30s"
_READERS_WAIT = "5s"
"""How long to wait for readers of a chunk: while we wait, other readers wait behind us."""
_REFRESH_TRIES = 300
# Readers of a chunk, or writers: the database gives way to these.
_IN_USE = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)

Span = tuple[int, int]
"""From a time up to another one, which is not part of it."""

_OWNER = """
SELECT current_user::text, pg_get_userbyid(relowner)::text,
  pg_has_role(current_user, relowner, 'USAGE')
FROM pg_class WHERE oid = 'ai_features'::regclass
"""
_ANNOUNCE = "UPDATE ai_hub_hourly SET announced = greatest(announced, $1) RETURNING announced, done"
_LATE = "SELECT tenant_id, asset_id, feature_type, first, last, stamp FROM ai_hub_late"
_REFRESHED = """
DELETE FROM ai_hub_late AS l
USING unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
  AS n(tenant_id, asset_id, feature_type, stamp)
WHERE l.tenant_id = n.tenant_id AND l.asset_id = n.asset_id
  AND l.feature_type = n.feature_type AND l.stamp = n.stamp
"""
_OLDEST_CHUNK = """
SELECT min(range_start) FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = 'ai_features'
"""
# Hours older than every chunk belong to rows that somebody else dropped.
_DROPPED = """
UPDATE ai_hub_retention SET deleted_before = greatest(deleted_before, $1)
WHERE relation = 'ai_features' AND EXISTS (SELECT FROM hourly_features WHERE bucket < $1)
"""
_DELETED = """
SELECT max(deleted_before) FILTER (WHERE relation = 'ai_features') AS rows,
  max(deleted_before) FILTER (WHERE relation = 'hourly_features') AS hours,
  max(deleted_before) FILTER (WHERE relation = 'daily_features') AS days
FROM ai_hub_retention
"""
_COLUMNSTORE = """
SELECT j.job_id, j.hypertable_name AS relation FROM timescaledb_information.jobs AS j
WHERE j.proc_name = 'policy_compression'
  AND j.hypertable_schema = current_schema() ORDER BY j.job_id
"""
# Bit 0 of a chunk's status: in the columnstore; bits 1 and 3: some of its rows out of order, or
# beside it.
_MOVED = """
SELECT count(*) FROM show_chunks($1::text::regclass) AS s
WHERE _timescaledb_functions.chunk_status(s) & 1 = 1
"""
_WITH_LATE_ROWS = """
SELECT s::text FROM show_chunks($1::text::regclass) AS s
WHERE _timescaledb_functions.chunk_status(s) & 10 <> 0
"""


async def maintain(
    settings: Settings,
    now: int | None = None,
    at_once: bool = False,
    rebuild: Span | None = None,
) -> list[Step]:
    """Refresh, delete what is old, compress; what was done. Raises StoreError.

    `at_once` deletes what is old also within its notice period. `rebuild` is computed anew, as if
    all of its rows had changed.
    """
    async with session(settings, _LONGEST) as connection:
        mode = (await check(connection)).mode
        await _check_owner(connection)
        # Unlike other sessions, this one reads whole chunks.
        await connection.execute("SET enable_seqscan = on")
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", MAINTENANCE_LOCK):
            return [Step("skip", "", "another process is maintaining this database")]
        when = time.time_ns() // 1_000 if now is None else now
        return [step async for step in _steps(connection, settings, mode, when, at_once, rebuild)]


async def _check_owner(on: Connection) -> None:
    """Raise StoreRefused for any user but the owner: no GRANT allows refresh, drop and compress."""
    user, owner, is_owner = await on.fetchrow(_OWNER)
    if not is_owner:
        raise StoreRefused(
            f"Maintenance is for the owner of the tables, {owner!r}, and {user!r} is not. Name the "
            "owner in AI_HUB_DATABASE_URL."
        )


async def _steps(
    on: Connection,
    settings: Settings,
    mode: Mode,
    now: int,
    at_once: bool,
    rebuild: Span | None,
) -> AsyncIterator[Step]:
    for warned in await warnings(on, mode):
        yield Step("warn", warned.name, str(warned))
    retention = Retention(on, settings, mode, now, at_once)
    async for step in retention.declare():
        yield step
    if mode == "timescaledb":
        async for step in _refresh(on, now, rebuild):
            yield step
    async for step in retention.delete():
        yield step
    await tidy(on, mode != "plain", rebuild)
    if rebuild is not None:
        first, end = map(iso, rebuild)
        yield Step("rebuild", "ai_features", f"what follows from rows from {first} to {end}", 1)
    if mode == "timescaledb":
        async for step in _compress(on):
            yield step


async def _refresh(on: Connection, now: int, rebuild: Span | None) -> AsyncIterator[Step]:
    """Bring the aggregates up to date, by the protocol of docs/decisions/0008."""
    target, done = await on.fetchrow(_ANNOUNCE, (now - _END_OFFSET) // HOUR * HOUR)
    try:
        async with on.transaction():
            # Those who wrote before it was announced have committed once the lock is ours. Other
            # writers wait behind us, so we do not wait for long.
            await on.execute(f"SET LOCAL lock_timeout = '{_WRITERS_WAIT}'")
            await on.execute("SELECT pg_advisory_xact_lock($1)", WRITERS_LOCK)
    except asyncpg.LockNotAvailableError:
        said = (
            f"a transaction that wrote to ai_features did not end for {_WRITERS_WAIT}: it will be "
            "refreshed next time. pg_stat_activity names those that are idle in transaction"
        )
        yield Step("wait", "hourly_features", said)
        return
    late = await on.fetch(_LATE)
    oldest = await on.fetchval(_OLDEST_CHUNK)
    if oldest is None:
        # Hours of rows that are gone are of nothing any more.
        await on.execute(_DROPPED, target)
    else:
        # The chunk of the first instant begins before it, at a time that has no text.
        oldest = max(oldest, FIRST_INSTANT)
        await on.execute(_DROPPED, oldest)
        deleted = await on.fetchrow(_DELETED)
        since = _latest(oldest, deleted["rows"], deleted["hours"])
        changed = [(row["first"], row["last"] + 1) for row in late] + [(done, target)]
        changed += [] if rebuild is None else [rebuild]
        hours = spans(changed, HOUR, since, target)
        look_back = spans([(now - _LOOK_BACK, target)], HOUR, since, target)
        yield await _bring_up(on, "hourly_features", hours, look_back, target)
    await on.execute("UPDATE ai_hub_hourly SET done = $1", target)
    await on.execute(
        _REFRESHED,
        *([row[name] for row in late]
          for name in ("tenant_id", "asset_id", "feature_type", "stamp")),
    )  # fmt: skip
    if oldest is not None:
        last_day = target // DAY * DAY
        # The first day that has a refreshed hour is computed from the hours there are.
        since = _latest(since // DAY * DAY, deleted["hours"], deleted["days"])
        days = spans(hours, DAY, since, last_day)
        look_back = spans(look_back, DAY, since, last_day)
        yield await _bring_up(on, "daily_features", days, look_back, last_day)


def spans(found: Iterable[Span], unit: int, since: int, until: int) -> list[Span]:
    """Spans as whole hours or days of [since, until), ascending, those close together as one.

    Nothing before `since`: rows were deleted there, and a refresh would empty it.
    """
    first, last = -(-since // unit) * unit, until // unit * unit
    joined: list[Span] = []
    for start, end in sorted(found):
        start, end = max(first, start // unit * unit), min(last, -(-end // unit) * unit)
        if start >= end:
            continue
        if joined and start - joined[-1][1] < _APART:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def _latest(*times: int | None) -> int:
    return max(one for one in times if one is not None)


async def _bring_up(
    on: Connection, aggregate: str, changed: list[Span], look_back: list[Span], until: int
) -> Step:
    """Compute what changed anew, even what the database takes for up to date.

    It misses a row that is committed while the first refresh of its time runs.
    """
    for start, end in changed:
        for first in range(start, end, _PIECE):
            await _call_refresh(on, aggregate, (first, min(end, first + _PIECE)), "true")
    for span in look_back:
        await _call_refresh(on, aggregate, span, "false")
    said = f"up to {iso(until)}"
    if changed:
        said += f", computed anew from {iso(changed[0][0])} to {iso(changed[-1][1])}"
    return Step("refresh", aggregate, said, len(changed))


async def _call_refresh(on: Connection, aggregate: str, span: Span, force: str) -> None:
    start, end = (f"TIMESTAMPTZ '{iso(one)}'" for one in span)  # CALL takes no parameters here
    for left in range(_REFRESH_TRIES - 1, -1, -1):
        try:
            await on.execute(
                f"CALL refresh_continuous_aggregate('{aggregate}', {start}, {end}, {force})"
            )
            return
        except asyncpg.LockNotAvailableError:
            # A scheduled policy is refreshing the same time.
            if not left:
                raise
            await asyncio.sleep(1)


async def _compress(on: Connection) -> AsyncIterator[Step]:
    """Move old chunks to the columnstore, as the policies say, and those with late rows again."""
    await on.execute(f"SET lock_timeout = '{_READERS_WAIT}'")
    for job, relation in await on.fetch(_COLUMNSTORE):
        before = await on.fetchval(_MOVED, relation)
        try:
            await on.execute(f"CALL run_job({job})")
        except asyncpg.DataError as error:
            # It tries each chunk, and fails in the end if one could not be locked.
            said = f"{error.detail or error} They are in use, and will be tried again next time"
            yield Step("wait", relation, said)
        moved = await on.fetchval(_MOVED, relation)
        late = await on.fetch(_WITH_LATE_ROWS, relation)
        sorted_again = [chunk for (chunk,) in late if await _sort(on, chunk)]
        if left := len(late) - len(sorted_again):
            said = (
                f"{left:,} chunks with late rows are being read, and will be tried again next time"
            )
            yield Step("wait", relation, said)
        said = f"{moved:,} chunks in the columnstore, {moved - before:,} of them new"
        if sorted_again:
            said += f", {len(sorted_again):,} with late rows"
        yield Step("compress", relation, said, moved - before + len(sorted_again))


async def _sort(on: Connection, chunk: str) -> bool:
    """Put the late rows of a chunk in order, if no export reads a snapshot with them."""
    if not await on.fetchval("SELECT pg_try_advisory_lock($1)", EXPORTS_LOCK):
        return False
    try:
        async with on.transaction():
            await on.execute(f"SELECT compress_chunk('{chunk}')")
            # Nobody who reads an older snapshot may be between that and planning a query: its plan
            # would no longer look for these rows where its snapshot has them.
            await on.execute(f"LOCK TABLE {chunk} IN ACCESS EXCLUSIVE MODE")
        return True
    except _IN_USE:
        return False
    finally:
        await on.execute("SELECT pg_advisory_unlock($1)", EXPORTS_LOCK)


def document(steps: list[Step]) -> list[dict[str, Any]]:
    """Steps as the members of a JSON document."""
    return [
        {"action": one.action, "relation": one.relation, "said": one.said, "count": one.count}
        for one in steps
    ]
