"""The route that removes data."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.datastructures import State

from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import ADMIN
from ai_hub.http.asked import body, time_of
from ai_hub.http.body import while_connected
from ai_hub.http.messages import DeleteRequest


@post("/delete", opt=ADMIN, status_code=200)
async def delete(request: Request[Any, Any, Any], state: State) -> dict[str, Any]:
    """Remove data of a tenant for good, or count what would go."""
    asked = await body(request, DeleteRequest)
    store: FeatureStore = state.store
    removing = store.delete(
        asked.tenant_id,
        asked.asset_ids,
        series=asked.series,
        start_time=time_of(asked.start_time, "start_time"),
        end_time=time_of(asked.end_time, "end_time"),
        weather=asked.weather,
        dry_run=asked.dry_run,
    )
    return await while_connected(request.receive, removing)
