"""A plan as one PostgreSQL statement; `sql_rows` says what its rows mean.

A statement probes each lag and each weather column, aggregates each window, and takes the means
that fill what is missing, all in one round trip and of one moment. Its times are computed here and
sent as parameters, so the planner knows which chunks to leave out. A batch looks first whether its
tenants have weather, and at one time takes a source's mean once for all its assets. Calendar and
derived features, `range` and whatever has no aggregate in SQL are computed from the rest.

A mean that is not wanted costs the time of planning it, so a statement has them or not (`Depth`).
PostgreSQL fails a statement in which a square overflows: it takes statistics of values up to 1e145
only, and says where there are others. Of these points all values are read, and computed here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar, assert_never

from ai_hub.definitions.kinds import Age, Attribute, Lag, Latest, Seasonal
from ai_hub.definitions.periods import Width
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.plan import BucketPass, Plan, RangePass
from ai_hub.engines.sql_lags import Back, instants, known, start_of, together
from ai_hub.engines.sql_reads import aggregated, filled_from, is_missing
from ai_hub.engines.sql_rows import Bound, Depth, Read, Shape, Statement, is_guarded
from ai_hub.engines.statistics import (
    COUNT,
    LENGTH,
    MAX,
    MEAN,
    MIN,
    STD,
    SUM,
    aggregates,
)
from ai_hub.engines.traits import FILL_WINDOW, ZONE_KEY, Input, Source, fill_source

_T = TypeVar("_T")
_LATER = re.compile(r"<(outer|text) (\d+)>")

_PARTIALS = (COUNT, MEAN, STD, MIN, MAX, SUM)
"""What `ai_hub_window` gives, in its order; a median cannot be merged from hours."""

_MEAN = (COUNT, MEAN, MIN, MAX)
"""What is read of a window whose mean fills."""


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
    reads = [
        *(words.probe(feature) for feature in plan.probes),
        *(words.range(one, one in merged) for one in plan.ranges),
        *map(words.season, plan.seasonals),
    ]
    wanted = filled_from(plan, missing)
    # Whether a value is outside its range, and so missing, is found here and not there.
    always = {fill_source(f) for f in plan.feature_set.features if f.name in plan.nulled}
    absent = {
        source: "true" if source in always else is_missing(plan, reads, which)
        for source, which in wanted.items()
    }
    means = [(source, words.mean(source, test)) for source, test in absent.items()]
    outputs = [read.text for read in reads]
    if ZONE_KEY in plan.attributes:
        outputs.append(words.zone())
    return Statement(
        words.select(outputs, [read.text for _, read in means]),
        shape,
        depth,
        plan,
        tuple(words.bounds),
        tuple(words.outer),
        tuple(words.texts),
        tuple(reads),
        tuple(means),
        tuple(dict.fromkeys(one for which in wanted.values() for one in which)),
        len(reads) if ZONE_KEY in plan.attributes else None,
    )


def mergeable(one: RangePass) -> bool:
    """Whether what is taken of a window follows from its hours."""
    parts = aggregates(one.measures)
    return one.input.kind == "series" and all(part in (*_PARTIALS, LENGTH) for part in parts)


class _Words:
    """What a shape changes in the text: how an entity, a time and a range of times are written."""

    def __init__(self, plan: Plan, shape: Shape, depth: Depth) -> None:
        self._plan = plan
        self._shape = shape
        self._depth = depth
        self.bounds: dict[Bound, int] = {}
        # The earliest or (True) latest of a bound over a batch, where rows have times of their own.
        self.outer: dict[tuple[bool, int], int] = {}
        # Series and keys of attributes; how many parameters the bounds take is known when all of
        # them are, and `select` numbers these.
        self.texts: dict[str, int] = {}
        self._means: list[str] = []
        # Where what is read of weather begins.
        self._weather: list[int] = []
        self._apart = shape == "apart"
        self._tenant, self._asset = ("$1", "$2") if shape == "one" else ("r.tenant", "r.asset")
        # Where a value some width back is found, for those that are looked up together.
        self._shared: dict[Back, str] = {}
        looks = [self._look(some, f"l{i}") for i, some in enumerate(together(plan))]
        self._back = f"LATERAL (SELECT {', '.join(looks)} OFFSET 0) back" if looks else ""

    def probe(self, feature: Lag | Latest | Age | Attribute) -> Read:
        match feature:
            case Lag():
                return Read(self._lag(feature, feature.by))
            case Latest():
                return self._latest(feature)
            case Age():
                first, last = self._bound(-feature.max_age.micros + 1), self._bound(0)
                age = f"extract(epoch FROM {self._time(last)} - timestamp)::float8"
                return Read(self._newest(Input.of(feature), first, last, age))
            case Attribute():
                return Read(self._attribute("number", feature.key))
            case _:
                assert_never(feature)

    def zone(self) -> str:
        return self._attribute("text", ZONE_KEY)

    def season(self, feature: Seasonal) -> Read:
        lags = [self._lag(feature, feature.by(k)) for k in range(1, feature.count + 1)]
        return Read(f"ARRAY[{', '.join(lags)}]::float8[]", "lags")

    def range(self, one: RangePass, merged: bool) -> Read:
        is_bucket = isinstance(one, BucketPass)
        # An edge that is outside is read from a microsecond later on.
        outside = one.closed not in ("both", "left")
        start = start_of(one.width, one.tz, is_bucket)
        first = _place(self.bounds, start_of(one.width, one.tz, is_bucket, outside))
        last = self._bound(-(one.closed not in ("both", "right")))
        if merged and mergeable(one) and self._depth != "values":
            times = f"{self._time(first)}, {self._time(last)}"
            of = f"{self._tenant}, {self._asset}, {self._text(one.input.name)}"
            return Read(f"ai_hub_window({of}, {times})", "statistics", _PARTIALS, start)
        parts = dict.fromkeys((COUNT, *aggregates(one.measures)))
        parts.pop(LENGTH, None)
        rows = self._rows(one.input, first, last)
        if self._depth == "values" or any(part.sql is None for part in parts):
            return Read(self._listed(rows), "rows", start=start)
        if any(is_guarded(part) for part in parts):
            parts |= dict.fromkeys((MIN, MAX))
        return aggregated(tuple(parts), rows, start)

    def mean(self, source: Source, missing: str) -> Read:
        if self._depth == "features":
            return Read("NULL::float8[]", "statistics", _MEAN)
        # Instants are whole microseconds: a window that is open at t ends one before it.
        last, first = self._bound(-(source.closed == "left")), self._bound(-FILL_WINDOW)
        shared = source.kind == "weather" and self._shape == "together"
        row = "d" if shared and self._depth == "filled" else "q"
        rows = self._rows(Input(source.kind, source.name), first, last, row)
        if self._depth == "values":
            return Read(self._listed(rows, "q"), "rows")
        text = aggregated(_MEAN, rows).text
        if source.kind == "weather":
            missing = f"({missing}) AND q.source IS NOT NULL"
        if shared:
            text = self._by_source(text, missing)
        return Read(f"CASE WHEN {missing} THEN {text} END", "statistics", _MEAN)

    def _by_source(self, text: str, missing: str) -> str:
        """A mean that is taken once for all assets of a source, at one time."""
        name = f"m{len(self._means)}"
        self._means.append(
            f"{name} AS MATERIALIZED (SELECT d.tenant, d.source, {text} AS mean FROM "
            f"(SELECT DISTINCT q.tenant, q.source FROM q WHERE {missing}) d)"
        )
        return f"{name}.mean"

    def _latest(self, feature: Latest) -> Read:
        first, last = self._bound(-feature.max_age.micros + 1), self._bound(0)
        column = known(feature.column)
        within = min(feature.measured_within.micros, feature.max_age.micros)
        if not within:
            return Read(self._newest(Input("weather", column), first, last, column))
        # What was measured comes before what was forecast, but only if it is recent.
        recent = self._bound(-within + 1)
        if self._shape == "one":
            measured = f"issued_at >= timestamp AND timestamp >= {self._time(recent)}"
            newest = self._newest(
                Input("weather", column), first, last, column, f"({measured}) DESC, "
            )
            return Read(newest)
        # Two looks at an index cost less than putting a day in order, and more to plan.
        measured = self._newest(Input("weather", column, True), recent, last, column)
        return Read(
            f"coalesce({measured}, {self._newest(Input('weather', column), first, last, column)})"
        )

    def _lag(self, feature: Lag | Seasonal, by: Width) -> str:
        back = Back.of(feature, by)
        if back in self._shared:
            return self._shared[back]
        first, last = self._edges(back)
        return self._newest(back.input, first, last, back.column)

    def _edges(self, back: Back) -> tuple[int, int]:
        """The bounds of the row that has the value some width back."""
        first, last = (_place(self.bounds, bound) for bound in back.bounds)
        if back.input.kind == "weather":
            self._weather.append(first)
        return first, last

    def _look(self, some: Sequence[Back], name: str) -> str:
        """The values some widths back, in one array: it is planned once for all of them."""
        self._shared |= {back: f"back.{name}[{place}]" for place, back in enumerate(some, 1)}
        firsts, lasts = zip(*map(self._edges, some), strict=True)
        # Which chunks none of them can be in must be known before the first one is looked up.
        low, high = (
            [self._outer(latest, bound) if self._apart else self._time(bound) for bound in bounds]
            for latest, bounds in ((False, firsts), (True, lasts))
        )
        between = (
            "timestamp >= l.first AND timestamp <= l.last "
            f"AND timestamp >= least({instants(low)}) AND timestamp <= greatest({instants(high)})"
        )
        first, last = (instants(map(self._time, bounds)) for bounds in (firsts, lasts))
        return (
            f"ARRAY(SELECT {self._newest_in(some[0].input, between, some[0].column)} "
            f"FROM unnest(ARRAY[{first}], ARRAY[{last}]) "
            f"WITH ORDINALITY AS l(first, last, place) ORDER BY l.place) AS {name}"
        )

    def _newest(self, read: Input, first: int, last: int, what: str, order: str = "") -> str:
        """Something of the newest row between two bounds."""
        if read.kind == "weather":
            self._weather.append(first)
        return self._newest_in(read, self._between(first, last), what, order)

    def _newest_in(self, read: Input, between: str, what: str, order: str = "") -> str:
        if read.kind == "series":
            return (
                f"(SELECT {what} FROM ai_features WHERE {self._of_series(read.name)} "
                f"AND {between} ORDER BY timestamp DESC LIMIT 1)"
            )
        newest = (
            f"(SELECT {what} FROM weather_features WHERE {self._of_weather(read)} "
            f"AND {between} ORDER BY {order}timestamp DESC, issued_at DESC LIMIT 1)"
        )
        if self._shape == "one":
            return newest
        return f"CASE WHEN s.source IS NOT NULL THEN {newest} END"

    def _rows(self, read: Input, first: int, last: int, row: str = "r") -> str:
        """The rows between two bounds, each with its `timestamp` and `value`."""
        between = self._between(first, last, row)
        if read.kind == "series":
            return f"ai_features WHERE {self._of_series(read.name, row)} AND {between}"
        self._weather.append(first)
        return (
            f"(SELECT DISTINCT ON (timestamp) timestamp, {known(read.name)} AS value "
            f"FROM weather_features WHERE {self._of_weather(read, row)} AND {between} "
            "ORDER BY timestamp, issued_at DESC) AS known"
        )

    def _listed(self, rows: str, row: str = "r") -> str:
        now = self._time(self._bound(0), row)
        age = f"(extract(epoch FROM {now} - timestamp) * 1000000)::float8"
        return f"(SELECT array_agg(ARRAY[value, {age}] ORDER BY timestamp) FROM {rows})"

    def _attribute(self, column: str, key: str) -> str:
        return (
            f"(SELECT {column} FROM asset_attributes WHERE tenant_id = {self._tenant} "
            f"AND asset_id = {self._asset} AND key = {self._text(key)} "
            f"AND valid_from <= {self._time(self._bound(0))} ORDER BY valid_from DESC LIMIT 1)"
        )

    def select(self, reads: Sequence[str], means: Sequence[str]) -> str:
        """The whole statement; OFFSET 0 keeps what is read from being read again for each use."""
        entity = "" if self._shape == "one" else "r.*, "
        source = ", s.source" if self._plan.weather else ""
        inner = ", ".join(f"{text} AS c{i}" for i, text in enumerate(reads))
        outer = ", ".join([*(f"q.c{i}" for i in range(len(reads))), *means])
        read = f"(SELECT {entity}{inner}{source}{self._from()} OFFSET 0)"
        if self._means:
            text = f"WITH q AS MATERIALIZED {read}, {', '.join(self._means)} SELECT {outer} FROM q"
            for i in range(len(self._means)):
                text += f" LEFT JOIN m{i} ON m{i}.tenant = q.tenant AND m{i}.source = q.source"
        else:
            text = f"SELECT {outer} FROM {read} q"
        if self._shape != "one":
            text += " ORDER BY q.place"
        outer_from = 3 + len(self.bounds)
        begin = {"outer": outer_from, "text": outer_from + len(self.outer)}
        return _LATER.sub(lambda found: f"${begin[found[1]] + int(found[2])}", text)

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
            parts.append(f"LATERAL (SELECT {self._source()} AS source OFFSET 0) s")
        if self._back:
            parts.append(self._back)
        return f" FROM {', '.join(parts)}" if parts else ""

    def _source(self) -> str:
        """What an asset takes its weather from; in a batch, null where its tenants have none."""
        now = self._bound(0)
        source = (
            "coalesce((SELECT source_id FROM asset_weather_source "
            f"WHERE tenant_id = {self._tenant} AND asset_id = {self._asset} "
            f"AND valid_from <= {self._time(now)} ORDER BY valid_from DESC LIMIT 1),"
            f" {self._asset})"
        )
        if self._shape == "one":
            return source
        # This is of no row, so it is asked once: that costs less than to look for each of them.
        firsts = dict.fromkeys(self._weather)
        low = [self._outer(False, one) if self._apart else self._time(one) for one in firsts]
        high = self._outer(True, now) if self._apart else self._time(now)
        return (
            "CASE WHEN (SELECT true FROM weather_features WHERE tenant_id = ANY($1::text[]) "
            f"AND timestamp >= least({instants(low)}) AND timestamp <= {high} LIMIT 1) "
            f"THEN {source} END"
        )

    def _of_series(self, series: str, row: str = "r") -> str:
        tenant, asset = self._entity(row)
        named = self._text(series)
        return f"tenant_id = {tenant} AND asset_id = {asset} AND feature_type = {named}"

    def _of_weather(self, read: Input, row: str = "r") -> str:
        """The rows of a source's column that are known at t."""
        source = "s.source" if row == "r" else f"{row}.source"
        measured = " AND issued_at >= timestamp" if read.measured else ""
        return (
            f"tenant_id = {self._entity(row)[0]} AND asset_id = {source} "
            f"AND issued_at <= {self._time(self._bound(0), row)}{measured} "
            f"AND {known(read.name)} IS NOT NULL"
        )

    def _entity(self, row: str) -> tuple[str, str]:
        if self._shape == "one":
            return "$1", "$2"
        return f"{row}.tenant", f"{row}.asset"

    def _text(self, text: str) -> str:
        return f"<text {_place(self.texts, text)}>"

    def _bound(self, shift: int) -> int:
        return _place(self.bounds, Bound(shift))

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
        return f"<outer {_place(self.outer, (latest, bound))}>"


def _place(among: dict[_T, int], one: _T) -> int:
    return among.setdefault(one, len(among))
