"""Blocking work of exports in threads of their own, and what stops it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ai_hub.errors import ExportFailed
from ai_hub.export.threads import threads

_T = TypeVar("_T")
Told = Callable[[int], None]
"""Told how many rows are done; it may raise to stop."""


class Working:
    """Threads for so many exports at a time: one turn needs one thread at a time."""

    def __init__(self, jobs: int) -> None:
        self._pool = threads("job", jobs)
        self._stops: set[threading.Event] = set()

    def stop(self) -> None:
        """Have all work that can be stopped stop soon."""
        for stop in self._stops:
            stop.set()

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False)

    async def do(self, work: Callable[..., _T], *arguments: object) -> _T:
        """The result of some work in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*arguments))

    async def stoppable(self, work: Callable[[Told], _T], check: Told) -> _T:
        """The result of work that tells how far it is; cancelled, it has stopped before this
        ends. `check` may raise to stop it, too."""
        stopped = threading.Event()
        self._stops.add(stopped)

        def told(rows: int) -> None:
            # A thread cannot be cancelled: it asks here whether it may go on.
            if stopped.is_set():
                raise ExportFailed("the export was stopped")
            check(rows)

        working = asyncio.ensure_future(self.do(work, told))
        try:
            return await asyncio.shield(working)
        except BaseException:
            stopped.set()
            await _ended(working)
            raise
        finally:
            self._stops.remove(stopped)
            del working  # or its error would keep it, and it the error


async def to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of work that whoever is cancelled meanwhile still waits for."""
    working = asyncio.create_task(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await _ended(working)
        raise
    finally:
        del working


async def not_stopped(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of work for whose end it is too late: whoever is cancelled meanwhile has it."""
    working = asyncio.create_task(work)
    try:
        while not working.done():
            try:
                await asyncio.wait([working])
            except asyncio.CancelledError:
                continue
        return working.result()
    finally:
        del working


async def _ended(working: asyncio.Future[Any]) -> None:
    """Wait for what was given up; what it raises is of no interest any more."""
    await asyncio.gather(working, return_exceptions=True)
