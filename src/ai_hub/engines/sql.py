"""A plan as one PostgreSQL statement; `sql_rows` says what its rows mean.

A statement probes each lag and each weather column, aggregates each window, and takes the means
that fill what is missing, all in one round trip and of one moment. Its times are computed here and
sent as parameters, so the planner knows which chunks to leave out. Calendar and derived features
and `range` need no database: they are computed from the rest.

A mean that is not wanted costs the time of planning it, so a statement has them or not (`Depth`).
PostgreSQL fails a statement in which a square overflows: it takes statistics of values up to 1e145
only, and says where there are others. Of these points all values are read, and computed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ai_hub.definitions.kinds import WEATHER_COLUMNS, Lag, Latest, Missing
from ai_hub.engines.plan import FILL_WINDOW, Plan, RangePass, Source, WindowPass, fill_source
from ai_hub.engines.sql_rows import GUARDED, MOST, Bound, Depth, Shape, Statement
from ai_hub.engines.statistics import COUNT, MAX, MEAN, MIN, STD, SUM, Aggregate, aggregates

_PARTIALS = (COUNT, MEAN, STD, MIN, MAX, SUM)
"""What `ai_hub_window` gives, in its order; a median cannot be merged from hours."""

_MEAN = (COUNT, MEAN, MIN, MAX)
"""What is read of a window whose mean fills."""
_WITHIN = f"FILTER (WHERE value BETWEEN -{MOST:g} AND {MOST:g})".replace("e+", "e")
"""The values whose squares PostgreSQL can add up."""


@dataclass(frozen=True, slots=True)
class _Read:
    """One output of the statement: its text, and what its values are."""

    text: str
    values: tuple[Aggregate, ...] = ()


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
        if any(part in GUARDED for part in values):
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
        texts = [f"{part.sql} {_WITHIN}" if part in GUARDED else part.sql for part in values]
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
