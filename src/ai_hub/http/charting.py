"""The route of charts: readings over a range, with a feature beside them."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.datastructures import State

from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import READ
from ai_hub.http.asked import body, in_full
from ai_hub.http.body import while_connected
from ai_hub.http.messages import ChartRequest


@post("/chart", opt=READ, status_code=200)
async def chart(request: Request[Any, Any, Any], state: State) -> dict[str, Any]:
    """The readings of one entity over a range, thinned, and a feature with where it was missing."""
    asked = await body(request, ChartRequest)
    store: FeatureStore = state.store

    async def charted() -> dict[str, Any]:
        async with state.explaining:
            return await store.chart(
                asked.tenant_id,
                asked.asset_id,
                asked.start_time,
                asked.end_time,
                feature_set=asked.feature_set,
                feature=asked.feature,
                weather=asked.weather,  # type: ignore[arg-type]  # checked by the front
                points=in_full(asked.points),  # type: ignore[arg-type]  # checked by the front
            )

    return await while_connected(request.receive, charted())
