"""The routes of models: which there are, and binding one to a feature set."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.datastructures import State

from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import ADMIN_ALL, READ
from ai_hub.http.asked import body
from ai_hub.http.messages import BindRequest, ModelRequest

_Asked = Request[Any, Any, Any]


@get("/models", opt=READ)
async def models(state: State) -> dict[str, Any]:
    """Every model that is bound to a feature set."""
    store: FeatureStore = state.store
    return {"models": store.models()}


@post("/models/bind", opt=ADMIN_ALL, status_code=200)
async def bind_model(request: _Asked, state: State) -> dict[str, Any]:
    """Bind a version of a model to a version of a feature set, as it is now."""
    data = await body(request, BindRequest)
    store: FeatureStore = state.store
    policy: Any = data.policy  # checked by the front, as all else
    return await store.bind_model(data.model, data.feature_set, policy, data.bound_by)


@post("/models/unbind", opt=ADMIN_ALL, status_code=200)
async def unbind_model(request: _Asked, state: State) -> dict[str, Any]:
    """Let a version of a model be bound to nothing; what it was bound to."""
    model = (await body(request, ModelRequest)).model
    store: FeatureStore = state.store
    found = store.described_model(model)
    await store.unbind_model(model)
    return found
