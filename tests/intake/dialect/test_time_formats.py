"""Times as people write them, as ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.dialect.time_formats import EPOCHS, TimeFormat
from ai_hub.intake.dialect.time_shapes import time_candidates
from ai_hub.intake.marks import read_mark

FORMATS = [
    "%Y-%m-%d %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%y %I:%M:%S%p",
    "%Y%m%d%H%M",
    "%Y%m%d%H",
    "%Y%m%d %H%M%S",
    "%d-%b-%Y %H:%M:%S.%f",
    "%d-%b-%y",
    "%b %d, %Y %H:%M",
    "%d/%m/%Y",
    "%Y %j %H:%M",
    "%Y.%m.%dT%H:%M:%S%z",
]


def iso(text: str, *cells: str | None, likely: bool = False) -> list[str | None]:
    return TimeFormat(text, likely).iso(pa.array(cells, pa.string())).to_pylist()


@given(
    st.sampled_from(FORMATS),
    st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)), min_size=1, max_size=9),
    st.integers(-14 * 60, 14 * 60),
)
def test_every_format_reads_what_strftime_writes(
    text: str, times: list[datetime], offset: int
) -> None:
    zone = timezone(timedelta(minutes=offset))
    cells = [time.replace(tzinfo=zone).strftime(text) for time in times]
    expected = [datetime.strptime(cell, text) for cell in cells]
    found = iso(text, *cells)
    if "%z" in text:
        assert [datetime.fromisoformat(one) for one in found if one] == expected
    else:
        assert [datetime.fromisoformat(one) for one in found if one] == expected
        assert TimeFormat(text).dates == all(one is not None and len(one) == 10 for one in found)


@given(
    st.sampled_from(sorted(EPOCHS)),
    st.lists(st.datetimes(datetime(1902, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=9),
)
def test_numbers_since_1970_are_the_instant(text: str, times: list[datetime]) -> None:
    instants = [time.replace(tzinfo=UTC) for time in times]
    unit = timedelta(microseconds=EPOCHS[text])
    origin = datetime(1970, 1, 1, tzinfo=UTC)
    cells = [f"{(instant - origin) // unit}" for instant in instants]
    expected = [origin + (instant - origin) // unit * unit for instant in instants]
    assert [datetime.fromisoformat(one) for one in iso(text, *cells) if one] == expected


@pytest.mark.parametrize(
    ("text", "cell", "expected"),
    [
        ("iso", "2025-01-01 24:00", "2025-01-02T00:00:00"),
        ("iso", "2024-12-31T24:00:00+01:00", "2025-01-01T00:00:00+01:00"),
        ("iso", "2025-01-01 24:01", "2025-01-01 24:01"),
        ("iso", "2025-01-01 10:24:00", "2025-01-01 10:24:00"),
        ("%d.%m.%Y %H:%M", "31.12.2024  24:00", "2025-01-01 00:00:00.000000"),
        ("%d.%m.%Y %H:%M", " 1.2.2024 0:15 ", "2024-02-01 00:15:00.000000"),
        ("%m/%d/%Y %I:%M %p", "09/04/2024 12:00 AM", "2024-09-04 00:00:00.000000"),
        ("%m/%d/%Y %I:%M %p", "9/4/2024 12:30 p.m.", "2024-09-04 12:30:00.000000"),
        ("%d.%m.%Y %H:%M - *", "1.1.2025 0:00 - 1.1.2025 1:00", "2025-01-01 00:00:00.000000"),
        (
            "* - %d.%m.%Y %H:%M*",
            "1.1.2025 0:00 - 1.1.2025 1:00 (CET)",
            "2025-01-01 01:00:00.000000",
        ),
        ("%d.%m.%Y %H:%M:%S.%f", "01.01.2025 00:00:00.0000001", "2025-01-01 00:00:00.000001"),
        ("%Y-%m-%d %H:%M:%S %z", "2025-01-01 00:00:00 UTC", "2025-01-01 00:00:00.000000Z"),
        ("%F %R", "2025-01-01 07:30", "2025-01-01 07:30:00.000000"),
        ("epoch-s", "1654992000.1234561", "2022-06-12 00:00:00.123457Z"),
        ("epoch-s", "-1.5", "1969-12-31 23:59:58.500000Z"),
        ("%d.%m.%Y", "NA", "NA"),
    ],
)
def test_times_as_people_write_them(text: str, cell: str, expected: str) -> None:
    assert iso(text, cell, None) == [expected, None]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("%d.%m.%Y %H:%M", "31.02.2024 00:00"),
        ("%d.%m.%Y %H:%M", "01.13.2024 00:00"),
        ("%d.%m.%Y %H:%M", "01.01.2024 24:01"),
        ("%d.%m.%Y %H:%M", "01.01.2024 00:60"),
        ("%d.%m.%Y %H:%M", "01/01/2024 00:00"),
        ("%m/%d/%Y %I:%M %p", "09/04/2024 13:00 PM"),
        ("%m/%d/%Y %I:%M %p", "09/04/2024 00:00 AM"),
        ("%d-%b-%Y", "01-Foo-2025"),
        ("%Y %j", "2023 366"),
        ("%Y-%m-%d %H:%M%z", "2025-01-01 00:00+25:00"),
        ("epoch-ms", "x1"),
        ("epoch-s", "999999999999999999"),
    ],
)
def test_what_is_written_otherwise_is_refused_and_shown(text: str, cell: str) -> None:
    (found,) = iso(text, cell)
    mark = read_mark(found)
    assert mark is not None
    assert (mark.value, mark.expected) == (cell, f"a time written as {text}")


def test_what_was_found_out_takes_no_time_that_no_meter_has() -> None:
    assert all(read_mark(one) for one in iso("epoch-ms", "1654992000", likely=True))
    assert all(read_mark(one) for one in iso("%d.%m.%Y", "31.12.9999", likely=True))
    assert iso("epoch-ms", "1654992000") == ["1970-01-20 03:43:12.000000Z"]


@pytest.mark.parametrize(
    "text",
    ["", "DD.MM.YYYY", "%d.%m", "%Y-%m", "%H:%M", "%d.%m.%Y %I:%M", "%d.%m.%Y %H:%M %p", "%d%d%m%Y",
     "%d.%m.%Y %M", "%d.%m.%Y %Q", "%", "%d.%m.%Y %", "%d.%m.%Y %H %I %p", "epoch"],
)  # fmt: skip
def test_a_format_that_says_no_time_is_an_error(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"time_format: .*%d\.%m\.%Y %H:%M"):
        TimeFormat(text)


@pytest.mark.parametrize(
    ("cell", "candidates"),
    [
        ("2025-01-01T00:00Z", ["iso"]),
        ("2025-01-01", ["iso"]),
        ("2025-1-1 0:15", ["%Y-%m-%d %H:%M"]),
        ("2025-01-01 00:00:00 +01:00", ["%Y-%m-%d %H:%M:%S %z"]),
        ("26.01.2024 12:00", ["%d.%m.%Y %H:%M", "%m.%d.%Y %H:%M"]),
        ("01/02/03", ["%d/%m/%y", "%m/%d/%y", "%y/%m/%d"]),
        ("9/4/24, 1:30 PM", ["%d/%m/%y, %I:%M %p", "%m/%d/%y, %I:%M %p", "%y/%m/%d, %I:%M %p"]),
        ("01-Jan-2025 00:15:00", ["%d-%b-%Y %H:%M:%S"]),
        ("Jan 1, 2025 00:15", ["%b %d, %Y %H:%M"]),
        ("20250101T0015Z", ["%Y%m%dT%H%M%z", "%d%m%YT%H%M%z", "%m%d%YT%H%M%z"]),
        ("2007040100", ["epoch-s", "epoch-ms", "epoch-us", "%Y%m%d%H"]),
        (
            "01.01.2025 00:00 - 01.01.2025 01:00",
            [
                "%d.%m.%Y %H:%M - *",
                "%m.%d.%Y %H:%M - *",
                "* - %d.%m.%Y %H:%M",
                "* - %m.%d.%Y %H:%M",
            ],
        ),
        ("yesterday", []),
        ("01.01.2025 noon", []),
    ],
)
def test_a_cell_says_what_it_could_be(cell: str, candidates: list[str]) -> None:
    found = time_candidates([cell])
    assert [one.text for one in found] == candidates
    assert all(one.likely for one in found)
