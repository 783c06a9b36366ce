"""A 00:00 behind the other times of its date: which end of the day it is nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.clock.local_time import LocalClock
from ai_hub.intake.row_options import RowOptions

FIRST = datetime(2025, 1, 13)
Rows = list[tuple[str, datetime]]


def ends(meters: int, step: int, start: int, count: int) -> Rows:
    """Ends of intervals, oldest first: the rows of all meters of a time, then those of the next."""
    times = [FIRST + timedelta(minutes=step * (start + place)) for place in range(1, count + 1)]
    return [(f"m{meter}", time) for time in times for meter in range(meters)]


def under_their_day(rows: Rows) -> Rows:
    """The same, with the end of a day under the date of that day."""
    a_day = timedelta(days=1)
    return [(m, t - a_day if t.time() == FIRST.time() else t) for m, t in rows]


def read(rows: Rows, size: int = 100_000) -> None:
    clock = LocalClock(RowOptions.of(timezone="Europe/Berlin"))
    for first in range(0, len(rows), size):
        meters, times = zip(*rows[first : first + size], strict=True)
        clock.to_utc(pa.table({"timestamp": pa.array(times), "asset_id": pa.array(meters)}))


def refused(rows: Rows, size: int = 100_000) -> bool:
    try:
        read(rows, size)
    except InvalidInput:
        return True
    return False


@given(
    meters=st.integers(1, 3),
    step=st.sampled_from([15, 30, 60]),
    start=st.integers(0, 20),
    days=st.integers(1, 3),
    newest_first=st.booleans(),
    by_meter=st.booleans(),
    size=st.sampled_from([7, 50, 100_000]),
)
def test_days_that_end_with_their_own_date_are_refused_and_no_others(
    meters: int,
    step: int,
    start: int,
    days: int,
    newest_first: bool,
    by_meter: bool,
    size: int,
) -> None:
    rows = ends(meters, step, start, days * 24 * 60 // step + 1)
    for written, wrong in ((rows, False), (under_their_day(rows), True)):
        ordered = written[::-1] if newest_first else written
        if by_meter:
            ordered = sorted(ordered, key=lambda row: row[0])
        assert refused(ordered, size) == wrong


@given(st.randoms(use_true_random=False))
def test_rows_in_no_order_say_nothing(random: Random) -> None:
    rows = ends(2, 60, 0, 60)
    random.shuffle(rows)
    assert not refused(rows)


def test_a_day_of_its_own_says_it_too() -> None:
    assert refused(under_their_day(ends(1, 15, 0, 96)))


@pytest.mark.parametrize("hours", [[0, 12, 24, 36], [0, 18, 24, 42], [0, 6, 12, 18, 24, 30]])
def test_few_readings_a_day_are_no_ends(hours: Sequence[int]) -> None:
    rows = [("m1", FIRST + timedelta(hours=hour)) for hour in hours]
    assert not refused(rows)
    assert not refused(rows[::-1])


def test_a_late_start_of_a_day_among_others_is_no_end() -> None:
    rows = ends(1, 15, -1, 300)
    late = rows.pop(96)
    assert late[1].time() == FIRST.time()
    rows.insert(191, late)  # behind 23:45 of its date; the next date begins with its 00:00
    assert rows[190][1].date() == late[1].date() != rows[192][1].date()
    assert not refused(rows)


def test_the_message_says_what_helps() -> None:
    with pytest.raises(InvalidInput) as error:
        read(under_their_day(ends(1, 15, 90, 10)))
    for part in ("'2025-01-13T23:45', '2025-01-13T00:00'", "24:00", "--interval-start", "sort"):
        assert part in str(error.value)
