"""Arrow tables as the kernel's sorted arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT
from ai_hub.engines.arrays import Floats, Ints, Series, SourceTable, Weather
from ai_hub.stores.base import Edges


def micros_of(column: pa.ChunkedArray) -> Ints:
    """A timestamp column in microseconds since the epoch."""
    return np.asarray(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), np.int64)


def coded_ids(column: pa.ChunkedArray) -> tuple[tuple[str, ...], Ints]:
    """The distinct ids of a column in code-point order, and for each row the index of its id."""
    encoded = _encoded(column)
    names = encoded.dictionary.to_pylist()
    indices = np.asarray(encoded.indices, np.int64)
    used = np.bincount(indices, minlength=len(names)) > 0
    ids = sorted({name for name, some in zip(names, used, strict=True) if some})
    code_of = {name: code for code, name in enumerate(ids)}
    codes = np.array([code_of.get(name, -1) for name in names], np.int64)
    if np.array_equal(codes, np.arange(len(names))):
        return tuple(ids), indices
    return tuple(ids), codes[indices]


def codes_of(column: pa.ChunkedArray, asset_ids: Sequence[str]) -> Ints:
    """The index of each id in `asset_ids`; -1 where it is not among them."""
    encoded = _encoded(column)
    code_of = {asset: code for code, asset in enumerate(asset_ids)}
    table = np.array([code_of.get(a, -1) for a in encoded.dictionary.to_pylist()], np.int64)
    indices = np.asarray(encoded.indices, np.int64)
    return table[indices] if len(table) else indices


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    whole = column.combine_chunks()
    if isinstance(whole, pa.DictionaryArray):
        return whole
    return whole.dictionary_encode()


def series_of(table: pa.Table, code: Ints) -> Series:
    """Observations of one series as arrays sorted by entity code and time."""
    value = np.asarray(table["value"], np.float64)
    return sorted_series(code, micros_of(table["timestamp"]), value)


def sorted_series(code: Ints, time: Ints, value: Floats) -> Series:
    """The arrays in order of entity and time, rows of unknown entities (-1) left out."""
    known = code >= 0
    if not known.all():
        code, time, value = code[known], time[known], value[known]
    follows = (time[1:] > time[:-1]) & (code[1:] == code[:-1]) | (code[1:] > code[:-1])
    if not follows.all():
        order = by_code_and_time(code, time)
        code, time, value = code[order], time[order], value[order]
    return Series(code, time, value)


def first_of_each(series: Series) -> Series:
    """Of rows of one entity and time the first alone, and none that says NaN: there is no value."""
    same = (series.time[1:] == series.time[:-1]) & (series.code[1:] == series.code[:-1])
    kept = np.append(True, ~same)[: len(series.time)] & ~np.isnan(series.value)
    return Series(series.code[kept], series.time[kept], series.value[kept])


def first_of_each_issue(weather: Weather) -> Weather:
    """Of rows of one source, time and issue the first alone."""
    code, time, issued = weather.code, weather.time, weather.issued
    same = (time[1:] == time[:-1]) & (code[1:] == code[:-1]) & (issued[1:] == issued[:-1])
    kept = np.append(True, ~same)[: len(time)]
    columns = {name: values[kept] for name, values in weather.columns.items()}
    return Weather(code[kept], time[kept], issued[kept], columns, weather.source_of)


def by_code_and_time(code: Ints, time: Ints) -> Ints:
    """The order of rows by entity and time: that in which they came where both are the same."""
    # They mostly come in runs, which a stable sort takes advantage of.
    if not len(code):
        return np.empty(0, np.int64)
    first, last = int(time.min()), int(time.max())
    if (int(code.max()) + 1) * (last - first + 1) < 1 << 62:
        return np.argsort(code * (last - first + 1) + (time - first), kind="stable")
    return np.lexsort((time, code))


def sorted_weather(
    code: Ints, time: Ints, issued: Ints, columns: Mapping[str, Floats], source_of: SourceTable
) -> Weather:
    """Weather arrays in order of source, time and issue, rows of unknown sources (-1) left out."""
    known = code >= 0
    if not known.all():
        code, time, issued = code[known], time[known], issued[known]
        columns = {name: values[known] for name, values in columns.items()}
    step, later = np.diff(code), np.diff(time)
    tied = (later == 0) & (np.diff(issued) >= 0)
    if not bool(((step > 0) | ((step == 0) & ((later > 0) | tied))).all()):
        order = np.argsort(issued, kind="stable")
        order = order[by_code_and_time(code[order], time[order])]
        code, time, issued = code[order], time[order], issued[order]
        columns = {name: values[order] for name, values in columns.items()}
    return Weather(code, time, issued, columns, source_of)


def edges_of(asset_ids: Sequence[str], found: Mapping[str, tuple[int, int]]) -> Edges:
    """The edges of some assets, by code, from those found by id."""
    none = (LAST_INSTANT + 1, FIRST_INSTANT - 1)
    pairs = np.array([found.get(one, none) for one in asset_ids], np.int64).reshape(-1, 2)
    return Edges(pairs[:, 0], pairs[:, 1])


def spans_of(times: Ints, gap: int, most: int = 8) -> list[tuple[int, int]]:
    """Closed ranges that hold all of some times, and no stretch longer than `gap` without any.

    At most so many, parted where the stretches are longest: one old row among new ones is then no
    reason to read what lies between them.
    """
    if not len(times):
        return []
    ordered = np.sort(times)
    steps = np.diff(ordered)
    cuts = np.flatnonzero(steps > gap)
    if len(cuts) >= most:
        widest = np.argsort(steps[cuts], kind="stable")[len(cuts) + 1 - most :]
        cuts = np.sort(cuts[widest])
    firsts = ordered[np.append(0, cuts + 1)]
    lasts = ordered[np.append(cuts, len(ordered) - 1)]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def weather_rows(
    table: pa.Table, columns: Sequence[str], source_ids: Sequence[str], source_of: SourceTable
) -> Weather:
    """Weather rows as arrays, sources coded by their position."""
    values = {
        name: np.asarray(pc.fill_null(table[name].cast(pa.float64()), float("nan")), np.float64)
        for name in columns
    }
    return sorted_weather(
        codes_of(table["asset_id"], source_ids),
        micros_of(table["timestamp"]),
        micros_of(table["issued_at"]),
        values,
        source_of,
    )


def run_starts(rows: pa.Table, names: Sequence[str]) -> Ints:
    """Where in sorted rows a run begins that shares some columns, which have no nulls.

    Rows are compared with those before them: to look up values that are all different would take
    several times their memory.
    """
    size = rows.num_rows
    if not size:
        return np.empty(0, np.int64)
    others = np.zeros(size - 1, bool)
    for name in names:
        column = rows[name]
        others |= np.asarray(pc.not_equal(column.slice(1), column.slice(0, size - 1)))
    return np.flatnonzero(np.append(True, others))
