"""Chunks of TimescaleDB for rows that lie far apart, made before the rows are written.

A transaction that makes a chunk holds up everybody else who needs a new one until it ends, and has
a dozen locks for each. So chunks are made one by one, each in a transaction of its own.

Nor may there be a chunk for each week of ten millennia: what lies before 1970 shares one chunk, and
so does what lies from 2070 on; where chunks are there already, each gap between them is one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import numpy as np

from ai_hub.definitions.values import DAY, FIRST_INSTANT, LAST_INSTANT, iso
from ai_hub.engines.arrays import Ints
from ai_hub.errors import InvalidInput
from ai_hub.stores.postgres.errors import translated
from ai_hub.stores.postgres.migrations import Mode
from ai_hub.stores.postgres.session import Connection, Sessions

if TYPE_CHECKING:
    import pyarrow as pa

NEAR = (0, 36_524 * DAY)
"""From 1970 up to 2070: here chunks span what the hypertable says, a week."""
_CLOSE = 70 * DAY
"""Rows that are no further apart have their chunks made as they are written."""
_MANY = 200
"""Batches of rows in more chunks than this are written one at a time, as they take long, and so are
those that lack some: others have the other connections for writes."""
_LOCKS = 1.5
"""Locks of a transaction for each chunk that it writes rows to."""
_SHARE = 0.5
"""How much of the server's table of locks one batch may take: without any, nobody can work."""
_TRIES = 3
_COLLISION = "TS503"

# How much a chunk spans, and where there is one. With a further dimension, which somebody added, a
# range of time is not one chunk.
_LAYOUT = """
SELECT d.column_name, d.interval_length, array(
    SELECT s.range_start FROM _timescaledb_catalog.dimension_slice AS s
    WHERE s.dimension_id = d.id ORDER BY s.range_start),
  array(
    SELECT s.range_end FROM _timescaledb_catalog.dimension_slice AS s
    WHERE s.dimension_id = d.id ORDER BY s.range_start)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN _timescaledb_catalog.hypertable AS h ON h.schema_name = n.nspname AND h.table_name = c.relname
JOIN _timescaledb_catalog.dimension AS d ON d.hypertable_id = h.id
WHERE c.oid = $1::text::regclass AND h.num_dimensions = 1
"""
_MAKE = "SELECT FROM _timescaledb_functions.create_chunk($1::text::regclass, $2::text::jsonb)"
_LOCK_TABLE = """
SELECT current_setting('max_locks_per_transaction')::int
  * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """The ranges [start, end) of time of a hypertable's chunks, and what a new one spans (µs).

    `column` is its time. `gathers`: what is not NEAR shares chunks.
    """

    column: str
    interval: int
    starts: Ints
    ends: Ints
    gathers: bool = True

    def ranges(self, times: Ints) -> Ints:
        """The ranges that the rows of some times fall into, each once, in their order: (n, 2)."""
        first, past = NEAR if self.gathers else (FIRST_INSTANT, LAST_INSTANT + 1)
        low = times // self.interval * self.interval
        high = low + self.interval
        low, high = np.maximum(low, first), np.minimum(high, past)
        before, behind = times < first, times >= past
        low = np.where(before, FIRST_INSTANT, np.where(behind, past, low))
        high = np.where(before, first, np.where(behind, LAST_INSTANT + 1, high))
        # Between the chunk before it and the one behind it, or the chunk that it is in.
        place = np.searchsorted(self.starts, times, "right")
        start, end = np.append(FIRST_INSTANT, self.starts), np.append(FIRST_INSTANT, self.ends)
        inside = times < end[place]
        low = np.where(inside, start[place], np.maximum(low, end[place]))
        following = np.append(self.starts, LAST_INSTANT + 1)[place]
        high = np.where(inside, end[place], np.minimum(high, following))
        _, once = np.unique(low, return_index=True)
        return np.stack([low[once], high[once]], 1)

    def lacking(self, times: Ints) -> Ints:
        """The ranges of these for which there is no chunk."""
        ranges = self.ranges(times)
        found: Ints = ranges[~np.isin(ranges[:, 0], self.starts)]
        return found


class TimeChunks:
    """The chunks of a database's hypertables."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._turn = asyncio.Semaphore(1)

    @asynccontextmanager
    async def ready(self, rows: pa.Table, since: Mapping[str, int]) -> AsyncIterator[None]:
        """Write these rows meanwhile; `since` says from when on each hypertable has them.

        Raises InvalidInput for rows in more chunks than one transaction may write to.
        """
        mode = self._sessions.facts.mode
        times = np.asarray(rows["timestamp"].cast("int64"))
        if mode == "plain" or not len(times) or _close(times):
            yield
            return
        count = 0
        lacking: dict[str, Ints] = {}
        async with self._sessions.connection() as on:
            for relation, first in since.items():
                layout = await layout_of(on, relation, mode)
                if layout is None:
                    continue
                # Its first instant stands for all of a range.
                ranges = await asyncio.to_thread(layout.ranges, times[times >= first])
                count += len(ranges)
                lacking[relation] = layout.lacking(ranges[:, 0])[:, 0]
            most = int(await on.fetchval(_LOCK_TABLE) * _SHARE / _LOCKS)
        if count > most:
            raise _too_many(times, count, most)
        makes = mode == "timescaledb" and any(map(len, lacking.values()))
        async with self._in_turn() if makes or count > _MANY else nullcontext():
            if makes:
                async with self._sessions.writing() as on:
                    for relation, some in lacking.items():
                        await make_chunks(on, relation, some)
            yield

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        settings = self._sessions.settings
        with translated(settings.database_url):
            async with asyncio.timeout(settings.statement_timeout.seconds):
                await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()


async def layout_of(on: Connection, relation: str, mode: Mode) -> Layout | None:
    """The layout of a hypertable; None where chunks are not of time alone."""
    row = await on.fetchrow(_LAYOUT, relation)
    if row is None:
        return None
    column, interval, starts, ends = row
    # Chunks of any other range are of the full licence.
    gathers = mode == "timescaledb"
    first, past = (np.array(some, np.int64) for some in (starts, ends))
    return Layout(column, interval, first, past, gathers)


async def make_chunks(on: Connection, relation: str, times: Ints) -> None:
    """Make the chunks that rows of these times lack, each in a transaction of its own."""
    for _ in range(_TRIES):
        layout = await layout_of(on, relation, "timescaledb")
        if layout is None:
            return
        try:
            for span in layout.lacking(times).tolist():
                await on.execute(_MAKE, relation, json.dumps({layout.column: span}))
            return
        except asyncpg.PostgresError as error:
            # Somebody made one in a part of its range in the meantime.
            if error.sqlstate != _COLLISION:
                raise


def _close(times: Ints) -> bool:
    first, last = int(times.min()), int(times.max())
    return NEAR[0] <= first and last < NEAR[1] and last - first < _CLOSE


def _too_many(times: Ints, count: int, most: int) -> InvalidInput:
    first, last = (iso(int(one)) for one in (times.min(), times.max()))
    return InvalidInput(
        "timestamp",
        f"rows from {first} to {last}, in {count:,} chunks",
        f"at most {most:,} chunks in one batch",
        "Nothing of it was stored. Send it in parts, by time (or raise max_locks_per_transaction "
        "of PostgreSQL).",
    )
