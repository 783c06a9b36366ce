"""A chart of a terminal has its line where the values are, and what is missing is seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_hub.charts.braille import drawn, marked
from ai_hub.charts.chart import chart_of, line, said
from ai_hub.page.spans import stretches

BLANK = "⠀"


def test_a_line_goes_from_corner_to_corner() -> None:
    rows, low, high = drawn([(0, 1.0), (10, 2.0)], 0, 10, 2, 1)
    assert (rows, low, high) == (["⡠⠊"], 1.0, 2.0)


def test_what_does_not_change_is_a_line_in_the_middle() -> None:
    rows, low, high = drawn([(0, 5.0), (10, 5.0)], 0, 10, 3, 3)
    assert (low, high) == (5.0, 5.0)
    assert [row == BLANK * 3 for row in rows] == [True, False, True]


def test_a_gap_and_a_missing_value_break_it() -> None:
    points = [(0.0, 1.0), (2.0, 1.0), (8.0, 1.0), (10.0, 1.0)]
    readings = {"time": [0.0, 2.0, 8.0, 10.0], "value": [1.0] * 4}
    assert line(readings) == points
    (whole,), _, _ = drawn(points, 0, 10, 10, 1)
    (broken,), _, _ = drawn(line(readings, [(2.0, 8.0)]), 0, 10, 10, 1)
    assert BLANK not in whole
    assert BLANK * 4 in broken
    # Thinned, the readings at its ends may not be there.
    (thinned,), _, _ = drawn(line(readings, [(2.1, 7.9)]), 0, 10, 10, 1)
    assert thinned == broken
    (lacking,), _, _ = drawn([*points[:2], (5.0, None), *points[2:]], 0, 10, 10, 1)
    assert lacking == broken
    assert drawn([], 0, 10, 3, 1) == ([BLANK * 3], 0.0, 0.0)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(-1e12, 1e12)), max_size=20).map(sorted),
    st.integers(1, 30),
    st.integers(1, 6),
)
def test_whatever_is_drawn_fits(points: list[tuple[float, float]], width: int, height: int) -> None:
    rows, low, high = drawn(points, 0, 100, width, height)
    assert [len(row) for row in rows] == [width] * height
    assert all(0x2800 <= ord(one) <= 0x28FF for row in rows for one in row)
    assert any(set(row) != {BLANK} for row in rows) == bool(points)
    assert low <= high


def test_a_short_stretch_is_seen_too() -> None:
    assert marked([(0, 5), (9.99, 9.991)], 0, 10, 10, "x") == "xxxxx    x"
    assert marked([(-5, 50)], 0, 10, 4, "x") == "xxxx"
    feature = {"name": "f", "time": [0, 1, 2, 3, 4], "missing": [1, 0, 1, 1, 1]}
    assert stretches(feature) == [(0, 1), (2, 4)]


def test_sentences() -> None:
    chart = {
        "series": "value", "start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z",
        "count": 3, "cadence_seconds": 3600.0, "gap_count": 1,
    }  # fmt: skip
    lag = {"name": "lag", "time": [0, 1], "value": [1.0, 2.0], "missing": [0, 1]}
    kept = {"name": "kept", "time": [0, 1], "value": [1.0, None], "missing": [0, 1]}
    there = {"name": "there", "time": [0], "value": [1.0], "missing": [0]}
    both = chart_of([{**chart, "feature": one} for one in (lag, kept, there)])
    assert said(both) == [
        "3 readings of value from 2025-10-09 00:00:00 to 2025-10-10 00:00:00, mostly every 1 h, "
        "with 1 gap.",
        "lag is missing at 1 of 2 times, and filled there.",
        "kept is missing at 1 of 2 times, and without a value there.",
        "there is missing at none of 1 times.",
    ]
    none = chart_of([{**chart, "count": 0, "feature": None}])
    assert said(none)[0].startswith("There are no readings of value from 2025-10-09")
