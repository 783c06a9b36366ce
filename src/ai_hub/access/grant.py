"""What somebody may do: for which tenants, and with which scopes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from ai_hub.definitions.values import check_id, check_list
from ai_hub.errors import Forbidden, InvalidInput, did_you_mean

Scope = Literal["read", "write", "export", "admin"]
"""`read`: vectors, assets, feature sets, counts. `write`: readings, weather, attributes and the
cache. `export`: training sets. `admin`: definitions, models, rollouts, keys, removal."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
MAX_TENANTS = 1_000
"""Tenants that one key may name."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody may do, as of a time.

    `who` is their name in records; `id` tells them from others. `tenants` None: all, also those
    that do not exist yet. `until` is when it ends, in microseconds; None: never. `by` is what they
    ask with, as refusals call it.
    """

    who: str
    tenants: frozenset[str] | None
    scopes: frozenset[Scope]
    id: str = ""
    until: int | None = None
    by: Literal["key", "token"] = "key"

    def check_scope(self, scope: Scope) -> None:
        """Raise Forbidden without a scope."""
        if scope not in self.scopes:
            has = " ".join(one for one in SCOPES if one in self.scopes)
            raise Forbidden("scope", has, f"a {self.by} with {scope}")

    def check_tenant(self, tenant_id: object) -> None:
        """Raise Forbidden for a tenant that is not one of them, whether it is there or not."""
        if self.tenants is not None and tenant_id not in self.tenants:
            raise Forbidden("tenant_id", tenant_id, f"one of the tenants of the {self.by}")

    def has(self, tenant_id: str) -> bool:
        """Whether a tenant is one of them."""
        return self.tenants is None or tenant_id in self.tenants

    def check_everybody(self) -> None:
        """Raise Forbidden unless all tenants are theirs: what is asked is about all of them."""
        if self.tenants is not None:
            raise Forbidden(self.by, "one for some tenants", "one for every tenant")

    def covers(self, tenants: frozenset[str] | None) -> bool:
        """Whether all of these tenants (None: every one) are among its own."""
        return self.tenants is None or (tenants is not None and tenants <= self.tenants)


EVERYTHING = Grant("", None, frozenset(SCOPES))
"""What everybody may who reaches a server without access keys, and who opened the database."""

NOBODY = Grant("", frozenset(), frozenset())
"""What somebody may who says nothing of themselves, where others have to."""


def check_scopes(scopes: object) -> frozenset[Scope]:
    """Distinct scopes, at least one. Raises InvalidInput."""
    found: set[Scope] = set()
    for scope in check_list("scopes", scopes, "scopes", len(SCOPES)):
        if scope not in SCOPES:
            expected = f"one of {', '.join(SCOPES)}"
            raise InvalidInput("scopes", scope, expected, did_you_mean(scope, SCOPES))
        found.add(scope)
    if not found:
        raise InvalidInput("scopes", [], f"one or more of {', '.join(SCOPES)}")
    return frozenset(found)


def check_tenants(tenants: object) -> frozenset[str] | None:
    """Distinct tenants, at least one; None for all. Raises InvalidInput."""
    if tenants is None:
        return None
    ids: Iterable[object] = check_list("tenants", tenants, "tenants", MAX_TENANTS)
    found = frozenset(check_id("tenants", one) for one in ids)
    if not found:
        raise InvalidInput("tenants", [], "one or more tenants, or all")
    return found
