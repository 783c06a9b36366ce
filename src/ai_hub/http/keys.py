"""The routes of access keys: which there are, making one, and revoking it."""

from __future__ import annotations

from typing import Any

from litestar import Request, post, route
from litestar.datastructures import State

from ai_hub.definitions.values import Duration
from ai_hub.errors import InvalidInput
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import ADMIN
from ai_hub.http.asked import body, grant_of
from ai_hub.http.messages import CreateKeyRequest, KeyRequest

_Asked = Request[Any, Any, Any]


@route("/keys", http_method=["GET", "POST"], opt=ADMIN, status_code=200)
async def keys(request: _Asked, state: State) -> dict[str, Any]:
    """The access keys for tenants that are one's own, those that ended too; or a new one.

    One handler, as `OPTIONS` says the methods of one.
    """
    store: FeatureStore = state.store
    if request.method == "POST":
        return await _created(request, store)
    return {"keys": store.keys(grant_of(request))}


async def _created(request: _Asked, store: FeatureStore) -> dict[str, Any]:
    """Make an access key; only this answer has it."""
    asked = await body(request, CreateKeyRequest)
    if (asked.tenants is None) != asked.all_tenants:
        expected = "tenants, or all_tenants: true"
        raise InvalidInput("tenants", asked.tenants, expected)
    expires = None if asked.expires is None else Duration.of(asked.expires, "expires")
    grant = grant_of(request)
    return await store.create_key(
        asked.name, asked.tenants, asked.scopes, expires, asked.created_by, grant
    )


@post("/keys/revoke", opt=ADMIN, status_code=200)
async def revoke_key(request: _Asked, state: State) -> dict[str, Any]:
    """Let an access key be valid no more."""
    asked = await body(request, KeyRequest)
    store: FeatureStore = state.store
    return await store.revoke_key(asked.id, grant_of(request))
