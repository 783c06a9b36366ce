"""What a cache on Redis is owed by those who had the file before."""

from __future__ import annotations

import secrets
from collections.abc import Collection

from ai_hub.definitions.values import Entity
from ai_hub.stores.base import Change


class EmbeddedDebts:
    """One process has the file, and nobody knows what the one before could not drop any more.

    So each begins with an empty cache, as it does with one of its own.
    """

    def __init__(self) -> None:
        self._anything = Change(secrets.token_hex(8), None)

    async def begin(self, seconds: int) -> None:
        """Nothing to keep: the next process begins anew."""

    async def all(self) -> list[Change]:
        """That anything may have changed before this process."""
        return [self._anything]

    async def owe(self, entities: Collection[Entity]) -> None:
        """Nothing to keep: this process remembers, and the next one begins anew."""
