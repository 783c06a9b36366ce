"""Parts of the local date and time: what can be said of an instant with no data at all."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ai_hub.definitions.kinds import Calendar
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


def _part(part: str, hour: Ints) -> Ints:
    if part == "hour_of_day":
        return hour % 24
    days = hour // 24
    # 1970-01-01 was a Thursday.
    weekday = (days + 3) % 7
    if part == "day_of_week":
        return weekday
    if part == "is_weekend":
        return (weekday >= 5).astype(np.int64)
    if part == "is_business_hours":
        into = hour % 24
        return ((weekday < 5) & (into >= 9) & (into < 17)).astype(np.int64)
    return _date_part(part, days)


def calendar_at(features: Iterable[Calendar], at: int) -> dict[str, int]:
    """Calendar features of one instant: what can be said with no data at all."""
    time = np.array([at], np.int64)
    return {name: int(part[0]) for name, part in calendars(tuple(features), time).items()}


def _date_part(part: str, days: Ints) -> Ints:
    if not len(days):
        return days
    first = int(days.min())
    dates = np.arange(first, int(days.max()) + 1).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    if part == "month":
        table = months.astype(np.int64) % 12 + 1
    else:
        table = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    return table[days - first]


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
