"""Who asks: the grant of each request, and what a route takes one for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, Protocol, assert_never

from ai_hub.access.actor import Actor
from ai_hub.access.bucket import Buckets
from ai_hub.access.grant import EVERYTHING, Grant
from ai_hub.access.grant import Scope as Allowed
from ai_hub.config import Settings
from ai_hub.errors import AiHubError
from ai_hub.feature_store import FeatureStore
from ai_hub.http.body import AUTHORIZATION, GRANT, Reply, Scope, refusal

OPEN = frozenset(("/health", "/health/ready"))
"""Paths that need no key: who watches over a server has none."""

Whose = Literal["some", "everybody"]
Need = Mapping[str, Any]
"""What a route of the framework needs, as its `opt`."""


def _need(scope: Allowed | None, whose: Whose = "some") -> Need:
    return {"scope": scope, "whose": whose}


NOTHING = _need(None)
READ, WRITE, EXPORT, ADMIN = (_need(one) for one in ("read", "write", "export", "admin"))
READ_ALL, ADMIN_ALL = _need("read", "everybody"), _need("admin", "everybody")
"""What is about all tenants together, such as definitions."""


class Access(Protocol):
    """The way in which a server learns who asks."""

    def grant(self, authorization: bytes | None) -> Grant:
        """What a request with this header may do. Raises Unauthorized or TooMany."""


class Everybody:
    """A server that asks nobody who they are."""

    def grant(self, authorization: bytes | None) -> Grant:
        """Everything."""
        return EVERYTHING


class ByKey:
    """A server that asks for a key which its registry knows."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._buckets = _buckets(store.settings)

    def grant(self, authorization: bytes | None) -> Grant:
        """What the key allows."""
        grant = self._store.known_keys.grant(authorization, self._store.now())
        if self._buckets is not None:
            self._buckets.take(grant.id)
        return grant


def access_of(store: FeatureStore) -> Access:
    """The way that the settings name."""
    match store.settings.auth:
        case "none":
            return Everybody()
        case "keys":
            return ByKey(store)
        case unknown:
            assert_never(unknown)


def _buckets(settings: Settings) -> Buckets | None:
    return None if settings.rate_limit is None else Buckets(settings.rate_limit, time.monotonic)


def refused(access: Access, scope: Scope) -> Reply | None:
    """The refusal of a request, before anything of its body is read; None if it may go on."""
    if scope["path"] in OPEN:
        scope[GRANT] = EVERYTHING
        return None
    try:
        scope[GRANT] = access.grant(scope.get(AUTHORIZATION))
    except AiHubError as error:
        return refusal(error)
    return None


def actor_of(scope: Scope) -> Actor:
    """Who a request changes something for: its key, or without keys anybody at an address."""
    grant: Grant = scope[GRANT]
    if grant is not EVERYTHING:
        return Actor(grant.who, grant.id, known=True)
    client = scope.get("client")
    return Actor("anybody", client[0] if client else "")


def check_need(connection: Any, handler: Any) -> None:
    """Whether a request may have what a route of the framework does, as far as its head says.

    A route that says none is refused to all, as a fault of ours. Raises Forbidden.
    """
    if connection.scope["method"] == "OPTIONS":
        return
    need: Need = handler.opt
    grant: Grant = connection.scope[GRANT]
    if need["scope"] is not None:
        grant.check_scope(need["scope"])
    if need["whose"] == "everybody":
        grant.check_everybody()
    for tenant_id in connection.query_params.getall("tenant_id", []):
        grant.check_tenant(tenant_id.strip())
