"""The rules of attributes of assets: which values are taken, which refused and why."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cache
from zoneinfo import available_timezones

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import FIRST_INSTANT, MAX_ID_LENGTH, check_id, id_fault
from ai_hub.definitions.vocabulary import check_name
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import ATTRIBUTES, TIME, Batch
from ai_hub.intake.columns import Column, Mask, bools, column, nulls, rejection
from ai_hub.intake.dialect.nulls import Nulls
from ai_hub.intake.duplicates import last_of_each
from ai_hub.intake.ids import check_ids
from ai_hub.intake.marks import read_mark, remarks_of
from ai_hub.intake.result import MAX_REASONS
from ai_hub.intake.row_options import RowOptions
from ai_hub.intake.times import NO_FORMAT, NO_ZONE, check_times, is_naive

KEY = ("tenant_id", "asset_id", "key", "valid_from")
_MAX_KEY = 63
_UNSAID = FIRST_INSTANT - 1
_VALUE = "a finite number, a text of 1 to 256 characters or null"
_ZONE = "an IANA time zone such as Europe/Berlin, or null"
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d[\d.']*,\d+", re.ASCII)


def check_attributes(
    table: pa.Table,
    tenant_id: str | None,
    first_row: int = 0,
    options: RowOptions | None = None,
    reasons: int = MAX_REASONS,
) -> Batch:
    """The attributes in `table`, a row a value, as a checked Batch; see `check_observations`.

    Its value is in the column `value`, or as a checked table has it, in `number` or `text`.
    """
    tenant_id = tenant_id.strip() if tenant_id is not None else None
    if len(table) == 0 and not table.column_names:
        return Batch(ATTRIBUTES.empty_table(), tenant_id, 0, 0, (), False)
    size = table.num_rows
    known = Nulls(() if options is None else options.null)
    if tenant_id is not None:
        check_id("tenant_id", tenant_id)
    asset, key = _required(table, "asset_id"), _required(table, "key")
    tenant = _required(table, "tenant_id") if tenant_id is None else column(table, "tenant_id")
    keys = _check_keys(key, size, known)
    values = _read_values(_values(table), known)
    time = column(table, "valid_from")
    columns = [
        check_ids("asset_id", asset, size, MAX_ID_LENGTH, known=known),
        check_ids("tenant_id", tenant, size, MAX_ID_LENGTH, tenant_id, tenant_id, known),
        keys,
        values.checked(keys),
        _check_since(pa.nulls(size) if time is None else time, known),
    ]
    faulty = np.logical_or.reduce([checked.faulty for checked in columns])
    named = {checked.field: checked for checked in columns}
    taken = np.flatnonzero(~faulty)
    last, replaced = last_of_each([named[field].keys[taken] for field in KEY])
    rows = taken[last]
    built = {name: named[name].build(named[name].keys[rows]) for name in KEY}
    built |= {
        "number": values.numbers.take(pa.array(rows)),
        "text": values.texts.take(pa.array(rows)),
    }
    refused = np.flatnonzero(faulty)
    return Batch(
        table=pa.table([built[name] for name in ATTRIBUTES.names], schema=ATTRIBUTES),
        tenant_id=tenant_id,
        sent=size,
        rejected=len(refused),
        reasons=tuple(rejection(columns, int(row), first_row) for row in refused[:reasons]),
        naive=size > 0 and time is not None and is_naive(time.type),
        duplicates=len(replaced),
        remarks=(*remarks_of(table), *(one for checked in columns for one in checked.remarks)),
    )


def _required(table: pa.Table, field: str) -> pa.Array:
    found = column(table, field)
    if found is None:
        raise InvalidInput(field, table.column_names, f'a column named "{field}"')
    return found


def _check_keys(raw: pa.Array, size: int, known: Nulls) -> Column:
    """Names as features have them."""
    checked = check_ids("key", raw, size, _MAX_KEY, known=known)
    codes = np.unique(checked.keys[~checked.faulty])
    faults: dict[int, str] = {}
    for code, name in zip(codes.tolist(), checked.build(codes).to_pylist(), strict=True):
        try:
            check_name("key", name)
        except InvalidInput as error:
            faults[code] = f"expected {error.expected}"
    bad = np.isin(checked.keys, list(faults)) & ~checked.faulty

    def why(row: int) -> str:
        return faults[int(checked.keys[row])] if bad[row] else checked.why(row)

    return replace(checked, faulty=checked.faulty | bad, why=why, remarks=())


def _check_since(raw: pa.Array, known: Nulls) -> Column:
    """Instants, or nothing: the store then knows from when on."""
    size = len(raw)
    unsaid = Column("", np.full(size, _UNSAID), np.zeros(size, bool), pa.array, str, None)
    checked = check_times("valid_from", raw, unsaid, known, NO_ZONE, NO_FORMAT)

    def build(keys: NDArray[np.int64]) -> pa.Array:
        return pa.array(keys, mask=keys == _UNSAID).cast(TIME)

    return replace(checked, build=build)


def _values(table: pa.Table) -> pa.Array:
    """The column of values; of a checked table, its numbers and texts as one."""
    found = column(table, "value")
    if found is not None:
        return found
    number, text = column(table, "number"), column(table, "text")
    if number is None or text is None:
        raise InvalidInput("value", table.column_names, 'a column named "value"')
    if text.null_count == len(text):
        return number
    return pc.coalesce(text.cast(pa.string()), number.cast(pa.string()))


@dataclass(frozen=True, slots=True)
class _Values:
    """Cells as numbers and texts (neither: null), and which of them are neither and not null."""

    raw: pa.Array
    numbers: pa.Array
    texts: pa.Array
    bad: Mask

    def checked(self, keys: Column) -> Column:
        """The values as a column, those of `timezone` held to be zones."""
        named = np.flatnonzero(~keys.faulty)
        zones = np.zeros(len(self.raw), np.bool_)
        zones[named] = bools(pc.equal(keys.build(keys.keys[named]), "timezone"))
        known = bools(pc.is_in(self.texts, _zones())) | nulls(self.texts)
        no_zone = zones & ~(known & nulls(self.numbers))

        def why(row: int) -> str:
            cell = self.raw[row].as_py() if pa.types.is_string(self.raw.type) else None
            fault = None if cell is None else _read_text(cell)[2]
            return f"expected {fault or (_ZONE if no_zone[row] else _VALUE)}"

        keys_of_none = np.zeros(len(self.raw), np.int8)
        return Column("value", keys_of_none, self.bad | no_zone, lambda _: self.raw, why, self.raw)


def _read_values(raw: pa.Array, known: Nulls) -> _Values:
    size, kind = len(raw), raw.type
    numbers, texts = pa.nulls(size, pa.float64()), pa.nulls(size, pa.string())
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        floats = raw.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        empty = np.isnan(floats) | known.among_numbers(floats)
        return _Values(raw, pa.array(floats, mask=empty), texts, np.isinf(floats))
    if not pa.types.is_string(kind):
        return _Values(raw, numbers, texts, ~nulls(raw))
    encoded = raw.dictionary_encode()
    distinct = encoded.dictionary
    absent = known.among(distinct).tolist()
    read = [
        (None, None, None) if empty else _read_text(text)
        for text, empty in zip(distinct.to_pylist(), absent, strict=True)
    ]
    places = encoded.indices
    bad = pa.array([fault is not None for _, _, fault in read], pa.bool_()).take(places)
    return _Values(
        raw,
        pa.array([number for number, _, _ in read], pa.float64()).take(places),
        pa.array([text for _, text, _ in read], pa.string()).take(places),
        bools(bad),
    )


def _read_text(cell: str) -> tuple[float | None, str | None, str | None]:
    """The number or the text of a cell, or what is expected instead."""
    mark = read_mark(cell)
    if mark is not None:
        return None, None, mark.expected or _VALUE
    text = cell.strip()
    if _FLOAT.fullmatch(text):
        number = float(text)
        return (number, None, None) if math.isfinite(number) else (None, None, _VALUE)
    if _COMMA.fullmatch(text):
        return None, None, f"{_VALUE} (--decimal comma takes it as a number)"
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return None, None, _VALUE
    fault = id_fault(text)
    return (None, text, None) if fault is None else (None, None, _VALUE)


@cache
def _zones() -> pa.Array:
    # A list, since looking for a file of each name would cost a body of wrong ones minutes.
    return pa.array(sorted(available_timezones()), pa.string())
