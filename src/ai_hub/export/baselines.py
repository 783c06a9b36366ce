"""The baselines of exports: what the values of their rows were like, to see drift by."""

from __future__ import annotations

import asyncio
import logging

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import TimeRange
from ai_hub.drift.sample import Sample
from ai_hub.errors import StoreError
from ai_hub.export.threads import threads
from ai_hub.stores.drift_table import DriftTable, SetOf, StoredBaseline, set_of
from ai_hub.stores.export_log import ExportRecord

_log = logging.getLogger(__name__)


def made_of(
    sample: Sample,
    of: SetOf,
    times: TimeRange,
    made_at: int,
    baseline_id: str,
    of_export: bool,
) -> StoredBaseline:
    """The baseline of a sample with rows as it is kept."""
    document = sample.to_bytes()
    rows, start, end = sample.rows, times.start, times.end
    return StoredBaseline(baseline_id, *of, of_export, start, end, made_at, rows, document)


class Baselines:
    """Keeps the baselines of exports, each once its file is in its place: nobody waits for it."""

    def __init__(self, table: DriftTable) -> None:
        self._table = table
        self._thread = threads("baseline")
        self._keeping: set[asyncio.Task[None]] = set()

    def keep(self, record: ExportRecord, chosen: FeatureSet, sample: Sample) -> None:
        """Begin to keep the baseline of an export that has completed. Where it cannot be kept, the
        log says it."""
        of = set_of(record.tenant_id, chosen)
        if of is None or not self._table.writable or not sample.rows:
            return
        keeping = asyncio.create_task(self._keep(record, of, sample))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)

    async def settle(self) -> None:
        """Wait for those that are being kept."""
        if self._keeping:
            await asyncio.wait([*self._keeping])

    async def close(self) -> None:
        """Keep those that are under way, and no more."""
        await self.settle()
        self._thread.shutdown(wait=False)

    async def _keep(self, record: ExportRecord, of: SetOf, sample: Sample) -> None:
        times = TimeRange(record.start_time, record.end_time)
        made_at = record.started_at if record.completed_at is None else record.completed_at
        made = await asyncio.get_running_loop().run_in_executor(
            self._thread, made_of, sample, of, times, made_at, record.export_id, True
        )
        try:
            await self._table.keep_baseline(made)
        except StoreError as error:
            told = {"export_id": record.export_id, "error": str(error)}
            _log.warning("baseline not kept", extra=told)
