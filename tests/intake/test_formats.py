"""Bodies of every format, whole and damaged."""

from __future__ import annotations

import csv
import gzip
import io
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import Batch
from ai_hub.intake.checks import check_observations
from ai_hub.intake.csv_text import Lines, Shape, count_lines, read_tables
from ai_hub.intake.formats import decode_json_rows, is_plain
from intake.reading import body_table

TYPES = (
    "application/json",
    "application/x-ndjson",
    "application/jsonl",
    "text/csv",
    "application/vnd.apache.parquet",
    "application/x-parquet",
    "application/parquet",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
    "application/x-arrow",
)
START = datetime(2025, 1, 1, tzinfo=UTC)
ROWS = [
    {"timestamp": f"2025-01-01T0{hour}:00:00Z", "asset_id": "a", "value": hour + 0.5, "x": "y"}
    for hour in range(4)
]
TABLE = pa.Table.from_pylist(ROWS)


def ipc(kind: str) -> bytes:
    sink = pa.BufferOutputStream()
    new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with new(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=3)
    return sink.getvalue().to_pybytes()


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(TABLE, sink)
    return sink.getvalue().to_pybytes()


def csv_text(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


CSV = csv_text([list(ROWS[0]), *([str(cell) for cell in row.values()] for row in ROWS)])
BODIES = {
    "application/json": json.dumps(ROWS).encode(),
    "application/x-ndjson": b"\n\n".join(json.dumps(row).encode() for row in ROWS),
    "application/jsonl": b"\r\n".join(json.dumps(row).encode() for row in ROWS) + b"\n",
    "text/csv": CSV,
    "application/vnd.apache.parquet": parquet(),
    "application/x-parquet": parquet(),
    "application/parquet": parquet(),
    "application/vnd.apache.arrow.stream": ipc("stream"),
    "application/vnd.apache.arrow.file": ipc("file"),
    "application/x-arrow": ipc("file"),
}


def checked(content_type: str, body: bytes) -> Batch:
    return check_observations(body_table(content_type, body), "t")


@pytest.mark.parametrize("content_type", TYPES)
def test_every_format_carries_the_same_rows(content_type: str) -> None:
    batch = checked(f"{content_type.upper()}; charset=utf-8", BODIES[content_type])
    assert batch.reasons == ()
    assert batch.table.equals(check_observations(TABLE, "t").table)


def test_x_arrow_is_a_stream_or_a_file() -> None:
    assert checked("application/x-arrow", ipc("stream")).sent == len(ROWS)


@pytest.mark.parametrize("content_type", [None, "", "text/html"])
def test_an_unknown_type_is_an_error_that_lists_the_known(content_type: str | None) -> None:
    with pytest.raises(InvalidInput, match=r"content-type.*application/json"):
        body_table(content_type, b"")


@given(st.sampled_from(TYPES), st.binary(max_size=200))
@example("application/json", b"[" * 100_000)
@example("application/json", b"9" * 5_000)
@example("application/json", b'[{"value": "\\ud800"}]')
@example("application/x-ndjson", b"1" * 5_000 + b"\n{}")
@example("text/csv", b'timestamp\n"')
def test_bytes_of_no_format_are_an_error_and_nothing_else(content_type: str, body: bytes) -> None:
    with suppress(InvalidInput):
        checked(content_type, body)


@given(
    st.sampled_from(TYPES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    st.floats(0, 1),
)
def test_damaged_bodies_are_an_error_and_nothing_else(
    content_type: str, flips: list[tuple[float, int]], end: float
) -> None:
    body = bytearray(BODIES[content_type])
    for place, byte in flips:
        body[int(place * len(body))] = byte
    for damaged in (bytes(body), bytes(body[: int(end * len(body))])):
        with suppress(InvalidInput):
            checked(content_type, damaged)


def test_not_a_number_in_json_refuses_its_row_only() -> None:
    rows = [ROWS[0], ROWS[1] | {"value": float("nan")}, ROWS[2] | {"value": float("inf")}]
    for content_type, body in (
        ("application/json", json.dumps(rows).encode()),
        ("application/x-ndjson", b"\n".join(json.dumps(row).encode() for row in rows)),
    ):
        batch = checked(content_type, body)
        assert [(r.row, r.field) for r in batch.reasons] == [(1, "value"), (2, "value")]


def test_a_json_body_is_an_array_of_objects() -> None:
    for body in (b"{}", b"1", b"[1]", b'{"rows": []}', b""):
        with pytest.raises(InvalidInput):
            body_table("application/json", body)
    assert checked("application/json", b"[]").sent == 0


def test_a_line_that_is_no_object_is_refused_as_a_row() -> None:
    good = json.dumps(ROWS[0]).encode()
    batch = checked("application/x-ndjson", b"\n".join([good, b"", b"[1]", b"oops", good]))
    assert batch.sent == 4
    assert [(r.row, r.field, r.value) for r in batch.reasons] == [
        (1, None, "[1]"),
        (2, None, "oops"),
    ]
    assert batch.reasons[0].why == "expected a JSON object"


def test_lines_none_of_which_is_an_object_are_malformed() -> None:
    with pytest.raises(InvalidInput, match=r"body.*NDJSON"):
        body_table("application/x-ndjson", b"a\nb\n")


# {tenant_id, rows}


def test_a_request_of_a_tenant_and_rows_is_decoded() -> None:
    body = b'{"tenant_id": "t", "rows": [{"value": NaN}]}'
    assert str(decode_json_rows(body)) == "{'tenant_id': 't', 'rows': [{'value': nan}]}"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"nonsense", "body"),
        (b'{"tenant_id": "t", "rows": [], "more": 1}', "body"),
        (b'{"rows": []}', "tenant_id"),
        (b'{"tenant_id": 1, "rows": []}', "tenant_id"),
        (b'{"tenant_id": "t"}', "rows"),
        (b'{"tenant_id": "t", "rows": {}}', "rows"),
    ],
)
def test_another_request_is_an_error_that_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        decode_json_rows(body)
    assert error.value.field == field


# CSV

HEADER = b"timestamp,asset_id,value\n"
LINE = b"2025-01-01T00:00Z,a,1\n"


def test_csv_may_have_a_bom_blank_lines_and_numeric_ids() -> None:
    body = b"\xef\xbb\xbf" + HEADER + b"\n" + b'2025-01-01T00:00Z,"1001",1\r\n\r\n'
    batch = checked("text/csv", body)
    assert (batch.sent, batch.table.column("asset_id").to_pylist()) == (1, ["1001"])


@pytest.mark.parametrize(
    "bad",
    [b"x\n", b"2025-01-01T00:00Z,a\n", b"1,2,3,4\n", b'2025-01-01T01:00Z,a,"7\n', b'"\n', b" \n"],
)
def test_a_bad_line_is_refused_where_it_stands_and_costs_no_other(bad: bytes) -> None:
    for body in (HEADER + LINE + bad + LINE * 3, HEADER + LINE + bad + LINE * 2 + bad + LINE):
        batch = checked("text/csv", body)
        assert batch.accepted == 4
        assert batch.reasons[0].row == 1
        assert batch.reasons[0].field is None
        assert batch.reasons[0].why == "expected a line of 3 cells, as in the header"


def test_a_bad_last_line_is_refused() -> None:
    batch = checked("text/csv", HEADER + LINE + b'2025-01-01T01:00Z,a,"7')
    assert (batch.accepted, batch.rejected) == (1, 1)


def test_bytes_that_are_no_utf_8_refuse_their_row() -> None:
    batch = checked("text/csv", HEADER + LINE + b"2025-01-01T00:00Z,\xff,1\n")
    assert [(r.row, r.field) for r in batch.reasons] == [(1, "asset_id")]


def test_a_quoted_line_break_in_another_column_is_kept_together() -> None:
    body = b'timestamp,note,asset_id,value\n2025-01-01T00:00Z,"a\nb",a,1\n'
    for more in (b"", b"bad\n"):
        assert checked("text/csv", body + more).accepted == 1


@pytest.mark.parametrize("body", [b"", b"\n", b"\xff\xfe\n", b"value,value,timestamp\n1,2,3\n"])
def test_csv_without_a_header_that_can_be_used_is_an_error(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        checked("text/csv", body)


def test_csv_with_a_header_alone_has_no_rows() -> None:
    assert checked("text/csv", HEADER).sent == 0


cell = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4)


def rows_of(data: bytes, size: int = 1000) -> list[list[str | None]]:
    lines = Lines()
    shape = Shape(3, (0, 1, 2))
    tables = list(read_tables(io.BytesIO(data), shape, lines, "body", size))
    lines.check("body")
    assert lines.total == count_lines(data)
    return [list(row.values()) for table in tables for row in table.to_pylist()]


@given(
    st.lists(st.tuples(cell, cell, cell.filter(bool)).map(list), max_size=10), st.integers(1, 40)
)
def test_csv_is_read_as_it_was_written_in_blocks_of_any_size(
    rows: list[list[str]], size: int
) -> None:
    assert rows_of(csv_text(rows), size) == [[c or None for c in row] for row in rows]


@given(st.lists(st.tuples(cell, cell, cell.filter(bool)).map(list), min_size=1, max_size=10))
def test_arrow_and_python_read_the_same_csv(rows: list[list[str]]) -> None:
    assert rows_of(csv_text(rows) + b"bad line\n")[:-1] == rows_of(csv_text(rows))


def test_times_in_parquet_keep_their_instant() -> None:
    times = [START + timedelta(hours=hour) for hour in range(4)]
    sink = pa.BufferOutputStream()
    typed = TABLE.set_column(0, "timestamp", pa.array(times, pa.timestamp("ms", "Europe/Berlin")))
    pq.write_table(typed, sink)
    batch = checked("application/parquet", sink.getvalue().to_pybytes())
    assert batch.table.column("timestamp").to_pylist() == times


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_arrow_column_names_that_are_no_utf_8_are_an_error(kind: str) -> None:
    body = ipc(kind).replace(b"asset_id", b"asset\xff\xff\xff")
    with pytest.raises(InvalidInput, match="body"):
        body_table("application/x-arrow", body)


def test_a_text_says_no_more_rows_than_it_has_bytes_for() -> None:
    csv = HEADER + LINE
    assert is_plain("text/csv; charset=utf-8", csv)
    assert is_plain("application/json", b"{}")
    assert not is_plain("text/csv", gzip.compress(csv))
    assert not is_plain("text/csv", BODIES["application/vnd.apache.parquet"])
    assert not is_plain("application/vnd.apache.arrow.stream", b"")
