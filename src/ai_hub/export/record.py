"""An export from job to record: run, counted, and kept in `feature_exports`."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ai_hub.definitions.values import check_count, check_id, iso
from ai_hub.errors import ExportFailed, InvalidInput, UnknownExport
from ai_hub.metrics import Metrics
from ai_hub.stores.base import OfflineStore
from ai_hub.stores.export_log import ExportRecord

if TYPE_CHECKING:
    from ai_hub.export.job import ExportJob, SpineJob
    from ai_hub.export.parquet import Written
    from ai_hub.export.training_set import TrainingSet
    from ai_hub.stores.base import Chunk, ScanRequest

    Scan = Callable[[ScanRequest], Generator[Chunk, None, None]]

_log = logging.getLogger(__name__)

_MEGABYTE = 1_000_000
_MOST_RECORDS = 10_000
_T = TypeVar("_T")
_Told = Callable[[int], None]


class Exports:
    """The exports of an open store. `root` is where their files are by default."""

    def __init__(
        self,
        store: OfflineStore,
        root: Path,
        now: Callable[[], int],
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._root = root
        self._now = now
        self._metrics = metrics or Metrics()

    async def run(
        self,
        job: ExportJob | SpineJob,
        path: Path | None = None,
        progress: _Told | None = None,
    ) -> ExportRecord:
        """Write the file of a job, with a record before and after. Raises ExportFailed."""
        export_id = str(uuid.uuid4())
        chosen = job.rows.feature_set
        name = chosen.name or "features"
        # Absolute: who reads the record may stand in another directory.
        path = (self._root / f"{name}_{export_id}.parquet" if path is None else path).absolute()
        record = ExportRecord(
            export_id,
            job.rows.tenant_id,
            name,
            chosen.version,
            "processing",
            str(path),
            job.range.start,
            job.range.end,
            job.asset_ids,
            self._now(),
        )
        begin = time.monotonic()
        try:
            ended = await self._run(job, record, progress)
        except BaseException as error:
            self._metrics.exported("failed")
            _tell(self._failed(record, error), begin)
            raise
        self._metrics.exported(ended.status, ended.row_count)
        _tell(ended, begin)
        return ended

    async def training_set(self, job: SpineJob) -> TrainingSet:
        """The rows of a spine in memory. Raises StoreError."""
        return await _in_thread(lambda told: _training_set(job, self._store.scan, told))

    async def find(self, tenant_id: str | None, limit: int) -> list[ExportRecord]:
        """The records of a tenant's exports (None: of all), the newest first.

        Raises InvalidInput for a limit that is not from 1 to 10,000.
        """
        if tenant_id is not None:
            check_id("tenant_id", tenant_id)
        check_count("limit", limit, _MOST_RECORDS)
        return await self._store.export_log.find(tenant_id, limit=limit)

    async def record(self, export_id: str) -> ExportRecord:
        """The record of one export. Raises UnknownExport."""
        found = await self._store.export_log.find(export_id=export_id)
        if not found:
            raise UnknownExport(export_id)
        return found[0]

    async def _run(
        self, job: ExportJob | SpineJob, record: ExportRecord, progress: _Told | None
    ) -> ExportRecord:
        await asyncio.to_thread(_make_folder, Path(record.storage_path))
        await self._store.export_log.record(record)
        scan = self._store.scan
        try:
            written = await _in_thread(lambda told: _write(job, scan, record, told), progress)
        except BaseException as error:
            await self._store.export_log.record(self._failed(record, error))
            raise
        record = record.ended(
            "completed" if written.rows else "no_data", self._now(), written.rows, written.size
        )
        await self._store.export_log.record(record)
        return record

    def _failed(self, record: ExportRecord, error: BaseException) -> ExportRecord:
        return record.ended("failed", self._now(), error=str(error) or type(error).__name__)


async def _in_thread(work: Callable[[_Told], _T], progress: _Told | None = None) -> _T:
    """The result of work that tells how far it is; cancelled, it has stopped before this ends."""
    stopped = threading.Event()

    def told(rows: int) -> None:
        # A thread cannot be cancelled: it asks here whether it may go on.
        if stopped.is_set():
            raise ExportFailed("the export was stopped")
        if progress is not None:
            progress(rows)

    working = asyncio.create_task(asyncio.to_thread(work, told))
    try:
        return await asyncio.shield(working)
    except BaseException:
        stopped.set()
        await asyncio.wait([working])
        raise


# Imports in here, as opening a store should not wait for them.


def _write(job: ExportJob | SpineJob, scan: Scan, record: ExportRecord, told: _Told) -> Written:
    from ai_hub.export.job import SpineJob
    from ai_hub.export.parquet import Written, write_export
    from ai_hub.export.training_set import write_training_set

    path, export_id = Path(record.storage_path), record.export_id
    if job.range.is_empty:
        return Written(0, 0)
    if isinstance(job, SpineJob):
        found = _training_set(job, scan, told)
        return write_training_set(found, path, export_id, job.compression)
    return write_export(job, scan(job.scan_request()), path, export_id, told)


def _training_set(job: SpineJob, scan: Scan, told: _Told) -> TrainingSet:
    from ai_hub.export.training_set import training_set

    return training_set(job, scan, told)


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


def _make_folder(path: Path) -> None:
    try:
        if path.is_dir():
            raise InvalidInput("output_path", str(path), "the path of a file, not of a directory")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportFailed(f"output_path: {path} cannot be written: {error}") from error


def record_fields(record: ExportRecord) -> dict[str, Any]:
    """A record as the guide's fields; times as ISO texts, file_size_mb in 10^6 bytes."""
    return {
        "export_id": record.export_id,
        "tenant_id": record.tenant_id,
        "feature_set": record.feature_set,
        "status": record.status,
        "storage_path": None if record.status == "no_data" else record.storage_path,
        "row_count": record.row_count,
        "file_size_mb": record.file_size_bytes / _MEGABYTE,
        "started_at": iso(record.started_at),
        "completed_at": None if record.completed_at is None else iso(record.completed_at),
        **({} if record.error is None else {"error": record.error}),
    }
