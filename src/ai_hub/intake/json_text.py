"""JSON of rows, read in pieces of some rows: between two of them other threads go on.

A decoder reads a text in one step. So a long text is parted where a row may end, and what stands
before that is read: the decoder says whether a row ended there or the text only looked so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

import msgspec

_PIECE = 1 << 20
_LONGEST_ROW = 4 << 20
_TRIES = 8
# An array of rows, by itself or as a member; where one row ends and another begins.
_ARRAY = re.compile(rb"\s*\[")
_MEMBER = re.compile(rb'"rows"\s*:\s*\[')
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")
_OURS = "rows that were read before"
_MARK = json.dumps(_OURS).encode() + b","


class NotJson(ValueError):
    """A text that is not JSON, or has a row of more than 4 MiB."""


def count(body: bytes, byte: bytes) -> int:
    """How often a byte stands in a body."""
    return sum(body.count(byte, at, at + _PIECE) for at in range(0, len(body), _PIECE))


def decode(body: bytes) -> object:
    """The value of a text, also with NaN and Infinity. Raises NotJson.

    Of a long one it is an array of rows, or an object with such an array as its member `rows`.
    """
    if len(body) <= _PIECE:
        return _decode(body)
    array = _ARRAY.match(body)
    found = array or _MEMBER.search(body, 0, _PIECE)
    if found is None:
        return _rest(body)
    rows, at = _pieces(body, found.end())
    if not rows:
        return _rest(body)
    # What is before the rows, the last of them and what is behind them are a text of their own.
    whole = _rest(body[: found.end()] + _MARK + body[at:])
    last = whole.get("rows") if isinstance(whole, dict) else whole
    # Where there is a second member of that name, the last one counts.
    if not isinstance(last, list) or last[:1] != [_OURS]:
        return whole
    last[:1] = rows
    return whole


def decode_lines(body: bytes, otherwise: Callable[[bytes], object]) -> list[object]:
    """The values of lines that are not blank; `otherwise` gives that of a line that is not JSON."""
    found: list[object] = []
    for piece in _lines(body):
        if len(piece) <= _LONGEST_ROW:
            with suppress(msgspec.DecodeError, ValueError, RecursionError):
                found += msgspec.json.Decoder().decode_lines(piece)
                continue
        for line in piece.split(b"\n"):
            if line.strip():
                try:
                    found.append(_rest(line))
                except NotJson:
                    found.append(otherwise(line))
    return found


def _lines(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        end = body.find(b"\n", at + _PIECE) + 1 or len(body)
        yield body[at:end]
        at = end


def _pieces(body: bytes, at: int) -> tuple[list[object], int]:
    """The rows from a place on as far as they can be parted, and where the others begin."""
    rows: list[object] = []
    while len(body) - at > _PIECE:
        ends = _BETWEEN.finditer(body, at + _PIECE, at + _LONGEST_ROW)
        for end in islice(ends, _TRIES):
            try:
                found = _decode(b"[" + body[at : end.start() + 1] + b"]")
            except NotJson:
                continue
            assert isinstance(found, list)
            rows += found
            at = end.end()
            break
        else:
            break
    return rows, at


def _rest(body: bytes) -> object:
    if len(body) > _LONGEST_ROW:
        raise NotJson
    return _decode(body)


def _decode(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    # The standard library also reads NaN and Infinity, which Python's own writer emits: a row at
    # fault and not a malformed body.
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        raise NotJson from None
    return found
