"""Arrow tables as the kernel's sorted arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.engines.columnar import Series, Weather
from ai_hub.engines.ranges import Floats, Ints


def micros_of(column: pa.ChunkedArray) -> Ints:
    """A timestamp column in microseconds since the epoch."""
    return np.asarray(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), np.int64)


def codes_of(column: pa.ChunkedArray, asset_ids: Sequence[str]) -> Ints:
    """Where each id stands in `asset_ids`; -1 if it does not."""
    encoded = column.combine_chunks()
    if not isinstance(encoded, pa.DictionaryArray):
        encoded = encoded.dictionary_encode()
    place = {asset: code for code, asset in enumerate(asset_ids)}
    table = np.array([place.get(a, -1) for a in encoded.dictionary.to_pylist()], np.int64)
    indices = np.asarray(encoded.indices, np.int64)
    return table[indices] if len(table) else indices


def series_of(table: pa.Table, asset_ids: Sequence[str]) -> Series:
    """Observations of one series as arrays sorted by asset and time."""
    code = codes_of(table["asset_id"], asset_ids)
    time = micros_of(table["timestamp"])
    value = np.asarray(table["value"], np.float64)
    return sorted_series(code, time, value)


def sorted_series(code: Ints, time: Ints, value: Floats) -> Series:
    """The arrays in order of entity and time, rows of unknown entities (-1) left out."""
    held = code >= 0
    if not held.all():
        code, time, value = code[held], time[held], value[held]
    step = np.diff(code)
    if not bool(((step > 0) | ((step == 0) & (np.diff(time) > 0))).all()):
        order = np.lexsort((time, code))
        code, time, value = code[order], time[order], value[order]
    return Series(code, time, value)


def sorted_weather(
    code: Ints, time: Ints, issued: Ints, columns: Mapping[str, Floats], source_of: Ints
) -> Weather:
    """Weather arrays in order of source, time and issue."""
    step, later = np.diff(code), np.diff(time)
    tied = (later == 0) & (np.diff(issued) >= 0)
    if not bool(((step > 0) | ((step == 0) & ((later > 0) | tied))).all()):
        order = np.lexsort((issued, time, code))
        code, time, issued = code[order], time[order], issued[order]
        columns = {name: values[order] for name, values in columns.items()}
    return Weather(code, time, issued, columns, source_of)


def weather_of(table: pa.Table, columns: Sequence[str], source_ids: Sequence[str]) -> Weather:
    """Weather rows as arrays, each source being the entity of the same code."""
    values = {
        name: np.asarray(pc.fill_null(table[name].cast(pa.float64()), float("nan")), np.float64)
        for name in columns
    }
    return sorted_weather(
        codes_of(table["asset_id"], source_ids),
        micros_of(table["timestamp"]),
        micros_of(table["issued_at"]),
        values,
        np.arange(len(source_ids), dtype=np.int64),
    )
