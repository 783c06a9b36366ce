"""The readings of hostile files, in the order of the file: their instants, and their stamps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import groupby
from zoneinfo import ZoneInfo

from intake.hostile_draft import Draft, Reading

ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "America/St_Johns",
)
OFFSETS = {"+01:00": 60, "-03:30": -210}
MANY_ROWS = 3_000
"""More than the sample that is looked at first."""

_DAY = timedelta(days=1)
_AROUND = timedelta(hours=5)
"""How far a series has to reach beyond a change to show it for sure."""
_LOOK = timedelta(minutes=30)  # the changes of all zones are at a full or a half hour of UTC

Readings = list[list[Reading]]
"""Those of all assets at one time after the other."""


def zone_of(name: str) -> tzinfo:
    """The zone of a name, or of an offset."""
    if name in OFFSETS:
        return timezone(timedelta(minutes=OFFSETS[name]))
    return ZoneInfo(name)


def readings_of(draft: Draft, names: Sequence[str], digits: int) -> Readings:
    """Readings of assets at even steps."""
    random = draft.random
    steps, step = random.randint(1, 30), timedelta(minutes=random.choice([15, 30, 60]))
    if draft.happens("many rows", 0.05):
        steps, step = MANY_ROWS, timedelta(minutes=5)
    start = _start(draft, steps * step)
    times = [start + place * step for place in range(steps)]
    stamps, instants = _stamped(draft, times, step)
    value = _value(draft, digits)
    found = [
        [Reading(at, name, value(), stamp) for name in names]
        for at, stamp in zip(instants, stamps, strict=True)
    ]
    return in_some_order(draft, found)


def days_of(draft: Draft, names: Sequence[str], digits: int) -> Readings:
    """Readings of whole days: a date says the first instant of its day, or of the next one."""
    assert draft.timezone is not None
    zone = zone_of(draft.timezone)
    start = _start(draft, timedelta(days=6))
    first = start.astimezone(zone).date()
    stamped = draft.draw("dates of", "instants", "starts", "ends")
    if stamped != "instants":
        draft.meaning[f"interval_{stamped.removesuffix('s')}"] = "P1D"
    value = _value(draft, digits)
    found = []
    for place in range(draft.random.randint(1, 12)):
        day = first + place * _DAY
        at = day_start(day + _DAY if stamped == "starts" else day, zone)
        stamp = datetime.combine(day, datetime.min.time())
        found.append([Reading(at, name, value(), stamp) for name in names])
    draft.changes = False  # days are told without it
    return in_some_order(draft, found)


def vintages_of(draft: Draft, names: Sequence[str], digits: int) -> Readings:
    """Forecasts: some times, each in several issues."""
    random = draft.random
    many, step = random.randint(2, 24), timedelta(minutes=random.choice([30, 60]))
    start = _start(draft, many * step)
    times = [start + place * step for place in range(many)]
    issues = [start - timedelta(hours=12 * place) for place in range(random.randint(2, 4), 1, -1)]
    stamps, instants = _stamped(draft, times, step)
    value = _value(draft, digits)
    found = [
        [Reading(at, name, value(), stamp, issue) for name in names]
        for issue in issues
        for at, stamp in zip(instants, stamps, strict=True)
    ]
    if draft.happens("by time, then issue", 0.5):
        found.sort(key=lambda several: several[0].at)
    return in_some_order(draft, found)


def day_start(day: date, zone: tzinfo) -> datetime:
    """The first instant of a local day."""
    at = datetime.combine(day, datetime.min.time(), UTC) - timedelta(hours=15)
    while at.astimezone(zone).date() < day:
        at += timedelta(minutes=15)
    return at


@lru_cache
def clock_changes(name: str) -> list[datetime]:
    """The instants of 2025 at which the clock of a zone goes forward or back."""
    zone = zone_of(name)
    looks = (datetime(2025, 1, 1, tzinfo=UTC) + place * _LOOK for place in range(17_520))
    return [at for at in looks if _offset(at, zone) != _offset(at - _LOOK, zone)]


def _start(draft: Draft, length: timedelta) -> datetime:
    """When the readings begin."""
    random = draft.random
    changes = [] if draft.timezone is None else clock_changes(draft.timezone)
    if changes and draft.happens("change of the clock", 0.7):
        quarter = timedelta(minutes=15)
        before = random.randint(0, int(length / quarter)) * quarter
        draft.changes = True
        draft.vague |= not _AROUND < before < length - _AROUND
        return random.choice(changes) - before
    # In January and July no clock changes, and in 250 hours from there none either.
    return datetime(2025, random.choice([1, 7]), random.randint(2, 14), tzinfo=UTC)


def _stamped(
    draft: Draft, times: list[datetime], step: timedelta
) -> tuple[list[datetime], list[datetime]]:
    """The stamps of times, and the instants that they mean."""
    width = f"{step // timedelta(minutes=1)}m"
    stamped = draft.draw("stamps", "instants", "instants", "starts", "ends", "ends on the clock")
    if stamped == "starts":
        draft.meaning["interval_start"] = width
    elif stamped != "instants":
        draft.meaning["interval_end"] = width
    instants = [time + step for time in times] if stamped == "starts" else times
    if draft.timezone is None:
        return times, instants
    zone = zone_of(draft.timezone)
    later = timedelta(0)
    if stamped == "ends on the clock":  # the start there, and the step
        # What the clock skips by less than a step, it shows too: such times are taken for its own.
        moves = [_offset(time, zone) - _offset(time - step, zone) for time in times]
        later = timedelta(0) if any(later < move < step for move in moves) else step
        draft.vague |= draft.changes
    stamps = [(time - later).astimezone(zone).replace(tzinfo=None) + later for time in times]
    return stamps, instants


def _offset(at: datetime, zone: tzinfo) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


def _value(draft: Draft, digits: int) -> Callable[[], float]:
    scale = draft.random.choice([0, 1] if draft.kind == "weather" else [0, 1, 3, 5])
    draft.story.append(f"scale={scale}")
    return lambda: round(draft.random.uniform(-0.2, 1) * 10**scale, digits)


def in_some_order(draft: Draft, found: Readings) -> Readings:
    """The readings as a file may have them: in an order or in none, with rows doubled or late."""
    random = draft.random
    order = draft.draw(
        "order", "oldest first", "oldest first", "newest first", "shuffled", "by local time"
    )
    if order == "newest first":
        found.reverse()
    elif order == "shuffled":
        random.shuffle(found)
    elif order == "by local time":
        found.sort(key=lambda several: (several[0].stamp, random.random()))
    draft.disguised |= disguised([reading for several in found for reading in several])
    doubled = draft.draw("doubled", *["no"] * 8, "lines", "file")
    if doubled == "lines":
        found = [several for several in found for _ in range(2)]
    elif doubled == "file":
        found = found * 2
    once = draft.happens("a row twice")
    if once:
        found.insert(random.randint(0, len(found)), random.choice(found))
    late = len(found) > 1 and draft.happens("a late row")
    if late:
        found.insert(random.randint(0, len(found)), found.pop(random.randrange(len(found))))
    draft.vague |= draft.changes and (order in ("shuffled", "by local time") or once or late)
    draft.vague |= draft.changes and doubled != "no"
    draft.disguised |= disguised([reading for several in found for reading in several])
    return found


def disguised(readings: Sequence[Reading]) -> bool:
    """Whether the stamps of some series are those of rows in order, but the rows are not.

    What such a file means is beyond telling.
    """

    def series(reading: Reading) -> tuple[str, str]:
        return reading.asset, str(reading.issued)

    for _, group in groupby(sorted(readings, key=series), series):
        rows = list(group)
        for backward in (False, True):
            ordered = sorted(rows, key=lambda reading: reading.at, reverse=backward)
            same = [one.stamp for one in ordered] == [one.stamp for one in rows]
            if same and [one.at for one in ordered] != [one.at for one in rows]:
                return True
    return False


def without_value(reading: Reading) -> Reading | None:
    """What a row says whose value is null: of weather that there is none, else nothing."""
    return None if reading.issued is None else replace(reading, value=None)
