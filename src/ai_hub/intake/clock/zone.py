"""A zone of local times: its offsets, and the changes where it skips local times or repeats them.

Local times are microseconds since 1970-01-01T00:00 on the wall, instants since that moment in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.values import DAY, EPOCH, FIRST_INSTANT, HOUR, LAST_INSTANT, MINUTE, SECOND
from ai_hub.errors import InvalidInput

Ints = NDArray[np.int64]

_MICROSECOND = timedelta(microseconds=1)
_FIRST = FIRST_INSTANT + 2 * DAY
_LAST = LAST_INSTANT - 2 * DAY
_OFFSET = re.compile(r"(?:UTC)?([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?")
# No zone has ever been further from UTC.
_FURTHEST = 2
_LOOKS = 6 * HOUR


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """An instant at which the clock moves from the offset `before` to the offset `after`."""

    at: int
    before: int
    after: int

    @property
    def repeats(self) -> bool:
        """Whether local times come twice (they are skipped otherwise)."""
        return self.before > self.after

    @property
    def start(self) -> int:
        """The first local time that comes twice, or that is skipped."""
        return self.at + min(self.before, self.after)

    @property
    def end(self) -> int:
        """The local time just after the last one that comes twice, or that is skipped."""
        return self.at + max(self.before, self.after)


class Zone:
    """An IANA zone, or a fixed offset such as `+01:00`; InvalidInput for any other name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._zone = _zone(name)
        self._days: dict[int, tuple[Change, ...]] = {}

    @cached_property
    def _fixed(self) -> int | None:
        return None if isinstance(self._zone, ZoneInfo) else self._offset(0)

    def offsets(self, local: Ints) -> tuple[Ints, Ints]:
        """The offset of each local time in its first pass and in its second.

        They are one where it comes once; where it is skipped, the first is that before the change.
        """
        if self._fixed is not None:
            fixed = np.full(len(local), self._fixed, dtype=np.int64)
            return fixed, fixed
        days, of_day = np.unique(local // DAY, return_inverse=True)
        near = [self._changes(int(day) - _FURTHEST, int(day) + _FURTHEST) for day in days]
        plain = np.array(
            [
                0 if some else self._offset(int(day) * DAY)
                for day, some in zip(days, near, strict=True)
            ],
            dtype=np.int64,
        )
        first = plain[of_day]
        second = first.copy()
        unsure = np.flatnonzero(np.array([bool(some) for some in near], dtype=np.bool_)[of_day])
        if len(unsure):
            changes = sorted({change for some in near for change in some})
            ends = np.array([change.end for change in changes], dtype=np.int64)
            starts = np.array([change.start for change in changes], dtype=np.int64)
            first[unsure] = _since(ends, changes, local[unsure])
            second[unsure] = _since(starts, changes, local[unsure])
        return first, second

    def offsets_at(self, instants: Ints) -> Ints:
        """The offset at each instant."""
        if self._fixed is not None:
            return np.full(len(instants), self._fixed, dtype=np.int64)
        days, of_day = np.unique(instants // DAY, return_inverse=True)
        near = [self._changes(int(day), int(day)) for day in days]
        offsets = np.array([self._offset(int(day) * DAY) for day in days], dtype=np.int64)[of_day]
        unsure = np.flatnonzero(np.array([bool(some) for some in near], dtype=np.bool_)[of_day])
        if len(unsure):
            changes = sorted({change for some in near for change in some})
            ats = np.array([change.at for change in changes], dtype=np.int64)
            offsets[unsure] = _since(ats, changes, instants[unsure])
        return offsets

    def changes(self, local: Ints, within: int) -> list[Change]:
        """The changes that are within so many days of one of the local times."""
        if self._fixed is not None:
            return []
        days = (int(day) for day in np.unique(local // DAY))
        reach = within + _FURTHEST
        return sorted({c for day in days for c in self._changes(day - reach, day + reach)})

    def day_starts(self, local: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """The first instant of each local day, `local` being its midnight, and which days exist."""
        first, second = self.offsets(local)
        starts = local - first
        exist = np.ones(len(local), dtype=np.bool_)
        skipped = np.flatnonzero(first < second)
        if len(skipped):
            gaps = [c for c in self.changes(local[skipped], 0) if not c.repeats]
            for row in skipped.tolist():
                midnight = int(local[row])
                gap = next(gap for gap in gaps if gap.start <= midnight < gap.end)
                starts[row] = gap.at
                exist[row] = gap.end // DAY == midnight // DAY
        return starts, exist

    def _offset(self, instant: int) -> int:
        moment = EPOCH + min(max(instant, _FIRST), _LAST) * _MICROSECOND
        offset = moment.astimezone(self._zone).utcoffset()
        assert offset is not None
        return offset // _MICROSECOND

    def _changes(self, first: int, last: int) -> tuple[Change, ...]:
        """The changes in these days of UTC."""
        found: tuple[Change, ...] = ()
        for day in range(first, last + 1):
            if day not in self._days:
                self._days[day] = self._changes_of_day(day)
            found += self._days[day]
        return found

    def _changes_of_day(self, day: int) -> tuple[Change, ...]:
        found: tuple[Change, ...] = ()
        for start in range(day * DAY, (day + 1) * DAY, _LOOKS):
            before, after = self._offset(start), self._offset(start + _LOOKS)
            if before != after:
                # Only the first of two changes so close together: there are none.
                low, high = start, start + _LOOKS
                while high - low > SECOND:
                    middle = (low + high) // (2 * SECOND) * SECOND
                    low, high = (middle, high) if self._offset(middle) == before else (low, middle)
                found += (Change(high, before, after),)
        return found


def _since(marks: Ints, changes: list[Change], times: Ints) -> Ints:
    """The offset at each time, `marks` being the time of each change; one of them is near."""
    place = np.searchsorted(marks, times, side="right") - 1
    before = np.array([change.before for change in changes], dtype=np.int64)
    after = np.array([change.after for change in changes], dtype=np.int64)
    # The changes known are those near the times: one long before says nothing, the next one does.
    long_ago = (place < 0) | (times - marks[place] > (2 * _FURTHEST + 1) * DAY)
    following = np.minimum(place + 1, len(changes) - 1)
    offsets: Ints = np.where(long_ago, before[following], after[place])
    return offsets


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    expected = "an IANA time zone such as Europe/Berlin, or an offset such as +01:00"
    if not isinstance(name, str):
        raise InvalidInput("timezone", name, expected)
    match = _OFFSET.fullmatch(name)
    if match is not None:
        minutes = int(match.group(2)) * HOUR + int(match.group(3) or 0) * MINUTE
        sign = -1 if match.group(1) == "-" else 1
        return timezone(sign * minutes * _MICROSECOND)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = {known.lower(): known for known in available_timezones()}.get(name.lower())
        hint = f"Its name is {near}." if near else ""
        raise InvalidInput("timezone", name, expected, hint) from None
