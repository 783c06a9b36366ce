"""Bodies as Arrow tables: JSON, NDJSON, CSV, spreadsheets, Parquet and Arrow streams.

A cell or line at fault goes on as a row that the check refuses. What cannot be read as its format
at all raises InvalidInput, and nothing else does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from ai_hub.definitions.values import MAX_BODY_ROWS
from ai_hub.errors import InvalidInput
from ai_hub.intake.arrow_faults import UNREADABLE, check_schema
from ai_hub.intake.arrow_sizes import ARROW_FILE, as_table, check_size, memory_for, too_much
from ai_hub.intake.json_text import NotJson, count, decode, decode_lines
from ai_hub.intake.packed import is_packed
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.readers.parquet import MAGIC as PARQUET
from ai_hub.intake.readers.rows import Rows
from ai_hub.intake.row_files import RowFile, row_file
from ai_hub.intake.source import Source

_ROWS = "a JSON array of row objects"
_SHOWN_BYTES = 80
_SHOWN_LINE = 1_000
_AS_IT_IS = ReadOptions.of("observations")


def open_body(
    content_type: str | None, body: bytes, options: ReadOptions, required: Sequence[str]
) -> RowFile:
    """The rows of an HTTP body.

    Raises InvalidInput for a content type that is not known, for a body that is not of it, and as
    a RowFile does.
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
    return row_file(_READERS[name](body), options, required)


def is_plain(content_type: str, body: bytes) -> bool:
    """Whether a body is a text that says no more rows than it has bytes for."""
    name = content_type.partition(";")[0].strip().lower()
    return name in _PLAIN and not is_packed(body[:4]) and not body.startswith(PARQUET)


def open_rows(rows: Sequence[object], options: ReadOptions, required: Sequence[str]) -> RowFile:
    """Rows of JSON, whose times are ISO 8601 and whose numbers are numbers unless said."""
    return row_file(Rows(rows, _as_text), options.of_programs(), required)


def read_body(
    content_type: str | None,
    body: bytes,
    options: ReadOptions = _AS_IT_IS,
    required: Sequence[str] = (),
) -> pa.Table:
    """The rows of a body as one table, its cells not checked yet.

    Raises InvalidInput also where a column goes on with another type, and for too many rows.
    """
    file = open_body(content_type, body, options, required)
    if file.rows is not None and file.rows > MAX_BODY_ROWS:
        raise InvalidInput("body", f"{file.rows} rows", f"at most {MAX_BODY_ROWS} rows")
    try:
        return pa.concat_tables([table for table, _ in file.parts()], promote_options="default")
    except UNREADABLE:
        raise _malformed(body, "columns each of one type") from None


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
    return found


def _malformed(body: bytes, expected: str) -> InvalidInput:
    try:
        shown = body[:_SHOWN_BYTES].decode()
    except UnicodeDecodeError:
        shown = ""
    printable = shown and all(one.isprintable() or one.isspace() for one in shown)
    return InvalidInput("body", shown if printable else f"{len(body)} bytes", expected)


def _decode_json(body: bytes, expected: str) -> object:
    _check_density(body, count(body, b","))
    try:
        return decode(body)
    except NotJson:
        raise _malformed(body, expected) from None


def _check_density(body: bytes, values: int) -> None:
    """InvalidInput for JSON of which Python would make much more than its size: not of rows, which
    have names in them, but of lone values, empty objects and the like."""
    objects = count(body, b"{")
    held = 64 * (objects + count(body, b"["))
    held += 25 * max(count(body, b'"') - 14 * objects, 0)
    held += 32 * max(values - 8 * objects, 0)
    if held > memory_for(len(body)):
        expected = "rows that are objects with a timestamp, an asset_id and values"
        raise InvalidInput("body", f"{len(body)} bytes of JSON", expected)


def _read_json(body: bytes) -> Sequence[object]:
    found = _decode_json(body, _ROWS)
    if not isinstance(found, list):
        raise _malformed(body, _ROWS)
    return found


def _read_ndjson(body: bytes) -> Sequence[object]:
    _check_density(body, count(body, b",") + count(body, b"\n"))
    found = decode_lines(body, _shown_line)
    if found and not any(isinstance(row, dict) for row in found):
        raise _malformed(body, "NDJSON: a JSON object on every line")
    return found


def _shown_line(line: bytes) -> str:
    return line[:_SHOWN_LINE].decode("utf-8", "backslashreplace").strip()


def _as_text(row: object) -> str:
    return row if isinstance(row, str) else json.dumps(row)


def _parquet(body: bytes) -> Source:
    if not body.startswith(PARQUET):
        raise _malformed(body, "Parquet")
    return Source.of_bytes(body)


def _read_arrow(body: bytes) -> pa.Table:
    parts: list[pa.RecordBatch] = []
    held, most = 0, memory_for(len(body))
    try:
        check_size(body, most)
        file = body[: len(ARROW_FILE)] == ARROW_FILE
        source = pa.BufferReader(body)
        reader = pa.ipc.open_file(source) if file else pa.ipc.open_stream(source)
        check_schema(reader.schema)
        every = (
            (reader.get_batch(place) for place in range(reader.num_record_batches))
            if file
            else reader
        )
        for batch in every:
            # Bytes from elsewhere may point outside their own buffers.
            batch.validate(full=True)
            # A file may name a batch of its bytes many times.
            held += batch.nbytes
            if held > most:
                raise too_much(len(body), most)
            parts.append(batch)
        return as_table(parts, reader.schema)
    except InvalidInput:
        raise
    except UNREADABLE:
        raise _malformed(body, "an Arrow stream or file") from None


_ROWS_READERS: dict[str, Callable[[bytes], Sequence[object]]] = {
    "application/json": _read_json,
    "application/x-ndjson": _read_ndjson,
    "application/jsonl": _read_ndjson,
}
_PLAIN = ("text/csv", "text/tab-separated-values", *_ROWS_READERS)
_READERS: dict[str, Callable[[bytes], Source | pa.Table]] = {
    "text/csv": Source.of_bytes,
    "text/tab-separated-values": Source.of_bytes,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": Source.of_bytes,
    "application/vnd.apache.parquet": _parquet,
    "application/x-parquet": _parquet,
    "application/parquet": _parquet,
    "application/vnd.apache.arrow.stream": _read_arrow,
    "application/vnd.apache.arrow.file": _read_arrow,
    "application/x-arrow": _read_arrow,
}
