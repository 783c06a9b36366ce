"""What a page is asked for: by whom, of which tenant, and with which words of its query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ai_hub.access.grant import Grant
from ai_hub.definitions.values import check_id
from ai_hub.feature_store import FeatureStore
from ai_hub.metrics import Metrics

MOST_TENANTS = 200
"""Tenants that are listed to choose from."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page, which its route has checked against the grant.

    `address` is where the server is reached, `counted` gives what all its workers counted.
    """

    store: FeatureStore
    grant: Grant
    query: Mapping[str, str]
    address: str
    counted: Callable[[], Awaitable[Metrics]]

    def word(self, name: str) -> str | None:
        """A word of the query; None where it is missing or blank, as a form leaves it."""
        return self.query.get(name, "").strip() or None

    async def tenants(self) -> list[str]:
        """The tenants that there are to choose from, sorted."""
        return await self.store.tenants(self.grant, limit=MOST_TENANTS)

    def tenant(self, tenants: list[str]) -> str | None:
        """The tenant that is asked about, by default the first; None where there is none."""
        named = self.word("tenant_id")
        if named is None:
            return tenants[0] if tenants else None
        self.grant.check_tenant(check_id("tenant_id", named))
        return named


View = Callable[[Asked, str | None], Awaitable[dict[str, Any]]]
"""What a page shows, of a tenant (None: there is none), as the names of its template."""
