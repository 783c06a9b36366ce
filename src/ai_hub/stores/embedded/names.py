"""The tenants and assets that an embedded database has rows of, in memory, each with its series and
when these begin and end: one walk of the table tells them, and from then on the one writer does."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from heapq import nsmallest
from typing import NamedTuple

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
_KEY = ["tenant_id", "asset_id", "feature_type"]
_NONE = -1


class Extent(NamedTuple):
    """A series, and the times of its first and its last usable reading."""

    name: str
    first: int
    last: int


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

    def newest(self) -> list[tuple[int, str]]:
        """The time of the newest reading of each asset that has any."""
        return [
            (max(one.last for one in self.of(asset_id)), asset_id)
            for asset_id, head in self.heads.items()
            if head != _NONE
        ]


class NameMap:
    """Tenants, and the ids of their assets. Safe to use from any thread.

    An asset stays in it that lost its last usable row to a worse one: who asks looks at its rows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tenants: dict[str, _Assets] | None = None
        self._sorted: dict[str, list[str]] = {}

    def tenants(self, cursor: Cursor) -> list[str]:
        """The tenants, sorted."""
        with self._lock:
            return sorted(self._all(cursor))

    def of_tenant(
        self, cursor: Cursor, tenant_id: str, after: str, containing: str
    ) -> Iterator[str]:
        """The assets of a tenant whose id has a text in it, sorted, those after one of them."""
        with self._lock:
            found = self._all(cursor).get(tenant_id)
            if found is None:
                return
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
        with self._lock:
            found = self._all(cursor).get(tenant_id)
            if found is None:
                return {}
            return {one: found.of(one) for one in asset_ids if one not in found.doubtful}

    def freshness(
        self, cursor: Cursor, tenant_id: str, since: Sequence[int], limit: int
    ) -> Freshness:
        """How new the data of a tenant is; see `Store.freshness`."""
        with self._lock:
            found = self._all(cursor).get(tenant_id)
            newest = [] if found is None else found.newest()
        newer = tuple(sum(at >= first for at, _ in newest) for first in since)
        stalest = tuple(one for _, one in nsmallest(limit, newest))
        return Freshness(len(newest), newer, stalest)

    def landed(self, batch: pa.Table) -> None:
        """A batch of observations was committed."""
        with self._lock:
            if self._tenants is None:
                return
            is_usable = pc.greater_equal(batch["quality"], 1)
            ends = [("timestamp", "min"), ("timestamp", "max")]
            found = batch.filter(is_usable).group_by(_KEY).aggregate(ends)
            times = [micros_of(found[f"timestamp_{end}"]).tolist() for end in ("min", "max")]
            for tenant_id, asset_id, name, first, last in zip(
                *(found[one].to_pylist() for one in _KEY), *times, strict=True
            ):
                self._note(tenant_id, asset_id).note(asset_id, name, first, last)
            worse = batch.filter(pc.invert(is_usable))
            for tenant_id, asset_id, name, at in zip(
                *(worse[one].to_pylist() for one in _KEY),
                micros_of(worse["timestamp"]).tolist(),
                strict=True,
            ):
                self._doubt(tenant_id, asset_id, name, at)

    def described(self, touched: Collection[Entity]) -> None:
        """Attributes of some entities were committed."""
        with self._lock:
            if self._tenants is not None:
                for one in touched:
                    self._note(one.tenant_id, one.asset_id)

    def removed(self) -> None:
        """Rows were removed: the tables are asked anew."""
        with self._lock:
            self._tenants = None
            self._sorted.clear()

    def _note(self, tenant_id: str, asset_id: str) -> _Assets:
        assert self._tenants is not None
        found = self._tenants.setdefault(tenant_id, _Assets())
        if asset_id not in found.heads:
            self._sorted.pop(tenant_id, None)
            found.heads[asset_id] = _NONE
        return found

    def _doubt(self, tenant_id: str, asset_id: str, name: str, at: int) -> None:
        """A row cannot be used: where it took the place of the first or last one that could be, it
        is not known which one is now."""
        assert self._tenants is not None
        found = self._tenants.get(tenant_id)
        if found is not None and any(
            one.name == name and at in (one.first, one.last) for one in found.of(asset_id)
        ):
            found.doubtful.add(asset_id)

    def _all(self, cursor: Cursor) -> dict[str, _Assets]:
        # Under the lock: a writer that commits meanwhile says so after this.
        if self._tenants is None:
            self._tenants = {}
            for tenant_id, asset_id, name, first, last in cursor.execute(_ALL).fetchall():
                found = self._note(tenant_id, asset_id)
                if name is not None:
                    found.note(asset_id, name, first, last)
        return self._tenants
