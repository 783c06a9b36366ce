"""Live and archived rows of the embedded store as one history, read for a scan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.archive.past import Edges, Past
from ai_hub.engines.arrays import Floats, Ints, Series, SourceTable, Weather
from ai_hub.stores.arrays import (
    codes_of,
    first_of_each,
    first_of_each_issue,
    micros_of,
    sorted_series,
    sorted_weather,
)
from ai_hub.stores.embedded.chosen import of_ids
from ai_hub.stores.embedded.session import Cursor

_UNUSABLE = """
SELECT {code} AS code, epoch_us(o.timestamp) AS time
FROM timeseries_data o {join} AND o.tenant_id = ? AND o.feature_type = ? AND o.quality < 1
  AND o.timestamp BETWEEN make_timestamptz(?::BIGINT) AND make_timestamptz(?::BIGINT)
"""


def with_past(
    cursor: Cursor,
    live: Series,
    past: Past,
    tenant_id: str,
    name: str,
    asset_ids: Sequence[str],
    first: int,
    last: int,
) -> Series:
    """A series in [first, last] as it is in the database, with what was taken out of it."""
    if not past.reaches("observations", first):
        return live
    code, join, parameters = of_ids(asset_ids)
    until = min(last, past.before("observations") - 1)
    gone = cursor.execute(
        _UNUSABLE.format(code=code, join=join), [*parameters, tenant_id, name, first, until]
    ).fetchnumpy()
    nothing = np.full(len(gone["code"]), np.nan)
    parts: list[tuple[Ints, Ints, Floats]] = [
        (live.code, live.time, live.value),
        (np.ma.getdata(gone["code"]), np.ma.getdata(gone["time"]), nothing),
    ]
    for table in past.series(name, asset_ids, first, last):
        codes = codes_of(table["asset_id"], asset_ids)
        parts.append((codes, micros_of(table["timestamp"]), np.asarray(table["value"])))
    codes, times, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return first_of_each(sorted_series(codes, times, values))


def weather_with_past(
    live: Weather,
    past: Past,
    columns: Sequence[str],
    source_ids: Sequence[str],
    source_of: SourceTable,
    first: int,
    last: int,
) -> Weather:
    """Weather about [first, last] known by `last`, with what was taken out of the database."""
    if not past.reaches("weather", first):
        return live
    parts = [(live.code, live.time, live.issued, *(live.columns[name] for name in columns))]
    for table in past.weather(columns, source_ids, first, last):
        times = [micros_of(table[name]) for name in ("timestamp", "issued_at")]
        floats = [_floats(table[name]) for name in columns]
        parts.append((codes_of(table["asset_id"], source_ids), *times, *floats))
    code, time, issued, *values = (np.concatenate(column) for column in zip(*parts, strict=True))
    named = dict(zip(columns, values, strict=True))
    return first_of_each_issue(sorted_weather(code, time, issued, named, source_of))


def edges_with_past(
    cursor: Cursor,
    live: Edges,
    past: Past,
    tenant_id: str,
    series: str,
    asset_ids: Collection[str] | None,
) -> Edges:
    """The first and the last time of a series, by asset, in the database and before."""
    found, unsure = past.edges(series, asset_ids)
    unsure |= _having_unusable(cursor, past, tenant_id, series) & found.keys()
    for asset in unsure & found.keys():
        times = _times(cursor, past, tenant_id, series, asset)
        del found[asset]
        if len(times):
            found[asset] = (int(times[0]), int(times[-1]))
    return {one: _wider(found.get(one), live.get(one)) for one in {**live, **found}}


def _having_unusable(cursor: Cursor, past: Past, tenant_id: str, series: str) -> set[str]:
    rows = cursor.execute(
        "SELECT DISTINCT asset_id FROM timeseries_data WHERE tenant_id = ? AND feature_type = ? "
        "AND quality < 1 AND timestamp < make_timestamptz(?::BIGINT)",
        [tenant_id, series, past.before("observations")],
    ).fetchall()
    return {asset_id for (asset_id,) in rows}


def _times(cursor: Cursor, past: Past, tenant_id: str, series: str, asset: str) -> Ints:
    """The times of one asset's usable rows that were taken out."""
    first, last = past.span("observations")
    empty = Series(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return with_past(cursor, empty, past, tenant_id, series, [asset], first, last).time


def _wider(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int]:
    both = [pair for pair in (one, other) if pair is not None]
    return min(first for first, _ in both), max(last for _, last in both)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(pc.fill_null(column, float("nan")), np.float64)


def counted_with_past(
    counts: Mapping[str, int], more: Mapping[str, int], assets: Iterable[str]
) -> dict[str, int]:
    """How many rows each asset has at most, assets in their order."""
    return {one: counts.get(one, 0) + more.get(one, 0) for one in sorted({*assets})}


def spans_with_cuts(
    spans: Sequence[tuple[int, int]], cuts: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Spans that begin at some other times too."""
    for start, end in spans:
        starts = [start, *(cut for cut in cuts if start < cut <= end)]
        yield from zip(starts, [*(one - 1 for one in starts[1:]), end], strict=True)
