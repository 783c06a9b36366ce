"""Spines in HTTP bodies, within a bound on memory.

A spine is answered with all its columns as they came, so it is held as a whole, and a column whose
rows share their values may be written with a value for every row. That is what is counted, before
anything is made of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ai_hub.errors import InvalidInput
from ai_hub.intake.arrow_faults import check_schema
from ai_hub.intake.arrow_sizes import as_table, check_size, memory_for, too_much
from ai_hub.intake.parquet_sizes import check_footer, check_pages, check_texts, flat

MOST_COLUMNS = 1_000
MOST_ASSETS = 100_000
"""Different assets: each is an object, and all go to the database in one step."""
_MOST_SCHEMA = 1 << 20
_PART_ROWS = 16_384
_NO_PLAIN_TYPE = "a plain column, or a dictionary of plain values"


def read_parquet(body: bytes) -> pa.Table:
    """The rows of a Parquet body. Raises InvalidInput, and what Arrow does."""
    most = memory_for(len(body))
    check_footer(io.BytesIO(body))
    metadata = pq.read_metadata(io.BytesIO(body))
    _check_count(metadata.num_columns)
    check_pages(io.BytesIO(body), metadata, len(body), most)
    schema = pq.read_schema(io.BytesIO(body))
    _check_types(schema)
    check_texts(io.BytesIO(body), metadata, schema.names, len(body), most)
    # Texts that rows share stay shared until it is known what they take.
    file = pq.ParquetFile(io.BytesIO(body), read_dictionary=flat(metadata))
    parts = file.iter_batches(_PART_ROWS)
    shared = _bounded(parts, file.schema_arrow, len(body), most)
    plain = [
        column if column.type == field.type else column.cast(field.type)
        for field, column in zip(schema, shared.columns, strict=True)
    ]
    return pa.table(plain, schema=schema)


def read_arrow(body: bytes) -> pa.Table:
    """The rows of an Arrow stream or file. Raises InvalidInput, and what Arrow does."""
    most = memory_for(len(body))
    check_size(body, most)
    source = pa.BufferReader(body)
    if body[:6] == b"ARROW1":
        file = pa.ipc.open_file(source)
        every = (file.get_batch(place) for place in range(file.num_record_batches))
        schema = file.schema
    else:
        every = stream = pa.ipc.open_stream(source)
        schema = stream.schema
    _check_count(len(schema))
    _check_types(schema)
    return _bounded(every, schema, len(body), most)


def check_assets(spine: pa.Table) -> None:
    """Raises InvalidInput for a spine of more assets than one body may have."""
    found = spine["asset_id"] if "asset_id" in spine.column_names else None
    if found is None or len(found) <= MOST_ASSETS or pa.types.is_nested(found.type):
        return
    assets = len(found.unique())
    if assets > MOST_ASSETS:
        expected = f"at most {MOST_ASSETS} different ones"
        raise InvalidInput("asset_id", f"{assets} assets", expected, "Send it in several bodies.")


def check_header(body: bytes) -> None:
    """Raises InvalidInput for a CSV of more columns than a spine may have."""
    line = body[: body.find(b"\n") + 1] or body
    _check_count(line.count(b",") + 1)


def _check_count(columns: int) -> None:
    if columns > MOST_COLUMNS:
        raise InvalidInput("spine", f"{columns} columns", f"at most {MOST_COLUMNS}")


def _check_types(schema: pa.Schema) -> None:
    """Raises InvalidInput for types whose rows may share what is in them, unseen, and for very much
    that is said of the columns: it is part of the answer, and parsed in one step."""
    size = schema.serialize().size
    if size > _MOST_SCHEMA:
        expected = f"at most {_MOST_SCHEMA} bytes: fewer columns or metadata"
        raise InvalidInput("spine", f"a schema of {size} bytes", expected)
    check_schema(schema)
    for field in schema:
        below = [field.type]
        while below:
            kind = below.pop()
            below += [kind.field(place).type for place in range(kind.num_fields)]
            shares = any(word in str(kind).split("<")[0] for word in ("view", "dictionary", "run"))
            if shares and (kind is not field.type or pa.types.is_nested(kind)):
                raise InvalidInput(field.name, str(field.type), _NO_PLAIN_TYPE)


def _bounded(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, size: int, most: int
) -> pa.Table:
    parts = []
    held = 0
    for batch in batches:
        # Bytes from elsewhere may point outside their own buffers.
        batch.validate(full=True)
        held += sum(_taken(column) for column in batch.columns)
        if held > most:
            raise too_much(size, most)
        parts.append(batch)
    return as_table(parts, schema)


def _taken(column: pa.Array) -> int:
    """Bytes of a column in which each row has a value of its own."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = column.dictionary
        width = _lengths(values)
        codes = column.indices.drop_null()
        return 8 * len(column) + int(width[np.asarray(codes)].sum())
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return 8 * len(column) + int(_lengths(column).sum())
    # An array of nulls has no bytes, and still rows.
    return max(int(column.nbytes), len(column))


def _lengths(values: pa.Array) -> NDArray[np.int64]:
    """How many bytes each value has."""
    kind = values.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        views = np.frombuffer(values.buffers()[1], np.int32)[::4]
        found = views[values.offset : values.offset + len(values)].astype(np.int64)
        return found if not values.null_count else np.where(values.is_valid(), found, 0)
    if (
        pa.types.is_string(kind) or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    ):  # fmt: skip
        return np.asarray(pc.fill_null(pc.binary_length(values), 0)).astype(np.int64)
    return np.full(len(values), max(values.nbytes // max(len(values), 1), 1), np.int64)
