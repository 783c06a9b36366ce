"""Python values, as rows of dicts hold them, as an Arrow column; odd cells as marks.

Values of one type become a column of it. Where types mix, the column becomes text: every cell as
the text that the check reads back to the same value, and a cell that no text can mean as a mark.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import NoneType
from typing import Any

import numpy as np
import pyarrow as pa

from ai_hub.definitions.values import iso, to_micros
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import ID_FIELDS, TIME, TIME_FIELDS
from ai_hub.intake.columns import plain
from ai_hub.intake.marks import mark_cell

# Longer whole numbers are no numbers to every reader of JSON.
_LONG = 2**53

# Scalars that are a Python value in other clothes; a datetime64 is not (it has no zone).
_NUMPY = (np.integer, np.floating, np.bool_, np.str_)


_PLAIN_TYPES = (
    *(pa.types.is_null, pa.types.is_boolean, pa.types.is_string, pa.types.is_timestamp),
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    *(pa.types.is_date, pa.types.is_time),
)

_NO_PERIOD = (
    "a time; a period is a stretch of it: take its start (.to_timestamp()), and say how long it is "
    "(interval_start)"
)


class _Short(reprlib.Repr):
    """A short repr of anything, without where it is in memory."""

    def repr_instance(self, x: Any, level: int) -> str:
        return _ADDRESS.sub("", super().repr_instance(x, level))


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SHORT = _Short()
_SHORT.maxother = 200


def to_column(field: str, values: Sequence[object]) -> pa.Array:
    """A column of `values` for `field`; never raises, whatever stands in a cell."""
    kinds = set(map(type, values))
    if any(issubclass(kind, np.generic) for kind in kinds):
        values = [value.item() if isinstance(value, _NUMPY) else value for value in values]
        kinds = set(map(type, values))
    kinds.discard(NoneType)
    try:
        typed = _typed(field, values, kinds)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        typed = None  # an integer over 64 bits, half a surrogate pair
    if typed is not None:
        return typed
    text = _as_time if field in TIME_FIELDS else _as_id if field in ID_FIELDS else _as_number
    return pa.array([_text(value, text) for value in values], pa.string())


def plain_cells(field: str, values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column for `field` as one array of a plain type; any other is read cell by cell."""
    found = plain(values)
    if any(is_of(found.type) for is_of in _PLAIN_TYPES):
        return found
    return to_column(field, found.to_pylist())


def _typed(field: str, values: Sequence[object], kinds: set[type]) -> pa.Array | None:
    if kinds <= {str}:
        return pa.array(values, pa.string())
    if kinds in ({int}, {float}, {bool}):
        return pa.array(values)
    if kinds == {int, float} and field not in ID_FIELDS:
        return pa.array(values, pa.float64())
    if kinds == {date}:
        return pa.array(values, pa.date32())
    if kinds == {datetime}:
        naive = {value.utcoffset() is None for value in values if isinstance(value, datetime)}
        if len(naive) == 1:
            return pa.array(values, pa.timestamp("us") if naive == {True} else TIME)
    return None


def _text(value: object, text: Callable[[object], str | None]) -> str | None:
    # pandas' NA, NaT and a float NaN are three spellings of nothing.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.datetime64) and np.isnat(value):
        return None
    try:
        found = text(value)
        if found is not None:
            found.encode()
            return found
    except (ValueError, OverflowError, InvalidInput):
        pass  # too large an integer to print, half a surrogate pair, a time before the year 1
    if isinstance(value, str):
        return mark_cell(ascii(value)[1:-1])
    if isinstance(value, float) and math.isfinite(value):
        return mark_cell(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LONG:
        return mark_cell(value)
    return mark_cell(_SHORT.repr(value))


def _as_time(value: object) -> str | None:
    if isinstance(value, str | np.datetime64):
        return str(value)
    if type(value).__name__ == "Period":  # of pandas
        return mark_cell(str(value), _NO_PERIOD)
    if not isinstance(value, datetime):
        return value.isoformat() if isinstance(value, date) else None
    # With every digit: which way finer ones are rounded is for the check to say.
    as_is = value.utcoffset() is None or getattr(value, "nanosecond", 0) != 0
    return value.isoformat() if as_is else iso(to_micros(value))


def _as_id(value: object) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if isinstance(value, str) or whole else None


def _as_number(value: object) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and math.isinf(value):
        return None
    return str(value) if isinstance(value, str | int | float | Decimal) else None
