"""The route of the audit log."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.datastructures import State

from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import ADMIN
from ai_hub.http.asked import grant_of, time_of, whole


@get("/audit", opt=ADMIN)
async def audit(
    request: Request[Any, Any, Any],
    state: State,
    tenant_id: str | None = None,
    what: str | None = None,
    who: str | None = None,
    start_time: str | None = None,
    end_time: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> dict[str, Any]:
    """Who changed what of one's own tenants, the newest first."""
    store: FeatureStore = state.store
    return await store.audit(
        tenant_id,
        what=what,
        who=who,
        start_time=time_of(start_time, "start_time"),
        end_time=time_of(end_time, "end_time"),
        before=whole(before, "before"),
        limit=limit,
        by=grant_of(request),
    )
