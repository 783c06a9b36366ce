"""The algebra of features: what each kind is, checked when built.

Every kind takes its `name` first. A kind says what a value means and nothing about how an engine
computes it. Of every feature there is a `unit`, a `description`, what its values may be (`valid`:
a pair of limits, or a set of numbers) and its own `missing` policy, None where the set's applies.

Kinds on observations read a `series` of the asset; with `source="weather"` they read a `column` of
its weather as it is known at t (of each τ the latest issue), with `measured=True` only rows that
were issued at their time or later. A width is exact (`"24h"`) or a period of the local calendar in
`tz` (`"P1D"`). With `min_count` a value is null where fewer values are there.
"""

from __future__ import annotations

import re
from dataclasses import Field, dataclass, field, fields
from typing import Any

from ai_hub.definitions.expressions import expression_tree, names_of
from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.measures import Measure, check_measure, check_min_count, measure_of
from ai_hub.definitions.periods import NO_OFFSET, UTC, Offset, Period, Width, check_zone, width_of
from ai_hub.definitions.valid_range import Valid, valid_of
from ai_hub.definitions.values import (
    DAY,
    DEFAULT_SERIES,
    HOUR,
    MAX_SERIES_LENGTH,
    Duration,
    check_count,
    check_id,
    check_text,
)
from ai_hub.definitions.vocabulary import (
    CLOSED,
    PARTS,
    SEASONAL_STATS,
    SOURCE_KINDS,
    WEATHER_COLUMNS,
    Closed,
    Missing,
    Part,
    SeasonalStat,
    SourceKind,
    Stat,
    WeatherColumn,
    check_choice,
    check_missing,
    check_name,
)
from ai_hub.errors import InvalidInput

MOST_SEASONS = 1_000
"""Lags of one Seasonal, at most."""

_ONE_HOUR = Duration(HOUR)
_ONE_DAY = Duration(DAY)
# Columns that an export may add.
_TAKEN = re.compile(r"__missing$|^target_[0-9]")
_RESERVED = frozenset({"timestamp", "tenant_id", "asset_id", "value"})
_BUCKET_PERIODS = (Period(0, 1), Period(0, 7), Period(1, 0), Period(12, 0))


class _Unsaid(str):
    """A default that can be told from the same text said by a caller."""

    __slots__ = ()


_UNSAID_UTC = _Unsaid(UTC)


@dataclass(frozen=True, slots=True)
class _Described:
    """What every feature has."""

    name: str
    missing: Missing | None = field(default=None, kw_only=True)
    unit: str = field(default="", kw_only=True)
    description: str = field(default="", kw_only=True)
    valid: Valid | None = field(default=None, kw_only=True)


def _check(feature: _Described) -> None:
    name = check_name("name", feature.name)
    if name in _RESERVED or _TAKEN.search(name):
        raise InvalidInput("name", name, "a name that no column of an export has already")
    if feature.missing is not None:
        object.__setattr__(feature, "missing", check_missing(feature.missing))
    if feature.valid is not None:
        object.__setattr__(feature, "valid", valid_of(feature.valid))
    for text in ("unit", "description"):
        check_text(text, getattr(feature, text))


def _set_width(feature: _Described, name: str, *, zero: bool = False) -> None:
    width = Duration.of(getattr(feature, name), name, zero=zero)
    object.__setattr__(feature, name, width)


def _set_period(feature: _Described, name: str) -> None:
    object.__setattr__(feature, name, width_of(getattr(feature, name), name))


@dataclass(frozen=True, slots=True)
class Calendar(_Described):
    """A pure function of t: `part` of the local wall clock in `tz`, moved by `offset`.

    `is_holiday` is of a `country` (and its `subdivision`), and of a zone that is named; `holidays`
    are its dates, frozen when the set that it is in is applied.
    """

    part: Part
    tz: str = _UNSAID_UTC
    offset: Offset = NO_OFFSET
    country: str | None = None
    subdivision: str | None = None
    holidays: HolidayDates | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check(self)
        check_choice("part", self.part, PARTS)
        object.__setattr__(self, "offset", Offset.of(self.offset))
        check_zone(self.tz)
        if self.holidays is not None:
            object.__setattr__(self, "holidays", HolidayDates.read(self.holidays))
        if self.part != "is_holiday":
            for name in ("country", "subdivision", "holidays"):
                if getattr(self, name) is not None:
                    raise InvalidInput(name, getattr(self, name), "nothing but for is_holiday")
            return
        if not isinstance(self.country, str) or not self.country:
            raise InvalidInput("country", self.country, "a country such as DE for is_holiday")
        if self.subdivision is not None and not isinstance(self.subdivision, str):
            raise InvalidInput("subdivision", self.subdivision, "a part of the country, such as BY")
        if isinstance(self.tz, _Unsaid):
            raise InvalidInput("tz", None, "the zone whose dates the holidays are, by name")


@dataclass(frozen=True, slots=True)
class _Reading(_Described):
    """What features on observations have, beside their `series`."""

    source: SourceKind = field(default="observations", kw_only=True)
    column: WeatherColumn | None = field(default=None, kw_only=True)
    measured: bool = field(default=False, kw_only=True)


def _check_reading(feature: _Reading, series: str) -> None:
    _check(feature)
    check_id("series", series, MAX_SERIES_LENGTH)
    check_choice("source", feature.source, SOURCE_KINDS)
    if type(feature.measured) is not bool:
        raise InvalidInput("measured", feature.measured, "true or false")
    if feature.source == "weather":
        check_choice("column", feature.column, WEATHER_COLUMNS)
        if series != DEFAULT_SERIES:
            raise InvalidInput("series", series, 'no series, since source is "weather"')
    elif feature.column is not None:
        raise InvalidInput("column", feature.column, 'nothing, unless source="weather"')
    elif feature.measured:
        raise InvalidInput("measured", True, 'false, unless source="weather"')


@dataclass(frozen=True, slots=True)
class Rolling(_Reading):
    """`stat` over {v : τ in the window of width `window` that ends at t}.

    `closed`: both = [t-w, t], right = (t-w, t], left = [t-w, t), none = (t-w, t). `q` is the share
    of a quantile, `step` the distance of readings for coverage, `tolerance` how far a counter may
    run backwards for increase.
    """

    stat: Stat
    window: Width
    closed: Closed = "both"
    series: str = DEFAULT_SERIES
    tz: str = field(default=UTC, kw_only=True)
    q: float | None = field(default=None, kw_only=True)
    step: Duration | None = field(default=None, kw_only=True)
    tolerance: float | None = field(default=None, kw_only=True)
    min_count: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        _check_reading(self, self.series)
        check_choice("closed", self.closed, CLOSED)
        _set_period(self, "window")
        check_zone(self.tz)
        _set_measure(self)

    @property
    def measure(self) -> Measure:
        """What is taken of the window's values."""
        return measure_of(self.stat, self.q, self.step, self.tolerance)


@dataclass(frozen=True, slots=True)
class Lag(_Reading):
    """The value of the latest τ with t-by-tolerance < τ <= t-by."""

    by: Width
    tolerance: Duration = _ONE_HOUR
    series: str = DEFAULT_SERIES
    tz: str = field(default=UTC, kw_only=True)

    def __post_init__(self) -> None:
        _check_reading(self, self.series)
        _set_period(self, "by")
        _set_width(self, "tolerance")
        check_zone(self.tz)


@dataclass(frozen=True, slots=True)
class Bucket(_Reading):
    """`stat` over {v : start of the bucket containing t <= τ <= t}: as far as it is known at t.

    Buckets of an exact width count from 2000-01-03T00:00Z, a Monday. Those of P1D, P1W, P1M and P1Y
    are local days, ISO weeks, months and years: they start at the first instant whose local date
    belongs to them.
    """

    stat: Stat
    every: Width
    series: str = DEFAULT_SERIES
    tz: str = field(default=UTC, kw_only=True)
    q: float | None = field(default=None, kw_only=True)
    step: Duration | None = field(default=None, kw_only=True)
    tolerance: float | None = field(default=None, kw_only=True)
    min_count: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        _check_reading(self, self.series)
        _set_period(self, "every")
        if isinstance(self.every, Period) and self.every not in _BUCKET_PERIODS:
            raise InvalidInput("every", str(self.every), "of periods P1D, P1W, P1M and P1Y alone")
        check_zone(self.tz)
        _set_measure(self)

    @property
    def measure(self) -> Measure:
        """What is taken of the bucket's values."""
        return measure_of(self.stat, self.q, self.step, self.tolerance)


def _set_measure(feature: Rolling | Bucket) -> None:
    if feature.step is not None:
        _set_width(feature, "step")
    check_measure(feature.stat, feature.q, feature.step, feature.tolerance)
    check_min_count(feature.stat, feature.min_count)
    _set_numbers(feature, "q", "tolerance")


def _set_numbers(feature: _Described, *names: str) -> None:
    """What is a number is a float: 1 and 1.0 are one definition."""
    for name in names:
        if getattr(feature, name) is not None:
            object.__setattr__(feature, name, float(getattr(feature, name)))


@dataclass(frozen=True, slots=True)
class Seasonal(_Reading):
    """`stat` over those of Lag(k every), k = 1 ... `count`, that are not null."""

    stat: SeasonalStat
    every: Width
    count: int
    tolerance: Duration = _ONE_HOUR
    series: str = DEFAULT_SERIES
    tz: str = field(default=UTC, kw_only=True)
    q: float | None = field(default=None, kw_only=True)
    min_count: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        _check_reading(self, self.series)
        _set_period(self, "every")
        check_count("count", self.count, MOST_SEASONS)
        try:
            self.by(self.count)
        except InvalidInput:
            expected = f"so many times {self.every} as reach back 100 years at most"
            raise InvalidInput("count", self.count, expected) from None
        _set_width(self, "tolerance")
        check_zone(self.tz)
        check_measure(self.stat, self.q, None, None, SEASONAL_STATS)
        check_min_count(self.stat, self.min_count)
        _set_numbers(self, "q")

    def by(self, k: int) -> Width:
        """How far back the k-th lag is: one step of k widths."""
        if isinstance(self.every, Period):
            return self.every.times(k)
        return Duration(self.every.micros * k)

    @property
    def measure(self) -> Measure:
        """What is taken of the lags."""
        return measure_of(self.stat, self.q, None, None)


@dataclass(frozen=True, slots=True)
class Ewm(_Reading):
    """Σ v 2^(-(t-τ)/halflife) / Σ 2^(-(t-τ)/halflife) over [t-window, t]."""

    halflife: Duration
    window: Width
    series: str = DEFAULT_SERIES
    tz: str = field(default=UTC, kw_only=True)
    min_count: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        _check_reading(self, self.series)
        _set_width(self, "halflife")
        _set_period(self, "window")
        check_zone(self.tz)
        check_min_count("ewm", self.min_count)

    @property
    def measure(self) -> Measure:
        """What is taken of the window's values."""
        return Measure("ewm", halflife=self.halflife.micros)


@dataclass(frozen=True, slots=True)
class Age(_Reading):
    """Seconds from the latest τ in (t-max_age, t] to t."""

    max_age: Duration
    series: str = DEFAULT_SERIES

    def __post_init__(self) -> None:
        _check_reading(self, self.series)
        _set_width(self, "max_age")


@dataclass(frozen=True, slots=True)
class Latest(_Described):
    """The newest known value of a weather column.

    Among the source's rows with t-max_age < τ <= t, issued_at <= t and the column not null: a
    measurement (issued_at >= τ) with τ > t-measured_within if there is one, else any row; of those
    the value of the latest τ, and of that the latest issue. `measured_within="0"` prefers nothing.
    """

    column: WeatherColumn
    max_age: Duration = _ONE_DAY
    measured_within: Duration = _ONE_HOUR

    def __post_init__(self) -> None:
        _check(self)
        check_choice("column", self.column, WEATHER_COLUMNS)
        _set_width(self, "max_age")
        _set_width(self, "measured_within", zero=True)


@dataclass(frozen=True, slots=True)
class Attribute(_Described):
    """The asset's number `key` with the latest valid_from <= t."""

    key: str

    def __post_init__(self) -> None:
        _check(self)
        check_name("key", self.key)


@dataclass(frozen=True, slots=True)
class Derived(_Described):
    """Arithmetic, comparisons and a few functions over other features of the same vector.

    It reads them as they are before filling. Null in, null out (`coalesce` alone sees nulls), and
    what is no finite number is null.
    """

    expression: str

    def __post_init__(self) -> None:
        _check(self)
        if not isinstance(self.expression, str):
            raise InvalidInput("expression", self.expression, "arithmetic over feature names")
        expression_tree(self.expression)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features it reads, in order of first use."""
        return names_of(expression_tree(self.expression))


Feature = Calendar | Rolling | Lag | Bucket | Latest | Seasonal | Ewm | Age | Attribute | Derived
Reading = Rolling | Lag | Bucket | Seasonal | Ewm | Age
"""Kinds on observations, or on a column of the weather."""


def fields_of(kind: Feature | type[Feature]) -> tuple[Field[Any], ...]:
    """The fields of a kind: those that may be said by their place first, in that order."""
    return tuple(sorted(fields(kind), key=lambda field: bool(field.kw_only)))


def is_default(field: Field[Any], value: object) -> bool:
    """Whether a field says what it says by default, and no caller has said it."""
    return type(value) is type(field.default) and value == field.default
