"""Calendar periods, offsets and zones: what is read, and what is said of the rest."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.periods import (
    ASSET_ZONE,
    NO_OFFSET,
    Offset,
    Period,
    check_zone,
    is_zone,
    longest,
    width_of,
)
from ai_hub.definitions.values import DAY, HOUR, Duration
from ai_hub.errors import InvalidInput

PERIOD = 'a period such as "P1D", "P2W", "P1M" or "P1Y", at most 100 years'
WIDTH = 'a width such as "24h", "90m" or "7d", or a period such as "P1D"'
EXACT = '. A width in hours or minutes is exact: "1h", "90m".'
OFFSET = 'a period with or without "-", such as "P1D" or "-P1M"'
ZONE = 'an IANA time zone such as Europe/Berlin, or "@asset"'


@pytest.mark.parametrize(
    ("text", "months", "days", "written"),
    [
        ("P1D", 0, 1, "P1D"),
        ("P14D", 0, 14, "P14D"),
        ("P1W", 0, 7, "P7D"),
        ("P1M", 1, 0, "P1M"),
        ("P12M", 12, 0, "P1Y"),
        ("P13M", 13, 0, "P13M"),
        ("P100Y", 1_200, 0, "P100Y"),
        ("P36600D", 0, 36_600, "P36600D"),
    ],
)
def test_a_period_is_read_and_written(text: str, months: int, days: int, written: str) -> None:
    period = width_of(text, "every")
    assert period == Period(months, days)
    assert str(period) == written
    assert width_of(written, "every") == width_of(period, "every") == period


@pytest.mark.parametrize("width", ["24h", timedelta(days=1), Duration(DAY)])
def test_a_width_may_be_exact(width: object) -> None:
    assert width_of(width, "window") == Duration(DAY)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((text, PERIOD) for text in ("P0D", "P1H", "P1Y2M", "P1w", "P-1D", "P101Y", "P36601D")),
        *((text, PERIOD) for text in ("P", "P1", "P1D ", "P1.5D", "P9999999D")),
        *((text, PERIOD + EXACT) for text in ("P1DT1H", "PT1H")),
        *((value, WIDTH) for value in ("1D", "-P1D", "p1d", "", 5, None, True)),
    ],
)
def test_what_is_no_width_is_refused(value: object, expected: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        width_of(value, "window")
    assert str(caught.value) == f"window: got {value!r}, expected {expected}"


@pytest.mark.parametrize(
    ("months", "days"), [(1, 1), (0, 0), (0, -1), (-1, 0), (1_201, 0), (0, 36_601), (-1, 1)]
)
def test_a_period_is_of_months_or_of_days(months: int, days: int) -> None:
    with pytest.raises(InvalidInput, match=r"^period: .*at most 100 years$"):
        Period(months, days)


def test_no_step_is_longer_than_is_said() -> None:
    assert longest(Duration(HOUR)) == HOUR
    assert longest(Period(0, 1)) >= DAY + 2 * HOUR
    assert longest(Period(12, 0)) >= 366 * DAY
    assert longest(Period(1, 0).times(3)) == longest(Period(3, 0))


@pytest.mark.parametrize(
    ("text", "offset", "written"),
    [
        ("P1D", Offset(0, 1), "P1D"),
        ("-P1D", Offset(0, -1), "-P1D"),
        ("-P1W", Offset(0, -7), "-P7D"),
        ("-P1M", Offset(-1, 0), "-P1M"),
        ("-P12M", Offset(-12, 0), "-P1Y"),
        ("P0D", NO_OFFSET, "P0D"),
        ("-P0D", NO_OFFSET, "P0D"),
    ],
)
def test_an_offset_is_read_and_written(text: str, offset: Offset, written: str) -> None:
    assert Offset.of(text) == offset
    assert str(offset) == written
    assert bool(offset) == (written != "P0D")


@given(st.integers(-1_200, 1_200), st.booleans())
def test_an_offset_is_what_it_writes(number: int, months: bool) -> None:
    offset = Offset(number, 0) if months else Offset(0, number)
    assert Offset.of(str(offset)) == offset


@pytest.mark.parametrize("value", ["+P1D", "P1DT1H", "1d", "--P1D", "P101Y", None, 5, timedelta(1)])
def test_what_is_no_offset_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        Offset.of(value)
    assert str(caught.value) == f"offset: got {value!r}, expected {OFFSET}"


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "Australia/Lord_Howe", ASSET_ZONE])
def test_a_zone_is_named_or_the_assets(tz: str) -> None:
    assert check_zone(tz) == tz


@pytest.mark.parametrize(
    "tz",
    [
        "Mars/Olympus",
        "",
        "../etc/passwd",
        "/etc/localtime",
        "+01:00",
        "a\0",
        None,
        1,
        "localtime",
        "posixrules",
    ],
)
def test_what_is_no_zone_is_refused(tz: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_zone(tz)
    assert str(caught.value) == f"tz: got {tz!r}, expected {ZONE}"


@pytest.mark.parametrize(
    ("tz", "meant"),
    [("europe/berlin", "Europe/Berlin"), ("Europe/Berln", "Europe/Berlin"), ("utc", "UTC"),
     ("@Asset", "@asset"), ("right/Europe/Berlin", "Europe/Berlin")],
)  # fmt: skip
def test_the_zone_that_may_be_meant_is_named(tz: str, meant: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_zone(tz)
    assert str(caught.value) == f"tz: got {tz!r}, expected {ZONE}. Did you mean {meant}?"


def test_the_assets_zone_is_no_zone_itself() -> None:
    assert not is_zone(ASSET_ZONE)
