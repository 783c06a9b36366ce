"""Moves chunks to the columnstore, puts late rows of such chunks in order, gives space back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ai_hub.stores.postgres.crew import IN_USE, Crew
from ai_hub.stores.postgres.retention import Step
from ai_hub.stores.postgres.session import Connection
from ai_hub.stores.postgres.write import EXPORTS_LOCK

_READERS_WAIT = "5s"
"""How long to wait for readers of a chunk: while we wait, other readers wait behind us."""

_RELATIONS = """
SELECT coalesce(a.view_name, j.hypertable_name)::text AS relation,
  j.config->>'compress_after' AS after
FROM timescaledb_information.jobs AS j
LEFT JOIN timescaledb_information.continuous_aggregates AS a
  ON a.materialization_hypertable_schema = j.hypertable_schema
  AND a.materialization_hypertable_name = j.hypertable_name
WHERE j.proc_name = 'policy_compression' AND j.config ? 'compress_after'
  AND coalesce(a.view_schema, j.hypertable_schema) = current_schema()
ORDER BY j.job_id
"""
_DUE = """
SELECT s::text FROM show_chunks($1::text::regclass, older_than => now() - $2::text::interval) AS s
WHERE _timescaledb_functions.chunk_status(s) & 1 = 0 ORDER BY 1
"""
_STORED = """
SELECT count(*) FROM show_chunks($1::text::regclass) AS s
WHERE _timescaledb_functions.chunk_status(s) & 1 = 1
"""
# Bit 0 of a chunk's status: in the columnstore; bits 1 and 3: some of its rows out of order, or
# beside it.
_WITH_LATE_ROWS = """
SELECT s::text FROM show_chunks($1::text::regclass) AS s
WHERE _timescaledb_functions.chunk_status(s) & 10 <> 0 ORDER BY 1
"""
# What a chunk of which all rows are in the columnstore has beside it is the room of rows that went
# there, and some of what it has there is that of rows that were written anew.
_ROOMY = """
SELECT s::text AS chunk, c.compress_relid::text AS inside
FROM show_chunks($1::text::regclass) AS s
JOIN _timescaledb_catalog.compression_settings AS c ON c.relid = s
WHERE _timescaledb_functions.chunk_status(s) = 1
  AND (pg_relation_size(s) > 0 OR pg_indexes_size(s) > 100000) ORDER BY 1
"""
# What the rows of a table say that they take, those parts included that are kept out of line.
_COLUMNS = """
SELECT string_agg(format('coalesce(pg_column_size(%I), 0)', attname), ' + ') FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
"""
_TAKEN = "SELECT coalesce(sum({columns} + 28), 0)::bigint FROM {table}"
_HELD = "SELECT pg_table_size($1::text::regclass)"
_MUCH_ROOM, _MUCH_OF_ALL = 100_000, 0.2
"""So many bytes in a table that are of no row, and such a share of it, are given back."""
_IS_EMPTY = "SELECT pg_relation_size($1::text::regclass) = 0"
_BYTES = "SELECT pg_total_relation_size($1::text::regclass)"


@dataclass(slots=True)
class _Done:
    """What was done to the chunks of a relation."""

    moved: int = 0
    ordered: set[str] = field(default_factory=set)
    freed: int = 0
    busy: set[str] = field(default_factory=set)


class Columnstore:
    """The columnstore in one run."""

    def __init__(self, crew: Crew, tell: Callable[[Step], None]) -> None:
        self._crew = crew
        self._tell = tell
        self._done: dict[str, _Done] = {}

    async def tidy(self) -> bool:
        """Put all chunks where they belong; False if time was up before that."""
        on = self._crew.lead
        for relation, after in await on.fetch(_RELATIONS):
            done = self._done.setdefault(relation, _Done())
            if not (
                await self._move(relation, after, done)
                and await self._order(relation, done)
                and await self._free(relation, done)
            ):
                return False
        return True

    async def sum_up(self) -> None:
        """Say what was done."""
        for relation, done in self._done.items():
            stored = await self._crew.lead.fetchval(_STORED, relation)
            if done.busy:
                said = f"{len(done.busy):,} chunks are in use, and will be tried again next time"
                self._tell(Step("wait", relation, said))
            said = f"{stored:,} chunks in the columnstore, {done.moved:,} of them new"
            if done.ordered:
                said += f", {len(done.ordered):,} with late rows"
            if done.freed >= 100_000:
                said += f", {done.freed / 1e6:,.1f} MB given back"
            self._tell(Step("compress", relation, said, done.moved + len(done.ordered)))

    async def _move(self, relation: str, after: str, done: _Done) -> bool:
        due = [chunk for (chunk,) in await self._crew.lead.fetch(_DUE, relation, after)]

        async def move(on: Connection, chunk: str) -> None:
            if await _compress(on, chunk):
                done.moved += 1
                done.busy.discard(chunk)
            else:
                done.busy.add(chunk)

        return await self._crew.each(due, move)

    async def _order(self, relation: str, done: _Done) -> bool:
        """Put late rows in order where no export reads a snapshot with them."""
        late = [chunk for (chunk,) in await self._crew.lead.fetch(_WITH_LATE_ROWS, relation)]
        size = self._crew.size

        async def order(on: Connection, chunk: str) -> None:
            if await _compress(on, chunk):
                done.ordered.add(chunk)
                done.busy.discard(chunk)
            else:
                done.busy.add(chunk)

        # As many as go side by side, then whoever wants to export may.
        for i in range(0, len(late), size):
            some = late[i : i + size]
            if not await self._crew.lead.fetchval("SELECT pg_try_advisory_lock($1)", EXPORTS_LOCK):
                done.busy.update(some)
                continue
            try:
                if not await self._crew.each(some, order):
                    return False
            finally:
                await self._crew.lead.execute("SELECT pg_advisory_unlock($1)", EXPORTS_LOCK)
        return True

    async def _free(self, relation: str, done: _Done) -> bool:
        roomy = await self._crew.lead.fetch(_ROOMY, relation)

        async def free(on: Connection, names: tuple[str, str]) -> None:
            before = sum([await on.fetchval(_BYTES, name) for name in names])
            for name in names:
                await on.execute(f"VACUUM {name}")
            # Of a table that is empty now the indexes still have all their pages. As long as they
            # do, a later run comes back to the chunk.
            if await _rewrite(on, names[1]) and await on.fetchval(_IS_EMPTY, names[0]):
                await _unless_in_use(on, f"REINDEX TABLE {names[0]}")
            done.freed += max(0, before - sum([await on.fetchval(_BYTES, name) for name in names]))

        return await self._crew.each([tuple(row) for row in roomy], free)


async def _compress(on: Connection, chunk: str) -> bool:
    """Have all rows of a chunk in the columnstore, in order; False if it is in use."""
    # Nobody who reads an older snapshot may be between that and planning a query: its plan would no
    # longer look for these rows where its snapshot has them.
    lock = f"LOCK TABLE {chunk} IN ACCESS EXCLUSIVE MODE"
    return await _unless_in_use(on, f"SELECT compress_chunk('{chunk}')", lock)


async def _rewrite(on: Connection, table: str) -> bool:
    """Leave no pages between rows that none has use for, if there are many; False if it is in use.

    Late rows in each batch of a chunk write all of it anew, behind what was there before.
    """
    columns = await on.fetchval(_COLUMNS, table)
    taken = await on.fetchval(_TAKEN.format(columns=columns, table=table))
    held = await on.fetchval(_HELD, table)
    if held - taken < max(_MUCH_ROOM, _MUCH_OF_ALL * held):
        return True
    try:
        await on.execute(f"SET lock_timeout = '{_READERS_WAIT}'")
        await on.execute(f"VACUUM (FULL) {table}")
    except IN_USE:
        return False
    finally:
        await on.execute("RESET lock_timeout")
    return True


async def _unless_in_use(on: Connection, *texts: str) -> bool:
    """Run statements in one transaction; False if what they need is in use."""
    try:
        async with on.transaction():
            await on.execute(f"SET LOCAL lock_timeout = '{_READERS_WAIT}'")
            for text in texts:
                await on.execute(text)
    except IN_USE:
        return False
    return True
