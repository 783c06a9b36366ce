"""A plan as one PostgreSQL statement, and its rows as the kernel's columns.

A statement probes each lag and each weather column, aggregates each window, and takes the means
that fill what is missing, all in one round trip and of one moment. Its times are computed here and
sent as parameters, so the planner knows which chunks to leave out. Calendar and derived features
and `range` need no database: they are computed from the rest.

A mean that is not wanted costs the time of planning it, so a statement has them or not (`Depth`).
PostgreSQL fails a statement in which a square overflows: it takes statistics of values up to 1e145
only, and says where there are others. Of these points all values are read, and computed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, assert_never

import numpy as np

from ai_hub.definitions.kinds import WEATHER_COLUMNS, Lag, Latest, Missing, Stat
from ai_hub.definitions.values import BUCKET_ORIGIN
from ai_hub.engines.arrays import Columns, Floats, Ints
from ai_hub.engines.calendars import calendars
from ai_hub.engines.expressions import derive
from ai_hub.engines.plan import FILL_WINDOW, Plan, RangePass, Source, WindowPass, fill_source
from ai_hub.engines.statistics import (
    COUNT,
    MAX,
    MEAN,
    MEDIAN,
    MIN,
    STD,
    SUM,
    Aggregate,
    aggregates,
)
from ai_hub.engines.windows import combined, range_stats

_PARTIALS = (COUNT, MEAN, STD, MIN, MAX, SUM)
"""What `ai_hub_window` gives, in its order; a median cannot be merged from hours."""

_MEAN = (COUNT, MEAN, MIN, MAX)
"""What is read of a window whose mean fills."""
_GUARDED = (MEAN, STD, SUM, MEDIAN)
"""Aggregates that may overflow, or that are known exactly where the least value is the greatest."""
_MOST = 1e145
_WITHIN = f"FILTER (WHERE value BETWEEN -{_MOST:g} AND {_MOST:g})".replace("e+", "e")
"""The values whose squares PostgreSQL can add up."""

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


@dataclass(frozen=True, slots=True)
class _Read:
    """One output of the statement: its text, and what its values are."""

    text: str
    values: tuple[Aggregate, ...] = ()


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
            if any(part in _GUARDED for part in values)
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
    return least is not None and greatest is not None and (least < -_MOST or greatest > _MOST)


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


def statement(
    plan: Plan,
    missing: Missing | None,
    shape: Shape,
    merged: frozenset[RangePass] = frozenset(),
    depth: Depth = "filled",
) -> Statement:
    """The statement of a plan under a request's policy.

    `merged` are the windows to read from hourly partials where there are any. Equal arguments give
    the same value.
    """
    return _statement(plan, missing, shape, merged, depth)


@lru_cache(maxsize=2048)
def _statement(
    plan: Plan, missing: Missing | None, shape: Shape, merged: frozenset[RangePass], depth: Depth
) -> Statement:
    words = _Words(plan, shape, depth)
    wanted = _filled_from(plan, missing)
    means = [words.mean(source, _is_missing(plan, which)) for source, which in wanted.items()]
    reads = [
        *map(words.lag, plan.lags),
        *map(words.latest, plan.latest),
        *(words.range(one, one in merged) for one in plan.ranges),
    ]
    return Statement(
        words.select([read.text for read in reads], [mean.text for mean in means]),
        shape,
        depth,
        plan,
        tuple(words.bounds),
        tuple(words.outer),
        tuple(read.values for read in (*reads, *means)),
        tuple(wanted),
        tuple(dict.fromkeys(place for which in wanted.values() for place in which)),
    )


def mergeable(one: RangePass) -> bool:
    """Whether a window's statistics follow from those of its hours."""
    return all(part in _PARTIALS for part in aggregates(one.stats))


def _filled_from(plan: Plan, missing: Missing | None) -> dict[Source, list[int]]:
    """The outputs that a mean may fill, by what the mean is of."""
    places = {probe.name: place for place, probe in enumerate(plan.probes)}
    for place, one in enumerate(plan.ranges, len(plan.probes)):
        places |= {name: place for name, _ in one.outputs}
    wanted: dict[Source, list[int]] = {}
    for feature in plan.feature_set.features:
        source = fill_source(feature)
        if source is not None and plan.feature_set.policy_of(feature, missing) == "mean":
            wanted.setdefault(source, []).append(places[feature.name])
    return wanted


def _is_missing(plan: Plan, outputs: Iterable[int]) -> str:
    """Whether any of some outputs came out null."""
    probes = len(plan.probes)
    # The number of values comes first in every range.
    tests = [f"q.c{i} IS NULL" if i < probes else f"q.c{i}[1] = 0" for i in outputs]
    return " OR ".join(dict.fromkeys(tests))


class _Words:
    """What a shape changes in the text: how an entity, a time and a range of times are written."""

    def __init__(self, plan: Plan, shape: Shape, depth: Depth) -> None:
        self._plan = plan
        self._shape = shape
        self._depth = depth
        self.bounds: list[Bound] = []
        # The earliest or (True) latest of a bound over a batch, where rows have times of their own.
        self.outer: list[tuple[bool, int]] = []
        self._apart = shape == "apart"
        self._tenant, self._asset = ("$1", "$2") if shape == "one" else ("r.tenant", "r.asset")
        # How many parameters the bounds take is known when all of them are: `select` numbers them.
        self._series = {name: f"<series {i}>" for i, name in enumerate(plan.series)}

    def lag(self, feature: Lag) -> _Read:
        last = self._bound(-feature.by.micros)
        first = self._bound(-feature.by.micros - feature.tolerance.micros + 1)
        return _Read(
            f"(SELECT value FROM ai_features WHERE {self._of(feature.series)} "
            f"AND {self._between(first, last)} ORDER BY timestamp DESC LIMIT 1)"
        )

    def latest(self, feature: Latest) -> _Read:
        now, first = self._bound(0), self._bound(-feature.max_age.micros + 1)
        column = _known(feature.column)
        order = "timestamp DESC, issued_at DESC"
        if feature.measured_within.micros:
            recent = self._bound(-feature.measured_within.micros + 1)
            # What was measured comes before what was forecast, but only if it is recent.
            measured = f"issued_at >= timestamp AND timestamp >= {self._time(recent)}"
            order = f"({measured}) DESC, {order}"
        return _Read(
            f"(SELECT {column} FROM weather_features WHERE tenant_id = {self._tenant} "
            f"AND asset_id = s.source AND {self._between(first, now)} "
            f"AND issued_at <= {self._time(now)} AND {column} IS NOT NULL "
            f"ORDER BY {order} LIMIT 1)"
        )

    def range(self, one: RangePass, merged: bool) -> _Read:
        if isinstance(one, WindowPass):
            first = self._bound(-one.width + (one.closed not in ("both", "left")))
            last = self._bound(-(one.closed not in ("both", "right")))
        else:
            first, last = self._bound(0, one.every), self._bound(0)
        if merged and mergeable(one) and self._depth != "values":
            times = f"{self._time(first)}, {self._time(last)}"
            series = self._series[one.series]
            return _Read(
                f"ai_hub_window({self._tenant}, {self._asset}, {series}, {times})", _PARTIALS
            )
        values = dict.fromkeys((COUNT, *aggregates(one.stats)))
        if any(part in _GUARDED for part in values):
            values |= dict.fromkeys((MIN, MAX))
        rows = f"ai_features WHERE {self._of(one.series)} AND {self._between(first, last)}"
        return self._aggregated(tuple(values), rows)

    def mean(self, source: Source, missing: str) -> _Read:
        if self._depth == "features":
            return _Read("NULL::float8[]", _MEAN)
        # Instants are whole microseconds: a window that is open at t ends one before it.
        last, first = self._bound(-(source.closed == "left")), self._bound(-FILL_WINDOW)
        between = self._between(first, last, "q")
        tenant, asset = ("$1", "$2") if self._shape == "one" else ("q.tenant", "q.asset")
        if source.kind == "weather":
            column = _known(source.name)
            rows = (
                f"(SELECT DISTINCT ON (timestamp) {column} AS value FROM weather_features "
                f"WHERE tenant_id = {tenant} AND asset_id = q.source AND {between} "
                f"AND issued_at <= {self._time(last, 'q')} AND {column} IS NOT NULL "
                "ORDER BY timestamp, issued_at DESC) AS known"
            )
        else:
            rows = (
                f"ai_features WHERE tenant_id = {tenant} AND asset_id = {asset} "
                f"AND feature_type = {self._series[source.name]} AND {between}"
            )
        read = self._aggregated(_MEAN, rows)
        if self._depth == "values":
            return read
        return _Read(f"CASE WHEN {missing} THEN {read.text} END", read.values)

    def _aggregated(self, values: tuple[Aggregate, ...], rows: str) -> _Read:
        if self._depth == "values":
            return _Read(f"(SELECT array_agg(value) FROM {rows})", values)
        texts = [f"{part.sql} {_WITHIN}" if part in _GUARDED else part.sql for part in values]
        return _Read(f"(SELECT ARRAY[{', '.join(texts)}] FROM {rows})", values)

    def select(self, reads: Sequence[str], means: Sequence[str]) -> str:
        """The whole statement; OFFSET 0 keeps what is read from being read again for each use."""
        entity = "" if self._shape == "one" else "r.*, "
        source = ", s.source" if self._plan.weather else ""
        inner = ", ".join(f"{text} AS c{i}" for i, text in enumerate(reads))
        outer = ", ".join([*(f"q.c{i}" for i in range(len(reads))), *means])
        text = f"SELECT {outer} FROM (SELECT {entity}{inner}{source}{self._from()} OFFSET 0) q"
        if self._shape != "one":
            text += " ORDER BY q.place"
        place = 3 + len(self.bounds)
        for i in range(len(self.outer)):
            text = text.replace(f"<outer {i}>", f"${place + i}")
        for i in range(len(self._series)):
            text = text.replace(f"<series {i}>", f"${place + len(self.outer) + i}")
        return text

    def _from(self) -> str:
        parts = []
        if self._shape != "one":
            arrays, names = ["$1::text[]", "$2::text[]"], ["tenant", "asset"]
            if self._apart:
                arrays += [f"${3 + i}::timestamptz[]" for i in range(len(self.bounds))]
                names += [f"b{i}" for i in range(len(self.bounds))]
            parts.append(
                f"unnest({', '.join(arrays)}) WITH ORDINALITY AS r({', '.join(names)}, place)"
            )
        if self._plan.weather:
            parts.append(
                "LATERAL (SELECT coalesce((SELECT source_id FROM asset_weather_source "
                f"WHERE tenant_id = {self._tenant} AND asset_id = {self._asset} "
                f"AND valid_from <= {self._time(self._bound(0))} ORDER BY valid_from DESC LIMIT 1),"
                f" {self._asset}) AS source OFFSET 0) s"
            )
        return f" FROM {', '.join(parts)}" if parts else ""

    def _of(self, series: str) -> str:
        return (
            f"tenant_id = {self._tenant} AND asset_id = {self._asset} "
            f"AND feature_type = {self._series[series]}"
        )

    def _bound(self, shift: int, every: int = 0) -> int:
        bound = Bound(shift, every)
        if bound not in self.bounds:
            self.bounds.append(bound)
        return self.bounds.index(bound)

    def _time(self, bound: int, row: str = "r") -> str:
        return f"{row}.b{bound}" if self._apart else f"${3 + bound}"

    def _between(self, first: int, last: int, row: str = "r") -> str:
        text = f"timestamp >= {self._time(first, row)} AND timestamp <= {self._time(last, row)}"
        if self._apart:
            # Which chunks no row of the batch can meet must be known before the first row is.
            text += (
                f" AND timestamp >= {self._outer(False, first)}"
                f" AND timestamp <= {self._outer(True, last)}"
            )
        return text

    def _outer(self, latest: bool, bound: int) -> str:
        if (latest, bound) not in self.outer:
            self.outer.append((latest, bound))
        return f"<outer {self.outer.index((latest, bound))}>"


def _known(column: str) -> str:
    """A weather column as it stands in a statement: one of a closed set, so never quoted."""
    if column not in WEATHER_COLUMNS:
        raise AssertionError(f"{column} is no weather column")
    return column
