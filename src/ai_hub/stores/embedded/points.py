"""One answer now on the embedded store: recent rows from memory, else from DuckDB."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from ai_hub.definitions.values import DAY, FIRST_INSTANT, LAST_INSTANT
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS, Missing
from ai_hub.engines.arrays import (
    AttributeTable,
    Floats,
    HistoryArrays,
    Ints,
    Points,
    Series,
    SourceTable,
    ViewColumn,
    Weather,
)
from ai_hub.engines.plan import Plan, sources_for
from ai_hub.engines.traits import FILL_WINDOW, Source
from ai_hub.engines.vectors import vectors
from ai_hub.engines.views import several
from ai_hub.stores.arrays import micros_of, run_starts
from ai_hub.stores.base import Vectors
from ai_hub.stores.embedded.recent import Change, Key, Recent, Rows
from ai_hub.stores.embedded.scan import read_series, read_weather
from ai_hub.stores.embedded.session import Cursor

_LIVE = 7 * DAY
"""Requests further behind the newest data are about history: read, and not remembered."""
_MERGED_ROWS = 10_000
"""A larger batch is a bulk load: what it touches is forgotten, and read again when asked for."""
_NAMED_KEYS = 10_000
"""Of a batch that touches more, all of its tenants is forgotten: that takes less."""

_SERIES = ("tenant_id", "asset_id", "feature_type")
_SOURCE = ("tenant_id", "asset_id")

Beside = Callable[[Callable[[Cursor], Weather]], Future[Weather]]


def newest_times(cursor: Cursor) -> tuple[int, int]:
    """The newest time of any observation and of any weather row; the earliest instant if none."""
    newest = []
    for table in ("ai_features", "weather_features"):
        found = cursor.execute(f"SELECT epoch_us(max(timestamp)) FROM {table}").fetchall()
        newest.append(FIRST_INSTANT if found[0][0] is None else int(found[0][0]))
    return newest[0], newest[1]


class PointReader:
    """Features of some assets as of one time, and the memory that makes that cheap."""

    def __init__(self, newest: int, newest_weather: int) -> None:
        self._recent = Recent()
        self._newest = {"series": newest, "weather": newest_weather}
        # The lists of weather columns read so far: rows are remembered for each list separately.
        self._weather_columns: set[tuple[str, ...]] = set()

    def landed(self, kind: Literal["series", "weather"], batch: pa.Table) -> None:
        """Take note of a batch (sorted by its key) after its commit, before it is acknowledged."""
        if not batch.num_rows:
            return
        times = micros_of(batch["timestamp"])
        self._newest[kind] = max(self._newest[kind], int(times.max()))
        if batch.num_rows > _NAMED_KEYS:
            names = _SERIES if kind == "series" else _SOURCE
            if len(run_starts(batch, names)) > _NAMED_KEYS:
                self._recent.forget(kind, set(batch["tenant_id"].unique().to_pylist()))
                return
        self._recent.merge(
            self._series_changes(batch, times)
            if kind == "series"
            else self._weather_changes(batch, times)
        )

    def removed(self, tenant_id: str) -> None:
        """Take note that rows of a tenant went, after the commit, before it is acknowledged."""
        for kind in ("series", "weather"):
            self._recent.forget(kind, {tenant_id})

    def _series_changes(self, batch: pa.Table, times: Ints) -> dict[Key, Change | None]:
        values = np.asarray(batch["value"], np.float64)[:, None]
        usable = np.asarray(batch["quality"]) >= 1
        changes: dict[Key, Change | None] = {}
        for (tenant_id, asset_id, name), part in _runs(batch, _SERIES):
            key: Key = ("series", tenant_id, asset_id, name)
            changes[key] = _change(batch, part, times, times, values, usable)
        return changes

    def _weather_changes(self, batch: pa.Table, times: Ints) -> dict[Key, Change | None]:
        issued = micros_of(batch["issued_at"])
        usable = np.ones(batch.num_rows, bool)
        changes: dict[Key, Change | None] = {}
        for columns in tuple(self._weather_columns):
            values = np.stack([batch[n].to_numpy().astype(np.float64) for n in columns], axis=1)
            for (tenant_id, source_id), part in _runs(batch, _SOURCE):
                key: Key = ("weather", tenant_id, source_id, ",".join(columns))
                changes[key] = _change(batch, part, times, issued, values, usable)
        return changes

    def compute(
        self,
        cursor: Cursor,
        beside: Beside,
        plan: Plan,
        missing: Missing | None,
        tenant_id: str,
        asset_ids: Sequence[str],
        source_ids: Sequence[str],
        attributes: Mapping[str, AttributeTable],
        at: int,
        views: Mapping[ViewColumn, Series] | None = None,
    ) -> Vectors:
        """The features of some assets as of `at`, filled.

        What is in memory or in DuckDB holds every batch acknowledged before this was called.
        Weather that must be read is read `beside` the observations. With `views` all is read in the
        cursor's transaction, in which they were read.
        """
        points = Points(np.arange(len(asset_ids)), np.full(len(asset_ids), at, np.int64))
        # Before anything is read: a batch that lands from now on knows of these columns.
        if plan.weather:
            self._weather_columns.add(_ordered(plan.weather))
        self._weather_columns.update(
            (source.name,) for source in sources_for(plan, missing) if source.kind == "weather"
        )
        window = _Window(
            self._recent, self._newest, tenant_id, asset_ids, source_ids, at, views is None
        )

        def read_on(source: Source, rows: Ints) -> HistoryArrays:
            some = window.of([int(row) for row in rows])
            name = source.name
            if source.kind == "weather":
                held = some.weather_in_memory((name,), FILL_WINDOW)
                return HistoryArrays({}, held or some.weather(cursor, (name,), FILL_WINDOW))
            return HistoryArrays({name: some.series(cursor, name, FILL_WINDOW)})

        weather, reading = None, None
        if plan.weather:
            weather = window.weather_in_memory(plan.weather, plan.weather_lookback)
            if weather is None and views is not None:
                weather = window.weather(cursor, plan.weather, plan.weather_lookback)
            elif weather is None:
                reading = beside(
                    lambda other: window.weather(other, plan.weather, plan.weather_lookback)
                )
        series = {name: window.series(cursor, name, plan.lookback) for name in plan.series}
        if reading is not None:
            weather = reading.result()
        history = HistoryArrays(series, weather, attributes, views or {})
        faults = several(plan, points, history)
        return Vectors(*vectors(plan, points, history, missing, read_on), faults)


@dataclass(frozen=True)
class _Window:
    """What one request reads: some assets' histories that end at its as-of time."""

    recent: Recent
    newest: dict[str, int]
    tenant_id: str
    asset_ids: Sequence[str]
    source_ids: Sequence[str]
    at: int
    in_memory: bool = True

    def of(self, places: Sequence[int]) -> _Window:
        """The same for some of the assets, by their positions."""
        return replace(
            self,
            asset_ids=[self.asset_ids[place] for place in places],
            source_ids=[self.source_ids[place] for place in places],
        )

    def series(self, cursor: Cursor, name: str, lookback: int) -> Series:
        """One series of the assets in [at - lookback, at]."""
        first = self.at - lookback
        if not self._live("series"):
            return read_series(cursor, self.tenant_id, name, self.asset_ids, first, self.at)
        keys: list[Key] = [("series", self.tenant_id, one, name) for one in self.asset_ids]
        begun = self.recent.begin()
        found = self.recent.find(keys, first)
        absent = [i for i, rows in enumerate(found) if rows is None]
        if absent:
            some = [self.asset_ids[i] for i in absent]
            # Far enough back for a fill, so that a missing value needs no second read.
            width = max(lookback, FILL_WINDOW)
            since = self.at - width - DAY
            read = read_series(cursor, self.tenant_id, name, some, since, LAST_INSTANT)
            bounds = np.searchsorted(read.code, np.arange(len(some) + 1))
            for place, i in enumerate(absent):
                part = slice(bounds[place], bounds[place + 1])
                time = read.time[part]
                found[i] = Rows(since, width, time, time, read.value[part][:, None])
            self.recent.keep(begun, {keys[i]: rows for i in absent if (rows := found[i])})
        parts = [(rows, rows.between(first, self.at)) for rows in found if rows is not None]
        code = np.repeat(np.arange(len(parts)), [part.stop - part.start for _, part in parts])
        return Series(
            code,
            np.concatenate([rows.time[part] for rows, part in parts]),
            np.concatenate([rows.values[part, 0] for rows, part in parts]),
        )

    def weather_in_memory(self, columns: Sequence[str], lookback: int) -> Weather | None:
        """The weather in [at - lookback, at] if all of it is in memory."""
        sources, source_of = _coded(self.source_ids)
        first = self.at - lookback
        columns = _ordered(columns)
        keys = self._weather_keys(sources, columns)
        found = self.recent.find(keys, first)
        if not self._live("weather") or any(rows is None for rows in found):
            return None
        return _joined([rows for rows in found if rows], columns, source_of, first, self.at)

    def _weather_keys(self, sources: Sequence[str], columns: Sequence[str]) -> list[Key]:
        return [("weather", self.tenant_id, one, ",".join(columns)) for one in sources]

    def weather(self, cursor: Cursor, columns: Sequence[str], lookback: int) -> Weather:
        """The weather in [at - lookback, at] from the database."""
        sources, source_of = _coded(self.source_ids)
        first = self.at - lookback
        columns = _ordered(columns)
        if not self._live("weather"):
            return read_weather(cursor, self.tenant_id, columns, sources, source_of, first, self.at)
        begun = self.recent.begin()
        since = first - DAY
        read = read_weather(
            cursor, self.tenant_id, columns, sources, source_of, since, LAST_INSTANT
        )
        values = np.stack([read.columns[name] for name in columns], axis=1)
        bounds = np.searchsorted(read.code, np.arange(len(sources) + 1))
        found = []
        for place in range(len(sources)):
            part = slice(bounds[place], bounds[place + 1])
            found.append(Rows(since, lookback, read.time[part], read.issued[part], values[part]))
        keys = self._weather_keys(sources, columns)
        self.recent.keep(begun, dict(zip(keys, found, strict=True)))
        return _joined(found, columns, source_of, first, self.at)

    def _live(self, kind: str) -> bool:
        now = time.time_ns() // 1_000
        return self.in_memory and self.at >= min(self.newest[kind], now) - _LIVE


def _ordered(columns: Sequence[str]) -> tuple[str, ...]:
    """Weather columns in the table's order: the same few lists, however requests order them."""
    return tuple(name for name in WEATHER_COLUMNS if name in columns)


def _coded(source_ids: Sequence[str]) -> tuple[list[str], SourceTable]:
    """The distinct sources in order of first use, and the table of whose weather each asset has."""
    code_of: dict[str, int] = {}
    codes = [code_of.setdefault(one, len(code_of)) for one in source_ids]
    return list(code_of), SourceTable.always(np.array(codes, np.int64))


def _runs(batch: pa.Table, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], slice]]:
    """The runs of rows of a sorted batch that share some ids."""
    starts = run_starts(batch, names)
    ends = np.append(starts[1:], batch.num_rows)
    first = pa.array(starts)
    ids = zip(*(batch[name].take(first).to_pylist() for name in names), strict=True)
    for named, low, high in zip(ids, starts.tolist(), ends.tolist(), strict=True):
        yield named, slice(low, high)


def _change(
    batch: pa.Table, part: slice, times: Ints, issued: Ints, values: Floats, usable: np.ndarray
) -> Change | None:
    if batch.num_rows > _MERGED_ROWS:
        return None
    return Change(times[part], issued[part], values[part], usable[part])


def _joined(
    found: Sequence[Rows], columns: Sequence[str], source_of: SourceTable, first: int, last: int
) -> Weather:
    """The rows of some sources as the kernel's arrays."""
    parts = [(rows, rows.between(first, last)) for rows in found]
    code = np.repeat(np.arange(len(parts)), [part.stop - part.start for _, part in parts])
    values = np.concatenate([rows.values[part] for rows, part in parts])
    return Weather(
        code,
        np.concatenate([rows.time[part] for rows, part in parts]),
        np.concatenate([rows.issued[part] for rows, part in parts]),
        {name: values[:, place] for place, name in enumerate(columns)},
        source_of,
    )
