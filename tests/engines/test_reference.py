"""Literal inputs and answers worked out by hand from the definitions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given

from ai_hub.definitions.builtin import FORECAST_BASIC
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Bucket, Calendar, Derived, Feature, Lag, Latest, Rolling
from ai_hub.definitions.values import DAY, HOUR, MINUTE, Duration, parse_time
from ai_hub.definitions.vocabulary import CLOSED, Closed, Missing, Part, Stat
from ai_hub.engines.reference import History, Mapped, Vector, WeatherRow, value, vector
from ai_hub.engines.reference_statistics import Observation
from ai_hub.errors import InvalidInput
from ai_hub.testing import Case, cases, close, differences, feature_sets, policies

T = parse_time("2025-10-09T14:30:00Z")  # a Thursday
DAY_WIDE = Duration.of("24h")
LAG_1H = Lag("lag_1h", Duration.of("1h"))
LAG_24H = Lag("lag_24h", DAY_WIDE)


def observed(values: Mapping[int, float], name: str = "value") -> History:
    """A series with a value at each of some distances from T."""
    return History({name: [Observation(T + offset, v) for offset, v in values.items()]})


def weather(*rows: tuple[int, int, float | None]) -> History:
    """Temperatures: (distance of the time from T, distance of the issue from T, value)."""
    return History(
        weather=[WeatherRow(T + at, T + issued, {"temperature": v}) for at, issued, v in rows]
    )


def rolling(stat: Stat, closed: Closed = "both", window: str = "24h") -> Rolling:
    return Rolling("f", stat, Duration.of(window), closed)


def one(feature: Feature, missing: Missing = "mean") -> FeatureSet:
    return FeatureSet("one", 1, (feature,), missing=missing)


# Calendar


@pytest.mark.parametrize(
    ("text", "tz", "expected"),
    [
        ("9999-12-31T23:30:00Z", "Europe/Berlin", (0, 5, 1, 1)),  # the first hour of year 10000
        ("0001-01-01T00:30:00Z", "America/New_York", (19, 6, 31, 12)),
        ("2011-03-13T03:30:59.999999Z", "America/St_Johns", (0, 6, 13, 3)),
        ("2011-03-13T03:31:00Z", "America/St_Johns", (1, 6, 13, 3)),  # clocks went on at 00:01
    ],
)
def test_the_wall_clock_of_odd_zones_and_of_the_ends_of_time(
    text: str, tz: str, expected: tuple[int, ...]
) -> None:
    parts: tuple[Part, ...] = ("hour_of_day", "day_of_week", "day_of_month", "month")
    found = tuple(value(Calendar("f", p, tz), parse_time(text), History()) for p in parts)
    assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # hour, weekday (Monday = 0), day, month, weekend, business hours
        ("2025-10-09T14:30:00Z", (14, 3, 9, 10, 0, 1)),
        ("2025-10-09T08:59:59.999999Z", (8, 3, 9, 10, 0, 0)),
        ("2025-10-09T09:00:00Z", (9, 3, 9, 10, 0, 1)),
        ("2025-10-10T16:59:59.999999Z", (16, 4, 10, 10, 0, 1)),
        ("2025-10-10T17:00:00Z", (17, 4, 10, 10, 0, 0)),
        ("2025-10-11T12:00:00Z", (12, 5, 11, 10, 1, 0)),
        ("2025-10-12T23:59:59Z", (23, 6, 12, 10, 1, 0)),
        ("2025-10-13T00:00:00Z", (0, 0, 13, 10, 0, 0)),
        ("2024-02-29T10:00:00Z", (10, 3, 29, 2, 0, 1)),
        ("2023-12-31T23:59:59.999999Z", (23, 6, 31, 12, 1, 0)),
        ("2000-01-03T00:00:00Z", (0, 0, 3, 1, 0, 0)),
        ("1969-12-31T23:59:59.999999Z", (23, 2, 31, 12, 0, 0)),
        ("1900-03-01T09:00:00Z", (9, 3, 1, 3, 0, 1)),
    ],
)
def test_a_calendar_part_is_of_the_instant_in_utc(text: str, expected: tuple[int, ...]) -> None:
    parts: tuple[Part, ...] = (
        "hour_of_day",
        "day_of_week",
        "day_of_month",
        "month",
        "is_weekend",
        "is_business_hours",
    )
    found = [value(Calendar("f", part), parse_time(text), History()) for part in parts]
    assert tuple(found) == expected
    assert all(type(v) is int for v in found)


@pytest.mark.parametrize(
    ("tz", "text", "hour", "day"),
    [
        ("Europe/Berlin", "2025-10-25T23:30:00Z", 1, 26),
        ("Europe/Berlin", "2025-10-26T00:30:00Z", 2, 26),  # 02:30 the first time
        ("Europe/Berlin", "2025-10-26T01:30:00Z", 2, 26),  # 02:30 again
        ("Europe/Berlin", "2025-03-30T00:59:59Z", 1, 30),
        ("Europe/Berlin", "2025-03-30T01:00:00Z", 3, 30),  # 02:xx is skipped
        ("Asia/Kathmandu", "2025-10-09T18:15:00Z", 0, 10),
        ("America/New_York", "2024-03-01T04:59:59Z", 23, 29),
    ],
)
def test_a_calendar_part_is_local_where_a_zone_is_named(
    tz: str, text: str, hour: int, day: int
) -> None:
    t = parse_time(text)
    assert value(Calendar("f", "hour_of_day", tz), t, History()) == hour
    assert value(Calendar("f", "day_of_month", tz), t, History()) == day


# Statistics


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ("mean", 3.25),
        ("std", math.sqrt(14.75 / 3)),
        ("min", 1.0),
        ("max", 6.0),
        ("range", 5.0),
        ("sum", 13.0),
        ("count", 4),
        ("median", 3.0),
    ],
)
def test_each_statistic_of_a_window(stat: Stat, expected: float) -> None:
    # Deviations from 3.25: -2.25, 2.75, -1.25, 0.75; their squares sum to 14.75.
    history = observed({-3 * HOUR: 1.0, -2 * HOUR: 6.0, -HOUR: 2.0, 0: 4.0})
    assert value(rolling(stat), T, history) == pytest.approx(expected, rel=1e-15)


def test_a_median_of_an_odd_number_is_the_one_in_the_middle() -> None:
    assert value(rolling("median"), T, observed({-2: 9.0, -1: -1.0, 0: 5.0})) == 5.0


@pytest.mark.parametrize("stat", ["mean", "std", "min", "max", "range", "sum", "median"])
def test_every_statistic_but_the_count_is_null_for_an_empty_window(stat: Stat) -> None:
    assert value(rolling(stat), T, History()) is None
    assert value(rolling(stat), T, observed({1: 5.0})) is None


def test_a_count_is_a_whole_number_and_never_missing() -> None:
    count = value(rolling("count"), T, History())
    assert count == 0
    assert type(count) is int
    assert vector(one(rolling("count")), T, History(), "keep") == Vector({"f": 0}, ())


@pytest.mark.parametrize(
    ("stat", "expected"),
    [("mean", 7.0), ("std", None), ("range", 0.0), ("median", 7.0), ("count", 1), ("sum", 7.0)],
)
def test_one_value_has_no_standard_deviation(stat: Stat, expected: float | None) -> None:
    assert value(rolling(stat), T, observed({0: 7.0})) == expected


def test_a_standard_deviation_survives_a_large_offset() -> None:
    history = observed({-2: 1e9, -1: 1e9 + 0.5, 0: 1e9 + 1.0})
    assert value(rolling("std"), T, history) == 0.5


def test_a_constant_series_has_no_spread() -> None:
    assert value(rolling("std"), T, observed(dict.fromkeys(range(-9, 1), 0.25))) == 0.0


@pytest.mark.parametrize("stat", ["sum", "std", "range"])
def test_what_no_float_holds_is_null(stat: Stat) -> None:
    values = {-1: 1.7e308, 0: 1.7e308} if stat == "sum" else {-1: -1.7e308, 0: 1.7e308}
    assert value(rolling(stat), T, observed(values)) is None


@pytest.mark.parametrize(
    ("stat", "values", "expected"),
    [
        ("mean", (1.7e308, 1.7e308), 1.7e308),
        ("median", (1.7e308, 1.7e308), 1.7e308),
        ("median", (1.6e308, 1.7e308), 1.65e308),
        ("mean", (1.6e308, 1.7e308), 1.65e308),
        ("mean", (-1.7e308, 1.7e308), 0.0),
        ("std", (1e200, 2e200), 7.071067811865476e199),
        ("std", (-1e308, 1e308), 1.4142135623730951e308),
        ("sum", (1e308, 1e308, -1e308), 1e308),
        ("std", (5e-324, 5e-324, 5e-324), 0.0),
    ],
)
def test_what_a_float_holds_is_no_null(
    stat: Stat, values: tuple[float, ...], expected: float
) -> None:
    found = value(rolling(stat), T, observed(dict(enumerate(values, -len(values) + 1))))
    assert found == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("flat", [0.1, 1.1, 2.3, 1234.56, -0.007, 1e-320, 1.7e308])
@pytest.mark.parametrize("n", [2, 3, 30])
def test_a_flat_window_has_that_mean_and_no_spread(flat: float, n: int) -> None:
    history = observed(dict.fromkeys(range(-n + 1, 1), flat))
    assert value(rolling("std"), T, history) == 0.0
    assert value(rolling("mean"), T, history) == value(rolling("median"), T, history) == flat


# Windows


@pytest.mark.parametrize(
    ("closed", "expected"),
    [("both", 11111.0), ("right", 11110.0), ("left", 1111.0), ("none", 1110.0)],
)
def test_a_window_holds_its_edges_as_it_is_closed(closed: Closed, expected: float) -> None:
    history = observed(
        {-DAY - 1: 1e6, -DAY: 1.0, 1 - DAY: 10.0, -HOUR: 100.0, -1: 1000.0, 0: 10_000.0, 1: 1e7}
    )
    assert value(rolling("sum", closed), T, history) == expected


@pytest.mark.parametrize(
    ("closed", "expected"), [("both", 2), ("right", 1), ("left", 1), ("none", 0)]
)
def test_a_window_of_a_microsecond_holds_its_edges_alone(closed: Closed, expected: int) -> None:
    history = observed({-2: 1.0, -1: 1.0, 0: 1.0, 1: 1.0})
    assert value(rolling("count", closed, "1us"), T, history) == expected


def test_a_window_is_a_width_of_time_whatever_the_sampling() -> None:
    history = observed({-25 * HOUR: 100.0, -90 * MINUTE: 1.0, -59 * MINUTE: 2.0, -1: 3.0})
    assert value(rolling("mean", window="1h"), T, history) == 2.5
    assert value(rolling("mean"), T, history) == 2.0
    assert value(rolling("count", window="7d"), T, history) == 4


def test_a_window_reads_its_own_series_alone() -> None:
    history = History(
        {"value": [Observation(T, 1.0)], "price": [Observation(T, 50.0), Observation(T - 1, 70.0)]}
    )
    price = Rolling("f", "mean", DAY_WIDE, series="price")
    assert value(price, T, history) == 60.0
    assert value(rolling("mean"), T, history) == 1.0
    assert value(Rolling("f", "mean", DAY_WIDE, series="none"), T, history) is None


def test_windows_before_the_epoch_are_like_any_other() -> None:
    history = History({"value": [Observation(-DAY, 2.0), Observation(-1, 4.0)]})
    assert value(rolling("mean"), 0, history) == 3.0
    assert value(rolling("mean", "right"), 0, history) == 4.0
    assert value(LAG_1H, HOUR - 1, history) == 4.0


# Lags


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({-HOUR: 5.0}, 5.0),
        ({1 - HOUR: 5.0}, None),
        ({-2 * HOUR + 1: 5.0}, 5.0),
        ({-2 * HOUR: 5.0}, None),
        ({-90 * MINUTE: 5.0, -80 * MINUTE: 6.0, -59 * MINUTE: 7.0}, 6.0),
        ({-HOUR: 5.0, -HOUR - 1: 6.0}, 5.0),
        ({0: 5.0}, None),
        ({}, None),
    ],
)
def test_a_lag_is_the_latest_value_within_its_tolerance(
    values: dict[int, float], expected: float | None
) -> None:
    assert value(LAG_1H, T, observed(values)) == expected


def test_a_lag_s_tolerance_may_be_wider_than_the_lag() -> None:
    wide = Lag("f", Duration.of("1h"), Duration.of("48h"))
    assert value(wide, T, observed({-40 * HOUR: 3.0, -50 * HOUR: 4.0})) == 3.0
    assert (
        value(Lag("f", Duration.of("1h"), Duration.of("1us")), T, observed({-HOUR - 1: 1.0}))
        is None
    )


# Buckets


@pytest.mark.parametrize(
    ("every", "start"),
    [
        ("1h", "2025-10-09T14:00:00Z"),
        ("1d", "2025-10-09T00:00:00Z"),
        ("7d", "2025-10-06T00:00:00Z"),  # the Monday before
        ("15m", "2025-10-09T14:30:00Z"),
        ("2d", "2025-10-08T00:00:00Z"),  # 9411 days since 2000-01-03, an odd number
        ("7h", "2025-10-09T12:00:00Z"),  # 225878 hours since: 32268 * 7 + 2
    ],
)
def test_a_bucket_counts_from_monday_2000_01_03(every: str, start: str) -> None:
    edge = parse_time(start)
    history = History(
        {"value": [Observation(edge - 1, 1.0), Observation(edge, 10.0), Observation(T + 1, 100.0)]}
    )
    assert value(Bucket("f", "sum", Duration.of(every)), T, history) == 10.0


def test_a_bucket_is_known_as_far_as_t() -> None:
    history = observed({-30 * MINUTE: 1.0, -MINUTE: 2.0, 0: 6.0, MINUTE: 100.0})
    assert value(Bucket("f", "mean", Duration.of("1h")), T, history) == 3.0
    assert value(Bucket("f", "max", Duration.of("1h")), T - MINUTE, history) == 2.0


def test_a_bucket_of_one_instant_holds_it() -> None:
    history = observed({-1: 1.0, 0: 2.0})
    assert value(Bucket("f", "count", Duration.of("30m")), T, history) == 1
    assert value(Bucket("f", "std", Duration.of("30m")), T, history) is None


@pytest.mark.parametrize(
    ("every", "start"), [("1h", -HOUR), ("1d", -DAY), ("7d", -3 * DAY), ("2d", -DAY)]
)
def test_a_bucket_before_its_origin_starts_before_t(every: str, start: int) -> None:
    # 1969-12-29 was a Monday, three days before the epoch; the epoch is 10959 days (odd) early.
    history = History({"value": [Observation(start - 1, 1.0), Observation(start, 10.0)]})
    assert value(Bucket("f", "sum", Duration.of(every)), -1, history) == 10.0


# Weather


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, 0, 20.0)], 20.0),
        ([(1, 0, 20.0)], None),  # about a later time
        ([(0, 1, 20.0)], None),  # not known yet
        ([(-DAY, -DAY, 20.0)], None),  # max_age is open
        ([(1 - DAY, -DAY, 20.0)], 20.0),
        ([(-HOUR, -9 * DAY, 20.0), (-2 * HOUR, -HOUR, 15.0)], 20.0),  # latest time, any issue
        ([(0, -DAY, 20.0), (0, -HOUR, 21.0), (0, 1, 22.0)], 21.0),  # of one time the latest issue
        ([(0, -HOUR, 21.0), (0, -DAY, 20.0)], 21.0),  # in any order
        ([(0, 0, None), (0, -HOUR, 19.0)], 19.0),  # a null is no value
        ([(0, 0, None), (-HOUR, -HOUR, 18.0)], 18.0),
        ([(0, 0, None)], None),
        ([(-HOUR, 0, 17.0)], 17.0),  # issued after its time, at t
        ([(0, 0, 0.0)], 0.0),
        ([], None),
    ],
)
def test_weather_is_the_latest_time_known_and_of_that_the_latest_issue(
    rows: list[tuple[int, int, float | None]], expected: float | None
) -> None:
    assert value(Latest("f", "temperature"), T, weather(*rows)) == expected


def test_each_weather_column_is_looked_up_by_itself() -> None:
    history = History(
        weather=[
            WeatherRow(T, T, {"temperature": None, "humidity": 80.0}),
            WeatherRow(T - HOUR, T - HOUR, {"temperature": 9.0, "humidity": 70.0}),
        ]
    )
    assert value(Latest("f", "temperature"), T, history) == 9.0
    assert value(Latest("f", "humidity"), T, history) == 80.0
    assert value(Latest("f", "wind_speed"), T, history) is None


def test_weather_s_age_is_its_own() -> None:
    old = weather((-2 * HOUR, -2 * HOUR, 5.0))
    assert value(Latest("f", "temperature", Duration.of("2h")), T, old) is None
    assert value(Latest("f", "temperature", Duration.of("121m")), T, old) == 5.0


# Derived


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a - b", 4.0),
        ("(a + b) / 4", 2.0),
        ("-a * +b", -12.0),
        ("a / b / 2", 1.5),
        ("a - (b - 1)", 5.0),
        ("a / (b - 2)", None),
        ("(b - 2) / (a - 6)", None),
        ("1 / (1 / (b - 2))", None),
        ("a + gone", None),
        ("gone * 0", None),
        ("a * 1e308", None),
        ("hour + 0.5", 14.5),
    ],
)
def test_a_derived_feature_is_arithmetic_and_null_where_it_has_no_value(
    expression: str, expected: float | None
) -> None:
    inputs: tuple[Feature, ...] = (
        Lag("a", Duration.of("1h")),
        Lag("b", Duration.of("2h")),
        Lag("gone", Duration.of("9h")),
        Calendar("hour", "hour_of_day"),
    )
    derived = Derived("f", expression, missing="keep")
    history = observed({-HOUR: 6.0, -2 * HOUR: 2.0})
    found = vector(FeatureSet("s", 1, (derived, *inputs)), T, history)
    assert found.features["f"] == expected


def test_a_derived_feature_reads_its_inputs_before_they_are_filled() -> None:
    chosen = FeatureSet("s", 1, (LAG_1H, Derived("double", "lag_1h * 2")), missing=5.0)
    assert vector(chosen, T, History()) == Vector(
        {"lag_1h": 5.0, "double": 5.0}, ("lag_1h", "double")
    )


def test_a_derived_feature_is_a_float_and_may_read_another() -> None:
    chosen = FeatureSet(
        "s", 1, (Derived("c", "b * 2"), Derived("b", "a + 1"), Calendar("a", "month"))
    )
    found = vector(chosen, T, History())
    assert found == Vector({"c": 22.0, "b": 11.0, "a": 10}, ())
    assert type(found.features["b"]) is float


# Missing values


@pytest.mark.parametrize(
    "feature",
    [
        *(
            Rolling("f", stat, Duration.of("1h"))
            for stat in ("mean", "min", "max", "sum", "median")
        ),
        *(Bucket("f", stat, Duration.of("1h")) for stat in ("mean", "min", "max", "sum", "median")),
    ],
)
def test_the_mean_of_the_closed_week_replaces_what_is_missing(feature: Feature) -> None:
    history = observed({-7 * DAY - 1: 1e6, -7 * DAY: 2.0, -2 * HOUR: 4.0, 1: 1e6})
    assert vector(one(feature), T, history) == Vector({feature.name: 3.0}, (feature.name,))


def test_the_mean_is_that_of_the_feature_s_own_series() -> None:
    history = observed({-2 * DAY: 8.0}, "price")
    assert vector(one(Lag("f", Duration.of("1h"), series="price")), T, history).features["f"] == 8.0
    assert vector(one(LAG_1H), T, history).features["lag_1h"] == 0.0


@pytest.mark.parametrize(
    "feature",
    [
        LAG_1H,
        Rolling("f", "mean", Duration.of("1us"), "left"),
        Rolling("f", "mean", Duration.of("1us"), "none"),
    ],
)
def test_what_does_not_see_t_is_not_filled_from_it(feature: Feature) -> None:
    found = vector(one(feature), T, observed({0: 12.0, -7 * DAY: 4.0, -7 * DAY - 1: 99.0}))
    assert found == Vector({feature.name: 4.0}, (feature.name,))


def test_a_measured_weather_row_is_preferred_while_it_is_young() -> None:
    measured, forecast = (-HOUR + 1, -HOUR + 1, 5.0), (0, -DAY, 9.0)
    history = weather(measured, forecast)
    assert value(Latest("f", "temperature"), T, history) == 5.0
    assert value(Latest("f", "temperature"), T + 1, history) == 9.0
    off = Latest("f", "temperature", measured_within=Duration(0))
    assert value(off, T, history) == 9.0
    # A row issued after its time is a measurement too; of those it is the latest time that counts.
    late = weather(measured, (-2, -1, 6.0), (-1, -DAY, 7.0), forecast)
    assert value(Latest("f", "temperature"), T, late) == 6.0


def test_a_vector_reads_the_source_that_holds_at_its_time() -> None:
    def rows(degrees: float) -> list[WeatherRow]:
        return [WeatherRow(T + at, T + at, {"temperature": degrees}) for at in (-DAY, 0, HOUR)]

    history = History({}, rows(1.0), (Mapped(T + HOUR, rows(3.0)), Mapped(T, rows(2.0))))
    latest = Latest("f", "temperature")
    found = [value(latest, T + at, history) for at in (-1, 0, HOUR - 1, HOUR)]
    assert found == [1.0, 2.0, 2.0, 3.0]
    filled = Latest("f", "temperature", Duration.of("1us"))
    assert vector(one(filled), T + 1, history).features == {"f": 2.0}


@pytest.mark.parametrize("stat", ["std", "range"])
def test_a_missing_spread_is_0(stat: Stat) -> None:
    history = observed({-2 * DAY: 2.0, -3 * DAY: 4.0})
    assert vector(one(rolling(stat)), T, history) == Vector({"f": 0.0}, ("f",))


def test_a_standard_deviation_of_one_value_is_missing_and_0() -> None:
    assert vector(one(rolling("std")), T, observed({0: 2.0})) == Vector({"f": 0.0}, ("f",))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(-7 * DAY, -7 * DAY, 10.0), (-2 * DAY, -2 * DAY, 20.0)], 15.0),
        ([(-7 * DAY - 1, -8 * DAY, 10.0), (-2 * DAY, -2 * DAY, 20.0)], 20.0),
        ([(-2 * DAY, -3 * DAY, 10.0), (-2 * DAY, -2 * DAY, 20.0), (-3 * DAY, 0, 40.0)], 30.0),
        ([(-2 * DAY, -3 * DAY, 10.0), (-2 * DAY, 1, 20.0)], 10.0),  # the later issue is unknown
        ([(-2 * DAY, -3 * DAY, 10.0), (-2 * DAY, 0, None)], 10.0),  # and here it is null
        ([(1, -DAY, 99.0)], 0.0),
        ([], 0.0),
    ],
)
def test_missing_weather_takes_its_column_s_mean_as_known_at_t(
    rows: list[tuple[int, int, float | None]], expected: float
) -> None:
    found = vector(one(Latest("f", "temperature")), T, weather(*rows))
    assert found == Vector({"f": expected}, ("f",))


def test_a_mean_that_is_itself_missing_is_0() -> None:
    assert vector(one(LAG_1H), T, History()) == Vector({"lag_1h": 0.0}, ("lag_1h",))


@pytest.mark.parametrize(
    ("policy", "expected"), [("mean", 8.0), ("zero", 0.0), ("keep", None), (-1.5, -1.5), (3, 3.0)]
)
def test_each_policy_fills_in_its_way_and_names_what_it_filled(
    policy: Missing, expected: float | None
) -> None:
    found = vector(one(LAG_1H, missing=policy), T, observed({-3 * DAY: 8.0}))
    assert found == Vector({"lag_1h": expected}, ("lag_1h",))
    assert vector(one(LAG_1H), T, observed({-3 * DAY: 8.0}), policy) == found
    assert expected is None or type(found.features["lag_1h"]) is float


def test_the_request_s_policy_precedes_the_feature_s_and_that_the_set_s() -> None:
    own = Lag("own", Duration.of("1h"), missing=7.0)
    chosen = FeatureSet("s", 1, (own, LAG_24H), missing="keep")
    assert vector(chosen, T, History()).features == {"own": 7.0, "lag_24h": None}
    assert vector(chosen, T, History(), "zero").features == {"own": 0.0, "lag_24h": 0.0}


def test_a_request_s_policy_is_checked() -> None:
    with pytest.raises(InvalidInput, match="missing"):
        vector(one(LAG_1H), T, History(), "median")  # type: ignore[arg-type]


def test_what_is_there_is_neither_filled_nor_named() -> None:
    assert vector(one(LAG_1H), T, observed({-HOUR: 0.0}), 9.0) == Vector({"lag_1h": 0.0}, ())


def test_an_unknown_asset_has_a_calendar_and_nothing_else() -> None:
    assert vector(FORECAST_BASIC, T, History()) == Vector(
        {
            "hour_of_day": 14,
            "day_of_week": 3,
            "is_weekend": 0,
            "lag_1h": 0.0,
            "lag_24h": 0.0,
            "rolling_avg_24h": 0.0,
        },
        ("lag_1h", "lag_24h", "rolling_avg_24h"),
    )


def test_a_built_in_vector_keeps_the_set_s_order() -> None:
    history = observed({-DAY - MINUTE: 10.0, -HOUR: 20.0, 0: 40.0})
    found = vector(FORECAST_BASIC, T, history)
    assert list(found.features.items()) == [
        ("hour_of_day", 14),
        ("day_of_week", 3),
        ("is_weekend", 0),
        ("lag_1h", 20.0),
        ("lag_24h", 10.0),
        ("rolling_avg_24h", 30.0),
    ]
    assert found.missing == ()


# Properties of the definitions, over anything


@given(feature_sets(), cases(), policies())
def test_no_feature_reads_what_comes_after_t(
    feature_set: FeatureSet, case: Case, missing: Missing | None
) -> None:
    history = case.history
    for t in case.instants:
        known = History(
            {
                name: [o for o in series if o.timestamp <= t]
                for name, series in history.series.items()
            },
            [row for row in history.weather if row.timestamp <= t and row.issued_at <= t],
            attributes=[one for one in history.attributes if one.valid_from <= t],
        )
        assert vector(feature_set, t, history, missing) == vector(feature_set, t, known, missing)


@given(feature_sets(), cases())
def test_only_keep_leaves_a_null_and_what_is_null_is_named(
    feature_set: FeatureSet, case: Case
) -> None:
    for t in case.instants:
        kept = vector(feature_set, t, case.history, "keep")
        assert kept.missing == tuple(name for name, v in kept.features.items() if v is None)
        filled = vector(feature_set, t, case.history, "mean")
        assert filled.missing == kept.missing
        assert all(v is not None and math.isfinite(v) for v in filled.features.values())


@given(cases())
def test_windows_differ_by_their_edges_alone(case: Case) -> None:
    counts = {closed: rolling("count", closed, "1h") for closed in CLOSED}
    stamps = {o.timestamp for o in case.history.series["value"]}
    for t in case.instants:
        found = {c: value(f, t, case.history) for c, f in counts.items()}
        at_start, at_end = int(t - HOUR in stamps), int(t in stamps)
        assert found["both"] == found["none"] + at_start + at_end
        assert found["left"] == found["none"] + at_start
        assert found["right"] == found["none"] + at_end


# The helpers that ship with it


@given(cases())
def test_a_write_log_leaves_the_last_value_of_each_time(case: Case) -> None:
    for name, log in case.logs.items():
        assert list(log.state) == list(case.history.series[name])
        assert all(a.timestamp < b.timestamp for a, b in pairwise(log.state))
        left: dict[int, float] = {}
        for write in log.writes:
            left[write.timestamp] = write.value
        assert left == {o.timestamp: o.value for o in log.state}


@pytest.mark.parametrize(
    ("a", "b", "n", "largest", "expected"),
    [
        (None, None, 1, 0.0, True),
        (None, 0.0, 1, 0.0, False),
        (0.0, None, 1, 0.0, False),
        (0.0, 1e-9, 1, 0.0, True),
        (0.0, 1.1e-9, 1, 0.0, False),
        (1e6, 1e6 + 9e-4, 1, 0.0, True),
        (1e6, 1e6 + 1.1e-3, 1, 0.0, False),
        (0.0, 9e-5, 100, 1e9, True),
        (0.0, 1.1e-4, 100, 1e9, False),
    ],
)
def test_values_are_close_within_the_tolerance_of_the_definitions(
    a: float | None, b: float | None, n: int, largest: float, expected: bool
) -> None:
    assert close(a, b, n, largest) is expected


def test_exact_values_are_equal_or_different() -> None:
    assert close(0.1 + 0.2, 0.3)
    assert not close(0.1 + 0.2, 0.3, exact=True)
    assert close(None, None, exact=True)


def test_differences_name_the_feature_and_both_values() -> None:
    chosen = FeatureSet("s", 1, (LAG_1H, rolling("mean")))
    history = observed({-HOUR: 1.0, 0: 2.0})
    right = vector(chosen, T, history)
    near = Vector({"lag_1h": 1.0, "f": 1.5 + 1e-12}, ())
    assert differences(chosen, T, history, right, near) == []
    wrong = Vector({"lag_1h": 1.0 + 1e-12, "f": 1.5}, ("f",))
    found = differences(chosen, T, history, right, wrong)
    assert [line.split(":")[0] for line in found] == ["missing", "lag_1h"]
    (names,) = differences(chosen, T, history, right, Vector({"f": 1.5}, ()))
    assert names == "names: got ['f'], expected ['lag_1h', 'f']"
