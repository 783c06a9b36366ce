"""Local time in plain Python: steps of the wall clock, starts of local buckets, calendar parts.

Beside `reference.py`, and in the same way: slow, obvious, standard library only. A wall clock is
an int like an instant: microseconds from 1970-01-01T00:00 on that clock.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.kinds import Calendar
from ai_hub.definitions.periods import Offset, Period
from ai_hub.definitions.values import DAY, HOUR, MINUTE, SECOND, to_datetime
from ai_hub.definitions.vocabulary import Part

_MICROSECOND = timedelta(microseconds=1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# After 400 years the Gregorian calendar repeats itself, weekdays included.
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
_FIRST = datetime.min.replace(tzinfo=UTC) + timedelta(days=2)
_LAST = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)


def step_back(t: int, period: Period, tz: str) -> int:
    """The instant a period before `t` on the wall clock of a zone.

    A time that the clock skipped is taken the length of the gap later; one that it repeats in the
    same half as `t` where `t` is repeated, else the first time.
    """
    zone = ZoneInfo(tz)
    wall = _moved(t + _ahead(zone, t), Offset(-period.months, -period.days))
    first, second = (_ahead_of_wall(zone, wall, fold) for fold in (0, 1))
    repeated = first > second
    return wall - (second if repeated and _is_second(zone, t) else first)


def bucket_start(t: int, every: Period, tz: str) -> int:
    """The first instant whose local date is in the day, week, month or year of `t`'s."""
    zone = ZoneInfo(tz)
    day = (t + _ahead(zone, t)) // DAY
    if every.days == 7:
        day -= _date(day).weekday()
    elif every.months:
        day -= _date(day).day - 1
        if every.months == 12:
            months = _date(day).month - 1
            day = _moved(day * DAY, Offset(-months)) // DAY
    midnight = day * DAY
    first, second = (_ahead_of_wall(zone, midnight, fold) for fold in (0, 1))
    if first >= second:
        return midnight - first
    # The clock skipped midnight: the bucket begins when it went forward.
    low, high = midnight - second, midnight - first
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _ahead(zone, middle) != _ahead(zone, low) else (middle, high)
    return high if _ahead(zone, low) == first else low


def calendar_part(feature: Calendar, t: int, tz: str) -> int | float | None:
    """A part of the local wall clock at `t`, moved by the feature's offset."""
    wall = _moved(t + _ahead(ZoneInfo(tz), t), feature.offset)
    if feature.offset and not _has_a_year(wall):
        return None
    return _part(feature.part, wall, feature.holidays)


def _part(part: Part, wall: int, holidays: HolidayDates | None) -> int | float | None:
    day, into = divmod(wall, DAY)
    local = _date(day)
    weekend = local.weekday() >= 5
    match part:
        case "hour_of_day":
            return into // HOUR
        case "day_of_week":
            return local.weekday()
        case "day_of_month":
            return local.day
        case "month":
            return local.month
        case "is_weekend":
            return int(weekend)
        case "is_business_hours":
            return int(not weekend and 9 * HOUR <= into < 17 * HOUR)
        case "minute_of_hour":
            return into % HOUR // MINUTE
        case "minute_of_day":
            return into // MINUTE
        case "quarter":
            return (local.month + 2) // 3
        case "day_of_year":
            return local.timetuple().tm_yday
        case "week_of_year":
            return local.isocalendar().week
        case "is_holiday":
            if holidays is None or not holidays.first_day <= day <= holidays.last_day:
                return None
            return int(day in holidays.days)
        case "day_sin" | "day_cos":
            return _wave(part, into / SECOND, 86_400)
        case "week_sin" | "week_cos":
            return _wave(part, local.weekday() * 86_400 + into / SECOND, 604_800)
        case "year_sin" | "year_cos":
            length = date(local.year, 12, 31).timetuple().tm_yday
            seconds = (local.timetuple().tm_yday - 1) * 86_400 + into / SECOND
            return _wave(part, seconds, length * 86_400)
        case _:
            assert_never(part)


def _wave(part: Part, seconds: float, turn: int) -> float:
    angle = 2 * math.pi * seconds / turn
    return math.sin(angle) if part.endswith("sin") else math.cos(angle)


def _moved(wall: int, offset: Offset) -> int:
    """A wall clock some months or days later; a month's day is clipped to its last."""
    day, into = divmod(wall, DAY)
    if offset.months:
        months = _date(day).month - 1 + offset.months
        year, month = _year(day) + months // 12, months % 12 + 1
        last = _day_number(year + month // 12, month % 12 + 1, 1) - 1
        day = min(_day_number(year, month, 1) + _date(day).day - 1, last)
    return (day + offset.days) * DAY + into


def _has_a_year(wall: int) -> bool:
    return 1 <= _year(wall // DAY) <= 9999


def _cycles(day: int) -> int:
    """How many cycles of the calendar lie between a day and one that a date can be of."""
    ordinal = day + _EPOCH_DAY
    if ordinal < 1:
        return (ordinal - _CYCLE_DAYS) // _CYCLE_DAYS
    return max(0, -((date.max.toordinal() - ordinal) // _CYCLE_DAYS))


def _date(day: int) -> date:
    """The date of a day; beyond the years 1 to 9999 that of a year that is like its own."""
    return date.fromordinal(day + _EPOCH_DAY - _cycles(day) * _CYCLE_DAYS)


def _year(day: int) -> int:
    return _date(day).year + _cycles(day) * _CYCLE_YEARS


def _day_number(year: int, month: int, day: int) -> int:
    cycles = (year - 1) // _CYCLE_YEARS
    like = date(year - cycles * _CYCLE_YEARS, month, day)
    return like.toordinal() + cycles * _CYCLE_DAYS - _EPOCH_DAY


def _ahead(zone: ZoneInfo, t: int) -> int:
    """How far the clock is ahead of UTC; at the ends of the calendar as it is beside them."""
    return (_local(zone, t).utcoffset() or timedelta()) // _MICROSECOND


def _is_second(zone: ZoneInfo, t: int) -> bool:
    return bool(_local(zone, t).fold)


def _local(zone: ZoneInfo, t: int) -> datetime:
    return min(max(_to_datetime(t), _FIRST), _LAST).astimezone(zone)


def _to_datetime(t: int) -> datetime:
    """An instant as a datetime; beyond the calendar its end."""
    try:
        return to_datetime(t)
    except OverflowError:
        return _FIRST if t < 0 else _LAST


def _ahead_of_wall(zone: ZoneInfo, wall: int, fold: int) -> int:
    inside = min(max(_to_datetime(wall), _FIRST), _LAST)
    local = inside.replace(tzinfo=zone, fold=fold)
    return (local.utcoffset() or timedelta()) // _MICROSECOND
