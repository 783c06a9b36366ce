"""Marks: cells that cannot be what their column holds, carried as text to the check.

An Arrow column has one type, and one odd cell must cost its own row only. Such a cell travels as a
text that begins with a control character: no id, number or time may contain one, so every check
refuses it, and the rejection shows what stood there. A sender who writes a mark by hand only words
the rejection of their own row.
"""

from __future__ import annotations

from dataclasses import dataclass

_CELL = "\x00"
_ROW = "\x01"
_END = "\x02"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Mark:
    """What a marked cell says: the value that stood there, what is expected (empty: what the
    column expects), and whether the fault is the whole row's."""

    value: str
    expected: str
    whole_row: bool


def mark_cell(value: str, expected: str = "") -> str:
    """The text that stands for the odd cell `value`."""
    return f"{_CELL}{expected}{_END}{cut(value)}"


def mark_row(value: str, expected: str) -> str:
    """The text that, as a row's timestamp, refuses the row as a whole."""
    return f"{_ROW}{expected}{_END}{cut(value)}"


def read_mark(text: object) -> Mark | None:
    """The mark in `text`, or None if it is none."""
    if not isinstance(text, str) or text[:1] not in (_CELL, _ROW) or _END not in text:
        return None
    expected, _, value = text[1:].partition(_END)
    return Mark(value, expected, text[0] == _ROW)


def cut(text: str) -> str:
    """`text` at a length that can be shown, without what UTF-8 cannot hold."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return short.encode("utf-8", "backslashreplace").decode()
