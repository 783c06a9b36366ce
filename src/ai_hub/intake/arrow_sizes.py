"""How much an Arrow body decodes to, read from its messages before anything is decoded.

A compressed buffer begins with its size, so a few bytes that say a great many are known by them.
The layout is that of the format's Message.fbs and Schema.fbs (Arrow columnar format, "IPC"), in
which tables of FlatBuffers say at which offset each of their fields stands.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pyarrow as pa

from ai_hub.errors import InvalidInput

ARROW_FILE = b"ARROW1"

_SPARE = 32 << 20

_CONTINUES = b"\xff\xff\xff\xff"
_MOST_ARRAYS = 50_000
"""Columns of all batches together: each is an object, however few rows it has."""
_FEW_BATCHES, _SMALL_BATCH = 64, 1_000
_DICTIONARY = 2
_RECORD = 3


def memory_for(size: int) -> int:
    """How many bytes a body of `size` bytes may be decoded to: half of what a request may take."""
    return 4 * size + _SPARE


def check_size(body: bytes, most: int) -> None:
    """InvalidInput if the record batches and dictionaries of `body` decode to more than `most`
    bytes, or are very many. Raises ValueError for what is no Arrow."""
    total = arrays = 0
    try:
        for size, columns in _sizes(body):
            total += size
            arrays += columns
            if total > most:
                raise too_much(len(body), most)
            if arrays > _MOST_ARRAYS:
                got = f"more than {_MOST_ARRAYS} columns of record batches"
                raise InvalidInput("body", got, "fewer and larger batches")
    except (struct.error, IndexError) as error:
        raise ValueError(f"no Arrow: {error}") from None


def as_table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The rows of some batches; of many small ones in one piece, as each costs as much as a large
    one in all that is done with them."""
    table = pa.Table.from_batches(batches, schema)
    many = len(batches) > _FEW_BATCHES and len(table) < _SMALL_BATCH * len(batches)
    return table.combine_chunks() if many else table


def too_much(size: int, most: int) -> InvalidInput:
    """The error of a body of `size` bytes that would take more than `most`."""
    hint = "Send it in several bodies, or without compression."
    return InvalidInput("body", f"{size} bytes", f"a body that decodes to {most} bytes", hint)


def _sizes(body: bytes) -> Iterator[tuple[int, int]]:
    """The decoded size of every message with buffers, and how many columns it has."""
    # In a file the stream stands behind the magic, which is padded to 8 bytes.
    at = 8 if body[: len(ARROW_FILE)] == ARROW_FILE else 0
    while at + 8 <= len(body):
        at += 4 if body[at : at + 4] == _CONTINUES else 0
        (length,) = struct.unpack_from("<i", body, at)
        if length <= 0:
            return
        metadata = at + 4
        at = metadata + length
        message = metadata + _u32(body, metadata)
        kind = _field(body, message, 1)
        header = _table(body, message, 2)
        size = _field(body, message, 3)
        if kind and header is not None and body[kind] in (_DICTIONARY, _RECORD):
            record = header if body[kind] == _RECORD else _table(body, header, 1)
            if record is not None:
                nodes = _table(body, record, 1)
                columns = 0 if nodes is None else _u32(body, nodes)
                yield _decoded(body, record, at), max(columns, 1)
        at += max(struct.unpack_from("<q", body, size)[0], 0) if size else 0


def _decoded(body: bytes, record: int, start: int) -> int:
    """The bytes of a record batch's buffers once they are decoded."""
    compressed = _field(body, record, 3) is not None
    at = _field(body, record, 2)
    if at is None:
        return 0
    vector = at + _u32(body, at)
    total = 0
    for place in range(_u32(body, vector)):
        offset, length = struct.unpack_from("<qq", body, vector + 4 + 16 * place)
        if compressed and length >= 8:
            (said,) = struct.unpack_from("<q", body, start + offset)
            length = said if said >= 0 else length
        total += max(length, 0)
    return total


def _u32(body: bytes, at: int) -> int:
    found: int = struct.unpack_from("<I", body, at)[0]
    return found


def _field(body: bytes, table: int, number: int) -> int | None:
    """Where a field of a table stands, None where the table does not have it."""
    entries = table - struct.unpack_from("<i", body, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", body, entries)[0]:
        return None
    offset = struct.unpack_from("<H", body, entries + 4 + 2 * number)[0]
    return table + offset if offset else None


def _table(body: bytes, table: int, number: int) -> int | None:
    at = _field(body, table, number)
    return None if at is None else at + _u32(body, at)
