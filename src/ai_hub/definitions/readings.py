"""The kinds on observations: windows, buckets, lags, seasons, weights and ages.

They read a `series` of the asset; with `source="weather"` they read a `column` of its weather as it
is known at t (of each τ the latest issue), with `measured=True` only rows that were issued at their
time or later. A width is exact (`"24h"`) or a period of the local calendar in `tz` (`"P1D"`). With
`min_count` a value is null where fewer values are there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ai_hub.definitions.described import (
    Described,
    check_described,
    set_numbers,
    set_period,
    set_width,
)
from ai_hub.definitions.measures import Measure, check_measure, check_min_count, measure_of
from ai_hub.definitions.periods import UTC, Period, Width, check_zone
from ai_hub.definitions.values import (
    DEFAULT_SERIES,
    HOUR,
    MAX_SERIES_LENGTH,
    Duration,
    check_count,
    check_id,
)
from ai_hub.definitions.vocabulary import (
    CLOSED,
    SEASONAL_STATS,
    SOURCE_KINDS,
    WEATHER_COLUMNS,
    Closed,
    SeasonalStat,
    SourceKind,
    Stat,
    WeatherColumn,
    check_choice,
)
from ai_hub.errors import InvalidInput

MOST_SEASONS = 1_000
"""Lags of one Seasonal, at most."""

_ONE_HOUR = Duration(HOUR)
_BUCKET_PERIODS = (Period(0, 1), Period(0, 7), Period(1, 0), Period(12, 0))


@dataclass(frozen=True, slots=True)
class _Reading(Described):
    """What features on observations have, beside their `series`."""

    source: SourceKind = field(default="observations", kw_only=True)
    column: WeatherColumn | None = field(default=None, kw_only=True)
    measured: bool = field(default=False, kw_only=True)


def _check_reading(feature: _Reading, series: str) -> None:
    check_described(feature)
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
        set_period(self, "window")
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
        set_period(self, "by")
        set_width(self, "tolerance")
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
        set_period(self, "every")
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
        set_width(feature, "step")
    check_measure(feature.stat, feature.q, feature.step, feature.tolerance)
    check_min_count(feature.stat, feature.min_count)
    set_numbers(feature, "q", "tolerance")


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
        set_period(self, "every")
        check_count("count", self.count, MOST_SEASONS)
        try:
            self.by(self.count)
        except InvalidInput:
            expected = f"so many times {self.every} as reach back 100 years at most"
            raise InvalidInput("count", self.count, expected) from None
        set_width(self, "tolerance")
        check_zone(self.tz)
        check_measure(self.stat, self.q, None, None, SEASONAL_STATS)
        check_min_count(self.stat, self.min_count)
        set_numbers(self, "q")

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
        set_width(self, "halflife")
        set_period(self, "window")
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
        set_width(self, "max_age")


Reading = Rolling | Lag | Bucket | Seasonal | Ewm | Age
"""Kinds on observations, or on a column of the weather."""
