"""The contract of a cache, and its keys.

A key is `features:{tenant_id}:{asset_id}:{timestamp}`; under it a field for each feature set,
fingerprint and missing policy. A value is a vector as JSON bytes.

Freshness rests on tokens. Reading and claiming give a token for each entity; a value is kept only
if the entity's token is still the same, and dropping an entity changes it. So a vector computed
from older data is never kept after the entity was dropped. While an entity is marked it has no
token, so what is computed during a commit is neither kept nor shared: once an answer shows what was
written, no later one shows what was before. Who computes a value claims it before, so that
processes that share the cache compute it once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ai_hub.definitions.values import Entity, key_part
from ai_hub.stores import touched

if TYPE_CHECKING:
    from ai_hub.serving.breaker import BreakerState
    from ai_hub.stores.base import Change

Token = int | bytes
Begin = Callable[[Iterable[tuple[str, Token | None]]], None]
"""Given assets whose values are the caller's to compute, each with its token.

Without a token (None) nothing is known of what is written meanwhile: nothing can be kept then.
"""
Place = tuple[str, str]
"""What a mark is on: tenant and asset, or a tenant and '' for all of it."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache holds (None: it does not know) and how it did since it was opened."""

    kind: str
    entries: int | None
    bytes: int | None
    max_bytes: int | None
    ttl_seconds: int
    hits: int
    misses: int
    evicted: int | None

    @property
    def hit_rate(self) -> float:
        """Hits as a share of look-ups; 0 before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class Cache(Protocol):
    """Kept vectors: read, kept under a token, dropped by entity."""

    @property
    def name(self) -> str:
        """What people call it, in a sentence about it."""

    @property
    def shared(self) -> bool:
        """Whether other processes see it too, and drop from it what they write."""

    @property
    def state(self) -> BreakerState:
        """That of the circuit breaker before it: only while it is closed is the cache used."""

    @property
    def follows(self) -> bool:
        """Whether the database is a standby, so that next to nothing is kept: see `follow`."""

    @property
    def near_hits(self) -> int:
        """Of the hits, how many a first level in this process had, before a cache outside it."""

    @property
    def near_bytes(self) -> int:
        """What that first level holds, about."""

    @property
    def errors(self) -> Mapping[str, int]:
        """How often it failed since it was opened, by a short name of the kind."""

    async def read(
        self, tenant_id: str, asset_ids: Sequence[str], timestamp: str, field: str
    ) -> list[tuple[bytes | None, Token | None]]:
        """The value (None: a miss) and the token (None: it has none yet) of each asset, in order.

        A miss may be computed under its token where that is under way already; else it is claimed.
        """

    async def claim(
        self,
        tenant_id: str,
        asset_ids: Sequence[str],
        timestamp: str,
        field: str,
        begin: Begin,
        patience: float,
    ) -> dict[str, bytes]:
        """Values that other processes compute; those that nobody computes are for the caller.

        `begin` is called with these as soon as that is known, before anybody is waited for; so no
        two wait for each other. What does not come within `patience` seconds is the caller's too.
        """

    async def keep(
        self,
        tenant_id: str,
        timestamp: str,
        field: str,
        values: Iterable[tuple[str, Token, bytes | None]],
    ) -> int:
        """Keep (asset, token, value)s whose token is still current; how many were kept.

        None is a value that was asked for and could not be computed: nobody need wait for it.
        """

    async def mark(self, entities: Collection[Entity], mark: str) -> str:
        """Before a write of some entities (of one tenant) is committed: drop them, and keep nothing
        of theirs until they are dropped with this mark, or the time of a vector and more is over.

        Gives the cache of which other processes see that; empty where they do not.
        """

    async def drop(self, entities: Iterable[Entity], prefix: str = "", mark: str = "") -> int:
        """Change the tokens of some entities and forget their fields that begin with `prefix`.

        Takes their `mark` away. How many vectors were dropped.
        """

    @property
    def owes(self) -> bool:
        """Whether there is something that it could not drop yet."""

    async def changed(self, changes: Sequence[Change] | None) -> None:
        """Other processes wrote something that vectors are computed from (None: they may have).

        A shared cache drops what its writer did not mark in it.
        """

    async def follow(self, standby: bool) -> None:
        """The database is a standby from now on, or no longer.

        Nobody hears of the changes of one: a cache in the process keeps what it gave for `BRIEF`
        seconds, and a shared one, in which it would be stale for others, is not used.
        """

    async def stats(self) -> CacheStats:
        """What it holds and how it did."""

    async def close(self) -> None:
        """Let go of everything."""


BRIEF = 0.5
"""Seconds: with what computing takes, no answer is older than a second."""
SLACK = 300
"""Seconds that a token, a mark or a debt lives longer than vectors: than computing and committing
may take."""
_MANY = 10_000


def place_of(entity: Entity) -> Place:
    """Where a mark on one entity is."""
    return entity.tenant_id, entity.asset_id


def tenants_of(entities: Collection[Entity]) -> list[Place]:
    """Where the marks on more than 10,000 entities are: on their tenants; nowhere for fewer, each
    of which has one."""
    return (
        [(tenant, "") for tenant in touched.tenants_of(entities)] if len(entities) > _MANY else []
    )


def cache_key(tenant_id: str, asset_id: str, timestamp: str) -> str:
    """The key of an entity's vectors at a truncated time such as `2025-10-09T14:00:00Z`."""
    return f"features:{key_part(tenant_id)}:{key_part(asset_id)}:{timestamp}"
