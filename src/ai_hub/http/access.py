"""Who asks: the grant of each request, and what a route takes one for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol, assert_never

from ai_hub.access.actor import Actor
from ai_hub.access.bucket import Buckets
from ai_hub.access.grant import EVERYTHING, NOBODY, Grant
from ai_hub.access.grant import Scope as Allowed
from ai_hub.config import Settings, variable
from ai_hub.errors import (
    AiHubError,
    ConfigError,
    InvalidInput,
    IssuerUnreachable,
    UnknownSigner,
)
from ai_hub.feature_store import FeatureStore
from ai_hub.http.body import AUTHORIZATION, GRANT, Scope
from ai_hub.http.issuer import Issuer
from ai_hub.http.session import authorization_of, is_open, is_page

if TYPE_CHECKING:
    from ai_hub.access.tokens import Tokens

_log = logging.getLogger(__name__)

OPEN = frozenset(("/health", "/health/ready"))
"""Paths that need no key: who watches over a server has none."""

Whose = Literal["some", "everybody"]
Need = Mapping[str, Any]
"""What a route of the framework needs, as its `opt`."""


def need(scope: Allowed | None, whose: Whose = "some") -> Need:
    """What a route needs: a scope (None: no key at all), for some tenants or for all of them."""
    return {"scope": scope, "whose": whose}


NOTHING = need(None)
READ, WRITE, EXPORT, ADMIN = (need(one) for one in ("read", "write", "export", "admin"))
READ_ALL, ADMIN_ALL = need("read", "everybody"), need("admin", "everybody")
"""What is about all tenants together, such as definitions."""


class Access(Protocol):
    """The way in which a server learns who asks."""

    def grant(self, authorization: bytes | None) -> Grant:
        """What a request with this header may do. Raises Unauthorized or TooMany."""

    async def learn(self) -> None:
        """Find out about the signer of a token who is not known. Raises IssuerUnreachable."""

    async def follow(self) -> None:
        """Keep up with what grants go by, until cancelled."""


class Everybody:
    """A server that asks nobody who they are."""

    def grant(self, authorization: bytes | None) -> Grant:
        """Everything."""
        return EVERYTHING

    async def learn(self) -> None:
        """Nothing."""

    async def follow(self) -> None:
        """Nothing."""


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

    async def learn(self) -> None:
        """Nothing: the front hears of keys."""

    async def follow(self) -> None:
        """Nothing: the front hears of keys."""


class ByToken:
    """A server that asks for a token of an issuer, whose public keys it knows."""

    def __init__(self, store: FeatureStore, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        self._issuer = Issuer(store.settings)
        self._buckets = _buckets(store.settings)
        self._away: IssuerUnreachable | None = None

    def grant(self, authorization: bytes | None) -> Grant:
        """What the token says."""
        grant = self._tokens.grant(authorization, self._store.now())
        if self._buckets is not None:
            self._buckets.take(grant.id)
        return grant

    async def learn(self) -> None:
        """Read the keys of the issuer again, unless that was a moment ago.

        Raises IssuerUnreachable while none is known: then nobody can be told from others.
        """
        if not self._issuer.was_asked:
            await self._look()
        if self._away is not None and not self._tokens.has_keys:
            raise self._away

    async def follow(self) -> None:
        """Read the keys of the issuer now and then, until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(self._store.settings.oidc_refresh.seconds)

    async def _look(self) -> None:
        """Read the keys once; where that cannot be, those that are known hold on."""
        away: IssuerUnreachable | None = None
        try:
            if self._tokens.take(await self._issuer.key_set()):
                _log.info("issuer has other keys")
        except IssuerUnreachable as error:
            away = error
        except InvalidInput as error:
            away = IssuerUnreachable(self._store.settings.oidc_issuer, str(error))
        if away is not None and self._away is None:
            _log.warning("issuer away", extra={"why": str(away)})
        self._away = away


def check_auth(settings: Settings) -> None:
    """Raise ConfigError where the way to know who asks lacks a setting, or its library."""
    if settings.auth != "oidc":
        return
    needed = ("oidc_issuer", "oidc_audience", "oidc_algorithms")
    missing = [variable(name) for name in needed if not getattr(settings, name)]
    if missing:
        raise ConfigError(
            f"auth: got 'oidc', expected {', '.join(missing)} with it: who issues tokens, what "
            "they are for, and how they are signed are never guessed."
        )
    if find_spec("joserfc") is None:
        install = "pip install 'ai-hub-feature-store[oidc]'"
        raise ConfigError(f"auth: got 'oidc', expected the extra oidc to be installed. {install}")


def access_of(store: FeatureStore) -> Access:
    """The way that the settings name."""
    match store.settings.auth:
        case "none":
            return Everybody()
        case "keys":
            return ByKey(store)
        case "oidc":
            return ByToken(store, _tokens(store.settings))
        case unknown:
            assert_never(unknown)


def _tokens(settings: Settings) -> Tokens:
    # The library of tokens is an extra.
    from ai_hub.access.tokens import Rules, Tokens

    return Tokens(
        Rules(
            settings.oidc_issuer,
            frozenset(settings.oidc_audience),
            settings.oidc_algorithms,
            settings.oidc_who,
            settings.oidc_tenants,
            settings.oidc_scopes,
            settings.oidc_scope_prefix,
        )
    )


def _buckets(settings: Settings) -> Buckets | None:
    return None if settings.rate_limit is None else Buckets(settings.rate_limit, time.monotonic)


async def granted(access: Access, authorization: bytes | None) -> Grant:
    """What somebody may do who says this of themselves. Raises AiHubError."""
    try:
        return access.grant(authorization)
    except UnknownSigner:
        await access.learn()
        return access.grant(authorization)


async def refused(access: Access, scope: Scope) -> AiHubError | None:
    """Why a request is refused, before anything of its body is read; None if it may go on."""
    path = scope["path"]
    if path in OPEN:
        scope[GRANT] = EVERYTHING
        return None
    authorization = scope.get(AUTHORIZATION)
    if is_page(path):
        if is_open(path):
            scope[GRANT] = NOBODY
            return None
        authorization = authorization_of(scope)
    try:
        try:
            scope[GRANT] = access.grant(authorization)
        except UnknownSigner:
            scope[GRANT] = await granted(access, authorization)
    except AiHubError as error:
        return error
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
    needed: Need = handler.opt
    grant: Grant = connection.scope[GRANT]
    if needed["scope"] is not None:
        grant.check_scope(needed["scope"])
    if needed["whose"] == "everybody":
        grant.check_everybody()
    for tenant_id in connection.query_params.getall("tenant_id", []):
        grant.check_tenant(tenant_id.strip())
