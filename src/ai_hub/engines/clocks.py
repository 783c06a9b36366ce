"""What a zone's clock is ahead of UTC, for many instants at once.

`zoneinfo` answers for one instant at a time. It is asked for the start of each step of a year and,
where two answers differ, in between: then a year of a zone is a few instants and offsets, which are
kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from ai_hub.definitions.values import DAY, FIRST_INSTANT, LAST_INSTANT, SECOND, to_datetime
from ai_hub.engines.arrays import Ints

# No zone changes its clock, and back again, in less (Freetown took four days, in 1939).
_STEP = 2 * DAY
_MICROSECOND = timedelta(microseconds=1)
# `zoneinfo` has no answer where the wall clock would show a year that Python does not have.
_FIRST, _LAST = FIRST_INSTANT + 2 * DAY, LAST_INSTANT - 2 * DAY


def utc_offsets(tz: str, time: Ints) -> Ints:
    """How far the clock of a zone is ahead of UTC at each instant, in microseconds.

    In the first and the last two days of the calendar the zone keeps the offset of its neighbours.
    """
    if not len(time):
        return time
    inside = np.clip(time, _FIRST, _LAST)
    first = to_datetime(int(inside.min())).year
    last = to_datetime(int(inside.max())).year
    wanted: Iterable[int] = range(first, last + 1)
    if last - first > len(time):
        wanted = sorted({to_datetime(int(instant)).year for instant in inside})
    years = [_year(tz, year) for year in wanted]
    since = np.concatenate([changes for changes, _ in years])
    offsets = np.concatenate([offsets for _, offsets in years])
    return offsets[np.searchsorted(since, inside, "right") - 1]


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
