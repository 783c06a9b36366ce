"""Parts of the local date and time: what can be said of an instant with no data at all.

`_part` is the table of parts: an int64 each, and never missing. A part has no words in SQL here,
since it is computed here for every store; the views for SQL have their own, in their migration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.kinds import Calendar, Part
from ai_hub.definitions.values import DAY, HOUR, MINUTE, SECOND, to_datetime
from ai_hub.engines.arrays import Columns, Ints


def calendars(features: tuple[Calendar, ...], time: Ints) -> Columns:
    """Parts of the local date and time of each instant, as int64.

    Every part is the same for a whole hour of local time: a table of hours answers for many rows.
    """
    columns: Columns = {}
    hours: dict[str, tuple[Ints | None, Ints]] = {}
    for feature in features:
        if feature.tz not in hours:
            local = time if feature.tz == "UTC" else time + _utc_offset(feature.tz, time)
            hours[feature.tz] = _hours(local // HOUR)
        row, table = hours[feature.tz]
        part = _part(feature.part, table)
        columns[feature.name] = part if row is None else part[row]
    return columns


def _hours(hour: Ints) -> tuple[Ints | None, Ints]:
    """The hours that there are, and for each row which one (None: one after the other)."""
    if len(hour):
        first, last = int(hour.min()), int(hour.max())
        if last - first < len(hour) // 4:
            hour -= first
            return hour, np.arange(first, last + 1)
    return None, hour


def _part(part: Part, hour: Ints) -> Ints:
    """A part of the date and time, for hours since the epoch in local time."""
    match part:
        case "hour_of_day":
            return hour % 24
        case "day_of_week":
            return _weekday(hour)
        case "day_of_month":
            return _of_date(hour, _day_of_month)
        case "month":
            return _of_date(hour, _month)
        case "is_weekend":
            return (_weekday(hour) >= 5).astype(np.int64)
        case "is_business_hours":
            into = hour % 24
            return ((_weekday(hour) < 5) & (into >= 9) & (into < 17)).astype(np.int64)
        case _:
            assert_never(part)


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


def _month(dates: _Dates) -> Ints:
    months: Ints = dates.astype("datetime64[M]").astype(np.int64)
    return months % 12 + 1


def calendar_at(features: Iterable[Calendar], at: int) -> dict[str, int]:
    """Calendar features of one instant: what can be said with no data at all."""
    time = np.array([at], np.int64)
    return {name: int(part[0]) for name, part in calendars(tuple(features), time).items()}


# Since 1973 zones change on whole quarters of an hour; before, on any second.
_QUARTERS_SINCE = 3 * 365 * DAY + DAY


def _utc_offset(tz: str, time: Ints) -> Ints:
    zone = ZoneInfo(tz)
    quantum = np.where(time >= _QUARTERS_SINCE, time - time % (15 * MINUTE), time - time % SECOND)
    instants, inverse = np.unique(quantum, return_inverse=True)
    second = timedelta(microseconds=1)
    offsets = [
        (to_datetime(int(i)).astimezone(zone).utcoffset() or timedelta()) // second
        for i in instants
    ]
    return np.array(offsets, np.int64)[inverse]
