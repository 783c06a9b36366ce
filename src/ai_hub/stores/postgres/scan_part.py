"""What a bulk read fetched for some assets, as chunks by ascending asset and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ai_hub.engines.arrays import (
    AttributeTable,
    Floats,
    HistoryArrays,
    Ints,
    Series,
    SourceTable,
    ViewColumn,
    Weather,
    attributes_of,
)
from ai_hub.engines.views import view_series
from ai_hub.stores.arrays import (
    first_of_each,
    first_of_each_issue,
    sorted_series,
    sorted_weather,
)
from ai_hub.stores.base import Chunk, Edges, ScanRequest
from ai_hub.stores.chunks import cut, groups
from ai_hub.stores.postgres.grouped_rows import Column, GroupedRows

BLOCK_ROWS = 1_000_000
"""Observations put in order at once."""
_SAMPLE = 1024
"""Times by which one asset's block is found."""


@dataclass(frozen=True, slots=True)
class ScanPart:
    """Rows of some assets, for the times in [start, end], as far as these reach.

    By code, `asset_ids` has the id of each asset, `source_of` says whose weather it reads when, and
    `edges` and `attributes` are of the assets too.
    """

    start: int
    end: int
    asset_ids: list[str]
    series: Mapping[str, GroupedRows]
    weather: GroupedRows | None
    source_of: SourceTable
    edges: Edges | None = None
    attributes: Mapping[str, AttributeTable] = field(default_factory=dict)
    views: Mapping[ViewColumn, GroupedRows] = field(default_factory=dict)
    in_layers: bool = False
    """Whether there may be several rows of a key, the first of which holds."""


def part_chunks(part: ScanPart, request: ScanRequest) -> Iterator[Chunk]:
    """The chunks of a part, put in order by some assets at a time, or some time of a long one."""
    order = sorted(range(len(part.asset_ids)), key=part.asset_ids.__getitem__)
    counts = sum((rows.sizes for rows in part.series.values()), np.zeros(len(order), np.int64))
    sizes = {part.asset_ids[code]: int(counts[code]) for code in order}
    first = 0
    for group in groups(sizes, BLOCK_ROWS):
        codes = np.array(order[first : first + len(group)], np.int64)
        first += len(group)
        if len(group) == 1 and sizes[group[0]] > 2 * BLOCK_ROWS:
            blocks = _by_time(part, request, int(codes[0]))
        else:
            history = _history(part, request, codes)
            edges = None if part.edges is None else part.edges.of(codes)
            blocks = iter([Chunk(tuple(group), part.start, part.end, history, edges)])
        for block in blocks:
            yield from cut(block, request)


def _history(part: ScanPart, request: ScanRequest, codes: Ints) -> HistoryArrays:
    """The history of some assets."""
    series = {}
    for name, rows in part.series.items():
        places, (time, value) = rows.of(codes)
        series[name] = _series(part, places, time, value)
    views = {}
    for column, rows in part.views.items():
        places, (time, value) = rows.of(codes)
        views[column] = view_series(places, time, value)
    attributes = attributes_of(part.attributes, codes)
    if part.weather is None:
        return HistoryArrays(series, None, attributes, views)
    sources, source_of = part.source_of.of(codes)
    places, columns = part.weather.of(sources)
    weather = _weather(part, request, places, columns, source_of)
    return HistoryArrays(series, weather, attributes, views)


def _by_time(part: ScanPart, request: ScanRequest, code: int) -> Iterator[Chunk]:
    """One asset's blocks, about as large as others; a sample of its times says where to cut."""
    every = BLOCK_ROWS // _SAMPLE + 1
    sample = np.sort(np.concatenate([rows.sample(code, every) for rows in part.series.values()]))
    cuts = sample[(sample > part.start) & (sample <= part.end)][:: BLOCK_ROWS // every][1:]
    starts = [part.start, *np.unique(cuts).tolist()]
    ends = [*(start - 1 for start in starts[1:]), part.end]
    for start, end in zip(starts, ends, strict=True):
        history = _history_of_one(part, request, code, start, end)
        edges = None if part.edges is None else part.edges.of(slice(code, code + 1))
        yield Chunk((part.asset_ids[code],), start, end, history, edges)


def _history_of_one(
    part: ScanPart, request: ScanRequest, code: int, start: int, end: int
) -> HistoryArrays:
    """The history that one asset needs for the times in [start, end]."""
    series = {}
    for name, rows in part.series.items():
        time, value = rows.within(code, start - request.lookback, end + request.lookahead)
        series[name] = _series(part, np.zeros(len(time), np.int64), time, value)
    views = {}
    for column, rows in part.views.items():
        time, value = rows.within(code, start - request.view_lookback, end)
        views[column] = view_series(np.zeros(len(time), np.int64), time, value)
    attributes = attributes_of(part.attributes, np.array([code]))
    if part.weather is None:
        return HistoryArrays(series, None, attributes, views)
    sources, source_of = part.source_of.of(np.array([code]))
    since = start - request.weather_lookback
    parts = [part.weather.within(source, since, end) for source in sources.tolist()]
    places = np.repeat(np.arange(len(parts)), [len(own[0]) for own in parts])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    weather = _weather(part, request, places, columns, source_of)
    return HistoryArrays(series, weather, attributes, views)


def _series(part: ScanPart, places: Ints, time: Ints, value: Floats) -> Series:
    series = sorted_series(places, time, value)
    return first_of_each(series) if part.in_layers else series


def _weather(
    part: ScanPart,
    request: ScanRequest,
    places: Ints,
    columns: list[Column],
    source_of: SourceTable,
) -> Weather:
    time, issued, *values = columns
    named = dict(zip(request.weather, values, strict=True))
    weather = sorted_weather(places, time, issued, named, source_of)
    return first_of_each_issue(weather) if part.in_layers else weather
