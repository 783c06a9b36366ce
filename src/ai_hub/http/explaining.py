"""The route that explains features."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.datastructures import State

from ai_hub.definitions.values import parse_time, to_datetime
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import READ
from ai_hub.http.asked import body
from ai_hub.http.body import while_connected
from ai_hub.http.messages import ExplainRequest

AT_ONCE = 2
"""Explanations at a time: each has many statements, and answers come first."""


@post("/explain", opt=READ, status_code=200)
async def explain(request: Request[Any, Any, Any], state: State) -> dict[str, Any]:
    """The features of one entity as of a time, each with what it read and why it has no value."""
    asked = await body(request, ExplainRequest)
    store: FeatureStore = state.store
    at = None if asked.timestamp is None else to_datetime(parse_time(asked.timestamp))

    async def explained() -> dict[str, Any]:
        async with state.explaining:
            return await store.explain(
                tenant_id=asked.tenant_id,
                asset_id=asked.asset_id,
                feature_set=asked.feature_set,
                feature_names=asked.feature_names,
                timestamp=at,
                missing=asked.missing,  # type: ignore[arg-type]  # checked by the front
                model=asked.model,
            )

    return await while_connected(request.receive, explained())
