"""Baselines: gathered from rows in any order, and what may be one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.kinds import Calendar, Derived, Lag
from ai_hub.definitions.values import HOUR, Duration, parse_time
from ai_hub.drift.baseline import QUANTILES, Baseline, Gathering, clock_features
from ai_hub.drift.sketch import HOURS
from ai_hub.errors import InvalidInput

MONDAY = parse_time("2025-10-06T00:00:00Z")


def gathered(values: np.ndarray, time: np.ndarray, parts: int = 1) -> Baseline:
    gathering = Gathering(["f", "g"], ["g"])
    for rows in np.array_split(np.arange(len(values)), parts):
        columns = {"f": values[rows], "g": np.ones(len(rows))}
        gathering.add(time[rows], columns, {"f": values[rows] > 1})
    return gathering.baseline()


def hourly(weeks: int) -> np.ndarray:
    return MONDAY + np.arange(weeks * HOURS) * HOUR


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_neither_the_order_of_rows_nor_their_parts_matter(
    weeks: int, parts: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    time = hourly(weeks)
    values = random.normal(size=len(time))
    values[random.random(len(time)) < 0.1] = np.nan
    rows = random.permutation(len(time))
    whole, other = gathered(values, time), gathered(values[rows], time[rows], parts)
    assert (other.features, other.clock) == (("f", "g"), {"g"})
    for one in ("weeks", "week_counts", "centre", "spread", "levels"):
        np.testing.assert_array_equal(getattr(other, one), getattr(whole, one))
    assert other.whole.to_bytes() == whole.whole.to_bytes()


def test_it_has_the_quantiles_the_gaps_and_the_counts_of_each_hour() -> None:
    random = np.random.default_rng(0)
    weeks = 4
    time = np.tile(hourly(weeks), 100)
    values = random.normal(size=len(time)) + np.tile(np.arange(HOURS), 100 * weeks)
    values[:HOURS] = np.nan
    baseline = gathered(values, time)
    quantiles = baseline.quantiles()
    assert quantiles.shape == (2, HOURS, QUANTILES)
    noon = np.nanquantile(values.reshape(-1, HOURS), (np.arange(200) + 0.5) / 200, axis=0).T
    np.testing.assert_allclose(quantiles[0, :, 20:180], noon[:, 20:180], atol=0.2)
    assert (baseline.whole.rows == 100 * weeks).all()
    assert (baseline.whole.missing[0] == 1).all()
    assert baseline.week_counts[1].tolist() == [[HOURS, 0], [0, 0], [0, 0], [0, 0]]
    assert baseline.week_counts[2, :, 0].sum() == (values > 1).sum()
    assert baseline.levels.shape == (weeks, 2, HOURS, 6)


def test_where_an_hour_has_one_value_one_level_is_kept() -> None:
    baseline = gathered(np.arange(2.0 * HOURS), hourly(2))
    assert baseline.levels.shape == (2, 2, HOURS, 1)


def test_the_last_two_years_are_kept_of_more() -> None:
    time = hourly(120)
    baseline = gathered(np.sin(np.arange(len(time))), time)
    assert len(baseline.weeks) == 106
    assert baseline.whole.rows[0].sum() == len(time)


def test_a_baseline_is_checked_when_built() -> None:
    good = gathered(np.arange(2.0 * HOURS), hourly(2))
    for wrong in ({"weeks": good.weeks[::-1]}, {"weeks": good.weeks[:1]}, {"clock": {"x"}}):
        with pytest.raises(InvalidInput):
            replace(good, **wrong)
    with pytest.raises(InvalidInput, match=r"expected vectors of at least a week|some weeks"):
        Gathering(["f"]).baseline()


def test_what_the_clock_decides_is_of_calendars_alone() -> None:
    lag = Lag("lag", Duration.of("1h"))
    features = (
        lag,
        Calendar("hour", "hour_of_day"),
        Derived("night", "hour < 6"),
        Derived("late", "night * lag"),
    )
    assert clock_features(features) == {"hour", "night"}
