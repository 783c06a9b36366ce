"""One Arrow column in, of whatever type it came; its checked values and faulty rows out.

Typed columns are checked whole. Python looks at distinct values only, and only at those that a
vectorised rule cannot decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import (
    FIRST_INSTANT,
    LAST_INSTANT,
    Rounding,
    id_fault,
    parse_time,
    to_micros,
)
from ai_hub.errors import InvalidInput, shown
from ai_hub.intake.batch import TIME
from ai_hub.intake.marks import cut, read_mark

Mask = NDArray[np.bool_]

NUMBER = "a finite number"
OPTIONAL_NUMBER = "a finite number or null"
WHOLE = "a whole number from -2147483648 to 2147483647"
YEARS = "a time between the years 1 and 9999"

_UNIT_MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}

# What Arrow's cast reads exactly as parse_time does; anything else goes through parse_time itself.
_ISO = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$"
# float() without underscores, words and digits of other scripts.
_FLOAT = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


@dataclass(frozen=True, slots=True)
class Column:
    """A checked column.

    `keys` has a value per row that sorts as the column does (anything where `faulty`), `build`
    makes the Arrow column of some of them, `why` words the fault of a row, `raw` is what came.
    """

    field: str
    keys: NDArray[Any]
    faulty: Mask
    build: Callable[[NDArray[Any]], pa.Array]
    why: Callable[[int], str]
    raw: pa.Array | None

    def shown(self, row: int) -> object:
        """The cell of `row` as a rejection shows it: a string, a number or None."""
        return None if self.raw is None else _shown_cell(self.raw, row)


def column(table: pa.Table, field: str) -> pa.Array | None:
    """The column of that name as one plain array, texts as `string`; None if there is none.

    Raises InvalidInput if there are several.
    """
    count = table.column_names.count(field)
    if count > 1:
        raise InvalidInput(field, table.column_names, f'one column named "{field}"')
    return plain(table.column(field)) if count else None


def plain(values: Any) -> pa.Array:
    """An array or chunked array as one array, dictionaries decoded, texts as `string`."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    try:
        decoded = [_decoded(chunk) for chunk in chunks]
    except pa.ArrowNotImplementedError:
        decoded = chunks  # of a type that no column of ours can be: the check refuses it
    if not decoded:
        return pa.nulls(0, values.type)
    return decoded[0] if len(decoded) == 1 else pa.concat_arrays(decoded)


def _decoded(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _decoded(values.dictionary).take(values.indices)
    if pa.types.is_run_end_encoded(kind):
        return _decoded(pc.run_end_decode(values))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    return values


def nulls(values: pa.Array) -> Mask:
    """Where an array is null."""
    return bools(values.is_null())


def bools(values: Any) -> Mask:
    """A boolean array as a mask; null is False."""
    mask: Mask = np.asarray(pc.fill_null(values, False))
    return mask


# Times


def check_times(
    field: str, raw: pa.Array, default: Column | None = None, rounding: Rounding = "up"
) -> Column:
    """Instants as microseconds since the epoch, finer ones rounded as said (data up).

    With a `default`, null or empty takes its time.
    """
    texts = pa.types.is_string(raw.type)
    micros, bad = _text_times(raw, rounding) if texts else _typed_times(raw, rounding)
    bad |= (micros < FIRST_INSTANT) | (micros > LAST_INSTANT)
    if default is not None:
        empty = nulls(raw) | bools(pc.equal(raw, "")) if texts else nulls(raw)
        micros = np.where(empty, default.keys, micros)
        bad &= ~empty

    def why(row: int) -> str:
        if is_naive(raw.type) and raw[row].is_valid:
            return _fault(lambda: to_micros(datetime.min, field), datetime.min.isoformat(), field)
        if pa.types.is_timestamp(raw.type) and raw[row].is_valid:
            return f"expected {YEARS}"
        value = raw[row].as_py() if texts else None
        mark = read_mark(value)
        if mark is not None and mark.expected:
            return f"expected {mark.expected}"
        return _fault(lambda: parse_time(value, field, rounding), value, field)

    return Column(field, micros, bad, lambda keys: pa.array(keys).cast(TIME), why, raw)


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


def _fault(parse: Callable[[], int], value: object, field: str) -> str:
    try:
        parse()
    except InvalidInput as error:
        return str(error).removeprefix(f"{field}: got {shown(value)}, ")
    return f"expected {YEARS}"


# Ids


def check_ids(
    field: str,
    raw: pa.Array | None,
    size: int,
    limit: int,
    default: str | None = None,
    only: str | None = None,
) -> Column:
    """Ids, whole numbers as their decimal text; null takes `default`, and so does the empty text.

    `size` is the number of rows (a column may be absent), `limit` the longest id in characters;
    with `only`, any other id is at fault.
    """
    texts = pa.nulls(size, pa.string()) if raw is None else id_texts(raw)
    encoded = texts.dictionary_encode()
    # With no default the empty text stays, to be told from an id that is not there.
    names: list[str | None] = [
        name if name or default is None else default for name in encoded.dictionary.to_pylist()
    ]
    names.append(default)  # a null row has the code -1, the last
    codes = np.asarray(pc.fill_null(encoded.indices, -1))
    faults = [_id_why(name, limit, only) for name in names]
    distinct = sorted({name for name in names if name is not None})
    rank = {name: place for place, name in enumerate(distinct)}
    keys = np.array([0 if name is None else rank[name] for name in names], dtype=np.int64)[codes]
    faulty = np.array([fault is not None for fault in faults], dtype=np.bool_)[codes]
    dictionary = pa.array(distinct, pa.string())
    return Column(
        field,
        keys,
        faulty,
        lambda keys: dictionary.take(pa.array(keys)),
        lambda row: f"expected {faults[codes[row]]}",
        raw,
    )


def id_texts(raw: pa.Array) -> pa.Array:
    """Ids as texts, those of another type than texts and whole numbers as marks."""
    # Meter ids are often numeric, and a frame or Parquet file then has an integer column.
    if pa.types.is_string(raw.type) or pa.types.is_integer(raw.type):
        return raw.cast(pa.string())
    return pa.nulls(len(raw), pa.string()) if pa.types.is_null(raw.type) else _unfit(raw)


def _unfit(raw: pa.Array) -> pa.Array:
    # A mark for every value, so that a default cannot take the place of something that was sent.
    return pc.if_else(raw.is_valid(), pa.scalar("\x00\x02"), pa.scalar(None, pa.string()))


def _id_why(name: str | None, limit: int, only: str | None) -> str | None:
    mark = read_mark(name)
    if mark is not None:
        return mark.expected or "a string"
    if only is not None and name != only:
        return f"{only!r}, the tenant of this batch"
    return id_fault(name, limit)


# Numbers


def check_numbers(field: str, raw: pa.Array | None, size: int, required: bool) -> Column:
    """Finite float64 numbers; unless `required`, null, NaN and the empty text are null."""
    numbers, absent, bad = _numbers(raw, size)
    bad = bad | np.isinf(numbers) | (absent if required else False)
    expected = NUMBER if required else OPTIONAL_NUMBER
    return Column(
        field,
        numbers,
        bad,
        lambda keys: pa.array(keys, pa.float64(), from_pandas=True),
        lambda _: f"expected {expected}",
        raw,
    )


def check_quality(field: str, raw: pa.Array | None, size: int) -> Column:
    """Whole numbers of 32 bits; null and the empty text are 1."""
    numbers, absent, bad = _numbers(raw, size)
    whole = np.where(absent, 1.0, numbers)
    bounds = np.iinfo(np.int32)
    bad = bad | ~((whole >= bounds.min) & (whole <= bounds.max) & (np.floor(whole) == whole))
    keys = np.where(bad, 0, whole).astype(np.int32)
    return Column(field, keys, bad, lambda keys: pa.array(keys), lambda _: f"expected {WHOLE}", raw)


def _numbers(raw: pa.Array | None, size: int) -> tuple[NDArray[np.float64], Mask, Mask]:
    """Numbers (NaN where there is none), where nothing was sent, where it was no number."""
    if raw is None or pa.types.is_null(raw.type):
        absent = np.ones(size, dtype=np.bool_)
        return np.full(size, np.nan), absent, ~absent
    if pa.types.is_string(raw.type):
        return _text_numbers(raw)
    kind = raw.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        numbers = raw.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return numbers, np.isnan(numbers), np.zeros(size, dtype=np.bool_)
    absent = nulls(raw)
    return np.full(size, np.nan), absent, ~absent


def _text_numbers(raw: pa.Array) -> tuple[NDArray[np.float64], Mask, Mask]:
    try:
        cast = raw.cast(pa.float64())
        bad = np.zeros(len(raw), dtype=np.bool_)
    except pa.ArrowInvalid:
        texts = pc.utf8_trim_whitespace(raw)
        empty = pc.is_in(pc.utf8_lower(texts), pa.array(["", "nan"]))
        fits = pc.match_substring_regex(texts, _FLOAT)
        cast = pc.if_else(fits, texts, None).cast(pa.float64())
        bad = ~nulls(raw) & ~bools(empty) & ~bools(fits)
    numbers = cast.to_numpy(zero_copy_only=False)
    return numbers, np.isnan(numbers) & ~bad, bad


# Showing


def _shown_cell(raw: pa.Array, row: int) -> object:
    cell = raw[row]
    if not cell.is_valid:
        return None
    if pa.types.is_timestamp(raw.type):
        # Not as_py: a datetime cannot hold every instant that a column can.
        naive = raw.slice(row, 1).cast(pa.timestamp(raw.type.unit)).cast(pa.string())[0].as_py()
        return f"{naive}Z" if raw.type.tz else str(naive)
    try:
        value = cell.as_py()
    except (ValueError, OverflowError, pa.ArrowException):
        return cut(str(raw.type))
    if isinstance(value, str):
        mark = read_mark(value)
        return cut(value if mark is None else mark.value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, int | float) else cut(str(value))
