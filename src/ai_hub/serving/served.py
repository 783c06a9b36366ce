"""What was served, as sketches by hour: gathered beside the answers, and added to the store's.

A computed vector is looked at once, however often the cache gives it afterwards; so a cached answer
costs nothing here. What is computed is put on a bounded list by the one who computes it; all else
is done in the background, in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from ai_hub.definitions.values import HOUR, Duration
from ai_hub.drift.hours import Computed, Hours, merged_documents
from ai_hub.errors import StoreError
from ai_hub.metrics import Metrics
from ai_hub.serving.spec import Spec
from ai_hub.stores.base import Vectors
from ai_hub.stores.drift_table import DriftTable, ServedHour, SetOf, set_of

_log = logging.getLogger(__name__)

MOST_WAITING = 1_000_000
"""Numbers that wait at most to be sketched, of all vectors together: some 20 MB."""
MOST_HOURS = 100
"""Sketches of an hour that are held at most, until they are added to the store's: some 20 MB."""
_OF_ITS_OWN = 16
"""What a column weighs beside its numbers."""
_FOLD_SECONDS = 1.0
_ENDING_SECONDS = 3.0
_AT_ONCE = 20
"""Hours that are added in one transaction."""


class Served:
    """Sketches of what a process computes, which it adds to the store's again and again.

    A process that crashes loses what it computed since the last time. Where the store takes nothing
    for so long that too much is held, what comes then is counted and left out.
    """

    def __init__(
        self,
        table: DriftTable,
        now: Callable[[], int],
        every: Duration | None,
        metrics: Metrics,
        most_waiting: int = MOST_WAITING,
        most_hours: int = MOST_HOURS,
    ) -> None:
        self._table = table
        self._now = now
        self._metrics = metrics
        self._most_waiting = most_waiting
        self._waiting: list[tuple[SetOf, int, Computed]] = []
        self._weight = 0
        self._hours: Hours[SetOf] = Hours(most_hours)
        self._lock = asyncio.Lock()
        self._soon = asyncio.Event()
        self._failed = False
        self._ending = False
        self._task = None if every is None else asyncio.create_task(self._run(every.seconds))

    def note(self, spec: Spec, tenant_id: str, at: int, count: int, vectors: Vectors) -> None:
        """Vectors of so many assets were computed."""
        of = set_of(tenant_id, spec.feature_set)
        if self._task is None or of is None:
            return
        weight = len(vectors.columns) * (count + _OF_ITS_OWN)
        if self._weight + weight > self._most_waiting:
            self._metrics.unsketched += count
            return
        self._weight += weight
        computed = Computed(at, count, vectors.columns, vectors.masks, vectors.violations)
        self._waiting.append((of, at // HOUR * HOUR, computed))
        if 2 * self._weight > self._most_waiting:
            self._soon.set()

    async def flush(self) -> None:
        """Add everything to the store's. Where that fails it is tried again the next time."""
        async with self._lock:
            await self._fold()
            await self._add()

    async def close(self) -> None:
        """Add what is left, and end; the store has a bounded time for it."""
        if self._task is not None:
            self._ending = True
            self._soon.set()
            # Cancelled in a write, it would not know whether to add the same again.
            _, late = await asyncio.wait([self._task], timeout=_ENDING_SECONDS)
            for task in late:
                task.cancel()
                _log.warning(
                    "served vectors not sketched", extra={"error": "the process ended before"}
                )

    async def _run(self, every: float) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + every
        last = False
        while not last:
            last = self._ending
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if last else _FOLD_SECONDS):
                    await self._soon.wait()
            try:
                async with self._lock:
                    await self._fold()
                    if clock() >= due or self._hours.full or last:
                        due = clock() + every
                        await self._add()
            except Exception:  # noqa: BLE001  # Whatever it is, answers go on and so does this.
                _log.exception("sketching failed")

    async def _fold(self) -> None:
        """Sketch what waits, and where there is no room add to the store's meanwhile."""
        self._soon.clear()
        waiting, self._waiting, self._weight = self._waiting, [], 0
        while waiting:
            waiting = await asyncio.to_thread(self._hours.fold, waiting)
            if waiting:
                await self._add()
            if self._hours.full:
                self._metrics.unsketched += sum(one.assets for _, _, one in waiting)
                return

    async def _add(self) -> None:
        if not self._table.writable:
            self._hours.clear()
            return
        while self._hours:
            some = self._hours.first(_AT_ONCE)
            documents = await asyncio.to_thread(self._hours.documents, some)
            hours = [
                ServedHour(*key, document) for key, document in zip(some, documents, strict=True)
            ]
            try:
                await self._table.add_served(hours, merged_documents, self._now())
            except StoreError as error:
                if not self._failed:
                    _log.warning("served vectors not sketched", extra={"error": str(error)})
                self._failed = True
                return
            self._failed = False
            self._hours.drop(some)
