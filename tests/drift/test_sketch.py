"""Sketches: counts are exact, ranks nearly, and no order or split matters much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import DAY, HOUR, parse_time
from ai_hub.drift.points import NO_POINTS, Points, quantiles, summarised
from ai_hub.drift.sketch import HOURS, Sketch, hour_of_week, week_of, weeks_at
from ai_hub.errors import InvalidInput

MONDAY = parse_time("2025-10-06T00:00:00Z")


def test_a_week_begins_on_monday_in_utc() -> None:
    hours = np.arange(HOURS) * HOUR
    assert hour_of_week(MONDAY + hours).tolist() == [*range(HOURS)]
    assert set(week_of(MONDAY + hours)) == {weeks_at(MONDAY)}
    assert week_of(np.array([MONDAY - 1])) == weeks_at(MONDAY) - 1
    assert weeks_at(MONDAY + 84 * HOUR) == weeks_at(MONDAY) + 0.5


def sketch_of(values: Any, hours: Any = 0, most: int = 32) -> Sketch:
    sketch = Sketch(["f"], most)
    sketch.add(MONDAY + np.zeros(len(values), np.int64) + hours * HOUR, {"f": values})
    return sketch


def shares_below(values: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of values below each of some quantiles, and not above it."""
    return tuple(
        np.searchsorted(np.sort(values), found, side) / len(values) for side in ("left", "right")
    )


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=8),
    st.sampled_from(["normal", "heavy", "rounded", "rising"]),
    st.integers(0, 2**32 - 1),
)
def test_merged_in_any_split_a_rank_is_off_by_no_more_than_is_said(
    sizes: list[int], kind: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=sum(sizes))
    if kind == "heavy":
        values = values / random.random(len(values)) ** 2
    elif kind == "rounded":
        values = np.round(values)
    elif kind == "rising":
        values = np.sort(values)
    parts = np.split(values, np.cumsum(sizes)[:-1])
    merged = Sketch.merged([sketch_of(part) for part in parts])
    shares = np.linspace(0.01, 0.99, 50)
    (found,) = quantiles(merged.points, shares)[1]
    low, high = shares_below(values, found)
    # Summarised twice, and a point stands in the middle of its rows, which may all be equal.
    most = np.unique(values, return_counts=True)[1].max()
    error = 2 / 32 + most / len(values)
    assert (low <= shares + error).all()
    assert (high >= shares - error).all()
    assert merged.rows.sum() == merged.points.weight.sum() == len(values)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=300), st.randoms(use_true_random=False))
def test_a_few_different_values_are_kept_as_they_are_in_any_order(
    values: list[int], random: Any
) -> None:
    shuffled = random.sample(values, len(values))
    points = sketch_of(np.array(shuffled) * 0.1).points
    different, counts = np.unique(np.array(values) * 0.1, return_counts=True)
    np.testing.assert_array_equal(points.value, different)
    np.testing.assert_array_equal(points.weight, counts)


@given(st.permutations([*range(5)]), st.integers(0, 2**32 - 1))
def test_neither_the_order_of_rows_nor_that_of_sketches_changes_anything(
    order: list[int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    values, hours = random.normal(size=500), random.integers(0, HOURS, 500)
    rows = random.permutation(500)
    assert sketch_of(values, hours).to_bytes() == sketch_of(values[rows], hours[rows]).to_bytes()
    parts = [sketch_of(values[i::5], hours[i::5], 2) for i in range(5)]
    merged = Sketch.merged([parts[i] for i in order])
    assert merged.to_bytes() == Sketch.merged(parts).to_bytes()


def test_gaps_and_violations_are_counted_by_hour() -> None:
    sketch = Sketch(["a", "b"])
    time = MONDAY + np.array([0, 0, 3 * DAY, 3 * DAY + HOUR])
    columns = {"a": [1.0, np.nan, np.inf, 2.0], "b": np.array([1, 2, 3, 4])}
    sketch.add(time, columns, {"b": np.array([True, False, False, True])})
    assert sketch.rows[:, [0, 72, 73]].tolist() == [[2, 1, 1]] * 2
    assert sketch.missing[:, [0, 72, 73]].tolist() == [[1, 1, 0], [0, 0, 0]]
    assert sketch.violations[:, [0, 72, 73]].tolist() == [[0, 0, 0], [1, 0, 1]]
    assert sketch.points.value.tolist() == [1, 2, 1, 2, 3, 4]


def test_sketches_of_days_are_that_of_the_week_when_merged() -> None:
    values, hours = np.arange(HOURS) * 1.5, np.arange(HOURS)
    days = [sketch_of(values[d : d + 24], hours[d : d + 24]) for d in range(0, HOURS, 24)]
    assert Sketch.merged(days).to_bytes() == sketch_of(values, hours).to_bytes()


def test_features_of_any_of_them_are_in_what_is_merged() -> None:
    one, other = Sketch(["a", "b"]), Sketch(["c", "b"])
    one.add(np.array([MONDAY]), {"a": [1.0], "b": [2.0]})
    other.add(np.array([MONDAY]), {"b": [3.0], "c": [4.0]})
    merged = Sketch.merged([one, other])
    assert merged.features == ("a", "b", "c")
    assert merged.rows.sum(1).tolist() == [1, 2, 1]
    assert merged.points.value.tolist() == [1, 2, 3, 4]


def test_a_sketch_is_what_was_kept_of_it() -> None:
    random = np.random.default_rng(3)
    sketch = sketch_of(random.normal(size=9_000), random.integers(0, HOURS, 9_000))
    sketch.add(np.array([MONDAY]), {"f": [np.nan]}, {"f": np.array([True])})
    kept = Sketch.from_bytes(sketch.to_bytes())
    assert kept.to_bytes() == sketch.to_bytes()
    np.testing.assert_array_equal(kept.counts, sketch.counts)
    np.testing.assert_array_equal(kept.points.value, sketch.points.value)


def test_memory_is_bounded_and_much_is_added_in_parts() -> None:
    random = np.random.default_rng(4)
    sketch = Sketch(["f"], 8)
    for _ in range(30):
        time = MONDAY + random.integers(0, 5, 20_000) * HOUR
        sketch.add(time, {"f": random.normal(size=len(time))})
    assert len(sketch.points.value) <= 5 * 8
    assert sketch.points.weight.sum() == 600_000
    middle = quantiles(sketch.points, np.array([0.5]))[1]
    assert np.abs(middle).max() < 0.4


def test_absurd_values_do_no_harm() -> None:
    sketch = sketch_of(np.tile([1.7e308, -1.7e308, 1e-300, 0.0], 50), most=2)
    assert np.isfinite(sketch.points.value).all()


@pytest.mark.parametrize("data", [b"", b"AIHD", b"AIHD\x05\0\0\0{}", b"x" * 100])
def test_what_is_no_sketch_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^sketch: got '\d+ bytes', expected what is kept of a"):
        Sketch.from_bytes(data)


def test_a_sketch_is_of_features_that_differ() -> None:
    for names in ([], ["a", "a"]):
        with pytest.raises(InvalidInput, match="names that differ"):
            Sketch(names)
    with pytest.raises(InvalidInput, match="most"):
        Sketch(["a"], 0)


def test_of_nothing_there_are_no_quantiles() -> None:
    assert summarised([], 5) == NO_POINTS
    assert quantiles(NO_POINTS, np.array([0.5]))[1].shape == (0, 1)
    one = Points(np.array([7]), np.array([2.5]), np.array([3]))
    cells, found = quantiles(one, np.array([0.0, 0.5, 1.0]))
    assert cells.tolist() == [7]
    assert found.tolist() == [[2.5, 2.5, 2.5]]
