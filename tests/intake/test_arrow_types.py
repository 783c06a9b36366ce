"""Columns of every type that Arrow has: each body is read, or refused in words, by every door."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub.errors import InvalidInput
from ai_hub.export.spine import spine_of
from ai_hub.intake.batch import BatchKind
from ai_hub.intake.bodies import read_batch
from ai_hub.intake.formats import open_body
from ai_hub.intake.labels import read_labelled
from ai_hub.intake.read_options import ReadOptions
from intake.hostile_bodies import ARROW, PARQUET, stream

ROWS = 5
ZEROS = pa.array(np.zeros(ROWS, np.int8))
KINDS: tuple[BatchKind, ...] = ("observations", "weather", "attributes")
GOOD: dict[str, Any] = {
    "timestamp": pa.array(np.arange(ROWS), pa.timestamp("us", "UTC")),
    "asset_id": pa.array(["a"] * ROWS),
    "value": np.ones(ROWS),
    "temperature": np.ones(ROWS),
    "key": pa.array(["capacity"] * ROWS),
}


def same(value: object, kind: pa.DataType | None = None) -> pa.Array:
    """One value in each row."""
    return pa.array([value] * ROWS, kind)


TYPES: dict[str, pa.Array] = {
    "nothing": pa.nulls(ROWS),
    "truths": same(True),
    "small numbers": ZEROS,
    "halves": pa.array(np.zeros(ROWS, np.float16)),
    "decimals": ZEROS.cast(pa.decimal128(10, 2)),
    "large decimals": ZEROS.cast(pa.decimal256(40, 2)),
    "days": ZEROS.cast(pa.int32()).cast(pa.date32()),
    "times of day": ZEROS.cast(pa.int64()).cast(pa.time64("us")),
    "durations": ZEROS.cast(pa.int64()).cast(pa.duration("us")),
    "intervals": same((1, 2, 3), pa.month_day_nano_interval()),
    "nanoseconds": ZEROS.cast(pa.int64()).cast(pa.timestamp("ns", "UTC")),
    "local times": ZEROS.cast(pa.int64()).cast(pa.timestamp("us")),
    "texts": same("x"),
    "large texts": same("x", pa.large_string()),
    "bytes": same(b"\xff"),
    "bytes of no length": same(b"", pa.binary(0)),
    "dictionary of nothing": pa.DictionaryArray.from_arrays(ZEROS, pa.nulls(1)),
    "dictionary of truths": pa.DictionaryArray.from_arrays(ZEROS, pa.array([True])),
    "lists of nothing": same([None], pa.list_(pa.null())),
    "lists of no length": same([], pa.list_(pa.int8(), 0)),
    "structs without fields": same({}, pa.struct([])),
    "structs of nothing": same({"a": None}, pa.struct([("a", pa.null())])),
    "maps": same([("a", 1)], pa.map_(pa.string(), pa.int8())),
    "unions": pa.UnionArray.from_sparse(ZEROS, [ZEROS]),
    "uuids": pa.ExtensionArray.from_storage(pa.uuid(), same(b"0" * 16, pa.binary(16))),
}


def written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def read(content_type: str, body: bytes, kind: BatchKind) -> int:
    options = ReadOptions.of(kind)
    file = open_body(content_type, body, options, options.required("t"))
    return read_batch(file, "t", len(body), rows=2).sent


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("columns", [("timestamp", "asset_id", "value"), *((n,) for n in GOOD)])
def test_a_body_is_read_or_refused_in_words(name: str, columns: tuple[str, ...]) -> None:
    table = pa.table(GOOD | dict.fromkeys(columns, TYPES[name]))
    columns_of = dict(zip(table.column_names, table.columns, strict=True))
    bodies = [(ARROW, stream(columns_of))]
    with suppress(pa.ArrowException, OSError):  # Parquet has no form for some types
        bodies.append((PARQUET, written(table)))
    for content_type, body in bodies:
        doors: list[Callable[[], int]] = [
            lambda: len(spine_of(read_labelled(content_type, body, bounded=True), "t")),  # noqa: B023
            *(lambda kind=kind: read(content_type, body, kind) for kind in KINDS),  # noqa: B023
        ]
        for door in doors:
            with suppress(InvalidInput):
                assert door() == ROWS


def test_good_columns_are_read() -> None:
    """So that what is refused above is refused for its type."""
    body = stream(GOOD)
    assert [read(ARROW, body, kind) for kind in KINDS] == [ROWS] * 3
    assert len(spine_of(read_labelled(ARROW, body, bounded=True), "t")) == ROWS
