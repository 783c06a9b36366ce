"""What a bulk read adds from the archive to what it read from the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable

import numpy as np
import pyarrow as pa

from ai_hub.archive.layer import COLUMNS, INSTANTS, KINDS, layer_of
from ai_hub.archive.past import Edges, Past
from ai_hub.definitions.values import to_micros
from ai_hub.engines.arrays import Ints
from ai_hub.stores.base import ScanRequest
from ai_hub.stores.postgres import scan_sql as sql
from ai_hub.stores.postgres.grouped_rows import IdCodes, RowBuffer
from ai_hub.stores.postgres.snapshot import Snapshot

_TIMES = {COLUMNS.index(name) for name in INSTANTS}
Which = Callable[[Collection[str] | None], sql.Query]
"""The condition that a row is about one of some assets (None: all)."""


def past_of(snapshot: Snapshot, tenant_id: str) -> Past | None:
    """What was taken out of the database of a tenant, as of a snapshot."""
    known = {kind: to_micros(at) for kind, at in snapshot.rows(sql.DROPPED)}
    if not known:
        return None
    layers = [
        layer_of([to_micros(v) if i in _TIMES else v for i, v in enumerate(row)])
        for row in snapshot.rows(sql.layers(tenant_id))
    ]
    dropped = {kind: known[kind] for kind in KINDS if kind in known}
    return Past(layers, dropped) if layers else None


class PastScan:
    """The archived rows of one scan in one snapshot."""

    def __init__(self, snapshot: Snapshot, request: ScanRequest, past: Past) -> None:
        self._snapshot = snapshot
        self._request = request
        self._past = past

    def edges(self, live: Edges, series: str) -> Edges:
        """The first and the last time of a series, by asset, in the database and before."""
        request, past = self._request, self._past
        found, unsure = past.edges(series, request.asset_ids)
        unsure |= {
            one for (one,) in self._snapshot.rows(sql.having_gone(request.tenant_id, series))
        }
        for asset in unsure & found.keys():
            times = self._times(series, asset)
            del found[asset]
            if len(times):
                found[asset] = (int(times.min()), int(times.max()))
        for asset, (first, last) in live.items():
            early, late = found.get(asset, (first, last))
            found[asset] = (min(first, early), max(last, late))
        return found

    def _times(self, series: str, asset: str) -> Ints:
        """The times of the usable rows of one asset that were taken out."""
        codes, rows = IdCodes([asset], closed=True), RowBuffer(1, 1)
        first, last = self._past.span("observations")
        self.add_series(rows, codes, series, [asset], sql.among([asset]), first, last)
        time, value = rows.grouped(1).of(np.zeros(1, np.int64))[1]
        order = np.argsort(time, kind="stable")
        newest = order[np.append(True, np.diff(time[order]) != 0)[: len(order)]]
        return np.asarray(time[newest][~np.isnan(value[newest])], np.int64)

    def counts(self, first: int, last: int) -> Counter[str]:
        """No fewer observations than each asset of the request has."""
        return self._past.counts(self._request.series, self._request.asset_ids, first, last)

    def source_counts(self, ids: Collection[str] | None, first: int, last: int) -> Counter[str]:
        """No fewer rows of weather than each of some sources has."""
        return self._past.source_counts(ids, first, last)

    def add_series(
        self,
        rows: RowBuffer,
        ids: IdCodes,
        name: str,
        asset_ids: Collection[str] | None,
        which: sql.Query,
        first: int,
        last: int,
    ) -> None:
        """Add the rows of a series to those of the database, which hold."""
        past = self._past
        if not past.reaches("observations", first):
            return
        until = min(last, past.before("observations") - 1)
        query = sql.gone(self._request.tenant_id, name, which, first, until)
        for batch in self._snapshot.batches(query):
            rows.add(ids.codes(batch.column(0)), batch.columns[1:])
        _add(rows, ids, past.series(name, asset_ids, first, last))

    def add_weather(
        self,
        rows: RowBuffer,
        ids: IdCodes,
        source_ids: Collection[str],
        first: int,
        last: int,
    ) -> None:
        """Add rows of weather likewise."""
        if self._past.reaches("weather", first):
            _add(rows, ids, self._past.weather(self._request.weather, source_ids, first, last))

    def sizes_by_time(
        self, asset_id: str, sources: Collection[str], span: tuple[int, int, int], size: int,
        weather_size: int,
    ) -> Ints:  # fmt: skip
        """The bytes of one asset in each step of `width`, in (start, end, width)."""
        start, end, width = span
        sizes = np.zeros((end - start) // width + 1, np.int64)
        counted = [(self._past.by_day(asset_id, start, end), size)]
        if self._request.weather:
            counted.append((self._past.weather_by_day(sources, start, end), weather_size))
        for days, each in counted:
            for day, rows in days:
                sizes[(max(day, start) - start) // width] += each * rows
        return sizes


def _add(rows: RowBuffer, ids: IdCodes, tables: Iterable[pa.Table]) -> None:
    for table in tables:
        whole = table.combine_chunks()
        for batch in whole.to_batches():
            rows.add(ids.codes(batch.column(0).cast(pa.string())), batch.columns[1:])
