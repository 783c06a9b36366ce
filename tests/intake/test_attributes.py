"""Attributes of assets from every kind of file and body, in both forms."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import iso, parse_time, to_micros
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import Batch
from ai_hub.intake.bodies import read_batch
from ai_hub.intake.checks import check_rows
from ai_hub.intake.formats import open_body
from ai_hub.intake.frames import to_table
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.row_files import row_file
from ai_hub.intake.source import Source
from intake.spreadsheets import spreadsheet

VALID_FROM = "2025-03-30T01:00:00Z"
Value = float | str | None
Kept = dict[tuple[str, str, str | None], Value]
LONG = (
    {"asset_id": "a", "key": "capacity", "value": 120.5, "valid_from": None},
    {"asset_id": "a", "key": "capacity", "value": 60.0, "valid_from": VALID_FROM},
    {"asset_id": "a", "key": "timezone", "value": "Europe/Berlin", "valid_from": None},
    {"asset_id": "b", "key": "label", "value": "x", "valid_from": VALID_FROM},
    {"asset_id": "b", "key": "area", "value": None, "valid_from": None},
)
KEPT: Kept = {(r["asset_id"], r["key"], r["valid_from"]): r["value"] for r in LONG}  # type: ignore[misc]
# An empty cell of the wide form says nothing.
WIDE = (
    {"asset_id": "a", "valid_from": None, "capacity": 120.5, "timezone": "Europe/Berlin"},
    {"asset_id": "a", "valid_from": VALID_FROM, "capacity": 60.0},
    {"asset_id": "b", "valid_from": VALID_FROM, "label": "x", "capacity": None},
)


def texts(rows: Sequence[dict[str, Any]]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = {name: [row.get(name) for row in rows] for name in names}
    return pa.table(
        {
            name: pa.array([None if cell is None else str(cell) for cell in column], pa.string())
            for name, column in cells.items()
        }
    )


def csv_of(rows: Sequence[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pa.csv.write_csv(texts(rows), sink)
    return sink.getvalue()


def parquet_of(rows: Sequence[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(texts(rows), sink)
    return sink.getvalue()


def arrow_of(rows: Sequence[dict[str, Any]]) -> bytes:
    sink, table = io.BytesIO(), texts(rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def sheet_of(rows: Sequence[dict[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return spreadsheet({"meters": [names, *([row.get(name) for name in names] for row in rows)]})


FORMATS = {
    "text/csv": csv_of,
    "application/json": lambda rows: json.dumps(rows).encode(),
    "application/x-ndjson": lambda rows: b"\n".join(json.dumps(row).encode() for row in rows),
    "application/vnd.apache.parquet": parquet_of,
    "application/vnd.apache.arrow.stream": arrow_of,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": sheet_of,
}


def kept(batch: Batch) -> Kept:
    return {
        (row["asset_id"], row["key"], _iso(row["valid_from"])): (
            row["text"] if row["number"] is None else row["number"]
        )
        for row in batch.table.to_pylist()
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else iso(to_micros(time))


def body(kind: str, content: bytes, parts: int = 50_000, **said: object) -> Batch:
    options = ReadOptions.of("attributes", said)
    file = open_body(kind, content, options, options.required("t"))
    return read_batch(file, "t", max(len(content), 1), parts)


@pytest.mark.parametrize("parts", [50_000, 3])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_says_the_same_in_both_forms(kind: str, parts: int) -> None:
    write: Any = FORMATS[kind]
    long = body(kind, write(LONG), parts)
    assert (kept(long), long.accepted, long.rejected) == (KEPT, len(LONG), 0)
    wide = body(kind, write(WIDE), parts)
    assert kept(wide) == {key: value for key, value in KEPT.items() if value is not None}
    assert (wide.accepted, wide.rejected) == (4, 0)


def test_what_was_checked_is_taken_again() -> None:
    first = body("application/json", json.dumps(LONG).encode())
    again = check_rows("attributes", first.table, "t")
    assert again.table.equals(first.table)
    assert again.rejected == 0


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_are_taken(frame: Any) -> None:
    options = ReadOptions.of("attributes", {})
    table = frame(
        {"asset_id": [7, 8], "capacity": [1.5, None], "timezone": ["UTC", "Asia/Kolkata"]}
    )
    file = row_file(to_table(table, options.fields_of), options, options.required("t"))
    assert kept(read_batch(file, "t", 1_000)) == {
        ("7", "capacity", None): 1.5,
        ("7", "timezone", None): "UTC",
        ("8", "timezone", None): "Asia/Kolkata",
    }


FAULTS = (
    ({"asset_id": ""}, "asset_id", "1 to 256 characters"),
    ({"key": "1st"}, "key", "a name of letters, digits and _"),
    ({"key": None}, "key", "a string"),
    ({"value": True}, "value", "a finite number, a text of 1 to 256 characters or null"),
    ({"value": "1e999"}, "value", "a finite number"),
    ({"value": "-Infinity"}, "value", "a finite number"),
    ({"value": "1.234,5"}, "value", "--decimal comma"),
    ({"value": "x" * 257}, "value", "a text of 1 to 256 characters"),
    ({"value": "a\nb"}, "value", "a text"),
    ({"value": [1]}, "value", "a finite number"),
    ({"key": "timezone", "value": "CET+1h"}, "value", "an IANA time zone"),
    ({"key": "timezone", "value": 1}, "value", "an IANA time zone"),
    ({"key": "timezone", "value": "../Berlin"}, "value", "an IANA time zone"),
    ({"valid_from": "2025-01-01T00:00:00"}, "valid_from", "no offset"),
    ({"valid_from": "soon"}, "valid_from", "a time with an offset"),
)


@pytest.mark.parametrize(("wrong", "field", "why"), FAULTS)
def test_a_row_at_fault_is_rejected_alone(wrong: dict[str, Any], field: str, why: str) -> None:
    good = {"asset_id": "a", "key": "capacity", "value": 1, "valid_from": VALID_FROM}
    batch = body("application/json", json.dumps([good, good | wrong, good]).encode())
    assert (batch.accepted, batch.rejected, batch.duplicates) == (2, 1, 1)
    (reason,) = batch.reasons
    assert (reason.row, reason.field) == (1, field)
    assert why in reason.why
    assert kept(batch) == {("a", "capacity", VALID_FROM): 1.0}


@pytest.mark.parametrize("rows", [LONG, WIDE])
def test_a_row_that_is_no_object_is_one_rejection(rows: Sequence[dict[str, Any]]) -> None:
    batch = body("application/json", json.dumps([*rows, "oops"]).encode())
    assert batch.rejected == 1
    assert batch.reasons[0].field is None
    assert batch.reasons[0].value == "oops"


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("key,value\na,1\n", "asset_id", 'a column named "asset_id"'),
        ("asset_id,key\na,k\n", "value", 'a column named "value"'),
        ("asset_id\na\n", "key", "1 to 200 columns named after their keys"),
        ("asset_id,kW max\na,1\n", "key", "rename it, or leave it out"),
        ("asset_id,k,k \na,1,2\n", "key", "one column of that name"),
        ("asset_id," + ",".join(f"k{i}" for i in range(201)) + "\na\n", "key", "1 to 200 columns"),
        ("asset_id,valid_from,k\na,02.03.2025,1\n", "valid_from", "can be read in one way"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(text: str, field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        body("text/csv", text.encode(), timezone="UTC")
    assert refusal.value.field == field
    assert words in str(refusal.value)
    assert "--wide" not in str(refusal.value)


def test_a_german_file_with_local_dates_is_read(tmp_path: Path) -> None:
    path = tmp_path / "zähler.csv"
    path.write_bytes("Zähler;ab;capacity\nä1;31.03.2025;1.234,5\nä2;;2\n".encode("cp1252"))
    said = {"asset_column": "Zähler", "valid_from_column": "ab", "timezone": "Europe/Berlin",
            "decimal": "comma", "thousands": "point", "encoding": "cp1252"}  # fmt: skip
    options = ReadOptions.of("attributes", said)
    file = row_file(Source.of_path(path), options, options.required("t"))
    (part, fraction), *rest = file.parts()
    assert (fraction, rest) == (1.0, [])
    assert kept(check_rows("attributes", part, "t")) == {
        ("ä1", "capacity", "2025-03-30T22:00:00Z"): 1234.5,
        ("ä2", "capacity", None): 2.0,
    }
    found = {finding.option: finding.value for finding in file.findings()}
    assert found == {"delimiter": ";", "time_format": "%d.%m.%Y"}
    again = ReadOptions.of("attributes", said | found)
    parts = [table for table, _ in row_file(Source.of_path(path), again, ("asset_id",)).parts()]
    assert parts == [part]


names = st.sampled_from(("a", "b", "ü x"))
keys = st.sampled_from(("capacity", "label"))
values = (
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(("x", "y z"))
)
times = st.none() | st.sampled_from((VALID_FROM, "0001-01-01T00:00:00Z", "2030-01-01T00:00:00Z"))
rows = st.fixed_dictionaries({"asset_id": names, "key": keys, "value": values, "valid_from": times})


@given(sent=st.lists(rows, min_size=1, max_size=20), parts=st.integers(1, 25))
def test_the_last_row_of_a_key_and_time_is_kept(sent: list[dict[str, Any]], parts: int) -> None:
    expected: Kept = {}
    for row in sent:
        expected[row["asset_id"], row["key"], row["valid_from"]] = row["value"]
    for kind in ("application/json", "text/csv"):
        write: Any = FORMATS[kind]
        batch = body(kind, write(sent), parts)
        assert kept(batch) == expected
        assert (batch.accepted, batch.duplicates) == (len(sent), len(sent) - len(expected))
        order = [(r["asset_id"], r["key"], r["valid_from"]) for r in batch.table.to_pylist()]
        micros = [(a, k, to_micros(t) if t else parse_time("0001-01-01T00:00:00Z") - 1)
                  for a, k, t in order]  # fmt: skip
        assert micros == sorted(micros)


def test_a_small_body_that_says_very_many_values_is_refused() -> None:
    rows = 200_000
    ones = pa.nulls(rows, pa.float64()).fill_null(1.0)
    sink = io.BytesIO()
    columns = {"asset_id": pa.array(map(str, range(rows))), **{f"k{i}": ones for i in range(60)}}
    pq.write_table(pa.table(columns), sink)
    with pytest.raises(InvalidInput, match="at most 10000000 rows"):
        body("application/vnd.apache.parquet", sink.getvalue())
