"""Zones: what the clock shows, skips and repeats, as zoneinfo has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import DAY, HOUR, MINUTE
from ai_hub.errors import InvalidInput
from ai_hub.intake.clock.zone import Change, Zone

EPOCH = datetime(1970, 1, 1)
NAMES = sorted(available_timezones())


def micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def offset(zone: ZoneInfo, local: datetime, fold: int) -> int:
    found = local.replace(tzinfo=zone, fold=fold).utcoffset()
    assert found is not None
    return found // timedelta(microseconds=1)


@given(
    st.sampled_from(NAMES),
    st.lists(st.datetimes(datetime(1850, 1, 1), datetime(2060, 1, 1)), min_size=1, max_size=9),
)
def test_offsets_are_those_of_zoneinfo_in_every_zone(name: str, times: list[datetime]) -> None:
    zone = ZoneInfo(name)
    first, second = Zone(name).offsets(np.array([micros(time) for time in times]))
    assert first.tolist() == [offset(zone, time, 0) for time in times]
    assert second.tolist() == [offset(zone, time, 1) for time in times]
    instants = np.array([micros(time) for time in times])
    expected = [
        (EPOCH + timedelta(microseconds=int(i))).replace(tzinfo=UTC).astimezone(zone).utcoffset()
        for i in instants
    ]
    found = Zone(name).offsets_at(instants).tolist()
    assert [timedelta(microseconds=o) for o in found] == expected


@pytest.mark.parametrize(
    "name",
    # Each looks at all days of ninety years.
    [pytest.param(one, marks=[pytest.mark.long] if n % 8 else []) for n, one in
     enumerate(NAMES[::7])],
)  # fmt: skip
def test_offsets_are_those_of_zoneinfo_about_every_change(name: str) -> None:
    zone, ours = ZoneInfo(name), Zone(name)
    days = np.arange(-20 * 365, 70 * 365, dtype=np.int64) * DAY
    for change in ours.changes(days, 0):
        for edge in (change.start, change.end):
            for by in (-1, 0, 1, 30 * MINUTE):
                local = EPOCH + timedelta(microseconds=edge + by)
                first, second = ours.offsets(np.array([edge + by]))
                assert (first[0], second[0]) == (offset(zone, local, 0), offset(zone, local, 1))
        assert ours.offsets_at(np.array([change.at - 1, change.at])).tolist() == [
            change.before,
            change.after,
        ]


def test_a_change_says_which_local_times_it_concerns() -> None:
    autumn = micros(datetime(2025, 10, 26, 1))
    (change,) = Zone("Europe/Berlin").changes(np.array([autumn]), 0)
    assert change == Change(autumn, 2 * HOUR, HOUR)
    assert change.repeats
    assert (change.start, change.end) == (autumn + HOUR, autumn + 2 * HOUR)
    (spring,) = Zone("Europe/Berlin").changes(np.array([micros(datetime(2025, 3, 30))]), 0)
    assert not spring.repeats
    assert Zone("Europe/Berlin").changes(np.array([micros(datetime(2025, 7, 1))]), 2) == []


@pytest.mark.parametrize(
    ("name", "hours"),
    [("+01:00", 1), ("-05", -5), ("UTC+02:00", 2), ("+0530", 5.5), ("UTC", 0), ("-00:30", -0.5)],
)
def test_a_fixed_offset_is_a_zone(name: str, hours: float) -> None:
    zone = Zone(name)
    local = np.array([0, 10**15], dtype=np.int64)
    for found in (*zone.offsets(local), zone.offsets_at(local)):
        assert found.tolist() == [hours * HOUR] * 2
    assert zone.changes(local, 2) == []
    assert zone.day_starts(np.array([DAY]))[0].tolist() == [DAY - hours * HOUR]


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../etc", "Europe", "+24:00", "+1", "UTC+1", "+01:60", 1]
)
def test_what_is_no_zone_is_an_error(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"timezone: .* such as Europe/Berlin, or an offset"):
        Zone(name)


def test_a_zone_in_other_letters_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"Its name is Europe/Berlin\."):
        Zone("europe/berlin")


@pytest.mark.parametrize(
    ("name", "day", "start"),
    [
        ("Africa/Cairo", datetime(2025, 4, 25), datetime(2025, 4, 24, 22)),  # no midnight
        ("America/Havana", datetime(2024, 11, 3), datetime(2024, 11, 3, 4)),  # two of them
        ("America/St_Johns", datetime(2010, 11, 7), datetime(2010, 11, 7, 2, 30)),
        ("Asia/Beirut", datetime(2024, 10, 27), datetime(2024, 10, 26, 22)),
        ("America/Toronto", datetime(1919, 3, 31), datetime(1919, 3, 31, 4, 30)),  # from 23:30
        ("Europe/Berlin", datetime(2025, 10, 26), datetime(2025, 10, 25, 22)),
    ],
)
def test_a_day_starts_at_its_first_instant(name: str, day: datetime, start: datetime) -> None:
    starts, exist = Zone(name).day_starts(np.array([micros(day)]))
    assert exist.tolist() == [True]
    assert starts.tolist() == [micros(start)]


def test_a_day_that_was_left_out_does_not_exist() -> None:
    days = [micros(datetime(2011, 12, day)) for day in (29, 30, 31)]
    assert Zone("Pacific/Apia").day_starts(np.array(days))[1].tolist() == [True, False, True]
