"""A scan over Arrow tables in memory: the histories of assets that no store of ours holds."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.definitions.values import FIRST_INSTANT, iso
from ai_hub.engines.arrays import AttributeTable, HistoryArrays, Mask, Series, Weather
from ai_hub.errors import InvalidInput
from ai_hub.stores.arrays import coded_ids, codes_of, edges_of, series_of, weather_rows
from ai_hub.stores.attributes import attribute_tables
from ai_hub.stores.base import Chunk, Edges, ScanRequest
from ai_hub.stores.chunks import cut
from ai_hub.stores.weather_sources import Mappings, coded_sources, sources_of


@dataclass(frozen=True)
class Tables:
    """Usable rows of one tenant, in any order, as they would be stored.

    `observations` (asset_id, timestamp, value) have a feature_type where they are of several
    series; without one they are of that which is asked for. `weather` rows are (asset_id,
    timestamp, issued_at, the columns asked for), `attributes` (asset_id, key, valid_from, number,
    text), `mappings` those of each asset. `edges` are the first and the last time of each asset in
    the series whose edges are asked for: without any, those of the observations.
    """

    observations: pa.Table
    weather: pa.Table | None = None
    mappings: Mapping[str, Mappings] = field(default_factory=dict)
    attributes: pa.Table | None = None
    edges: Mapping[str, tuple[int, int]] | None = None

    def scan(self, request: ScanRequest) -> Generator[Chunk, None, None]:
        """The history of what is asked for, by ascending asset and time, in chunks.

        Raises InvalidInput where an asset has two values of one time.
        """
        observations = self.observations
        if request.asset_ids is None:
            ids, code = coded_ids(observations["asset_id"])
            if self.edges is not None and not self.edges.keys() <= set(ids):
                ids = tuple(sorted({*ids, *self.edges}))
                code = codes_of(observations["asset_id"], ids)
        else:
            ids = tuple(sorted(request.asset_ids))
            code = codes_of(observations["asset_id"], ids)
        if not ids:
            return
        series = {}
        for name in request.series:
            rows = self._of_series(name, request)
            mine = observations if rows is None else observations.filter(pa.array(rows))
            found = series_of(mine, code if rows is None else code[rows])
            series[name] = _once(found, ids)
        history = HistoryArrays(
            series,
            self._weather(request, ids) if request.weather else None,
            self._attributes(request, ids),
        )
        edges = None if request.edges is None else self._edges(series[request.edges], ids)
        yield from cut(Chunk(ids, request.start, request.end, history, edges), request)

    def _of_series(self, name: str, request: ScanRequest) -> Mask | None:
        """Which observations are of a series; None: all of them."""
        if "feature_type" not in self.observations.column_names:
            assert len(request.series) == 1
            return None
        return np.asarray(pc.equal(self.observations["feature_type"], name))

    def _weather(self, request: ScanRequest, ids: tuple[str, ...]) -> Weather | None:
        if self.weather is None:
            return None
        start, end = request.start, request.end
        reads = (sources_of(one, self.mappings.get(one, ()), start, end) for one in ids)
        sources, source_of = coded_sources(reads)
        found = weather_rows(self.weather, request.weather, sources, source_of)
        _check_issues(found, sources)
        return found

    def _attributes(self, request: ScanRequest, ids: tuple[str, ...]) -> dict[str, AttributeTable]:
        if self.attributes is None:
            return {}
        wanted = self.attributes.filter(
            pc.is_in(self.attributes["key"], pa.array(request.attributes, pa.string()))
        )
        names = ("asset_id", "key", "valid_from", "number", "text")
        since = pc.fill_null(wanted["valid_from"].cast(pa.int64()), FIRST_INSTANT)
        columns = {name: wanted[name] for name in names} | {"valid_from": since}
        rows = zip(*(columns[name].to_pylist() for name in names), strict=True)
        plain = (
            (asset_id, key, at, text if number is None else float(number))
            for asset_id, key, at, number, text in rows
        )
        return attribute_tables(request.attributes, ids, plain)

    def _edges(self, series: Series, ids: tuple[str, ...]) -> Edges:
        if self.edges is not None:
            return edges_of(ids, self.edges)
        place = np.flatnonzero(np.diff(series.code, prepend=-1))
        last = np.append(place[1:], len(series.code))[: len(place)] - 1
        pairs = zip(series.time[place].tolist(), series.time[last].tolist(), strict=True)
        return edges_of(ids, dict(zip((ids[i] for i in series.code[place]), pairs, strict=True)))


def _once(series: Series, ids: tuple[str, ...]) -> Series:
    """A series with one value for each time, where rows only come again as they were."""
    again = (series.time[1:] == series.time[:-1]) & (series.code[1:] == series.code[:-1])
    if not again.any():
        return series
    other = again & (series.value[1:] != series.value[:-1])
    if other.any():
        row = int(other.argmax())
        asset, at = ids[series.code[row]], iso(int(series.time[row]))
        values = [float(series.value[row]), float(series.value[row + 1])]
        raise InvalidInput(
            "observations",
            values,
            f"one value of {asset} at {at}",
            "Keep the one that holds before the rows are handed over.",
        )
    kept = np.append(True, ~again)
    return Series(series.code[kept], series.time[kept], series.value[kept])


def _check_issues(weather: Weather, sources: list[str]) -> None:
    """Rows of one source, time and issue say the same."""
    again = (weather.code[1:] == weather.code[:-1]) & (weather.time[1:] == weather.time[:-1])
    again &= weather.issued[1:] == weather.issued[:-1]
    for name, values in weather.columns.items() if again.any() else ():
        same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        other = again & ~same
        if other.any():
            row = int(other.argmax())
            source, at = sources[weather.code[row]], iso(int(weather.time[row]))
            raise InvalidInput(
                "weather",
                [float(values[row]), float(values[row + 1])],
                f"one {name} of {source} at {at}, as issued at {iso(int(weather.issued[row]))}",
                "Keep the row that holds before the rows are handed over.",
            )
