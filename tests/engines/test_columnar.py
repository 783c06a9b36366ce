"""The kernel by literal answers: what sharing one axis and one pass must not mix up."""

from __future__ import annotations

import numpy as np

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Feature, Lag, Latest
from ai_hub.definitions.values import DAY, HOUR, Duration, parse_time
from ai_hub.engines.arrays import HistoryArrays, Points, Series, SourceTable, Weather
from ai_hub.engines.columnar import compute, means, values_at
from ai_hub.engines.plan import Plan
from ai_hub.engines.traits import Source

T = parse_time("2025-10-09T14:30:00Z")
DAY_WIDE = Duration.of("24h")


def series(*rows: tuple[int, int, float]) -> Series:
    """(entity, distance from T, value) of each observation, sorted."""
    code, time, value = zip(*rows, strict=True)
    return Series(np.array(code), T + np.array(time), np.array(value, float))


def points(*pairs: tuple[int, int]) -> Points:
    code, time = zip(*pairs, strict=True)
    return Points(np.array(code), T + np.array(time))


def one(feature: Feature, at: Points, history: HistoryArrays) -> list[float]:
    plan = Plan.of(FeatureSet("s", 1, (feature,), missing="keep"))
    return compute(plan, at, history).columns[feature.name].tolist()


def test_a_lag_takes_the_latest_within_its_tolerance_of_its_own_entity() -> None:
    held = HistoryArrays({"value": series((0, -HOUR, 1.0), (0, 0, 2.0), (1, -2 * HOUR, 3.0))})
    lag = Lag("f", Duration.of("1h"))
    found = one(lag, points((0, 0), (0, HOUR), (0, 2 * HOUR), (1, 0), (2, 0)), held)
    # Exactly the tolerance is too old, and nobody knows entity 2.
    np.testing.assert_equal(found, [1.0, 2.0, np.nan, np.nan, np.nan])


def weather(source_of: list[int], *rows: tuple[int, int, int, float]) -> Weather:
    """(source, time, issue, temperature) of each row, distances from T, sorted."""
    code, time, issued, value = zip(*rows, strict=True)
    return Weather(
        np.array(code), T + np.array(time), T + np.array(issued),
        {"temperature": np.array(value, float)}, SourceTable.always(np.array(source_of)),
    )  # fmt: skip


def test_entities_that_share_a_source_see_the_same_weather_and_others_their_own() -> None:
    held = HistoryArrays({}, weather([1, 0, 1], (0, 0, 0, 5.0), (1, -HOUR, -HOUR, 7.0)))
    found = one(Latest("f", "temperature"), points((0, 0), (1, 0), (2, 0), (2, -2 * HOUR)), held)
    np.testing.assert_equal(found, [7.0, 5.0, 7.0, np.nan])


def test_an_issue_counts_from_when_it_is_known_and_age_from_its_time() -> None:
    rows = ((0, -HOUR, -9 * HOUR, 1.0), (0, -HOUR, HOUR, 2.0), (0, 0, 3 * HOUR, np.nan))
    held = HistoryArrays({}, weather([0], *rows))
    at = points((0, -HOUR - 1), (0, -HOUR), (0, HOUR - 1), (0, HOUR), (0, DAY - HOUR))
    found = one(Latest("f", "temperature"), at, held)
    np.testing.assert_equal(found, [np.nan, 1.0, 1.0, 2.0, np.nan])


def test_a_weather_mean_takes_of_each_time_the_latest_issue_known() -> None:
    rows = ((0, -2, -2, 1.0), (0, -1, -9, 4.0), (0, -1, 5, 10.0), (0, 1, 0, 100.0))
    held = HistoryArrays({}, weather([0], *rows))
    found = means(Source("weather", "temperature"), points((0, 0), (0, 5)), held)
    np.testing.assert_equal(found.tolist(), [2.5, 37.0])


def test_a_mean_is_over_the_closed_week_before() -> None:
    week = 7 * DAY
    held = HistoryArrays({"value": series((0, -week - 1, 99.0), (0, -week, 1.0), (0, 0, 3.0))})
    found = means(Source("series", "value"), points((0, 0), (0, week), (0, week + 1)), held)
    np.testing.assert_equal(found.tolist(), [2.0, 3.0, np.nan])


def test_a_value_is_that_of_exactly_its_time() -> None:
    held = HistoryArrays({"value": series((0, 0, 1.0), (1, 0, 2.0))})
    found = values_at("value", points((0, -1), (0, 0), (1, 0), (1, 1), (2, 0)), held)
    np.testing.assert_equal(found.tolist(), [np.nan, 1.0, 2.0, np.nan, np.nan])


def test_no_points_are_no_rows() -> None:
    plan = Plan.of(FeatureSet("s", 1, (Lag("f", DAY_WIDE), Latest("w", "humidity"))))
    nobody = Points(np.empty(0, np.int64), np.empty(0, np.int64))
    assert {n: len(v) for n, v in compute(plan, nobody, HistoryArrays({})).columns.items()} == {
        "f": 0,
        "w": 0,
    }
