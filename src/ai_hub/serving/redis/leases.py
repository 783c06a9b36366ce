"""Who computes a value: one process at a time, while the others wait for it.

In a process one question is under way for all who ask it: a herd of requests for cold keys costs
Redis one script for each round trip, however many they are, and waiting for other processes one
`MGET` in a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from ai_hub.serving.cache import Begin
from ai_hub.serving.redis.words import Key

LEASE_SECONDS = 3.0
"""How long a process may compute before others no longer wait for it."""
_LOOK_SECONDS = 0.01

T = TypeVar("T")


class Claimed(NamedTuple):
    """The value that was there, the entity's token, and whether this process has the lease.

    An entity that is marked has no token, and no lease is needed.
    """

    value: bytes | None
    token: bytes | None
    mine: bool


class Together(Generic[T]):
    """One question at a time for all who ask: what is asked meanwhile goes with the next.

    So an answer is never older than the question. Each begins `pause` seconds after it was asked
    for, or after the one before it ended. `ask` raises nothing and may leave keys out.
    """

    def __init__(
        self, ask: Callable[[Sequence[Key]], Awaitable[dict[Key, T]]], pause: float = 0.0
    ) -> None:
        self._ask = ask
        self._pause = pause
        self._keys: dict[Key, None] = {}
        self._coming: asyncio.Task[dict[Key, T]] | None = None
        self._last: asyncio.Task[dict[Key, T]] | None = None

    async def ask(self, keys: Iterable[Key]) -> Mapping[Key, T]:
        """The answers of at least these keys."""
        if self._coming is None:
            self._coming = asyncio.create_task(self._next(self._last))
        self._keys.update(dict.fromkeys(keys))
        # Whoever gives up takes nobody else's answer away.
        return await asyncio.shield(self._coming)

    async def _next(self, last: asyncio.Task[dict[Key, T]] | None) -> dict[Key, T]:
        if last is not None and not last.done():
            await asyncio.wait([last])
        if self._pause:
            await asyncio.sleep(self._pause)
        keys, self._keys = [*self._keys], {}
        self._last, self._coming = self._coming, None
        return await self._ask(keys)


class Leases:
    """Claims of one process: `claim` and `held` ask Redis of some values."""

    def __init__(
        self,
        claim: Callable[[Sequence[Key]], Awaitable[dict[Key, Claimed]]],
        held: Callable[[Sequence[Key]], Awaitable[dict[Key, bool]]],
    ) -> None:
        self._claims = Together(claim)
        self._looks = Together(held, _LOOK_SECONDS)

    async def claim(
        self, wanted: Mapping[Key, str], begin: Begin, patience: float
    ) -> dict[str, bytes]:
        """What others computed of some assets' values, within so many seconds.

        Those that are left to this process go to `begin`, as soon as that is known.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        values: dict[str, bytes] = {}
        waiting, free = dict(wanted), list(wanted)
        while True:
            claims = await self._claims.ask(free)
            late = loop.time() >= end
            mine: list[tuple[str, bytes | None]] = []
            for key in free:
                claim = claims.get(key)
                if claim is None:
                    mine.append((waiting.pop(key), None))
                elif claim.value is not None:
                    values[waiting.pop(key)] = claim.value
                elif claim.mine or late:
                    mine.append((waiting.pop(key), claim.token))
            if mine:
                begin(mine)
            free = []
            while waiting and not free:
                held = await self._looks.ask(waiting)
                late = loop.time() >= end
                free = [key for key in waiting if late or not held.get(key)]
            if not free:
                return values
