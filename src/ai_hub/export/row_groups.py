"""Row groups of a Parquet file that are encoded apart, side by side, and joined in their order.

Each is encoded as a file of its own. Of that the pages are taken as they are; what it says of them
is moved to where they come to stand. The whole is, byte for byte, what one writer writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub.export.thrift import I16, I64, Listed, Struct, read_struct, write_struct
from ai_hub.intake.labels import repeating

_MAGIC = b"PAR1"
# Fields of the structs in parquet.thrift.
_ROWS, _GROUPS, _KEY_VALUES = 3, 4, 5  # FileMetaData
_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _ORDINAL = 1, 3, 5, 7  # RowGroup
_CHUNK_OFFSET, _CHUNK = 2, 3  # ColumnChunk
_NAME, _VALUE = 1, 2  # KeyValue
_PAGES = (9, 10, 11)  # ColumnMetaData: the first page of data, of an index, of a dictionary
_STRUCT, _TEXT, _MANY = 12, 8, 9


class RowGroup(NamedTuple):
    """One row group: its pages, and what a file of it alone says of itself."""

    pages: pa.Buffer
    footer: Struct


def encoded(rows: pa.Table, compression: str) -> RowGroup:
    """Some rows as a row group. Arrow does it without the interpreter."""
    schema = rows.schema
    # The system's allocator grows a buffer where it is, and gives its pages out again: Arrow's own
    # copies it, and asks for new pages each time.
    sink = pa.BufferOutputStream(pa.system_memory_pool())
    # Statistics serve who filters, and that is by id and time.
    with pq.ParquetWriter(
        sink,
        schema,
        compression=compression,
        use_dictionary=repeating(schema),
        write_statistics=["timestamp", "asset_id"],
        # What is done for each batch, by default 1,024 rows, takes a twelfth of the whole.
        write_batch_size=max(1, rows.num_rows),
        store_schema=True,
    ) as writer:
        writer.write_table(rows, row_group_size=max(1, rows.num_rows))
    whole = sink.getvalue()
    end = whole.size - len(_MAGIC) - 4
    size = int.from_bytes(whole[end : end + 4].to_pybytes(), "little")
    footer = whole[end - size : end].to_pybytes()
    return RowGroup(whole[len(_MAGIC) : end - size], read_struct(footer))


class GroupedFile:
    """A Parquet file of row groups that were encoded apart; `write` appends to it."""

    def __init__(self, write: Callable[[bytes | memoryview], object]) -> None:
        self.rows = 0
        self._write = write
        self._size = 0
        """Bytes of its row groups."""
        self._first: Struct = {}
        self._groups: list[Struct] = []
        write(_MAGIC)

    def add(self, group: RowGroup) -> None:
        """Append a row group. Raises OSError."""
        self._write(memoryview(group.pages))
        self._first = self._first or group.footer
        for own in _list(group.footer, _GROUPS):
            _move(own, self._size, len(self._groups))
            self._groups.append(own)
            self.rows += _int(own, _GROUP_ROWS)
        self._size += group.pages.size

    def end(self, metadata: Mapping[str, str]) -> None:
        """Say what it is, `metadata` included, once it has a row group: it is whole. Raises
        OSError."""
        said = [_pair(key, value) for key, value in metadata.items()]
        names = [pair[_NAME] for pair in said]
        # What the schema says is repeated in it.
        said += [pair for pair in _list(self._first, _KEY_VALUES) if pair[_NAME] not in names]
        footer = write_struct(
            {
                **self._first,
                _ROWS: (I64, self.rows),
                _GROUPS: (_MANY, Listed(_STRUCT, [*self._groups])),
                _KEY_VALUES: (_MANY, Listed(_STRUCT, [*said])),
            }
        )
        self._write(footer + len(footer).to_bytes(4, "little") + _MAGIC)


def _move(group: Struct, by: int, place: int) -> None:
    """Let a row group begin so many bytes later, as the file's `place`th."""
    _shift(group, _GROUP_OFFSET, by)
    if _ORDINAL in group:
        group[_ORDINAL] = (I16, place)
    for column in _list(group, _COLUMNS):
        if column.get(_CHUNK_OFFSET, (I64, 0)) != (I64, 0):
            _shift(column, _CHUNK_OFFSET, by)
        _, chunk = column[_CHUNK]
        assert isinstance(chunk, dict)
        for page in _PAGES:
            _shift(chunk, page, by)


def _shift(struct: Struct, name: int, by: int) -> None:
    if name in struct:
        struct[name] = (I64, _int(struct, name) + by)


def _int(struct: Struct, name: int) -> int:
    _, value = struct[name]
    assert isinstance(value, int)
    return value


def _list(struct: Struct, name: int) -> list[Struct]:
    """The structs of a list."""
    _, value = struct[name]
    assert isinstance(value, Listed)
    return [item for item in value.items if isinstance(item, dict)]


def _pair(key: str, value: str) -> Struct:
    return {_NAME: (_TEXT, key.encode()), _VALUE: (_TEXT, value.encode())}
