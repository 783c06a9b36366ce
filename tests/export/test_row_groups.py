"""Row groups encoded apart and joined are what one writer writes, byte for byte."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.export.row_groups import GroupedFile, encoded
from ai_hub.export.thrift import read_struct, write_struct
from ai_hub.intake.labels import repeating

VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[object]]] = {
    "flag": (pa.bool_(), st.booleans()),
    "count": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "value": (pa.float64(), st.floats(allow_nan=False)),
    "note": (pa.string(), st.text(max_size=5)),
    "raw": (pa.binary(), st.binary(max_size=40)),
    "several": (pa.list_(pa.int32()), st.lists(st.integers(0, 9), max_size=3)),
    "both": (pa.struct({"x": pa.int8()}), st.fixed_dictionaries({"x": st.integers(0, 9)})),
}
METADATA = st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), max_size=3)


@st.composite
def tables(draw: st.DrawFn) -> list[pa.Table]:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True))
    sizes = draw(st.lists(st.integers(1, 30), min_size=1, max_size=20))
    found = []
    for size in sizes:
        columns = {
            "timestamp": pa.array(np.arange(size), pa.timestamp("us", "UTC")),
            "asset_id": pa.array(["a"] * size).dictionary_encode(),
        }
        for name in names:
            kind, values = VALUES[name]
            column = st.lists(st.none() | values, min_size=size, max_size=size)
            columns[name] = pa.array(draw(column), kind)
        found.append(pa.table(columns))
    return found


def written(parts: list[pa.Table], metadata: dict[str, str], compression: str) -> bytes:
    """The parts by one writer, a row group each."""
    sink = io.BytesIO()
    schema = parts[0].schema
    with pq.ParquetWriter(
        sink, schema, compression=compression, use_dictionary=repeating(schema),
        write_statistics=["timestamp", "asset_id"],
    ) as writer:  # fmt: skip
        for part in parts:
            writer.write_table(part)
        if metadata:
            writer.add_key_value_metadata(metadata)
    return sink.getvalue()


def joined(parts: list[pa.Table], metadata: dict[str, str], compression: str) -> bytes:
    sink = io.BytesIO()
    file = GroupedFile(sink.write)
    for part in parts:
        file.add(encoded(part, compression))
    file.end(metadata)
    assert file.rows == sum(map(len, parts))
    return sink.getvalue()


@given(tables(), METADATA, st.sampled_from(["snappy", "zstd"]))
def test_they_are_what_one_writer_writes(
    parts: list[pa.Table], metadata: dict[str, str], compression: str
) -> None:
    found = joined(parts, metadata, compression)
    assert found == written(parts, metadata, compression)
    assert pq.read_table(io.BytesIO(found)).equals(pa.concat_tables(parts))


def test_rows_that_are_none_are_a_file_too() -> None:
    parts = [pa.table({"timestamp": pa.array([], pa.timestamp("us", "UTC")), "asset_id": []})]
    assert joined(parts, {}, "snappy") == written(parts, {}, "snappy")


def test_a_type_that_thrift_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="type 14"):
        read_struct(bytes([0x1E, 0, 0]))


def test_fields_far_apart_and_every_type() -> None:
    # Field 20: a long id. Then a double, a byte, a list of doubles and one of booleans.
    data = bytes(
        [0x06, 40, 3, 0x17, *range(8), 0x13, 9, 0x19, 0x27, *range(16), 0x19, 0x21, 1, 2, 0]
    )
    assert write_struct(read_struct(data)) == data
