"""A plan as one PostgreSQL statement, and its rows as the kernel's columns.

A statement probes each lag and each weather column, aggregates each window, and takes the means
that fill what is missing, all in one round trip. Its times are computed here and sent as
parameters, so the planner knows which chunks to leave out. Calendar and derived features and
`range` need no database: they are computed from the rest.

The means are taken by functions of the database (`ai_hub_series_mean`, `ai_hub_weather_mean`),
since a function that is not called is not planned either: what is not missing costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from ai_hub.definitions.kinds import WEATHER_COLUMNS, Feature, Lag, Latest, Missing
from ai_hub.definitions.values import BUCKET_ORIGIN
from ai_hub.engines.arrays import Columns, Floats, Ints
from ai_hub.engines.calendars import calendars
from ai_hub.engines.expressions import derive
from ai_hub.engines.plan import FILL_WINDOW, Plan, RangePass, Source, WindowPass, fill_source
from ai_hub.engines.statistics import COUNT, MAX, MEAN, MIN, STD, SUM, Aggregate, aggregates
from ai_hub.engines.windows import combined

_PARTIALS = (COUNT, MEAN, STD, MIN, MAX, SUM)
"""What `ai_hub_window` gives, in its order; a median cannot be merged from hours."""

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
    plan: Plan
    bounds: tuple[Bound, ...]
    outer: tuple[tuple[bool, int], ...]
    reads: tuple[tuple[Aggregate, ...], ...]
    means: tuple[Source, ...]

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

    @np.errstate(over="ignore", invalid="ignore")
    def columns(self, rows: Sequence[Sequence[Any]], times: Ints) -> Columns:
        """Every feature of the plan at every row, before filling (NaN = null)."""
        plan = self.plan
        found: Columns = calendars(plan.calendars, times)
        outputs = iter(range(len(self.reads)))
        for feature in plan.probes:
            place = next(outputs)
            found[feature.name] = np.array([row[place] for row in rows], np.float64)
        for one in plan.ranges:
            place = next(outputs)
            held = np.array([row[place] for row in rows], np.float64).reshape(len(rows), -1)
            values = combined(one.stats, dict(zip(self.reads[place], held.T, strict=True)))
            found |= {name: values[stat] for name, stat in one.outputs}
        return derive(plan, found)

    def counts(self, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[RangePass, Floats]]:
        """How many values each range held, at every row."""
        for place, one in enumerate(self.plan.ranges, len(self.plan.probes)):
            yield one, np.array([row[place][0] for row in rows], np.float64)

    def mean_of(self, rows: Sequence[Sequence[Any]], source: Source) -> Floats:
        """The mean that stands for what is missing, at every row; NaN where there is none."""
        place = len(self.reads) + self.means.index(source)
        return np.array([row[place] for row in rows], np.float64)


def statement(
    plan: Plan, missing: Missing | None, shape: Shape, merged: frozenset[RangePass] = frozenset()
) -> Statement:
    """The statement of a plan under a request's policy.

    `merged` are the windows to read from hourly partials where there are any. Equal arguments give
    the same value.
    """
    return _statement(plan, missing, shape, merged)


@lru_cache(maxsize=2048)
def _statement(
    plan: Plan, missing: Missing | None, shape: Shape, merged: frozenset[RangePass]
) -> Statement:
    words = _Words(plan, shape)
    reads = [
        *map(words.lag, plan.lags),
        *map(words.latest, plan.latest),
        *(words.range(one, one in merged) for one in plan.ranges),
    ]
    wanted = _filled_from(plan, missing)
    means = [words.mean(source, _is_missing(plan, features)) for source, features in wanted.items()]
    return Statement(
        words.select([read.text for read in reads], means),
        shape,
        plan,
        tuple(words.bounds),
        tuple(words.outer),
        tuple(read.values for read in reads),
        tuple(wanted),
    )


def mergeable(one: RangePass) -> bool:
    """Whether a window's statistics follow from those of its hours."""
    return all(part in _PARTIALS for part in aggregates(one.stats))


def _filled_from(plan: Plan, missing: Missing | None) -> dict[Source, list[Feature]]:
    """The features that a mean may fill, by what the mean is of."""
    wanted: dict[Source, list[Feature]] = {}
    for feature in plan.feature_set.features:
        source = fill_source(feature)
        if source is not None and plan.feature_set.policy_of(feature, missing) == "mean":
            wanted.setdefault(source, []).append(feature)
    return wanted


def _is_missing(plan: Plan, features: Iterable[Feature]) -> str:
    """Whether any of some features came out null."""
    tests: dict[str, None] = {}
    probes = [probe.name for probe in plan.probes]
    for feature in features:
        if feature.name in probes:
            tests[f"q.c{probes.index(feature.name)} IS NULL"] = None
            continue
        for place, one in enumerate(plan.ranges, len(probes)):
            if any(name == feature.name for name, _ in one.outputs):
                # The number of values comes first in every range.
                tests[f"q.c{place}[1] = 0"] = None
    return " OR ".join(tests)


class _Words:
    """What a shape changes in the text: how an entity, a time and a range of times are written."""

    def __init__(self, plan: Plan, shape: Shape) -> None:
        self._plan = plan
        self._shape = shape
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
        return _Read(
            f"(SELECT {column} FROM weather_features WHERE tenant_id = {self._tenant} "
            f"AND asset_id = s.source AND {self._between(first, now)} "
            f"AND issued_at <= {self._time(now)} AND {column} IS NOT NULL "
            "ORDER BY timestamp DESC, issued_at DESC LIMIT 1)"
        )

    def range(self, one: RangePass, merged: bool) -> _Read:
        if isinstance(one, WindowPass):
            first = self._bound(-one.width + (one.closed not in ("both", "left")))
            last = self._bound(-(one.closed not in ("both", "right")))
        else:
            first, last = self._bound(0, one.every), self._bound(0)
        if merged and mergeable(one):
            times = f"{self._time(first)}, {self._time(last)}"
            series = self._series[one.series]
            return _Read(
                f"ai_hub_window({self._tenant}, {self._asset}, {series}, {times})", _PARTIALS
            )
        values = tuple(dict.fromkeys((COUNT, *aggregates(one.stats))))
        return _Read(
            f"(SELECT ARRAY[{', '.join(part.sql for part in values)}] FROM ai_features "
            f"WHERE {self._of(one.series)} AND {self._between(first, last)})",
            values,
        )

    def mean(self, source: Source, missing: str) -> str:
        # Instants are whole microseconds: a window that is open at t ends one before it.
        now, first = self._bound(-(source.closed == "left")), self._bound(-FILL_WINDOW)
        times = f"{self._time(first, 'q')}, {self._time(now, 'q')}"
        tenant, asset = ("$1", "$2") if self._shape == "one" else ("q.tenant", "q.asset")
        if source.kind == "weather":
            call = f"ai_hub_weather_mean({tenant}, q.source, '{_known(source.name)}', {times})"
        else:
            call = f"ai_hub_series_mean({tenant}, {asset}, {self._series[source.name]}, {times})"
        return f"CASE WHEN {missing} THEN {call} END"

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

    def _between(self, first: int, last: int) -> str:
        text = f"timestamp >= {self._time(first)} AND timestamp <= {self._time(last)}"
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
