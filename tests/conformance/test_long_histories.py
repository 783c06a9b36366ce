"""Thousands of rows of a kind that is hard on sums that slide, against the reference at samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ai_hub.definitions.builtin import FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Age, Bucket, Derived, Ewm, Rolling, Seasonal
from ai_hub.definitions.values import DAY, HOUR, MINUTE, Duration, parse_time
from ai_hub.definitions.vocabulary import CLOSED, STATS, Closed
from ai_hub.testing import History, Observation, taking
from conformance.kit import Engine, wrong

START = parse_time("2023-11-20T00:00:00Z")  # a leap day, month ends and a year's end follow
ROWS = 6_000
SAMPLES = 25

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Shape = Callable[[np.random.Generator, int], Floats]


def daily_load(random: np.random.Generator, n: int) -> Floats:
    hours = np.arange(n)
    return 100 + 40 * np.sin(hours * np.pi / 12) + random.normal(0, 3, n)


def large_with_small_spread(random: np.random.Generator, n: int) -> Floats:
    return 1e9 + random.uniform(-1e-2, 1e-2, n)


def register(random: np.random.Generator, n: int) -> Floats:
    sums = np.cumsum(random.random(n))
    return 1e9 * (sums - sums[0]) / (sums[-1] - sums[0])


def spikes(random: np.random.Generator, n: int) -> Floats:
    spiky = random.random(n) < 0.003
    return np.where(spiky, random.choice((1e15, -1e15), n), random.normal(0, 1, n))


def level_steps(random: np.random.Generator, n: int) -> Floats:
    return np.where(np.arange(n) // 700 % 2, 5e6, 5.0) + random.choice((0.0, 1e-3), n)


def constant_stretches(random: np.random.Generator, n: int) -> Floats:
    return np.where(np.arange(n) // 300 % 2, 0.1, random.normal(0, 1e6, n))


def one_constant(random: np.random.Generator, n: int) -> Floats:
    return np.full(n, 1e9 / 7)


def zeros_and_ones(random: np.random.Generator, n: int) -> Floats:
    return random.choice((0.0, 0.0, 1.0), n)


def tiny(random: np.random.Generator, n: int) -> Floats:
    return random.uniform(-1e-12, 1e-12, n)


SHAPES: tuple[Shape, ...] = (
    daily_load, large_with_small_spread, register, spikes, level_steps,
    constant_stretches, one_constant, zeros_and_ones, tiny,
)  # fmt: skip


def hourly(random: np.random.Generator, n: int) -> Times:
    return START + np.arange(n) * HOUR


def minutes_with_gaps(random: np.random.Generator, n: int) -> Times:
    gaps = np.where(random.random(n) < 0.004, random.integers(60, 9_000, n), 1)
    return START + np.cumsum(gaps) * MINUTE


def odd_microseconds(random: np.random.Generator, n: int) -> Times:
    return START + np.cumsum(random.integers(1, 2 * HOUR, n))


ALL = FeatureSet("every_feature", 1, FEATURES)
STATISTICS = FeatureSet(
    "statistics",
    1,
    (
        *(
            Rolling(f"{stat}_{closed}_{window}", stat, Duration.of(window), closed, **taking(stat))
            for stat in STATS
            for closed in CLOSED
            for window in ("3h", "24h")
        ),
        *(Bucket(f"weekly_{stat}", stat, Duration.of("7d"), **taking(stat)) for stat in STATS),
        Ewm("ewm", Duration.of("90m"), Duration.of("24h")),
        Ewm("weekly_ewm", Duration.of("24h"), Duration.of("7d"), min_count=5),
        Seasonal("same_hour", "mean", Duration.of("24h"), 7),
        Age("age", Duration.of("3h")),
        Derived("swing", "(max_both_24h - min_both_24h) / 2"),
    ),
    missing="keep",
)


def samples(random: np.random.Generator, times: Times, values: Floats) -> list[int]:
    """Rows at random, the first and last ones, and rows shortly after the largest values."""
    n = len(times)
    spots = np.argsort(np.abs(values))[-5:, None] + np.array([0, 1, 24, 25, 26, 168, 169, 170])
    rows = np.concatenate(
        [random.integers(0, n, SAMPLES), [0, 1, n - 2, n - 1], spots[spots < n].ravel()]
    )
    return np.unique(rows).tolist()


# What a shape is hard on, the statistics show; the built-in features are a choice of them.
HARDEST = (daily_load, large_with_small_spread, spikes)
CASES = [
    pytest.param(
        axis, feature_set, shape, id=f"{name}-{shape.__name__}",
        marks=[pytest.mark.long] if feature_set is ALL and shape not in HARDEST else [],
    )
    for name, axis, feature_set in (
        ("hourly-all", hourly, ALL),
        ("hourly-statistics", hourly, STATISTICS),
        ("minutes-all", minutes_with_gaps, ALL),
        ("odd-statistics", odd_microseconds, STATISTICS),
    )
    for shape in SHAPES
]  # fmt: skip


@pytest.mark.parametrize(("axis", "feature_set", "shape"), CASES)
def test_every_row_of_a_long_history(
    engine: Engine,
    axis: Callable[[np.random.Generator, int], Times],
    feature_set: FeatureSet,
    shape: Shape,
) -> None:
    random = np.random.default_rng(7)
    times, values = axis(random, ROWS), shape(random, ROWS)
    quiet = daily_load(random, 500)
    long = History({"value": _observed(times, values)})
    # Its neighbour on the axis must not notice what went before it.
    short = History({"value": _observed(times[:500], quiet)})
    points = [(0, t) for t in times.tolist()] + [(1, t) for t in times[:500].tolist()]
    chosen = [*samples(random, times, values), ROWS, ROWS + 200, ROWS + 499]
    vectors = engine.vectors(feature_set, "keep", [long, short], [0, 1], points, chosen)
    for row, vector in zip(chosen, vectors, strict=True):
        i, t = points[row]
        assert not wrong(feature_set, t, _near((long, short)[i], t), vector, "keep")


@pytest.mark.parametrize("closed", CLOSED)
def test_points_between_the_rows_of_a_long_history(engine: Engine, closed: Closed) -> None:
    random = np.random.default_rng(3)
    times, values = hourly(random, 2_000), spikes(random, 2_000)
    history = History({"value": _observed(times, values)})
    features = tuple(
        Rolling(stat, stat, Duration.of("24h"), closed, **taking(stat)) for stat in STATS
    )
    feature_set = FeatureSet("between", 1, features)
    points = [(0, int(t) + shift) for t in times for shift in (-1, 1, 30 * MINUTE)]
    chosen = random.integers(0, len(points), SAMPLES).tolist()
    vectors = engine.vectors(feature_set, "keep", [history], [0], points, chosen)
    for row, vector in zip(chosen, vectors, strict=True):
        t = points[row][1]
        assert not wrong(feature_set, t, _near(history, t), vector, "keep")


def test_a_dense_stretch_of_large_values_before_a_sparse_one_of_small_values(
    engine: Engine,
) -> None:
    random = np.random.default_rng(5)
    minutes = START + np.arange(2_000) * MINUTE
    hours = minutes[-1] + np.arange(1, 200) * HOUR
    times = np.concatenate([minutes, hours])
    for small in (3.0, 3e4):
        values = np.concatenate([random.normal(0, 1e6, 2_000), random.normal(0, small, 199)])
        history = History({"value": _observed(times, values)})
        points = [(0, t) for t in times.tolist()]
        chosen = range(1_990, len(times), 31)
        vectors = engine.vectors(STATISTICS, "keep", [history], [0], points, chosen)
        for row, vector in zip(chosen, vectors, strict=True):
            t = points[row][1]
            assert not wrong(STATISTICS, t, _near(history, t), vector, "keep")


def _observed(times: Times, values: Floats) -> list[Observation]:
    return [Observation(t, v) for t, v in zip(times.tolist(), values.tolist(), strict=True)]


def _near(history: History, t: int) -> History:
    """All that the features of these sets can reach from `t`: the reference reads every row."""
    rows = history.series["value"]
    return History({"value": [o for o in rows if t - 9 * DAY <= o.timestamp <= t]})
