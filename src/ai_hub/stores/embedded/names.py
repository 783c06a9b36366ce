"""The tenants and assets that an embedded database has rows of, in memory: one walk of the table
tells them, and from then on the one writer does."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Collection, Iterator

from ai_hub.definitions.values import Entity
from ai_hub.stores.embedded.session import Cursor

_ALL = """
SELECT DISTINCT tenant_id, asset_id FROM ai_features
UNION SELECT DISTINCT tenant_id, asset_id FROM asset_attributes
"""


class NameMap:
    """Tenants, and the ids of their assets. Safe to use from any thread.

    An asset stays in it that lost its last usable row to a worse one: who asks looks at its rows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[str, set[str]] | None = None
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
            ids = self._all(cursor).get(tenant_id, set())
            if tenant_id not in self._sorted:
                self._sorted[tenant_id] = sorted(ids)
            known = self._sorted[tenant_id]
        # The list is replaced, never changed.
        for place in range(bisect_right(known, after), len(known)):
            if containing in known[place]:
                yield known[place]

    def landed(self, touched: Collection[Entity]) -> None:
        """Rows of some entities were committed."""
        with self._lock:
            if self._ids is None:
                return
            for one in touched:
                ids = self._ids.setdefault(one.tenant_id, set())
                if one.asset_id not in ids:
                    ids.add(one.asset_id)
                    self._sorted.pop(one.tenant_id, None)

    def removed(self) -> None:
        """Rows were removed: the tables are asked anew."""
        with self._lock:
            self._ids = None
            self._sorted.clear()

    def _all(self, cursor: Cursor) -> dict[str, set[str]]:
        # Under the lock: a writer that commits meanwhile says so after this.
        if self._ids is None:
            self._ids = {}
            for tenant_id, asset_id in cursor.execute(_ALL).fetchall():
                self._ids.setdefault(tenant_id, set()).add(asset_id)
        return self._ids
