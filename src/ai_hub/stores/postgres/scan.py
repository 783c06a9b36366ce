"""The bulk read from PostgreSQL, blocking, for a worker thread.

Rows are read in no order and put in order here: a table that grew by time has every asset on every
page, so one pass over it and a sort of small codes cost less than an ordered read. What fits in
memory is read by one query for each series. Otherwise rows are counted first, and read by groups
of assets, or by times of one asset; all in one snapshot.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress

import numpy as np

from ai_hub.config import Settings
from ai_hub.definitions.values import to_micros
from ai_hub.engines.arrays import Ints
from ai_hub.stores.arrays import edges_of
from ai_hub.stores.attributes import Value, attribute_tables
from ai_hub.stores.base import Chunk, ScanRequest
from ai_hub.stores.postgres import scan_sql as sql
from ai_hub.stores.postgres.grouped_rows import IdCodes, RowBuffer
from ai_hub.stores.postgres.past_scan import PastScan, past_of
from ai_hub.stores.postgres.scan_part import ScanPart, part_chunks
from ai_hub.stores.postgres.snapshot import Snapshot
from ai_hub.stores.postgres.view_scan import ViewScan, check_unchanged
from ai_hub.stores.weather_sources import Reads, coded_sources, sources_of

_PART_BYTES = 320_000_000
"""Rows in memory at once, of all scans that may be. Some more are in order already, or on their way
into the file."""
_SLACK = 1.25
"""How far a planner's guess may be exceeded before what was read so far is given up."""
_STEPS = 1024
"""Into how many steps of time one asset is counted."""
_SERIES_ROW = 16
_WEATHER_ROW = 16
_WEATHER_VALUE = 8
_ID = 200
"""Bytes in memory: a row of a series, one of weather without its values, a value, an id."""


def scan_chunks(settings: Settings, request: ScanRequest) -> Generator[Chunk, None, None]:
    """The histories of a scan in chunks of bounded size, assets ascending. Raises StoreError."""
    whole = None
    most = _PART_BYTES // settings.export_jobs
    with closing(Snapshot(settings)) as snapshot, suppress(_TooMuch):
        whole = _Reader(snapshot, request, most).whole()
        check_unchanged(settings, request.views)
    if whole is not None:
        # Everything is read: no transaction stays open while a file is written.
        yield from part_chunks(whole, request)
        return
    with closing(Snapshot(settings)) as snapshot:
        reader = _Reader(snapshot, request, most)
        for assets, start, end in reader.parts():
            # Without a name for it: a part is freed before the next one is read.
            yield from part_chunks(reader.read(assets, start, end), request)
            check_unchanged(settings, request.views)


class _TooMuch(Exception):
    """More than fits in memory."""


class _Reader:
    """The queries of one scan in one snapshot, with `most` bytes of rows in memory at once."""

    def __init__(self, snapshot: Snapshot, request: ScanRequest, most: int) -> None:
        self._snapshot = snapshot
        self._request = request
        self._most = most
        past = past_of(snapshot, request.tenant_id)
        self._past = None if past is None else PastScan(snapshot, request, past)
        self._edges = None if request.edges is None else self._first_and_last(request.edges)
        self._mappings = self._mapped() if request.weather else {}
        self._attributes = self._having() if request.attributes else []
        self._views = ViewScan(snapshot, request.views)
        self._weather_row = _WEATHER_ROW + _WEATHER_VALUE * len(request.weather)

    def whole(self) -> ScanPart:
        """All of it. Raises _TooMuch if it is not likely to fit, or does not."""
        request = self._request
        assets, start, end = request.asset_ids, request.start, request.end
        guess = _SERIES_ROW * sum(
            self._snapshot.estimate(self._series(name, assets, start, end))
            for name in request.series
        )
        if request.weather:
            sources = None if assets is None else self._sources_of(assets)
            weather = self._weather(sources, start, end)
            guess += self._weather_row * self._snapshot.estimate(weather)
        guess += self._archived(start, end)
        guess += _SERIES_ROW * sum(
            self._snapshot.estimate(query)
            for query in self._views.queries(
                request.tenant_id, self._which(assets), start, end
            ).values()
        )
        if guess > _SLACK * self._most:
            raise _TooMuch
        return self.read(assets, start, end, most=_SLACK * self._most)

    def _archived(self, start: int, end: int) -> int:
        """The bytes of rows that come from the archive, at most."""
        request, past = self._request, self._past
        if past is None:
            return 0
        counts = past.counts(start - request.lookback, end + request.lookahead)
        size = _SERIES_ROW * sum(counts.values())
        if request.weather:
            sources = None if request.asset_ids is None else self._sources_of(request.asset_ids)
            weather = past.source_counts(sources, start - request.weather_lookback, end)
            size += self._weather_row * sum(weather.values())
        return size

    def parts(self) -> Iterator[tuple[list[str], int, int]]:
        """Assets and times, each part fitting in memory, that together are all of it."""
        start, end = self._request.start, self._request.end
        for group in self._groups():
            spans = self._times(group[0], start, end) if len(group) == 1 else [(start, end)]
            for first, last in spans:
                yield group, first, last

    def read(
        self, asset_ids: Sequence[str] | None, start: int, end: int, most: float = math.inf
    ) -> ScanPart:
        """Some assets (None: all there are). Raises _TooMuch if it is more than `most` bytes."""
        request = self._request
        known = self._edges if asset_ids is None else asset_ids
        assets = IdCodes(known or (), closed=known is not None)
        series = {name: RowBuffer(1, 1) for name in request.series}
        for name, rows in series.items():
            self._fill(rows, assets, self._series(name, asset_ids, start, end), _SERIES_ROW, most)
            if self._past is not None:
                first, last = start - request.lookback, end + request.lookahead
                which = self._which(asset_ids)
                self._past.add_series(rows, assets, name, asset_ids, which, first, last)
            most -= _SERIES_ROW * len(rows)
        which = self._which(asset_ids)
        views = {}
        for column, query in self._views.queries(request.tenant_id, which, start, end).items():
            rows = views[column] = RowBuffer(1, 1)
            self._fill(rows, assets, query, _SERIES_ROW, most)
            most -= _SERIES_ROW * len(rows)
        ids = assets.ids()
        source_ids, source_of = coded_sources(self._reads(one, start, end) for one in ids)
        sources = IdCodes(source_ids, closed=True)
        weather = RowBuffer(2, len(request.weather)) if request.weather else None
        if weather is not None:
            query = self._weather(source_ids, start, end)
            self._fill(weather, sources, query, self._weather_row, most)
            if self._past is not None:
                first = start - request.weather_lookback
                self._past.add_weather(weather, sources, source_ids, first, end)
        return ScanPart(
            start,
            end,
            ids,
            {name: rows.grouped(len(ids)) for name, rows in series.items()},
            None if weather is None else weather.grouped(len(sources)),
            source_of,
            None if self._edges is None else edges_of(ids, self._edges),
            attribute_tables(request.attributes, ids, self._attributes),
            {column: rows.grouped(len(ids)) for column, rows in views.items()},
            self._past is not None,
        )

    def _fill(
        self, rows: RowBuffer, ids: IdCodes, query: sql.Query, size: int, most: float
    ) -> None:
        with closing(self._snapshot.batches(query)) as batches:
            for batch in batches:
                rows.add(ids.codes(batch.column(0)), batch.columns[1:])
                if size * len(rows) + _ID * len(ids) > most:
                    raise _TooMuch

    def _series(
        self, name: str, asset_ids: Sequence[str] | None, start: int, end: int
    ) -> sql.Query:
        request = self._request
        which = self._which(asset_ids)
        first, last = start - request.lookback, end + request.lookahead
        return sql.series(request.tenant_id, name, which, first, last)

    def _weather(self, source_ids: Sequence[str] | None, start: int, end: int) -> sql.Query:
        request = self._request
        which = sql.EVERYTHING if source_ids is None else sql.among(source_ids)
        first = start - request.weather_lookback
        return sql.weather(request.tenant_id, request.weather, which, first, end)

    def _which(self, asset_ids: Sequence[str] | None) -> sql.Query:
        if asset_ids is None:
            return sql.EVERYTHING
        # All assets were asked for, so a group is all those in its range.
        if self._request.asset_ids is None:
            return sql.between(asset_ids[0], asset_ids[-1])
        return sql.among(asset_ids)

    def _first_and_last(self, series: str) -> dict[str, tuple[int, int]]:
        query = sql.edges(self._request.tenant_id, series, self._request.asset_ids)
        live = {
            asset: (to_micros(first), to_micros(last))
            for asset, first, last in self._snapshot.rows(query)
        }
        return live if self._past is None else self._past.edges(live, series)

    def _mapped(self) -> dict[str, list[tuple[int, str | None]]]:
        which = self._which(self._request.asset_ids)
        mappings: dict[str, list[tuple[int, str | None]]] = {}
        for asset_id, since, source_id in self._snapshot.rows(
            sql.sources(self._request.tenant_id, which)
        ):
            mappings.setdefault(asset_id, []).append((to_micros(since), source_id))
        return mappings

    def _having(self) -> list[tuple[str, str, int, Value]]:
        request = self._request
        query = sql.attributes(
            request.tenant_id, request.attributes, self._which(request.asset_ids)
        )
        return [
            (asset_id, key, to_micros(since), text if number is None else number)
            for asset_id, key, since, number, text in self._snapshot.rows(query)
        ]

    def _reads(self, asset_id: str, start: int, end: int) -> Reads:
        return sources_of(asset_id, self._mappings.get(asset_id, ()), start, end)

    def _sources_of(self, asset_ids: Sequence[str]) -> list[str]:
        """The sources that some assets read in the range."""
        start, end = self._request.start, self._request.end
        spans = (self._reads(asset, start, end) for asset in asset_ids)
        return list(dict.fromkeys(source for mine in spans for _, source in mine))

    def _groups(self) -> Iterator[list[str]]:
        """Assets in their order, in groups that fit, or one asset."""
        observations, weather = self._observation_counts(), self._weather_counts()
        group: list[str] = []
        inside: set[str] = set()
        size = 0
        for asset in sorted(observations):
            own = _ID + _SERIES_ROW * observations[asset]
            shared = {one: weather.get(one, 0) for one in self._sources_of([asset])}
            more = own + self._weather_row * sum(
                rows for source, rows in shared.items() if source not in inside
            )
            if group and size + more > self._most:
                yield group
                group, inside, size = [], set(), 0
                more = own + self._weather_row * sum(shared.values())
            group.append(asset)
            inside.update(shared)
            size += more
        if group:
            yield group

    def _observation_counts(self) -> dict[str, int]:
        """How many observations each asset of the request has."""
        request = self._request
        first, last = request.start - request.lookback, request.end + request.lookahead
        which = self._which(request.asset_ids)
        sizes = sql.series_sizes(request.tenant_id, request.series, which, first, last)
        counts = Counter(dict(self._snapshot.rows(sizes)))
        if self._past is not None:
            counts += self._past.counts(first, last)
        assets = self._edges if request.asset_ids is None else request.asset_ids
        return counts if assets is None else {one: counts.get(one, 0) for one in assets}

    def _weather_counts(self) -> dict[str, int]:
        """How many rows of weather each source of the request has."""
        request = self._request
        if not request.weather:
            return {}
        assets = request.asset_ids
        which = sql.EVERYTHING if assets is None else sql.among(self._sources_of(assets))
        first = request.start - request.weather_lookback
        sizes = sql.weather_sizes(request.tenant_id, which, first, request.end)
        counts = Counter(dict(self._snapshot.rows(sizes)))
        if self._past is not None:
            sources = None if assets is None else self._sources_of(assets)
            counts += self._past.source_counts(sources, first, request.end)
        return counts

    def _times(self, asset_id: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """One asset's times in parts that fit; where rows are dense, they are counted finer.

        A part is half of what fits, since it also has the rows before it.
        """
        width = (end - start) // _STEPS + 1
        sizes = self._sizes_by_time(asset_id, start, end, width)
        first, size = start, 0
        for step, more in enumerate(sizes.tolist()):
            begin = start + step * width
            if begin > first and size + more > self._most // 2:
                yield from self._time(asset_id, first, begin - 1, size)
                first, size = begin, 0
            size += more
        yield from self._time(asset_id, first, end, size)

    def _time(self, asset_id: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
        if size > self._most // 2 and end > start:
            yield from self._times(asset_id, start, end)
        else:
            yield start, end

    def _sizes_by_time(self, asset_id: str, start: int, end: int, width: int) -> Ints:
        """The bytes of one asset in each step of time."""
        request = self._request
        where = (request.tenant_id, sql.among([asset_id]), start, end, width)
        counted = [(sql.series_by_time(request.series, *where), _SERIES_ROW)]
        if request.weather:
            which = sql.among(self._sources_of([asset_id]))
            where = (request.tenant_id, which, start, end, width)
            counted.append((sql.weather_by_time(*where), self._weather_row))
        sizes = np.zeros((end - start) // width + 1, np.int64)
        if self._past is not None:
            span, sources = (start, end, width), self._sources_of([asset_id])
            row, weather_row = _SERIES_ROW, self._weather_row
            sizes += self._past.sizes_by_time(asset_id, sources, span, row, weather_row)
        for query, size in counted:
            for time, count in self._snapshot.rows(query):
                sizes[(to_micros(time) - start) // width] += size * count
        return sizes
