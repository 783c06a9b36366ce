"""What a zone's clock is ahead of UTC, and steps of its wall clock, for many instants at once.

`zoneinfo` answers for one instant at a time. It is asked for the start of each step of a year and,
where two answers differ, in between: then a year of a zone is a few instants and offsets, which are
kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from ai_hub.definitions.periods import UTC as UTC_ZONE
from ai_hub.definitions.periods import Offset, Period, longest
from ai_hub.definitions.values import DAY, FIRST_INSTANT, LAST_INSTANT, SECOND, to_datetime
from ai_hub.engines.arrays import Ints, Mask

# No zone changes its clock, and back again, in less (Freetown took four days, in 1939).
_STEP = 2 * DAY
_MICROSECOND = timedelta(microseconds=1)
# `zoneinfo` has no answer where the wall clock would show a year that Python does not have.
_FIRST, _LAST = FIRST_INSTANT + 2 * DAY, LAST_INSTANT - 2 * DAY


def utc_offsets(tz: str, time: Ints) -> Ints:
    """How far the clock of a zone is ahead of UTC at each instant, in microseconds.

    In the first and the last two days of the calendar the zone keeps the offset of its neighbours.
    """
    if tz == UTC_ZONE or not len(time):
        return np.zeros(len(time), np.int64)
    return _Clock.around(tz, time).ahead(time)


def step_back(tz: str, time: Ints, period: Period) -> Ints:
    """The instant a period before each on the wall clock of a zone.

    A time that the clock skipped is taken the length of the gap later; one that it repeats in the
    same half as the instant where that is repeated, else the first time.
    """
    if not len(time):
        return time
    clock = _Clock.around(tz, time, time - longest(period))
    wall = moved(time + clock.ahead(time), Offset(-period.months, -period.days))
    return clock.instants(wall, time)


def bucket_starts(tz: str, time: Ints, every: Period) -> Ints:
    """The first instant whose local date is in the day, week, month or year of each one's."""
    if not len(time):
        return time
    day, row = np.unique((time + utc_offsets(tz, time)) // DAY, return_inverse=True)
    if every.days == 7:
        # 1970-01-01 was a Thursday.
        day = day - (day + 3) % 7
    elif every.months:
        unit = "datetime64[Y]" if every.months == 12 else "datetime64[M]"
        day = day.astype("datetime64[D]").astype(unit).astype("datetime64[D]").astype(np.int64)
    starts: Ints = _Clock.around(tz, day * DAY).first_instants(day * DAY)[row]
    return starts


def moved(wall: Ints, offset: Offset) -> Ints:
    """A wall clock some months or days later; a month's day is clipped to its last."""
    if not offset.months:
        return wall + offset.days * DAY
    day, into = np.divmod(wall, DAY)
    dates = day.astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    in_month = dates - month.astype("datetime64[D]")
    to = month + offset.months
    last = (to + 1).astype("datetime64[D]") - 1
    there: Ints = np.minimum(to.astype("datetime64[D]") + in_month, last).astype(np.int64)
    return (there + offset.days) * DAY + into


@dataclass(frozen=True, slots=True)
class _Clock:
    """The changes of a zone's clock around some instants, and its offset from each of them on."""

    since: Ints
    offsets: Ints

    @classmethod
    def around(cls, tz: str, *times: Ints) -> _Clock:
        """The clock in the years of some instants or wall times, and in those beside them."""
        inside = np.clip(np.concatenate(times), _FIRST, _LAST)
        first = to_datetime(int(inside.min())).year - 1
        last = to_datetime(int(inside.max())).year + 1
        if last - first <= len(inside) + 3:
            return _clock(tz, tuple(range(first, last + 1)))
        named = {to_datetime(int(instant)).year for instant in inside}
        return _clock(tz, tuple(sorted({year + beside for year in named for beside in (-1, 0, 1)})))

    def ahead(self, time: Ints) -> Ints:
        """How far the clock is ahead of UTC at each instant."""
        return self.offsets[self._row(time)]

    def instants(self, wall: Ints, time: Ints) -> Ints:
        """When the clock shows `wall`: in the same half as `time` where both are repeated."""
        first, second = self._first(wall), self._second(wall)
        return wall - self.offsets[np.where(self._is_second(time), second, first)]

    def first_instants(self, wall: Ints) -> Ints:
        """When the clock first shows `wall` or later."""
        row = self._first(wall)
        # Where the clock skipped it, that is when it went forward.
        following = np.append(self.since, LAST_INSTANT)[row + 1]
        first: Ints = np.minimum(wall - self.offsets[row], following)
        return first

    def _row(self, time: Ints) -> Ints:
        return np.maximum(np.searchsorted(self.since, time, "right") - 1, 0)

    def _first(self, wall: Ints) -> Ints:
        """Where the offset is with which the clock shows `wall` first, or would without a gap."""
        shown = self.since[1:] + np.maximum(self.offsets[1:], self.offsets[:-1])
        return np.searchsorted(shown, wall, "right")

    def _second(self, wall: Ints) -> Ints:
        return np.searchsorted(self.since[1:] + self.offsets[1:], wall, "right")

    def _is_second(self, time: Ints) -> Mask:
        """Whether the clock showed at each instant what it had shown already."""
        row = self._row(time)
        back = self.offsets[np.maximum(row - 1, 0)] - self.offsets[row]
        second: Mask = time - self.since[row] < back
        return second


@lru_cache(maxsize=256)
def _clock(tz: str, wanted: tuple[int, ...]) -> _Clock:
    """The clock in some years."""
    years = [_year(tz, year) for year in wanted if 1 <= year <= datetime.max.year]
    return _Clock(
        np.concatenate([changes for changes, _ in years]),
        np.concatenate([offsets for _, offsets in years]),
    )


@lru_cache(maxsize=4096)
def _year(tz: str, year: int) -> tuple[Ints, Ints]:
    """The start of a UTC year and each change of the clock in it, and the offset from there on."""
    zone = ZoneInfo(tz)
    start = max(_micros(year), _FIRST)
    end = _micros(year + 1) if year < datetime.max.year else _LAST + 1
    since, offsets = [start], [_offset(zone, start)]
    for step in range(start, end, _STEP):
        next_one = min(step + _STEP, end - 1)
        while (found := _offset(zone, next_one)) != offsets[-1]:
            change = _first_other(zone, max(step, since[-1]), next_one, offsets[-1])
            since.append(change)
            offsets.append(_offset(zone, change))
            if found == offsets[-1]:
                break
    return np.array(since, np.int64), np.array(offsets, np.int64)


def _first_other(zone: ZoneInfo, low: int, high: int, offset: int) -> int:
    """The first second in (low, high] whose offset is another; that of `high` is."""
    while high - low > SECOND:
        middle = low + (high - low) // 2
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high - high % SECOND


def _offset(zone: ZoneInfo, instant: int) -> int:
    ahead = to_datetime(instant).astimezone(zone).utcoffset()
    return (ahead or timedelta()) // _MICROSECOND


def _micros(year: int) -> int:
    return (datetime(year, 1, 1, tzinfo=UTC) - to_datetime(0)) // _MICROSECOND
