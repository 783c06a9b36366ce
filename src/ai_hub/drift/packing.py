"""Arrays with a name each as compact bytes, and back: what is kept of sketches."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ai_hub.errors import InvalidInput

_HEAD = struct.Struct("<4sI")
_MARK = b"AIHD"


class Packed(NamedTuple):
    """What was packed: plain values, and arrays."""

    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def pack(kind: str, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Bytes of plain values and arrays: a compressed JSON header, then the arrays."""
    shapes = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    header = json.dumps({"kind": kind, "values": dict(values), "arrays": shapes}).encode()
    body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    return _HEAD.pack(_MARK, len(header)) + zlib.compress(header + body, 6)


def unpack(kind: str, data: bytes) -> Packed:
    """What `pack` made of it. Raises InvalidInput naming `kind` for bytes that it did not make."""
    try:
        mark, length = _HEAD.unpack_from(data)
        if mark != _MARK:
            raise ValueError
        content = zlib.decompress(data[_HEAD.size :])
        header = json.loads(content[:length])
        if header["kind"] != kind:
            raise ValueError
        arrays = {}
        for name, dtype, shape in header["arrays"]:
            count = int(np.prod(shape))
            array = np.frombuffer(content, dtype, count, length).reshape(shape)
            length += array.nbytes
            arrays[name] = array.copy()
        return Packed(header["values"], arrays)
    except (struct.error, zlib.error, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            kind.partition(" ")[0], f"{len(data)} bytes", f"what is kept of a {kind}"
        ) from error
