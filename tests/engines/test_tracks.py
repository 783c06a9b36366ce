"""A column of the weather as it is known at each point, by literal answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.kinds import Age, Bucket, Lag, Rolling, Seasonal
from ai_hub.definitions.values import DAY, HOUR, MINUTE, parse_time
from ai_hub.definitions.vocabulary import CLOSED, WEATHER_COLUMNS
from ai_hub.engines import as_of, ranges, tracks
from ai_hub.engines.arrays import HistoryArrays, Points, Series, SourceTable, Weather, axis_of
from ai_hub.engines.reference import History, WeatherRow, value
from ai_hub.engines.tracks import Track
from ai_hub.engines.traits import Input

Row = tuple[float, float, float | None]
"""About which hour, issued at which, and the temperature."""
START = parse_time("2025-10-09T00:00:00Z")
NAN = float("nan")
TEMPERATURE, MEASURED = Input("weather", "temperature"), Input("weather", "temperature", True)
# Forecasts of hour 6 and 8, revised, and measured an hour late; hour 7 was never measured.
ROWS: tuple[Row, ...] = (
    (6, 0, 1.0),
    (6, 3, 2.0),
    (6, 7, 3.0),
    (7, 0, 10.0),
    (8, 0, 20.0),
    (8, 8, 21.0),
    (8, 9, None),
    (8, 10, 23.0),
)


def at_hour(hour: float) -> int:
    return START + round(hour * HOUR)


def weather_of(sources: Sequence[Sequence[Row]], source_of: Sequence[int]) -> HistoryArrays:
    rows = [(code, *row) for code, some in enumerate(sources) for row in some]
    degrees = [NAN if row[3] is None else row[3] for row in rows]
    columns = {name: np.full(len(rows), NAN) for name in WEATHER_COLUMNS}
    table = SourceTable(
        np.arange(len(source_of)), np.full(len(source_of), START - DAY), np.array(source_of)
    )
    return HistoryArrays(
        {},
        Weather(
            np.array([row[0] for row in rows]),
            np.array([at_hour(row[1]) for row in rows]),
            np.array([at_hour(row[2]) for row in rows]),
            columns | {"temperature": np.array(degrees)},
            table,
        ),
    )


def known(
    read: Input,
    points: Sequence[tuple[int, float]],
    sources: Sequence[Sequence[Row]] = (ROWS,),
    source_of: Sequence[int] = (0,),
) -> tuple[list[list[float]], list[float]]:
    """What some points know of the day up to them: the values, and the latest of them."""
    history = weather_of(sources, source_of)
    code, time = (np.array([p[0] for p in points]), np.array([at_hour(p[1]) for p in points]))
    asked = Points(code, time)
    axis = axis_of(asked, history, DAY)
    assert axis is not None
    track = Track.of(read, history, axis, asked)
    values: list[list[float]] = []
    for _, rows in track.windows(track.at - DAY, track.at):
        ends = zip(rows.low.tolist(), rows.high.tolist(), strict=True)
        values += [rows.values[low:high].tolist() for low, high in ends]
    return values, track.latest(track.at.copy(), DAY)[0].tolist()


@pytest.mark.parametrize(
    ("hour", "values"),
    [
        (5, []),
        (6, [2.0]),
        (6.9, [2.0]),
        # The measurement of hour 6 is there at once with the forecast of hour 7.
        (7, [3.0, 10.0]),
        (7.5, [3.0, 10.0]),
        (8, [3.0, 10.0, 21.0]),
        # An issue without the column replaces nothing.
        (9, [3.0, 10.0, 21.0]),
        (10, [3.0, 10.0, 23.0]),
        (30, [3.0, 10.0, 23.0]),
        (30.5, [10.0, 23.0]),
        (33, []),
    ],
)
def test_of_each_time_the_latest_issue_that_was_there(hour: float, values: list[float]) -> None:
    window, latest = known(TEMPERATURE, [(0, hour)])
    assert window == [values]
    np.testing.assert_equal(latest, [values[-1] if values else NAN])


@pytest.mark.parametrize(
    ("hour", "values"),
    [(6, []), (7, [3.0]), (8, [3.0, 21.0]), (9, [3.0, 21.0]), (10, [3.0, 23.0])],
)
def test_measured_rows_are_those_issued_at_their_time_or_later(
    hour: float, values: list[float]
) -> None:
    assert known(MEASURED, [(0, hour)])[0] == [values]


def test_assets_may_share_a_source_and_stand_in_any_order() -> None:
    other: tuple[Row, ...] = ((6, 6, 50.0), (7, 7, 51.0))
    points = [(0, 6.0), (0, 10.0), (1, 7.0), (2, 6.0)]
    window, latest = known(TEMPERATURE, points, (ROWS, other), (1, 0, 1))
    assert window == [[50.0], [50.0, 51.0], [3.0, 10.0], [50.0]]
    assert latest == [50.0, 51.0, 10.0, 50.0]


def test_measurements_in_time_need_no_view_of_each_point() -> None:
    history = weather_of([((6, 6, 1.0), (7, 6, 2.0))], [0])
    points = Points(np.zeros(1, np.int64), np.array([at_hour(9)]))
    axis = axis_of(points, history, DAY)
    assert axis is not None
    assert Track.of(TEMPERATURE, history, axis, points).issues is None


@pytest.mark.parametrize("most", [1, 2, 7])
def test_views_built_a_few_at_a_time_are_the_same(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [(0, hour / 2) for hour in range(8, 70)]
    whole = known(TEMPERATURE, points)
    monkeypatch.setattr(ranges, "_GATHER", most)
    np.testing.assert_equal(known(TEMPERATURE, points), whole)


def test_without_weather_nothing_is_known() -> None:
    history = HistoryArrays({"value": Series(np.zeros(1, np.int64), np.array([START]), np.ones(1))})
    points = Points(np.zeros(1, np.int64), np.array([START]))
    axis = axis_of(points, history, DAY)
    assert axis is not None
    track = Track.of(TEMPERATURE, history, axis, points)
    ((_, rows),) = track.windows(track.at - DAY, track.at)
    assert (rows.high - rows.low).tolist() == [0]
    assert np.isnan(track.latest(track.at.copy(), DAY)[0]).all()


@pytest.mark.parametrize(
    ("hour", "mean", "count", "lag", "age", "season"),
    [
        (6, 2.0, 1, None, 0.0, None),
        (8, (3 + 10 + 21) / 3, 3, 10.0, 0.0, 6.5),
        (10, (3 + 10 + 23) / 3, 3, None, 2 * 3600.0, 12.0),
    ],
)
def test_what_features_read_of_the_weather(
    hour: float,
    mean: float,
    count: int,
    lag: float | None,
    age: float,
    season: float | None,
) -> None:
    """By the reference, to which every engine is held."""
    rows = [WeatherRow(at_hour(about), at_hour(issued), {"temperature": degrees})
            for about, issued, degrees in ROWS]  # fmt: skip
    weather = {"source": "weather", "column": "temperature"}
    features = (
        Rolling("mean", "mean", "24h", **weather),  # type: ignore[arg-type]
        Bucket("count", "count", "24h", **weather),  # type: ignore[arg-type]
        Lag("lag", "1h", **weather),  # type: ignore[arg-type]
        Age("age", "24h", **weather),  # type: ignore[arg-type]
        Seasonal("season", "mean", "1h", 4, **weather),  # type: ignore[arg-type]
    )
    found = [value(f, at_hour(hour), History(weather=rows)) for f in features]
    assert found == [mean, count, lag, age, season]


GRIDS = st.tuples(st.sampled_from([HOUR, 15 * MINUTE, 7 * MINUTE]), st.integers(0, 2))


@given(GRIDS, st.data())
def test_a_grid_is_looked_up_as_it_would_be_searched(grid: tuple[int, int], data: st.DataObject):
    step, off = grid
    slots = sorted(data.draw(st.sets(st.integers(0, 40), min_size=2, max_size=40)))
    keys = np.array(slots, np.int64) * step
    keys[-1] += off
    at = keys if data.draw(st.booleans()) else np.arange(-9, 50) * step
    track = Track(keys, np.arange(len(keys), dtype=np.float64), at, at)
    by = data.draw(st.sampled_from([0, step, 3 * step, 3 * step + 1]))
    width = data.draw(st.sampled_from([1, step - 1, step, step + 1, 4 * step, 90 * step]))
    closed = data.draw(st.sampled_from(CLOSED))
    with pytest.MonkeyPatch.context() as patched:
        for module in (as_of, tracks):
            patched.setattr(module, "FEW", 0)
        back, bounds = track.back(by, width).tolist(), track.bounds(width, closed)
    lows, highs = (bound.tolist() for bound in bounds)
    for now, found, low, high in zip(at.tolist(), back, lows, highs, strict=True):
        rows = [row for row, key in enumerate(keys) if now - by - width < key <= now - by]
        assert found == rows[-1] if rows else np.isnan(found)
        first = now - width + (closed not in ("both", "left"))
        last = now - (closed not in ("both", "right"))
        assert [*range(low, high)] == [row for row, key in enumerate(keys) if first <= key <= last]
