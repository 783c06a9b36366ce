"""What computing a vector costs, with each feature and without: measured here on the kernel.

One asset with a history of the data's cadence, as far back as the vector reads; one vector at a
time, as serving computes it, each variant in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import HOUR
from ai_hub.engines.arrays import (
    AttributeTable,
    Floats,
    HistoryArrays,
    Ints,
    Points,
    Series,
    SourceTable,
    Weather,
)
from ai_hub.engines.plan import Plan
from ai_hub.engines.reads import reads_of
from ai_hub.engines.traits import ZONE_KEY
from ai_hub.engines.vectors import vectors
from ai_hub.importance.values import Vector
from ai_hub.importance.worth import needed_by

_ROUNDS = 301
_FEWEST = 11
_SECONDS = 5.0
"""Rounds are as many as that time holds, but not fewer and no more."""
_MOST_READINGS = 1_000_000


@dataclass(frozen=True)
class Costs:
    """What a vector costs, what it does without some features, and what leaving out each saves."""

    vector: Vector
    leaner: Vector
    saved: dict[str, float]


def costs_of(feature_set: FeatureSet, could_go: frozenset[str], step: int, at: int) -> Costs:
    """What the vector of a set costs, and what leaving features out saves, in microseconds.

    Medians over rounds in which each variant is computed once. `step` is the usual time between
    readings, `at` the time of the vector.
    """
    names = feature_set.feature_names
    alone = [name for name in names if not needed_by(feature_set, name)]
    lacking = [frozenset[str](), could_go, *(frozenset([name]) for name in alone)]
    plans = [_plan(feature_set, one) for one in lacking]
    taken = _measured([_computation(plan, step, at) for plan in plans])
    vector, leaner = (
        Vector(str(reads_of(() if plan is None else plan.feature_set.computed)), float(median))
        for plan, median in zip(plans[:2], np.median(taken[:, :2], axis=0), strict=True)
    )
    less = np.maximum(np.median(taken[:, :1] - taken[:, 2:], axis=0), 0)
    return Costs(
        vector, leaner, dict.fromkeys(names, 0.0) | dict(zip(alone, less.tolist(), strict=True))
    )


def _measured(work: list[Callable[[], object]]) -> Floats:
    """The microseconds of each work in each round, one after the other."""
    for compute in work:
        compute()
    rounds: list[list[float]] = []
    until = time.perf_counter() + _SECONDS
    while len(rounds) < _FEWEST or (len(rounds) < _ROUNDS and time.perf_counter() < until):
        taken = []
        for compute in work:
            begin = time.perf_counter_ns()
            compute()
            taken.append((time.perf_counter_ns() - begin) / 1_000)
        rounds.append(taken)
    return np.array(rounds)


def _plan(feature_set: FeatureSet, lacking: frozenset[str]) -> Plan | None:
    """The plan of what is left of a set; None where nothing is."""
    kept = tuple(f for f in feature_set.features if f.name not in lacking)
    return Plan.of(replace(feature_set, features=kept)) if kept else None


def _computation(plan: Plan | None, step: int, at: int) -> Callable[[], object]:
    """What computes one vector."""
    if plan is None:
        return lambda: None
    points = Points(np.zeros(1, np.int64), np.full(1, at))
    history = _history(plan, step, at)
    return lambda: vectors(plan, points, history, None)


def _history(plan: Plan, step: int, at: int) -> HistoryArrays:
    """What a store would read for one vector: a reading each step (of views too), weather each
    hour."""
    series = {name: _series(_times(at, plan.lookback, step)) for name in plan.series}
    views = {
        (one.view, one.column): _series(_times(at, one.max_age.micros, step)) for one in plan.viewed
    }
    weather = None
    if plan.weather:
        time = _times(at, plan.weather_lookback, HOUR)
        columns = {name: np.random.default_rng(0).random(len(time)) for name in plan.weather}
        code = np.zeros(len(time), np.int64)
        weather = Weather(code, time, time, columns, SourceTable.always(np.zeros(1, np.int64)))
    zero, since = np.zeros(1, np.int64), np.full(1, at - 1)
    attributes = {
        key: AttributeTable(
            zero, since, np.ones(1), zero if key == ZONE_KEY else zero - 1, ("UTC",)
        )
        for key in plan.attributes
    }
    return HistoryArrays(series, weather, attributes, views)


def _series(time: Ints) -> Series:
    value = np.random.default_rng(0).normal(100, 10, len(time))
    return Series(np.zeros(len(time), np.int64), time, value)


def _times(at: int, lookback: int, step: int) -> Ints:
    """The last times of readings, in order."""
    count = min(lookback // step, _MOST_READINGS) + 1
    return at - step * np.arange(count, dtype=np.int64)[::-1]
