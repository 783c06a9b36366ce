"""Instants of a column: what is a time at all, as microseconds since the epoch."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT, Rounding, parse_time
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import TIME
from ai_hub.intake.columns import Column, Mask, bools, nulls
from ai_hub.intake.dialect.nulls import NO_MORE, Nulls
from ai_hub.intake.marks import read_mark

YEARS = "a time between the years 1 and 9999"
_NO_OFFSET = ". It has no offset: add Z for UTC, or +02:00 and the like."
NO_ZONE = (
    ". It has no offset: write one (Z is UTC), or name the zone of such times "
    "(--timezone, timezone=)"
)
NO_FORMAT = ". If it is a time, say how it is written (--time-format, time_format=)"
WITH_OFFSET = "a time with an offset, such as 2025-10-09T14:30:00Z"

_UNIT_MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}

# What Arrow's cast reads exactly as parse_time does; anything else goes through parse_time itself.
_ISO = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$"


def check_times(
    field: str,
    raw: pa.Array,
    default: Column | None = None,
    known: Nulls = NO_MORE,
    no_offset: str = _NO_OFFSET,
    no_time: str = "",
    rounding: Rounding = "up",
) -> Column:
    """Instants as microseconds since the epoch, finer ones rounded as said (data up).

    With a `default`, null or empty takes its time. `known` says which texts stand for null,
    `no_offset` what helps where a time has no offset, `no_time` where a text with digits is none.
    """
    texts = pa.types.is_string(raw.type)
    micros, bad = _text_times(raw, rounding) if texts else _typed_times(raw, rounding)
    bad |= (micros < FIRST_INSTANT) | (micros > LAST_INSTANT)
    if default is not None:
        empty = nulls(raw) | known.among(raw) if texts else nulls(raw)
        micros = np.where(empty, default.keys, micros)
        bad &= ~empty

    def why(row: int) -> str:
        cell = raw[row]
        if not texts and cell.is_valid:
            if is_naive(raw.type) or is_date(raw.type):
                return f"expected {WITH_OFFSET}{no_offset}"
            if pa.types.is_timestamp(raw.type):
                return f"expected {YEARS}"
        text = cell.as_py() if texts else None
        hint = no_offset if is_local(text) else no_time if _may_be_one(text) else ""
        return f"expected {_expected(text)}{hint}"

    return Column(field, micros, bad, lambda keys: pa.array(keys).cast(TIME), why, raw)


def _expected(text: str | None) -> str:
    """What is expected instead of a text that is no time."""
    mark = read_mark(text)
    if mark is not None and mark.expected:
        return mark.expected
    try:
        parse_time(text, rounding="up")
    except InvalidInput as error:
        return error.expected
    return YEARS


def _may_be_one(text: str | None) -> bool:
    """Whether a text that is no ISO 8601 could be a time in another way."""
    if text is None or read_mark(text) is not None or not any(map(str.isdigit, text)):
        return False
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        return True
    return False


def is_local(text: str | None) -> bool:
    """Whether a text is a time or a date that does not say its offset."""
    try:
        return text is not None and datetime.fromisoformat(text.strip()).tzinfo is None
    except ValueError:
        return False


def is_date(kind: pa.DataType) -> bool:
    """Whether a type is days without a time."""
    return bool(pa.types.is_date(kind))


def is_naive(kind: pa.DataType) -> bool:
    """Whether a type is datetimes that do not say which zone they are in."""
    return pa.types.is_timestamp(kind) and kind.tz is None


def stored_micros(raw: pa.Array, rounding: Rounding = "up") -> tuple[NDArray[np.int64], Mask]:
    """A timestamp array as microseconds, nanoseconds rounded as said, and where that overflows."""
    ticks = np.asarray(pc.fill_null(raw.cast(pa.int64()), 0))
    if raw.type.unit == "ns":
        micros = -(-ticks // 1_000) if rounding == "up" else ticks // 1_000
        return micros, np.zeros(len(ticks), dtype=np.bool_)
    factor = _UNIT_MICROS[raw.type.unit]
    limit = np.iinfo(np.int64).max // factor
    over = (ticks > limit) | (ticks < -limit)
    return np.where(over, 0, ticks) * factor, over


def _typed_times(raw: pa.Array, rounding: Rounding) -> tuple[NDArray[np.int64], Mask]:
    if not pa.types.is_timestamp(raw.type) or is_naive(raw.type):
        return np.zeros(len(raw), dtype=np.int64), np.ones(len(raw), dtype=np.bool_)
    micros, over = stored_micros(raw, rounding)
    return micros, over | nulls(raw)


def _text_times(raw: pa.Array, rounding: Rounding) -> tuple[NDArray[np.int64], Mask]:
    regular = pc.fill_null(pc.match_substring_regex(raw, _ISO), False)
    try:
        instants = pc.if_else(regular, raw, None).cast(TIME)
    except pa.ArrowInvalid:  # one of them is no date, such as February 30th: look at each
        regular = pa.array(np.zeros(len(raw), dtype=np.bool_))
        instants = pa.nulls(len(raw), TIME)
    micros, _ = stored_micros(instants)
    bad = nulls(instants)
    rest = np.flatnonzero(~bools(regular) & ~nulls(raw))
    if len(rest):
        encoded = raw.take(pa.array(rest)).dictionary_encode()
        parsed = [_parsed(text, rounding) for text in encoded.dictionary.to_pylist()]
        codes = np.asarray(encoded.indices)
        micros = micros.copy()
        micros[rest] = np.array([p or 0 for p in parsed], dtype=np.int64)[codes]
        bad[rest] = np.array([p is None for p in parsed], dtype=np.bool_)[codes]
    return micros, bad


def _parsed(text: str, rounding: Rounding) -> int | None:
    try:
        return parse_time(text, rounding=rounding)
    except InvalidInput:
        return None
