"""Times as a file has them: instants, readings of a local clock, dates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import DAY, FIRST_INSTANT, LAST_INSTANT, parse_time
from ai_hub.errors import InvalidInput
from ai_hub.intake.columns import Mask, bools, nulls
from ai_hub.intake.times import is_date, is_naive, stored_micros

Ints = NDArray[np.int64]

# What Arrow's cast reads as we do. Zeros beyond the microsecond say nothing.
_LOCAL_ISO = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?)?$"
)
_ZEROS = r"(\.\d{6})0+$"
# The end of a day, as ISO 8601 may write it.
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]24:00(?::00(?:\.0+)?)?")
_DATE = 10


@dataclass(frozen=True, slots=True)
class WallTimes:
    """A column of times in microseconds: instants, or where `local`, what a clock showed.

    `dates` of the local ones are dates alone (their midnight), `known` says what is a time at all.
    """

    micros: Ints
    local: Mask
    dates: Mask
    known: Mask

    @classmethod
    def of(cls, raw: pa.Array) -> WallTimes:
        """The times of a column of texts, timestamps or dates; none of a column of another type."""
        if pa.types.is_string(raw.type):
            return _of_texts(raw)
        size = len(raw)
        no = np.zeros(size, dtype=np.bool_)
        if is_date(raw.type):
            days, no = _days(raw)
            micros = days * DAY
        elif pa.types.is_timestamp(raw.type):
            micros, over = stored_micros(raw)
            no = over
        else:
            return cls(np.zeros(size, dtype=np.int64), no, no, no)
        known = ~no & ~nulls(raw) & (micros >= FIRST_INSTANT) & (micros <= LAST_INSTANT)
        local = known if is_naive(raw.type) or is_date(raw.type) else known & False
        dates = known if is_date(raw.type) else known & False
        return cls(micros, local, dates, known)


def _days(raw: pa.Array) -> tuple[Ints, Mask]:
    """Dates as days since 1970, and which of them are none: too far, or with a time of day."""
    fine = pa.types.is_date64(raw.type)
    ticks = np.asarray(pc.fill_null(raw.cast(pa.int64() if fine else pa.int32()), 0))
    days, rest = np.divmod(ticks.astype(np.int64), DAY // 1_000 if fine else 1)
    none = (rest != 0) | (days < FIRST_INSTANT // DAY) | (days > LAST_INSTANT // DAY)
    return np.where(none, 0, days), none


def _of_texts(raw: pa.Array) -> WallTimes:
    texts = raw
    regular = pc.fill_null(pc.match_substring_regex(texts, _LOCAL_ISO), False)
    if not pc.all(regular).as_py() and pc.any(pc.match_substring_regex(raw, _ZEROS)).as_py():
        texts = pc.replace_substring_regex(raw, _ZEROS, r"\1")
        regular = pc.fill_null(pc.match_substring_regex(texts, _LOCAL_ISO), False)
    try:
        instants = pc.if_else(regular, texts, None).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:  # one of them is no date, such as February 30th: look at each
        regular = pa.array(np.zeros(len(raw), dtype=np.bool_))
        instants = pa.nulls(len(raw), pa.timestamp("us"))
    micros, _ = stored_micros(instants)
    micros = micros.copy()
    known = ~nulls(instants) & (micros >= FIRST_INSTANT)
    local = known.copy()
    dates = known & bools(pc.equal(pc.utf8_length(texts), _DATE))
    rest = np.flatnonzero(~bools(regular) & ~nulls(raw))
    if len(rest):
        encoded = texts.take(pa.array(rest)).dictionary_encode()
        codes = np.asarray(encoded.indices)
        found = [_parsed(text) for text in encoded.dictionary.to_pylist()]
        micros[rest] = np.array([f.micros for f in found], dtype=np.int64)[codes]
        for mask, values in (
            (local, [f.local for f in found]),
            (dates, [f.date for f in found]),
            (known, [f.known for f in found]),
        ):
            mask[rest] = np.array(values, dtype=np.bool_)[codes]
    return WallTimes(micros, local, dates, known)


@dataclass(frozen=True, slots=True)
class _Parsed:
    micros: int = 0
    local: bool = False
    date: bool = False
    known: bool = False


def _parsed(text: str) -> _Parsed:
    stamped = text.strip()
    # The end of a day as ISO 8601 may write it.
    midnight = _MIDNIGHT.fullmatch(stamped)
    if midnight is not None:
        stamped = f"{midnight.group(1)}T00:00"
    try:
        read = datetime.fromisoformat(stamped)
    except ValueError:
        return _Parsed()
    local = read.tzinfo is None
    date = local and len(stamped) <= _DATE and ":" not in stamped
    if local:
        # Read as if it were UTC: the one reader of times then also rounds nanoseconds.
        stamped += "T00:00Z" if date else "Z"
    try:
        micros = parse_time(stamped, rounding="up") + (DAY if midnight is not None else 0)
    except InvalidInput:
        return _Parsed()
    return _Parsed(micros, local, date, True) if micros <= LAST_INSTANT else _Parsed()
