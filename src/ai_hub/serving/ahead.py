"""Vectors of the next step, ready before its turn: of what was asked for in the last one."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence

from ai_hub.definitions.values import SECOND, Granularity
from ai_hub.serving.spec import Spec

_log = logging.getLogger(__name__)

MOST_KEYS = 100_000
"""Keys of a step that are remembered: some 10 MB."""
_PART = 200
_AHEAD_SECONDS = 10.0
_PAUSE_SECONDS = 0.1
_WORK_SHARE = 5
"""Looking again rests so many times as long as it took."""
_AFTER_SECONDS = 0.5

Ready = Callable[[Spec, str, Sequence[str], int], Awaitable[None]]
"""Has the vectors of some assets at a time in the cache: those that are not there are computed."""
_Kept = dict[tuple[str, str], tuple[Spec, set[str]]]


class AskedFor:
    """The keys that requests for the current step asked for, in it and in the one before.

    `now` gives microseconds.
    """

    def __init__(self, step: Granularity, now: Callable[[], int], most: int = MOST_KEYS) -> None:
        self._step = step
        self._now = now
        self._most = most
        self._at = 0
        self._count = 0
        self._current: _Kept = {}
        self._before: _Kept = {}

    def note(self, spec: Spec, tenant_id: str, asset_ids: Sequence[str], at: int) -> None:
        """A request asked for vectors; those of another time than now are not remembered."""
        if (at != self._at and not self._turns(at)) or self._count >= self._most:
            return
        kept = self._current.get((spec.field, tenant_id))
        if kept is None:
            kept = self._current[spec.field, tenant_id] = (spec, set())
        before = len(kept[1])
        kept[1].update(asset_ids)
        self._count += len(kept[1]) - before

    def parts(self) -> Iterator[tuple[Spec, str, list[str]]]:
        """The keys of both steps, some at a time: a spec, a tenant and assets."""
        self._turns(self._step.truncate(self._now()))
        steps = (self._before, self._current)
        for key in {**self._before, **self._current}:
            both = [kept[key] for kept in steps if key in kept]
            spec, tenant_id = both[-1][0], key[1]
            assets = sorted(set().union(*(assets for _, assets in both)))
            for first in range(0, len(assets), _PART):
                yield spec, tenant_id, assets[first : first + _PART]

    def _turns(self, at: int) -> bool:
        """Whether that is the current step; begin it, if it is new."""
        if at == self._at:
            return True
        if at != self._step.truncate(self._now()):
            return False
        follows = at - self._at == self._step.step.micros
        self._before = self._current if follows else {}
        self._at, self._current, self._count = at, {}, 0
        return True


class Ahead:
    """Warms the next step some seconds before its turn, until it is closed.

    That is ten seconds before, or a quarter of a step if that is less, and up to half as many more:
    several servers do not begin at once. From then until the turn it looks again and again, so that
    what an ingest dropped meanwhile, by whatever process, is made anew.
    """

    def __init__(
        self, asked: AskedFor, ready: Ready, step: Granularity, now: Callable[[], int]
    ) -> None:
        self._asked = asked
        self._ready = ready
        self._step = step.step.micros
        self._truncate = step.truncate
        self._now = now
        self._ahead = round(min(_AHEAD_SECONDS * SECOND, self._step / 4))
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop warming."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            turn = self._truncate(self._now()) + self._step
            early = random.uniform(1.0, 1.5) * self._ahead
            await self._sleep_until(turn - round(early))
            try:
                await self._warm(turn)
            except Exception:  # noqa: BLE001  # Whatever it is, the next step is another one.
                _log.exception("warming ahead failed")
            await self._sleep_until(turn + 1)

    async def _warm(self, turn: int) -> None:
        loop = asyncio.get_running_loop()
        end = turn + round(_AFTER_SECONDS * SECOND)
        while self._now() < end:
            begin = loop.time()
            for spec, tenant_id, assets in self._asked.parts():
                await self._ready(spec, tenant_id, assets, turn)
                # What is there already was given without waiting for anybody.
                await asyncio.sleep(0)
            took = loop.time() - begin
            await asyncio.sleep(max(_PAUSE_SECONDS, _WORK_SHARE * took))

    async def _sleep_until(self, micros: int) -> None:
        await asyncio.sleep(max(0, micros - self._now()) / SECOND)
