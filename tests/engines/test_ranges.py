"""Ranges that are read one by one."""

from __future__ import annotations

import numpy as np
import pytest

from ai_hub.definitions.vocabulary import STATS, Stat
from ai_hub.engines import ranges
from ai_hub.engines.ranges import window_bounds
from ai_hub.engines.windows import range_stats

LOW, HIGH = np.array([0, 1, 3, 3, 0]), np.array([3, 1, 3, 4, 4])
VALUES = np.array([5.0, -1.0, 2.0, 7.0])


def test_bounds_of_a_window_that_opens_and_closes_at_once_are_an_empty_range() -> None:
    low, high = window_bounds(np.array([5, 6]), np.array([6]), 1, "none")
    assert (high - low).tolist() == [0]


def test_empty_ranges_among_others() -> None:
    nan = np.nan
    expected: dict[Stat, list[float]] = {
        "mean": [2.0, nan, nan, 7.0, 3.25],
        "std": [3.0, nan, nan, nan, np.std(VALUES, ddof=1)],
        "min": [-1.0, nan, nan, 7.0, -1.0],
        "max": [5.0, nan, nan, 7.0, 7.0],
        "range": [6.0, nan, nan, 0.0, 8.0],
        "sum": [6.0, nan, nan, 7.0, 13.0],
        "count": [3, 0, 0, 1, 4],
        "median": [2.0, nan, nan, 7.0, 3.5],
    }
    found = range_stats(VALUES, LOW, HIGH, tuple(expected))
    for stat, values in expected.items():
        np.testing.assert_array_equal(found[stat], values, stat)
    assert found["count"].dtype == np.int64


def test_no_ranges_at_all() -> None:
    none = np.empty(0, np.int64)
    found = range_stats(VALUES, none, none, STATS)
    assert {stat: len(column) for stat, column in found.items()} == dict.fromkeys(STATS, 0)


@pytest.mark.parametrize("most", [1, 2, 5, 8])
def test_values_gathered_a_few_at_a_time_give_the_same(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = range_stats(VALUES, LOW, HIGH, STATS)
    monkeypatch.setattr(ranges, "_GATHER", most)
    for stat, column in range_stats(VALUES, LOW, HIGH, STATS).items():
        np.testing.assert_array_equal(column, whole[stat], stat)
