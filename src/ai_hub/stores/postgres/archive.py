"""The archive of a PostgreSQL database, by way of statements and streams.

Without chunks the rows of a step are deleted that are just those of the archive, in a transaction
that is given up unless they are all there: whoever changes one meanwhile is waited for, or comes
later and finds the time to be late. With chunks nobody writes to one while it is compared, and then
it is dropped whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg

from ai_hub.archive.layer import COLUMNS, KINDS, Kind, Layer, layer_of, row_of
from ai_hub.archive.rows import VALUES, differences, micros
from ai_hub.config import Settings
from ai_hub.definitions.values import DAY, HOUR, Duration
from ai_hub.errors import Busy
from ai_hub.stores.archive_table import Archived, steps_of
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.postgres.archive_return import END, bring_back, copy_rows
from ai_hub.stores.postgres.archive_rows import SUMMARIZE, guessed_spans, read_rows
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.maintain import MAINTENANCE_LOCK, check_owner
from ai_hub.stores.postgres.session import Connection, Sessions, session
from ai_hub.stores.postgres.snapshot import Snapshot
from ai_hub.stores.removal import Removal

if TYPE_CHECKING:
    import pyarrow as pa

ARCHIVE_LOCK = 7_248_003_005
TABLES: Mapping[Kind, str] = {"observations": "ai_features", "weather": "weather_features"}
_LONGEST = Duration(2 * HOUR)
"""The limit of one statement: days are counted by one."""
_COMPARED_ROWS = 1_000_000
"""Rows of a chunk that are compared at once, about."""
_WAIT = "5s"

_NAMES = ", ".join(COLUMNS)
_MARKS = ", ".join(f"${place}" for place in range(1, len(COLUMNS) + 1))
_SETS = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
_LAYERS = f"""
SELECT {_NAMES} FROM ai_hub_archive_layers WHERE $1::text IS NULL OR tenant_id = $1 ORDER BY number
"""
_KEEP = (
    f"INSERT INTO ai_hub_archive_layers ({_NAMES}) VALUES ({_MARKS}) "
    f"ON CONFLICT (layer_id) DO UPDATE SET {_SETS}"
)
_FORGET = "DELETE FROM ai_hub_archive_layers WHERE layer_id = ANY($1::text[])"
_FORGET_GONE = """
DELETE FROM ai_hub_archive_gone
WHERE tenant_id = $1 AND ($2::text[] IS NULL OR asset_id = ANY($2))
  AND ($3::text IS NULL OR feature_type = $3)
  AND ($4::timestamptz IS NULL OR timestamp >= $4)
  AND ($5::timestamptz IS NULL OR timestamp < $5)
"""
_DROPPED = "SELECT kind, dropped_before FROM ai_hub_archive"
_MOVE = """
INSERT INTO ai_hub_archive (kind, dropped_before) VALUES ($1, $2)
ON CONFLICT (kind) DO UPDATE SET dropped_before = excluded.dropped_before
"""
# Of each series it is known from which day on it has rows.
_TENANTS: Mapping[Kind, str] = {
    "observations": """
SELECT tenant_id FROM ai_hub_series WHERE first_day < $1
UNION SELECT tenant_id FROM ai_hub_archive_gone WHERE timestamp < $1
ORDER BY 1
""",
    "weather": """
WITH RECURSIVE one AS (
    (SELECT tenant_id FROM weather_features ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.tenant_id FROM weather_features t WHERE t.tenant_id > one.tenant_id
            ORDER BY t.tenant_id LIMIT 1)
    FROM one WHERE one.tenant_id IS NOT NULL
)
SELECT tenant_id FROM one WHERE tenant_id IS NOT NULL
  AND EXISTS (
    SELECT FROM weather_features t WHERE t.tenant_id = one.tenant_id AND t.timestamp < $1)
ORDER BY 1
""",
}
_DAYS = """
SELECT date_trunc('day', timestamp) AS day, count(*) FROM {table} WHERE timestamp < $1
GROUP BY 1 ORDER BY 1
"""
_ALL_ROWS = "SET enable_seqscan = on"
"""Other sessions have an index for what they ask."""
_CHUNKS = """
SELECT s::text AS chunk, c.range_start AS first, c.range_end AS past
FROM show_chunks($1::regclass, older_than => $2::timestamptz) AS s
JOIN timescaledb_information.chunks AS c
  ON format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = s
ORDER BY c.range_start
"""
_WHOSE = "SELECT DISTINCT tenant_id FROM {table}"
_DROP = (
    "SELECT drop_chunks($1::regclass, older_than => $2::timestamptz, newer_than => $3::timestamptz)"
)
_DELETED = """
UPDATE ai_hub_retention SET deleted_before = greatest(deleted_before, $2) WHERE relation = $1
"""
_SAME: Mapping[Kind, str] = {
    "observations": """
DELETE FROM ai_features t USING ai_hub_observations_in i
WHERE t.tenant_id = i.tenant_id AND t.asset_id = i.asset_id AND t.feature_type = i.feature_type
  AND t.timestamp = i.timestamp AND t.value = i.value
  AND t.timestamp >= $1 AND t.timestamp <= $2
""",
    "weather": f"""
DELETE FROM weather_features t USING ai_hub_weather_in i
WHERE t.tenant_id = i.tenant_id AND t.asset_id = i.asset_id AND t.timestamp = i.timestamp
  AND t.issued_at = i.issued_at AND t.timestamp >= $1 AND t.timestamp <= $2
  AND ({", ".join(f"t.{name}" for name in VALUES["weather"])})
    IS NOT DISTINCT FROM ({", ".join(f"i.{name}" for name in VALUES["weather"])})
""",
}
# What was taken back of a row that is in the archive by now, or was taken back again before.
_SAID = """
DELETE FROM ai_hub_archive_gone g USING ai_hub_observations_in i
WHERE g.tenant_id = i.tenant_id AND g.asset_id = i.asset_id
  AND g.feature_type = i.feature_type AND g.timestamp = i.timestamp
  AND (i.value IS NULL OR EXISTS (
    SELECT FROM ai_features t
    WHERE t.tenant_id = i.tenant_id AND t.asset_id = i.asset_id
      AND t.feature_type = i.feature_type AND t.timestamp = i.timestamp AND t.value = i.value))
"""


class PostgresArchiveTable:
    """The archive of a database."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While nobody else changes the archive."""
        async with session(self._settings, _LONGEST) as on:
            if not await on.fetchval("SELECT pg_try_advisory_lock($1)", ARCHIVE_LOCK):
                raise Busy("another process archives this database: try again when that has ended")
            if not self._has_chunks:
                await on.fetch(SUMMARIZE)
            # The session ends with it, and so does the lock.
            yield

    async def layers(self, tenant_id: str | None = None) -> list[Layer]:
        """The layers of a tenant, by number."""
        return [layer_of(row) for row in await self._sessions.fetch(_LAYERS, [tenant_id])]

    async def dropped(self) -> Mapping[Kind, int]:
        """Before when rows were taken out, by kind."""
        known = {row[0]: row[1] for row in await self._sessions.fetch(_DROPPED)}
        return {kind: known[kind] for kind in KINDS if kind in known}

    async def tenants(self, kind: Kind, before: int) -> list[str]:
        """Whose rows there are before a time."""
        async with session(self._settings, _LONGEST) as on:
            return [tenant_id for (tenant_id,) in await on.fetch(_TENANTS[kind], before)]

    async def spans(
        self, kind: Kind, tenant_id: str, start: int, end: int, rows: int
    ) -> list[tuple[int, int]]:
        """Spans of days that are all of a longer one, as the planner guesses their rows."""

        def guess() -> list[tuple[int, int]]:
            with closing(Snapshot(self._settings)) as snapshot:
                return guessed_spans(snapshot, kind, tenant_id, start, end, rows)

        return await asyncio.to_thread(guess)

    async def rows(
        self, kind: Kind, tenant_id: str, start: int, end: int, most: int | None = None
    ) -> pa.Table | None:
        """The rows of a tenant about a span."""

        def read() -> pa.Table | None:
            with closing(Snapshot(self._settings)) as snapshot:
                return read_rows(snapshot, kind, tenant_id, start, end, most)

        return await asyncio.to_thread(read)

    async def begin(self, layer: Layer) -> Layer:
        """Keep that a layer is under way."""

        async def insert(on: Connection) -> Layer:
            async with on.transaction():
                last = await on.fetchval("SELECT max(number) FROM ai_hub_archive_layers")
                numbered = replace(layer, number=(last or 0) + 1)
                await on.execute(_KEEP, *row_of(numbered).values())
            return numbered

        return await self._sessions.write(insert)

    async def keep(self, layers: list[Layer], audit: AuditRecord | None = None) -> None:
        """Keep what is known of layers by their ids."""

        async def keep(on: Connection) -> None:
            async with on.transaction():
                for layer in layers:
                    await on.execute(_KEEP, *row_of(layer).values())
                await write_audit(on, [audit] if audit else [])

        await self._sessions.write(keep)

    async def forget(self, layers: list[Layer], audit: AuditRecord | None = None) -> None:
        """Keep nothing of layers any more."""

        async def forget(on: Connection) -> None:
            async with on.transaction():
                await on.execute(_FORGET, [layer.id for layer in layers])
                await write_audit(on, [audit] if audit else [])

        await self._sessions.write(forget)

    async def bring_back(
        self, kind: Kind, tenant_id: str, rows: pa.Table, audit: AuditRecord
    ) -> int:
        """Put rows that were taken out where they were."""
        async with session(self._settings, _LONGEST) as on:
            return await bring_back(on, kind, tenant_id, rows, audit)

    async def end(self, left: list[Layer], audit: AuditRecord | None) -> None:
        """Keep nothing of the archive but some layers."""

        async def end(on: Connection) -> None:
            async with on.transaction():
                await on.execute(END)
                for layer in left:
                    await on.execute(_KEEP, *row_of(layer).values())
                await write_audit(on, [audit] if audit else [])

        await self._sessions.write(end)

    async def forget_gone(self, removal: Removal) -> None:
        """Keep nothing of what was taken back of rows that are removed."""
        ids = None if removal.asset_ids is None else list(removal.asset_ids)
        asked = removal.tenant_id, ids, removal.series, removal.start, removal.end

        async def forget(on: Connection) -> None:
            await on.execute(_FORGET_GONE, *asked)

        await self._sessions.write(forget)

    async def steps(self, kind: Kind, before: int) -> list[int]:
        """The ends of the steps in which rows before a time are taken out."""
        if self._has_chunks:
            async with session(self._settings) as on:
                chunks = await on.fetch(_CHUNKS, TABLES[kind], before)
            return sorted({row["past"] for row in chunks})
        async with session(self._settings, _LONGEST) as on:
            await on.execute(_ALL_ROWS)
            days = await on.fetch(_DAYS.replace("{table}", TABLES[kind]), before)
        return steps_of([(day, rows) for day, rows in days], before)

    @property
    def _has_chunks(self) -> bool:
        return self._sessions.facts.mode != "plain"

    async def drop(
        self,
        kind: Kind,
        start: int,
        end: int,
        tenants: Collection[str],
        archived: Archived,
        audit: AuditRecord,
    ) -> bool:
        """Take the rows about a span out, if the archive has just these."""
        try:
            async with session(self._settings, _LONGEST) as on:
                # While rows are compared, the transaction waits for us.
                await on.execute("SET idle_in_transaction_session_timeout = 0")
                if self._has_chunks:
                    await self._drop_chunks(on, kind, end, tenants, archived, audit)
                else:
                    await self._drop_rows(on, kind, start, end, tenants, archived, audit)
        except _Changed:
            return False
        return True

    async def _drop_rows(
        self,
        on: Connection,
        kind: Kind,
        start: int,
        end: int,
        tenants: Collection[str],
        archived: Archived,
        audit: AuditRecord,
    ) -> None:
        async with on.transaction():
            count = 0
            for tenant_id in tenants:
                rows = await asyncio.to_thread(archived, tenant_id, start, end)
                gone = await _delete(on, kind, tenant_id, rows)
                if gone < _usable(kind, rows):
                    raise _Changed
                count += gone
            await on.execute(_MOVE, kind, end)
            await write_audit(on, [replace(audit, count=count)] if count else [])

    async def _drop_chunks(
        self,
        on: Connection,
        kind: Kind,
        end: int,
        tenants: Collection[str],
        archived: Archived,
        audit: AuditRecord,
    ) -> None:
        table = TABLES[kind]
        await check_owner(on, "Dropping what is archived")
        if not await on.fetchval("SELECT pg_try_advisory_lock($1)", MAINTENANCE_LOCK):
            raise Busy("the database is being maintained: try again when that has ended")
        chunks = [row for row in await on.fetch(_CHUNKS, table, end) if row["past"] == end]
        try:
            async with on.transaction():
                await on.execute(f"SET LOCAL lock_timeout = '{_WAIT}'")
                for row in chunks:
                    await on.execute(f"LOCK TABLE {row['chunk']} IN SHARE MODE")
                count = 0
                for row in chunks:
                    live = await on.fetch(_WHOSE.replace("{table}", row["chunk"]))
                    span = row["first"] // DAY * DAY, row["past"]
                    for tenant_id in sorted({*tenants} | {one for (one,) in live}):
                        count += await asyncio.to_thread(
                            self._compared, kind, tenant_id, *span, archived
                        )
                for row in chunks:
                    await on.execute(_DELETED, table, row["past"])
                    await on.execute(_DROP, table, row["past"], row["first"])
                await on.execute(_MOVE, kind, end)
                await write_audit(on, [replace(audit, count=count)])
        except asyncpg.LockNotAvailableError:
            raise Busy(
                f"rows of {table} that are archived are being read or written: run it again, and "
                "they are dropped then"
            ) from None

    def _compared(
        self, kind: Kind, tenant_id: str, start: int, end: int, archived: Archived
    ) -> int:
        """How many rows a span has. Raises _Changed where the archive has others."""
        count = 0
        with closing(Snapshot(self._settings)) as snapshot:
            spans = guessed_spans(snapshot, kind, tenant_id, start, end, _COMPARED_ROWS)
            for first, last in spans:
                live = read_rows(snapshot, kind, tenant_id, first, last)
                assert live is not None
                if len(differences(kind, live, archived(tenant_id, first, last))):
                    raise _Changed
                count += len(live)
        return count

    async def drop_late(
        self, kind: Kind, tenant_id: str, rows: pa.Table, audit: AuditRecord
    ) -> int:
        """Take late rows out that are these."""
        async with session(self._settings, _LONGEST) as on:
            if self._has_chunks:
                await on.execute("SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
                await on.execute("SET plan_cache_mode = force_custom_plan")
            async with on.transaction():
                count = await _delete(on, kind, tenant_id, rows, late=True)
                await write_audit(on, [replace(audit, count=count)] if count else [])
        return count


class _Changed(Exception):
    """The archive does not have what the database has."""


async def _delete(
    on: Connection, kind: Kind, tenant_id: str, rows: pa.Table, late: bool = False
) -> int:
    """Delete the rows of the database that are just these; how many."""
    if not len(rows):
        return 0
    await copy_rows(on, kind, tenant_id, rows)
    times = micros(rows["timestamp"])
    if late and kind == "observations":
        await on.execute(_SAID)
    done = await on.execute(_SAME[kind], int(times.min()), int(times.max()))
    return int(done.split()[-1])


def _usable(kind: Kind, rows: pa.Table) -> int:
    """How many of some rows features read: the others are not in the table."""
    return len(rows) - (rows["value"].null_count if kind == "observations" else 0)
