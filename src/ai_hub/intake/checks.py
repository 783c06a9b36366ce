"""The rules of a batch: which rows are taken, which refused and why, one row per key, sorted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ai_hub.definitions.valid_range import WEATHER_LIMITS, ValidRange
from ai_hub.definitions.values import (
    DEFAULT_SERIES,
    MAX_ID_LENGTH,
    MAX_SERIES_LENGTH,
    check_id,
)
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.errors import InvalidInput
from ai_hub.intake.attribute_checks import check_attributes
from ai_hub.intake.batch import OBSERVATIONS, WEATHER, Batch, BatchKind
from ai_hub.intake.columns import Column, Mask, column, rejection
from ai_hub.intake.dialect.nulls import Nulls
from ai_hub.intake.duplicates import contradictions, last_of_each
from ai_hub.intake.ids import check_ids
from ai_hub.intake.marks import remarks_of
from ai_hub.intake.readings import check_measurements, check_quality, check_readings
from ai_hub.intake.result import MAX_REASONS
from ai_hub.intake.row_options import RowOptions
from ai_hub.intake.times import NO_FORMAT, NO_ZONE, check_times, is_naive

KEYS: Mapping[Literal["observations", "weather"], tuple[str, ...]] = {
    "observations": ("tenant_id", "asset_id", "feature_type", "timestamp"),
    "weather": ("tenant_id", "asset_id", "timestamp", "issued_at"),
}
"""The columns that a batch has one row of and is sorted by."""
_NO_OPTIONS = RowOptions()


def check_rows(
    kind: BatchKind,
    table: pa.Table,
    tenant_id: str | None,
    first_row: int = 0,
    options: RowOptions = _NO_OPTIONS,
    reasons: int = MAX_REASONS,
) -> Batch:
    """The rows in `table` as a checked Batch of a kind; see `check_observations`."""
    match kind:
        case "observations":
            return check_observations(table, tenant_id, first_row, options, reasons)
        case "weather":
            return check_weather(table, tenant_id, first_row, options, reasons)
        case "attributes":
            return check_attributes(table, tenant_id, first_row, options, reasons)
        case _:
            assert_never(kind)


def check_observations(
    table: pa.Table,
    tenant_id: str | None,
    first_row: int = 0,
    options: RowOptions = _NO_OPTIONS,
    reasons: int = MAX_REASONS,
) -> Batch:
    """The observations in `table`, columns of whatever types, as a checked Batch.

    `tenant_id` is the tenant of every row; with None the table must have a column of it.
    `first_row` is the place of the table's first row in what was sent, `reasons` how many
    rejections are named. Raises InvalidInput if a
    required column is absent; a row at fault is a rejection, never an error.
    """
    tenant_id = _without_blanks(tenant_id)
    if _empty(table):
        return _nothing(OBSERVATIONS, tenant_id)
    size = table.num_rows
    known = Nulls(options.null)
    entity = _entity_columns(table, tenant_id, known)
    value = _required(table, "value")
    quality = column(table, "quality") if options.quality else None
    series = check_ids(
        "feature_type",
        column(table, "feature_type"),
        size,
        MAX_SERIES_LENGTH,
        default=DEFAULT_SERIES,
        known=known,
    )
    low, high = _limits(series, options)
    columns = [
        *entity,
        series,
        check_readings("value", value, size, low, high, known),
        check_quality("quality", quality, size, known),
    ]
    return _batch(columns, table, OBSERVATIONS, KEYS["observations"], tenant_id, first_row, reasons)


def check_weather(
    table: pa.Table,
    tenant_id: str | None,
    first_row: int = 0,
    options: RowOptions = _NO_OPTIONS,
    reasons: int = MAX_REASONS,
) -> Batch:
    """The weather rows in `table` as a checked Batch; see `check_observations`.

    At least one of the six weather columns must be there; `issued_at` is by default `timestamp`.
    """
    tenant_id = _without_blanks(tenant_id)
    if _empty(table):
        return _nothing(WEATHER, tenant_id)
    size = table.num_rows
    known = Nulls(options.null)
    timestamp, *entity = _entity_columns(table, tenant_id, known)
    if not any(name in table.column_names for name in WEATHER_COLUMNS):
        expected = f"at least one column of {', '.join(WEATHER_COLUMNS)}"
        raise InvalidInput("weather", table.column_names, expected)
    issued = column(table, "issued_at")
    if issued is None:
        issued = pa.nulls(size)
    columns = [
        timestamp,
        *entity,
        check_times("issued_at", issued, timestamp, known, NO_ZONE, NO_FORMAT),
        *(
            check_measurements(name, column(table, name), size, WEATHER_LIMITS[name], known)
            for name in WEATHER_COLUMNS
        ),
    ]
    return _batch(columns, table, WEATHER, KEYS["weather"], tenant_id, first_row, reasons)


def _limits(
    series: Column, options: RowOptions
) -> tuple[float | NDArray[np.float64], float | NDArray[np.float64]]:
    """The least and the greatest reading that can be, of every row or of each."""
    if options.valid_range is not None or not options.valid_ranges:
        every = options.valid_range or ValidRange()
        return every.low, every.high
    names = series.build(np.arange(int(series.keys.max(initial=0)) + 1)).to_pylist()
    ranges = [options.valid_ranges.get(name, ValidRange()) for name in names]
    low = np.array([limits.low for limits in ranges])
    high = np.array([limits.high for limits in ranges])
    return low[series.keys], high[series.keys]


def _without_blanks(tenant_id: str | None) -> str | None:
    return tenant_id.strip() if isinstance(tenant_id, str) else tenant_id


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


def _entity_columns(table: pa.Table, tenant_id: str | None, known: Nulls) -> list[Column]:
    """Timestamp, tenant and asset, in the order in which faults are named."""
    size = table.num_rows
    timestamp = check_times(
        "timestamp",
        _required(table, "timestamp"),
        known=known,
        no_offset=NO_ZONE,
        no_time=NO_FORMAT,
    )
    if tenant_id is None:
        tenants = _required(table, "tenant_id")
    else:
        check_id("tenant_id", tenant_id)
        tenants = column(table, "tenant_id")
    return [
        timestamp,
        check_ids("tenant_id", tenants, size, MAX_ID_LENGTH, tenant_id, tenant_id, known),
        check_ids("asset_id", _required(table, "asset_id"), size, MAX_ID_LENGTH, known=known),
    ]


def _batch(
    columns: Sequence[Column],
    table: pa.Table,
    schema: pa.Schema,
    key: Sequence[str],
    tenant_id: str | None,
    first_row: int,
    reasons: int,
) -> Batch:
    faulty: Mask = np.logical_or.reduce([checked.faulty for checked in columns])
    named = {checked.field: checked for checked in columns}
    taken = np.flatnonzero(~faulty)
    last, replaced = last_of_each([named[field].keys[taken] for field in key])
    rows = taken[last]
    refused = np.flatnonzero(faulty)
    timestamp = named["timestamp"].raw
    remarks = [remark for checked in columns for remark in checked.remarks]
    if len(replaced):
        remarks += contradictions(columns, key, taken[replaced])
    return Batch(
        table=pa.table(
            [named[name].build(named[name].keys[rows]) for name in schema.names], schema=schema
        ),
        tenant_id=tenant_id,
        sent=len(faulty),
        rejected=len(refused),
        reasons=tuple(rejection(columns, int(row), first_row) for row in refused[:reasons]),
        naive=len(faulty) > 0 and timestamp is not None and is_naive(timestamp.type),
        duplicates=len(replaced),
        unreadable={one.field: one.unreadable for one in columns if one.unreadable},
        outside={one.field: one.outside for one in columns if one.outside},
        remarks=(*remarks_of(table), *remarks),
    )
