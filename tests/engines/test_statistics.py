"""Every statistic by literal answers, by both ways of walking windows and by the reference.

And what the table says of each statistic is what the reference does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ai_hub.definitions.kinds import Ewm, Rolling
from ai_hub.definitions.measures import Measure
from ai_hub.definitions.values import HOUR, MINUTE, Duration
from ai_hub.definitions.vocabulary import STATS, Stat
from ai_hub.engines.reference import History, fill_values, value
from ai_hub.engines.reference_statistics import Observation, statistic
from ai_hub.engines.statistics import aggregates, statistic_of
from ai_hub.engines.windows import window_stats
from ai_hub.testing import taking

HOUR_WIDE = Duration(HOUR)
DAY_WIDE = Duration.of("24h")
OLD = History({"value": [Observation(-2 * HOUR, 5.0)]})
NAN = np.nan
HUGE = 1.7e308


def rolling(stat: Stat) -> Rolling:
    return Rolling("f", stat, HOUR_WIDE, **taking(stat))


def measure(stat: Stat, **fields: float | Duration) -> Measure:
    return Rolling("f", stat, HOUR_WIDE, **fields).measure  # type: ignore[arg-type]


MEASURES = tuple(rolling(stat).measure for stat in STATS)


@pytest.mark.parametrize("stat", STATS)
def test_of_an_empty_window(stat: Stat) -> None:
    assert value(rolling(stat), 0, OLD) == statistic_of(rolling(stat).measure).empty


@pytest.mark.parametrize("stat", STATS)
def test_what_fills_it(stat: Stat) -> None:
    filled_by = fill_values(rolling(stat), 0, OLD)
    assert filled_by == ([5.0] if statistic_of(rolling(stat).measure).mean_fills else [])


def test_aggregates_are_computed_once() -> None:
    parts = aggregates(MEASURES)
    assert len({*parts}) == len(parts)
    low, high, spread = (measure(stat) for stat in ("min", "max", "range"))
    assert aggregates((spread, high, low)) == aggregates((low, spread))
    first, last, delta = (measure(stat) for stat in ("first", "last", "delta"))
    assert aggregates((delta, first, last)) == aggregates((first, delta))


def test_the_same_quantile_is_one_aggregate_and_another_another() -> None:
    low, high = measure("quantile", q=0.1), measure("quantile", q=0.9)
    assert len(aggregates((low, high, measure("quantile", q=0.1)))) == 2


def of_hours(one: Measure, values: Sequence[float], hours: Sequence[float], until: float) -> float:
    """A statistic of values at some hours of a day that ends at the hour `until`.

    It is the same, sliding or not, or a single window among many; and for the reference.
    """
    keys = np.array([round(hour * HOUR) for hour in hours], np.int64)
    t, data = round(until * HOUR), np.array(values, float)
    # Points besides, so that windows before and after it are walked too.
    at = np.unique(np.append(keys, (t, t + HOUR)))
    each = [
        window_stats(keys, data, at, 100 * DAY_WIDE.micros, DAY_WIDE.micros, "both", (one,), dense)
        for dense in (False, True)
    ]
    found, slid = (float(column[one][at == t][0]) for column in each)
    readings = [Observation(int(key), v) for key, v in zip(keys, values, strict=True)]
    inside = [o for o in readings if t - DAY_WIDE.micros <= o.timestamp <= t]
    expected = statistic(one, inside, t, DAY_WIDE.micros)
    for other in (slid, NAN if expected is None else expected):
        assert found == pytest.approx(other, rel=1e-12, abs=1e-12, nan_ok=True)
    return found


@pytest.mark.parametrize(
    ("q", "values", "expected"),
    [
        (0.0, [3.0, 1.0, 2.0], 1.0),
        (1.0, [3.0, 1.0, 2.0], 3.0),
        (0.5, [3.0, 1.0, 2.0, 10.0], 2.5),
        # (n-1) q = 2.7: between the third and the fourth.
        (0.9, [4.0, 1.0, 3.0, 2.0], 3.7),
        (0.25, [10.0, 20.0], 12.5),
        (0.9, [7.0], 7.0),
        (0.9, [0.1, 0.1, 0.1], 0.1),
        (0.5, [-HUGE, HUGE], 0.0),
        (0.75, [-HUGE, HUGE], 0.85e308),
        (0.9, [], NAN),
    ],
)
def test_a_quantile_is_linear_between_values(
    q: float, values: list[float], expected: float
) -> None:
    found = of_hours(measure("quantile", q=q), values, range(len(values)), 10)
    assert found == pytest.approx(expected, rel=1e-15, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "first", "last", "delta"),
    [
        ([5.0, 9.0, 7.5], 5.0, 7.5, 2.5),
        ([5.0, 9.0, 1.0], 5.0, 1.0, -4.0),
        ([5.0], 5.0, 5.0, 0.0),
        ([HUGE, HUGE], HUGE, HUGE, 0.0),
        ([-HUGE, HUGE], -HUGE, HUGE, NAN),
        ([], NAN, NAN, NAN),
    ],
)
def test_first_last_and_their_difference(
    values: list[float], first: float, last: float, delta: float
) -> None:
    hours = range(len(values))
    np.testing.assert_equal(of_hours(measure("first"), values, hours, 10), first)
    np.testing.assert_equal(of_hours(measure("last"), values, hours, 10), last)
    np.testing.assert_equal(of_hours(measure("delta"), values, hours, 10), delta)


@pytest.mark.parametrize(
    ("tolerance", "values", "expected"),
    [
        (0, [10.0, 12.0, 15.0], 5.0),
        # A counter that was reset counted what it shows.
        (0, [10.0, 12.0, 3.0, 4.0], 2 + 3 + 1),
        (0, [10.0, 12.0, 11.9], 2 + 11.9),
        # It ran back by no more than may be: by 1, not by 1.5.
        (1, [10.0, 12.0, 11.0, 13.0], 2 + 0 + 2),
        (1, [10.0, 12.0, 10.5], 2 + 10.5),
        (0, [5.0, 5.0, 5.0], 0.0),
        (0, [HUGE, HUGE], 0.0),
        (0, [0.0, HUGE, 0.0, HUGE], NAN),
        (0, [-HUGE, HUGE], NAN),
        (0, [5.0], NAN),
        (0, [], NAN),
    ],
)
def test_an_increase_is_what_a_counter_counted(
    tolerance: float, values: list[float], expected: float
) -> None:
    found = of_hours(measure("increase", tolerance=tolerance), values, range(len(values)), 10)
    assert found == pytest.approx(expected, rel=1e-15, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "hours", "until", "expected"),
    [
        # 2 holds for an hour and 5 for three, up to t.
        ([2.0, 5.0], [0, 1], 4, (2 + 3 * 5) / 4),
        # The value at t has held for no time yet.
        ([2.0, 5.0, 100.0], [0, 1, 4], 4, (2 + 3 * 5) / 4),
        ([2.0], [3], 4, 2.0),
        # No time at all: the value.
        ([2.0], [4], 4, 2.0),
        ([0.1, 0.1, 0.1], [0, 1, 2], 5, 0.1),
        ([HUGE, HUGE], [0, 1], 5, HUGE),
        ([HUGE, -HUGE], [0, 1], 2, 0.0),
        ([HUGE, -HUGE], [0, 3], 4, HUGE / 2),
        ([HUGE, -HUGE, 0.0], [0, 1, 3], 4, -HUGE / 4),
        ([HUGE, -HUGE, 0.0], [0, 1, 2], 4, 0.0),
        ([1e307, 0.0], [0, 1], 4, 2.5e306),
        ([], [], 4, NAN),
    ],
)
def test_a_mean_over_time_holds_each_value_until_the_next(
    values: list[float], hours: list[float], until: float, expected: float
) -> None:
    found = of_hours(measure("time_mean"), values, hours, until)
    assert found == pytest.approx(expected, rel=1e-15, nan_ok=True)


@pytest.mark.parametrize(
    ("step", "count", "expected"),
    [("1h", 12, 0.5), ("1h", 24, 1.0), ("2h", 6, 0.5), ("6h", 24, 1.0), ("1h", 0, 0.0)],
)
def test_a_coverage_is_the_share_of_the_readings_that_could_be(
    step: str, count: int, expected: float
) -> None:
    one = measure("coverage", step=Duration.of(step))
    assert of_hours(one, [1.0] * count, range(1, count + 1), 24) == expected


def test_a_single_gap_shows_where_the_window_is_open_on_the_left() -> None:
    """[t-24h, t] has room for 25 readings."""
    hours = [hour for hour in range(25) if hour != 7]
    history = History({"value": [Observation(hour * HOUR, 1.0) for hour in hours]})
    both, right = (
        value(Rolling("f", "coverage", DAY_WIDE, closed, step="1h"), 24 * HOUR, history)  # type: ignore[arg-type]
        for closed in ("both", "right")
    )
    assert (both, right) == (1.0, 23 / 24)


def test_a_window_without_a_length_is_covered_by_a_value() -> None:
    one = measure("coverage", step=HOUR_WIDE)
    here = [Observation(0, 1.0)]
    assert (statistic(one, here, 0, 0), statistic(one, [], 0, 0)) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("values", "hours", "until", "expected"),
    [
        # Weights 1/4, 1/2 and 1, whenever it is asked.
        ([4.0, 2.0, 8.0], [0, 1, 2], 2, (1 + 1 + 8) / 1.75),
        ([4.0, 2.0, 8.0], [0, 1, 2], 9, (1 + 1 + 8) / 1.75),
        ([4.0], [0], 9, 4.0),
        ([0.1, 0.1, 0.1], [0, 1, 2], 5, 0.1),
        ([HUGE, HUGE], [0, 1], 5, HUGE),
        ([-HUGE, HUGE], [0, 1], 1, HUGE / 3),
        ([], [], 4, NAN),
    ],
)
def test_a_weighted_mean_halves_with_age(
    values: list[float], hours: list[float], until: float, expected: float
) -> None:
    found = of_hours(Ewm("f", HOUR_WIDE, DAY_WIDE).measure, values, hours, until)
    assert found == pytest.approx(expected, rel=1e-14, nan_ok=True)


def test_a_weighted_mean_of_what_is_many_halflives_old_is_there() -> None:
    one = Ewm("f", Duration.of("1us"), DAY_WIDE).measure
    assert of_hours(one, [4.0, 2.0], [0, 1], 20) == 2.0


@pytest.mark.parametrize("stat", STATS)
def test_one_value_is_every_level_and_has_no_spread(stat: Stat) -> None:
    levels = {"count": 1, "coverage": 1.0, "std": None, "increase": None, "range": 0, "delta": 0}
    history = History({"value": [Observation(-30 * MINUTE, 5.0)]})
    assert value(rolling(stat), 0, history) == levels.get(stat, 5.0)
