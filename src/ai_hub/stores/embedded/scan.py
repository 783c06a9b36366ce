"""The embedded store's reads, in DuckDB's words: some entities' rows, and a whole history."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ai_hub.archive.past import Past
from ai_hub.engines.arrays import HistoryArrays, Series, SourceTable, ViewColumn, Weather
from ai_hub.stores.arrays import edges_of, sorted_series, sorted_weather
from ai_hub.stores.base import Chunk, ScanRequest
from ai_hub.stores.chunks import cut, groups
from ai_hub.stores.embedded.archive import past_of
from ai_hub.stores.embedded.attributes import read_attributes
from ai_hub.stores.embedded.chosen import of_ids
from ai_hub.stores.embedded.past_rows import (
    counted_with_past,
    edges_with_past,
    spans_with_cuts,
    weather_with_past,
    with_past,
)
from ai_hub.stores.embedded.session import Cursor, transaction
from ai_hub.stores.embedded.views import check_whole, read_view
from ai_hub.stores.weather_sources import Mappings, coded_sources, sources_of

_READ_ROWS = 1_000_000
"""Observations fetched by the queries of all scans that may be at once."""


def read_series(
    cursor: Cursor,
    tenant_id: str,
    name: str,
    asset_ids: Sequence[str],
    first: int,
    last: int,
) -> Series:
    """The usable observations of one series in [first, last], coded by position in `asset_ids`."""
    code, join, parameters = of_ids(asset_ids)
    found = cursor.execute(
        f"""
        SELECT {code} AS code, epoch_us(o.timestamp) AS time, o.value
        FROM ai_features o {join} AND o.tenant_id = ? AND o.feature_type = ?
          AND o.timestamp BETWEEN make_timestamptz(?::BIGINT) AND make_timestamptz(?::BIGINT)
        """,
        [*parameters, tenant_id, name, first, last],
    ).fetchnumpy()
    return sorted_series(
        _unmasked(found["code"]), _unmasked(found["time"]), _unmasked(found["value"])
    )


def read_weather(
    cursor: Cursor,
    tenant_id: str,
    columns: Sequence[str],
    source_ids: Sequence[str],
    source_of: SourceTable,
    first: int,
    last: int,
) -> Weather:
    """Weather rows about [first, last] known by `last`, coded by position in `source_ids`."""
    code, join, parameters = of_ids(source_ids)
    wanted = ", ".join(f"o.{column}" for column in columns)
    found = cursor.execute(
        f"""
        SELECT {code} AS code, epoch_us(o.timestamp) AS time, epoch_us(o.issued_at) AS issued,
               {wanted}
        FROM weather_features o {join} AND o.tenant_id = ?
          AND o.timestamp BETWEEN make_timestamptz(?::BIGINT) AND make_timestamptz(?::BIGINT)
          AND o.issued_at <= make_timestamptz(?::BIGINT)
        """,
        [*parameters, tenant_id, first, last, last],
    ).fetchnumpy()
    values = {
        column: np.ma.filled(np.ma.asarray(found[column], np.float64), np.nan) for column in columns
    }
    return sorted_weather(
        _unmasked(found["code"]),
        _unmasked(found["time"]),
        _unmasked(found["issued"]),
        values,
        source_of,
    )


def _unmasked(column: Any) -> Any:
    """A column that holds no null, without DuckDB's mask."""
    return np.ma.getdata(column)


def scan_chunks(
    cursor: Cursor, request: ScanRequest, mappings_of: Callable[[str], Mappings], abreast: int = 1
) -> Generator[Chunk, None, None]:
    """The histories of a scan in chunks of bounded size, assets ascending.

    `abreast` scans may be at once, and share the memory.
    """
    most = max(1, _READ_ROWS // abreast)
    with transaction(cursor):
        for reads in request.views:
            check_whole(cursor, reads)
        past = past_of(cursor, request.tenant_id)
        edges = None
        if request.edges is not None:
            edges = _edges(cursor, request, request.edges, past)
        counts = _survey(cursor, request, edges, past)
        for group in groups(counts, most):
            if len(group) == 1 and counts[group[0]] > most:
                spans = _spans(cursor, request, group[0], most, past)
            else:
                spans = [(request.start, request.end)]
            for start, end in spans:
                read = _read_group(cursor, request, group, mappings_of, start, end, past)
                if edges is not None:
                    read = replace(read, edges=edges_of(group, edges))
                yield from cut(read, request)


_CHOSEN = "AND asset_id IN (SELECT unnest(?::VARCHAR[]))"


def most_rows(
    cursor: Cursor, request: ScanRequest, series: str, enough: int, exact: bool = False
) -> int:
    """No fewer than the observations of a series in the range; counted, if more than `enough`."""
    ((all_of_them,),) = cursor.execute("SELECT count(*) FROM ai_features").fetchall()
    past = past_of(cursor, request.tenant_id)
    archived = 0
    if past is not None:
        archived = past.count(series, request.asset_ids, request.start, request.end)
    if all_of_them + archived <= enough and not exact:
        return int(all_of_them) + archived
    ((counted,),) = cursor.execute(
        f"""
        SELECT count(*) FROM (
            SELECT 1 FROM ai_features
            WHERE tenant_id = ? AND feature_type = ?
              AND timestamp BETWEEN make_timestamptz(?::BIGINT) AND make_timestamptz(?::BIGINT)
              {"" if request.asset_ids is None else _CHOSEN}
            LIMIT ?
        )
        """,
        [
            request.tenant_id,
            series,
            request.start,
            request.end,
            *([] if request.asset_ids is None else [list(request.asset_ids)]),
            enough + 1,
        ],
    ).fetchall()
    return int(counted) + archived


def _edges(
    cursor: Cursor, request: ScanRequest, series: str, past: Past | None
) -> dict[str, tuple[int, int]]:
    """The times of the first and the last observation of a series, by asset."""
    rows = cursor.execute(
        f"""
        SELECT asset_id, epoch_us(min(timestamp)), epoch_us(max(timestamp)) FROM ai_features
        WHERE tenant_id = ? AND feature_type = ?
          {"" if request.asset_ids is None else _CHOSEN}
        GROUP BY asset_id
        """,
        [
            request.tenant_id,
            series,
            *([] if request.asset_ids is None else [list(request.asset_ids)]),
        ],
    ).fetchall()
    live = {asset_id: (first, last) for asset_id, first, last in rows}
    if past is None:
        return live
    return edges_with_past(cursor, live, past, request.tenant_id, series, request.asset_ids)


def _survey(
    cursor: Cursor,
    request: ScanRequest,
    edges: Mapping[str, object] | None,
    past: Past | None,
) -> dict[str, int]:
    """How many observations each asset of the request has, at most, assets in code-point order."""
    first, last = request.start - request.lookback, request.end + request.lookahead
    chosen = "" if request.asset_ids is None else _CHOSEN
    rows = cursor.execute(
        f"""
        SELECT asset_id, count(*) FROM ai_features
        WHERE tenant_id = ? AND list_contains(?::VARCHAR[], feature_type)
          AND timestamp BETWEEN make_timestamptz(?::BIGINT) AND make_timestamptz(?::BIGINT) {chosen}
        GROUP BY asset_id
        """,
        [
            request.tenant_id,
            list(request.series),
            first,
            last,
            *([] if request.asset_ids is None else [list(request.asset_ids)]),
        ],
    ).fetchall()
    counts = dict(rows)
    more: Mapping[str, int] = {}
    if past is not None:
        more = past.counts(request.series, request.asset_ids, first, last)
    assets = request.asset_ids
    if assets is None:
        assets = tuple({**counts, **more} if edges is None else edges)
    return counted_with_past(counts, more, assets)


def _spans(
    cursor: Cursor, request: ScanRequest, asset_id: str, rows: int, past: Past | None
) -> list[tuple[int, int]]:
    """One asset's time range cut so that each part holds about so many observations."""
    cuts = cursor.execute(
        """
        SELECT DISTINCT epoch_us(timestamp) AS cut FROM (
            SELECT timestamp, row_number() OVER (ORDER BY timestamp) AS place FROM ai_features
            WHERE tenant_id = ? AND asset_id = ? AND list_contains(?::VARCHAR[], feature_type)
              AND timestamp > make_timestamptz(?::BIGINT)
              AND timestamp <= make_timestamptz(?::BIGINT)
        ) WHERE place % ? = 0 ORDER BY cut
        """,
        [
            request.tenant_id,
            asset_id,
            list(request.series),
            request.start,
            request.end,
            rows,
        ],
    ).fetchall()
    starts = [request.start, *(cut for (cut,) in cuts)]
    ends = [*(cut - 1 for (cut,) in cuts), request.end]
    spans = list(zip(starts, ends, strict=True))
    if past is None:
        return spans
    return list(spans_with_cuts(spans, past.cuts(asset_id, request.start, request.end, rows)))


def _read_group(
    cursor: Cursor,
    request: ScanRequest,
    group: list[str],
    mappings_of: Callable[[str], Mappings],
    start: int,
    end: int,
    past: Past | None,
) -> Chunk:
    tenant_id = request.tenant_id
    first, last = start - request.lookback, end + request.lookahead
    series = {
        name: read_series(cursor, tenant_id, name, group, first, last) for name in request.series
    }
    if past is not None:
        series = {
            name: with_past(cursor, live, past, tenant_id, name, group, first, last)
            for name, live in series.items()
        }
    weather = None
    if request.weather:
        sources, source_of = coded_sources(
            sources_of(asset, mappings_of(asset), start, end) for asset in group
        )
        since = start - request.weather_lookback
        weather = read_weather(cursor, tenant_id, request.weather, sources, source_of, since, end)
        if past is not None:
            weather = weather_with_past(
                weather, past, request.weather, sources, source_of, since, end
            )
    attributes = read_attributes(cursor, tenant_id, group, request.attributes)
    views: dict[ViewColumn, Series] = {}
    for reads in request.views:
        views |= read_view(cursor, reads, tenant_id, group, start - reads.lookback, end)
    return Chunk(tuple(group), start, end, HistoryArrays(series, weather, attributes, views))
