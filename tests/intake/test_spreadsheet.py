"""Spreadsheets."""

from __future__ import annotations

import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest

from ai_hub.errors import InvalidInput
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.source import Source
from intake.reading import data_file
from intake.spreadsheets import Cell, spreadsheet

START = datetime(2025, 1, 1)


def rows(*table: list[Cell], **options: str) -> list[dict[str, object]]:
    return read(spreadsheet({"Data": table}), **options)


def read(data: bytes, **options: str) -> list[dict[str, object]]:
    file = data_file(Source.of_bytes(data), dialect=Dialect.of(options))
    return [row for part, _ in file.tables() for row in part.to_pylist()]


def test_typed_cells_are_what_they_say() -> None:
    steps = [START + timedelta(minutes=15 * step) for step in range(200)]
    cells: list[list[Cell]] = [[at, 1001.0, place / 7] for place, at in enumerate(steps)]
    found = rows(["timestamp", "asset_id", "value"], *cells)
    assert [row["timestamp"] for row in found] == [at.isoformat() for at in steps]
    assert {row["asset_id"] for row in found} == {"1001"}
    assert [float(str(row["value"])) for row in found] == [place / 7 for place in range(200)]


def test_dates_alone_stay_dates() -> None:
    found = rows(["timestamp", "value"], [date(2025, 1, 1), 1.0], [date(2025, 1, 2), 2.0])
    assert [row["timestamp"] for row in found] == ["2025-01-01", "2025-01-02"]


def test_dates_and_times_of_day_may_have_a_column_each() -> None:
    table: list[list[Cell]] = [
        ["timestamp", "Time", "value"],
        [date(2025, 1, 1), time(0, 30), 1.0],
        [date(2025, 1, 1), "24:00", 2.0],
        [date(2025, 1, 1), None, 3.0],
    ]
    first, second, third = rows(*table, time_column="Time")
    assert first["timestamp"] == "2025-01-01 00:30:00"
    assert second["timestamp"] == "2025-01-02T00:00:00"
    assert str(third["timestamp"]).startswith("\x00a date, with the time of day")


def test_what_stands_around_the_table_is_left_out() -> None:
    table: list[list[Cell]] = [
        ["Load profile of hall 2"],
        [],
        ["timestamp", "value", "note"],
        ["", "kWh", ""],
        [datetime(2025, 1, 1, 1), 1.0, ""],
        [],
        [datetime(2025, 1, 1, 2), 2.0, "estimated"],
    ]
    assert [row["value"] for row in rows(*table)] == ["1", "2"]


def test_days_that_a_spreadsheet_took_for_months_are_refused() -> None:
    # It has made a date of 01.02. and left 13.02. a text.
    table: list[list[Cell]] = [["timestamp", "value"], [datetime(2025, 1, 2, 1), 1.0]]
    with pytest.raises(InvalidInput, match=r"13\.02\.2025 01:00.*2025-01-02T01:00:00"):
        rows(*table, ["13.02.2025 01:00", 2.0])


def test_the_sheet_with_the_names_is_taken() -> None:
    table: list[list[Cell]] = [["timestamp", "value"], [datetime(2025, 1, 1, 1), 1.0]]
    sheets = {"Notes": [["see below"]], "Jan": table, "Feb": table}
    assert len(read(spreadsheet({"Notes": sheets["Notes"], "Jan": table}))) == 1
    with pytest.raises(InvalidInput, match=r"sheet: .*Jan, Feb.*--sheet"):
        read(spreadsheet(sheets))
    assert len(read(spreadsheet(sheets), sheet="Feb")) == 1
    with pytest.raises(InvalidInput, match=r"sheet: got 'Mar', expected one of Notes, Jan, Feb"):
        read(spreadsheet(sheets), sheet="Mar")
    with pytest.raises(InvalidInput, match=r"timestamp: got \['see below'\]"):
        read(spreadsheet({"Notes": sheets["Notes"]}))


def test_texts_in_it_may_be_numbers_with_a_decimal_comma() -> None:
    table: list[list[Cell]] = [["timestamp", "value"], [START, "0,5"], [START, 1.234]]
    assert [row["value"] for row in rows(*table, decimal="comma")] == ["0.5", "1.234"]
    assert [row["value"] for row in rows(["timestamp", "value"], [START, 1.234])] == ["1.234"]


def test_a_wide_sheet_is_read_like_any_other() -> None:
    found = rows(["timestamp", "m1", "m2"], [datetime(2025, 1, 1, 1), 1.0, 2.0], wide="assets")
    assert [(row["asset_id"], row["value"]) for row in found] == [("m1", "1"), ("m2", "2")]


def test_a_damaged_one_and_an_option_of_text_are_errors(tmp_path: Path) -> None:
    data = spreadsheet({"Data": [["timestamp", "value"], [START, 1.0]]})
    with pytest.raises(InvalidInput, match="delimiter"):
        read(data, delimiter=";")
    path = tmp_path / "x.xlsx"
    for damaged in (data[: len(data) // 2], data[:900] + bytes(300) + data[1200:], b"text"):
        path.write_bytes(damaged)
        with pytest.raises(InvalidInput, match=r"expected a whole (spreadsheet|zip file)"):
            data_file(Source.of_path(path))


def test_without_its_reader_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(InvalidInput, match=r"pip install 'ai-hub-feature-store\[xlsx\]'"):
        rows(["timestamp", "value"], [START, 1.0])


def test_a_second_table_in_a_sheet_is_refused() -> None:
    first = (["timestamp", "asset_id"], ["2025-01-13T11:00Z", "m1"])
    with pytest.raises(InvalidInput, match=r"one table .*Row 1 "):
        rows(*first, [""], ["timestamp", "maximum"], ["2025-01-13", 5])
