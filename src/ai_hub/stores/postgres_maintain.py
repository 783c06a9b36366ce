"""What a PostgreSQL database needs done from time to time: refresh, retention, compression.

The order matters: hours are refreshed before the rows that they are made of may be deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from ai_hub.config import Settings
from ai_hub.definitions.values import DAY, HOUR, Duration, iso
from ai_hub.stores.postgres_errors import as_ours
from ai_hub.stores.postgres_migrate import check
from ai_hub.stores.postgres_session import Connection, connect
from ai_hub.stores.postgres_write import WRITERS_LOCK

MAINTENANCE_LOCK = 7_248_003_003
_END_OFFSET = HOUR
"""How far behind now the newest refreshed hour ends: the hour that readings still arrive for."""
_LOOK_BACK = 14 * DAY
"""Refreshed anew each time where something changed, for what was not written by this product."""
_DELETED_AT_ONCE = 20_000
_REFRESH_TRIES = 20
_INFINITE = 1 << 62


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that maintenance did or found: of what, and a sentence."""

    action: str
    relation: str
    said: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row of ai_hub_retention; times in microseconds."""

    relation: str
    keep: Duration | None
    told_at: int | None
    deleted_before: int | None


async def maintain(settings: Settings, now: int | None = None, at_once: bool = False) -> list[Step]:
    """Refresh, delete what is old, compress; what was done. Raises StoreError.

    `at_once` deletes what is old even if it was told of less than the notice period ago.
    """
    try:
        async with _session(settings) as (connection, mode):
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", MAINTENANCE_LOCK):
                return [Step("skip", "", "Another process is at it.")]
            work = _Work(connection, settings, mode, now or time.time_ns() // 1_000, at_once)
            return [step async for step in work.steps()]
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise as_ours(error, settings.database_url) from error


@asynccontextmanager
async def _session(settings: Settings) -> AsyncIterator[tuple[Connection, str]]:
    first = await connect(settings)
    try:
        mode = (await check(first)).mode
        # A refresh of years takes its time.
        await first.execute("SET statement_timeout = 0")
        yield first, mode
    finally:
        await first.close(timeout=5)


class _Work:
    def __init__(
        self, connection: Connection, settings: Settings, mode: str, now: int, at_once: bool
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._mode = mode
        self._now = now
        self._at_once = at_once

    async def steps(self) -> AsyncIterator[Step]:
        """Everything, in order."""
        for declared in await self._declare():
            yield declared
        if self._mode == "timescaledb":
            for refreshed in await self._refresh():
                yield refreshed
        for kept in await self._retention():
            yield await self._delete(kept)
        if self._mode == "timescaledb":
            for compressed in await self._compress():
                yield compressed

    async def _declare(self) -> list[Step]:
        """The retention of the settings, where the database has another."""
        steps = []
        for kept in await self._retention():
            wanted = _WANTED[kept.relation](self._settings)
            if wanted != kept.keep:
                micros = None if wanted is None else wanted.micros
                await self._connection.execute(
                    "SELECT ai_hub_keep($1, $2 * interval '1 microsecond')", kept.relation, micros
                )
                said = "kept for ever" if wanted is None else f"kept for {wanted}"
                steps.append(Step("declare", kept.relation, f"{said} from now on"))
        return steps

    async def _refresh(self) -> list[Step]:
        """Bring the aggregates up to date, by the protocol of docs/decisions/0008."""
        on = self._connection
        target = (self._now - _END_OFFSET) // HOUR * HOUR
        await on.execute("UPDATE ai_hub_hourly SET announced = greatest(announced, $1)", target)
        # Who wrote without knowing of it has committed when the lock was ours.
        await on.execute("SELECT pg_advisory_lock($1)", WRITERS_LOCK)
        await on.execute("SELECT pg_advisory_unlock($1)", WRITERS_LOCK)
        late = await on.fetch("SELECT tenant_id, asset_id, feature_type, first, stamp "
                              "FROM ai_hub_late")  # fmt: skip
        start = await self._refresh_from([row["first"] for row in late])
        steps = []
        if start is not None and start < target:
            await self._call_refresh("hourly_features", start, target)
            said = f"refreshed from {iso(start)} to {iso(target)}"
            steps.append(Step("refresh", "hourly_features", said, len(late)))
        await on.execute("UPDATE ai_hub_hourly SET done = greatest(done, $1)", target)
        await on.execute(
            "DELETE FROM ai_hub_late l USING unnest($1::text[], $2::text[], $3::text[], "
            "$4::bigint[]) AS n(tenant_id, asset_id, feature_type, stamp) "
            "WHERE l.tenant_id = n.tenant_id AND l.asset_id = n.asset_id "
            "AND l.feature_type = n.feature_type AND l.stamp = n.stamp",
            *([row[name] for row in late]
              for name in ("tenant_id", "asset_id", "feature_type", "stamp")),
        )  # fmt: skip
        last_day = target // DAY * DAY
        first_day = None if start is None else start // DAY * DAY
        deleted = await self._deleted_before("hourly_features")
        if first_day is not None and deleted is not None:
            first_day = max(first_day, -(-deleted // DAY) * DAY)
        if first_day is not None and first_day < last_day:
            await self._call_refresh("daily_features", first_day, last_day)
            said = f"refreshed from {iso(first_day)} to {iso(last_day)}"
            steps.append(Step("refresh", "daily_features", said))
        return steps

    async def _refresh_from(self, late: Iterable[int]) -> int | None:
        """The hour to refresh from: everything at first, then what may have changed.

        Never one whose rows may have been deleted: it would be emptied. None without rows.
        """
        on = self._connection
        done = await on.fetchval("SELECT done FROM ai_hub_hourly")
        oldest = await on.fetchval("SELECT min(timestamp) FROM ai_features")
        if oldest is None:
            return None
        start = min([*late, self._now - _LOOK_BACK, done if abs(done) < _INFINITE else oldest])
        deleted = await self._deleted_before("ai_features")
        if deleted is not None:
            start = max(start, -(-deleted // HOUR) * HOUR)
        return int(max(start, oldest) // HOUR * HOUR)

    async def _deleted_before(self, relation: str) -> int | None:
        found: int | None = await self._connection.fetchval(
            "SELECT deleted_before FROM ai_hub_retention WHERE relation = $1", relation
        )
        return found

    async def _call_refresh(self, aggregate: str, start: int, end: int) -> None:
        for left in range(_REFRESH_TRIES - 1, -1, -1):
            try:
                await self._connection.execute(
                    f"CALL refresh_continuous_aggregate('{aggregate}', {_literal(start)}, "
                    f"{_literal(end)})"
                )
                return
            except asyncpg.LockNotAvailableError:
                # A scheduled policy is at the same aggregate.
                if not left:
                    raise
                await asyncio.sleep(1)

    async def _retention(self) -> list[_Kept]:
        rows = await self._connection.fetch(
            "SELECT relation, (extract(epoch FROM keep) * 1000000)::bigint AS keep, told_at, "
            "deleted_before FROM ai_hub_retention ORDER BY relation"
        )
        return [
            _Kept(
                row["relation"],
                None if row["keep"] is None else Duration(row["keep"]),
                row["told_at"],
                row["deleted_before"],
            )
            for row in rows
        ]

    async def _delete(self, kept: _Kept) -> Step:
        """Delete what a relation keeps no longer, if that was told of long enough ago."""
        relation = kept.relation
        if kept.keep is None:
            return Step("keep", relation, "all is kept")
        cutoff = self._now - kept.keep.micros
        oldest = await self._oldest(relation, cutoff)
        told = kept.told_at
        if oldest is None:
            # Nothing to tell of: what gets old from now on does so under everybody's eyes.
            await self._tell(relation, told or self._now)
            return Step("keep", relation, f"nothing is older than {kept.keep}")
        if told is None:
            told = self._now
            await self._tell(relation, told)
        due = told + self._settings.retention_notice.micros
        if due > self._now and not self._at_once:
            return Step(
                "notice",
                relation,
                f"rows since {iso(oldest)} are older than {kept.keep}: they will be deleted from "
                f"{iso(due)} on (at once with --now). To keep them longer, set "
                f"{_VARIABLES[relation]}, for example to none",
            )
        count, deleted = await self._delete_before(relation, cutoff)
        await self._connection.execute(
            "UPDATE ai_hub_retention SET deleted_before = greatest(deleted_before, $2) "
            "WHERE relation = $1",
            relation,
            deleted,
        )
        what = "chunks" if self._mode != "plain" else "rows"
        return Step("delete", relation, f"{count:,} {what} before {iso(deleted)} deleted", count)

    async def _tell(self, relation: str, told_at: int) -> None:
        await self._connection.execute(
            "UPDATE ai_hub_retention SET told_at = $2 WHERE relation = $1 "
            "AND told_at IS DISTINCT FROM $2",
            relation,
            told_at,
        )

    async def _oldest(self, relation: str, cutoff: int) -> int | None:
        """The oldest time of what deleting would take; None if that is nothing."""
        if self._mode == "plain":
            text = f"SELECT min(timestamp) FROM {relation} WHERE timestamp < $1"
            found: int | None = await self._connection.fetchval(text, cutoff)
            return found
        return min((start for start, _ in await self._chunks(relation, cutoff)), default=None)

    async def _chunks(self, relation: str, cutoff: int) -> list[tuple[int, int]]:
        """The chunks that lie before a time, by their ranges."""
        rows = await self._connection.fetch(
            "SELECT c.range_start, c.range_end FROM show_chunks($1::regclass, "
            "older_than => $2::timestamptz) AS s "
            "JOIN timescaledb_information.chunks c "
            "ON format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = s",
            relation,
            cutoff,
        )
        return [(row["range_start"], row["range_end"]) for row in rows]

    async def _delete_before(self, relation: str, cutoff: int) -> tuple[int, int]:
        """Delete what lies before a time: how many chunks or rows, and up to which time."""
        on = self._connection
        if self._mode == "plain":
            deleted = 0
            while True:
                # Small transactions: no reader waits, and the log of changes stays small.
                done = await on.execute(
                    f"DELETE FROM {relation} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {relation} "
                    f"WHERE timestamp < $1 LIMIT {_DELETED_AT_ONCE}))",
                    cutoff,
                )
                count = int(done.split()[-1])
                deleted += count
                if count < _DELETED_AT_ONCE:
                    return deleted, cutoff
        chunks = await self._chunks(relation, cutoff)
        end = max(end for _, end in chunks)
        if self._mode == "timescaledb":
            for job in await self._jobs("policy_retention", relation):
                await on.execute(f"CALL run_job({job})")
        else:
            await on.execute(f"SELECT drop_chunks('{relation}', older_than => {_literal(cutoff)})")
        return len(chunks), end

    async def _compress(self) -> list[Step]:
        steps = []
        for relation in ("ai_features", "weather_features", "hourly_features", "daily_features"):
            for job in await self._jobs("policy_compression", relation):
                before = await self._compressed(relation)
                await self._connection.execute(f"CALL run_job({job})")
                after = await self._compressed(relation)
                steps.append(Step("compress", relation, f"{after:,} chunks in the columnstore",
                                  after - before))  # fmt: skip
        return steps

    async def _compressed(self, relation: str) -> int:
        found: int = await self._connection.fetchval(
            "SELECT count(*) FROM show_chunks($1::regclass) AS s "
            "JOIN timescaledb_information.chunks c "
            "ON format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = s "
            "WHERE c.is_compressed",
            relation,
        )
        return found

    async def _jobs(self, procedure: str, relation: str) -> list[int]:
        """The jobs of a kind that a table or an aggregate has."""
        rows = await self._connection.fetch(
            "SELECT j.job_id FROM timescaledb_information.jobs j "
            "LEFT JOIN timescaledb_information.continuous_aggregates a "
            "ON a.materialization_hypertable_name = j.hypertable_name "
            "WHERE j.proc_name = $1 AND $2 IN (j.hypertable_name, a.view_name)",
            procedure,
            relation,
        )
        return [row["job_id"] for row in rows]


_WANTED: dict[str, Callable[[Settings], Duration | None]] = {
    "timeseries_data": lambda settings: settings.retention_raw,
    "ai_features": lambda settings: settings.retention_features,
    "weather_features": lambda settings: settings.retention_weather,
    "hourly_features": lambda settings: settings.retention_hourly,
    "daily_features": lambda settings: settings.retention_daily,
}
_VARIABLES = {
    "timeseries_data": "AI_HUB_RETENTION_RAW",
    "ai_features": "AI_HUB_RETENTION_FEATURES",
    "weather_features": "AI_HUB_RETENTION_WEATHER",
    "hourly_features": "AI_HUB_RETENTION_HOURLY",
    "daily_features": "AI_HUB_RETENTION_DAILY",
}


def _literal(micros: int) -> str:
    """An instant for a CALL, which takes no parameters here."""
    return f"TIMESTAMPTZ '{iso(micros)}'"


def document(steps: list[Step]) -> list[dict[str, Any]]:
    """Steps as the members of a JSON document."""
    return [
        {"action": one.action, "relation": one.relation, "said": one.said, "count": one.count}
        for one in steps
    ]
