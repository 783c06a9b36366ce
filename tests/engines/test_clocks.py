"""Offsets of whole arrays are those that `zoneinfo` gives for one instant after the other."""

from __future__ import annotations

import zoneinfo
from functools import lru_cache
from importlib import resources

import numpy as np
import pytest

from ai_hub.definitions.kinds import Calendar
from ai_hub.definitions.values import (
    DAY,
    FIRST_INSTANT,
    HOUR,
    LAST_INSTANT,
    MINUTE,
    SECOND,
    parse_time,
)
from ai_hub.definitions.vocabulary import PARTS, WAVES, Part
from ai_hub.engines.calendars import CALENDAR_PARTS, calendars
from ai_hub.engines.clocks import utc_offsets
from ai_hub.engines.reference import History, value
from ai_hub.engines.zones import Zones
from ai_hub.testing.sets import HOLIDAYS

ODD = (
    "America/St_Johns", "Africa/Monrovia", "Africa/Freetown", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Europe/Amsterdam", "Europe/Berlin", "America/New_York",
    "Pacific/Apia", "Asia/Manila", "Antarctica/Troll", "Africa/Casablanca",
)  # fmt: skip
UNTIL = parse_time("2045-01-01T00:00:00Z")


@lru_cache
def changes(tz: str) -> tuple[int, ...]:
    """When the clock of a zone changes, from its compiled data (RFC 9636, version 2 and later)."""
    data = resources.files("tzdata.zoneinfo").joinpath(*tz.split("/")).read_bytes()
    counts = np.frombuffer(data[20:44], ">i4").tolist()
    isutc, isstd, leap, times, types, chars = counts
    first = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isutc
    many = int(np.frombuffer(data[first + 32 : first + 36], ">i4")[0])
    stored = np.frombuffer(data[first + 44 : first + 44 + 8 * many], ">i8") * SECOND
    return tuple(t for t in stored.tolist() if FIRST_INSTANT + 2 * DAY < t < UNTIL)


def beside_changes(tz: str) -> np.ndarray:
    """A microsecond before, at and after each change; and the ends of time."""
    wanted = [t + beside for t in changes(tz) for beside in (-1, 0, 1)]
    ends = (FIRST_INSTANT, FIRST_INSTANT + DAY, LAST_INSTANT - DAY, LAST_INSTANT)
    return np.array(sorted({*wanted, *ends}), np.int64)


def calendar(part: Part, tz: str) -> Calendar:
    """A feature of a part, with what the part cannot be without."""
    if part == "is_holiday":
        return Calendar(part, part, tz, country="DE", holidays=HOLIDAYS)
    return Calendar(part, part, tz)


def check(tz: str) -> None:
    time = beside_changes(tz)
    parts = tuple(calendar(part, tz) for part in PARTS)
    found = calendars(parts, Zones.named(time))
    for part in parts:
        expected = [value(part, int(t), History()) for t in time]
        if part.part in WAVES:
            np.testing.assert_allclose(found[part.name], expected, rtol=0, atol=1e-9, err_msg=tz)
        else:
            none = [np.nan if one is None else one for one in expected]
            np.testing.assert_array_equal(found[part.name], none, f"{tz} {part.name}")


@pytest.mark.parametrize("tz", ODD)
def test_every_part_beside_every_change_of_odd_zones(tz: str) -> None:
    assert changes(tz)
    check(tz)


@pytest.mark.long
@pytest.mark.parametrize("tz", sorted(zoneinfo.available_timezones() - {"localtime"}))
def test_every_part_beside_every_change_of_every_zone(tz: str) -> None:
    check(tz)


def test_offsets_before_1973_are_exact_to_the_second() -> None:
    monrovia = [parse_time(t) for t in ("1972-01-07T00:44:29.999999Z", "1972-01-07T00:44:30Z")]
    assert utc_offsets("Africa/Monrovia", np.array(monrovia)).tolist() == [-2670 * SECOND, 0]
    st_johns = [parse_time(t) for t in ("1935-03-30T03:30:51.999999Z", "1935-03-30T03:30:52Z")]
    assert utc_offsets("America/St_Johns", np.array(st_johns)).tolist() == [
        -12652 * SECOND,
        -12600 * SECOND,
    ]


def test_the_range_of_a_part_is_what_its_values_span() -> None:
    # A leap year of 53 weeks.
    hours = np.arange(parse_time("2020-01-01T00:00:00Z"), parse_time("2021-01-01T00:00:00Z"), HOUR)
    time = np.concatenate((hours, hours + 59 * MINUTE))
    for name, part in CALENDAR_PARTS.items():
        found = calendars((calendar(name, "UTC"),), Zones.named(time))[name]
        tolerance = 1e-9 if name in WAVES else 0
        assert (found.min(), found.max()) == pytest.approx(
            (part.least, part.greatest), abs=tolerance
        )
