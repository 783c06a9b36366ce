"""Deletes from a PostgreSQL database the rows that are past their retention, after a notice.

A row may go when it is older than its relation keeps it, and a notice period has passed both since
maintenance first ran on the relation (or was told to keep less) and since the row came in. Who does
not want to wait still has to be told first: by an earlier run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

from ai_hub.config import Settings
from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT, SECOND, iso
from ai_hub.stores.audit_log import noted
from ai_hub.stores.postgres.audit_log import counted, write_audit
from ai_hub.stores.postgres.declared import Declared, declared
from ai_hub.stores.postgres.migrations import Mode, declarations, retention_of
from ai_hub.stores.postgres.session import Connection

_AT_ONCE = 20_000
"""Rows of one small transaction, where there are no chunks to drop."""
_WAIT = "5s"
"""How long to wait for readers of a chunk: while we wait, others wait behind us."""

_CHUNKS = """
SELECT s::text AS chunk, c.range_start AS first, c.range_end AS past
FROM show_chunks($1::regclass, older_than => $2::timestamptz) AS s
JOIN timescaledb_information.chunks AS c
  ON format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = s
ORDER BY c.range_start
"""
_DELETED = """
UPDATE ai_hub_retention SET deleted_before = greatest(deleted_before, $2) WHERE relation = $1
"""

_ARCHIVED = """
SELECT DISTINCT CASE kind WHEN 'weather' THEN 'weather_features' ELSE 'ai_features' END
FROM ai_hub_archive_layers
"""
_BY_ARCHIVE = "it has an archive: rows are taken out by ai-hub archive --drop, once they are sealed"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that maintenance did or found: what, on which relation, and a sentence."""

    action: str
    relation: str
    said: str
    count: int = 0


class Retention:
    """The retention of one database, as its settings say, at one time."""

    def __init__(
        self, connection: Connection, settings: Settings, mode: Mode, now: int, at_once: bool
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._mode = mode
        self._now = now
        self._at_once = at_once
        self._notice = settings.retention_notice.micros

    async def declare(self) -> AsyncIterator[Step]:
        """Declare what the settings say by name, where the database has another retention."""
        before = await declared(self._connection)
        others = [
            one.relation for one in before if retention_of(one.relation, self._settings) != one.keep
        ]
        if said_by_name := declarations(others, self._settings):
            async with self._connection.transaction():
                await self._connection.execute(said_by_name)
                changed = [
                    noted("retention-set", None, 1, relation=one.relation, keep=one.text)
                    for one, was in zip(await declared(self._connection), before, strict=True)
                    if one.keep != was.keep
                ]
                await write_audit(self._connection, changed)
        for one, was in zip(await declared(self._connection), before, strict=True):
            if one.keep != was.keep:
                said = "kept for ever" if one.keep is None else f"kept for {one.text}"
                yield Step("declare", one.relation, f"{said} from now on", 1)
            if ignored := one.ignored(self._settings):
                yield Step("warn", one.relation, ignored)

    async def delete(self) -> AsyncIterator[Step]:
        """Delete what is old in every relation, and give notice of what will be deleted later."""
        archived = {relation for (relation,) in await self._connection.fetch(_ARCHIVED)}
        for kept in await declared(self._connection):
            if kept.keep is None:
                yield Step("keep", kept.relation, "everything is kept")
                continue
            if kept.relation in archived:
                yield Step("keep", kept.relation, _BY_ARCHIVE)
                continue
            # From when the notice period counts; None where nobody waits for it.
            told = None if self._at_once else kept.told_at
            if kept.told_at is None:
                told = self._now
                await self._connection.execute(
                    "UPDATE ai_hub_retention SET told_at = $2 WHERE relation = $1",
                    kept.relation,
                    told,
                )
            delete = self._delete_rows if self._mode == "plain" else self._drop_chunks
            cutoff = self._now - kept.keep.micros
            steps = [step async for step in delete(kept, cutoff, told)]
            for step in steps:
                yield step
            if not steps:
                yield Step("keep", kept.relation, f"nothing is older than {kept.text}")

    async def _drop_chunks(
        self, kept: Declared, cutoff: int, told: int | None
    ) -> AsyncIterator[Step]:
        dropped = before = 0
        later: list[tuple[int, int]] = []
        busy = None
        for row in await self._connection.fetch(_CHUNKS, kept.relation, cutoff):
            try:
                due = await self._drop(kept, row["chunk"], row["first"], row["past"], told)
            except asyncpg.LockNotAvailableError:
                busy = busy or row["first"]
                continue
            if due is None:
                dropped, before = dropped + 1, row["past"]
            else:
                later.append((row["first"], due))
        if dropped:
            chunks = "chunk" if dropped == 1 else "chunks"
            said = f"{dropped:,} {chunks} before {iso(before)} deleted"
            yield Step("delete", kept.relation, said, dropped)
        if busy is not None:
            said = f"rows older than {kept.text} are being read: they will be deleted next time"
            yield Step("wait", kept.relation, said)
        if later:
            yield self._notify(kept, min(later)[0], min(due for _, due in later))

    async def _drop(
        self, kept: Declared, chunk: str, first: int, past: int, told: int | None
    ) -> int | None:
        """Drop a chunk, or return the time from which it may be dropped."""
        on = self._connection
        async with on.transaction():
            await on.execute(f"SET LOCAL lock_timeout = '{_WAIT}'")
            if kept.has_arrivals and told is not None:
                # So that nobody adds a row between this look and the drop.
                await on.execute(f"LOCK TABLE {chunk} IN SHARE MODE")
                came = await on.fetchval(f"SELECT max(ingested_at) FROM {chunk}")
                told = max(told, came or told)
            if told is not None and not self._is_due(told):
                return told + self._notice
            # In the transaction of the drop: hours of rows that are gone are not refreshed.
            await on.execute(_DELETED, kept.relation, past)
            await on.execute(
                "SELECT drop_chunks($1::regclass, older_than => $2::timestamptz, "
                "newer_than => $3::timestamptz)",
                kept.relation, past, first,
            )  # fmt: skip
            since, until = iso(max(first, FIRST_INSTANT)), iso(past)
            record = noted(
                "retention", None, 1, relation=kept.relation, unit="chunk",
                start_time=since, end_time=until,
            )  # fmt: skip
            await write_audit(on, [record])
        return None

    async def _delete_rows(
        self, kept: Declared, cutoff: int, told: int | None
    ) -> AsyncIterator[Step]:
        on, relation = self._connection, kept.relation
        if told is None or self._is_due(told):
            arrived = LAST_INSTANT if told is None else self._now - self._notice
            old = f"FROM {relation} WHERE timestamp < $1 AND ingested_at <= $2"
            count = await self._delete_slowly(relation, old, cutoff, arrived)
            if count:
                await on.execute(_DELETED, relation, cutoff)
                rows = "row" if count == 1 else "rows"
                said = f"{count:,} {rows} before {iso(cutoff)} deleted"
                yield Step("delete", relation, said, count)
        first, came = await on.fetchrow(
            f"SELECT min(timestamp), min(ingested_at) FROM {relation} WHERE timestamp < $1", cutoff
        )
        if first is not None:
            yield self._notify(kept, first, max(told or came, came) + self._notice)

    async def _delete_slowly(self, relation: str, old: str, *arguments: int) -> int:
        """Delete some rows, found once, in small transactions, so that nobody waits for long."""
        on = self._connection
        bounds = [f"TIMESTAMPTZ '{iso(one)}'" for one in arguments]
        found = old.replace("$1", bounds[0]).replace("$2", bounds[1])
        await on.execute(f"DECLARE ai_hub_old CURSOR WITH HOLD FOR SELECT ctid {found}")
        try:
            count = 0
            while places := await on.fetch(f"FETCH {_AT_ONCE} FROM ai_hub_old"):
                # The condition again: another row may have taken the place of one that was found.
                here = [place for (place,) in places]
                record = noted(
                    "retention", None, 0, relation=relation, unit="row", end_time=iso(arguments[0])
                )
                statement = f"DELETE {old} AND ctid = ANY($3)"
                count += await counted(on, statement, record, *arguments, here)
            return count
        finally:
            await on.execute("CLOSE ai_hub_old")

    def _is_due(self, told: int) -> bool:
        return told + self._notice <= self._now

    def _notify(self, kept: Declared, first: int, due: int) -> Step:
        at = iso(due - due % SECOND)
        # The chunk of the first instant begins before it, at a time that has no text.
        since = iso(max(first, FIRST_INSTANT))
        return Step(
            "notice",
            kept.relation,
            f"rows since {since} are older than {kept.text}: they will be deleted from {at} on "
            f"(at once by the next run with --now). To keep them longer, run ai-hub retention set "
            f"{kept.relation} none",
        )
