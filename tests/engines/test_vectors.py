"""Filled vectors: where the means come from that stand for what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Feature, Lag, Latest, Rolling
from ai_hub.definitions.values import DAY, HOUR, Duration, parse_time
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.arrays import HistoryArrays, Ints, Points, Series, SourceTable, Weather
from ai_hub.engines.plan import Plan
from ai_hub.engines.traits import Source
from ai_hub.engines.vectors import vectors

T = parse_time("2025-10-09T14:30:00Z")
LAG = Lag("f", Duration.of("24h"))
POINTS = Points(np.arange(3), np.full(3, T))
ROW = np.zeros(1, np.int64)


def series(*rows: tuple[int, int, float]) -> HistoryArrays:
    """(entity, distance from T, value) of each observation, sorted."""
    code, time, value = zip(*rows, strict=True)
    return HistoryArrays({"value": Series(np.array(code), T + np.array(time), np.array(value))})


NEAR = series((0, -DAY, 1.0), (2, -HOUR, 5.0))
"""Nothing at the lag of entities 1 and 2."""


def filled(
    feature: Feature, history: HistoryArrays, further: HistoryArrays, missing: Missing = "mean"
) -> tuple[list[float], list[bool], list[tuple[Source, list[int]]]]:
    asked: list[tuple[Source, list[int]]] = []

    def read_on(source: Source, rows: Ints) -> HistoryArrays:
        asked.append((source, rows.tolist()))
        return further

    plan = Plan.of(FeatureSet("s", 1, (feature,)))
    columns, masks, _ = vectors(plan, POINTS, history, missing, read_on)
    return columns["f"].tolist(), masks["f"].tolist(), asked


def test_a_mean_beyond_the_history_is_read_on_for_the_rows_that_want_it() -> None:
    # Coded anew: entity 0 of it is the first row asked for, which is entity 1 of the points.
    further = series((0, -6 * DAY, 7.0), (0, -2 * DAY, 9.0), (1, -5 * DAY, 1.0), (1, -HOUR, 5.0))
    values, mask, asked = filled(LAG, NEAR, further)
    assert values == [1.0, 8.0, 3.0]
    assert mask == [False, True, True]
    assert asked == [(("series", "value", "left"), [1, 2])]


def test_the_weather_is_read_on_too() -> None:
    latest = Latest("f", "humidity", Duration.of("1h"))
    none = np.empty(0, np.int64)
    source_of = SourceTable.always(np.zeros(3, np.int64))
    near = Weather(none, none, none, {"humidity": np.empty(0)}, source_of)
    known = ROW + T - DAY
    further = HistoryArrays({}, Weather(ROW, known, known, {"humidity": ROW + 60.0}, source_of))
    values, _, asked = filled(latest, HistoryArrays({}, near), further)
    assert values == [60.0, 60.0, 60.0]
    assert asked == [(("weather", "humidity", "both"), [0, 1, 2])]


@pytest.mark.parametrize("width", ["168h", "200h"])
def test_a_history_that_reaches_as_far_as_a_mean_is_not_read_again(width: str) -> None:
    week = Lag("f", Duration.of(width))
    values, mask, asked = filled(week, NEAR, HistoryArrays({}))
    assert values == [1.0, 0.0, 5.0]
    assert mask == [True, True, True]
    assert asked == []


@pytest.mark.parametrize(("missing", "expected"), [("zero", 0.0), (-3.0, -3.0)])
def test_nothing_is_read_on_where_no_mean_is_wanted(missing: Missing, expected: float) -> None:
    values, _, asked = filled(LAG, NEAR, HistoryArrays({}), missing)
    assert values == [1.0, expected, expected]
    assert asked == []
    spread = Rolling("f", "std", Duration.of("1h"))
    assert filled(spread, NEAR, HistoryArrays({}))[2] == []


def test_without_reading_on_the_history_is_all_there_is() -> None:
    plan = Plan.of(FeatureSet("s", 1, (LAG,)))
    columns, _, _ = vectors(plan, POINTS, NEAR, "mean")
    assert columns["f"].tolist() == [1.0, 0.0, 5.0]
