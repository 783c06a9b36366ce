"""A scan in chunks of bounded size: by assets, and one long asset by time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from itertools import chain, repeat

import numpy as np

from ai_hub.engines.arrays import HistoryArrays, Ints, Series, attributes_of, weather_of
from ai_hub.stores.base import Chunk, ScanRequest

CHUNK_ROWS = 131_072
"""Observations handed on at once: a Parquet row group."""
MOST_ASSETS = 4096
_OPENING = (4, 4, 2)


def groups(counts: Mapping[str, int], rows: int) -> Iterator[list[str]]:
    """Assets in their order, in groups of at most `rows` observations (or one asset)."""
    group: list[str] = []
    size = 0
    for asset, count in counts.items():
        if group and (size + count > rows or len(group) == MOST_ASSETS):
            yield group
            group, size = [], 0
        group.append(asset)
        size += count
    if group:
        yield group


def cut(chunk: Chunk, request: ScanRequest) -> Generator[Chunk, None, None]:
    """A chunk in parts of about CHUNK_ROWS observations."""
    counts = np.zeros(len(chunk.asset_ids), np.int64)
    for series in chunk.history.series.values():
        counts += np.bincount(series.code, minlength=len(counts))
    for first, last in _growing(counts):
        part = _of_assets(chunk, first, last)
        if last - first == 1 and counts[first] > 2 * CHUNK_ROWS:
            yield from _by_time(part, request)
        else:
            yield part


def _growing(counts: Ints) -> Iterator[tuple[int, int]]:
    """Assets [first, last) of about CHUNK_ROWS, as `groups`, the first ones smaller: a writer waits
    for the first one."""
    ends = np.cumsum(counts)
    first = before = 0
    for share in chain(_OPENING, repeat(1)):
        if first == len(ends):
            return
        fit = int(np.searchsorted(ends, before + CHUNK_ROWS // share, "right"))
        last = min(max(fit, first + 1), first + MOST_ASSETS)
        yield first, last
        first, before = last, int(ends[last - 1])


def _of_assets(chunk: Chunk, first: int, last: int) -> Chunk:
    """The assets [first, last) of a chunk, coded from 0 again."""
    if first == 0 and last == len(chunk.asset_ids):
        return chunk
    history = chunk.history

    def mine(whole: Series) -> Series:
        return _rows(whole, np.searchsorted(whole.code, (first, last)), first)

    series = {name: mine(whole) for name, whole in history.series.items()}
    views = {column: mine(whole) for column, whole in history.views.items()}
    weather = history.weather
    if weather is not None:
        weather = weather_of(weather, np.arange(first, last))
    attributes = attributes_of(history.attributes, np.arange(first, last))
    return replace(
        chunk,
        asset_ids=chunk.asset_ids[first:last],
        history=HistoryArrays(series, weather, attributes, views),
        edges=None if chunk.edges is None else chunk.edges.of(slice(first, last)),
    )


def _rows(series: Series, bounds: Ints, shift: int = 0) -> Series:
    low, high = bounds
    code = series.code[low:high]
    return Series(code - shift if shift else code, series.time[low:high], series.value[low:high])


def _by_time(chunk: Chunk, request: ScanRequest) -> Generator[Chunk, None, None]:
    """One asset's chunk in parts by time, each with the look-back and look-ahead it needs."""
    longest = max(chunk.history.series.values(), key=lambda series: len(series.time)).time
    inside = longest[(longest > chunk.start) & (longest <= chunk.end)]
    starts = [chunk.start, *inside[CHUNK_ROWS::CHUNK_ROWS].tolist()]
    ends = [*(start - 1 for start in starts[1:]), chunk.end]
    for start, end in zip(starts, ends, strict=True):
        reach = (start - request.lookback, end + request.lookahead + 1)
        series = {
            name: _rows(whole, np.searchsorted(whole.time, reach))
            for name, whole in chunk.history.series.items()
        }
        back = (start - request.view_lookback, end + 1)
        views = {
            column: _rows(whole, np.searchsorted(whole.time, back))
            for column, whole in chunk.history.views.items()
        }
        history = replace(chunk.history, series=series, views=views)
        yield Chunk(chunk.asset_ids, start, end, history, chunk.edges)
