"""The hour that comes twice: each row lands at its instant, or is refused, in whatever order."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import numpy as np
import pytest

from ai_hub.intake.clock.local_time import LocalClock
from ai_hub.intake.clock.passes import UNTOLD, on_grid, passes_shown
from ai_hub.intake.clock.repeated_hour import tell_passes
from ai_hub.intake.marks import read_mark
from intake.clock_files import clock_file

FILES = int(os.environ.get("CLOCK_FILES", "300"))
U = None


def told(rows: list[int], length: int = 60, step: int = 0) -> list[int | None]:
    """The instants of one series, with a stretch of an hour in minutes; None where untold."""
    found = tell_passes(np.zeros(len(rows), dtype=np.int64), np.array(rows), length, step)
    return [None if instant == UNTOLD else instant for instant in found.tolist()]


@pytest.mark.parametrize("start", range(0, FILES, max(FILES // 10, 1)))
def test_rows_land_at_their_instants_or_are_refused_in_any_order(start: int) -> None:
    plain, lost = 0, 0
    for seed in range(start, min(start + max(FILES // 10, 1), FILES)):
        file = clock_file(seed)
        table = file.table()
        cut = 1 + seed % len(table)
        clock = LocalClock(file.options, lambda table=table: [table])
        parts = [clock.to_utc(table.slice(0, cut)), clock.to_utc(table.slice(cut))]
        times = [time for part in parts for time in part.column("timestamp").to_pylist()]
        refused = 0
        for row, time in zip(file.rows, times, strict=True):
            mark = read_mark(time)
            if mark is not None:
                assert "showed it twice" in mark.expected, file.story
                refused += 1
                continue
            found = datetime.fromisoformat(time) if isinstance(time, str) else time
            # Rows that only look as if they were in order are beyond telling.
            assert found == row.instant or file.disguised, f"{file.story}: {row.stamp}"
        plain += len(times) if file.plain else 0
        lost += refused if file.plain else 0
    assert lost <= 0.02 * plain


@pytest.mark.parametrize("step", [1, 5, 10, 15, 20, 30, 60])
@pytest.mark.parametrize("order", [1, -1])
def test_a_series_in_order_is_told_whole(step: int, order: int) -> None:
    instants = list(range(-180, 300, step))[::order]
    rows = [instant if instant < 60 else instant - 60 for instant in instants]
    assert told(rows) == instants
    doubled = [row for row in rows for _ in range(2)]
    assert told(doubled) == [instant for instant in instants for _ in range(2)]
    assert told(rows * 2) == instants * 2
    # Two series row by row.
    both = tell_passes(np.array([0, 1] * len(rows)), np.repeat(rows, 2), 60)
    assert both.tolist() == np.repeat(instants, 2).tolist()


@pytest.mark.parametrize("step", [5, 15, 30, 60])
def test_ends_of_intervals_are_told_as_the_clock_or_as_starts_plus_the_step(step: int) -> None:
    instants = list(range(-180, 300, step))
    clock = [instant if instant < 60 else instant - 60 for instant in instants]
    starts = [instant if instant - step < 60 else instant - 60 for instant in instants]
    for rows in (clock, starts):
        assert told(rows, step=step) == instants
        assert told(rows[::-1], step=step) == instants[::-1]
    # Nobody said so, and it shows all the same, unless one pair is all there is to see.
    expected = instants if step < 60 else [U if 0 <= i <= 120 else i for i in instants]
    assert told(starts) == expected


def test_an_end_that_may_be_of_the_clock_or_of_a_start_is_not_guessed() -> None:
    # 60 is the end of what began at 0 in either pass, or what the clock shows after both.
    assert told([-240, -180, -120, -60, 60], step=60) == [-240, -180, -120, -60, U]
    assert told([-240, -180, -120, -60, 0, 0, 60], step=60)[-1] == 120
    # A step longer than the stretch, and few rows.
    assert told([15, 75], length=30, step=60) == [U, U]


@pytest.mark.parametrize(
    ("rows", "instants"),
    [
        # One late row pushes no other.
        (
            [-15, 15, 0, 30, 45, 0, 15, 30, 45, 60],
            [-15, 15, 0, 30, 45, 60, 75, 90, 105, 120],
        ),
        # By local time: which of two is first is not shown.
        ([-60, -30, 0, 0, 30, 30, 60], [-60, -30, U, U, U, U, 120]),
        # One pass alone, between neighbours on both sides.
        ([-30, -15, 0, 15, 30, 45, 60, 75], [-30, -15, U, U, U, U, 120, 135]),
        # The file begins with it, or ends with it.
        ([15, 30, 45, 60, 75, 90, 105], [75, 90, 105, 120, 135, 150, 165]),
        ([-60, -45, -30, -15, 0, 15], [-60, -45, -30, -15, 0, 15]),
        # All of one pass, as those have whose files are of days and keep one.
        ([0, 15, 30, 45, 60, 75, 90], [U, U, U, U, 120, 135, 150]),
        ([-60, -45, -30, -15, 0, 15, 30, 45], [-60, -45, -30, -15, U, U, U, U]),
        # With so few in a pass a missing row would look like that.
        ([-120, -60, 0, 60, 120], [-120, -60, U, 120, 180]),
        ([0, 60, 120, 180], [U, 120, 180, 240]),
        # A line doubled, of a series whose readings are further apart.
        ([-180, -90, 0, 0, 30, 120], [-180, -90, U, U, U, 180]),
        # Two rows are in both orders.
        ([0, 0], [U, U]),
        # No order at all.
        ([60, 0, -60, 0, -120, 120], [120, U, -60, U, -120, 180]),
    ],
)
def test_what_the_rows_show(rows: list[int], instants: list[int | None]) -> None:
    assert told(rows) == instants


def test_readings_at_odd_times_are_told_where_there_are_many() -> None:
    random = np.random.default_rng(7)
    instants = np.sort(random.choice(np.arange(-180, 300), 150, replace=False))
    rows = np.where(instants < 60, instants, instants - 60)
    assert told(rows.tolist()) == instants.tolist()


@pytest.mark.parametrize("step", [120, 180, 360])
def test_a_step_longer_than_the_stretch_tells_by_where_the_others_are(step: int) -> None:
    instants = np.arange(-8 * step, 9 * step, step)
    rows = np.where(instants < 60, instants, instants - 60)
    shuffled = np.random.default_rng(1).permutation(len(rows))
    for order in (slice(None), slice(None, None, -1), shuffled):
        assert told(rows[order].tolist()) == instants[order].tolist()
        assert told(rows[order].tolist(), step=step) == instants[order].tolist()
    # An hour's grid has both passes on it.
    assert on_grid(np.arange(-600, 600, 60), np.array([0]), 60).tolist() == [UNTOLD]


def test_few_rows_in_order_are_not_believed_where_other_series_are_in_none() -> None:
    ordered = [-60, 0, 0, 60]
    mixed = np.random.default_rng(3).permutation([*range(-600, 0, 60), 0, 0, *range(60, 600, 60)])
    series = np.array([0] * len(ordered) + [1] * len(mixed))
    alone = tell_passes(series[: len(ordered)], np.array(ordered), 60)
    assert alone.tolist() == [-60, 0, 60, 120]
    among = tell_passes(series, np.array([*ordered, *mixed.tolist()]), 60)
    assert among[: len(ordered)].tolist() == [-60, UNTOLD, UNTOLD, 120]


def test_the_measure_is_what_of_the_rows_is_out_of_order() -> None:
    shown = passes_shown(np.array([-60, -30, 0, 30, 0, 30, 60]), 60)
    assert (shown.unexplained, shown.ordered, shown.disorder) == (0, True, False)
    late = passes_shown(np.array([-60, 0, 30, -30, 0, 30, 60, 90]), 60)
    assert (late.unexplained, late.ordered, late.disorder) == (1, True, False)
    none = passes_shown(np.array([30, -60, 90, 0, -30, 0, 60, 30]), 60)
    assert not none.ordered
    assert none.disorder


def test_nothing_is_nothing() -> None:
    assert told([]) == []


def test_the_instants_of_the_files_are_aware() -> None:
    assert clock_file(0).rows[0].instant.tzinfo is UTC
