"""Numbers of a column: readings, measurements, qualities."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.valid_range import ValidRange
from ai_hub.intake.columns import Column, Mask, bools, nulls
from ai_hub.intake.dialect.nulls import NO_MORE, Nulls
from ai_hub.intake.result import Remark

Bound = float | NDArray[np.float64]

NUMBER = "a finite number"
WHOLE = "a whole number from -2147483648 to 2147483647"

# float() without underscores, words and digits of other scripts.
_FLOAT = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"

_COMMA = re.compile(r"[+-]?\d+,\d+")
_SAY_COMMA = " (--decimal comma takes it as one)"

_SHOWN = 3
_LOOKED_AT = 100


def check_readings(
    field: str, raw: pa.Array, size: int, low: Bound, high: Bound, known: Nulls = NO_MORE
) -> Column:
    """Finite float64 numbers from `low` to `high` (of all rows, or of each)."""
    found = _numbers(raw, size, known)
    beyond = (found.values < low) | (found.values > high)
    lows, highs = np.broadcast_to(low, size), np.broadcast_to(high, size)

    def why(row: int) -> str:
        if beyond[row] and np.isfinite(found.values[row]):
            limits = ValidRange(float(lows[row]), float(highs[row]))
            return f"expected a reading in the valid range {limits}"
        if found.named[row]:
            return f"expected {NUMBER}; this stands for null"
        texts = pa.types.is_string(raw.type)
        comma = texts and _COMMA.fullmatch((raw[row].as_py() or "").strip())
        return f"expected {NUMBER}" + (_SAY_COMMA if comma else "")

    return _floats(field, found, found.absent | found.bad | beyond, why, raw)


def check_measurements(
    field: str, raw: pa.Array | None, size: int, limits: ValidRange, known: Nulls = NO_MORE
) -> Column:
    """Numbers where there are any; what is no number, or beyond `limits`, is null and counted."""
    found = _numbers(raw, size, known)
    beyond = (found.values < limits.low) | (found.values > limits.high)
    unreadable = found.bad | np.isinf(found.values)
    beyond &= ~unreadable
    checked = _floats(
        field,
        found._replace(values=np.where(unreadable | beyond, np.nan, found.values)),
        np.zeros(size, dtype=np.bool_),
        lambda _: "",
        raw,
    )
    null = found.named & ~found.numeric
    examples = [
        Remark(about, field, f"{field}: {_shown(checked, rows, more)} {said}, and taken as null.")
        for about, rows, more, said in (
            # Those that stand for null are counted with the others, and so named with them.
            ("unreadable", unreadable, null, "is no number"),
            ("outside", beyond, null & False, f"is outside the physical limits {limits}"),
        )
        if rows.any()
    ]
    return replace(
        checked,
        unreadable=int((unreadable | null).sum()),
        outside=int(beyond.sum()),
        remarks=tuple(examples),
    )


def check_quality(field: str, raw: pa.Array | None, size: int, known: Nulls = NO_MORE) -> Column:
    """Whole numbers of 32 bits; null and the empty text are 1.

    A column of texts with no whole number in it is something else than a quality: it is not used.
    """
    found = _numbers(raw, size, known)
    if raw is not None and pa.types.is_string(raw.type) and found.bad.any():
        odd = found.bad | found.absent
        if odd.all():
            unused = check_quality(field, None, size)
            words = _shown(replace(unused, raw=raw), found.bad)
            said = f"{field}: {words} is no whole number, so the column is not used as the quality."
            return replace(unused, remarks=(Remark("quality", field, said),))
    whole = np.where(found.absent, 1.0, found.values)
    bounds = np.iinfo(np.int32)
    bad = found.bad | ~((whole >= bounds.min) & (whole <= bounds.max) & (np.floor(whole) == whole))
    keys = np.where(bad, 0, whole).astype(np.int32)
    return Column(field, keys, bad, lambda keys: pa.array(keys), lambda _: f"expected {WHOLE}", raw)


def _floats(
    field: str, found: _Numbers, faulty: Mask, why: Callable[[int], str], raw: pa.Array | None
) -> Column:
    def build(keys: NDArray[np.float64]) -> pa.Array:
        return pa.array(keys, pa.float64(), from_pandas=True)

    return Column(field, found.values, faulty | np.isinf(found.values), build, why, raw)


def _shown(checked: Column, *masks: Mask) -> str:
    """Some different cells, those of the first mask first."""
    rows = [row for mask in masks for row in np.flatnonzero(mask)[:_LOOKED_AT].tolist()]
    cells = dict.fromkeys(str(checked.shown(row)) for row in rows)
    return ", ".join(list(cells)[:_SHOWN]) + (", ..." if len(cells) > _SHOWN else "")


class _Numbers(NamedTuple):
    """Numbers (NaN where there is none), and of each cell whether it is null, or no number.

    `named` ones stand for null but are not empty, `numeric` of these are numbers.
    """

    values: NDArray[np.float64]
    absent: Mask
    bad: Mask
    named: Mask
    numeric: Mask


def _numbers(raw: pa.Array | None, size: int, known: Nulls) -> _Numbers:
    no = np.zeros(size, dtype=np.bool_)
    if raw is None or pa.types.is_null(raw.type):
        return _Numbers(np.full(size, np.nan), ~no, no, no, no)
    kind = raw.type
    if pa.types.is_string(kind):
        values, bad, named = _text_numbers(raw, known)
    elif pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        values, bad, named = _as_floats(raw), no, no
    else:
        values, bad, named = np.full(size, np.nan), ~nulls(raw), no
    numeric = known.among_numbers(values)
    values = np.where(numeric, np.nan, values)
    return _Numbers(values, np.isnan(values) & ~bad, bad, named | numeric, numeric)


def _as_floats(raw: pa.Array) -> NDArray[np.float64]:
    floats: NDArray[np.float64] = raw.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return floats


def _text_numbers(raw: pa.Array, known: Nulls) -> tuple[NDArray[np.float64], Mask, Mask]:
    no = np.zeros(len(raw), dtype=np.bool_)
    try:
        return _as_floats(raw), no, no
    except pa.ArrowInvalid:
        pass
    texts = pc.utf8_trim_whitespace(raw)
    empty = known.among(texts)
    fits = pc.match_substring_regex(texts, _FLOAT)
    values = _as_floats(pc.if_else(fits, texts, None))
    named = empty & ~bools(pc.is_in(pc.utf8_lower(texts), pa.array(["", "nan"])))
    return values, ~nulls(raw) & ~empty & ~bools(fits), named
