"""The tenants and assets that an embedded database has rows of, in memory, each with the time of
its newest reading: one walk of the table tells them, and from then on the one writer does."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from heapq import nsmallest

import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.definitions.values import FIRST_INSTANT, Entity
from ai_hub.stores.arrays import micros_of
from ai_hub.stores.asset_facts import Freshness
from ai_hub.stores.embedded.session import Cursor

_NEVER = FIRST_INSTANT - 1

_ALL = """
SELECT tenant_id, asset_id, epoch_us(max(timestamp)) FROM ai_features GROUP BY ALL
UNION ALL
SELECT DISTINCT tenant_id, asset_id, NULL FROM asset_attributes
"""


class NameMap:
    """Tenants, and the ids of their assets. Safe to use from any thread.

    An asset stays in it that lost its last usable row to a worse one: who asks looks at its rows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, dict[str, int]] | None = None
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
            ids = self._all(cursor).get(tenant_id, {})
            if tenant_id not in self._sorted:
                self._sorted[tenant_id] = sorted(ids)
            known = self._sorted[tenant_id]
        # The list is replaced, never changed.
        for place in range(bisect_right(known, after), len(known)):
            if containing in known[place]:
                yield known[place]

    def freshness(
        self, cursor: Cursor, tenant_id: str, since: Sequence[int], limit: int
    ) -> Freshness:
        """How new the data of a tenant is; see `Store.freshness`."""
        with self._lock:
            found = self._all(cursor).get(tenant_id, {})
            newest = [(at, one) for one, at in found.items() if at != _NEVER]
        newer = tuple(sum(at >= first for at, _ in newest) for first in since)
        stalest = tuple(one for _, one in nsmallest(limit, newest))
        return Freshness(len(newest), newer, stalest)

    def landed(self, batch: pa.Table) -> None:
        """A batch of observations was committed."""
        with self._lock:
            if self._newest is None:
                return
            usable = batch.filter(pc.greater_equal(batch["quality"], 1))
            found = usable.group_by(["tenant_id", "asset_id"]).aggregate([("timestamp", "max")])
            tenants, ids = found["tenant_id"].to_pylist(), found["asset_id"].to_pylist()
            times = micros_of(found["timestamp_max"]).tolist()
            for tenant_id, asset_id, at in zip(tenants, ids, times, strict=True):
                self._note(tenant_id, asset_id, at)

    def described(self, touched: Collection[Entity]) -> None:
        """Attributes of some entities were committed."""
        with self._lock:
            if self._newest is not None:
                for one in touched:
                    self._note(one.tenant_id, one.asset_id, _NEVER)

    def removed(self) -> None:
        """Rows were removed: the tables are asked anew."""
        with self._lock:
            self._newest = None
            self._sorted.clear()

    def _note(self, tenant_id: str, asset_id: str, at: int) -> None:
        assert self._newest is not None
        newest = self._newest.setdefault(tenant_id, {})
        if asset_id not in newest:
            self._sorted.pop(tenant_id, None)
        newest[asset_id] = max(at, newest.get(asset_id, _NEVER))

    def _all(self, cursor: Cursor) -> dict[str, dict[str, int]]:
        # Under the lock: a writer that commits meanwhile says so after this.
        if self._newest is None:
            self._newest = {}
            for tenant_id, asset_id, at in cursor.execute(_ALL).fetchall():
                self._note(tenant_id, asset_id, _NEVER if at is None else at)
        return self._newest
