"""Ranges that are read one by one."""

from __future__ import annotations

import numpy as np
import pytest

from ai_hub.definitions.kinds import Ewm, Rolling
from ai_hub.definitions.measures import Measure
from ai_hub.definitions.values import HOUR, Duration
from ai_hub.definitions.vocabulary import STATS
from ai_hub.engines import ranges
from ai_hub.engines.arrays import Ints
from ai_hub.engines.ranges import Instants, window_bounds
from ai_hub.engines.statistics import statistic_of
from ai_hub.engines.windows import Taken, range_stats
from ai_hub.testing import taking

LOW, HIGH = np.array([0, 1, 3, 3, 0]), np.array([3, 1, 3, 4, 4])
VALUES = np.array([5.0, -1.0, 2.0, 7.0])
INSTANTS = Instants(
    np.array([0, 1, 3, 4]) * HOUR, np.full(5, 6 * HOUR), np.array([6, 5, 3, 2, 6]) * HOUR
)
WIDTH = Duration.of("1h")
MEASURES: dict[str, Measure] = {
    **{stat: Rolling("f", stat, WIDTH, **taking(stat)).measure for stat in STATS},
    "ewm": Ewm("f", WIDTH, WIDTH).measure,
}


def every_stat(low: Ints, high: Ints, instants: Instants = INSTANTS) -> Taken:
    return range_stats(VALUES, low, high, tuple(MEASURES.values()), instants)


def test_bounds_of_a_window_that_opens_and_closes_at_once_are_an_empty_range() -> None:
    low, high = window_bounds(np.array([5, 6]), np.array([6]), 1, "none")
    assert (high - low).tolist() == [0]


def test_empty_ranges_among_others() -> None:
    nan = np.nan
    expected: dict[str, list[float]] = {
        "mean": [2.0, nan, nan, 7.0, 3.25],
        "std": [3.0, nan, nan, nan, np.std(VALUES, ddof=1)],
        "min": [-1.0, nan, nan, 7.0, -1.0],
        "max": [5.0, nan, nan, 7.0, 7.0],
        "range": [6.0, nan, nan, 0.0, 8.0],
        "sum": [6.0, nan, nan, 7.0, 13.0],
        "count": [3, 0, 0, 1, 4],
        "median": [2.0, nan, nan, 7.0, 3.5],
        "quantile": [2 + 0.8 * 3, nan, nan, 7.0, 5 + 0.7 * 2],
        "first": [5.0, nan, nan, 7.0, 5.0],
        "last": [2.0, nan, nan, 7.0, 7.0],
        "delta": [-3.0, nan, nan, 0.0, 2.0],
        # From 5 to -1 the counter was reset: it counted -1 since.
        "increase": [-1 + 3, nan, nan, nan, -1 + 3 + 5],
        # Until 6h: 1h, 2h and 3h of the first three; 2h of the last one; 1h, 2h, 1h and 2h of all.
        "time_mean": [(5 - 2 + 6) / 6, nan, nan, 7.0, (5 - 2 + 2 + 14) / 6],
        "coverage": [3 / 6, 0.0, 0.0, 1 / 2, 4 / 6],
        "ewm": [(5 / 8 - 1 / 4 + 2) / (1 / 8 + 1 / 4 + 1), nan, nan, 7.0,
                (5 / 16 - 1 / 8 + 2 / 2 + 7) / (1 / 16 + 1 / 8 + 1 / 2 + 1)],
    }  # fmt: skip
    found = every_stat(LOW, HIGH)
    assert {*expected} == {*MEASURES}
    for stat, values in expected.items():
        if statistic_of(MEASURES[stat]).exact:
            np.testing.assert_array_equal(found[MEASURES[stat]], values, stat)
        np.testing.assert_allclose(found[MEASURES[stat]], values, rtol=1e-15, err_msg=stat)
    assert found[MEASURES["count"]].dtype == np.int64


def test_no_ranges_at_all() -> None:
    none = np.empty(0, np.int64)
    found = every_stat(none, none, Instants(INSTANTS.keys, none, none))
    assert {one: len(column) for one, column in found.items()} == dict.fromkeys(
        MEASURES.values(), 0
    )


@pytest.mark.parametrize("most", [1, 2, 5, 8])
def test_values_gathered_a_few_at_a_time_give_the_same(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = every_stat(LOW, HIGH)
    monkeypatch.setattr(ranges, "_GATHER", most)
    for measure, column in every_stat(LOW, HIGH).items():
        np.testing.assert_array_equal(column, whole[measure], measure.stat)
