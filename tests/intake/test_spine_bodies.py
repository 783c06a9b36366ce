"""Spines as bodies: as they came, and none that takes much more than its size."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub.errors import InvalidInput
from ai_hub.intake.labels import read_labelled
from intake import hostile_bodies as bombs
from intake import parquet_lies as lies

FILE = "application/vnd.apache.arrow.file"
PLAIN = pa.table({
    "asset_id": ["a", None, "ü"],
    "timestamp": pa.array([1, 2, 3], pa.timestamp("ns", "Europe/Berlin")),
    "whole": pa.array([7, None, 7], pa.int16()),
    "large": pa.array(["q", None, "r"], pa.large_string()),
    "codes": pa.array(["u", "v", "u"]).dictionary_encode(),
    "bytes": [b"1", None, b"2"],
    "list": [[1], [2], None],
    "texts": [["a", "b"], [], None],
    "struct": [{"a": "x", "b": None}] * 3,
    "nothing": pa.nulls(3),
    "a.b": [True, False, None],
    "decimal": pa.array([1, 2, None], pa.decimal128(20, 3)),
})  # fmt: skip
VIEWS = PLAIN.append_column("view", pa.array(["a", "a text of more than twelve bytes", None],
                                             pa.string_view()))  # fmt: skip


def arrow(table: pa.Table, kind: str = bombs.ARROW, compression: str | None = None) -> bytes:
    sink = io.BytesIO()
    how = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_file if kind == FILE else pa.ipc.new_stream
    with new(sink, table.schema, options=how) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_all_columns_are_as_they_came(rows: int) -> None:
    body = lies.written(PLAIN.slice(0, rows))
    expected = pq.read_table(io.BytesIO(body))
    found = read_labelled(bombs.PARQUET, body, bounded=True)
    assert found.schema == expected.schema
    assert found.equals(expected)
    for kind in (bombs.ARROW, FILE):
        found = read_labelled(kind, arrow(VIEWS.slice(0, rows), kind), bounded=True)
        assert found.schema == VIEWS.schema
        assert found.equals(VIEWS.slice(0, rows))


def spine(**more: Any) -> dict[str, Any]:
    rows = max(map(len, more.values()))
    times = pa.array(np.zeros(rows, np.int64), pa.timestamp("us", "UTC"))
    return {"timestamp": times, "asset_id": bombs.repeated(rows, "a"), **more}


def shared(length: int = 10_000, rows: int = 300_000) -> pa.Array:
    return bombs.repeated(rows, "x" * length)


def shared_views() -> pa.Array:
    """Views of one text, which is there once."""
    one = pa.array(["x" * 5_000], pa.string_view())
    rows = 100_000
    views = np.tile(np.frombuffer(one.buffers()[1], np.int8)[:16], rows)
    return pa.Array.from_buffers(
        pa.string_view(), rows, [None, pa.py_buffer(views), one.buffers()[2]]
    )


def nested_texts() -> bytes:
    values = ["x" * 2_000] * 100_000
    return lies.written(pa.table(spine(texts=[values[:1_000]] * 100)), compression="zstd")


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "arrow dictionary": (bombs.ARROW, lambda: arrow(pa.table(spine(label=shared())))),
    "arrow zstd": (
        bombs.ARROW,
        lambda: arrow(pa.table(spine(label=np.zeros(5_000_000))), compression="zstd"),
    ),
    "arrow run ends": (bombs.ARROW, bombs.run_ends),
    "arrow nulls": (bombs.ARROW, bombs.nothing_many_times),
    "arrow views": (bombs.ARROW, lambda: arrow(pa.table(spine(label=shared_views())), FILE)),
    "arrow dictionary in a struct": (
        bombs.ARROW,
        lambda: arrow(pa.table(spine(label=pa.StructArray.from_arrays([shared()], ["a"])))),
    ),
    "arrow file": (FILE, bombs.file_of_one_batch),
    "arrow small batches": (bombs.ARROW, lambda: bombs.small_batches(60_000)),
    "arrow metadata": (
        bombs.ARROW,
        lambda: arrow(PLAIN.replace_schema_metadata({f"k{n}": "x" for n in range(100_000)})),
    ),
    "parquet footer": (bombs.PARQUET, bombs.parquet_footer),
    "parquet long beginnings": (
        bombs.PARQUET,
        lambda: bombs.parquet_texts("DELTA_BYTE_ARRAY"),
    ),
    "parquet dictionary": (bombs.PARQUET, bombs.parquet_dictionary),
    "parquet nested": (bombs.PARQUET, nested_texts),
    "parquet small in its footer": (bombs.PARQUET, lies.small_in_the_footer),
    "parquet no dictionary": (
        bombs.PARQUET,
        lambda: bombs.parquet(5_000, 50_000, compression="zstd", use_dictionary=False),
    ),
    "csv assets": (
        "text/csv",
        lambda: (
            b"asset_id,timestamp\n"
            + b"".join(b"%d,2025-10-09T14:00:00Z\n" % n for n in range(100_001))
        ),
    ),
    "csv columns": ("text/csv", lambda: b"asset_id,timestamp" + b",a" * 500_000 + b"\n"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_spine_that_takes_much_more_than_its_size_is_refused(name: str) -> None:
    content_type, make = BOMBS[name]
    body = make()
    before = pa.total_allocated_bytes()
    with pytest.raises(InvalidInput):
        read_labelled(content_type, body, bounded=True)
    assert pa.total_allocated_bytes() - before < 40 << 20


def test_many_small_batches_and_any_honest_encoding_are_taken() -> None:
    table = read_labelled(bombs.ARROW, bombs.small_batches(1_000), bounded=True)
    assert (table.num_rows, table["asset_id"].num_chunks) == (1_000, 1)
    body = bombs.parquet_texts("DELTA_LENGTH_BYTE_ARRAY", 1_000, 5)
    table = read_labelled(bombs.PARQUET, body, bounded=True)
    assert table["asset_id"].to_pylist()[-1] == "xxxxx000999"
    with pytest.raises(InvalidInput, match="DELTA_BYTE_ARRAY"):
        read_labelled(bombs.PARQUET, bombs.parquet_texts("DELTA_BYTE_ARRAY", 10), bounded=True)


def test_as_many_assets_as_a_body_may_have_are_taken() -> None:
    rows = b"".join(b"%d,2025-10-09T14:00:00Z\n" % (n % 100_000) for n in range(100_005))
    body = b"asset_id,timestamp\n" + rows
    assert read_labelled("text/csv", body, bounded=True).num_rows == 100_005


def test_what_rows_share_may_be_what_its_size_allows() -> None:
    table = pa.table(spine(label=shared(50, 300_000)))
    for content_type, body in (
        (bombs.ARROW, arrow(table)),
        (bombs.PARQUET, lies.written(table)),
    ):
        if content_type == bombs.ARROW:
            assert read_labelled(content_type, body, bounded=True).equals(table)
        else:
            assert len(read_labelled(content_type, body, bounded=True)) == 300_000
