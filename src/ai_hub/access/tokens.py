"""Tokens of an OpenID Connect issuer: how one is verified, and what it grants.

A token is a signed JWT (RFC 7519) for this service, as RFC 9068 has them; what may go wrong is that
of RFC 8725. Signatures are verified by joserfc.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from ai_hub.access.grant import SCOPES, Grant, Scope, check_tenants
from ai_hub.definitions.values import SECOND
from ai_hub.errors import InvalidInput, Unauthorized, UnknownSigner

LEEWAY_SECONDS = 30
"""How far the clocks of issuer and server may be apart."""
_TOKEN = re.compile(rb"(?i:bearer)[ \t]+([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)[ \t]*")
"""The header of a request that has one. Its third part is a signature, which is never empty."""
_LONGEST = 16 * 1024
_LONGEST_HEADER = 4 * 1024
_TYPES = frozenset(("jwt", "at+jwt", "application/at+jwt"))
_MOST_KEYS = 100
_LEAST_RSA_BITS = 2048
_MOST_SEEN, _LARGE = 8_000, 2_048
_LONGEST_NAME = 255
_LAST_SECOND = 1 << 36
_EVERY_TENANT = "*"
_PublicKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class Rules:
    """What tokens have to be, and which claims say what they grant."""

    issuer: str
    audiences: frozenset[str]
    algorithms: tuple[str, ...]
    who: str
    tenants: str
    scopes: str
    scope_prefix: str


class Tokens:
    """The public keys of an issuer, and the tokens that were verified with them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._registry = jws.JWSRegistry(algorithms=rules.algorithms, strict_check_header=False)
        self._registry.max_header_length = _LONGEST_HEADER
        self._document: Mapping[str, Any] | None = None
        self._keys: Mapping[str | None, _PublicKey] = {}
        self._seen: dict[bytes, Grant] = {}

    @property
    def has_keys(self) -> bool:
        """Whether any key is known."""
        return bool(self._keys)

    def take(self, document: object) -> bool:
        """Go by the keys of a JWK Set (RFC 7517) from now on; whether they are others.

        Keys that are not for verifying are passed over, shared secrets above all. Raises
        InvalidInput where none is left.
        """
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(listed, list):
            raise InvalidInput("keys", document, "a JWK Set: an object with a list `keys`")
        if document == self._document:
            return False
        keys: dict[str | None, _PublicKey] = {}
        for plain in listed[:_MOST_KEYS]:
            key = _public_key(plain)
            if key is not None:
                kid = plain.get("kid")
                keys[kid if isinstance(kid, str) else None] = key
        if not keys:
            raise InvalidInput("keys", listed, "at least one public key that verifies signatures")
        # What another key signed is verified again, or is no more.
        self._document, self._keys, self._seen = document, keys, {}
        return True

    def grant(self, authorization: bytes | None, now: int) -> Grant:
        """What the header of a request grants at a time (in microseconds).

        Raises Unauthorized, and of it UnknownSigner for a key that is not known.
        """
        if authorization is None:
            raise Unauthorized("no token", "a token of the issuer")
        if len(authorization) > _LONGEST:
            raise _wrong("a token that is too long")
        # A digest stands for a token that is large; for others it would take longer than the rest.
        large = len(authorization) > _LARGE
        seen = sha256(authorization).digest() if large else authorization
        grant = self._seen.get(seen)
        if grant is None:
            grant = self._checked(authorization, now)
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen[seen] = grant
        if grant.until is not None and now >= grant.until:
            raise _wrong("a token that is past its time")
        return grant

    def _checked(self, authorization: bytes, now: int) -> Grant:
        match = _TOKEN.fullmatch(authorization)
        if match is None:
            raise Unauthorized("no token", "a token of the issuer")
        try:
            claims = self._verified(match[1])
        except (JoseError, ValueError, TypeError, RecursionError):
            raise _wrong("a token whose signature or form is wrong") from None
        self._check_claims(claims, now / SECOND)
        return self._granted(claims)

    def _verified(self, token: bytes) -> Mapping[str, Any]:
        """The claims of a token that a known key signed."""
        head = _json(token.partition(b".")[0])
        if head.get("alg") not in self._rules.algorithms:
            raise _wrong("a token with an algorithm that is not one of the settings")
        if "typ" in head and str(head["typ"]).lower() not in _TYPES:
            raise _wrong("a token of another type")
        if "crit" in head:
            raise _wrong("a token with extensions")
        kid = head.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise _wrong("a token whose key has no name")
        key = self._keys.get(kid)
        if kid is None and len(self._keys) == 1:
            (key,) = self._keys.values()
        if key is None:
            raise UnknownSigner
        # A key is for one kind of algorithm, and for one of them where it says so.
        key.check_alg(head["alg"])
        verified = jws.deserialize_compact(
            token, key, algorithms=self._rules.algorithms, registry=self._registry
        )
        claims = json.loads(verified.payload or b"")
        if not isinstance(claims, dict):
            raise _wrong("a token without claims")
        return claims

    def _check_claims(self, claims: Mapping[str, Any], now: float) -> None:
        if claims.get("iss") != self._rules.issuer:
            raise _wrong("a token of another issuer")
        audience = claims.get("aud")
        named = [audience] if isinstance(audience, str) else audience
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            raise _wrong("a token that does not say what it is for")
        if self._rules.audiences.isdisjoint(named):
            raise _wrong("a token for another service")
        if now >= _instant(claims, "exp") + LEEWAY_SECONDS:
            raise _wrong("a token that is past its time")
        for name in ("nbf", "iat"):
            if name in claims and _instant(claims, name) > now + LEEWAY_SECONDS:
                raise _wrong("a token whose time has not come")

    def _granted(self, claims: Mapping[str, Any]) -> Grant:
        rules = self._rules
        who = claims.get(rules.who)
        if not isinstance(who, str) or not who.isprintable() or not 0 < len(who) <= _LONGEST_NAME:
            raise _wrong(f"a token without a name in its claim {rules.who}")
        until = round((_instant(claims, "exp") + LEEWAY_SECONDS) * SECOND)
        return Grant(who, self._tenants(claims), self._scopes(claims), who, until, "token")

    def _tenants(self, claims: Mapping[str, Any]) -> frozenset[str] | None:
        said = claims.get(self._rules.tenants)
        named = [said] if isinstance(said, str) else said
        if isinstance(named, list) and _EVERY_TENANT in named:
            return None
        try:
            # Without this claim there is no tenant: that is not every one.
            return check_tenants([] if named is None else named)
        except InvalidInput:
            raise _wrong(f"a token without tenants in its claim {self._rules.tenants}") from None

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        """The scopes of ours among what the token has: an issuer's others are nobody's business."""
        said = claims.get(self._rules.scopes, [])
        named = said.split() if isinstance(said, str) else said
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            raise _wrong(f"a token without scopes in its claim {self._rules.scopes}")
        prefix = self._rules.scope_prefix
        return frozenset(one for one in SCOPES if f"{prefix}{one}" in named)


def _wrong(got: str) -> Unauthorized:
    return Unauthorized(got, "one of the issuer that is valid")


def _json(part: bytes) -> Mapping[str, Any]:
    """A part of a token that is an object."""
    found = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    if not isinstance(found, dict):
        raise _wrong("a token whose signature or form is wrong")
    return found


def _instant(claims: Mapping[str, Any], name: str) -> float:
    """A time of a token, in seconds."""
    value: Any = claims.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # NaN and infinity fail this comparison, too.
    if is_number and 0 <= value <= _LAST_SECOND:
        return float(value)
    raise _wrong(f"a token without a time in its claim {name}")


def _public_key(plain: object) -> _PublicKey | None:
    """A key of a JWK Set, if it is one that verifies signatures."""
    if not isinstance(plain, dict):
        return None
    try:
        key = JWKRegistry.import_key(plain)
        if not isinstance(key, RSAKey | ECKey | OKPKey):
            return None
        key.check_use("sig")
        key.check_key_op("verify")
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < _LEAST_RSA_BITS:
        return None
    return key
