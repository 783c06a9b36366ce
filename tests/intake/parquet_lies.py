"""Parquet files whose headers say another number than they should."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub.intake.parquet_sizes import Page, pages


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def same(length: int = 5_000, rows: int = 20_000, **options: Any) -> bytes:
    """A file of which a few bytes are a great many: the same text again and again, as it is."""
    table = pa.table({
        "timestamp": pa.array(np.zeros(rows, np.int64), pa.timestamp("us", "UTC")),
        "asset_id": ["x" * length] * rows,
        "value": np.zeros(rows),
    })  # fmt: skip
    how = {"use_dictionary": False, "compression": "zstd", "write_statistics": False}
    return written(table, **how | {"data_page_size": 1 << 30} | options)


def metadata(body: bytes) -> Any:
    return pq.read_metadata(io.BytesIO(body))


def footer(body: bytes) -> int:
    """Where the file's own words about itself begin."""
    return len(body) - 8 - int.from_bytes(body[-8:-4], "little")


def number(value: int, length: int = 0) -> bytes:
    """A number as Thrift's compact protocol writes it, with as many bytes as are wanted."""
    rest = (value << 1) ^ (value >> 63)
    found = bytearray()
    while rest > 127 or len(found) + 1 < length:
        found.append(rest & 127 | 128)
        rest >>= 7
    found.append(rest)
    return bytes(found)


def with_number(body: bytes, start: int, end: int, old: int, new: int) -> bytes:
    """The body with the first such number in [start, end) replaced by one of as many bytes."""
    before = number(old)
    at = body.index(before, start, end)
    after = number(new, len(before))
    assert len(after) == len(before), "it has no room there"
    return body[:at] + after + body[at + len(before) :]


def first_page(body: bytes, place: int) -> tuple[int, Page]:
    """Where the first page of a column begins, and what it says of itself."""
    column = metadata(body).row_group(0).column(place)
    start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
    return start, next(pages(io.BytesIO(body), column))


def small_in_the_footer() -> bytes:
    """A column is said to be small, its pages are not."""
    body = same()
    size = metadata(body).row_group(0).column(1).total_uncompressed_size
    return with_number(body, footer(body), len(body), size, 1_000)


def small_in_the_page() -> bytes:
    """A page is said to be small as well, and is not."""
    body = small_in_the_footer()
    start, page = first_page(body, 1)
    return with_number(body, start, start + 100, page.size, 1_000)


def many_in_the_page() -> bytes:
    """A page is said to have more values than there are."""
    body = same(5, 1_000, compression="none")
    start, page = first_page(body, 1)
    return with_number(body, start + 9, start + 100, page.values, 8_000)


def many_in_the_dictionary() -> bytes:
    """A dictionary is said to have more values than it has bytes."""
    rows = 100_000
    table = pa.table({
        "timestamp": pa.array(np.arange(rows), pa.timestamp("us", "UTC")),
        "asset_id": [f"{n % 20_000:05}" for n in range(rows)],
        "value": np.zeros(rows),
    })  # fmt: skip
    body = written(table, compression="none")
    start, page = first_page(body, 1)
    return with_number(body, start, start + 100, page.values, 1_000_000)
