"""What a feature store does for access: the part of the front that makes and revokes keys."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from ai_hub.access.actor import named
from ai_hub.access.grant import EVERYTHING, Grant, check_scopes, check_tenants
from ai_hub.access.keys import digest_of, minted
from ai_hub.definitions.values import Duration, check_id
from ai_hub.errors import Forbidden
from ai_hub.front.rollouts import Rollouts
from ai_hub.serving.access_keys import created, key_document, key_of, revoked, tenants_of
from ai_hub.stores.audit_log import AuditRecord, What, noted
from ai_hub.stores.registry_table import RegistryChange, StoredKey, StoredRegistry


class AccessKeys(Rollouts):
    """Feature sets, models, rollouts, and the keys of those who may ask servers for them.

    `by` is what whoever makes or revokes a key may do: no key for more tenants than that is made
    or shown.
    """

    async def create_key(
        self,
        name: str,
        tenants: Iterable[str] | None,
        scopes: Iterable[str],
        expires: Duration | None = None,
        created_by: str | None = None,
        by: Grant = EVERYTHING,
    ) -> dict[str, Any]:
        """Make a key for some tenants (None: every one), which ends after `expires` (None: never).

        Gives it as plain values with the `key` itself, which is kept nowhere: only now it can be
        read. Raises InvalidInput, Forbidden for tenants that are not among those of `by`, and
        StoreError.
        """
        check_id("name", name)
        wanted, allows = check_tenants(tenants), check_scopes(scopes)
        if not by.covers(wanted):
            got = "every one" if wanted is None else sorted(wanted)
            raise Forbidden("tenants", got, f"tenants of the {by.by} that asks")
        at = time.time_ns() // 1_000
        until = None if expires is None else at + expires.micros
        who = named("created_by", created_by)
        id, key = minted()

        def decide(stored: StoredRegistry) -> RegistryChange:
            return created(stored, id, digest_of(key), name, wanted, allows, at, who, until)

        await self._change(
            decide, lambda change: _records("create-key", change.keys[0], created_by)
        )
        return key_document(key_of(self._stored, id, by), at) | {"key": key}

    async def revoke_key(self, id: str, by: Grant = EVERYTHING) -> dict[str, Any]:
        """Let a key be valid no more, in every process within seconds; the key as plain values.

        Raises UnknownKey and StoreError.
        """
        at = time.time_ns() // 1_000
        await self._change(
            partial(revoked, id=id, by=by, at=at),
            lambda change: _records("revoke-key", change.keys[0]),
        )
        return key_document(key_of(self._stored, id, by), at)

    def keys(self, by: Grant = EVERYTHING) -> list[dict[str, Any]]:
        """Every key, those that ended too, as plain values; the oldest first."""
        now = time.time_ns() // 1_000
        return [key_document(one, now) for one in self._stored.keys if by.covers(tenants_of(one))]


def _records(what: What, key: StoredKey, said_by: str | None = None) -> list[AuditRecord]:
    """What the audit log says of a key: one record for each tenant that it is for."""
    tenants = tenants_of(key)
    scopes = key.scopes.split()
    return [
        noted(what, one, 1, key=key.key_id, name=key.name, scopes=scopes, said_by=said_by)
        for one in ([None] if tenants is None else sorted(tenants))
    ]
