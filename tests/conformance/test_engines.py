"""Every engine gives what the reference gives, over drawn histories side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.builtin import FEATURE_SETS, FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Calendar, Derived, Latest, Rolling
from ai_hub.definitions.values import DAY, HOUR, MINUTE, parse_time
from ai_hub.definitions.vocabulary import (
    CLOSED,
    PARTS,
    STATS,
    WEATHER_COLUMNS,
    Closed,
    Missing,
    Stat,
)
from ai_hub.engines.reference import Mapped
from ai_hub.testing import (
    Case,
    History,
    Observation,
    WeatherRow,
    cases,
    feature_sets,
    instants,
    policies,
    taking,
)
from conformance.kit import Change, Engine, Point, wrong

ALL = FeatureSet("every_feature", 1, FEATURES)
T = parse_time("2025-10-09T14:30:00Z")


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[list[Case], list[int], list[Change]]:
    """Two to four assets, each with weather of its own or another's, and changes of that."""
    some = draw(st.lists(cases(max_size=20, max_instants=4), min_size=2, max_size=4))
    sources = [draw(st.sampled_from((i, i, draw(st.integers(0, len(some) - 1)))))
               for i in range(len(some))]  # fmt: skip
    place, moment = st.integers(0, len(some) - 1), st.sampled_from((-1, 0, 1, HOUR, -DAY))
    instant = st.sampled_from([t for case in some for t in case.instants])
    since = st.builds(int.__add__, instant, moment)
    change = st.tuples(place, since, place)
    changes = draw(st.lists(change, max_size=4, unique_by=lambda change: change[:2]))
    return some, sources, changes


def points_of(some: list[Case]) -> list[Point]:
    """Each asset's instants, and those of its neighbours as well: nothing reaches over."""
    mine = [(i, t) for i, case in enumerate(some) for t in case.instants]
    others = [(i, t) for i in range(len(some)) for case in some for t in case.instants[:1]]
    return list(dict.fromkeys(mine + others))


def check(
    engine: Engine,
    feature_set: FeatureSet,
    missing: Missing | None,
    histories: list[History],
    sources: list[int],
    points: list[Point],
    changes: Sequence[Change] = (),
) -> None:
    seen = [
        History(
            history.series,
            histories[source].weather,
            tuple(Mapped(at, histories[to].weather) for one, at, to in changes if one == i),
            history.attributes,
        )
        for i, (history, source) in enumerate(zip(histories, sources, strict=True))
    ]
    vectors = engine.vectors(feature_set, missing, histories, sources, points, changes=changes)
    for (i, t), vector in zip(points, vectors, strict=True):
        assert not wrong(feature_set, t, seen[i], vector, missing)


@given(feature_sets(asset_zone=True, rejects=True), policies(), neighbours())
def test_drawn_sets_over_drawn_histories(
    engine: Engine,
    feature_set: FeatureSet,
    missing: Missing | None,
    drawn: tuple[list[Case], list[int], list[Change]],
) -> None:
    some, sources, changes = drawn
    points = points_of(some)
    check(engine, feature_set, missing, [c.history for c in some], sources, points, changes)


@given(feature_set=st.sampled_from((ALL, *FEATURE_SETS)), missing=policies(), drawn=neighbours())
def test_built_in_sets_over_drawn_histories(
    engine: Engine,
    feature_set: FeatureSet,
    missing: Missing | None,
    drawn: tuple[list[Case], list[int], list[Change]],
) -> None:
    some, sources, changes = drawn
    points = points_of(some)
    check(engine, feature_set, missing, [c.history for c in some], sources, points, changes)


@given(st.data(), cases(max_size=30))
def test_one_asset_at_every_row_and_at_its_window_edges(
    engine: Engine, data: st.DataObject, case: Case
) -> None:
    rows = [o.timestamp for o in case.history.series["value"]]
    edges = data.draw(st.lists(instants(case.history), max_size=8))
    points = [(0, t) for t in dict.fromkeys([*rows, *edges])]
    check(engine, ALL, "keep", [case.history], [0], points)


@pytest.mark.parametrize("stat", STATS)
@pytest.mark.parametrize("closed", CLOSED)
def test_ties_at_both_edges_of_a_window(engine: Engine, stat: Stat, closed: Closed) -> None:
    times = [T + edge + beside for edge in (-DAY, -HOUR, 0) for beside in (-1, 0, 1)]
    history = History({"value": [Observation(t, float(i * i)) for i, t in enumerate(times)]})
    feature_set = FeatureSet("edges", 1, (Rolling("f", stat, "24h", closed, **taking(stat)),))
    points = [(0, T + shift) for shift in (-2 * DAY, -1, 0, 1, HOUR, DAY - 1, DAY, DAY + 1)]
    check(engine, feature_set, "keep", [history], [0], points)


@pytest.mark.parametrize("missing", [None, "mean", "zero", "keep", -7.5])
def test_nothing_known_at_all(engine: Engine, missing: Missing | None) -> None:
    check(engine, ALL, missing, [History(), History()], [1, 0], [(0, T), (1, T), (1, T + 1)])


def test_centuries_between_assets(engine: Engine) -> None:
    start = parse_time("0001-01-02T00:00:00Z")
    end = parse_time("9999-12-30T00:00:00Z")
    histories = [
        History(
            {"value": [Observation(at - HOUR, 3.0), Observation(at, 5.0)]},
            [WeatherRow(at, at, {"temperature": 1.0})],
        )
        for at in (start, end, T, start, end, T)
    ]
    points = [(i, t) for i in range(6) for t in (start, start + HOUR, T, end - 1, end)]
    check(engine, ALL, None, histories, [0, 0, 1, 2, 4, 5], points)


def test_an_issue_after_t_or_a_later_time_is_not_known_yet(engine: Engine) -> None:
    rows = [
        WeatherRow(T - 2 * HOUR, T - 2 * HOUR, {"temperature": 1.0, "humidity": 10.0}),
        WeatherRow(T - HOUR, T - 9 * HOUR, {"temperature": 2.0}),
        WeatherRow(T - HOUR, T - HOUR, {"temperature": 3.0}),
        WeatherRow(T - HOUR, T + MINUTE, {"temperature": 4.0}),
        WeatherRow(T + HOUR, T - 9 * HOUR, {"temperature": 5.0}),
        WeatherRow(T - 9 * DAY, T + 2 * MINUTE, {"temperature": 6.0}),
    ]
    features = tuple(Latest(c, c) for c in WEATHER_COLUMNS)
    feature_set = FeatureSet("weather", 1, features)
    moments = (0, -HOUR - 1, -HOUR, MINUTE - 1, MINUTE, 2 * MINUTE, HOUR, 23 * HOUR, 25 * HOUR)
    for missing in (None, "keep"):
        check(engine, feature_set, missing, [History({}, rows)], [0], [(0, T + m) for m in moments])


def test_a_mean_of_the_weather_knows_an_issue_from_its_instant_on(engine: Engine) -> None:
    old, week = T - 3 * DAY, T - 7 * DAY
    rows = [
        WeatherRow(old, old - DAY, {"temperature": 1.0}),
        WeatherRow(old, T, {"temperature": 9.0}),
        WeatherRow(old + 1, T + 1, {"temperature": 30.0}),
        WeatherRow(week, week, {"temperature": 50.0}),
    ]
    feature_set = FeatureSet("weather", 1, (Latest("temperature", "temperature"),))
    points = [(0, T + shift) for shift in (-1, 0, 1, 2)]
    check(engine, feature_set, "mean", [History({}, rows)], [0], points)
    first = engine.vectors(feature_set, "mean", [History({}, rows)], [0], points)[1]
    assert first.features == {"temperature": (9.0 + 50.0) / 2}


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def test_calendars_over_clock_changes_leap_days_and_before_the_epoch(
    engine: Engine, tz: str
) -> None:
    parts = [part for part in PARTS if part != "is_holiday"]
    feature_set = FeatureSet("calendar", 1, tuple(Calendar(p, p, tz) for p in parts))
    borders = (
        "2024-02-29T00:00:00Z", "2025-03-30T01:00:00Z", "2025-10-26T01:00:00Z",
        "2024-11-03T06:00:00Z", "1900-03-01T00:00:00Z", "1969-12-31T23:59:59.999999Z",
        "1986-01-01T00:00:00+05:30", "2000-02-29T23:59:59.999999Z",
    )  # fmt: skip
    points = [
        (0, parse_time(text) + hours * HOUR + beside)
        for text in borders
        for hours in range(-3, 4)
        for beside in (-1, 0, 1)
    ]
    check(engine, feature_set, None, [History()], [0], points)


def test_a_derived_feature_may_read_a_built_in_one_that_is_not_in_the_vector(
    engine: Engine,
) -> None:
    history = History({"value": [Observation(T - k * HOUR, float(k)) for k in range(1, 40)]})
    ratio = Derived("ratio", "lag_24h / rolling_avg_24h + hour_of_day")
    feature_set = FeatureSet("ratios", 1, (ratio, "lag_1h", Derived("twice", "2 * ratio")))
    check(engine, feature_set, "keep", [history], [0], [(0, T), (0, T + MINUTE), (0, T + DAY)])
    (found,) = engine.vectors(feature_set, "keep", [history], [0], [(0, T)])
    assert list(found.features) == ["ratio", "lag_1h", "twice"]
