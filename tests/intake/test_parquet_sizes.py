"""Pages of Parquet: all are seen, and none that lies gets by."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import BATCH_ROWS
from ai_hub.intake.dialect.layout import Wanted
from ai_hub.intake.files import of_rows
from ai_hub.intake.parquet_sizes import check_pages
from ai_hub.intake.readers.parquet import ParquetReader
from ai_hub.intake.source import Source
from intake import parquet_lies as lies
from intake.hostile_bodies import PARQUET, read

ROWS = 5_000
TABLE = pa.table({
    "timestamp": pa.array(np.arange(ROWS), pa.timestamp("us", "UTC")),
    "asset_id": [f"m{n % 50}" for n in range(ROWS)],
    "value": np.random.default_rng(0).random(ROWS),
    "list": [[1, 2, n] for n in range(ROWS)],
    "struct": [{"a": "x" * 300, "b": None}] * ROWS,
    "nothing": pa.nulls(ROWS),
})  # fmt: skip


def checked(body: bytes, most: int) -> None:
    check_pages(io.BytesIO(body), lies.metadata(body), len(body), most)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "compression": st.sampled_from(["none", "snappy", "zstd", "gzip"]),
            "use_dictionary": st.booleans(),
            "data_page_version": st.sampled_from(["1.0", "2.0"]),
            "data_page_size": st.integers(100, 100_000),
            "row_group_size": st.integers(500, ROWS),
            "write_page_checksum": st.booleans(),
            "write_page_index": st.booleans(),
            "write_statistics": st.booleans(),
        },
    )
)
def test_pages_are_what_the_file_says_of_its_columns(how: dict[str, Any]) -> None:
    body = lies.written(TABLE, **how)
    found = lies.metadata(body)
    columns = [
        found.row_group(group).column(place)
        for group in range(found.num_row_groups)
        for place in range(found.num_columns)
    ]
    most = max(column.total_uncompressed_size for column in columns)
    checked(body, most)
    # A header is 10 bytes at least, and what is packed has no page of less.
    with pytest.raises(InvalidInput, match="decodes to"):
        checked(body, most // 2)


@pytest.mark.parametrize(
    "make", [lies.small_in_the_footer, lies.small_in_the_page, lies.many_in_the_page,
             lies.many_in_the_dictionary]
)  # fmt: skip
def test_a_page_that_lies_is_refused(make: Callable[[], bytes]) -> None:
    assert read(PARQUET, make()) == "refused"


@pytest.mark.parametrize("cell", [[1], ["x"], {"a": "x"}])
@pytest.mark.parametrize(
    ("name", "said"),
    [("more", "1 accepted, 0 rejected"), ("asset_id", "0 accepted, 1 rejected")],
)
def test_a_nested_column_is_none_of_ours(cell: object, name: str, said: str) -> None:
    columns = {"timestamp": ["2025-01-01T00:00:00Z"], "asset_id": ["a"], "value": [1.0]}
    table = pa.table(columns | {name: pa.array([cell])})
    assert read(PARQUET, lies.written(table)) == said


def test_very_many_pages_are_refused() -> None:
    rows = 60_000
    table = pa.table({
        "timestamp": pa.array(np.arange(rows), pa.timestamp("us", "UTC")),
        "asset_id": ["a"] * rows,
        "value": np.arange(rows),
    })  # fmt: skip
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, write_batch_size=1, data_page_size=1) as writer:
        writer.write_table(table)
    with pytest.raises(InvalidInput, match="fewer and larger pages"):
        checked(sink.getvalue(), 1 << 30)


@given(st.binary(max_size=60), st.integers(0, 400))
def test_whatever_stands_there_is_a_page_or_none(noise: bytes, place: int) -> None:
    body = lies.same(5, 10, compression="none")
    start = lies.metadata(body).row_group(0).column(0).data_page_offset + place % 40
    broken = body[:start] + noise + body[start + len(noise) :]
    try:
        found = lies.metadata(broken)
    except (OSError, pa.ArrowException):
        return
    with suppress(InvalidInput, ValueError):
        check_pages(io.BytesIO(broken), found, len(broken), 1 << 20)


@pytest.mark.parametrize(("rows", "group"), [(3_000, 1), (120_000, 700), (5, 2)])
def test_row_groups_are_read_many_at_once(rows: int, group: int) -> None:
    table = pa.table({"timestamp": pa.array(np.arange(rows), pa.timestamp("us", "UTC")),
                      "asset_id": [f"m{at % 977}" for at in range(rows)],
                      "value": np.arange(rows) / 4})  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=group)
    wanted = Wanted({}, ("timestamp", "asset_id"), anchor="timestamp")
    reader = ParquetReader(Source.of_bytes(sink.getvalue()), wanted)
    found = [part for part, _ in reader.tables([0, 1, 2])]
    assert len(found) <= rows // BATCH_ROWS + 2
    assert max(map(len, found)) <= BATCH_ROWS
    assert all(column.num_chunks <= 200 for part in found for column in part.columns)
    read = pa.concat_tables(found).rename_columns(table.column_names)
    assert read.to_pydict() == table.to_pydict()


@given(
    st.lists(st.lists(st.none() | st.integers(0, 9), max_size=6), max_size=12), st.integers(1, 7)
)
def test_parts_of_a_size_have_the_same_rows(parts: list[list[int | None]], size: int) -> None:
    tables = [(pa.table({"value": part}), 0.5) for part in parts]
    found = [len(table) for table, _ in of_rows(iter(tables), size)]
    rows = [row for part in parts for row in part]
    assert (
        pa.concat_tables(
            [table for table, _ in of_rows(iter(tables), size)], promote_options="default"
        ).to_pydict()
        == {"value": rows}
        if parts
        else not found
    )
    assert found[:-1] == [size] * (len(found) - 1)
