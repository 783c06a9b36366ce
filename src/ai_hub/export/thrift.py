"""The compact form of Thrift, in which a Parquet file says what it is.

As its specification has it ("Thrift compact protocol"): a struct is read into its fields by id,
changed, and written again.
"""

from __future__ import annotations

from typing import NamedTuple

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
I16, I32, I64 = 4, 5, 6
"""Types of whole numbers."""
_WHOLE = frozenset({I16, I32, I64})
_SHORT = 15


class Listed(NamedTuple):
    """A list: the type of its items, and they."""

    kind: int
    items: list[Value]


Struct = dict[int, tuple[int, "Value"]]
"""The fields of a struct: by id its type, and its value."""
Value = int | bytes | Listed | Struct


def read_struct(data: bytes) -> Struct:
    """The struct that some bytes begin with. Raises ValueError for a type that is none."""
    found, _ = _struct(data, 0)
    return found


def write_struct(struct: Struct) -> bytes:
    """A struct as bytes."""
    out = bytearray()
    _put_struct(out, struct)
    return bytes(out)


def _struct(data: bytes, at: int) -> tuple[Struct, int]:
    found: Struct = {}
    name = 0
    while head := data[at]:
        at += 1
        kind, step = head & 15, head >> 4
        if step:
            name += step
        else:
            name, at = _whole(data, at)
        if kind in (_TRUE, _FALSE):
            # As a field it has no bytes beside its type.
            found[name] = (kind, b"")
        else:
            value, at = _value(data, at, kind)
            found[name] = (kind, value)
    return found, at + 1


def _value(data: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in _WHOLE:
        return _whole(data, at)
    if kind == _STRUCT:
        return _struct(data, at)
    if kind in (_LIST, _SET):
        return _list(data, at)
    if kind == _BINARY:
        size, at = _varint(data, at)
    elif kind in (_TRUE, _FALSE, _BYTE):
        size = 1
    elif kind == _DOUBLE:
        size = 8
    else:
        raise ValueError(f"a value of the type {kind}")
    return data[at : at + size], at + size


def _list(data: bytes, at: int) -> tuple[Listed, int]:
    kind, size = data[at] & 15, data[at] >> 4
    at += 1
    if size == _SHORT:
        size, at = _varint(data, at)
    items = []
    for _ in range(size):
        item, at = _value(data, at, kind)
        items.append(item)
    return Listed(kind, items), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while (byte := data[at]) & 128:
        found |= (byte & 127) << shift
        shift += 7
        at += 1
    return found | byte << shift, at + 1


def _whole(data: bytes, at: int) -> tuple[int, int]:
    found, at = _varint(data, at)
    return found >> 1 ^ -(found & 1), at


def _put_struct(out: bytearray, struct: Struct) -> None:
    before = 0
    for name, (kind, value) in sorted(struct.items()):
        step = name - before
        if step <= _SHORT:
            out.append(step << 4 | kind)
        else:
            out.append(kind)
            _put_varint(out, name << 1)
        before = name
        _put(out, kind, value)
    out.append(0)


def _put(out: bytearray, kind: int, value: Value) -> None:
    match value:
        case int():
            _put_varint(out, value << 1 ^ value >> 63)
        case dict():
            _put_struct(out, value)
        case Listed(of, items):
            if len(items) < _SHORT:
                out.append(len(items) << 4 | of)
            else:
                out.append(_SHORT << 4 | of)
                _put_varint(out, len(items))
            for item in items:
                _put(out, of, item)
        case bytes():
            if kind == _BINARY:
                _put_varint(out, len(value))
            out += value


def _put_varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
