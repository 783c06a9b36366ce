"""The rules of a batch: which rows are taken, which refused and why, one row per key, sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ai_hub.definitions.kinds import WEATHER_COLUMNS
from ai_hub.definitions.values import DEFAULT_SERIES, MAX_ID_LENGTH, MAX_SERIES_LENGTH, check_id
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import OBSERVATIONS, WEATHER, Batch, BatchKind
from ai_hub.intake.columns import (
    Column,
    Mask,
    check_ids,
    check_numbers,
    check_quality,
    check_times,
    column,
    is_naive,
)
from ai_hub.intake.marks import read_mark
from ai_hub.intake.result import MAX_REASONS, Rejection

_OBSERVATION_KEY = ("tenant_id", "asset_id", "feature_type", "timestamp")
_WEATHER_KEY = ("tenant_id", "asset_id", "timestamp", "issued_at")


def check_rows(
    kind: BatchKind, table: pa.Table, tenant_id: str | None, first_row: int = 0
) -> Batch:
    """The rows in `table` as a checked Batch of a kind; see `check_observations`."""
    match kind:
        case "observations":
            return check_observations(table, tenant_id, first_row)
        case "weather":
            return check_weather(table, tenant_id, first_row)
        case _:
            assert_never(kind)


def check_observations(table: pa.Table, tenant_id: str | None, first_row: int = 0) -> Batch:
    """The observations in `table`, columns of whatever types, as a checked Batch.

    `tenant_id` is the tenant of every row; with None the table must have a column of it.
    `first_row` is the place of the table's first row in what was sent. Raises InvalidInput if a
    required column is absent; a row at fault is a rejection, never an error.
    """
    if _empty(table):
        return _nothing(OBSERVATIONS, tenant_id)
    size = table.num_rows
    entity = _entity_columns(table, tenant_id)
    value = _required(table, "value")
    columns = [
        *entity,
        check_ids(
            "feature_type", column(table, "feature_type"), size, MAX_SERIES_LENGTH, DEFAULT_SERIES
        ),
        check_numbers("value", value, size, required=True),
        check_quality("quality", column(table, "quality"), size),
    ]
    return _batch(columns, OBSERVATIONS, _OBSERVATION_KEY, tenant_id, first_row)


def check_weather(table: pa.Table, tenant_id: str | None, first_row: int = 0) -> Batch:
    """The weather rows in `table` as a checked Batch; see `check_observations`.

    At least one of the six weather columns must be there; `issued_at` is by default `timestamp`.
    """
    if _empty(table):
        return _nothing(WEATHER, tenant_id)
    size = table.num_rows
    timestamp, *entity = _entity_columns(table, tenant_id)
    if not any(name in table.column_names for name in WEATHER_COLUMNS):
        expected = f"at least one column of {', '.join(WEATHER_COLUMNS)}"
        raise InvalidInput("weather", table.column_names, expected)
    issued = column(table, "issued_at")
    if issued is None:
        issued = pa.nulls(size)
    columns = [
        timestamp,
        *entity,
        check_times("issued_at", issued, default=timestamp),
        *(check_numbers(n, column(table, n), size, required=False) for n in WEATHER_COLUMNS),
    ]
    return _batch(columns, WEATHER, _WEATHER_KEY, tenant_id, first_row)


def _empty(table: pa.Table) -> bool:
    # A list without rows has no columns either, and nothing is wrong with it.
    return len(table) == 0 and not table.column_names


def _nothing(schema: pa.Schema, tenant_id: str | None) -> Batch:
    return Batch(schema.empty_table(), tenant_id, 0, 0, (), False)


def _required(table: pa.Table, field: str) -> pa.Array:
    found = column(table, field)
    if found is None:
        raise InvalidInput(field, table.column_names, f'a column named "{field}"')
    return found


def _entity_columns(table: pa.Table, tenant_id: str | None) -> list[Column]:
    """Timestamp, tenant and asset, in the order in which faults are named."""
    size = table.num_rows
    timestamp = check_times("timestamp", _required(table, "timestamp"))
    if tenant_id is None:
        tenants = _required(table, "tenant_id")
    else:
        check_id("tenant_id", tenant_id)
        tenants = column(table, "tenant_id")
    return [
        timestamp,
        check_ids("tenant_id", tenants, size, MAX_ID_LENGTH, default=tenant_id, only=tenant_id),
        check_ids("asset_id", _required(table, "asset_id"), size, MAX_ID_LENGTH),
    ]


def _batch(
    columns: Sequence[Column],
    schema: pa.Schema,
    key: Sequence[str],
    tenant_id: str | None,
    first_row: int,
) -> Batch:
    faulty: Mask = np.logical_or.reduce([checked.faulty for checked in columns])
    named = {checked.field: checked for checked in columns}
    taken = np.flatnonzero(~faulty)
    rows = taken[_last_of_each([named[field].keys[taken] for field in key])]
    refused = np.flatnonzero(faulty)
    timestamp = named["timestamp"].raw
    return Batch(
        table=pa.table(
            [named[name].build(named[name].keys[rows]) for name in schema.names], schema=schema
        ),
        tenant_id=tenant_id,
        sent=len(faulty),
        rejected=len(refused),
        reasons=tuple(_rejection(columns, int(row), first_row) for row in refused[:MAX_REASONS]),
        naive=len(faulty) > 0 and timestamp is not None and is_naive(timestamp.type),
    )


def _rejection(columns: Sequence[Column], row: int, first_row: int) -> Rejection:
    first = next(checked for checked in columns if checked.faulty[row])
    mark = None
    if first.raw is not None and pa.types.is_string(first.raw.type):
        mark = read_mark(first.raw[row].as_py())
    field = None if mark is not None and mark.whole_row else first.field
    return Rejection(first_row + row, field, first.shown(row), first.why(row))


def _last_of_each(keys: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """The places of the last row of every distinct key, in the order of the keys."""
    size = len(keys[0])
    after = np.zeros(max(size - 1, 0), dtype=np.bool_)
    equal = ~after
    for values in keys:
        after |= equal & (values[1:] > values[:-1])
        equal &= values[1:] == values[:-1]
    if after.all():  # as files mostly are: sorted already, no key twice
        return np.arange(size)
    varying = [values for values in keys if (values != values[0]).any()]
    if not varying:
        return np.array([size - 1])
    order = np.lexsort(varying[::-1])
    same = np.ones(size - 1, dtype=np.bool_)
    for values in varying:
        ordered = values[order]
        same &= ordered[1:] == ordered[:-1]
    # lexsort is stable, so the last of equal keys is the last that was sent.
    last: NDArray[np.int64] = order[np.append(~same, True)]
    return last
