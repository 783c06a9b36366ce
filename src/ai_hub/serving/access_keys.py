"""Access keys in the registry: what making and revoking one writes, and what each grants."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_args

from ai_hub.access.grant import SCOPES, Grant, Scope
from ai_hub.access.keys import KnownKey
from ai_hub.definitions.values import DAY, iso
from ai_hub.errors import InvalidInput, UnknownKey
from ai_hub.stores.registry_table import RegistryChange, StoredKey, StoredRegistry

MAX_KEYS = 10_000
"""Keys that may be valid at a time: every process keeps all of them."""
_REMEMBERED = 365 * DAY
"""How long keys that ended are listed."""


def created(
    stored: StoredRegistry,
    id: str,
    sha256: str,
    name: str,
    tenants: frozenset[str] | None,
    scopes: frozenset[Scope],
    at: int,
    by: str,
    until: int | None,
) -> RegistryChange:
    """What making a key writes. Raises InvalidInput where there are as many as may be."""
    if sum(not _ended(one, at) for one in stored.keys) >= MAX_KEYS:
        raise InvalidInput(
            "keys", MAX_KEYS, f"fewer than {MAX_KEYS:,} that are valid", "Revoke some."
        )
    names = None if tenants is None else json.dumps(sorted(tenants))
    words = " ".join(one for one in SCOPES if one in scopes)
    row = StoredKey(id, name, sha256, names, words, at, by, until)
    gone = tuple(one for one in stored.keys if _ended(one, at - _REMEMBERED))
    return RegistryChange(keys=(row,), gone=gone)


def revoked(stored: StoredRegistry, id: str, by: Grant, at: int) -> RegistryChange:
    """What revoking a key writes; nothing where it was already.

    Raises UnknownKey, also for one that is for tenants which are not among those of `by`.
    """
    found = key_of(stored, id, by)
    return (
        RegistryChange()
        if found.revoked_at
        else RegistryChange(keys=(replace(found, revoked_at=at),))
    )


def key_of(stored: StoredRegistry, id: str, by: Grant) -> StoredKey:
    """A key by its id; see `revoked`. Raises UnknownKey."""
    for one in stored.keys:
        if one.key_id == id and by.covers(tenants_of(one)):
            return one
    raise UnknownKey(id)


def known_keys(keys: Iterable[StoredKey]) -> list[KnownKey]:
    """What the keys grant that were not revoked."""
    return [KnownKey(one.sha256, _grant_of(one)) for one in keys if one.revoked_at is None]


def tenants_of(key: StoredKey) -> frozenset[str] | None:
    """The tenants that a key is for; None: every one."""
    return None if key.tenants is None else frozenset(json.loads(key.tenants))


def key_document(key: StoredKey, now: int) -> dict[str, Any]:
    """A key as plain values, at a time: what it is, never the key itself."""
    tenants = tenants_of(key)
    return {
        "id": key.key_id,
        "name": key.name,
        "tenants": None if tenants is None else sorted(tenants),
        "scopes": key.scopes.split(),
        "state": _state(key, now),
        "created_at": iso(key.created_at),
        "created_by": key.created_by,
        "expires_at": None if key.expires_at is None else iso(key.expires_at),
        "revoked_at": None if key.revoked_at is None else iso(key.revoked_at),
    }


def _grant_of(key: StoredKey) -> Grant:
    # A scope that a newer release knows grants nothing here.
    scopes = frozenset(one for one in get_args(Scope) if one in key.scopes.split())
    return Grant(key.name, tenants_of(key), scopes, key.key_id, key.expires_at)


def _state(key: StoredKey, now: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if _ended(key, now) else "valid"


def _ended(key: StoredKey, at: int) -> bool:
    """Whether it had ended at a time."""
    ends = [one for one in (key.revoked_at, key.expires_at) if one is not None]
    return bool(ends) and min(ends) <= at
