"""Parts of the local date and time: what can be said of an instant with no data at all.

`CALENDAR_PARTS` is the table of parts. A part has no words in SQL here, since it is computed here
for every store; the views for SQL have their own, in their migration, which tests hold to the same
meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, assert_never

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.kinds import Calendar
from ai_hub.definitions.periods import ASSET_ZONE, UTC, Offset
from ai_hub.definitions.values import DAY, FIRST_INSTANT, HOUR, LAST_INSTANT, MINUTE
from ai_hub.definitions.vocabulary import PARTS, Part
from ai_hub.engines.arrays import Columns, Floats, Ints, Mask
from ai_hub.engines.clocks import moved, utc_offsets
from ai_hub.engines.zones import Zones

# A table of hours or days saves nothing for so few instants.
_ALONE = 4


def calendars(features: tuple[Calendar, ...], zones: Zones) -> Columns:
    """Parts of the local date and time at each point: int64, or float64 (NaN = null)."""
    columns: Columns = {}
    clocks: list[_WallClock] = []
    for feature in features:
        clock = next((one for one in clocks if one.is_of(feature)), None)
        if clock is None:
            clock = _WallClock.of(feature.tz, feature.offset, zones)
            clocks.append(clock)
        columns[feature.name] = clock.part(feature)
    return columns


class _WallClock(NamedTuple):
    """A wall clock at some instants, moved; `unknown` where there is none.

    Few parts change within an hour: they are computed for the hours, which are few, and looked up
    for the instants. `row` says which of them each point is at, None where they are the points.
    """

    tz: str
    offset: Offset
    wall: Ints
    unknown: Mask | None
    row: Ints | None
    hours: Ints
    hour: Ints | None

    @classmethod
    def of(cls, tz: str, offset: Offset, zones: Zones) -> _WallClock:
        """The clock of a zone at some points."""
        moments = zones.moments
        row, unknown = moments.row, None
        if tz == UTC:
            wall = moments.table
        elif tz == ASSET_ZONE:
            ahead, unknown = zones.each(tz, utc_offsets)
            row, wall = None, moments.time + ahead
        else:
            wall = moments.table + utc_offsets(tz, moments.table)
        if offset:
            wall = moved(wall, offset)
            outside = (wall < FIRST_INSTANT) | (wall > LAST_INSTANT)
            unknown = outside if unknown is None else unknown | outside
        hour, hours = _hours(wall // HOUR)
        return cls(tz, offset, wall, unknown, row, hours, hour)

    def is_of(self, feature: Calendar) -> bool:
        """Whether a feature is of this clock."""
        same = self.offset is feature.offset or self.offset == feature.offset
        return same and self.tz == feature.tz

    def part(self, feature: Calendar) -> Ints | Floats:
        """A feature's part of it."""
        part = CALENDAR_PARTS[feature.part]
        found: Ints | Floats
        if part.hourly is not None:
            found = part.hourly(self.hours)
            found = found if self.hour is None else found[self.hour]
        elif part.exact is not None:
            found = part.exact(self.wall)
        else:
            found = _holidays(feature.holidays, self.wall // DAY)
        if self.unknown is not None:
            found = np.where(self.unknown, np.nan, found)
        return found if self.row is None else found[self.row]


def _holidays(holidays: HolidayDates | None, day: Ints) -> Floats:
    """1 on a holiday, 0 on another day, NaN where nothing is known."""
    if holidays is None:
        return np.full(len(day), np.nan)
    known = (day >= holidays.first_day) & (day <= holidays.last_day)
    days = _days(holidays)
    return np.where(known, days[np.searchsorted(days, day)] == day, np.nan)


@lru_cache(maxsize=256)
def _days(holidays: HolidayDates) -> Ints:
    """The days, and one later than any."""
    return np.array([*holidays.days, LAST_INSTANT], np.int64)


def _hours(hour: Ints) -> tuple[Ints | None, Ints]:
    """Each hour as a row of a table of hours, and the table; (None, hours) if it saves nothing."""
    if len(hour) > _ALONE:
        first, last = int(hour.min()), int(hour.max())
        if last - first < len(hour) // 4:
            hour -= first
            return hour, np.arange(first, last + 1)
    return None, hour


@dataclass(frozen=True, slots=True)
class CalendarPart:
    """A part of the local date and time: its range, and its value.

    Of hours since the epoch (`hourly`) or of the wall clock in microseconds (`exact`); of neither
    where it is of dates that are known otherwise.
    """

    least: int
    greatest: int
    hourly: Callable[[Ints], Ints] | None = None
    exact: Callable[[Ints], Ints | Floats] | None = None


def _weekday(hour: Ints) -> Ints:
    # 1970-01-01 was a Thursday.
    return (hour // 24 + 3) % 7


_Dates = NDArray[np.datetime64]


def _of_date(hour: Ints, part: Callable[[_Dates], Ints]) -> Ints:
    """A part of the date of each hour, computed once for every day if there are fewer days."""
    days = hour // 24
    if len(days) > _ALONE:
        first, last = int(days.min()), int(days.max())
        if last - first < len(days):
            return part(np.arange(first, last + 1).astype("datetime64[D]"))[days - first]
    return part(days.astype("datetime64[D]"))


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


def _quarter(dates: _Dates) -> Ints:
    return (_month(dates) + 2) // 3


def _day_of_year(dates: _Dates) -> Ints:
    first = dates.astype("datetime64[Y]").astype("datetime64[D]")
    days: Ints = (dates - first).astype(np.int64)
    return days + 1


def _week_of_year(dates: _Dates) -> Ints:
    """The ISO week: that of the week's Thursday."""
    day = dates.astype(np.int64)
    thursday = day - (day + 3) % 7 + 3
    return (_day_of_year(thursday.astype("datetime64[D]")) + 6) // 7


def _days_of_year(dates: _Dates) -> Ints:
    year = dates.astype("datetime64[Y]")
    days: Ints = ((year + 1).astype("datetime64[D]") - year.astype("datetime64[D]")).astype(
        np.int64
    )
    return days


def _share_of_day(wall: Ints) -> Floats:
    return wall % DAY / DAY


def _share_of_week(wall: Ints) -> Floats:
    # 1970-01-01 was a Thursday.
    return (wall + 3 * DAY) % (7 * DAY) / (7 * DAY)


def _share_of_year(wall: Ints) -> Floats:
    hour = wall // HOUR
    into = _of_date(hour, _day_of_year) - 1 + _share_of_day(wall)
    return into / _of_date(hour, _days_of_year)


def _wave(
    wave: Callable[[Floats], Floats], share: Callable[[Ints], Floats]
) -> Callable[[Ints], Floats]:
    return lambda wall: wave(2 * np.pi * share(wall))


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
        case "minute_of_hour":
            return CalendarPart(0, 59, exact=lambda wall: wall % HOUR // MINUTE)
        case "minute_of_day":
            return CalendarPart(0, 1439, exact=lambda wall: wall % DAY // MINUTE)
        case "quarter":
            return CalendarPart(1, 4, lambda hour: _of_date(hour, _quarter))
        case "day_of_year":
            return CalendarPart(1, 366, lambda hour: _of_date(hour, _day_of_year))
        case "week_of_year":
            return CalendarPart(1, 53, lambda hour: _of_date(hour, _week_of_year))
        case "is_holiday":
            return CalendarPart(0, 1)
        case "day_sin":
            return CalendarPart(-1, 1, exact=_wave(np.sin, _share_of_day))
        case "day_cos":
            return CalendarPart(-1, 1, exact=_wave(np.cos, _share_of_day))
        case "week_sin":
            return CalendarPart(-1, 1, exact=_wave(np.sin, _share_of_week))
        case "week_cos":
            return CalendarPart(-1, 1, exact=_wave(np.cos, _share_of_week))
        case "year_sin":
            return CalendarPart(-1, 1, exact=_wave(np.sin, _share_of_year))
        case "year_cos":
            return CalendarPart(-1, 1, exact=_wave(np.cos, _share_of_year))
        case _:
            assert_never(part)


CALENDAR_PARTS: Mapping[Part, CalendarPart] = {part: _part(part) for part in PARTS}


def calendar_at(features: Iterable[Calendar], at: int) -> dict[str, float]:
    """Calendar features of one instant that need no data: those whose zone is named, not null."""
    named = tuple(f for f in features if f.tz != ASSET_ZONE)
    found = calendars(named, Zones.named(np.array([at], np.int64)))
    return {name: part[0].item() for name, part in found.items() if not np.isnan(part[0])}
