"""An export from job to record: run, counted, and kept in `feature_exports`."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_hub.definitions.values import iso
from ai_hub.errors import ExportFailed, InvalidInput, UnknownExport
from ai_hub.metrics import Metrics
from ai_hub.stores.base import OfflineStore
from ai_hub.stores.export_log import ExportRecord

if TYPE_CHECKING:
    from ai_hub.export.job import ExportJob
    from ai_hub.export.parquet import Written
    from ai_hub.stores.base import Chunk

_log = logging.getLogger(__name__)

_MEGABYTE = 1_000_000


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
        job: ExportJob,
        path: Path | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> ExportRecord:
        """Write the file of a job, with a record before and after. Raises ExportFailed."""
        export_id = str(uuid.uuid4())
        name = job.feature_set.name or "features"
        # Absolute: who reads the record may stand in another directory.
        path = (self._root / f"{name}_{export_id}.parquet" if path is None else path).absolute()
        record = ExportRecord(
            export_id,
            job.tenant_id,
            name,
            job.feature_set.version,
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

    async def record(self, export_id: str) -> ExportRecord:
        """The record of one export. Raises UnknownExport."""
        found = await self._store.export_log.find(export_id=export_id)
        if not found:
            raise UnknownExport(export_id)
        return found[0]

    async def _run(
        self, job: ExportJob, record: ExportRecord, progress: Callable[[int], None] | None
    ) -> ExportRecord:
        await asyncio.to_thread(_make_folder, Path(record.storage_path))
        await self._store.export_log.record(record)
        stopped = threading.Event()

        def told(rows: int) -> None:
            # A thread cannot be cancelled: it asks here whether it may go on.
            if stopped.is_set():
                raise ExportFailed("the export was stopped")
            if progress is not None:
                progress(rows)

        chunks = self._store.scan(job.scan_request())
        writing = asyncio.create_task(asyncio.to_thread(_write, job, chunks, record, told))
        try:
            written = await asyncio.shield(writing)
        except BaseException as error:
            stopped.set()
            await asyncio.wait([writing])
            await self._store.export_log.record(self._failed(record, error))
            raise
        record = record.ended(
            "completed" if written.rows else "no_data", self._now(), written.rows, written.size
        )
        await self._store.export_log.record(record)
        return record

    def _failed(self, record: ExportRecord, error: BaseException) -> ExportRecord:
        return record.ended("failed", self._now(), error=str(error) or type(error).__name__)


def _write(
    job: ExportJob,
    chunks: Generator[Chunk, None, None],
    record: ExportRecord,
    progress: Callable[[int], None],
) -> Written:
    # Here, as opening a store should not wait for it.
    from ai_hub.export.parquet import write_export

    return write_export(job, chunks, Path(record.storage_path), record.export_id, progress)


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
