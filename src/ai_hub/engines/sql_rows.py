"""A statement's parameters, and its rows as the kernel's columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np

from ai_hub.definitions.kinds import Stat
from ai_hub.definitions.values import BUCKET_ORIGIN
from ai_hub.engines.arrays import Columns, Floats, Ints
from ai_hub.engines.calendars import calendars
from ai_hub.engines.expressions import derive
from ai_hub.engines.plan import Plan, RangePass, Source
from ai_hub.engines.statistics import COUNT, MAX, MEAN, MEDIAN, MIN, STD, SUM, Aggregate
from ai_hub.engines.windows import combined, range_stats

GUARDED = (MEAN, STD, SUM, MEDIAN)
"""Aggregates that may overflow, or that are known exactly where the least value is the greatest."""
MOST = 1e145
"""The greatest value whose square PostgreSQL can add up; the least is its opposite."""

Depth = Literal["features", "filled", "values"]
"""What a statement reads: what the features need; the means that fill, too; or the values that
either is computed from."""
Shape = Literal["one", "together", "apart"]
"""One entity; several at one time; several, each at its own time."""
Point = tuple[str, str, int]
"""Tenant, asset and as-of time."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An instant that follows from t: the start of t's bucket (if `every`), then shifted."""

    shift: int
    every: int = 0

    def at(self, t: int) -> int:
        """The instant for an as-of time, in microseconds."""
        into = (t - BUCKET_ORIGIN) % self.every if self.every else 0
        return t - into + self.shift


@dataclass(frozen=True)
class Statement:
    """A plan's statement in one shape: its text, its parameters, and what its rows say."""

    text: str
    shape: Shape
    depth: Depth
    plan: Plan
    bounds: tuple[Bound, ...]
    outer: tuple[tuple[bool, int], ...]
    reads: tuple[tuple[Aggregate, ...], ...]
    means: tuple[Source, ...]
    fillable: tuple[int, ...]

    def arguments(self, points: Sequence[Point]) -> list[object]:
        """The parameters for some entities and times (of one time, unless `apart`)."""
        series = list(self.plan.series)
        if self.shape == "one":
            ((tenant, asset, t),) = points
            return [tenant, asset, *(bound.at(t) for bound in self.bounds), *series]
        tenants = [tenant for tenant, _, _ in points]
        assets = [asset for _, asset, _ in points]
        if self.shape == "together":
            t = points[0][2]
            return [tenants, assets, *(bound.at(t) for bound in self.bounds), *series]
        own = [[bound.at(t) for _, _, t in points] for bound in self.bounds]
        outer = [(max if latest else min)(own[place]) for latest, place in self.outer]
        return [tenants, assets, *own, *outer, *series]

    def columns(self, rows: Sequence[Sequence[Any]], times: Ints) -> Columns:
        """Every feature of the plan at every row, before filling (NaN = null)."""
        plan = self.plan
        found: Columns = calendars(plan.calendars, times)
        outputs = iter(range(len(self.reads)))
        for feature in plan.probes:
            place = next(outputs)
            found[feature.name] = np.array([row[place] for row in rows], np.float64)
        for one in plan.ranges:
            values = self._statistics(rows, next(outputs), one.stats)
            found |= {name: values[stat] for name, stat in one.outputs}
        return derive(plan, found)

    def counts(self, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[RangePass, Floats]]:
        """How many values each range held, at every row."""
        for place, one in enumerate(self.plan.ranges, len(self.plan.probes)):
            yield one, np.array([row[place][0] for row in rows], np.float64)

    def mean_of(self, rows: Sequence[Sequence[Any]], source: Source) -> Floats:
        """The mean that stands for what is missing, at every row; NaN where there is none."""
        place = len(self.plan.probes) + len(self.plan.ranges) + self.means.index(source)
        return np.asarray(self._statistics(rows, place, ("mean",))["mean"], np.float64)

    def lacking(self, rows: Sequence[Sequence[Any]]) -> list[int]:
        """The rows with something missing that a mean fills."""
        probes = len(self.plan.probes)
        return [
            place
            for place, row in enumerate(rows)
            if any(row[i] is None if i < probes else row[i][0] == 0 for i in self.fillable)
        ]

    def beyond(self, rows: Sequence[Sequence[Any]]) -> list[int]:
        """The rows with a value that PostgreSQL cannot compute with: read their values."""
        if self.depth == "values":
            return []
        edges = [
            (place, values.index(MIN), values.index(MAX))
            for place, values in enumerate(self.reads)
            if any(part in GUARDED for part in values)
        ]
        return [
            number
            for number, row in enumerate(rows)
            if any(_is_beyond(row[place], low, high) for place, low, high in edges)
        ]

    @np.errstate(over="ignore", invalid="ignore")
    def _statistics(
        self, rows: Sequence[Sequence[Any]], place: int, stats: tuple[Stat, ...]
    ) -> Columns:
        """Statistics of one range or one mean's window at every row."""
        if self.depth == "values":
            read = [row[place] or () for row in rows]
            ends = np.cumsum([len(values) for values in read], dtype=np.int64)
            starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
            every = np.array([value for values in read for value in values], np.float64)
            return range_stats(every, starts, ends, stats)
        names = self.reads[place]
        nothing = (None,) * len(names)
        held = np.array([row[place] or nothing for row in rows], np.float64)
        found = dict(zip(names, held.reshape(len(rows), -1).T, strict=True))
        return combined(stats, _flat(found))


def _is_beyond(held: Sequence[float | None] | None, low: int, high: int) -> bool:
    if held is None:
        return False
    least, greatest = held[low], held[high]
    return least is not None and greatest is not None and (least < -MOST or greatest > MOST)


def _flat(found: dict[Aggregate, Floats]) -> dict[Aggregate, Floats]:
    """The same, but exact where all values of a window are equal."""
    if all(part.flat is None for part in found):
        return found
    same, several = found[MIN] == found[MAX], found[COUNT] > 1
    exact = {}
    for part, held in found.items():
        match part.flat:
            case "value":
                exact[part] = np.where(same, found[MIN], held)
            case "zero":
                exact[part] = np.where(same & several, 0.0, held)
            case None:
                exact[part] = held
            case _:
                assert_never(part.flat)
    return exact
