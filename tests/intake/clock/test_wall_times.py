"""Times as files have them: what is an instant, what a local time, what a date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.intake.clock.wall_times import WallTimes

EPOCH = datetime(1970, 1, 1)


def micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def read(value: object, kind: pa.DataType | None = None) -> tuple[int, bool, bool, bool]:
    found = WallTimes.of(pa.array([value], kind))
    return (
        int(found.micros[0]),
        bool(found.local[0]),
        bool(found.dates[0]),
        bool(found.known[0]),
    )


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), st.sampled_from(["T", " "]))
def test_a_local_time_is_read_alike_as_text_and_as_a_timestamp(time: datetime, sep: str) -> None:
    expected = (micros(time), True, False, True)
    assert read(time.isoformat(sep)) == expected
    assert read(time, pa.timestamp("us")) == expected


@given(st.dates())
def test_a_date_is_its_midnight_alike_in_every_form(day: date) -> None:
    expected = (micros(datetime(day.year, day.month, day.day)), True, True, True)
    assert read(day.isoformat()) == expected
    assert read(day, pa.date32()) == expected
    assert read(day, pa.date64()) == expected


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1900, 1, 1)))
def test_a_time_with_an_offset_is_an_instant(time: datetime) -> None:
    expected = (micros(time.replace(tzinfo=None)), False, False, True)
    assert read(time.isoformat()) == expected
    assert read(time, pa.timestamp("us", "UTC")) == expected


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2012-10-12 00:30:00.0000000", datetime(2012, 10, 12, 0, 30)),
        ("2012-10-12 00:30:00.000000001", datetime(2012, 10, 12, 0, 30, 0, 1)),  # up, never back
        (" 2025-01-01T05 ", datetime(2025, 1, 1, 5)),
        ("2025-01-01 24:00", datetime(2025, 1, 2)),
        ("2024-12-31T24:00:00", datetime(2025, 1, 1)),
    ],
)
def test_less_usual_local_times(text: str, time: datetime) -> None:
    assert read(text) == (micros(time), True, False, True)
    # Among others as well, which are read together.
    both = WallTimes.of(pa.array(["2025-06-01 00:00", text, None]))
    assert both.micros.tolist()[:2] == [micros(datetime(2025, 6, 1)), micros(time)]
    assert both.known.tolist() == [True, True, False]


@pytest.mark.parametrize(
    "value",
    ["x", "", "2025-02-30", "2025-02-30 00:00", "24:00", "2025-01-01 24:01", "9999-12-31 24:00"],
)
def test_what_is_no_time_is_not_known_and_costs_no_other(value: str) -> None:
    found = WallTimes.of(pa.array([value, "2025-06-01 00:00", "2025-06-01"]))
    assert found.known.tolist() == [False, True, True]
    assert found.dates.tolist() == [False, False, True]


@pytest.mark.parametrize(("nanos", "expected"), [(0, 0), (1, 1), (1000, 1), (1001, 2), (-1, 0)])
def test_finer_local_times_are_rounded_up(nanos: int, expected: int) -> None:
    assert read(nanos, pa.timestamp("ns")) == (expected, True, False, True)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1]),
        pa.array([1.5]),
        pa.array([[1]]),
        pa.nulls(1),
        pa.array([2**62], pa.timestamp("s")),
    ],
)
def test_a_column_of_another_type_has_no_times(column: pa.Array) -> None:
    assert WallTimes.of(column).known.tolist() == [False]


def test_a_date_too_far_or_with_a_time_of_day_is_none() -> None:
    far = WallTimes.of(pa.array([2**31 - 1, 0, -(2**31)], pa.date32()))
    assert far.known.tolist() == [False, True, False]
    day = 86_400_000
    fine = WallTimes.of(pa.array([2**62, day, day + 1, None], pa.date64()))
    assert fine.known.tolist() == [False, True, False, False]
    assert fine.micros[1] == day * 1_000
