"""One try at a job: from its place to its file, and to its row in `feature_exports`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ai_hub.drift.sample import Sample
from ai_hub.errors import ExportTaken, StoreError
from ai_hub.export.baselines import Baselines
from ai_hub.export.beside import keep_beside
from ai_hub.export.drafts import AnyDraft, AnyPlace, drafting
from ai_hub.export.place import Draft
from ai_hub.export.running import Running
from ai_hub.export.threads import Workers
from ai_hub.export.working import Told, Working, not_stopped, to_its_end
from ai_hub.metrics import Metrics
from ai_hub.stores.export_log import ExportLog, ExportRecord
from ai_hub.tracing import span

if TYPE_CHECKING:
    from ai_hub.export.job import ExportJob, SpineJob
    from ai_hub.export.parquet import Written
    from ai_hub.export.training_set import TrainingSet
    from ai_hub.stores.base import Chunk, ScanRequest

    Scan = Callable[[ScanRequest], Generator[Chunk, None, None]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempts:
    """Tries at jobs, with what a process has for them. `now` gives microseconds."""

    log: ExportLog
    scan: Scan
    working: Working
    workers: Workers
    baselines: Baselines
    metrics: Metrics
    now: Callable[[], int]

    async def make(
        self,
        running: Running,
        job: ExportJob | SpineJob,
        place: AnyPlace,
        parts: bool,
        check: Told,
    ) -> ExportRecord:
        """Write the file of a job, or a folder of `parts`, with a record before and after.

        `check` is told of the rows, and may raise. What goes wrong is raised, once it is recorded.
        """
        begin = time.monotonic()
        sample = Sample(job.rows.feature_set.feature_names)
        try:
            record, label = running.record, job.rows.feature_set.label
            own = {"export_id": record.export_id, "tenant_id": record.tenant_id}
            with span("export", **own, feature_set=label):
                resumed = await self._run(running, job, place, parts, check, sample)
        except BaseException:
            self.told(running.record, begin)
            raise
        ended = running.record
        for name, rows in ended.violations.items():
            self.metrics.violated(job.rows.feature_set.label, name, rows)
        if ended.status == "completed" and not resumed:
            self.baselines.keep(ended, job.rows.feature_set, sample)
        self.told(ended, begin)
        return ended

    def count(self, job: ExportJob | SpineJob, several: Mapping[str, int]) -> None:
        """Rows for which a view had no value, since it has several rows of the newest time."""
        for name, rows in several.items():
            self.metrics.no_view(job.rows.feature_set.label, name, "several", rows)

    async def give_up(self, running: Running, error: BaseException) -> ExportRecord:
        """Record what becomes of a job that did not come to its end."""
        if running.over:
            return running.record
        running.ending = running.over = True
        ended = running.record = running.given_up(self.now(), error)
        try:
            await not_stopped(self.log.record(ended, keep=not ended.under_way))
        except ExportTaken:
            pass  # who has it now says what becomes of it
        except StoreError as away:
            # Nothing is heard of it from now on: a sweep finds it, here or elsewhere.
            told = {"export_id": ended.export_id, "error": str(away)}
            _log.warning("export not recorded", extra=told)
        return ended

    async def _run(
        self,
        running: Running,
        job: ExportJob | SpineJob,
        place: AnyPlace,
        parts: bool,
        check: Told,
        sample: Sample,
    ) -> bool:
        """Come to the end of a job; whether it went on after what an earlier process had done."""
        export_id = running.record.export_id
        drafted = drafting(place, export_id, parts)
        draft: AnyDraft | None = None
        try:
            draft = await to_its_end(self.working.do(drafted.__enter__))
            resumed = not isinstance(draft, Draft) and bool(draft.finished)
            write = partial(_write, job, self.scan, draft, self.workers, sample)
            written = await self.working.stoppable(write, check)
            self.count(job, written.several)
            if not written.rows:
                running.ending = True
                ended = running.record.without_data(self.now())
                await not_stopped(self.log.record(ended))
                running.record = ended
                return resumed
            await self.working.do(draft.follow)
            running.ending = True
            await not_stopped(self._publish(running, draft, written))
            return resumed
        except BaseException as error:
            # In its place it is no failure, whatever becomes of its record: a sweep completes it.
            running.over = running.over or (draft is not None and draft.published)
            ended = await self.give_up(running, error)
            if draft is not None and not isinstance(draft, Draft):
                draft.kept = ended.under_way
            raise
        finally:
            await to_its_end(self.working.do(drafted.__exit__, None, None, None))

    async def _publish(self, running: Running, draft: AnyDraft, written: Written) -> None:
        whole = running.record.written(written.rows, draft.size, draft.checksum, written.violations)
        # Should this process end after it, a sweep sees that the file is whole. And none has its
        # place whose job another process took.
        both = (self.log.record(whole), self.working.do(draft.finish))
        for outcome in await asyncio.gather(*both, return_exceptions=True):
            if outcome is not None:
                raise outcome
        try:
            await self.working.do(draft.publish)
        except BaseException:
            if draft.published:
                # What is decided and not done yet, a sweep does, also one of this process.
                with suppress(StoreError):
                    await self.log.record(whole, keep=False)
            raise
        ended = whole.completed(self.now())
        if not self.log.writable:
            await self.working.do(keep_beside, draft, ended)
        await self.log.record(ended)
        running.record = ended

    def told(self, record: ExportRecord, begin: float) -> None:
        """Count its end, and tell the event that the guide looks for in the log."""
        if not record.under_way:
            rows = record.row_count if record.status == "completed" else 0
            self.metrics.exported(record.status, rows)
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


# Imports in here, as opening a store should not wait for them.


def _write(
    job: ExportJob | SpineJob,
    scan: Scan,
    draft: AnyDraft,
    workers: Workers,
    sample: Sample,
    told: Told,
) -> Written:
    from ai_hub.export.job import SpineJob
    from ai_hub.export.parquet import Written, write_export
    from ai_hub.export.training_set import write_training_set

    if job.range.is_empty:
        return Written(0, {}, {})
    if isinstance(job, SpineJob):
        found = rows_of_spine(job, scan, sample, told)
        return write_training_set(found, draft, job.compression, workers, job.layout)
    return write_export(job, scan(job.scan_request()), draft, told, workers, sample)


def rows_of_spine(job: SpineJob, scan: Scan, sample: Sample | None, told: Told) -> TrainingSet:
    """The rows of a spine in memory."""
    from ai_hub.export.training_set import training_set

    return training_set(job, scan, told, sample)


def draw(job: ExportJob, scan: Scan, sample: Sample, workers: Workers, told: Told) -> None:
    """Let a sample draw from the rows of a job."""
    from ai_hub.export.parquet import sampled

    if not job.range.is_empty:
        sampled(job, scan(job.scan_request()), sample, told, workers)
