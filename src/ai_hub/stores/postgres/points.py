"""One answer now on PostgreSQL: a plan's statement, one round trip, callers gathered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import asyncpg
import numpy as np

from ai_hub.definitions.kinds import Missing
from ai_hub.definitions.values import FIRST_INSTANT, HOUR
from ai_hub.engines.arrays import Columns, Floats, Ints
from ai_hub.engines.fill import fill
from ai_hub.engines.plan import Plan, RangePass, Source, WindowPass
from ai_hub.engines.sql import Point, Shape, Statement, mergeable, statement
from ai_hub.errors import StoreError
from ai_hub.stores.base import Vectors
from ai_hub.stores.postgres.fallback import vectors_from_rows
from ai_hub.stores.postgres.session import Sessions

MERGED_ROWS = 5_000
"""Windows of more rows are read from hourly partials."""
_MOST_CALLERS = 100
"""Callers that share a statement, at most."""
_MOST_STATEMENTS = 2
"""Statements of one plan under way at once; later callers wait, and share the next one."""
_MOST_LANES = 1_024
_MOST_DENSITIES = 200_000


class PointReader:
    """Features of entities as of their times."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._densities = _Densities()
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
            lane = self._lanes[key] = _Lane(plan, missing, self._sessions, self._densities)
        return lane


class _Lane:
    """The callers of one plan under one policy, and the statements that they share."""

    def __init__(
        self,
        plan: Plan,
        missing: Missing | None,
        sessions: Sessions,
        densities: _Densities,
    ) -> None:
        self._plan = plan
        self._missing = missing
        self._sessions = sessions
        self._densities = densities
        self._statements: dict[tuple[Shape, frozenset[RangePass]], Statement] = {}
        self._waiting: list[tuple[Point, asyncio.Future[Vectors]]] = []
        self._under_way = 0
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
        return bool(self._under_way or self._waiting)

    def learn(self) -> None:
        """Have the statement prepared on every connection opened from now on."""
        if self._plan.series or self._plan.weather:
            self._statement("one", frozenset())

    async def ask(self, point: Point) -> Vectors:
        """One entity's features: at once if few are under way, else with other callers."""
        if self._under_way < _MOST_STATEMENTS:
            self._under_way += 1
            try:
                return await self.read([point])
            finally:
                self._finished()
        future: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._waiting.append((point, future))
        return await future

    def _finished(self) -> None:
        self._under_way -= 1
        callers = [one for one in self._waiting[:_MOST_CALLERS] if not one[1].done()]
        del self._waiting[:_MOST_CALLERS]
        if callers:
            self._under_way += 1
            task = asyncio.create_task(self._answer(callers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, callers: list[tuple[Point, asyncio.Future[Vectors]]]) -> None:
        try:
            found = await self.read([point for point, _ in callers])
        except BaseException as error:
            for _, future in callers:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, StoreError):
                raise
        else:
            for row, (_, future) in enumerate(callers):
                if not future.done():
                    future.set_result(_one_of(found, row))
        finally:
            self._finished()

    async def read(self, points: Sequence[Point]) -> Vectors:
        """The features at some points, in their order, by one statement."""
        plan = self._plan
        times = np.array([t for _, _, t in points], np.int64)
        if not (plan.series or plan.weather):
            return self._vectors(statement(plan, self._missing, "one"), [()] * len(points), times)
        shape: Shape = "one"
        if len(points) > 1:
            shape = "together" if len({t for _, _, t in points}) == 1 else "apart"
        chosen = self._statement(shape, self._merged(points))
        try:
            rows = await self._sessions.fetch(chosen.text, chosen.arguments(points))
        except StoreError as error:
            if not isinstance(error.__cause__, asyncpg.NumericValueOutOfRangeError):
                raise
            settings = self._sessions.settings
            return await asyncio.to_thread(vectors_from_rows, settings, plan, self._missing, points)
        return self._vectors(chosen, rows, times, points)

    def _statement(self, shape: Shape, merged: frozenset[RangePass]) -> Statement:
        chosen = self._statements.get((shape, merged))
        if chosen is None:
            chosen = statement(self._plan, self._missing, shape, merged)
            self._statements[shape, merged] = chosen
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
            and self._densities.most(one.series, points) * _width(one) > MERGED_ROWS
        )

    def _vectors(
        self,
        chosen: Statement,
        rows: Sequence[Sequence[object]],
        times: Ints,
        points: Sequence[Point] = (),
    ) -> Vectors:
        columns: Columns = chosen.columns(rows, times)
        # Densities matter only where some window could be read from partials.
        for one, count in chosen.counts(rows) if self._long else ():
            self._densities.note(one.series, points, count / _width(one))

        def mean_of(source: Source, some: Ints) -> Floats:
            return chosen.mean_of(rows, source)[some]

        return Vectors(*fill(self._plan, self._missing, columns, mean_of))


class _Densities:
    """How many rows a microsecond holds, as last seen: of a series of an asset, else of a tenant.

    A wrong guess costs time and nothing else.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str | None, str], float] = {}

    def note(self, series: str, points: Sequence[Point], densities: Floats) -> None:
        if len(self._seen) > _MOST_DENSITIES:
            self._seen.clear()
        for (tenant, asset, _), density in zip(points, densities.tolist(), strict=True):
            self._seen[tenant, asset, series] = self._seen[tenant, None, series] = density

    def most(self, series: str, points: Sequence[Point]) -> float:
        seen = self._seen
        return max(
            seen.get((tenant, asset, series)) or seen.get((tenant, None, series), 0.0)
            for tenant, asset, _ in points
        )


def _width(one: RangePass) -> int:
    return one.width if isinstance(one, WindowPass) else one.every


def _one_of(vectors: Vectors, row: int) -> Vectors:
    """One row of several entities' vectors."""
    here = slice(row, row + 1)
    return Vectors(
        {name: column[here] for name, column in vectors.columns.items()},
        {name: mask[here] for name, mask in vectors.masks.items() if mask[row]},
    )
