"""Rows of local times about a change of the clock, in every order, with their instants known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random
from zoneinfo import ZoneInfo

import pyarrow as pa

from ai_hub.intake.row_options import RowOptions

# A zone, and an instant within a day of which its clock goes back.
CHANGES = (
    ("Europe/Berlin", datetime(2025, 10, 26, 1)),
    ("America/New_York", datetime(2025, 11, 2, 6)),
    ("Australia/Lord_Howe", datetime(2025, 4, 5, 15)),  # by half an hour
    ("America/St_Johns", datetime(2010, 11, 7, 2, 31)),  # at 00:01
    ("Asia/Beirut", datetime(2024, 10, 26, 21)),  # at midnight, to the day before
    ("America/Havana", datetime(2024, 11, 3, 5)),  # so that midnight comes twice
    ("Antarctica/Troll", datetime(2024, 10, 27, 1)),  # by two hours
    ("America/Santiago", datetime(2025, 4, 6, 3)),
    ("Pacific/Apia", datetime(2021, 4, 3, 14)),
    ("Africa/Cairo", datetime(2024, 10, 31, 21)),
)
STEPS = (1, 5, 10, 15, 20, 30, 60, 120, 180, 360)
ORDERS = ("oldest first", "newest first", "by local time", "shuffled", "doubled", "twice")
FAULTS = ("", "", "gaps", "doubles", "late", "outage", "gaps and late")


@dataclass(frozen=True, slots=True)
class Row:
    """A row, and its instant: at the end of its interval where stamps name starts."""

    series: str
    issue: str
    stamp: str
    instant: datetime


@dataclass(frozen=True, slots=True)
class ClockFile:
    """Rows in file order; `plain`: nothing is wrong with them, so almost all have to be told.

    `disguised`: of some series the stamps are those of rows in order, but the rows are not.
    """

    rows: list[Row]
    options: RowOptions
    plain: bool
    disguised: bool
    story: str

    def table(self) -> pa.Table:
        """The rows as a reader gives them."""
        columns = {
            "timestamp": [row.stamp for row in self.rows],
            "asset_id": [row.series for row in self.rows],
        }
        if self.rows[0].issue:
            columns["issued_at"] = [row.issue for row in self.rows]
        return pa.table(columns)


def clock_file(seed: int) -> ClockFile:
    """The file of a seed."""
    random = Random(seed)
    name, change = random.choice(CHANGES)
    zone = ZoneInfo(name)
    step = timedelta(minutes=random.choice(STEPS))
    order, fault = random.choice(ORDERS), random.choice(FAULTS)
    stamped = random.choice(["", "", "interval_start", "interval_end", "clock ends"])
    options = RowOptions.of(
        timezone=name,
        interval_start=step if stamped == "interval_start" else None,
        interval_end=step if stamped in ("interval_end", "clock ends") else None,
    )
    # The grid is that of the local time before the change.
    grid = _on_grid(change.replace(tzinfo=UTC), step, zone)
    reach = max(timedelta(hours=6), 10 * step)
    count = int(reach / step)
    many = random.choice([1, 1, 2, 3])
    issued = random.random() < 0.2
    parts = []
    disguised = False
    for number in range(many):
        series = "abc"[0 if issued else number]
        issue = f"2025-01-0{number + 1}T00:00Z" if issued else ""
        times = [grid + place * step for place in range(-count, count + 1)]
        times = _faulty(random, times, fault)
        rows = [
            Row(series, issue, _stamp(time, zone, step, stamped), _instant(time, step, stamped))
            for time in times
        ]
        in_order = _ordered(random, rows, order)
        placed = _late(random, in_order) if "late" in fault else in_order
        for told in (in_order, rows, rows[::-1]):
            disguised |= placed != told and _stamps(placed) == _stamps(told)
        parts.append(placed)
    rows = _interleaved(parts) if random.random() < 0.5 else [*chain.from_iterable(parts)]
    plain = not fault and order in ORDERS[:2] + ORDERS[4:]
    story = f"{seed}: {name}, {step}, {order}, {fault or 'no fault'}, {stamped or 'instants'}"
    return ClockFile(rows, options, plain, disguised, f"{story}, {many} series, issued {issued}")


def _on_grid(change: datetime, step: timedelta, zone: ZoneInfo) -> datetime:
    local = (change - timedelta(days=1)).astimezone(zone).replace(tzinfo=None)
    return change - (local - datetime(2000, 1, 1)) % step


def _faulty(random: Random, times: list[datetime], fault: str) -> list[datetime]:
    if "gaps" in fault:
        times = [time for time in times if random.random() > 0.05]
    if fault == "outage":
        first = random.randrange(len(times))
        times = times[:first] + times[first + random.randint(1, 12) :]
    if fault == "doubles":
        times = [time for time in times for _ in range(1 + (random.random() < 0.05))]
    return times


def _stamp(time: datetime, zone: ZoneInfo, step: timedelta, stamped: str) -> str:
    if stamped == "clock ends":  # the start on the clock, plus the step
        return ((time - step).astimezone(zone).replace(tzinfo=None) + step).isoformat(" ")
    return time.astimezone(zone).replace(tzinfo=None).isoformat(" ")


def _instant(time: datetime, step: timedelta, stamped: str) -> datetime:
    return time + step if stamped == "interval_start" else time


def _ordered(random: Random, rows: list[Row], order: str) -> list[Row]:
    if order == "newest first":
        return rows[::-1]
    if order == "by local time":  # which of two equal ones is first is open where there are many
        few = rows[1].instant - rows[0].instant > timedelta(minutes=15)
        return sorted(rows, key=lambda row: (row.stamp, 0 if few else random.random()))
    if order == "shuffled":
        return random.sample(rows, len(rows))
    if order == "doubled":
        return [row for row in rows for _ in range(2)]
    return rows * 2 if order == "twice" else rows


def _late(random: Random, rows: list[Row]) -> list[Row]:
    place = random.randrange(len(rows))
    row = rows[place]
    rest = rows[:place] + rows[place + 1 :]
    place += random.randint(1, 6)
    return [*rest[:place], row, *rest[place:]]


def _stamps(rows: list[Row]) -> list[str]:
    return [row.stamp for row in rows]


def _interleaved(parts: list[list[Row]]) -> list[Row]:
    longest = max(len(part) for part in parts)
    return [part[place] for place in range(longest) for part in parts if place < len(part)]
