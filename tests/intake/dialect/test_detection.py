"""What is found out about a file, what is refused, and that nothing is half-guessed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.files import DataFile
from ai_hub.intake.source import Source
from intake.reading import data_file

FILLER = 3_000
"""Rows that are more than the sample."""


def opened(text: str, **options: str) -> DataFile:
    return data_file(Source.of_bytes(text.encode()), dialect=Dialect.of(options))


def column(file: DataFile, name: str) -> list[object]:
    return [cell for table, _ in file.tables() for cell in table.column(name).to_pylist()]


def of_times(times: Sequence[str]) -> str:
    return "timestamp;asset_id;value\n" + "".join(f"{time};m1;1,5\n" for time in times)


def of_values(values: Sequence[str], delimiter: str = ";") -> str:
    rows = "".join(f"2025-01-01T00:00Z{delimiter}m1{delimiter}{value}\n" for value in values)
    return delimiter.join(["timestamp", "asset_id", "value"]) + "\n" + rows


def refusal(text: str, **options: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        opened(text, **options)
    return error.value


# Times


def test_a_day_that_no_month_can_be_says_what_comes_first() -> None:
    file = opened(of_times(["01.02.2025 00:00", "13.02.2025 00:00"]))
    assert column(file, "timestamp")[0] == "2025-02-01 00:00:00.000000"
    assert "--time-format '%d.%m.%Y %H:%M' (by '13.02.2025 00:00')" in map(str, file.findings())
    file = opened(of_times(["02/01/2025 1:00 AM", "02/13/2025 1:00 AM"]))
    assert column(file, "timestamp")[0] == "2025-02-01 01:00:00.000000"


def test_days_and_months_that_could_be_each_other_are_refused_with_both_readings() -> None:
    error = refusal(of_times(["02/03/2023 00:00", "02/03/2023 00:30"]))
    assert error.field == "timestamp"
    for part in (
        "2023-03-02T00:00:00, 2023-03-02T00:30:00 (--time-format '%d/%m/%Y %H:%M')",
        "2023-02-03T00:00:00, 2023-02-03T00:30:00 (--time-format '%m/%d/%Y %H:%M')",
    ):
        assert part in str(error)


def test_where_day_and_month_are_the_same_there_is_no_doubt() -> None:
    assert column(opened(of_times(["01.01.2025", "02.02.2025"])), "timestamp") == [
        "2025-01-01",
        "2025-02-02",
    ]


@pytest.mark.parametrize(
    ("last", "first"),
    [
        ("13.02.2025 00:00", "2025-02-01 00:00:00.000000"),
        ("02.13.2025 00:00", "2025-01-02 00:00:00.000000"),
    ],
)
def test_a_row_far_behind_decides(last: str, first: str) -> None:
    file = opened(of_times(["01.02.2025 00:00"] * FILLER + [last]))
    assert column(file, "timestamp")[0] == first


def test_a_row_far_behind_speaks_against_what_the_first_rows_proved() -> None:
    times = ["13.02.2025 00:00"] + ["01.02.2025 00:00"] * FILLER
    error = refusal(of_times([*times, "02.13.2025 00:00"]))
    assert "'02.13.2025 00:00', '13.02.2025 00:00'" in str(error)
    assert "--time-format" in str(error)
    file = opened(of_times([*times, "02.13.2025 00:00"]), time_format="%d.%m.%Y %H:%M")
    assert str(column(file, "timestamp")[-1]).startswith("\x00")


def test_times_that_are_written_in_two_ways_are_refused() -> None:
    # What a spreadsheet makes of days that could be months, and leaves of those that could not.
    error = refusal(of_times(["2025-02-01 00:00", "13.02.2025 00:00"]))
    assert "'2025-02-01 00:00'" in str(error)
    assert "'13.02.2025 00:00'" in str(error)


def test_seconds_since_1970_are_told_from_digits_of_a_day() -> None:
    def said(*times: str) -> str | None:
        return opened(of_times(times)).explicit().time_format

    assert said("1654992000") == "epoch-s"
    assert said("1654992000000", "1655078400000") == "epoch-ms"
    assert said("1654992000000000") == "epoch-us"
    assert said("202501010015") == "%Y%m%d%H%M"
    assert said("20250101") == "%Y%m%d"
    assert said("20250101T0015Z") == "%Y%m%dT%H%M%z"
    assert "epoch-s" in str(refusal(of_times(["2007040100", "2007040101"])))
    assert said("2007040100", "1654992000") == "epoch-s"


def test_both_ends_of_an_interval_are_two_readings() -> None:
    error = refusal(of_times(["13.01.2025 00:00 - 13.01.2025 01:00"]))
    assert "'%d.%m.%Y %H:%M - *'" in str(error)
    assert "'* - %d.%m.%Y %H:%M'" in str(error)


def test_so_are_ends_with_marks_among_plain_ones() -> None:
    marked = ["26/10/2025 02:45 (CEST) - 26/10/2025 02:00 (CET)"]
    for cells in (marked, [*marked, "26/10/2025 03:00 - 26/10/2025 04:00"]):
        error = refusal(of_times(cells))
        assert "(--time-format '%d/%m/%Y %H:%M* - *')" in str(error)
        assert "(--time-format '* - %d/%m/%Y %H:%M*')" in str(error)
    words = "26/10/2025 02:45 (CEST) - a note"
    assert column(opened(of_times([words])), "timestamp") == [words]


def test_what_is_no_time_says_nothing() -> None:
    file = opened(of_times(["13.02.2025 00:00", "Total", "", "n/a"]))
    assert column(file, "timestamp")[1:] == ["Total", None, "n/a"]


# Numbers


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0,65", "0"], ["0.65", "0"]),
        (["1.234,5", "7"], ["1234.5", "7"]),
        (["1 234,5"], ["1234.5"]),
        (["1'234.5"], ["1234.5"]),
        (["1,234,567", "1,234"], ["1234567", "1234"]),
        (["1.5", "1.234"], ["1.5", "1.234"]),
        (["1,5", "1,234"], ["1.5", "1.234"]),
        (["NA", "-", "?", "0,5"], ["NA", "-", "?", "0.5"]),
    ],
)
def test_marks_that_only_one_way_can_have_are_found_out(
    values: list[str], expected: list[str]
) -> None:
    assert column(opened(of_values(values)), "value") == expected


@pytest.mark.parametrize("values", [["4,030", "3,120"], ["1.234", "12.345"]])
def test_marks_that_could_be_either_are_refused_with_both_readings(values: list[str]) -> None:
    error = refusal(of_values(values))
    assert error.field == "value"
    assert "(--decimal comma" in str(error)
    assert "(--decimal point" in str(error)
    decided = opened(of_values(values), decimal="comma", thousands="point")
    assert len(column(decided, "value")) == 2


def test_between_commas_a_point_is_a_decimal_point(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(of_values(["1.234", "7.5", "7"], ","))
    assert column(data_file(Source.of_path(path)), "value") == ["1.234", "7.5", "7"]
    path.write_text(of_values(["1.234", "12.345", "0"], ","))
    assert column(data_file(Source.of_path(path)), "value") == ["1.234", "12.345", "0"]
    # Where points group digits, numbers below 1000 have none.
    path.write_text(of_values(["1.234", "12.345", "987"], ","))
    with pytest.raises(InvalidInput, match=r"--decimal point.*--decimal comma --thousands point"):
        data_file(Source.of_path(path))
    # A program that sends a body has no groups.
    assert column(opened(of_values(["1.234", "987"], ",")), "value") == ["1.234", "987"]
    assert column(opened(of_values(["1.234"], ",")), "value") == ["1.234"]
    assert column(opened(of_values(["1.234", '"1.234.567"'], ",")), "value") == ["1234", "1234567"]
    assert column(opened(of_values(['"0,5"'], ",")), "value") == ["0.5"]
    refusal(of_values(['"1,234"'], ","))


def test_numbers_that_are_written_in_two_ways_are_refused() -> None:
    error = refusal(of_values(["0,65", "0.65"]))
    assert "'0,65', '0.65'" in str(error)
    found = column(opened(of_values(["0,65", "0.65"]), decimal="comma"), "value")
    assert found[0] == "0.65"
    assert str(found[1]).startswith("\x00a number with a decimal comma")


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        (["0,5"], [0.5]),
        (["1.234", "1.234,5"], [1234, 1234.5]),
        (["1.234", "0.5"], [1.234, 0.5]),
    ],
)
def test_a_number_far_behind_decides(behind: list[str], expected: list[float]) -> None:
    values = column(opened(of_values(["7"] * FILLER + behind)), "value")
    assert [float(str(value)) for value in values] == [7.0] * FILLER + expected


@pytest.mark.parametrize("cell", ["+0056,5", "0056,5", "-00,5"])
def test_commas_behind_digits_that_begin_with_zeros_are_decimal_ones_only_if_said(
    cell: str,
) -> None:
    """NOAA's `+0056,5` is 5.6 °C and a quality, and so is its `+9999,9`."""
    cells = [cell, "+9999,9"]
    assert column(opened(of_values(cells)), "value") == cells
    assert column(opened(of_values(["+9999,9"] * FILLER + [cell])), "value")[0] == "+9999,9"
    pointed = [cell.replace(",", ".") for cell in cells]
    assert column(opened(of_values(cells), decimal="comma"), "value") == pointed
    assert column(opened(of_values(pointed)), "value") == pointed


def test_all_doubts_of_a_file_are_told_at_once() -> None:
    text = "timestamp;asset_id;value\n02/03/2023 00:00;m1;4,030\n"
    error = refusal(text)
    assert "%d/%m/%Y" in str(error)
    assert "Also value: got ['4,030']" in str(error)


# What was found out can be said


@given(
    st.sampled_from(["13.02.2025 00:00", "02/13/25 1:00 PM", "1654992000000", "2025-01-01", "Z"]),
    st.sampled_from(["0,65", "1.234,5", "1 234", "1.5", "7", "NA"]),
    st.sampled_from([";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
    st.sampled_from(["", "exported today\n\n"]),
)
def test_what_was_found_out_can_be_said_instead(
    time: str, value: str, delimiter: str, encoding: str, before: str
) -> None:
    cells = [["timestamp", "asset_id", "value"], ["", "", ""], [time, "Büro", value]]
    text = before + "\n".join(delimiter.join(row) for row in cells)
    source = Source.of_bytes(text.encode(encoding))
    found = data_file(source)
    said = data_file(source, dialect=found.explicit())
    assert said.findings() == []
    assert [table.to_pylist() for table, _ in said.tables()] == [
        table.to_pylist() for table, _ in found.tables()
    ]
