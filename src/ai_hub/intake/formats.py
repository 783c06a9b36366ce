"""Bodies and files as Arrow tables: JSON, NDJSON, CSV, Parquet and Arrow streams.

A cell or line at fault goes on as a row that the check refuses. What cannot be read as its format
at all raises InvalidInput, and nothing else does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import FIELDS
from ai_hub.intake.csv_text import read_block, read_blocks, read_header
from ai_hub.intake.frames import rows_to_table
from ai_hub.intake.marks import mark_row

MAX_BODY_ROWS = 10_000_000
"""Compressed formats say a great many rows in a few bytes; a body with more is refused."""

UNREADABLE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)
"""What Arrow raises for bytes that are not the format they are said to be."""

_ROWS = "a JSON array of row objects"
_SHOWN_BYTES = 80


def read_body(content_type: str | None, body: bytes) -> pa.Table:
    """The rows of an HTTP body, unchecked.

    Raises InvalidInput for a content type that is not known and for a body that is not of it.
    """
    name = (content_type or "").partition(";")[0].strip().lower()
    if name not in _READERS:
        known = ", ".join(_READERS)
        raise InvalidInput("content-type", content_type, f"one of {known}")
    return _READERS[name](body)


def decode_json_rows(body: bytes) -> dict[str, Any]:
    """The body `{"tenant_id": "...", "rows": [...]}` of a request; the rows are not checked yet.

    Raises InvalidInput for anything else, a further key or a field of another type.
    """
    found = _decode_json(body, 'a JSON object with "tenant_id" and "rows"')
    if not isinstance(found, dict):
        raise InvalidInput("body", found, 'a JSON object with "tenant_id" and "rows"')
    for key in found:
        if key not in ("tenant_id", "rows"):
            raise InvalidInput("body", key, 'no keys but "tenant_id" and "rows"')
    if not isinstance(found.get("tenant_id"), str):
        raise InvalidInput("tenant_id", found.get("tenant_id"), "a string")
    if not isinstance(found.get("rows"), list):
        raise InvalidInput("rows", found.get("rows"), _ROWS)
    rows = [row if isinstance(row, dict) else _no_object(row) for row in found["rows"]]
    return {**found, "rows": rows}


def _malformed(body: bytes, expected: str) -> InvalidInput:
    return InvalidInput("body", body[:_SHOWN_BYTES], expected)


def _decode_json(body: bytes, expected: str) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    # The standard library also reads NaN and Infinity, which Python's own writer emits: a row at
    # fault and not a malformed body.
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        raise _malformed(body, expected) from None
    return found


def _read_json(body: bytes) -> pa.Table:
    found = _decode_json(body, _ROWS)
    if not isinstance(found, list):
        raise _malformed(body, _ROWS)
    return rows_to_table(found)


def _read_ndjson(body: bytes) -> pa.Table:
    try:
        found: Sequence[object] = msgspec.json.Decoder().decode_lines(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        found = [_decode_line(line) for line in body.split(b"\n") if line.strip()]
    rows = [row if isinstance(row, dict) else _no_object(row) for row in found]
    if rows and all(row is not kept for row, kept in zip(rows, found, strict=True)):
        raise _malformed(body, "NDJSON: a JSON object on every line")
    return rows_to_table(rows)


def _decode_line(line: bytes) -> object:
    try:
        return _decode_json(line, "a JSON object")
    except InvalidInput:
        return line.decode("utf-8", "backslashreplace").strip()


def _no_object(found: object) -> dict[str, object]:
    text = found if isinstance(found, str) else json.dumps(found)
    return {"timestamp": mark_row(text, "a JSON object")}


def _read_csv(body: bytes) -> pa.Table:
    stream = BytesIO(body)
    header = read_header(stream, "body")
    wanted = csv_places(header, {name: name for name in header if name in FIELDS})
    blocks = [read_block(data, header, wanted) for data in read_blocks(stream, "body")]
    empty = pa.table({name: pa.nulls(0, pa.string()) for name in wanted})
    table = pa.concat_tables([empty, *blocks], promote_options="default")
    return with_other_columns(table, header)


def csv_places(header: Sequence[str], columns: dict[str, str]) -> dict[str, int]:
    """Where in `header` each of our columns stands; `columns` maps our names to the file's."""
    for field, name in columns.items():
        if header.count(name) != 1:
            raise InvalidInput(field, header, f'one column named "{name}"')
    return {field: header.index(name) for field, name in columns.items()}


def with_other_columns(table: pa.Table, header: Sequence[str]) -> pa.Table:
    """`table` with an empty column for every other name, so that an error can say what came."""
    for name in dict.fromkeys(header):
        if name and name not in FIELDS:
            table = table.append_column(name, pa.nulls(len(table)))
    return table


def _read_parquet(body: bytes) -> pa.Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        _check_texts(file.schema_arrow)
        if file.metadata.num_rows > MAX_BODY_ROWS:
            raise _malformed(body, f"at most {MAX_BODY_ROWS} rows")
        names = [name for name in file.schema_arrow.names if name in FIELDS]
        table = file.read(columns=names)
        table.validate(full=True)
        return with_other_columns(table, file.schema_arrow.names)
    except InvalidInput:
        raise
    except UNREADABLE:
        raise _malformed(body, "Parquet") from None


def _check_texts(schema: pa.Schema) -> None:
    # Names and zones that are no UTF-8 raise when they are read: here, and not in the check.
    for field in schema:
        _ = field.name, getattr(field.type, "tz", None)


def _read_arrow_stream(body: bytes) -> pa.Table:
    return _read_arrow(body, lambda source: pa.ipc.open_stream(source))


def _read_arrow_file(body: bytes) -> pa.Table:
    def batches(source: pa.BufferReader) -> Any:
        file = pa.ipc.open_file(source)
        batch = (file.get_batch(place) for place in range(file.num_record_batches))
        return pa.RecordBatchReader.from_batches(file.schema, batch)

    return _read_arrow(body, batches)


def _read_any_arrow(body: bytes) -> pa.Table:
    return _read_arrow_file(body) if body[:6] == b"ARROW1" else _read_arrow_stream(body)


def _read_arrow(body: bytes, open_reader: Callable[[pa.BufferReader], Any]) -> pa.Table:
    parts: list[pa.RecordBatch] = []
    rows = 0
    try:
        reader = open_reader(pa.BufferReader(body))
        _check_texts(reader.schema)
        for batch in reader:
            # Bytes from elsewhere may point outside their own buffers.
            batch.validate(full=True)
            parts.append(batch)
            rows += batch.num_rows
            if rows > MAX_BODY_ROWS:
                raise _malformed(body, f"at most {MAX_BODY_ROWS} rows")
        return pa.Table.from_batches(parts, reader.schema)
    except InvalidInput:
        raise
    except UNREADABLE:
        raise _malformed(body, "an Arrow stream or file") from None


_READERS: dict[str, Callable[[bytes], pa.Table]] = {
    "application/json": _read_json,
    "application/x-ndjson": _read_ndjson,
    "application/jsonl": _read_ndjson,
    "text/csv": _read_csv,
    "application/vnd.apache.parquet": _read_parquet,
    "application/x-parquet": _read_parquet,
    "application/parquet": _read_parquet,
    "application/vnd.apache.arrow.stream": _read_arrow_stream,
    "application/vnd.apache.arrow.file": _read_arrow_file,
    "application/x-arrow": _read_any_arrow,
}
