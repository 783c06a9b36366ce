"""Brings the hourly and daily aggregates up to date, by the protocol of docs/decisions/0008.

In this order, each in steps of which every one is kept: times that were never refreshed; late rows
of the last weeks; late rows of before, newest first and series by series.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import asyncpg
import numpy as np

from ai_hub.definitions.values import DAY, FIRST_INSTANT, HOUR, iso
from ai_hub.stores.postgres.corrections import aggregates, correct
from ai_hub.stores.postgres.crew import IN_USE, Crew
from ai_hub.stores.postgres.late import Late, note_all, noted, settle
from ai_hub.stores.postgres.pieces import Span, pieces, spans
from ai_hub.stores.postgres.retention import Step
from ai_hub.stores.postgres.session import Connection
from ai_hub.stores.postgres.time_chunks import NEAR, make_chunks
from ai_hub.stores.postgres.write import WRITERS_LOCK

_END_OFFSET = HOUR
"""How far behind now refreshing stops: readings still arrive for the last hour."""
_LOOK_BACK = 14 * DAY
"""Refreshed each time where something changed, for rows that other programs wrote."""
_REACH = 15 * DAY
"""Within it late rows are refreshed by time: scheduled policies refresh there too, and the database
keeps refreshes apart from each other. Before it they are corrected series by series."""
_GROUP = 70 * DAY
"""Late rows are corrected within such a time, which is a few chunks of hours and one of days."""
_SLICE, _SLICE_MOST, _SLICE_SECONDS = 32, 1024, 2.0
"""How many series one step corrects at first, at most, and for about how long."""
_MUCH_BYTES, _MUCH_WRONG = 256 << 20, 300
"""After so many bytes refreshed, or hours and days corrected, chunks are put where they belong: a
bucket in the columnstore that is corrected takes a thousand others out."""
_WRITERS_WAIT = "30s"
_GIVE_SPAN = "SELECT set_config('ai_hub.first', $1, false), set_config('ai_hub.last', $2, false)"
_REFRESH_TRIES = 300
_CORRECTION_TRIES = 5

_ANNOUNCE = "UPDATE ai_hub_hourly SET announced = greatest(announced, $1) RETURNING announced, done"
# Not where the table was emptied meanwhile.
_DONE = "UPDATE ai_hub_hourly SET done = $2 WHERE done = $1"
_OLDEST_CHUNK = """
SELECT min(range_start) FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = 'ai_features'
"""
_CHUNKS = """
SELECT c.range_start AS first, c.range_end AS past,
  pg_total_relation_size(format('%I.%I', c.chunk_schema, c.chunk_name)::regclass) AS bytes
FROM timescaledb_information.chunks AS c
WHERE format('%I.%I', c.hypertable_schema, c.hypertable_name)::regclass
    = ANY($1::text[]::regclass[])
  AND c.range_end > $2 AND c.range_start < $3
ORDER BY c.range_start
"""
# Where the policies that the server schedules refresh, as far back as any of them.
_POLICIES = """
SELECT min(now() - (j.config->>'start_offset')::interval) AS first,
  coalesce(bool_or(j.config->>'start_offset' IS NULL), false) AS all
FROM timescaledb_information.jobs AS j
LEFT JOIN timescaledb_information.continuous_aggregates AS a
  ON a.materialization_hypertable_schema = j.hypertable_schema
  AND a.materialization_hypertable_name = j.hypertable_name
WHERE j.proc_name = 'policy_refresh_continuous_aggregate' AND j.scheduled
  AND coalesce(a.view_schema, j.hypertable_schema) = current_schema()
  AND coalesce(a.view_name, j.hypertable_name) IN ('hourly_features', 'daily_features')
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


class Refresh:
    """The refresh of one run. `tidied` is called after each long time of which much was written."""

    def __init__(
        self,
        crew: Crew,
        now: int,
        tell: Callable[[Step], None],
        tidied: Callable[[], Awaitable[object]],
    ) -> None:
        self._crew = crew
        self._on = crew.lead
        self._now = now
        self._tell = tell
        self._tidied = tidied
        self._steps = self._ended = 0
        self._slice = _SLICE
        self._untidy = 0
        self._wrong = {"hourly": 0, "daily": 0}
        self._busy: set[Late] = set()

    async def run(self, rebuild: Span | None) -> bool:
        """Bring both aggregates up to date; False if time was up before that.

        `rebuild` is taken for changed.
        """
        target, done = await self._on.fetchrow(_ANNOUNCE, (self._now - _END_OFFSET) // HOUR * HOUR)
        self._both = await aggregates(self._on)
        if rebuild is not None:
            await note_all(self._on, [one.stored for one in self._both], rebuild)
        if not await self._writers_ended():
            return True
        late = await noted(self._on)
        oldest = await self._on.fetchval(_OLDEST_CHUNK)
        self._done = done
        if oldest is None:
            # Hours of rows that are gone are of nothing any more.
            await self._on.execute(_DROPPED, target)
            await self._advance(self._on, target)
            await settle(self._on, late, FIRST_INSTANT)
            return True
        # The chunk of the first instant begins before it, at a time that has no text.
        oldest = max(oldest, FIRST_INSTANT)
        await self._on.execute(_DROPPED, oldest)
        deleted = await self._on.fetchrow(_DELETED)
        hours = _latest(oldest, deleted["rows"], deleted["hours"])
        # The first day that has a refreshed hour is computed from the hours there are.
        self._since = hours, _latest(hours // DAY * DAY, deleted["hours"], deleted["days"])
        self._until = target
        if hours < NEAR[0]:
            for one in self._both:
                await make_chunks(self._on, one.stored, np.array([hours]))
        known = max(done, hours)
        chunks = await self._on.fetch(_CHUNKS, ["ai_features"], known, target)
        fresh = pieces(known, target, [(row["first"], row["past"], row["bytes"]) for row in chunks])
        self._piece_bytes = sum(row["bytes"] for row in chunks) // max(1, len(fresh))
        reach = max(hours, await self._reach())
        changed = [(max(one.first, reach), min(one.last + 1, known)) for one in late]
        recent = spans(changed, HOUR, reach, known)
        old = await self._groups(late, min(known, reach))
        self._plan(fresh, recent, old, late)
        complete = (
            await self._refresh_fresh(fresh, late, known)
            and await self._refresh_recent(recent, late, reach)
            and await self._correct_old(old, late)
        )
        if not complete:
            left = self._steps - self._ended
            said = f"time is up: {left:,} of {self._steps:,} steps are left for the next run"
            self._tell(Step("wait", "hourly_features", said))
        if self._busy:
            said = (
                f"{len(self._busy):,} series with late rows are being written: they will be "
                "corrected next time"
            )
            self._tell(Step("wait", "hourly_features", said))
        self._sum_up(fresh + recent)
        return complete

    async def _writers_ended(self) -> bool:
        """Whether those who wrote before it was announced have committed."""
        try:
            async with self._on.transaction():
                # They have once the lock is ours. Other writers wait behind us, so we do not wait
                # for long.
                await self._on.execute(f"SET LOCAL lock_timeout = '{_WRITERS_WAIT}'")
                await self._on.execute("SELECT pg_advisory_xact_lock($1)", WRITERS_LOCK)
        except asyncpg.LockNotAvailableError:
            said = (
                f"a transaction that wrote to ai_features did not end for {_WRITERS_WAIT}: it will "
                "be refreshed next time. pg_stat_activity names those that are idle in transaction"
            )
            self._tell(Step("wait", "hourly_features", said))
            return False
        return True

    async def _reach(self) -> int:
        """From when on late rows are refreshed by time."""
        first, everything = await self._on.fetchrow(_POLICIES)
        if everything:
            return FIRST_INSTANT
        reach = self._now - _REACH
        return (reach if first is None else min(reach, first)) // DAY * DAY

    async def _groups(self, late: Sequence[Late], end: int) -> list[Span]:
        """Times before `end` that have late rows, newest first, each within a chunk of days."""
        first = self._since[0]
        names = ["ai_features", *(one.stored for one in self._both)]
        held = {
            at
            for row in await self._on.fetch(_CHUNKS, names, first, end)
            for at in range(row["first"] // _GROUP, -(-row["past"] // _GROUP))
        }
        # What is before NEAR shares chunks, and is one group.
        least = NEAR[0] // _GROUP - 1
        found = [
            (first if at == least else max(at * _GROUP, first), min((at + 1) * _GROUP, end))
            for at in sorted({max(at, least) for at in held})
        ]
        touched = spans([(one.first, one.last + 1) for one in late], HOUR, first, end)
        return [
            (start, past)
            for start, past in reversed(found)
            if any(since < past and until > start for since, until in touched)
        ]

    def _plan(
        self, fresh: Sequence[Span], recent: Sequence[Span], old: Sequence[Span], late: list[Late]
    ) -> None:
        self._steps = len(fresh) + len(recent) + len(old)
        if self._steps < 2:
            return
        parts = []
        if fresh:
            first, end = iso(fresh[0][0]), iso(fresh[-1][1])
            parts.append(f"{len(fresh):,} of what was never refreshed, from {first} to {end}")
        if recent:
            parts.append(f"{len(recent):,} of late rows since {iso(recent[0][0])}")
        if old:
            parts.append(
                f"{len(old):,} of late rows from {iso(old[-1][0])} to {iso(old[0][1])}, of "
                f"{len(late):,} series"
            )
        self._tell(Step("plan", "hourly_features", f"{self._steps:,} steps: {', '.join(parts)}"))

    def _step(self, span: Span, what: str, begin: float) -> None:
        self._ended += 1
        if self._steps < 2:
            return
        took = time.monotonic() - begin
        said = f"{self._ended:,} of {self._steps:,}: from {iso(span[0])} to {iso(span[1])} {what}"
        self._tell(Step("step", "hourly_features", f"{said}, {took:.1f} s"))

    async def _advance(self, on: Connection, done: int) -> None:
        """Say that hours up to `done` are refreshed, unless somebody emptied the table."""
        said = await on.execute(_DONE, self._done, done)
        if said == "UPDATE 1":
            self._done = done

    async def _refresh_fresh(self, fresh: Sequence[Span], late: list[Late], known: int) -> bool:
        """Compute what was never refreshed, several pieces at a time."""
        ended: set[Span] = set()
        rest = list(fresh)
        advancing = asyncio.Lock()

        async def refresh(on: Connection, piece: Span) -> None:
            begin = time.monotonic()
            await _call_refresh(on, "hourly_features", piece, "true")
            start, end = piece[0] // DAY * DAY, piece[1] // DAY * DAY
            if max(start, self._since[1]) < end:
                await _call_refresh(on, "daily_features", (max(start, self._since[1]), end), "true")
            ended.add(piece)
            async with advancing:
                while rest and rest[0] in ended:
                    await self._advance(on, rest.pop(0)[1])
            self._step(piece, "refreshed", begin)

        waiting = 0
        for _, group in itertools.groupby(fresh, lambda piece: piece[0] // _GROUP):
            some = list(group)
            if not await self._crew.each(some, refresh):
                return False
            waiting += len(some) * self._piece_bytes
            if waiting >= _MUCH_BYTES:
                waiting = 0
                await self._tidied()
        await self._advance(self._on, self._until)
        await settle(self._on, late, known)
        return True

    async def _refresh_recent(self, recent: Sequence[Span], late: list[Late], reach: int) -> bool:
        """Compute anew where late rows are recent, also what the database takes for up to date.

        It misses a row that is committed while the first refresh of its time runs.
        """

        async def refresh(on: Connection, span: Span) -> None:
            begin = time.monotonic()
            await _call_refresh(on, "hourly_features", span, "true")
            for days in spans([span], DAY, self._since[1], self._until):
                await _call_refresh(on, "daily_features", days, "true")
            self._step(span, "computed anew", begin)

        if not await self._crew.each(recent, refresh):
            return False
        await settle(self._on, late, reach)
        look_back = (self._now - _LOOK_BACK, self._until)
        for one, since in zip(self._both, self._since, strict=True):
            for span in spans([look_back], one.width, since, self._until):
                await _call_refresh(self._on, f"{one.unit}_features", span, "false")
        return True

    async def _correct_old(self, groups: Sequence[Span], late: list[Late]) -> bool:
        """Correct what late rows changed, series by series, and note it with each step."""
        if groups:
            # What the late rows themselves took out of the columnstore goes back first.
            await self._tidied()
        for span in groups:
            begin, before = time.monotonic(), sum(self._wrong.values())
            some = [one for one in late if one.first < span[1] and one.last >= span[0]]
            left = [one for one in some if one not in self._busy]
            while left:
                if not await self._crew.each(self._slices(left), self._correcting(span)):
                    return False
                if self._untidy >= _MUCH_WRONG:
                    self._untidy = 0
                    await self._tidied()
            wrong = sum(self._wrong.values()) - before
            what = f"compared for {len(some):,} series, {wrong:,} hours and days corrected"
            self._step(span, what, begin)
        await settle(self._on, [one for one in late if one not in self._busy], FIRST_INSTANT)
        return True

    def _slices(self, left: list[Late]) -> Iterator[list[Late]]:
        """Take some after some out of what is left, until chunks are to be tidied."""
        while left and self._untidy < _MUCH_WRONG:
            some = left[: self._slice]
            del left[: self._slice]
            yield some

    def _correcting(self, span: Span) -> Callable[[Connection, list[Late]], Awaitable[None]]:
        since = [max(span[0], first) for first in self._since]

        async def step(on: Connection, some: list[Late]) -> None:
            begin = time.monotonic()
            for _ in range(_CORRECTION_TRIES):
                try:
                    wrong = await correct(on, self._both, some, span[1], since)
                except IN_USE:
                    continue
                for one, count in zip(self._both, wrong, strict=True):
                    self._wrong[one.unit] += count
                self._untidy += sum(wrong)
                await settle(on, some, span[0])
                break
            else:
                self._busy.update(some)
            if (took := time.monotonic() - begin) < _SLICE_SECONDS / 2:
                self._slice = min(_SLICE_MOST, self._slice * 2)
            elif took > _SLICE_SECONDS * 2:
                self._slice = max(1, self._slice // 2)

        return step

    def _sum_up(self, anew: Sequence[Span]) -> None:
        for one in self._both:
            end, wrong = self._done // one.width * one.width, self._wrong[one.unit]
            said = f"up to {iso(end)}" if end >= FIRST_INSTANT else "up to nothing yet"
            if anew:
                first, last = min(start for start, _ in anew), max(past for _, past in anew)
                said += f", computed anew from {iso(first)} to {iso(min(last, end))}"
            if wrong:
                said += f", {wrong:,} corrected"
            self._tell(Step("refresh", f"{one.unit}_features", said, len(anew) + wrong))


def _latest(*times: int | None) -> int:
    return max(one for one in times if one is not None)


async def _call_refresh(on: Connection, aggregate: str, span: Span, force: str) -> None:
    # CALL takes no parameters here, and with literals each would be a statement of its own to
    # `pg_stat_statements`.
    await on.execute(_GIVE_SPAN, *map(iso, span))
    for left in range(_REFRESH_TRIES - 1, -1, -1):
        try:
            await on.execute(
                f"CALL refresh_continuous_aggregate('{aggregate}', ai_hub_given_time('first'), "
                f"ai_hub_given_time('last'), {force}, '{{\"buckets_per_batch\": 0}}')"
            )
            return
        except asyncpg.LockNotAvailableError:
            # A scheduled policy is refreshing the same time.
            if not left:
                raise
            await asyncio.sleep(1)
