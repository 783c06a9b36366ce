"""Parts of the local date and time: what can be said of an instant with no data at all.

`CALENDAR_PARTS` is the table of parts: an int64 each, and never missing. A part has no words in SQL
here, since it is computed here for every store; the views for SQL have their own, in their
migration, which tests hold to the same meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.kinds import PARTS, Calendar, Part
from ai_hub.definitions.values import HOUR
from ai_hub.engines.arrays import Columns, Ints
from ai_hub.engines.clocks import utc_offsets


def calendars(features: tuple[Calendar, ...], time: Ints) -> Columns:
    """Parts of the local date and time of each instant, as int64.

    No part changes within an hour of local time: it is computed for the hours, which are few, and
    looked up for the instants, which may be many.
    """
    columns: Columns = {}
    hours: dict[str, tuple[Ints | None, Ints]] = {}
    for feature in features:
        if feature.tz not in hours:
            local = time if feature.tz == "UTC" else time + utc_offsets(feature.tz, time)
            hours[feature.tz] = _hours(local // HOUR)
        row, table = hours[feature.tz]
        part = CALENDAR_PARTS[feature.part].of(table)
        columns[feature.name] = part if row is None else part[row]
    return columns


def _hours(hour: Ints) -> tuple[Ints | None, Ints]:
    """Each hour as a row of a table of hours, and the table; (None, hours) if it saves nothing."""
    if len(hour):
        first, last = int(hour.min()), int(hour.max())
        if last - first < len(hour) // 4:
            hour -= first
            return hour, np.arange(first, last + 1)
    return None, hour


@dataclass(frozen=True, slots=True)
class CalendarPart:
    """A part of the local date and time: its range, and its value for hours since the epoch."""

    least: int
    greatest: int
    of: Callable[[Ints], Ints]


def _weekday(hour: Ints) -> Ints:
    # 1970-01-01 was a Thursday.
    return (hour // 24 + 3) % 7


_Dates = NDArray[np.datetime64]


def _of_date(hour: Ints, part: Callable[[_Dates], Ints]) -> Ints:
    """A part of the date of each hour, computed once for every day from the first to the last."""
    if not len(hour):
        return hour
    days = hour // 24
    first = int(days.min())
    return part(np.arange(first, int(days.max()) + 1).astype("datetime64[D]"))[days - first]


def _day_of_month(dates: _Dates) -> Ints:
    first = dates.astype("datetime64[M]").astype("datetime64[D]")
    days: Ints = (dates - first).astype(np.int64)
    return days + 1


def _is_business_hours(hour: Ints) -> Ints:
    into = hour % 24
    return ((_weekday(hour) < 5) & (into >= 9) & (into < 17)).astype(np.int64)


def _month(dates: _Dates) -> Ints:
    months: Ints = dates.astype("datetime64[M]").astype(np.int64)
    return months % 12 + 1


def _part(part: Part) -> CalendarPart:
    match part:
        case "hour_of_day":
            return CalendarPart(0, 23, lambda hour: hour % 24)
        case "day_of_week":
            return CalendarPart(0, 6, _weekday)
        case "day_of_month":
            return CalendarPart(1, 31, lambda hour: _of_date(hour, _day_of_month))
        case "month":
            return CalendarPart(1, 12, lambda hour: _of_date(hour, _month))
        case "is_weekend":
            return CalendarPart(0, 1, lambda hour: (_weekday(hour) >= 5).astype(np.int64))
        case "is_business_hours":
            return CalendarPart(0, 1, _is_business_hours)
        case _:
            assert_never(part)


CALENDAR_PARTS: Mapping[Part, CalendarPart] = {part: _part(part) for part in PARTS}


def calendar_at(features: Iterable[Calendar], at: int) -> dict[str, int]:
    """Calendar features of one instant: what can be said with no data at all."""
    time = np.array([at], np.int64)
    return {name: int(part[0]) for name, part in calendars(tuple(features), time).items()}
