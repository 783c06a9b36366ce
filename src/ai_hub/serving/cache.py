"""The contract of a cache, and its keys.

A key is `features:{tenant_id}:{asset_id}:{timestamp}`; under it a field for each feature set,
fingerprint and missing policy. A value is a vector as JSON bytes.

Freshness rests on tokens. Reading and claiming give a token for each entity; a value is kept only
if the entity's token is still the same, and dropping an entity changes it. So a vector computed
from older data is never kept after the entity was dropped. Who computes a value claims it before,
so that processes that share the cache compute it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ai_hub.definitions.values import Entity, key_part

if TYPE_CHECKING:
    from ai_hub.serving.breaker import BreakerState

Token = int | bytes
Begin = Callable[[Iterable[tuple[str, Token | None]]], None]
"""Given assets whose values are the caller's to compute, each with its token.

Without a token (None) nothing is known of what other processes write: nothing can be kept then.
"""


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

    async def drop(self, entities: Iterable[Entity], prefix: str = "") -> int:
        """Change the tokens of some entities and forget their fields that begin with `prefix`.

        How many vectors were dropped.
        """

    async def changed(self, entities: Iterable[Entity] | None) -> None:
        """Another process wrote what vectors of some entities (None: of any) are computed from.

        That process has dropped them from a shared cache itself.
        """

    async def stats(self) -> CacheStats:
        """What it holds and how it did."""

    async def close(self) -> None:
        """Let go of everything."""


def cache_key(tenant_id: str, asset_id: str, timestamp: str) -> str:
    """The key of an entity's vectors at a truncated time such as `2025-10-09T14:00:00Z`."""
    return f"features:{key_part(tenant_id)}:{key_part(asset_id)}:{timestamp}"
