"""Marks: cells that cannot be what their column holds, carried as text to the check.

An Arrow column has one type, and one odd cell must cost its own row only. Such a cell travels as a
text that begins with a control character: no id, number or time may contain one, so every check
refuses it, and the rejection shows what stood there. A sender who writes a mark by hand only words
the rejection of their own row.

What a reader has to say of a whole table travels with it as well, in the metadata of its schema.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.intake.result import Remark

_CELL = "\x00"
_ROW = "\x01"
_END = "\x02"
_NUMBER_END = "\x03"
_REMARKS = b"ai_hub.remarks"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Mark:
    """What a marked cell says: the value that stood there, what is expected (empty: what the
    column expects), and whether the fault is the whole row's."""

    value: str | int | float
    expected: str
    whole_row: bool


def mark_cell(value: str | int | float, expected: str = "") -> str:
    """The text that stands for the odd cell `value`; a number is shown as one."""
    if isinstance(value, str):
        return f"{_CELL}{expected}{_END}{cut(value)}"
    return f"{_CELL}{expected}{_NUMBER_END}{value!r}"


def mark_row(value: str, expected: str) -> str:
    """The text that, as a row's timestamp, refuses the row as a whole."""
    return f"{_ROW}{expected}{_END}{cut(value)}"


def read_mark(text: object) -> Mark | None:
    """The mark in `text`, or None if it is none."""
    if not isinstance(text, str) or text[:1] not in (_CELL, _ROW):
        return None
    whole_row = text[0] == _ROW
    expected, end, value = text[1:].partition(_END)
    if end:
        return Mark(value, expected, whole_row)
    expected, end, value = text[1:].partition(_NUMBER_END)
    if not end:
        return None
    try:
        number: object = json.loads(value)
    except ValueError:
        number = value
    return Mark(number if isinstance(number, int | float) else value, expected, whole_row)


def with_remarks(table: pa.Table, *remarks: Remark) -> pa.Table:
    """`table` with more remarks on it: readers leave them there for the check."""
    every = [*remarks_of(table), *remarks]
    kept = json.dumps([asdict(remark) for remark in dict.fromkeys(every)]).encode()
    metadata = {**(table.schema.metadata or {}), _REMARKS: kept}
    return table.replace_schema_metadata(metadata)


def remarks_of(table: pa.Table) -> tuple[Remark, ...]:
    """The remarks on a table."""
    kept: Any = json.loads((table.schema.metadata or {}).get(_REMARKS, b"[]"))
    return tuple(Remark(**remark) for remark in kept)


def is_marked_row(texts: Any) -> NDArray[np.bool_]:
    """Which cells of a column of times are marks that `mark_row` made."""
    if not pa.types.is_string(texts.type):
        return np.zeros(len(texts), dtype=np.bool_)
    return np.asarray(pc.fill_null(pc.starts_with(texts, _ROW), False))


def cut(text: str) -> str:
    """`text` at a length that can be shown, without what UTF-8 cannot hold."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return short.encode("utf-8", "backslashreplace").decode()
