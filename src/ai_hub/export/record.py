"""An export from job to record: its turn, its place, its file, and its row in `feature_exports`."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Coroutine, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from ai_hub.config import Settings
from ai_hub.definitions.values import FIRST_INSTANT, check_count, check_id
from ai_hub.drift.sample import Sample
from ai_hub.errors import ExportFailed, InvalidInput, UnknownExport
from ai_hub.export.baselines import Baselines
from ai_hub.export.beside import keep_beside
from ai_hub.export.drafts import AnyDraft, AnyPlace, check, drafting
from ai_hub.export.objects import ObjectPlace
from ai_hub.export.place import Places
from ai_hub.export.sweep import Sweeper, sweep
from ai_hub.export.threads import Workers, threads
from ai_hub.export.turns import Turns
from ai_hub.metrics import Metrics
from ai_hub.storage.url import Url
from ai_hub.stores.base import OfflineStore
from ai_hub.stores.export_log import ExportRecord

if TYPE_CHECKING:
    from ai_hub.export.job import ExportJob, SpineJob
    from ai_hub.export.parquet import Written
    from ai_hub.export.training_set import TrainingSet
    from ai_hub.stores.base import Chunk, ScanRequest

    Scan = Callable[[ScanRequest], Generator[Chunk, None, None]]

_log = logging.getLogger(__name__)

_ENDING_SECONDS = 2.0
MOST_RECORDS = 10_000
_T = TypeVar("_T")
_Told = Callable[[int], None]


class Exports:
    """The exports of an open store, in threads of their own."""

    def __init__(
        self, store: OfflineStore, settings: Settings, now: Callable[[], int], metrics: Metrics
    ) -> None:
        self._store = store
        self._places = Places.of(settings)
        self._now = now
        self._metrics = metrics
        self._most_rows = settings.export_rows
        self._turns = Turns(settings.export_jobs, settings.export_queue)
        # One turn needs one thread at a time.
        self._threads: ThreadPoolExecutor = threads("job", settings.export_jobs)
        self._workers = Workers()
        self.baselines = Baselines(store.drift_table)
        self._sweeper: Sweeper | None = None
        self._stops: set[threading.Event] = set()

    async def open(self) -> None:
        """Record how exports of a stopped process ended: now, and from now on."""
        log = self._store.export_log
        await sweep(log, self._places, self._now, far=False)
        self._sweeper = Sweeper(log, self._places, self._now)

    async def close(self) -> None:
        """Sweep no more, and stop the exports that are under way."""
        if self._sweeper is not None:
            await self._sweeper.close()
        for stop in self._stops:
            stop.set()
        # A thread that reads may not hear of it for a while, and others have to be closed.
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_SECONDS):
                await self._turns.close()
        await self.baselines.close()
        self._threads.shutdown(wait=False)
        self._workers.close()

    async def run(
        self,
        job: ExportJob | SpineJob,
        path: PurePath | Url | None = None,
        progress: _Told | None = None,
        *,
        force: bool = False,
        in_tenant_folder: bool = False,
        parts: bool = False,
    ) -> ExportRecord:
        """Write the file of a job, or a folder of `parts`, with a record before and after.

        `path` is relative to the tenant's own folder with `in_tenant_folder`, and to the working
        directory without; by default the file is in that folder, or in the export root. In object
        storage it is in a folder below a URL that has the export's id. `force`
        replaces a file that no export wrote. Raises InvalidInput for a path where no file may be
        and for more rows than one may have, Busy if too many exports wait, ExportFailed.
        """
        await self._check_rows(job)
        export_id = str(uuid.uuid4())
        chosen = job.rows.feature_set
        name = chosen.name or "features"
        default = f"{name}_{export_id}" if parts else f"{name}_{export_id}.parquet"
        async with self._turns.turn():
            place = await self._in_thread(
                self._place, job.rows.tenant_id, path, default, force, in_tenant_folder, export_id
            )
            record = ExportRecord(
                export_id,
                job.rows.tenant_id,
                name,
                chosen.version,
                "processing",
                str(place.path),
                job.range.start,
                job.range.end,
                job.asset_ids,
                self._now(),
            )
            return await self._counted(job, place, record, progress, parts)

    async def training_set(self, make: Callable[[], SpineJob]) -> TrainingSet:
        """The rows of a spine in memory; its job is made when it is its turn.

        Raises InvalidInput, Busy and StoreError.
        """
        async with self._turns.turn():
            job = await _to_its_end(self._in_thread(make))
            await self._check_rows(job)
            found = await self._stoppable(partial(_training_set, job, self._store.scan, None))
            self._count(job, found.several)
            return replace(found, _places=self._places)

    async def sampled(self, job: ExportJob, sample: Sample) -> None:
        """Let a sample draw from the rows of a job, which are written nowhere.

        Raises InvalidInput for more rows than an export may have, Busy and StoreError.
        """
        await self._check_rows(job)
        async with self._turns.turn():
            await self._stoppable(partial(_sampled, job, self._store.scan, sample, self._workers))

    def _count(self, job: ExportJob | SpineJob, several: Mapping[str, int]) -> None:
        """Rows for which a view had no value, since it has several rows of the newest time."""
        for name, rows in several.items():
            self._metrics.no_view(job.rows.feature_set.label, name, "several", rows)

    async def find(self, of: str | Collection[str] | None, limit: int) -> list[ExportRecord]:
        """The records of a tenant's exports, of several (None: of all), the newest first.

        Raises InvalidInput for a limit that is not from 1 to 10,000.
        """
        tenant_ids = None if of is None else [of] if isinstance(of, str) else [*of]
        for tenant_id in tenant_ids or ():
            check_id("tenant_id", tenant_id)
        check_count("limit", limit, MOST_RECORDS)
        return await self._store.export_log.find(tenant_ids, limit=limit)

    async def record(self, export_id: str) -> ExportRecord:
        """The record of one export. Raises UnknownExport."""
        found = await self._store.export_log.find(export_id=export_id)
        if not found:
            raise UnknownExport(export_id)
        return found[0]

    async def _check_rows(self, job: ExportJob | SpineJob) -> None:
        """Raise InvalidInput for a job that would have more rows than an export may."""
        from ai_hub.export.job import ExportJob

        assets = len(job.asset_ids or ())
        of_one = job.most_rows(1)
        if job.counts_assets and of_one is not None:
            # No more of them than it takes to be too many.
            enough = self._most_rows // of_one + 1
            assets = len(await self._store.seen(job.rows.tenant_id, FIRST_INSTANT, enough))
            if assets == enough:
                raise self._too_many(job.counted_by, f"more than {self._most_rows:,} rows")
        rows = job.most_rows(assets)
        if rows is not None:
            if rows > self._most_rows:
                raise self._too_many(job.counted_by, f"up to {rows:,} rows")
        elif isinstance(job, ExportJob) and not job.range.is_empty:
            series = job.rows.feature_set.series
            found = await self._store.most_rows(job.scan_request(), series, self._most_rows)
            if found > self._most_rows:
                raise self._too_many("end_time", f"more than {self._most_rows:,} rows")

    def _too_many(self, field: str, got: str) -> InvalidInput:
        expected = f"at most {self._most_rows:,} in one export (AI_HUB_EXPORT_ROWS)"
        return InvalidInput(field, got, expected)

    def _place(
        self,
        tenant_id: str,
        path: PurePath | Url | None,
        default: str,
        force: bool,
        in_tenant_folder: bool,
        export_id: str,
    ) -> AnyPlace:
        if isinstance(path, Url):
            return ObjectPlace.of(path / export_id)
        if in_tenant_folder:
            return self._places.of_tenant(tenant_id, path or PurePath(default))
        return self._places.place(Path(path or self._places.root / default), force)

    async def _counted(
        self,
        job: ExportJob | SpineJob,
        place: AnyPlace,
        record: ExportRecord,
        progress: _Told | None,
        parts: bool,
    ) -> ExportRecord:
        begin = time.monotonic()
        sample = Sample(job.rows.feature_set.feature_names)
        try:
            ended = await self._run(job, place, record, progress, parts, sample)
        except BaseException as error:
            self._metrics.exported("failed")
            _tell(record.failed(self._now(), _why(error)), begin)
            raise
        self._metrics.exported(ended.status, ended.row_count)
        for name, rows in ended.violations.items():
            self._metrics.violated(job.rows.feature_set.label, name, rows)
        if ended.status == "completed":
            self.baselines.keep(ended, job.rows.feature_set, sample)
        _tell(ended, begin)
        return ended

    async def _run(
        self,
        job: ExportJob | SpineJob,
        place: AnyPlace,
        record: ExportRecord,
        progress: _Told | None,
        parts: bool,
        sample: Sample,
    ) -> ExportRecord:
        log, scan = self._store.export_log, self._store.scan
        await self._in_thread(partial(check, place, parts))
        await log.record(record)
        export_id = record.export_id
        drafted = drafting(place, export_id, parts)
        draft: AnyDraft | None = None
        try:
            draft = await _to_its_end(self._in_thread(drafted.__enter__))
            write = partial(_write, job, scan, draft, self._workers, sample)
            written = await self._stoppable(write, progress)
            self._count(job, written.several)
            if not written.rows:
                record = record.without_data(self._now())
                await log.record(record)
                return record
            await self._in_thread(draft.follow)
            record = record.written(written.rows, draft.size, draft.checksum, written.violations)
            # Should this process end after it, a sweep sees that the file is whole.
            await _to_its_end(self._written(record, draft))
            return await _to_its_end(self._publish(record, draft))
        except BaseException as error:
            # In its place it is no failure, whatever becomes of its record: a sweep completes it.
            if draft is None or not draft.published:
                await log.record(record.failed(self._now(), _why(error)))
            raise
        finally:
            await _to_its_end(self._in_thread(drafted.__exit__, None, None, None))

    async def _written(self, record: ExportRecord, draft: AnyDraft) -> None:
        both = (self._store.export_log.record(record), self._in_thread(draft.finish))
        for outcome in await asyncio.gather(*both, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _publish(self, record: ExportRecord, draft: AnyDraft) -> ExportRecord:
        await self._in_thread(draft.publish)
        ended = record.completed(self._now())
        if not self._store.export_log.writable:
            await self._in_thread(keep_beside, draft, ended)
        await self._store.export_log.record(ended)
        return ended

    async def _in_thread(self, work: Callable[..., _T], *arguments: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*arguments))

    async def _stoppable(self, work: Callable[[_Told], _T], progress: _Told | None = None) -> _T:
        """The result of work that tells how far it is; cancelled, it has stopped before this
        ends."""
        stopped = threading.Event()
        self._stops.add(stopped)

        def told(rows: int) -> None:
            # A thread cannot be cancelled: it asks here whether it may go on.
            if stopped.is_set():
                raise ExportFailed("the export was stopped")
            if rows > self._most_rows:
                # Rows came since they were counted.
                raise self._too_many("end_time", f"more than {self._most_rows:,} rows")
            if progress is not None:
                progress(rows)

        working = asyncio.ensure_future(self._in_thread(work, told))
        try:
            return await asyncio.shield(working)
        except BaseException:
            stopped.set()
            await _ended(working)
            raise
        finally:
            self._stops.remove(stopped)
            del working  # or its error would keep it, and it the error


async def _to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of work that whoever is cancelled meanwhile still waits for."""
    working = asyncio.create_task(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await _ended(working)
        raise
    finally:
        del working


async def _ended(working: asyncio.Future[Any]) -> None:
    """Wait for what was given up; what it raises is of no interest any more."""
    await asyncio.gather(working, return_exceptions=True)


def _why(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "whoever asked for it left, or its process was told to end"
    return str(error) or type(error).__name__


# Imports in here, as opening a store should not wait for them.


def _write(
    job: ExportJob | SpineJob,
    scan: Scan,
    draft: AnyDraft,
    workers: Workers,
    sample: Sample,
    told: _Told,
) -> Written:
    from ai_hub.export.job import SpineJob
    from ai_hub.export.parquet import Written, write_export
    from ai_hub.export.training_set import write_training_set

    if job.range.is_empty:
        return Written(0, {}, {})
    if isinstance(job, SpineJob):
        found = _training_set(job, scan, sample, told)
        return write_training_set(found, draft, job.compression, workers)
    return write_export(job, scan(job.scan_request()), draft, told, workers, sample)


def _training_set(job: SpineJob, scan: Scan, sample: Sample | None, told: _Told) -> TrainingSet:
    from ai_hub.export.training_set import training_set

    return training_set(job, scan, told, sample)


def _sampled(job: ExportJob, scan: Scan, sample: Sample, workers: Workers, told: _Told) -> None:
    from ai_hub.export.parquet import sampled

    if not job.range.is_empty:
        sampled(job, scan(job.scan_request()), sample, told, workers)


def _tell(record: ExportRecord, begin: float) -> None:
    """The event that the guide looks for in the log."""
    told = {
        "export_id": record.export_id,
        "tenant_id": record.tenant_id,
        "feature_set": record.feature_set,
        "status": record.status,
        "rows": record.row_count,
        "seconds": round(time.monotonic() - begin, 3),
        **({} if record.error is None else {"error": record.error}),
    }
    level = logging.ERROR if record.status == "failed" else logging.INFO
    _log.log(level, "export_features_to_parquet", extra=told)
