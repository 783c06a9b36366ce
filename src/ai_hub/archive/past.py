"""Archived history as one scan reads it, beside the rows that are still in the database.

Of a key that both have, the database's row holds; of several layers the newest one's. What says
that there is no usable row is a NaN here, which no value is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.archive.files import read_layer
from ai_hub.archive.layer import Kind, Layer, bucket_of
from ai_hub.archive.rows import SCHEMAS, newest
from ai_hub.definitions.values import DAY
from ai_hub.errors import StorageError, StorageUnavailable, StoreError, StoreUnavailable
from ai_hub.storage.base import Storage
from ai_hub.storage.opening import open_storage
from ai_hub.storage.url import Url

Edges = dict[str, tuple[int, int]]
"""The times of the first and the last usable observation, by asset."""
_NONE = float("nan")


@cache
def storage_at(url: str) -> Storage:
    """The storage of an archive."""
    return open_storage(Url.of(url))


class Past:
    """The layers of a tenant, as far as their days were taken out of the database.

    `dropped` says before when, by kind.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        dropped: Mapping[Kind, int],
        storage_of: Callable[[str], Storage] = storage_at,
    ) -> None:
        self._dropped = dropped
        self._storage_of = storage_of
        ordered = sorted(layers, key=lambda one: -one.number)
        self._layers: dict[Kind, list[Layer]] = {
            kind: [
                one
                for one in ordered
                if one.kind == kind and one.state != "writing" and one.start < end
            ]
            for kind, end in dropped.items()
        }

    def reaches(self, kind: Kind, first: int) -> bool:
        """Whether there may be anything at or after a time."""
        return any(one.end > first for one in self._layers.get(kind, ()))

    def before(self, kind: Kind) -> int:
        """The end of what was taken out of the database."""
        return self._dropped[kind]

    def span(self, kind: Kind) -> tuple[int, int]:
        """From the first day of it to the last instant of the last one."""
        return min(one.start for one in self._layers[kind]), self._dropped[kind] - 1

    def days(self, kind: Kind) -> list[tuple[int, int]]:
        """The days with rows that were taken out, and no fewer than each of them has."""
        found: Counter[int] = Counter()
        for layer in self._layers.get(kind, ()):
            for part in layer.parts:
                if part.day < self._dropped[kind]:
                    found[part.day] += part.rows
        return sorted(found.items())

    def counts(
        self, series: Collection[str], asset_ids: Collection[str] | None, first: int, last: int
    ) -> Counter[str]:
        """No fewer rows than each asset has of some series in [first, last], with those of the
        layers as a whole."""
        chosen = None if asset_ids is None else {*asset_ids}
        found: Counter[str] = Counter()
        for layer in self._within("observations", first, last):
            for one in layer.extents:
                if one.series in series and (chosen is None or one.asset_id in chosen):
                    found[one.asset_id] += one.rows
        return +found

    def count(self, series: str, asset_ids: Collection[str] | None, first: int, last: int) -> int:
        """No fewer rows than there are of a series in [first, last]; those alone, but for rows
        that several layers have."""
        found = 0
        for layer in self._within("observations", first, last):
            own = [
                one
                for one in layer.extents
                if one.series == series and (asset_ids is None or one.asset_id in asset_ids)
            ]
            if all(first <= one.first and one.last <= last for one in own):
                found += sum(one.rows for one in own)
            else:
                tables = self._read(layer, first, last, asset_ids, series, ("asset_id", "quality"))
                found += sum(pc.sum(pc.greater_equal(t["quality"], 1)).as_py() or 0 for t in tables)
        return found

    def source_counts(
        self, source_ids: Collection[str] | None, first: int, last: int
    ) -> Counter[str]:
        """The same of weather."""
        chosen = None if source_ids is None else {*source_ids}
        found: Counter[str] = Counter()
        for layer in self._within("weather", first, last):
            for one in layer.extents:
                if chosen is None or one.asset_id in chosen:
                    found[one.asset_id] += one.rows
        return found

    def edges(self, series: str, asset_ids: Collection[str] | None) -> tuple[Edges, set[str]]:
        """The edges of a series, by asset; and the assets of which rows are no more, so that
        theirs are to be looked for among the rows."""
        chosen = None if asset_ids is None else {*asset_ids}
        found: Edges = {}
        unsure = set()
        for layer in self._layers.get("observations", ()):
            for one in layer.extents:
                if one.series != series or not (chosen is None or one.asset_id in chosen):
                    continue
                if one.gone:
                    unsure.add(one.asset_id)
                if one.rows:
                    first, last = found.get(one.asset_id, (one.first, one.last))
                    found[one.asset_id] = (min(first, one.first), max(last, one.last))
        return found, unsure

    def by_day(self, asset_id: str, first: int, last: int) -> list[tuple[int, int]]:
        """The days with rows of an asset in [first, last], and no fewer than each of them has."""
        return self._days("observations", [asset_id], first, last)

    def weather_by_day(
        self, source_ids: Collection[str], first: int, last: int
    ) -> list[tuple[int, int]]:
        """The same of the weather of some sources."""
        return self._days("weather", source_ids, first, last)

    def _days(
        self, kind: Kind, ids: Collection[str], first: int, last: int
    ) -> list[tuple[int, int]]:
        days: Counter[int] = Counter()
        for layer in self._within(kind, first, last):
            buckets = {bucket_of(one, layer.buckets) for one in ids}
            own = sum(one.rows + one.gone for one in layer.extents if one.asset_id in ids)
            for part in layer.within(first, last):
                if part.bucket in buckets:
                    days[part.day] += min(own, part.rows)
        return sorted(days.items())

    def cuts(self, asset_id: str, first: int, last: int, rows: int) -> list[int]:
        """Begins of days that part one asset's rows in [first, last] into about so many each."""
        cuts, size = [], 0
        for day, more in self.by_day(asset_id, first, last):
            if size and size + more > rows and first < day <= last:
                cuts.append(day)
                size = 0
            size += more
        return cuts

    def series(
        self, name: str, asset_ids: Collection[str] | None, first: int, last: int
    ) -> Iterator[pa.Table]:
        """The rows of a series in [first, last]: asset_id, timestamp and value, the newest layer
        first. Raises StoreError."""
        columns = ("asset_id", "timestamp", "value", "quality")
        last = min(last, self._dropped.get("observations", first) - 1)
        for layer in self._within("observations", first, last):
            for table in self._read(layer, first, last, asset_ids, name, columns):
                usable = pc.greater_equal(table["quality"], 1)
                value = pc.if_else(usable, table["value"], _NONE)
                yield table.select(columns[:2]).append_column("value", value)

    def weather(
        self, columns: Sequence[str], source_ids: Collection[str] | None, first: int, last: int
    ) -> Iterator[pa.Table]:
        """The rows of weather about [first, last] known by `last`: asset_id, timestamp, issued_at
        and some columns, the newest layer first. Raises StoreError."""
        known = pa.scalar(last, pa.int64()).cast(pa.timestamp("us", "UTC"))
        last = min(last, self._dropped.get("weather", first) - 1)
        wanted = ("asset_id", "timestamp", "issued_at", *columns)
        for layer in self._within("weather", first, last):
            for table in self._read(layer, first, last, source_ids, None, wanted):
                yield table.filter(pc.less_equal(table["issued_at"], known))

    def table(self, kind: Kind, start: int, end: int, gone: bool = False) -> pa.Table:
        """All rows of a kind about [start, end) as they are told by the newest layers; those too
        that say that there is none, if `gone`. Raises StorageError."""
        tables = [
            table
            for layer in self._within(kind, start, end - 1)
            for table in read_layer(self._storage_of(layer.url), layer, start, end - 1)
        ]
        return newest(kind, tables, gone) if tables else SCHEMAS[kind].empty_table()

    def _read(
        self,
        layer: Layer,
        first: int,
        last: int,
        asset_ids: Collection[str] | None,
        series: str | None,
        columns: Collection[str],
    ) -> Iterator[pa.Table]:
        try:
            yield from read_layer(
                self._storage_of(layer.url), layer, first, last, asset_ids, series, columns
            )
        except StorageError as error:
            # To who reads a history, the archive is a part of the store.
            kind = StoreUnavailable if isinstance(error, StorageUnavailable) else StoreError
            raise kind(f"archived rows cannot be read: {error}") from error

    def _within(self, kind: Kind, first: int, last: int) -> list[Layer]:
        last = min(last, self._dropped.get(kind, first) - 1)
        return [one for one in self._layers.get(kind, ()) if one.covers(first, last + 1)]


def whole(layers: Sequence[Layer], storage_of: Callable[[str], Storage] = storage_at) -> Past:
    """All that some layers have, also of days that are still in the database."""
    end = max((one.end for one in layers), default=0) + DAY
    return Past(layers, {"observations": end, "weather": end}, storage_of)
