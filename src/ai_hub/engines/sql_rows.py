"""A statement's parameters, and its rows as the kernel's columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, assert_never

import numpy as np

from ai_hub.definitions.measures import COUNT as COUNTED
from ai_hub.definitions.measures import Measure
from ai_hub.definitions.periods import ASSET_ZONE, Period
from ai_hub.definitions.values import BUCKET_ORIGIN
from ai_hub.engines.arrays import Floats, Ints
from ai_hub.engines.calendars import calendars
from ai_hub.engines.clocks import bucket_starts, step_back
from ai_hub.engines.expressions import derive
from ai_hub.engines.moments import Moments
from ai_hub.engines.plan import Plan, RangePass
from ai_hub.engines.ranges import Instants
from ai_hub.engines.statistics import COUNT, LENGTH, MAX, MIN, SUM, Aggregate
from ai_hub.engines.traits import Source, has_asset_zone
from ai_hub.engines.views import Faults
from ai_hub.engines.violations import Unfilled
from ai_hub.engines.windows import Taken, column_of, combined, range_stats
from ai_hub.engines.zones import Zones

MOST = 1e145
"""The greatest value whose square PostgreSQL can add up; the least is its opposite."""
Depth = Literal["features", "filled", "values"]
"""What a statement reads: what the features need; the means that fill, too; or the values that
either is computed from."""
Shape = Literal["one", "together", "apart"]
"""One entity; several at one time; several, each at its own time."""
Form = Literal["value", "statistics", "rows", "lags"]
"""What an output is: a number; aggregates of a window; its values, each with its age at t in
microseconds, in their order; or several numbers."""
Point = tuple[str, str, int]
"""Tenant, asset and as-of time."""
Row = Sequence[Any]
"""The outputs of a statement, and behind them for each feature of a view a number, None, or the
fault (a text) for which it has none."""


def is_guarded(part: Aggregate) -> bool:
    """Whether PostgreSQL may fail at it, or gives other digits for values that are all the same."""
    return part.sql is not None and (part.flat is not None or part is SUM)


@dataclass(frozen=True, slots=True)
class Bound:
    """An instant that follows from t: a width back, or the start of t's bucket, then shifted.

    `period` is of the calendar in `tz`; else the width is exact and in the shift, but for `every`,
    that of exact buckets.
    """

    shift: int
    every: int = 0
    period: Period | None = None
    bucket: bool = False
    tz: str = ""

    def at(self, t: int, zone: str | None) -> int:
        """The instant for an as-of time and the asset's zone, in microseconds.

        Without the zone that it needs it is t: what is read is not looked at then.
        """
        if self.period is not None:
            tz = zone if self.tz == ASSET_ZONE else self.tz
            return t if tz is None else _stepped(t, self.period, self.bucket, tz) + self.shift
        into = (t - BUCKET_ORIGIN) % self.every if self.every else 0
        return t - into + self.shift


@lru_cache(maxsize=65_536)
def _stepped(t: int, period: Period, bucket: bool, tz: str) -> int:
    step = bucket_starts if bucket else step_back
    return int(step(tz, np.array([t], np.int64), period)[0])


@dataclass(frozen=True, slots=True)
class Read:
    """An output of the statement: its text, its form, the aggregates in it, and the start of its
    window."""

    text: str
    form: Form = "value"
    values: tuple[Aggregate, ...] = ()
    start: Bound | None = None

    def count(self, held: Any) -> float:
        """How many values an output holds."""
        match self.form:
            case "value":
                return held is not None
            case "statistics":
                return float(held[0])
            case "rows":
                return len(held or ())
            case "lags":
                return sum(value is not None for value in held)
            case _:
                assert_never(self.form)


@dataclass(frozen=True)
class Statement:
    """A plan's statement in one shape: its text, its parameters, and what its rows say.

    `zone` is where the asset's zone is among the outputs, None where nothing is of it. `fillable`
    are outputs that a mean stands in for where they hold fewer values than said.
    """

    text: str
    shape: Shape
    depth: Depth
    plan: Plan
    bounds: tuple[Bound, ...]
    outer: tuple[tuple[bool, int], ...]
    texts: tuple[str, ...]
    reads: tuple[Read, ...]
    means: tuple[tuple[Source, Read], ...]
    fillable: tuple[tuple[int, int], ...]
    zone: int | None

    def arguments(
        self, points: Sequence[Point], zones: Sequence[str | None] | None = None
    ) -> list[object]:
        """The parameters for some entities and times (of one time and zone, unless `apart`)."""
        known = [None] * len(points) if zones is None else zones
        if self.shape == "one":
            ((tenant, asset, t),) = points
            return [tenant, asset, *(bound.at(t, known[0]) for bound in self.bounds), *self.texts]
        tenants = [tenant for tenant, _, _ in points]
        assets = [asset for _, asset, _ in points]
        if self.shape == "together":
            t = points[0][2]
            return [tenants, assets, *(bound.at(t, known[0]) for bound in self.bounds), *self.texts]
        own = [
            [bound.at(t, zone) for (_, _, t), zone in zip(points, known, strict=True)]
            for bound in self.bounds
        ]
        outer = [(max if latest else min)(own[place]) for latest, place in self.outer]
        return [tenants, assets, *own, *outer, *self.texts]

    def zones(self, rows: Sequence[Row]) -> list[str | None]:
        """The zone of each row's asset, as it was read."""
        return [None if self.zone is None else row[self.zone] for row in rows]

    def columns(self, rows: Sequence[Row], times: Ints) -> Unfilled:
        """Every feature of the plan at every row, before filling (NaN = null)."""
        plan, zones = self.plan, self.zones(rows)
        names = tuple({zone for zone in zones if zone is not None})
        place = np.array([-1 if z is None else names.index(z) for z in zones], np.int64)
        found = calendars(plan.calendars, Zones(Moments.of(times), names, place))
        outputs = iter(range(len(self.reads)))
        for feature in plan.probes:
            output = next(outputs)
            found[feature.name] = np.array([row[output] for row in rows], np.float64)
        for one in plan.ranges:
            output = next(outputs)
            lengths = self._lengths(self.reads[output], times, zones)
            taken = self._taken(rows, output, self.reads[output], one.measures, lengths)
            unknown = place < 0 if one.tz == ASSET_ZONE else None
            found |= {
                o.name: column_of(taken, o.measure, o.min_count, unknown) for o in one.outputs
            }
        for season in plan.seasonals:
            output = next(outputs)
            read = [[v for v in row[output] if v is not None] for row in rows]
            taken = _listed(
                [[(v, 0.0) for v in values] for values in read], (season.measure, COUNTED)
            )
            unknown = place < 0 if has_asset_zone(season) else None
            found[season.name] = column_of(taken, season.measure, season.min_count, unknown)
        for output, viewed in enumerate(plan.viewed, self._first_view):
            cells = (row[output] for row in rows)
            numbers = [cell if isinstance(cell, float) else np.nan for cell in cells]
            found[viewed.name] = np.array(numbers, np.float64)
        for lag in plan.lags:
            if has_asset_zone(lag):
                found[lag.name] = np.where(place < 0, np.nan, found[lag.name])
        return derive(plan, found)

    def faults(self, rows: Sequence[Row]) -> Faults:
        """Why views have no value, and at which rows."""
        found: Faults = {}
        for place, feature in enumerate(self.plan.viewed, self._first_view):
            for number, row in enumerate(rows):
                if isinstance(row[place], str):
                    mask = found.setdefault((feature.name, row[place]), np.zeros(len(rows), bool))
                    mask[number] = True
        return found

    @property
    def _first_view(self) -> int:
        """Where in a row the features of views are: behind all that the statement gives."""
        if not self.plan.reads:
            return 0
        return len(self.reads) + (self.zone is not None) + len(self.means)

    def counts(self, rows: Sequence[Row]) -> Iterator[tuple[RangePass, Floats]]:
        """How many values each range held, at every row."""
        for place, one in enumerate(self.plan.ranges, len(self.plan.probes)):
            yield one, np.array([self.reads[place].count(row[place]) for row in rows], np.float64)

    def mean_of(self, rows: Sequence[Row], source: Source) -> Floats:
        """The mean that stands for what is missing, at every row; NaN where there is none."""
        place, read = next((p, read) for p, one, read in self._means() if one == source)
        mean = Measure("mean")
        return np.asarray(self._taken(rows, place, read, (mean,))[mean], np.float64)

    def _means(self) -> Iterator[tuple[int, Source, Read]]:
        """Each mean, and where it is in a row: behind what is read, and the asset's zone."""
        first = len(self.reads) + (self.zone is not None)
        for place, (source, read) in enumerate(self.means, first):
            yield place, source, read

    def lacking(self, rows: Sequence[Row]) -> list[int]:
        """The rows with something missing that a mean fills."""
        zones = self.zones(rows)
        return [
            number
            for number, row in enumerate(rows)
            if any(
                self.reads[place].count(row[place]) < least
                or (self.zone is not None and zones[number] is None)
                for place, least in self.fillable
            )
        ]

    def beyond(self, rows: Sequence[Row]) -> list[int]:
        """The rows with a value that PostgreSQL cannot compute with: read their values."""
        if self.depth == "values":
            return []
        outputs = [*enumerate(self.reads), *((place, read) for place, _, read in self._means())]
        edges = [
            (place, read.values.index(MIN), read.values.index(MAX))
            for place, read in outputs
            if any(is_guarded(part) for part in read.values)
        ]
        return [
            number
            for number, row in enumerate(rows)
            if any(_is_beyond(row[place], low, high) for place, low, high in edges)
        ]

    def _lengths(self, read: Read, times: Ints, zones: Sequence[str | None]) -> Ints:
        """How long a window is up to t, at every row."""
        assert read.start is not None
        known = zip(times.tolist(), zones, strict=True)
        return np.array([t - read.start.at(t, zone) for t, zone in known], np.int64)

    @np.errstate(over="ignore", invalid="ignore")
    def _taken(
        self,
        rows: Sequence[Row],
        place: int,
        read: Read,
        measures: tuple[Measure, ...],
        lengths: Ints | None = None,
    ) -> Taken:
        """What is taken of one range or one mean's window at every row."""
        if read.form == "rows":
            return _listed([row[place] or () for row in rows], measures, lengths)
        nothing = (None,) * len(read.values)
        held = np.array([row[place] or nothing for row in rows], np.float64)
        found = dict(zip(read.values, held.reshape(len(rows), -1).T, strict=True))
        exact = _flat(found)
        if lengths is not None:
            exact[LENGTH] = lengths.astype(np.float64)
        return combined(measures, exact)


def _listed(
    listed: Sequence[Sequence[Sequence[float]]],
    measures: tuple[Measure, ...],
    lengths: Ints | None = None,
) -> Taken:
    """What is taken of values with their ages, a list of them for each row."""
    ends = np.cumsum([len(pairs) for pairs in listed], dtype=np.int64)
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
    every = np.array([pair for pairs in listed for pair in pairs], np.float64).reshape(-1, 2)
    # Of each window t is 0, and its values lie before it.
    at = np.zeros(len(listed), np.int64)
    instants = Instants(-every[:, 1].astype(np.int64), at, at if lengths is None else lengths)
    return range_stats(np.ascontiguousarray(every[:, 0]), starts, ends, measures, instants)


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
