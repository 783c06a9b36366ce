"""Computations under way, which who asks for the same thing joins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ai_hub.errors import StoreError
from ai_hub.serving.cache import Cache, Token
from ai_hub.serving.spec import Spec

_MOST_TOGETHER = 1_000
_TURN_SECONDS = 0.25
"""How long a computation without tokens waits for the one before it to end."""
_LANDED_SECONDS = 1.0
"""How long a computation that has ended may still be joined under its token."""
_T = TypeVar("_T")
Flight = asyncio.Future[Mapping[str, bytes]]
"""The vectors of one computation to come, by asset; none where the store failed."""


class Asked(NamedTuple):
    """What vectors are asked for: a spec of a tenant's assets at a time, which is also text."""

    spec: Spec
    tenant_id: str
    at: int
    timestamp: str


_Group = tuple[str, str, str]
_Key = tuple[_Group, str, Token]
Compute = Callable[[Asked, Sequence[str]], Awaitable[list[bytes]]]


class Flights:
    """Each vector is computed once for all who ask for it at the same time.

    A request joins a computation only while the entity's token is the one it began with, so never
    one begun before an ingest it must reflect. Where there are no tokens, it joins only what has
    not begun yet: that is one computation at a time, and what is asked for meanwhile goes with the
    next. `failed` is told of a store that could not compute.
    """

    def __init__(
        self, compute: Compute, cache: Cache, failed: Callable[[StoreError], None]
    ) -> None:
        self._compute = compute
        self._cache = cache
        self._failed = failed
        self._flights: dict[_Key, Flight] = {}
        self._next: dict[_Group, tuple[dict[str, None], Flight]] = {}
        self._last: dict[_Group, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """How many computations are under way."""
        return len(self._tasks)

    def under_way(
        self, asked: Asked, assets: Iterable[tuple[str, Token | None]]
    ) -> dict[str, Flight]:
        """The computations of vectors that may be joined under their tokens, where there are."""
        group, find = _group(asked), self._flights.get
        found = {}
        for asset_id, token in assets:
            if token is not None and (flight := find((group, asset_id, token))) is not None:
                found[asset_id] = flight
        return found

    def begin(self, asked: Asked, assets: Iterable[tuple[str, Token | None]]) -> dict[str, Flight]:
        """Join or begin the computation of some assets' vectors, each under its token."""
        group = _group(asked)
        found: dict[str, Flight] = {}
        begun: list[_Key] = []
        alone: list[str] = []
        mine: Flight = asyncio.get_running_loop().create_future()
        for asset_id, token in assets:
            if token is None:
                alone.append(asset_id)
                continue
            key = (group, asset_id, token)
            flight = found[asset_id] = self._flights.setdefault(key, mine)
            if flight is mine:
                begun.append(key)
        if begun:
            # A task of its own: a caller that gives up takes nobody else's answer away.
            self.task(self._fly(asked, begun, mine))
        if alone:
            found |= dict.fromkeys(alone, self._without_tokens(asked, group, alone))
        return found

    def task(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """A computation that goes on when nobody waits for it any more."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, patience: float) -> None:
        """Wait for the computations under way for so many seconds; end the others."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=patience)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _without_tokens(self, asked: Asked, group: _Group, assets: Sequence[str]) -> Flight:
        coming = self._next.get(group)
        if coming is None or len(coming[0]) + len(assets) > _MOST_TOGETHER:
            coming = self._next[group] = {}, asyncio.get_running_loop().create_future()
            last = self._last.get(group)
            task = self._last[group] = self.task(self._fly_after(last, asked, group, *coming))
            task.add_done_callback(lambda done: self._ended(group, done))
        together, flight = coming
        together.update(dict.fromkeys(assets))
        return flight

    def _ended(self, group: _Group, task: asyncio.Task[None]) -> None:
        if self._last.get(group) is task:
            del self._last[group]

    async def _fly_after(
        self,
        last: asyncio.Task[None] | None,
        asked: Asked,
        group: _Group,
        assets: dict[str, None],
        flight: Flight,
    ) -> None:
        if last is not None:
            await asyncio.wait([last], timeout=_TURN_SECONDS)
        if (coming := self._next.get(group)) is not None and coming[1] is flight:
            # It reads the store from here on: nobody joins it any more.
            del self._next[group]
        try:
            values = await self._compute(asked, [*assets])
        except BaseException as error:
            self._fail(flight, error)
            if not isinstance(error, Exception):
                raise
        else:
            flight.set_result(dict(zip(assets, values, strict=True)))

    async def _fly(self, asked: Asked, begun: Sequence[_Key], flight: Flight) -> None:
        spec, tenant_id, _, timestamp = asked
        kept = self._cache.keep
        assets = [asset_id for _, asset_id, _ in begun]
        try:
            values = await self._compute(asked, assets)
            both = zip(begun, values, strict=True)
            await kept(tenant_id, timestamp, spec.field, [(a, t, v) for (_, a, t), v in both])
        except BaseException as error:
            self._forget(begun)
            self._fail(flight, error)
            if not isinstance(error, Exception):
                raise
            # Other processes need not wait for these.
            await kept(tenant_id, timestamp, spec.field, [(a, t, None) for _, a, t in begun])
        else:
            flight.set_result(dict(zip(assets, values, strict=True)))
            # Who was given leave before they were kept may come to know it only now.
            asyncio.get_running_loop().call_later(_LANDED_SECONDS, self._forget, begun)

    def _forget(self, begun: Iterable[_Key]) -> None:
        for key in begun:
            del self._flights[key]

    def _fail(self, flight: Flight, error: BaseException) -> None:
        """A store that failed is vectors that are not there; another error is the caller's."""
        if isinstance(error, StoreError):
            self._failed(error)
            flight.set_result({})
            return
        flight.set_exception(error)
        flight.exception()  # Seen here, for the case that nobody waits any more.


def _group(asked: Asked) -> _Group:
    return asked.tenant_id, asked.timestamp, asked.spec.field
