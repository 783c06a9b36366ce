"""Bodies as Arrow tables: JSON, NDJSON, CSV, spreadsheets, Parquet and Arrow streams.

A cell or line at fault goes on as a row that the check refuses. What cannot be read as its format
at all raises InvalidInput, and nothing else does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.ipc

from ai_hub.errors import InvalidInput
from ai_hub.intake.arrow_faults import UNREADABLE, check_texts
from ai_hub.intake.files import DataFile
from ai_hub.intake.frames import rows_to_table
from ai_hub.intake.marks import mark_row
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.readers.parquet import MAGIC as PARQUET
from ai_hub.intake.source import Source

MAX_BODY_ROWS = 10_000_000
"""Compressed formats say a great many rows in a few bytes; a body with more is refused."""

_ROWS = "a JSON array of row objects"
_SHOWN_BYTES = 80


def open_body(
    content_type: str | None, body: bytes, options: ReadOptions, required: Sequence[str]
) -> DataFile:
    """The rows of an HTTP body.

    Raises InvalidInput for a content type that is not known, for a body that is not of it, and as
    a DataFile does.
    """
    name, _, parameters = (content_type or "").partition(";")
    name = name.strip().lower()
    if name in _ROWS_READERS:
        return open_rows(_ROWS_READERS[name](body), options, required)
    if name not in _READERS:
        known = ", ".join((*_ROWS_READERS, *_READERS))
        raise InvalidInput("content-type", content_type, f"one of {known}")
    if name.startswith("text/") and options.dialect.encoding is None:
        dialect = replace(options.dialect, encoding=_charset(parameters))
        options = replace(options, dialect=dialect)
    file = DataFile(_READERS[name](body), options, required)
    if file.rows is not None and file.rows > MAX_BODY_ROWS:
        raise too_many_rows(file.rows)
    return file


def open_rows(rows: Sequence[object], options: ReadOptions, required: Sequence[str]) -> DataFile:
    """Rows of JSON, whose times are ISO 8601 and whose numbers are numbers unless said."""
    table = rows_to_table(rows, options.fields_of)
    return DataFile(table, options.of_programs(), required)


def read_body(file: DataFile) -> pa.Table:
    """All rows of a body as one table. InvalidInput if there are more than MAX_BODY_ROWS."""
    parts = file.parts(MAX_BODY_ROWS)
    table, _ = next(parts)
    if next(parts, None) is not None:
        raise too_many_rows(f"more than {MAX_BODY_ROWS} rows")
    return table


def too_many_rows(found: object) -> InvalidInput:
    """The error of a body with more than MAX_BODY_ROWS rows."""
    return InvalidInput("body", found, f"at most {MAX_BODY_ROWS} rows")


def _charset(parameters: str) -> str | None:
    """The encoding that a content type says; UTF-8 is what it is anyway, if it is."""
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            found = value.strip().strip('"')
            return None if found.lower() in ("utf-8", "utf8", "us-ascii") else found
    return None


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
    try:
        shown = body[:_SHOWN_BYTES].decode()
    except UnicodeDecodeError:
        shown = ""
    printable = shown and all(one.isprintable() or one.isspace() for one in shown)
    return InvalidInput("body", shown if printable else f"{len(body)} bytes", expected)


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


def _read_json(body: bytes) -> Sequence[object]:
    found = _decode_json(body, _ROWS)
    if not isinstance(found, list):
        raise _malformed(body, _ROWS)
    return found


def _read_ndjson(body: bytes) -> Sequence[object]:
    try:
        found: Sequence[object] = msgspec.json.Decoder().decode_lines(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        found = [_decode_line(line) for line in body.split(b"\n") if line.strip()]
    rows = [row if isinstance(row, dict) else _no_object(row) for row in found]
    if rows and all(row is not kept for row, kept in zip(rows, found, strict=True)):
        raise _malformed(body, "NDJSON: a JSON object on every line")
    return rows


def _decode_line(line: bytes) -> object:
    try:
        return _decode_json(line, "a JSON object")
    except InvalidInput:
        return line.decode("utf-8", "backslashreplace").strip()


def _no_object(found: object) -> dict[str, object]:
    text = found if isinstance(found, str) else json.dumps(found)
    return {"timestamp": mark_row(text, "a JSON object")}


def _parquet(body: bytes) -> Source:
    if not body.startswith(PARQUET):
        raise _malformed(body, "Parquet")
    return Source.of_bytes(body)


def _read_arrow_stream(body: bytes) -> pa.Table:
    return _read_arrow(body, lambda source: pa.ipc.open_stream(source))


def _read_arrow_file(body: bytes) -> pa.Table:
    def batches(source: pa.BufferReader) -> Any:
        file = pa.ipc.open_file(source)
        batch = (file.get_batch(place) for place in range(file.num_record_batches))
        return pa.RecordBatchReader.from_batches(file.schema, batch)

    return _read_arrow(body, batches)


def _read_any_arrow(body: bytes) -> pa.Table:
    read = _read_arrow_file if body[:6] == b"ARROW1" else _read_arrow_stream
    return read(body)


def _read_arrow(body: bytes, open_reader: Callable[[pa.BufferReader], Any]) -> pa.Table:
    parts: list[pa.RecordBatch] = []
    rows = 0
    try:
        reader = open_reader(pa.BufferReader(body))
        check_texts(reader.schema)
        for batch in reader:
            # Bytes from elsewhere may point outside their own buffers.
            batch.validate(full=True)
            parts.append(batch)
            rows += batch.num_rows
            if rows > MAX_BODY_ROWS:
                raise too_many_rows(f"more than {MAX_BODY_ROWS} rows")
        return pa.Table.from_batches(parts, reader.schema)
    except InvalidInput:
        raise
    except UNREADABLE:
        raise _malformed(body, "an Arrow stream or file") from None


_ROWS_READERS: dict[str, Callable[[bytes], Sequence[object]]] = {
    "application/json": _read_json,
    "application/x-ndjson": _read_ndjson,
    "application/jsonl": _read_ndjson,
}
_READERS: dict[str, Callable[[bytes], Source | pa.Table]] = {
    "text/csv": Source.of_bytes,
    "text/tab-separated-values": Source.of_bytes,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": Source.of_bytes,
    "application/vnd.apache.parquet": _parquet,
    "application/x-parquet": _parquet,
    "application/parquet": _parquet,
    "application/vnd.apache.arrow.stream": _read_arrow_stream,
    "application/vnd.apache.arrow.file": _read_arrow_file,
    "application/x-arrow": _read_any_arrow,
}
