"""The routes of drift: how far what is served is from a baseline, and keeping one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Request, post
from litestar.datastructures import State

from ai_hub.definitions.values import parse_time, to_datetime
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import EXPORT, READ
from ai_hub.http.asked import body, grant_of
from ai_hub.http.body import while_connected
from ai_hub.http.messages import BaselineRequest, DriftRequest

_Asked = Request[Any, Any, Any]


@post("/drift", opt=READ, status_code=200)
async def drift(request: _Asked, state: State) -> dict[str, Any]:
    """How far a set's values are from a baseline, feature by feature."""
    data = await body(request, DriftRequest)
    store: FeatureStore = state.store
    found = store.drift(
        data.tenant_id,
        data.feature_set,
        *_times(data),
        source=data.source,
        baseline_id=data.baseline_id,
        model=data.model,
        by=grant_of(request),
    )
    return await while_connected(request.receive, found)


@post("/drift/baseline", opt=EXPORT, status_code=200)
async def drift_baseline(request: _Asked, state: State) -> dict[str, Any]:
    """Keep what the values of a set were in a time of history."""
    data = await body(request, BaselineRequest)
    store: FeatureStore = state.store
    made = store.drift_baseline(
        data.tenant_id,
        data.feature_set,
        *_times(data),
        model=data.model,
        by=grant_of(request),
    )
    return await while_connected(request.receive, made)


def _times(data: BaselineRequest) -> tuple[datetime | None, datetime | None]:
    start, end = data.start_time, data.end_time
    return (
        None if start is None else to_datetime(parse_time(start, "start_time", "up")),
        None if end is None else to_datetime(parse_time(end, "end_time")),
    )
