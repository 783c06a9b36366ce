"""The tenants and assets that an embedded database has rows of, in memory, each with its series and
when these begin and end: one walk of the table tells them, and from then on the one writer does."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from heapq import nsmallest
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.definitions.values import Entity
from ai_hub.stores.arrays import micros_of
from ai_hub.stores.asset_facts import Freshness
from ai_hub.stores.embedded.session import Cursor

_ALL = """
SELECT tenant_id, asset_id, feature_type, epoch_us(min(timestamp)), epoch_us(max(timestamp))
FROM ai_features GROUP BY ALL
UNION ALL
SELECT DISTINCT tenant_id, asset_id, NULL, NULL, NULL FROM asset_attributes
"""
_AT_ONCE = 1_000
"""Rows that are made objects of Python without a pause for others."""
_PART = 10_000
"""Rows of a batch that are looked at together."""
_MOST_NOTED = 50_000
"""Series of a batch that are noted: of more than that the tables are asked anew, if ever."""
_KEY = ["tenant_id", "asset_id", "feature_type"]
_NONE = -1


class Extent(NamedTuple):
    """A series, and the times of its first and its last usable reading."""

    name: str
    first: int
    last: int


class Sample(NamedTuple):
    """How many assets and series of a tenant have usable readings, and some of the series, each
    with its asset and the time of its last reading."""

    assets: int
    series: int
    chosen: list[tuple[str, str, int]]


class _Assets:
    """The assets of a tenant. An asset names its first series, and each series the next one: there
    may be very many of them."""

    def __init__(self) -> None:
        self.heads: dict[str, int] = {}
        self.doubtful: set[str] = set()
        self._codes: dict[str, int] = {}
        self._names: list[str] = []
        self._code = array("i")
        self._first = array("q")
        self._last = array("q")
        self._following = array("q")

    def note(self, asset_id: str, name: str, first: int, last: int) -> None:
        """Readings of a series landed, the first and the last of them then."""
        place = before = self.heads.get(asset_id, _NONE)
        while place != _NONE and self._names[self._code[place]] != name:
            place, before = self._following[place], place
        if place != _NONE:
            self._first[place] = min(first, self._first[place])
            self._last[place] = max(last, self._last[place])
            return
        if name not in self._codes:
            self._codes[name] = len(self._names)
            self._names.append(name)
        self._code.append(self._codes[name])
        self._first.append(first)
        self._last.append(last)
        self._following.append(_NONE)
        if before == _NONE:
            self.heads[asset_id] = len(self._code) - 1
        else:
            self._following[before] = len(self._code) - 1

    def of(self, asset_id: str) -> list[Extent]:
        """The series of an asset."""
        found, place = [], self.heads.get(asset_id, _NONE)
        while place != _NONE:
            name = self._names[self._code[place]]
            found.append(Extent(name, self._first[place], self._last[place]))
            place = self._following[place]
        return found

    def doubt(self, asset_id: str, name: str, at: int) -> None:
        """A row cannot be used: where it took the place of the first or last one that could be, it
        is not known which one is now."""
        if any(one.name == name and at in (one.first, one.last) for one in self.of(asset_id)):
            self.doubtful.add(asset_id)

    def newest(self) -> list[tuple[int, str]]:
        """The time of the newest reading of each asset that has any."""
        return [
            (self._latest(head), asset_id) for asset_id, head in self.heads.items() if head != _NONE
        ]

    @property
    def has_readings(self) -> bool:
        """Whether any of them has a usable reading."""
        return len(self._code) > 0

    def sample(self, most: int, now: int) -> Sample:
        """Some of the series, the same ones each time; those with a time to come first."""
        with_readings = [asset_id for asset_id, head in self.heads.items() if head != _NONE]
        some = nsmallest(most, with_readings, key=_by_chance)
        if max(self._last, default=now) > now:
            to_come = (one for one in with_readings if self._latest(self.heads[one]) > now)
            some = [*dict.fromkeys([*nsmallest(most, to_come, key=_by_chance), *some])]
        chosen = [(one, series.name, series.last) for one in some for series in self.of(one)]
        return Sample(len(with_readings), len(self._code), chosen[:most])

    def _latest(self, place: int) -> int:
        """The time of the newest reading of an asset, by the place of its first series."""
        at = self._last[place]
        while (place := self._following[place]) != _NONE:
            at = max(at, self._last[place])
        return at


_Tenants = dict[str, _Assets]


class NameMap:
    """Tenants, and the ids of their assets. Safe to use from any thread.

    An asset stays in it that lost its last usable row to a worse one: who asks looks at its rows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._walking = threading.Lock()
        self._tenants: _Tenants | None = None
        self._meanwhile: list[Callable[[_Tenants], None]] | None = None
        self._sorted: dict[str, list[str]] = {}

    def tenants(self, cursor: Cursor) -> list[str]:
        """The tenants, sorted. Whoever asks first walks the table."""
        known = self._known(cursor)
        with self._lock:
            return sorted(known)

    def of_tenant(
        self, cursor: Cursor, tenant_id: str, after: str, containing: str
    ) -> Iterator[str]:
        """The assets of a tenant whose id has a text in it, sorted, those after one of them."""
        found = self._known(cursor).get(tenant_id)
        if found is None:
            return
        with self._lock:
            if tenant_id not in self._sorted:
                self._sorted[tenant_id] = sorted(found.heads)
            known = self._sorted[tenant_id]
        # The list is replaced, never changed.
        for place in range(bisect_right(known, after), len(known)):
            if containing in known[place]:
                yield known[place]

    def extents(
        self, cursor: Cursor, tenant_id: str, asset_ids: Sequence[str]
    ) -> dict[str, list[Extent]]:
        """The series of those of some assets of which it is sure when they begin and end."""
        found = self._known(cursor).get(tenant_id)
        if found is None:
            return {}
        with self._lock:
            return {one: found.of(one) for one in asset_ids if one not in found.doubtful}

    def freshness(
        self, cursor: Cursor, tenant_id: str, since: Sequence[int], limit: int
    ) -> Freshness:
        """How new the data of a tenant is; see `Store.freshness`."""
        found = self._known(cursor).get(tenant_id)
        with self._lock:
            newest = [] if found is None else found.newest()
        times = np.fromiter((at for at, _ in newest), np.int64, len(newest))
        newer = tuple(int((times >= first).sum()) for first in since)
        stalest = tuple(one for _, one in nsmallest(limit, newest))
        return Freshness(len(newest), newer, stalest)

    def is_sure(self, cursor: Cursor) -> bool:
        """Whether it is known of every series when it begins and ends."""
        known = self._known(cursor)
        with self._lock:
            return not any(one.doubtful for one in known.values())

    def samples(
        self, cursor: Cursor, tenant_id: str | None, tenants: int, series: int, now: int
    ) -> dict[str, Sample]:
        """Of so many tenants that have usable readings, or of one, the series that there are, and
        so many of them by name, of all tenants together."""
        known = self._known(cursor)
        with self._lock:
            names = known if tenant_id is None else known.keys() & {tenant_id}
            chosen = sorted(one for one in names if known[one].has_readings)[:tenants]
            share = max(1, series // max(1, len(chosen)))
            return {one: known[one].sample(share, now) for one in chosen}

    def landed(self, batch: pa.Table) -> None:
        """A batch of observations was committed."""
        noted = 0
        # By parts, as all of a batch may be series of their own.
        for start in range(0, len(batch), _PART):
            with self._lock:
                if self._tenants is None and self._meanwhile is None:
                    return
            part = batch.slice(start, _PART).select([*_KEY, "timestamp", "quality"])
            is_usable = pc.greater_equal(part["quality"], 1)
            usable = part.filter(is_usable).group_by(_KEY)
            ends = usable.aggregate([("timestamp", "min"), ("timestamp", "max")])
            noted += len(ends)
            if noted > _MOST_NOTED:
                self.removed()
                return
            self._change(partial(self._land, ends, part.filter(pc.invert(is_usable))))

    def described(self, touched: Collection[Entity]) -> None:
        """Attributes of some entities were committed."""

        def describe(known: _Tenants) -> None:
            for one in touched:
                self._note(known, one.tenant_id, one.asset_id)

        self._change(describe)

    def removed(self) -> None:
        """Rows were removed: the tables are asked anew."""
        with self._lock:
            self._tenants = self._meanwhile = None
            self._sorted.clear()

    def _change(self, change: Callable[[_Tenants], None]) -> None:
        with self._lock:
            if self._tenants is not None:
                change(self._tenants)
            elif self._meanwhile is not None:
                self._meanwhile.append(change)

    def _land(self, ends: pa.Table, worse: pa.Table, known: _Tenants) -> None:
        for tenant_id, asset_id, name, first, last in _rows(ends, "timestamp_min", "timestamp_max"):
            self._note(known, tenant_id, asset_id).note(asset_id, name, first, last)
        for tenant_id, asset_id, name, at in _rows(worse, "timestamp"):
            if tenant_id in known:
                known[tenant_id].doubt(asset_id, name, at)

    def _note(self, known: _Tenants, tenant_id: str, asset_id: str) -> _Assets:
        found = known.setdefault(tenant_id, _Assets())
        if asset_id not in found.heads:
            self._sorted.pop(tenant_id, None)
            found.heads[asset_id] = _NONE
        return found

    def _known(self, cursor: Cursor) -> _Tenants:
        """What the tables have. A writer waits for no walk: what it commits meanwhile is noted
        after it."""
        with self._walking:
            while True:
                with self._lock:
                    if self._tenants is not None:
                        return self._tenants
                    self._meanwhile = []
                try:
                    found = self._walked(cursor)
                except BaseException:
                    self.removed()
                    raise
                with self._lock:
                    # None: rows were removed meanwhile.
                    for change in self._meanwhile or ():
                        change(found)
                    if self._meanwhile is not None:
                        self._tenants, self._meanwhile = found, None

    def _walked(self, cursor: Cursor) -> _Tenants:
        found: _Tenants = {}
        rows = cursor.execute(_ALL)
        while some := rows.fetchmany(_AT_ONCE):
            for tenant_id, asset_id, name, first, last in some:
                of_tenant = self._note(found, tenant_id, asset_id)
                if name is not None:
                    of_tenant.note(asset_id, name, first, last)
        return found


def _by_chance(asset_id: str) -> int:
    """A place among others that its id says nothing of, the same each time."""
    return crc32(asset_id.encode("utf-8", "surrogatepass"))


def _rows(table: pa.Table, *times: str) -> Iterator[tuple[Any, ...]]:
    """The keys of a table with some of its times, a few at a time."""
    for start in range(0, len(table), _AT_ONCE):
        some = table.slice(start, _AT_ONCE)
        keys = (some[one].to_pylist() for one in _KEY)
        yield from zip(*keys, *(micros_of(some[one]).tolist() for one in times), strict=True)
