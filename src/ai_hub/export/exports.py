"""The exports of an open store: begun, waited for, looked at, cancelled, resumed and taken up."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ai_hub.config import Settings
from ai_hub.definitions.values import check_count, check_id
from ai_hub.drift.sample import Sample
from ai_hub.errors import (
    AiHubError,
    ExportFailed,
    InvalidInput,
    StoreError,
    StoreUnavailable,
    UnknownExport,
)
from ai_hub.export.attempt import Attempts, draw, rows_of_spine
from ai_hub.export.baselines import Baselines
from ai_hub.export.drafts import AnyPlace, check
from ai_hub.export.jobs import Jobs
from ai_hub.export.limits import Limits
from ai_hub.export.objects import ObjectPlace
from ai_hub.export.place import Places
from ai_hub.export.running import Running
from ai_hub.export.sweep import Sweeper, remove_half, sweep
from ai_hub.export.taking import Taker
from ai_hub.export.threads import Workers
from ai_hub.export.turns import Turn, Turns
from ai_hub.export.working import Working, to_its_end
from ai_hub.metrics import Metrics
from ai_hub.storage.url import Url, is_url
from ai_hub.stores.base import OfflineStore
from ai_hub.stores.export_log import ExportRecord, ExportStatus

if TYPE_CHECKING:
    from ai_hub.export.history import History, HistoryJob
    from ai_hub.export.job import ExportJob, SpineJob
    from ai_hub.export.request import Resolve
    from ai_hub.export.training_set import TrainingSet

MOST_RECORDS = 10_000
LOOK_SECONDS = 0.5
"""How often a job of another process is looked at by who waits for it."""
_STOPPING_SECONDS = 5.0
_LOOKS = 2
"""Histories at a time: who looks at one does not wait for exports."""


class Exports:
    """The exports of an open store, in threads of their own."""

    def __init__(
        self, store: OfflineStore, settings: Settings, now: Callable[[], int], metrics: Metrics
    ) -> None:
        self._store = store
        self._log = store.export_log
        self._places = Places.of(settings)
        self._now = now
        self._limits = Limits(store, settings.export_rows)
        self._turns = Turns(settings.export_jobs, settings.export_queue)
        self._working = Working(settings.export_jobs)
        self._looking = Working(_LOOKS)
        self._workers = Workers()
        self.baselines = Baselines(store.drift_table)
        self._attempts = Attempts(
            self._log, store.scan, self._working, self._workers, self.baselines, metrics, now
        )
        self._jobs = Jobs(self._attempts, self._limits, self._turns)
        self._resuming = asyncio.Lock()
        self._sweeper: Sweeper | None = None
        self._taker: Taker | None = None

    async def open(self) -> None:
        """Record what became of exports of a stopped process: now, and from now on."""
        await sweep(self._log, self._places, self._now, far=False)
        self._sweeper = Sweeper(self._log, self._places, self._now)

    def take(self, resolve: Resolve) -> None:
        """Take up jobs that wait for a process, from now on."""
        if self._taker is None:
            self._taker = Taker(self._log, self._turns, partial(self._take_up, resolve))

    async def close(self) -> None:
        """Sweep no more, and stop the exports that are under way."""
        for watching in (self._taker, self._sweeper):
            if watching is not None:
                await watching.close()
        self._working.stop()
        self._looking.stop()
        await self._jobs.close()
        await self.baselines.close()
        self._working.close()
        self._looking.close()
        self._workers.close()

    async def start(
        self,
        job: ExportJob | SpineJob,
        path: PurePath | Url | None = None,
        progress: Callable[[int], None] | None = None,
        *,
        force: bool = False,
        in_tenant_folder: bool = False,
        parts: bool = False,
        delta: bool = False,
        detached: bool = False,
        by: str = "",
    ) -> ExportRecord:
        """Begin to write the file of a job, or a folder of `parts`; its record.

        `path` is relative to the tenant's own folder with `in_tenant_folder`, and to the working
        directory without; by default the file is in that folder, or in the export root. In object
        storage it is in a folder below a URL that has the export's id; with `delta` the URL is that
        of a Delta table, which has a new version then. `force` replaces a file that
        no export wrote. A job that is `detached` waits for another process. Cancelled before
        its record is here, it is cancelled `by` somebody.
        Raises InvalidInput for a path where no file may be and for more rows than one may have,
        Busy if too many exports wait, StoreError.
        """
        from ai_hub.export.request import request_of

        expected = await self._limits.check(job)
        export_id = str(uuid.uuid4())
        chosen = job.rows.feature_set
        name = chosen.name or "features"
        default = f"{name}_{export_id}" if parts else f"{name}_{export_id}.parquet"
        tenant_id = job.rows.tenant_id
        record = ExportRecord(
            export_id,
            tenant_id,
            name,
            chosen.version,
            "pending",
            str(path or default),
            job.range.start,
            job.range.end,
            job.asset_ids,
            self._now(),
            request=request_of(job, parts, force, delta) if self._log.writable else None,
            rows_expected=expected,
        )
        turn = None if detached else self._turns.turn()
        try:
            place = await asyncio.to_thread(
                self._place, tenant_id, path, default, force, in_tenant_folder, export_id, delta
            )
            await asyncio.to_thread(check, place, parts)
            waits = turn is None or turn.waits
            status: ExportStatus = "pending" if waits else "processing"
            record = replace(record, status=status, storage_path=str(place.path))
            if detached and record.request is None:
                raise InvalidInput(
                    "detached", True, "an export that can be made by another process"
                )
            try:
                await to_its_end(self._log.record(record, keep=not detached))
            except asyncio.CancelledError as left:
                if not detached:  # nobody knows it by its id
                    running = Running(record, expected, None)
                    running.why, running.by = "cancelled", by
                    await self._attempts.give_up(running, left)
                raise
        except BaseException as error:
            if turn is not None:
                turn.leave()
            if isinstance(error, ExportFailed):
                self._attempts.told(record.failed(self._now(), str(error)), time.monotonic())
            raise
        if turn is not None:
            running = Running(record, expected, progress)
            self._jobs.begin(running, job, place, parts, turn)
        return record

    async def wait(self, export_id: str, seconds: float | None = None) -> ExportRecord:
        """The record of an export when it has ended, or after so many seconds.

        Raises UnknownExport, and what went wrong with one of this process.
        """
        running = self._jobs.running.get(export_id)
        if running is not None:
            await asyncio.wait([running.task], timeout=seconds)
            if not running.task.done():
                return running.shown(self._now())
            ended = running.task.result()
            if running.why == "closed":
                raise StoreUnavailable("the feature store is closed")
            return ended
        loop = asyncio.get_running_loop()
        until = None if seconds is None else loop.time() + seconds
        while (found := await self.record(export_id)).under_way:
            left = LOOK_SECONDS if until is None else min(LOOK_SECONDS, until - loop.time())
            if left <= 0:
                break
            await asyncio.sleep(left)
        return found

    async def run(self, export_id: str, by: str) -> ExportRecord:
        """The record of an export of this process when it has ended; it ends with who waits."""
        try:
            return await self.wait(export_id)
        except asyncio.CancelledError:
            running = self._jobs.running.get(export_id)
            if running is not None:
                running.stop("cancelled", by)
                await to_its_end(_done(running))
            raise

    async def cancel(self, export_id: str, by: str) -> ExportRecord:
        """End an export that is under way, wherever; its record then. Raises UnknownExport."""
        running = self._jobs.running.get(export_id)
        if running is not None:
            running.stop("cancelled", by)
            await asyncio.wait([running.task], timeout=_STOPPING_SECONDS)
            return running.shown(self._now())
        record = await self.record(export_id)
        if not record.under_way:
            return record
        return await to_its_end(self._cancel(record, by))

    async def _cancel(self, record: ExportRecord, by: str) -> ExportRecord:
        await self._log.cancel(record.export_id, by)
        if not await self._log.take(record):
            # Whoever has it hears of it soon.
            return await self.record(record.export_id)
        await asyncio.to_thread(remove_half, self._places, record)
        ended = record.cancelled(self._now(), by)
        await self._log.record(ended)
        return ended

    async def resume(self, export_id: str, resolve: Resolve) -> ExportRecord:
        """Go on here with an export that waits, failed or was cancelled; its record.

        Raises UnknownExport, InvalidInput for one that cannot be made again, and Busy.
        """
        # Who leaves meanwhile has begun it, or not.
        return await to_its_end(self._resume(export_id, resolve))

    async def _resume(self, export_id: str, resolve: Resolve) -> ExportRecord:
        async with self._resuming:  # who asks for it twice at once gets the same one
            record = await self.record(export_id)
            if export_id in self._jobs.running:
                return record
            if record.status in ("completed", "no_data"):
                expected = "an export that has not come to its end"
                raise InvalidInput("export_id", export_id, expected)
            if record.request is None:
                raise InvalidInput(
                    "export_id", export_id, "an export that can be made again",
                    "The rows of this one came with its request: ask for it again.",
                )  # fmt: skip
            turn = self._turns.turn()
            try:
                if await self._log.take(record):
                    fresh = replace(record.again(0), cancelled_by=None, replaced_by=None)
                    return await self._begin_again(fresh, resolve, turn)
            except BaseException:
                turn.leave()
                raise
            turn.leave()  # another process has it
            return await self.record(export_id)

    async def training_set(self, make: Callable[[], SpineJob]) -> TrainingSet:
        """The rows of a spine in memory; its job is made when it is its turn.

        Raises InvalidInput, Busy and StoreError.
        """
        async with self._turns.turn():
            job = await to_its_end(self._working.do(make))
            await self._limits.check(job)
            found = await self._working.stoppable(
                partial(rows_of_spine, job, self._store.scan, None), self._limits.check_done
            )
            self._attempts.count(job, found.several)
            return replace(found, _places=self._places)

    async def sampled(self, job: ExportJob, sample: Sample) -> None:
        """Let a sample draw from the rows of a job, which are written nowhere.

        Raises InvalidInput for more rows than an export may have, Busy and StoreError.
        """
        await self._limits.check(job)
        async with self._turns.turn():
            await self._working.stoppable(
                partial(draw, job, self._store.scan, sample, self._workers),
                self._limits.check_done,
            )

    async def history(self, job: HistoryJob) -> History:
        """What was of some assets. Raises InvalidInput for more rows than its limit, StoreError."""
        return await self._looking.stoppable(partial(job.read, self._store.scan), lambda _: None)

    async def find(self, of: str | Collection[str] | None, limit: int) -> list[ExportRecord]:
        """The records of a tenant's exports, of several (None: of all), the newest first.

        Raises InvalidInput for a limit that is not from 1 to 10,000.
        """
        tenant_ids = None if of is None else [of] if isinstance(of, str) else [*of]
        for tenant_id in tenant_ids or ():
            check_id("tenant_id", tenant_id)
        check_count("limit", limit, MOST_RECORDS)
        found = await self._log.find(tenant_ids, limit=limit)
        return [self._live(one.export_id) or one for one in found]

    async def record(self, export_id: str) -> ExportRecord:
        """The record of one export. Raises UnknownExport."""
        here = self._live(export_id)
        if here is not None:
            return here
        found = await self._log.find(export_id=export_id)
        if not found:
            raise UnknownExport(export_id)
        return found[0]

    def _live(self, export_id: str) -> ExportRecord | None:
        running = self._jobs.running.get(export_id)
        if running is None:
            return self._jobs.ended.get(export_id)
        return running.shown(self._now())

    async def _take_up(self, resolve: Resolve, record: ExportRecord, turn: Turn) -> None:
        """Go on with a job that waited, and is this process's now."""
        if record.cancelled_by is not None:
            await asyncio.to_thread(remove_half, self._places, record)
            await self._log.record(record.cancelled(self._now(), record.cancelled_by))
            turn.leave()
            return
        try:
            await self._begin_again(record, resolve, turn)
        except StoreError:
            turn.leave()
            raise
        except AiHubError:
            turn.leave()  # its record says why

    async def _begin_again(
        self, record: ExportRecord, resolve: Resolve, turn: Turn
    ) -> ExportRecord:
        from ai_hub.export.request import job_again, said

        try:
            if record.replaced_by is not None:
                raise ExportFailed(f"the export {record.replaced_by} has its place since")
            job, request = job_again(record, resolve), said(record)
            place = await asyncio.to_thread(self._place_again, record, request)
        except AiHubError as error:
            await asyncio.to_thread(remove_half, self._places, record)
            await self._log.record(record.failed(self._now(), str(error)))
            raise
        running = Running(record, record.rows_expected, None)
        self._jobs.begin(running, job, place, request["parts"], turn)
        return running.shown(self._now())

    def _place(
        self,
        tenant_id: str,
        path: PurePath | Url | None,
        default: str,
        force: bool,
        in_tenant_folder: bool,
        export_id: str,
        delta: bool,
    ) -> AnyPlace:
        if isinstance(path, Url):
            return ObjectPlace.of(path / export_id, self._places, delta)
        if in_tenant_folder:
            return self._places.of_tenant(tenant_id, path or PurePath(default))
        return self._places.place(Path(path or self._places.root / default), force)

    def _place_again(self, record: ExportRecord, request: Mapping[str, Any]) -> AnyPlace:
        """Where the file of a job is to be that was begun before."""
        if is_url(record.storage_path):
            return ObjectPlace.of(Url.of(record.storage_path), self._places, request["delta"])
        return self._places.place(Path(record.storage_path), request["force"])


async def _done(running: Running) -> None:
    await asyncio.wait([running.task])
