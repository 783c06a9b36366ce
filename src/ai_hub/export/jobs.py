"""The jobs of a process: each in its turn, alive for the database, and stopped where it has to be.

Who asked for one may leave: it is a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from ai_hub.errors import StoreError, StoreUnavailable
from ai_hub.export.attempt import Attempts
from ai_hub.export.drafts import AnyPlace
from ai_hub.export.limits import Limits
from ai_hub.export.running import Running
from ai_hub.export.turns import Turn, Turns
from ai_hub.stores.export_log import ExportRecord

if TYPE_CHECKING:
    from ai_hub.export.job import ExportJob, SpineJob

_log = logging.getLogger(__name__)

_ENDING_SECONDS = 2.0
_MOST_KEPT = 1_000
COUNTED_AFTER = 3.0
"""Seconds: how many rows there will be is counted for exports that take longer than a moment."""


class Jobs:
    """Those that are under way in this process, by id."""

    def __init__(self, attempts: Attempts, limits: Limits, turns: Turns) -> None:
        self.running: dict[str, Running] = {}
        self.ended: dict[str, ExportRecord] = {}
        """The newest that ended, where the database takes no records: a standby's."""
        self._attempts = attempts
        self._limits = limits
        self._turns = turns
        self._beating: asyncio.Task[None] | None = None

    def begin(
        self, running: Running, job: ExportJob | SpineJob, place: AnyPlace, parts: bool, turn: Turn
    ) -> None:
        """Have a recorded job come to its end, in its turn."""
        running.task = asyncio.create_task(self._live(running, job, place, parts, turn))
        # An error is for who waits; where nobody does, its record has it.
        running.task.add_done_callback(_looked_at)
        self.running[running.record.export_id] = running
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat())

    async def close(self) -> None:
        """Stop what is under way: it waits for another process, where it can be made again."""
        running = [*self.running.values()]
        for one in running:
            one.stop("closed")
        # A thread that reads may not hear of it for a while, and others have to be closed.
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_SECONDS):
                await self._turns.close()
                if running:
                    await asyncio.wait([one.task for one in running])
        for one in running:
            if not one.task.done() and not one.ending:
                await self._attempts.give_up(one, StoreUnavailable("the feature store is closed"))
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])

    async def _live(
        self,
        running: Running,
        job: ExportJob | SpineJob,
        place: AnyPlace,
        parts: bool,
        turn: Turn,
    ) -> ExportRecord:
        attempts = self._attempts
        counting = asyncio.create_task(self._count(running, job))

        def check(rows: int) -> None:
            self._limits.check_done(rows)
            running.told(rows)

        try:
            async with turn:
                if running.record.status == "pending":
                    running.record = running.record.begun(attempts.now())
                    await attempts.log.record(running.record)
                return await attempts.make(running, job, place, parts, check)
        except BaseException as error:
            ended = await attempts.give_up(running, error)
            # Nobody may be left whom an error would tell of a closed store: who waits looks why.
            over = running.why == "cancelled" and ended.status == "cancelled"
            if over or running.why == "closed":
                return ended
            raise
        finally:
            counting.cancel()
            turn.leave()
            del self.running[running.record.export_id]
            if not attempts.log.writable:
                self._keep(running.record)

    def _keep(self, record: ExportRecord) -> None:
        self.ended[record.export_id] = record
        if len(self.ended) > _MOST_KEPT:
            del self.ended[next(iter(self.ended))]

    async def _count(self, running: Running, job: ExportJob | SpineJob) -> None:
        """Find out how many rows a job will have, if it takes longer than a moment."""
        await asyncio.sleep(COUNTED_AFTER)
        if running.expected is None:
            with suppress(StoreError):  # the job itself says what is wrong
                running.expected = await self._limits.count(job)

    async def _beat(self) -> None:
        """Keep saying that the jobs are alive, and how far they are; hear which are to end."""
        log = self._attempts.log
        while True:
            await asyncio.sleep(log.beat_seconds)
            told = {id_: one.progress for id_, one in self.running.items() if not one.ending}
            if not told:
                continue
            try:
                heard = await log.beat(told)
            except StoreError:
                continue  # while the database is away the jobs themselves say what is wrong
            for export_id, by in heard.cancelled.items():
                if export_id in self.running:
                    self.running[export_id].stop("cancelled", by)
            for export_id in heard.lost:
                if export_id in self.running:
                    _log.warning("export lost", extra={"export_id": export_id})
                    self.running[export_id].stop("lost")


def _looked_at(task: asyncio.Task[ExportRecord]) -> None:
    if not task.cancelled():
        task.exception()
