"""One answer now on PostgreSQL: a plan's statement, one round trip, callers gathered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ai_hub.definitions.periods import longest
from ai_hub.definitions.values import DAY, FIRST_INSTANT, HOUR
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.arrays import Floats, Ints
from ai_hub.engines.fill import fill
from ai_hub.engines.plan import Plan, RangePass
from ai_hub.engines.sql import mergeable, statement
from ai_hub.engines.sql_rows import Depth, Point, Shape, Statement
from ai_hub.engines.traits import Source
from ai_hub.errors import StoreError
from ai_hub.fairness import others_first
from ai_hub.stores.base import Vectors
from ai_hub.stores.postgres.guesses import Densities, Gaps, Zones
from ai_hub.stores.postgres.session import Connection, Row, Sessions, snapshot
from ai_hub.stores.postgres.vector_rows import one_of, with_rows
from ai_hub.stores.postgres.views import PostgresViews

MERGED_ROWS = 5_000
"""Windows of more rows are read from hourly partials."""
_SETTLES = 13 * DAY
"""Younger rows are not in the columnstore: they go there after 14 days, and clocks differ."""
_MOST_CALLERS = 100
"""Callers that share a statement, at most."""
_MOST_STATEMENTS = 2
"""Statements of one plan and era under way at once; later callers wait, and share the next one."""
_ERA = 30 * DAY
"""Callers share a statement if their times are in the same one: it looks at all chunks that lie
between its times, so one caller of years ago would have it look at years."""
_MOST_LANES = 1_024
_AT_ONCE = 100
"""Vectors that are computed before others have their turn."""


class PointReader:
    """Features of entities as of their times."""

    def __init__(self, sessions: Sessions, views: PostgresViews) -> None:
        self._sessions = sessions
        self._views = views
        self._densities = Densities()
        # Reads of all values take long: they leave most of the pool to everybody else. And those of
        # old times, of which there are many eras, leave half of it to recent ones.
        size = sessions.settings.pool_size
        self._room = _Room(
            asyncio.Semaphore(max(1, size // 4)), asyncio.Semaphore(max(1, size // 2))
        )
        self._lanes: dict[tuple[int, object], _Lane] = {}

    async def compute(
        self, plan: Plan, missing: Missing | None, tenant_id: str, asset_ids: Sequence[str], at: int
    ) -> Vectors:
        """The features of some assets as of one time, filled; single ones share statements."""
        lane = self.lane(plan, missing)
        if len(asset_ids) == 1:
            return await lane.ask((tenant_id, asset_ids[0], at))
        return await lane.read([(tenant_id, asset_id, at) for asset_id in asset_ids])

    def lane(self, plan: Plan, missing: Missing | None) -> _Lane:
        """Where callers of one plan and policy share statements."""
        # Equal plans are one object, and hashing a plan takes longer than all else here.
        key = (id(plan), missing)
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= _MOST_LANES:
                self._lanes = {k: one for k, one in self._lanes.items() if one.busy}
            lane = _Lane(plan, missing, self._sessions, self._views, self._densities, self._room)
            self._lanes[key] = lane
        return lane


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of the pool the reads of all values, and the shared ones of old times, may take."""

    exact: asyncio.Semaphore
    old: asyncio.Semaphore


@dataclass(slots=True)
class _Queue:
    """The callers of one era that wait, and how many statements are under way for others of it."""

    waiting: list[tuple[Point, asyncio.Future[Vectors]]] = field(default_factory=list)
    under_way: int = 0


class _Lane:
    """The callers of one plan under one policy, and the statements that they share."""

    def __init__(
        self,
        plan: Plan,
        missing: Missing | None,
        sessions: Sessions,
        views: PostgresViews,
        densities: Densities,
        room: _Room,
    ) -> None:
        self._plan = plan
        self._missing = missing
        self._sessions = sessions
        self._views = views
        self._densities = densities
        self._room = room
        self._statements: dict[tuple[Shape, frozenset[RangePass], Depth], Statement] = {}
        self._gaps = Gaps()
        self._zones = Zones()
        self._queues: dict[int, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        keep = sessions.facts.keep.get("ai_features")
        self._kept = None if keep is None else keep.micros
        # Where partials may help: windows of a whole hour at least, statistics that merge.
        self._long = [
            one for one in plan.ranges if _width(one) > HOUR and mergeable(one)
        ] if sessions.facts.mode == "timescaledb" else []  # fmt: skip

    @property
    def busy(self) -> bool:
        """Whether a statement is under way or a caller waits."""
        return bool(self._queues)

    def learn(self) -> None:
        """Have the statement prepared on every connection opened from now on."""
        if self._plan.reads:
            self._statement("one", frozenset(), "features")
            self._statement("one", frozenset(), "filled")

    async def ask(self, point: Point) -> Vectors:
        """One entity's features: at once if few are under way, else with other callers."""
        era = point[2] // _ERA
        queue = self._queues.get(era)
        if queue is None:
            queue = self._queues[era] = _Queue()
        if queue.under_way < _MOST_STATEMENTS:
            queue.under_way += 1
            try:
                found, beyond = await self._look_in(era, [point])
            finally:
                self._finished(era)
            return await self._exactly([point]) if beyond else found
        future: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        queue.waiting.append((point, future))
        return await future

    def _finished(self, era: int) -> None:
        queue = self._queues[era]
        queue.under_way -= 1
        waiting = [one for one in queue.waiting if not one[1].done()]
        queue.waiting = waiting[_MOST_CALLERS:]
        if waiting:
            queue.under_way += 1
            self._go_on(self._answer(era, waiting[:_MOST_CALLERS]))
        elif not queue.under_way:
            del self._queues[era]

    async def _look_in(self, era: int, points: Sequence[Point]) -> tuple[Vectors, list[int]]:
        """What `_look` gives, of points of one era: of an old one, where the pool has room."""
        if (era + 2) * _ERA > time.time_ns() // 1_000:
            return await self._look(points)
        async with self._room.old:
            return await self._look(points)

    async def _answer(self, era: int, callers: list[tuple[Point, asyncio.Future[Vectors]]]) -> None:
        try:
            found, beyond = await self._look_in(era, [point for point, _ in callers])
        except BaseException as error:
            self._fail(callers, error)
            if not isinstance(error, StoreError):
                raise
        else:
            for row, (_, future) in enumerate(callers):
                if row not in beyond and not future.done():
                    future.set_result(one_of(found, row))
            if beyond:
                # Nobody else waits for those.
                self._go_on(self._answer_exactly([callers[row] for row in beyond]))
        finally:
            self._finished(era)

    async def _answer_exactly(self, callers: list[tuple[Point, asyncio.Future[Vectors]]]) -> None:
        try:
            found = await self._exactly([point for point, _ in callers])
        except BaseException as error:
            self._fail(callers, error)
            if not isinstance(error, StoreError):
                raise
        else:
            for row, (_, future) in enumerate(callers):
                if not future.done():
                    future.set_result(one_of(found, row))

    def _fail(
        self, callers: list[tuple[Point, asyncio.Future[Vectors]]], error: BaseException
    ) -> None:
        for _, future in callers:
            if not future.done():
                future.set_exception(error)

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def read(self, points: Sequence[Point]) -> Vectors:
        """The features at some points, in their order; each point's are of one moment."""
        found, beyond = await self._look(points)
        if not beyond:
            return found
        exact = await self._exactly([points[row] for row in beyond])
        return with_rows(found, beyond, exact, len(points))

    async def _look(self, points: Sequence[Point]) -> tuple[Vectors, list[int]]:
        """The features at some points, and at which of them they have to be read otherwise."""
        plan = self._plan
        times = np.array([t for _, _, t in points], np.int64)
        if not plan.reads and not plan.views:
            chosen = statement(plan, self._missing, "one")
            return await self._vectors(chosen, [()] * len(points), times), []
        merged = self._merged(points)
        # Means are read with the rest, or not at all: a vector is of one moment.
        # What is outside its range is missing only once it was seen.
        always = bool(plan.nulled or plan.views)
        depth: Depth = "filled" if always or self._gaps.likely(points) else "features"
        chosen, rows = await self._fetch(points, merged, depth)
        lacking = chosen.lacking(rows)
        self._gaps.note(points, lacking)
        if depth == "features" and lacking:
            some = [points[row] for row in lacking]
            chosen, again = await self._fetch(some, merged, "filled")
            for row, whole in zip(lacking, again, strict=True):
                rows[row] = whole
        return await self._vectors(chosen, rows, times, points), chosen.beyond(rows)

    async def _exactly(self, points: Sequence[Point]) -> Vectors:
        """The features at some points, computed here from all values that their windows hold."""
        async with self._room.exact:
            chosen, rows = await self._fetch(points, frozenset(), "values")
        times = np.array([t for _, _, t in points], np.int64)
        return await self._vectors(chosen, rows, times)

    async def _fetch(
        self, points: Sequence[Point], merged: frozenset[RangePass], depth: Depth
    ) -> tuple[Statement, list[Row]]:
        zones = self._zones.of(points) if self._plan.has_asset_zone else [None] * len(points)
        while True:
            chosen, rows = await self._fetch_in(points, zones, merged, depth)
            read = chosen.zones(rows)
            if read == zones:
                return chosen, rows
            # What zone an asset is in was another when it was last seen.
            zones = read
            self._zones.note(points, zones)

    async def _fetch_in(
        self,
        points: Sequence[Point],
        zones: Sequence[str | None],
        merged: frozenset[RangePass],
        depth: Depth,
    ) -> tuple[Statement, list[Row]]:
        shape: Shape = "one"
        if len(points) > 1:
            alike = len({t for _, _, t in points}) == 1 and len(set(zones)) == 1
            shape = "together" if alike else "apart"
        chosen = self._statement(shape, merged, depth)
        arguments = chosen.arguments(points, zones)
        tables = ["ai_features"] if self._plan.series else []
        tables += ["hourly_features"] if merged else []
        tables += ["weather_features"] if self._plan.weather else []
        if self._plan.views:
            if self._sessions.facts.mode == "timescaledb":
                # A view may read rows of either that are moved.
                tables = [*dict.fromkeys((*tables, "ai_features", "weather_features"))]
            return chosen, await self._beside_views(chosen.text, arguments, tables, points)
        # Rows of attributes alone are never moved.
        if not tables or not (merged or self._settled(chosen, points)):
            return chosen, await self._sessions.fetch(chosen.text, arguments)
        return chosen, await self._sessions.fetch_in_snapshot(chosen.text, arguments, tables)

    async def _beside_views(
        self, text: str, arguments: list[object], tables: Sequence[str], points: Sequence[Point]
    ) -> list[Row]:
        """The rows of a statement, each with what is read of views on the same snapshot."""
        plan, views = self._plan, self._views

        async def read(on: Connection) -> list[Row]:
            await views.learn(on, plan.views)
            async with snapshot(on, tables):
                rows = await on.fetch(text, *arguments) if plan.reads else [()] * len(points)
                beside = await views.read(on, plan.views, points)
            await views.check(on, plan.views, beside)
            return [(*row, *cells) for row, cells in zip(rows, beside, strict=True)]

        return await self._sessions.again(read)

    def _settled(self, chosen: Statement, points: Sequence[Point]) -> bool:
        """Whether rows may be read that are in the columnstore."""
        if self._sessions.facts.mode != "timescaledb":
            return False
        if not (self._plan.series or self._plan.weather):
            return False  # attributes are in an ordinary table
        earliest = min(t for _, _, t in points)
        first = min(bound.at(earliest, None) for bound in chosen.bounds)
        if self._plan.has_asset_zone:
            first = min(first, earliest - max(self._plan.lookback, self._plan.weather_lookback))
        return first < time.time_ns() // 1_000 - _SETTLES

    def _statement(self, shape: Shape, merged: frozenset[RangePass], depth: Depth) -> Statement:
        chosen = self._statements.get((shape, merged, depth))
        if chosen is None:
            chosen = statement(self._plan, self._missing, shape, merged, depth)
            self._statements[shape, merged, depth] = chosen
            # Of views alone there is nothing to read here.
            if depth != "values" and self._plan.reads:
                self._sessions.remember(chosen.text, chosen.arguments([("", "", 0)]))
        return chosen

    def _merged(self, points: Sequence[Point]) -> frozenset[RangePass]:
        if not self._long:
            return frozenset()
        # Where raw rows may be deleted already, their hours must not stand in for them.
        oldest = FIRST_INSTANT if self._kept is None else time.time_ns() // 1_000 - self._kept
        earliest = min(t for _, _, t in points)
        return frozenset(
            one
            for one in self._long
            if earliest - _width(one) >= oldest
            and self._densities.most(one.input.name, points) * _width(one) > MERGED_ROWS
        )

    async def _vectors(
        self,
        chosen: Statement,
        rows: Sequence[Sequence[object]],
        times: Ints,
        points: Sequence[Point] = (),
    ) -> Vectors:
        many = len(rows) > _AT_ONCE
        if many:
            await others_first()
        columns, violations = chosen.columns(rows, times)
        if many:
            await others_first()
        # Densities matter only where some window could be read from partials.
        for one, count in chosen.counts(rows) if self._long and points else ():
            self._densities.note(one.input.name, points, count / _width(one))

        def mean_of(source: Source, some: Ints) -> Floats:
            return chosen.mean_of(rows, source)[some]

        filled = fill(self._plan, self._missing, columns, mean_of)
        return Vectors(*filled, violations, chosen.faults(rows))


def _width(one: RangePass) -> int:
    return longest(one.width)
